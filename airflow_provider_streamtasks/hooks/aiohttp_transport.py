"""Transfer with ``aiohttp``, for event loops: the asynchronous twin of :mod:`requests_transport`."""

from __future__ import annotations

import asyncio
import os
import ssl
from urllib.parse import quote, urlencode

import aiohttp
from requests.utils import get_environ_proxies, prepend_scheme_if_needed, select_proxy
from yarl import URL

from airflow_provider_streamtasks.exceptions import StreamConfigurationError
from airflow_provider_streamtasks.hooks.authorities import certificate_authorities
from airflow_provider_streamtasks.hooks.connection import StreamConnection
from airflow_provider_streamtasks.hooks.no_answer import no_answer
from airflow_provider_streamtasks.hooks.time_limit import TimeLimit
from airflow_provider_streamtasks.protocol.credentials import without_token
from airflow_provider_streamtasks.protocol.poll_budget import AT_ONCE
from airflow_provider_streamtasks.protocol.wire import MAX_BODY, Request, Response


class AiohttpTransport:
    """
    A pool of connections to Stream for one event loop.

    :param connection: where to, as whom, and how long an answer may take
    :param session: made by :meth:`open`
    :param token: the signed token, which the session sends
    :param proxied: whether the session goes through a proxy
    """

    def __init__(
        self,
        connection: StreamConnection,
        session: aiohttp.ClientSession,
        token: str,
        *,
        proxied: bool = False,
    ) -> None:
        self.connection = connection
        self._proxied = proxied
        self._session = session
        self._token = token
        self._limit = TimeLimit(connection.request_timeout)
        self._hint = connection.path_hint
        self._base_url = URL(connection.credentials.base_url)
        self._key = f"api_key={quote(connection.credentials.api_key, safe='')}"

    @classmethod
    async def open(cls, connection: StreamConnection, token: str) -> AiohttpTransport:
        """
        Return a transport in the running event loop; the caller closes it.

        :raises StreamConfigurationError: if the environment names authorities that are not there, or a proxy
            through which aiohttp cannot go
        """
        base_url = connection.credentials.base_url
        proxy = _proxy(base_url)
        # In a thread, because reading the authorities blocks for tens of milliseconds.
        tls = await asyncio.to_thread(_ssl_context) if base_url.startswith("https:") else True
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=AT_ONCE, ssl=tls),
            headers=connection.credentials.headers(token),
            cookie_jar=aiohttp.DummyCookieJar(),
            # The time of the whole request is limited in `send`.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connection.connect_timeout),
            auto_decompress=False,
            proxy=proxy,
        )
        return cls(connection, session, token, proxied=proxy is not None)

    async def send(self, request: Request) -> Response:
        """
        Send a request, once, and read the answer.

        :raises StreamTransportException: if no answer comes
        """
        # Built from parts, because parsing a whole URL costs three times as much.
        url = URL.build(
            scheme=self._base_url.scheme,
            authority=self._base_url.raw_authority,
            path=f"{self._base_url.raw_path.rstrip('/')}{request.path}",
            query_string=f"{self._key}&{urlencode(request.query)}" if request.query else self._key,
            encoded=True,
        )
        try:
            with self._limit:
                async with self._session.request(
                    request.method, url, json=request.json, allow_redirects=False
                ) as answer:
                    # Names of its headers are found in any case.
                    body = without_token(self._token, await _read(answer.content))
                    return Response(answer.status, answer.headers, body, self._hint)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            failure = no_answer(request, self.connection, *_classify(error, proxied=self._proxied), error)
        # Raised out here, because the library's error holds the request, and the request holds the token.
        raise failure

    async def close(self) -> None:
        """Close the pooled connections."""
        self._limit.close()
        await self._session.close()


def _proxy(base_url: str) -> str | None:
    """Return the proxy that requests takes."""
    # Not aiohttp's `trust_env`: it would read ~/.netrc for every request.
    proxy = select_proxy(base_url, get_environ_proxies(base_url))
    if not proxy:
        return None
    try:
        proxy = str(prepend_scheme_if_needed(proxy, "http"))  # type: ignore[no-untyped-call]
        scheme, host = URL(proxy).scheme, URL(proxy).host
    except ValueError:
        scheme, host = "", None
    if scheme not in ("http", "https") or not host:
        # Without the proxy itself: there may be a password in it.
        raise StreamConfigurationError(
            f"The proxy to {base_url} in the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY) is none that a "
            "triggerer can go through: a URL with http:// or https:// is needed."
        )
    return proxy


def _ssl_context() -> ssl.SSLContext:
    path = certificate_authorities()
    if os.path.isdir(path):
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)


async def _read(content: aiohttp.StreamReader) -> bytes:
    body = await content.read(MAX_BODY + 1)
    while len(body) <= MAX_BODY and not content.at_eof():
        body += await content.read(MAX_BODY + 1 - len(body))
    return body


def _classify(error: BaseException, *, proxied: bool) -> tuple[str, bool]:
    """
    Return the type of a transfer's failure, and whether the request may have reached Stream.

    :param proxied: whether it went through a proxy, whose name is the only one that is looked up then
    """
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return "proxy", False
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "proxy" if proxied else "dns_failure", False
    if isinstance(error, aiohttp.ClientSSLError):
        return "tls_handshake_failed", False
    if isinstance(error, aiohttp.ClientConnectorError):
        return "connection_refused", False
    if isinstance(error, asyncio.TimeoutError):
        return "timeout", not isinstance(error, aiohttp.ConnectionTimeoutError)
    if isinstance(
        error,
        aiohttp.ClientConnectionError | aiohttp.ClientPayloadError | aiohttp.ClientResponseError | OSError,
    ):
        return "connection_reset", True
    return "unknown", True
