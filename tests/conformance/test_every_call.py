"""Every call of the table, with every client that has it: the sandbox answers as Stream does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

import aiohttp
import pytest
from getstream.exceptions import (
    StreamApiException,
    StreamRateLimitException,
    StreamTaskException,
    StreamTransportException,
)
from stream_chat.base.exceptions import StreamAPIException

from airflow_provider_streamtasks.sandbox import Sandbox
from tests.conformance.calls import GIVEN, TABLE, Row
from tests.conformance.clients import GETSTREAM, STREAM_CHAT, Client, Name, clients_of
from tests.conformance.conftest import Connect, Provide
from tests.conformance.shapes import assert_as_declared

ENVELOPE = {"code", "message", "StatusCode", "duration", "more_info", "details"}
ERROR = {"type": "quota", "description": "too much", "stacktrace": "a.go:1", "version": "v9"}


def cases(
    wanted: Callable[[Row], Any] = lambda row: True, names: Sequence[Name] = GETSTREAM + STREAM_CHAT
) -> pytest.MarkDecorator:
    """Each row that is wanted with each client that has it."""
    return pytest.mark.parametrize(
        ("row", "name"),
        [
            pytest.param(row, name, id=f"{row.label}-{name}")
            for row in TABLE
            for name in clients_of(row)
            if wanted(row) and name in names
        ],
    )


EVERY = cases()
STARTING = cases(lambda row: row.starts)

pytestmark = pytest.mark.asyncio(loop_scope="session")


def assert_shape(answer: Any) -> None:
    """The SDK's model, or where it has none the times of API v1, fit the body."""
    if answer.model is not None:
        assert_as_declared(answer.body, answer.model)
        return
    for key in ("created_at", "updated_at"):
        if key in answer.body:
            assert abs(datetime.fromisoformat(answer.body[key].replace("Z", "+00:00")) - now()).days == 0


def now() -> datetime:
    return datetime.now(timezone.utc)


def refusal(client: Client, error: pytest.ExceptionInfo[Exception]) -> tuple[int, int, str]:
    """HTTP status, Stream's code and message, as the SDK's exception tells them."""
    value = error.value
    if client.name in STREAM_CHAT:
        assert isinstance(value, StreamAPIException)
        return value.status_code, value.error_code, value.error_message
    assert isinstance(value, StreamApiException)
    # The SDK dies of a KeyError where one of them is missing.
    assert value.api_error is not None
    assert_as_declared(json_of(value), value.api_error, "error")
    assert json_of(value).keys() == ENVELOPE
    return value.status_code, value.code, value.message


def json_of(error: StreamApiException) -> Any:
    return json.loads(error.raw_response_body)


REFUSED = (StreamApiException, StreamAPIException)


@EVERY
async def test_is_answered_in_the_shape_that_the_sdk_declares(
    row: Row, client: Client, provide: Provide, sandbox: Sandbox
) -> None:
    answer = await client.row(row, provide(row.given))
    entry = sandbox.control.journal()[-1]
    assert (entry["operation"], entry["status"], entry["taken"]) == (row.operation, answer.status, True)
    assert answer.status == (201 if entry["method"] in ("POST", "PUT") else 200)
    assert entry["path"].startswith("/api/v2/") == (client.name in GETSTREAM)
    assert_shape(answer)
    assert isinstance(answer.body["duration"], str)
    if row.starts:
        assert answer.stream_task_id == entry["stream_task_id"]
    elif row.given != "task":
        assert "task_id" not in answer.body
    assert "x-ratelimit-remaining" in answer.headers


@STARTING
@pytest.mark.usefixtures("at_once")
async def test_starts_a_stream_task_that_completes(row: Row, client: Client) -> None:
    stream_task_id = (await client.row(row)).stream_task_id
    task = await client.get_task(stream_task_id)
    assert_shape(task)
    assert task.body["task_id"] == stream_task_id
    assert task.body["status"] == "completed"
    assert task.body["result"] == row.result
    assert "error" not in task.body
    if client.name in GETSTREAM:
        waited = await client.method("wait_for_task", task_id=stream_task_id)
        assert waited.data.status == "completed"


@cases(lambda row: row.file)
@pytest.mark.usefixtures("at_once")
async def test_leaves_a_file(row: Row, client: Client) -> None:
    task = await client.get_task((await client.row(row)).stream_task_id)
    async with aiohttp.request("GET", task.body["result"]["url"]) as response:
        assert row.file in await response.text()


@STARTING
async def test_starts_a_stream_task_that_fails(row: Row, client: Client, sandbox: Sandbox) -> None:
    sandbox.control.fate(pending=0, running=0, end="failed", error=ERROR)
    stream_task_id = (await client.row(row)).stream_task_id
    task = await client.get_task(stream_task_id)
    assert_shape(task)
    assert (task.body["status"], task.body["error"]) == ("failed", ERROR)
    assert "result" not in task.body
    if client.name in GETSTREAM:
        with pytest.raises(StreamTaskException) as caught:
            await client.method("wait_for_task", task_id=stream_task_id)
        error = caught.value
        assert (error.task_id, error.error_type, error.description) == (stream_task_id, "quota", "too much")
        assert (error.stack_trace, error.version) == ("a.go:1", "v9")


@cases(lambda row: row.starts, GETSTREAM)
async def test_starts_a_stream_task_that_outlasts_the_wait(
    row: Row, client: Client, sandbox: Sandbox
) -> None:
    sandbox.control.fate(end="never")
    stream_task_id = (await client.row(row)).stream_task_id
    with pytest.raises(StreamTransportException, match=f"waiting for task {stream_task_id}") as caught:
        await client.method("wait_for_task", task_id=stream_task_id, timeout=0)
    assert caught.value.error_type == "timeout"


@EVERY
@pytest.mark.parametrize(
    ("wrong", "code", "words"),
    [
        pytest.param({"api_key": "another"}, 2, "api_key not valid", id="key"),
        pytest.param(
            {"api_secret": "another secret, also of more than 32 bytes"},
            43,
            "signature is not valid",
            id="secret",
        ),
    ],
)
async def test_is_refused_to_strangers(
    row: Row, name: Name, wrong: dict[str, str], code: int, words: str, provide: Provide, connect: Connect
) -> None:
    client = await connect(name, **wrong)
    given = provide(row.given)
    with pytest.raises(REFUSED) as caught:
        await client.row(row, given)
    status, found, message = refusal(client, caught)
    assert (status, found) == (401, code)
    assert message.startswith(f"{row.operation} failed with error: ")
    assert words in message


@EVERY
async def test_may_be_called_too_often(row: Row, client: Client, provide: Provide, sandbox: Sandbox) -> None:
    given = provide(row.given)
    sandbox.control.budget(row.operation, limit=0)
    with pytest.raises(REFUSED, match="Too many requests") as caught:
        await client.row(row, given)
    assert refusal(client, caught)[:2] == (429, 9)
    if client.name in GETSTREAM:
        error = caught.value
        assert isinstance(error, StreamRateLimitException)
        assert error.retry_after is None
        assert (error.rate_limit_info.limit, error.rate_limit_info.remaining) == (0, 0)
        assert error.rate_limit_info.reset > now()


@cases(lambda row: row.most)
async def test_takes_so_many_items_and_no_more(row: Row, client: Client, sandbox: Sandbox) -> None:
    assert row.most is not None
    argument, most = row.most
    items = client.call_of(row).arguments[argument]
    await client.row(row, **{argument: items[:1] * most})
    assert len(sandbox.control.journal()[-1]["items"]) == most
    with pytest.raises(REFUSED, match="at most") as caught:
        await client.row(row, **{argument: items[:1] * (most + 1)})
    assert refusal(client, caught)[:2] == (400, 4)


@cases(lambda row: row.choice, GETSTREAM)
async def test_takes_only_the_words_it_knows(row: Row, client: Client, provide: Provide) -> None:
    with pytest.raises(REFUSED, match=f"{row.choice} must be one of") as caught:
        await client.row(row, provide(row.given), **{row.choice: "nonsense"})
    assert refusal(client, caught)[:2] == (400, 4)


@cases(lambda row: any(GIVEN in call.arguments.values() for call in (row.getstream, row.stream_chat) if call))
async def test_does_not_find_what_is_not_there(row: Row, client: Client) -> None:
    with pytest.raises(REFUSED) as caught:
        await client.row(row, "7586fa0d-dc8d-4f6f-be2d-f952d0e26167")
    expected = (400, 4) if row.given == "upload" else (404, 16)
    assert refusal(client, caught)[:2] == expected
