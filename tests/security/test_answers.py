"""No answer, however long, packed or patient, takes more of us than we give."""

from __future__ import annotations

import gzip
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from functools import cache

import pytest

from airflow_provider_streamtasks.exceptions import (
    StreamApiException,
    StreamException,
    StreamRateLimitException,
    StreamTaskTimeout,
    StreamTransportException,
)
from airflow_provider_streamtasks.hooks.client import ATTEMPTS
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol import poll_plan
from airflow_provider_streamtasks.protocol.catalogue import DELETE_CHANNELS
from airflow_provider_streamtasks.protocol.errors import MAX_PAUSE
from airflow_provider_streamtasks.protocol.wire import MAX_BODY
from tests.conftest import Logs
from tests.hooks.conftest import WaitFor
from tests.security.hostile import HostileServer, Send, answer

MEBIBYTE = 2**20
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def with_a_length(send: Send) -> None:
    send(HEAD + b"Content-Length: 5368709120\r\n\r\n")
    while True:
        send(b" " * MEBIBYTE)


def in_chunks(send: Send) -> None:
    send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        send(b"100000\r\n" + b" " * MEBIBYTE + b"\r\n")


def until_the_end(send: Send) -> None:
    send(HEAD + b"\r\n")
    while True:
        send(b" " * MEBIBYTE)


@pytest.fixture
def memory() -> Iterator[Callable[[], float]]:
    """MiB that were in use at the most since the test began."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1] / MEBIBYTE
    tracemalloc.stop()


@pytest.mark.parametrize("flood", [with_a_length, in_chunks, until_the_end])
def test_a_body_of_gibibytes_is_left_after_eight_mebibytes(
    server: HostileServer,
    hook: StreamHook,
    wait_for: WaitFor,
    logs: Logs,
    memory: Callable[[], float],
    flood: Callable[[Send], None],
) -> None:
    server.respond = lambda head, send: flood(send)
    with pytest.raises(StreamTaskTimeout):
        wait_for(hook, "a", timeout=0)
    assert "longer than 8 MiB and was not read" in logs.text
    # What is on its way in the buffers of the system is sent, but read by nobody.
    assert server.sent < 4 * MAX_BODY
    assert memory() < 4 * MAX_BODY / MEBIBYTE


BOMB = b'{"status": "completed", "result": "' + b"0" * (64 * MEBIBYTE)


@cache
def gzipped() -> bytes:
    return gzip.compress(BOMB)


@cache
def deflated() -> bytes:
    return zlib.compress(BOMB)


@pytest.mark.parametrize(
    ("encoding", "bomb"),
    [("gzip", gzipped), ("x-gzip", gzipped), ("deflate", deflated), ("gzip, gzip", gzipped)],
)
def test_a_bomb_is_not_unpacked(
    server: HostileServer,
    hook: StreamHook,
    wait_for: WaitFor,
    logs: Logs,
    encoding: str,
    bomb: Callable[[], bytes],
) -> None:
    server.answers(answer(bomb(), f"Content-Encoding: {encoding}"))
    tracemalloc.start()
    try:
        with pytest.raises(StreamTaskTimeout):
            wait_for(hook, "a", timeout=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "the answer is not Stream's JSON" in logs.text
    assert peak < 16 * MEBIBYTE


@pytest.mark.parametrize(
    "nested", [b"[" * 3_000_000, b'{"a":' * 1_000_000, b'{"result": ' + b"[" * 500 + b"]" * 500 + b"}"]
)
def test_an_answer_that_nests_without_end_is_no_answer(
    server: HostileServer, hook: StreamHook, wait_for: WaitFor, logs: Logs, nested: bytes
) -> None:
    server.answers(answer(nested))
    with pytest.raises(StreamTaskTimeout):
        wait_for(hook, "a", timeout=0)
    assert "the answer is not Stream's JSON" in logs.text


@pytest.mark.parametrize(
    "head",
    [
        b"X-A: " + b"a" * MEBIBYTE + b"\r\n",
        b"".join(b"X-%d: a\r\n" % number for number in range(20_000)),
    ],
    ids=["one long header", "many headers"],
)
def test_headers_without_end_are_a_broken_transfer(
    server: HostileServer, hook: StreamHook, wait_for: WaitFor, logs: Logs, head: bytes
) -> None:
    server.answers(HEAD + head + b"Content-Length: 2\r\n\r\n{}")
    with pytest.raises(StreamTaskTimeout):
        wait_for(hook, "a", timeout=0)
    assert "GetTask: " in logs.text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 100,
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 999 \r\n\r\n",
        b"HTTP/1.1 20 x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1e9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n{}",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 \u00fc\r\nX-\u00fc: \u00fc\r\nContent-Length: 2\r\n\r\n{}".encode("latin-1"),
    ],
)
def test_what_is_no_http_is_an_exception_of_ours(
    server: HostileServer, hook: StreamHook, wait_for: WaitFor, logs: Logs, content: bytes
) -> None:
    server.answers(content)
    with pytest.raises(StreamException) as raised:
        wait_for(hook, "a", timeout=0)
    assert isinstance(raised.value, StreamTransportException | StreamApiException)


# -- pauses ------------------------------------------------------------------------------------------------

CENTURY = ["3155760000", "9" * 300, "Fri, 01 Jan 2126 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"]


@pytest.mark.parametrize("retry_after", CENTURY)
def test_the_deadline_of_a_wait_stands(
    server: HostileServer,
    hook: StreamHook,
    wait_for: WaitFor,
    retry_after: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(poll_plan, "LAST_POLL", 0.2)
    server.answers(answer(b'{"code": 9}', f"Retry-After: {retry_after}", status="429 Too Many Requests"))
    started = time.monotonic()
    with pytest.raises(StreamTaskTimeout):
        wait_for(hook, "a", timeout=0.3)
    # A quarter of an hour, which is the most, would be obvious.
    assert time.monotonic() - started < MAX_PAUSE / 10
    # At once, and not at the deadline: nothing is spent of a budget that is spent.
    assert len(server.heads) == 1


@pytest.mark.parametrize("retry_after", CENTURY)
def test_a_submission_pauses_for_a_quarter_of_an_hour_at_most(
    server: HostileServer, hook: StreamHook, pauses: list[float], retry_after: str
) -> None:
    server.answers(answer(b'{"code": 9}', f"Retry-After: {retry_after}", status="429 Too Many Requests"))
    with pytest.raises(StreamRateLimitException):
        hook.submit(DELETE_CHANNELS, ["messaging:a"])
    assert len(pauses) == ATTEMPTS - 1
    assert all(MAX_PAUSE <= pause <= MAX_PAUSE + 15 for pause in pauses)


@pytest.mark.parametrize("reset", ["99999999999", "-1", "nan", "9" * 300])
def test_a_budget_that_is_never_filled_again_is_waited_for_a_minute(
    server: HostileServer, hook: StreamHook, pauses: list[float], reset: str
) -> None:
    limits = ["x-ratelimit-limit: 10", "x-ratelimit-remaining: 0", f"x-ratelimit-reset: {reset}"]
    page = b'{"users": [%s]}' % b", ".join(b'{"id": "%d"}' % number for number in range(100))
    server.respond = lambda head, send: send(answer(b'{"users": []}' if b"id_gte" in head else page, *limits))
    assert len(list(hook.iter_users())) == 100
    # Shorter pauses are those between two attempts.
    assert [pause for pause in pauses if pause > 15] in ([], [60.0])
