"""Transfer with ``requests``: one :class:`Request` out, one :class:`Response` back, or why there is none."""

from __future__ import annotations

import ssl
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests import PreparedRequest

from airflow_provider_streamtasks.hooks.authorities import certificate_authorities
from airflow_provider_streamtasks.hooks.connection import StreamConnection
from airflow_provider_streamtasks.hooks.deadline import Deadline, DeadlineAdapter
from airflow_provider_streamtasks.hooks.no_answer import causes, no_answer
from airflow_provider_streamtasks.protocol.credentials import without_token
from airflow_provider_streamtasks.protocol.wire import MAX_BODY, Request, Response


class RequestsTransport:
    """
    A pool of connections to Stream for one thread.

    :param connection: where to, as whom, and how long a request may take
    :param token: the signed token
    :raises StreamConfigurationError: if the authorities to trust are not where the environment says
    """

    def __init__(self, connection: StreamConnection, token: str) -> None:
        self.connection = connection
        self._token = token
        self._session = requests.Session()
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, DeadlineAdapter())
        if connection.credentials.base_url.startswith("https:"):
            self._session.verify = certificate_authorities()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Through `auth`, because requests would replace a plain Authorization header by what ~/.netrc says.
        self._session.auth = self._sign

    def send(self, request: Request, *, new_connection: bool = False) -> Response:
        """
        Send a request, once, and read the answer.

        :param new_connection: do not take a pooled connection. The other side may have closed it unnoticed,
            and then nobody can tell whether the request arrived.
        :raises StreamTransportException: if no answer comes
        """
        if new_connection:
            self._session.close()
        deadline = Deadline(self.connection.request_timeout, self.connection.connect_timeout)
        try:
            with (
                deadline,
                self._session.request(
                    request.method,
                    self.connection.credentials.base_url + request.path,
                    params={"api_key": self.connection.credentials.api_key, **request.query},
                    json=request.json,
                    timeout=(self.connection.connect_timeout, self.connection.request_timeout),
                    allow_redirects=False,
                    stream=True,
                ) as answer,
            ):
                return Response(
                    status=answer.status_code,
                    headers={name.lower(): value for name, value in answer.headers.items()},
                    body=without_token(self._token, _read(answer.raw)),
                    hint=self.connection.path_hint,
                )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failure = no_answer(request, self.connection, _classify(error), deadline.request_sent, error)
        # Raised out here, because the library's error holds the request, and the request holds the token.
        raise failure

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _sign(self, prepared: PreparedRequest) -> PreparedRequest:
        prepared.headers.update(self.connection.credentials.headers(self._token))
        return prepared


def _read(raw: Any) -> bytes:
    body = bytearray()
    while len(body) <= MAX_BODY and (chunk := raw.read1(MAX_BODY + 1 - len(body), decode_content=False)):
        body += chunk
    return bytes(body)


# In urllib3 a name without address, and a refusal, are timeouts, too: the special cases come first.
_TYPES: tuple[tuple[str, tuple[type[BaseException], ...]], ...] = (
    ("proxy", (requests.exceptions.ProxyError, urllib3.exceptions.ProxyError)),
    # The base URL was checked, so it is the proxy's URL that is wrong, or of an unknown scheme.
    ("proxy", (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL)),
    ("proxy", (urllib3.exceptions.LocationParseError, urllib3.exceptions.URLSchemeUnknown)),
    ("dns_failure", (urllib3.exceptions.NameResolutionError,)),
    ("connection_refused", (urllib3.exceptions.NewConnectionError,)),
    ("timeout", (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)),
    ("tls_handshake_failed", (requests.exceptions.SSLError, urllib3.exceptions.SSLError, ssl.SSLError)),
    ("connection_reset", (requests.ConnectionError, urllib3.exceptions.ProtocolError, OSError)),
)


def _classify(error: Exception) -> str:
    """Return the type of a transfer's failure, which libraries wrap in errors of other types."""
    found = list(causes(error))
    return next((name for name, types in _TYPES if any(isinstance(each, types) for each in found)), "unknown")
