"""The clients of the official SDKs, called alike."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal

from getstream import AsyncStream, Stream
from stream_chat import StreamChat, StreamChatAsync

from airflow_provider_streamtasks.sandbox import Sandbox
from tests.conformance.calls import GIVEN, TABLE, Call, Row

Name = Literal["Stream", "AsyncStream", "StreamChat", "StreamChatAsync"]
GETSTREAM: tuple[Name, ...] = ("Stream", "AsyncStream")
STREAM_CHAT: tuple[Name, ...] = ("StreamChat", "StreamChatAsync")


@dataclass(frozen=True)
class Answer:
    """What a client makes of an answer.

    :param body: the JSON body, as it came
    :param model: the SDK's model of it; ``None`` where the SDK has none
    :param status: HTTP status
    :param headers: lower-case names
    """

    body: dict[str, Any]
    model: Any
    status: int
    headers: Mapping[str, str]

    @property
    def stream_task_id(self) -> str:
        stream_task_id: str = self.body.get("run", self.body)["task_id"]
        return stream_task_id


class Client:
    """One client of an SDK."""

    def __init__(self, name: Name, sdk: Any) -> None:
        self.name = name
        self.sdk = sdk

    async def row(self, row: Row, given: str = "", **others: Any) -> Answer:
        """Call what a row of the table says; ``others`` replace some of its arguments."""
        call = self.call_of(row)
        arguments = {
            name: given if value is GIVEN else value for name, value in {**call.arguments, **others}.items()
        }
        target = self.sdk.channel(*call.channel) if call.channel else self.sdk
        response = await _awaited(attrgetter(call.method)(target)(**arguments))
        headers = {name.lower(): value for name, value in response.headers().items()}
        if self.name in STREAM_CHAT:
            return Answer(dict(response), None, response.status_code(), headers)
        # The SDK keeps the HTTP response private, and with it what its models do not know.
        body = json.loads(response._StreamResponse__response.content)
        return Answer(body, response.data, response.status_code(), headers)

    async def method(self, name: str, **arguments: Any) -> Any:
        """Call a method that is in no row."""
        return await _awaited(getattr(self.sdk, name)(**arguments))

    def call_of(self, row: Row) -> Call:
        """How this client calls a row's operation."""
        call = row.getstream if self.name in GETSTREAM else row.stream_chat
        assert call is not None
        return call

    async def get_task(self, stream_task_id: str) -> Answer:
        [row] = (row for row in TABLE if row.operation == "GetTask")
        return await self.row(row, stream_task_id)


async def _awaited(outcome: Any) -> Any:
    return await outcome if inspect.isawaitable(outcome) else outcome


@asynccontextmanager
async def connected(name: Name, sandbox: Sandbox, **others: Any) -> AsyncIterator[Client]:
    """A client of the sandbox; arguments replace the right credentials."""
    options = {
        "api_key": sandbox.api_key,
        "api_secret": sandbox.api_secret,
        **others,
        "base_url": sandbox.url,
    }
    match name:
        case "Stream":
            with Stream(**options) as sync_sdk:
                yield Client(name, sync_sdk)
        case "AsyncStream":
            async with AsyncStream(**options) as async_sdk:
                yield Client(name, async_sdk)
        case "StreamChat":
            chat = StreamChat(**options)
            with chat.session:
                yield Client(name, chat)
        case "StreamChatAsync":
            async with StreamChatAsync(**options) as async_chat:
                yield Client(name, async_chat)


def clients_of(row: Row) -> tuple[Name, ...]:
    """The clients that have a row's operation."""
    getstream = GETSTREAM[:1] if row.only_sync else GETSTREAM
    return (getstream if row.getstream else ()) + (STREAM_CHAT if row.stream_chat else ())
