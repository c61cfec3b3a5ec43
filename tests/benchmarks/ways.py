"""The ways to wait that are compared: each awaits one Stream task, many at the same time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

Way = Callable[[str], Awaitable[None]]
"""Awaits the end of one Stream task."""

FOREVER = 1e6  # seconds


@asynccontextmanager
async def shared_poller(url: str, max_poll_interval: float = 30.0):  # type: ignore[no-untyped-def]
    """Ours: the trigger as it runs in the triggerer."""
    from airflow_provider_streamtasks.triggers.task import StreamTaskTrigger

    async def wait(task_id: str) -> None:
        trigger = StreamTaskTrigger("bench", [task_id], time.time(), FOREVER, 1.0, max_poll_interval)
        async for event in trigger.run():
            assert event.payload["outcome"] == "completed", event.payload

    yield wait


@asynccontextmanager
async def every_second(url: str):  # type: ignore[no-untyped-def]
    """Ours, but made to look every second, so that it sends as many polls as the others."""
    async with shared_poller(url, max_poll_interval=1.0) as wait:
        yield wait


@asynccontextmanager
async def unrecorded(url: str, record: bool = False):  # type: ignore[no-untyped-def]
    """Ours, of waits that are old enough for records of how far they have come, but make none."""
    from unittest.mock import patch

    from airflow.sdk.execution_time import task_runner

    from airflow_provider_streamtasks.triggers.task import StreamTaskTrigger

    async def wait(task_id: str) -> None:
        long_ago = time.time() - 3600
        trigger = StreamTaskTrigger("bench", [task_id], long_ago, FOREVER, 1.0, 1.0, record_progress=record)
        trigger.trigger_id, trigger.task_instance = (
            1,
            SimpleNamespace(  # type: ignore[assignment]
                dag_id="dag", task_id=task_id, run_id="run", map_index=-1
            ),
        )
        with patch.object(trigger, "_until_worker_is_gone", lambda: 0.0):
            async for event in trigger.run():
                assert event.payload["outcome"] == "completed", event.payload

    # The thread waits about as long as Airflow's supervisor takes to write to its database.
    supervisor = SimpleNamespace(send=lambda message: time.sleep(0.02))
    with patch.object(task_runner, "SUPERVISOR_COMMS", supervisor, create=True):
        yield wait


@asynccontextmanager
async def recorded(url: str):  # type: ignore[no-untyped-def]
    """The same, with records."""
    async with unrecorded(url, record=True) as wait:
        yield wait


@asynccontextmanager
async def shared_session(url: str):  # type: ignore[no-untyped-def]
    """A trigger as one would write it: one aiohttp session for all, and a look every second."""
    import aiohttp
    from airflow.triggers.base import BaseTrigger, TriggerEvent

    class Trigger(BaseTrigger):
        def __init__(self, task_id: str) -> None:
            super().__init__()
            self.stream_task_id = task_id

        def serialize(self) -> tuple[str, dict[str, Any]]:
            return "Trigger", {"task_id": self.stream_task_id}

        async def run(self) -> AsyncIterator[TriggerEvent]:
            self.log.info("Waiting for %s", self.stream_task_id)
            address = f"{url}/api/v2/tasks/{self.stream_task_id}"
            while True:
                async with session.get(address, params={"api_key": "key"}) as answer:
                    task: dict[str, Any] = await answer.json()
                if task["status"] in ("completed", "failed"):
                    break
                await asyncio.sleep(1)
            self.log.info("%s is %s", self.stream_task_id, task["status"])
            yield TriggerEvent({"status": task["status"]})

    headers = {"Authorization": "x" * 120, "stream-auth-type": "jwt", "X-Stream-Client": "bench"}
    connector = aiohttp.TCPConnector(ssl=_context(url))
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:

        async def wait(task_id: str) -> None:
            async for _ in Trigger(task_id).run():
                pass

        yield wait


@asynccontextmanager
async def official_sdk(url: str):  # type: ignore[no-untyped-def]
    """Stream's own SDK: one client, ``wait_for_task``."""
    from getstream import AsyncStream

    async with AsyncStream(api_key="key", api_secret="secret" * 6, base_url=url, timeout=60.0) as client:

        async def wait(task_id: str) -> None:
            await client.wait_for_task(task_id, poll_interval=1.0, timeout=FOREVER)

        yield wait


@asynccontextmanager
async def by_hand(url: str):  # type: ignore[no-untyped-def]
    """Bytes on asyncio streams, pooled, a poll every second."""
    host, _, port = url.rpartition("//")[2].partition(":")
    free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    slots = asyncio.Semaphore(64)

    async def wait(task_id: str) -> None:
        request = f"GET /api/v2/tasks/{task_id}?api_key=key HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        while True:
            async with slots:
                reader, writer = free.pop() if free else await asyncio.open_connection(host, int(port))
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                task = json.loads(await reader.readexactly(length))
                free.append((reader, writer))
            if task["status"] in ("completed", "failed"):
                return
            await asyncio.sleep(1)

    yield wait
    for _, writer in free:
        writer.close()


class Connection(asyncio.Protocol):
    """One connection, with one request under way at a time."""

    answer: asyncio.Future[bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        """Send a request, and return the body of the answer."""
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)  # type: ignore[attr-defined]
        return self.answer


class ParsedConnection(Connection):
    """Leaves HTTP to httptools, the parser in C that uvicorn has."""

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        import httptools

        self.parser, self.body = httptools.HttpResponseParser(self), b""
        return super().ask(request)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.answer.set_result(self.body)


class RawConnection(Connection):
    """Knows of HTTP no more than where a body begins and how long it is."""

    buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, ends, body = self.buffer.partition(b"\r\n\r\n")
        if ends and len(body) >= int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            self.buffer = b""
            self.answer.set_result(body)


@asynccontextmanager
async def _on_connections(kind: type[Connection], url: str):  # type: ignore[no-untyped-def]
    host, _, port = url.rpartition("//")[2].partition(":")
    loop = asyncio.get_running_loop()
    free: list[Connection] = []
    slots = asyncio.Semaphore(64)

    async def wait(task_id: str) -> None:
        request = f"GET /api/v2/tasks/{task_id}?api_key=key HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        while True:
            async with slots:
                connection = free.pop() if free else (await loop.create_connection(kind, host, int(port)))[1]
                task = json.loads(await connection.ask(request))
                free.append(connection)
            if task["status"] in ("completed", "failed"):
                return
            await asyncio.sleep(1)

    yield wait
    for connection in free:
        connection.transport.close()


def httptools_protocol(url: str):  # type: ignore[no-untyped-def]
    """A floor: httptools on asyncio's protocols, pooled, a poll every second."""
    return _on_connections(ParsedConnection, url)


def raw_protocol(url: str):  # type: ignore[no-untyped-def]
    """The floor of floors: the least of HTTP on asyncio's protocols, pooled, a poll every second."""
    return _on_connections(RawConnection, url)


def _context(url: str) -> Any:
    import os
    import ssl

    return (
        ssl.create_default_context(cafile=os.environ["REQUESTS_CA_BUNDLE"]) if url[:6] == "https:" else True
    )


WAYS = {
    way.__name__: way
    for way in (
        shared_poller,
        every_second,
        unrecorded,
        recorded,
        shared_session,
        official_sdk,
        by_hand,
        httptools_protocol,
        raw_protocol,
    )
}
