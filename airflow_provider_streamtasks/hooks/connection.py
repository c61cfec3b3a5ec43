"""What an Airflow connection of type ``stream`` says."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_streamtasks.exceptions import StreamConfigurationError
from airflow_provider_streamtasks.protocol.credentials import DEFAULT_BASE_URL, Credentials
from airflow_provider_streamtasks.provider_info import connection_type

if TYPE_CHECKING:
    from airflow.sdk import Connection

_EXTRAS = {name: described["schema"] for name, described in connection_type()["conn-fields"].items()}

CONNECT_TIMEOUT = 10.0
"""Seconds to make a connection at the most."""


@dataclass(frozen=True, slots=True)
class StreamConnection:
    """
    A connection to Stream, checked.

    :param credentials: key, secret and base URL
    :param request_timeout: seconds that one request may take, from connecting to the last byte of the answer
    :param rate_limit_share: the part of each endpoint's budget that we may use, from 0 to 1
    :param remarks: what may be a slip in it: a sentence each
    """

    credentials: Credentials
    request_timeout: float = float(_EXTRAS["request_timeout"]["default"])
    rate_limit_share: float = float(_EXTRAS["rate_limit_share"]["default"])
    remarks: tuple[str, ...] = field(default=(), compare=False)

    @property
    def connect_timeout(self) -> float:
        """Seconds of them in which the connection must be made; some are left for the answer."""
        return min(CONNECT_TIMEOUT, 0.9 * self.request_timeout)

    @property
    def path_hint(self) -> str:
        """What to do where an answer is not Stream's; empty where the base URL has no path."""
        path = urlsplit(self.credentials.base_url).path
        return (
            f"The base URL (the connection's host) has the path {path!r}: leave it out, unless a gateway of "
            "yours needs it."
            if path
            else ""
        )


def read_connection(connection: Connection) -> StreamConnection:
    """
    Check an Airflow connection and return what it says.

    :raises StreamConfigurationError: naming the connection and the field that is missing or not allowed
    """
    try:
        extra = _extra(connection)
        if not any((connection.conn_type, connection.login, connection.password, connection.host)):
            raise StreamConfigurationError(
                "Airflow read nothing from it. It must be JSON, or a URI, as Airflow writes them."
            )
        return StreamConnection(
            credentials=Credentials(
                api_key=connection.login or "",
                api_secret=connection.password or "",
                base_url=_base_url(connection.host or DEFAULT_BASE_URL, connection.port),
            ),
            request_timeout=_number(extra, "request_timeout"),
            rate_limit_share=_number(extra, "rate_limit_share"),
            remarks=tuple(
                f"Connection {connection.conn_id!r}: {each}" for each in _without_effect(connection, extra)
            ),
        )
    except StreamConfigurationError as error:
        raise StreamConfigurationError(f"Connection {connection.conn_id!r}: {error.message}") from None


def missing_connection(conn_id: str, *, only_without_team: bool = False) -> StreamConfigurationError:
    """
    Return the exception for a connection that Airflow does not have, or has and cannot read.

    :param only_without_team: whether this process, a triggerer, is given no connection that belongs to a team
    """
    team = (
        " A triggerer finds only connections that belong to no team: define it without one, too, or wait "
        "with deferrable=False."
        if only_without_team
        else ""
    )
    # Airflow 3.1 to 3.3 passes over what it cannot parse, and then says that the connection isn't defined.
    name = f"AIRFLOW_CONN_{conn_id.upper()}"
    if (value := os.environ.get(name)) is None:
        return StreamConfigurationError(
            f"Airflow has no connection {conn_id!r} that it can read",
            hint="Create it, or correct stream_conn_id. One that a secrets backend holds in a form that "
            f"Airflow cannot read counts as missing.{team}",
        )
    problem = f": {_no_connection(value)}" if value.lstrip().startswith("{") else ""
    return StreamConfigurationError(
        f"Airflow cannot read the connection {conn_id!r} in the environment variable {name}{problem}",
        hint=f"It must be JSON, or a URI, as Airflow writes them.{team}",
    )


def _extra(connection: Connection) -> Mapping[str, Any]:
    if not (connection.extra or "").strip():
        return {}
    # Airflow reads an extra that is not JSON as an empty dictionary.
    if problem := _no_json(connection.extra or ""):
        raise StreamConfigurationError(f"extra cannot be read: {problem}")
    extra = connection.extra_dejson  # also masks what is secret in it
    if not isinstance(extra, Mapping):
        raise StreamConfigurationError("extra is not a JSON object")
    return extra


def _no_connection(text: str) -> str:
    """Return what keeps Airflow from reading a connection that is written as a JSON object."""
    if problem := _no_json(text):
        return problem
    extra = json.loads(text).get("extra")
    # Only Airflow 3.1 stumbles over it: later ones make an empty dictionary of it.
    if isinstance(extra, str) and extra.strip() and (problem := _no_json(extra)):
        return f"its extra cannot be read: {problem}"
    return "it is JSON, but not with the fields of a connection"


def _no_json(text: str) -> str:
    """Return where a text ceases to be JSON, without quoting it: it may be secret. Empty if it is JSON."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"it is not JSON ({error.msg}, line {error.lineno}, column {error.colno})"
    return ""


def _without_effect(connection: Connection, extra: Mapping[str, Any]) -> Iterator[str]:
    # In a URI it is what looks like the path.
    if connection.schema and connection.schema != "https":
        yield f"the schema {connection.schema!r} has no effect: what is needed of it belongs in the host."
    for name in sorted(extra.keys() - _EXTRAS):
        meant = get_close_matches(name, _EXTRAS, 1)
        ask = f" Is {meant[0]} meant?" if meant else f" Known are {' and '.join(_EXTRAS)}."
        yield f"the extra {name!r} is unknown and has no effect.{ask}"


def _base_url(host: str, port: int | None) -> str:
    # The UI needs a port for its "Test" button, so it may stand in a field of its own.
    if not port or host.rstrip("/").endswith(f":{port}"):
        return host
    scheme, found, rest = host.rpartition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{found}{authority}:{port}{slash}{path}"


def _number(extra: Mapping[str, Any], name: str) -> float:
    value, at_most = extra.get(name), _EXTRAS[name]["maximum"]
    if value is None or value == "":
        # Airflow's form saves every field of the extra, those left empty as null.
        return float(_EXTRAS[name]["default"])
    try:
        number = -1.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0 < number <= at_most:
        raise StreamConfigurationError(
            f"extra {name} is {value!r}: a number above 0 and at most {at_most:g} is needed"
        )
    return number
