"""Transfer with ``requests``: one :class:`Request` out, one :class:`Response` back, or why there is none."""

from __future__ import annotations

import os
import ssl
import time
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests import PreparedRequest
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from airflow_provider_streamtasks.exceptions import StreamTransportException
from airflow_provider_streamtasks.hooks.connection import StreamConnection
from airflow_provider_streamtasks.protocol.wire import MAX_BODY, Request, Response

CONNECT_TIMEOUT = 10.0
"""Seconds to make a connection."""


class RequestsTransport:
    """
    A pool of connections to Stream for one thread.

    :param connection: where to, as whom, and how long an answer may take
    :param token: the signed token
    """

    def __init__(self, connection: StreamConnection, token: str) -> None:
        self.connection = connection
        self._token = token
        self._session = requests.Session()
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
        timeout = self.connection.request_timeout
        started = time.monotonic()
        try:
            with self._session.request(
                request.method,
                self.connection.credentials.base_url + request.path,
                params={"api_key": self.connection.credentials.api_key, **request.query},
                json=request.json,
                timeout=(CONNECT_TIMEOUT, timeout),
                allow_redirects=False,
                stream=True,
            ) as answer:
                return Response(
                    status=answer.status_code,
                    headers={name.lower(): value for name, value in answer.headers.items()},
                    body=without(self._token, _read(answer.raw, until=started + CONNECT_TIMEOUT + timeout)),
                )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failure = no_answer(request, self.connection, *_classify(error), error)
        # Raised out here, because the library's error holds the request, and the request holds the token.
        raise failure

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _sign(self, prepared: PreparedRequest) -> PreparedRequest:
        prepared.headers.update(self.connection.credentials.headers(self._token))
        return prepared


def certificate_authorities() -> str:
    """Return the path of the authorities to trust: of ``REQUESTS_CA_BUNDLE``, else the system's."""
    system = ssl.get_default_verify_paths()
    chosen = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return chosen or system.cafile or system.capath or DEFAULT_CA_BUNDLE_PATH


def without(token: str, body: bytes) -> bytes:
    """Return a body with the token blotted out: errant proxies answer with the request that they got."""
    return body.replace(token.encode(), b"***")


def no_answer(
    request: Request, connection: StreamConnection, error_type: str, sent: bool, error: BaseException
) -> StreamTransportException:
    """Return the exception for a request to which no answer came."""
    where = connection.credentials.base_url
    what = {
        "connection_refused": f"no connection to {where} could be made",
        "connection_reset": f"{where} closed the connection before its answer was complete",
        "dns_failure": f"the host of {where} has no address: check the base URL (the connection's host)",
        "tls_handshake_failed": f"no trusted TLS connection to {where}: {_tls_reason(error)}",
        "timeout": f"{where} did not answer within {connection.request_timeout:g} s"
        if sent
        else f"no connection to {where} within {CONNECT_TIMEOUT:g} s",
    }.get(error_type, f"the transfer with {where} failed ({type(error).__name__})")
    return StreamTransportException(f"{request.operation}: {what}", error_type=error_type, request_sent=sent)


def _read(raw: Any, *, until: float) -> bytes:
    body = bytearray()
    while len(body) <= MAX_BODY and (chunk := raw.read1(MAX_BODY + 1 - len(body), decode_content=False)):
        body += chunk
        if time.monotonic() > until:
            # Each byte restarts the socket's own timeout.
            raise requests.ReadTimeout("the body takes too long")
    return bytes(body)


def _classify(error: Exception) -> tuple[str, bool]:
    """Return the type of a transfer's failure, and whether the request may have reached Stream."""
    reason = error.args[0] if error.args else None
    reason = getattr(reason, "reason", reason)
    if isinstance(error, requests.exceptions.SSLError):
        return "tls_handshake_failed", not _is_certificate_error(reason)
    if isinstance(reason, urllib3.exceptions.NameResolutionError):
        return "dns_failure", False
    if isinstance(error, requests.ConnectTimeout):
        return "timeout", False
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return "connection_refused", False
    if isinstance(error, requests.exceptions.ProxyError):
        return "connection_refused", True
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return "timeout", True
    if isinstance(error, requests.ConnectionError | urllib3.exceptions.ProtocolError | OSError):
        return "connection_reset", True
    return "unknown", True


def _is_certificate_error(reason: object) -> bool:
    while isinstance(reason, BaseException):
        if isinstance(reason, ssl.SSLCertVerificationError):
            return True
        reason = reason.__cause__ or next((a for a in reason.args if isinstance(a, BaseException)), None)
    return False


def _tls_reason(error: BaseException) -> str:
    text = str(error)
    if "not yet valid" in text or "has expired" in text:
        return "its certificate is not valid at this time. Check the clock of this machine (clock skew)"
    return "its certificate is not trusted" if "CERTIFICATE_VERIFY_FAILED" in text else "the handshake failed"
