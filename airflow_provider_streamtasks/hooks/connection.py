"""What an Airflow connection of type ``stream`` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_provider_streamtasks.exceptions import StreamConfigurationError
from airflow_provider_streamtasks.protocol.credentials import DEFAULT_BASE_URL, Credentials

DEFAULT_REQUEST_TIMEOUT = 30.0
DEFAULT_RATE_LIMIT_SHARE = 0.8

CONNECT_TIMEOUT = 10.0
"""Seconds to make a connection at the most."""


class AirflowConnection(Protocol):
    """The fields of Airflow's connection that are read here."""

    conn_id: str
    login: str | None
    password: str | None
    host: str | None
    port: int | None

    @property
    def extra_dejson(self) -> dict[str, Any]:
        """The extra as a dictionary."""


@dataclass(frozen=True, slots=True)
class StreamConnection:
    """
    A connection to Stream, checked.

    :param credentials: key, secret and base URL
    :param request_timeout: seconds that one request may take, from connecting to the last byte of the answer
    :param rate_limit_share: the part of each endpoint's budget that we may use, from 0 to 1
    """

    credentials: Credentials
    request_timeout: float = DEFAULT_REQUEST_TIMEOUT
    rate_limit_share: float = DEFAULT_RATE_LIMIT_SHARE

    @property
    def connect_timeout(self) -> float:
        """Seconds of them in which the connection must be made; some are left for the answer."""
        return min(CONNECT_TIMEOUT, 0.9 * self.request_timeout)


def read_connection(connection: AirflowConnection) -> StreamConnection:
    """
    Check an Airflow connection and return what it says.

    :raises StreamConfigurationError: naming the connection and the field that is missing or not allowed
    """
    extra = connection.extra_dejson
    try:
        if not isinstance(extra, Mapping):
            raise StreamConfigurationError("extra is not a JSON object")
        return StreamConnection(
            credentials=Credentials(
                api_key=connection.login or "",
                api_secret=connection.password or "",
                base_url=_base_url(connection.host or DEFAULT_BASE_URL, connection.port),
            ),
            request_timeout=_number(extra, "request_timeout", DEFAULT_REQUEST_TIMEOUT, at_most=3600),
            rate_limit_share=_number(extra, "rate_limit_share", DEFAULT_RATE_LIMIT_SHARE, at_most=1),
        )
    except StreamConfigurationError as error:
        raise StreamConfigurationError(f"Connection {connection.conn_id!r}: {error.message}") from None


def _base_url(host: str, port: int | None) -> str:
    # The UI needs a port for its "Test" button, so it may stand in a field of its own.
    if not port or host.rstrip("/").endswith(f":{port}"):
        return host
    scheme, found, rest = host.rpartition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{found}{authority}:{port}{slash}{path}"


def _number(extra: Mapping[str, Any], name: str, default: float, *, at_most: float) -> float:
    value = extra.get(name)
    if value is None or value == "":
        # Airflow's form saves every field of the extra, those left empty as null.
        return default
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0 < number <= at_most:
        raise StreamConfigurationError(
            f"extra {name} is {value!r}: a number above 0 and at most {at_most:g} is needed"
        )
    return number
