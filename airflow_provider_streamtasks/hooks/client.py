"""How a request reaches Stream and its answer comes back: connections, retries, rotated secrets."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.exceptions import StreamException
from airflow_provider_streamtasks.hooks.connection import (
    StreamConnection,
    missing_connection,
    read_connection,
)
from airflow_provider_streamtasks.protocol import errors
from airflow_provider_streamtasks.protocol.fields import Text
from airflow_provider_streamtasks.protocol.wire import Request, Response

if TYPE_CHECKING:
    from airflow_provider_streamtasks.hooks.aiohttp_transport import AiohttpTransport
    from airflow_provider_streamtasks.hooks.requests_transport import RequestsTransport

T = TypeVar("T")

ATTEMPTS = 5
"""How often a request is sent at the most, where sending it again is safe."""


class StreamClient(BaseHook):
    """
    What is below every call of :class:`~airflow_provider_streamtasks.hooks.stream.StreamHook`.

    :param stream_conn_id: the Airflow connection, of type ``stream``
    :raises ValueError: if that is no text
    """

    def __init__(self, stream_conn_id: str) -> None:
        super().__init__()
        self.stream_conn_id = Text().parse("stream_conn_id", stream_conn_id)
        self._transport: RequestsTransport | None = None
        self._atransport: AiohttpTransport | None = None
        self._connecting = asyncio.Lock()
        self._areread_at = -math.inf
        self._aclosing: list[AiohttpTransport] = []  # replaced ones, on which requests may be under way

    def get_conn(self) -> RequestsTransport:
        """
        Return the pooled connections to Stream.

        :raises StreamConfigurationError: if the Airflow connection cannot be used as it is
        """
        if self._transport is None:
            self._transport = self._connect(self._read_connection())
        return self._transport

    async def aget_conn(self) -> AiohttpTransport:
        """Return the pooled connections of the running event loop: the twin of :meth:`get_conn`."""
        if self._atransport is None:
            async with self._connecting:
                if self._atransport is None:
                    self._atransport = await self._aconnect(await self._aread_connection())
        return self._atransport

    def close(self) -> None:
        """Close the pooled connections."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    async def aclose(self) -> None:
        """Close the pooled connections of the event loop."""
        transports = [*self._aclosing, *filter(None, [self._atransport])]
        self._aclosing, self._atransport = [], None
        for transport in transports:
            await transport.close()

    def _call(
        self, request: Request, *, again_if: Callable[[StreamException], bool], new_connection: bool = False
    ) -> tuple[dict[str, Any], Response]:
        def call() -> tuple[dict[str, Any], Response]:
            response = self._send(request, new_connection=new_connection)
            return errors.read_body(request.operation, response, time.time(), request.hints), response

        return self._attempt(call, again_if=again_if)

    def _attempt(
        self, call: Callable[[], T], *, again_if: Callable[[StreamException], bool], patience: float = 0.0
    ) -> T:
        """Make a call, and make it again while it fails in a way that ``again_if`` lets pass."""
        from tenacity import Retrying

        return Retrying(**self._retry_options(again_if, patience))(call)

    async def _aattempt(
        self,
        call: Callable[[Request], Awaitable[T]],
        request: Request,
        *,
        again_if: Callable[[StreamException], bool],
    ) -> T:
        """Make a call without blocking the event loop: the twin of :meth:`_attempt`."""
        from tenacity import AsyncRetrying

        return await AsyncRetrying(**self._retry_options(again_if))(call, request)

    def _retry_options(
        self, again_if: Callable[[StreamException], bool], patience: float = 0.0
    ) -> dict[str, Any]:
        """Return when to make a call again, how often, for how long, and after which pause."""
        import tenacity

        backoff = tenacity.wait_random_exponential(multiplier=0.5, max=15)

        def wait(state: tenacity.RetryCallState) -> float:
            asked = errors.asked_pause(state.outcome.exception())  # type: ignore[union-attr, arg-type]
            return backoff(state) + (asked or 0.0)

        def log(state: tenacity.RetryCallState) -> None:
            self.log.warning(
                "%s Trying again in %.1f s.",
                state.outcome.exception(),  # type: ignore[union-attr]
                state.next_action.sleep,  # type: ignore[union-attr]
            )

        return {
            "retry": tenacity.retry_if_exception(lambda e: isinstance(e, StreamException) and again_if(e)),
            "stop": tenacity.stop_after_attempt(ATTEMPTS) & tenacity.stop_after_delay(patience),
            "wait": wait,
            "before_sleep": log,
            "reraise": True,
        }

    def _send(self, request: Request, *, new_connection: bool = False) -> Response:
        transport = self.get_conn()
        response = transport.send(request, new_connection=new_connection)
        if response.status == 401:
            # The secret may have been rotated since this hook read the Airflow connection.
            changed = self._read_connection()
            if changed != transport.connection:
                self.close()
                self._transport = self._connect(changed)
                return self._transport.send(request, new_connection=new_connection)
        return response

    async def _asend(self, request: Request) -> Response:
        transport = self._atransport or await self.aget_conn()
        sent_at = time.monotonic()
        response = await transport.send(request)
        if response.status == 401 and await self._areconnected(transport, sent_at):
            return await (await self.aget_conn()).send(request)
        return response

    async def _areconnected(self, refused: AiohttpTransport, sent_at: float) -> bool:
        async with self._connecting:
            # A request that was under way during the last reading need not read the connection once more.
            if self._atransport is refused and self._areread_at < sent_at:
                self._areread_at = time.monotonic()
                changed = await self._aread_connection()
                if changed != refused.connection:
                    self._atransport = await self._aconnect(changed)
                    self._aclosing.append(refused)
            return self._atransport is not refused

    def _read_connection(self) -> StreamConnection:
        try:
            return read_connection(self.get_connection(self.stream_conn_id))
        except AirflowNotFoundException:
            raise missing_connection(self.stream_conn_id) from None

    async def _aread_connection(self) -> StreamConnection:
        try:
            return read_connection(await self.aget_connection(self.stream_conn_id))
        except AirflowNotFoundException:
            no_team = _compat.triggers_have_no_team()
            raise missing_connection(self.stream_conn_id, only_without_team=no_team) from None

    def _connect(self, connection: StreamConnection) -> RequestsTransport:
        from airflow_provider_streamtasks.hooks.requests_transport import RequestsTransport

        self._remark(connection)
        token = connection.credentials.token()
        for secret in (connection.credentials.api_secret, token):
            mask_secret(secret)
        return RequestsTransport(connection, token)

    async def _aconnect(self, connection: StreamConnection) -> AiohttpTransport:
        self._remark(connection)
        # In a thread, because the first time it imports for half a second, and others wait in this loop.
        transport, token = await asyncio.to_thread(_prepare, connection)
        for secret in (connection.credentials.api_secret, token):
            await _compat.amask_secret(secret)
        return await transport.open(connection, token)

    def _remark(self, connection: StreamConnection) -> None:
        for remark in connection.remarks:
            self.log.warning(remark)


def _prepare(connection: StreamConnection) -> tuple[type[AiohttpTransport], str]:
    """Import what an event loop needs to reach Stream, and sign the token."""
    from airflow_provider_streamtasks.hooks.aiohttp_transport import AiohttpTransport

    return AiohttpTransport, connection.credentials.token()
