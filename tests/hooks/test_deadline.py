"""One deadline for the whole request, however the answer comes in; and what came whole counts."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from airflow_provider_streamtasks.exceptions import StreamTransportException
from airflow_provider_streamtasks.hooks.deadline import Deadline, DeadlineAdapter, _limit
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol.tasks import STREAM_TASKS
from airflow_provider_streamtasks.protocol.wire import Response
from tests.conftest import SetConnection
from tests.servers import dripping, forwarding, full, self_signed

LIMIT = 1
LATEST = 3.0
"""Seconds after which a request must be over; without its deadline it takes ten and more."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY = b'{"status": "completed"}'
ANSWER = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
REQUEST = STREAM_TASKS.request("a")

Send = Callable[[], Response]


def drops(text: bytes) -> list[bytes]:
    return [text[i : i + 1] for i in range(len(text))]


HEADERS = drops(HEAD + b"X-Long: " + b"x" * 500)
LENGTH = [HEAD + b"Content-Length: 500\r\n\r\n", *drops(b" " * 500)]
CHUNKED = [HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\n \r\n"] * 500]
CONTINUE = [b"HTTP/1.1 100 Continue\r\n\r\n"] * 500


def _over_requests() -> Response:
    hook = StreamHook()
    try:
        return hook.get_conn().send(REQUEST)
    finally:
        hook.close()


def _over_aiohttp() -> Response:
    async def send() -> Response:
        hook = StreamHook()
        try:
            return await (await hook.aget_conn()).send(REQUEST)
        finally:
            await hook.aclose()

    return asyncio.run(send())


@pytest.fixture(params=[_over_requests, _over_aiohttp], ids=["requests", "aiohttp"])
def send(request: pytest.FixtureRequest) -> Send:
    """Sends one request, over requests or over aiohttp."""
    sender: Send = request.param
    return sender


@pytest.fixture(autouse=True)
def import_first() -> None:
    """Importing the libraries takes longer than the requests here may."""
    import airflow_provider_streamtasks.hooks.aiohttp_transport  # noqa: F401


@pytest.fixture(params=[False, True], ids=["http", "https"])
def certificate(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path | None:
    """A certificate that is trusted, for a server that speaks TLS."""
    if not request.param:
        return None
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    return certificate


def failure(send: Send) -> StreamTransportException:
    """Return what is raised by a request, which must be over in time."""
    began = time.monotonic()
    with pytest.raises(StreamTransportException) as caught:
        send()
    assert time.monotonic() - began < LATEST
    return caught.value


def slow(set_connection: SetConnection, url: str) -> None:
    set_connection(host=url, extra={"request_timeout": LIMIT})


# -- one deadline ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pieces",
    [HEADERS, LENGTH, CHUNKED, CONTINUE],
    ids=["headers", "body", "chunks", "100 Continue"],
)
def test_what_comes_in_drops_is_over_in_time(
    set_connection: SetConnection, send: Send, certificate: Path | None, pieces: list[bytes]
) -> None:
    with dripping(pieces, pause=0.02, certificate=certificate) as (url, _):
        slow(set_connection, url)
        error = failure(send)
    assert f"{url} did not answer within {LIMIT} s" in error.message
    assert (error.error_type, error.request_sent) == ("timeout", True)


def test_drops_that_come_faster_than_they_are_read_do_not_extend_it(
    set_connection: SetConnection, send: Send
) -> None:
    with dripping([HEAD, *[b"X: x\r\n"] * 50, *[b"X-Long: "], *[b"x" * 100] * 50_000], pause=0.0002) as (
        url,
        _,
    ):
        slow(set_connection, url)
        began = time.monotonic()
        with pytest.raises(StreamTransportException):
            send()
        assert time.monotonic() - began < LIMIT + 2.5


def test_the_headers_of_a_proxy_are_no_exception(
    set_connection: SetConnection, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dripping(HEADERS, pause=0.02) as (proxy, _):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        slow(set_connection, "http://127.0.0.1:9")
        assert failure(send).error_type == "timeout"


def test_a_pooled_connection_has_the_whole_time_again(set_connection: SetConnection) -> None:
    with dripping([ANSWER], pause=0.3) as (url, asked):
        slow(set_connection, url)
        hook = StreamHook()
        for _ in range(3):
            assert hook.get_conn().send(REQUEST).body == BODY
        hook.close()
    assert len(asked) == 3


# -- what was never sent is not in doubt -------------------------------------------------------------------


def test_a_host_that_lets_nobody_in_has_not_got_the_request(
    set_connection: SetConnection, send: Send
) -> None:
    with full() as port:
        slow(set_connection, f"http://127.0.0.1:{port}")
        error = failure(send)
    assert f"no connection to http://127.0.0.1:{port} within 0.9 s. A firewall" in error.message
    assert (error.error_type, error.request_sent) == ("timeout", False)


def test_a_handshake_that_nobody_answers_is_no_connection(set_connection: SetConnection, send: Send) -> None:
    with dripping([], pause=0) as (url, _):
        slow(set_connection, url.replace("http:", "https:"))
        error = failure(send)
    assert "no connection to https://localhost" in error.message
    assert (error.error_type, error.request_sent) == ("timeout", False)


def test_a_proxy_that_drips_while_it_opens_the_way_has_not_got_the_request(
    set_connection: SetConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dripping(HEADERS, pause=0.02) as (proxy, asked):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        slow(set_connection, "https://stream.invalid")
        error = failure(_over_requests)
    assert asked[0].startswith(b"CONNECT stream.invalid:443")
    assert error.request_sent is False


@pytest.fixture
def addresses() -> list[str]:
    """The addresses of ``localhost``, mostly two."""
    return [str(found[4][0]) for found in socket.getaddrinfo("localhost", 1, type=socket.SOCK_STREAM)]


def test_each_address_of_a_host_gets_its_part_of_the_time(
    set_connection: SetConnection, send: Send, addresses: list[str]
) -> None:
    with ExitStack() as stack:
        port = 0
        for address in addresses:
            port = stack.enter_context(full(address, port))
        slow(set_connection, f"http://localhost:{port}")
        assert failure(send).request_sent is False


def test_an_address_that_lets_nobody_in_leaves_time_for_the_others(
    set_connection: SetConnection, addresses: list[str]
) -> None:
    with dripping([ANSWER], pause=0) as (url, _), ExitStack() as stack:
        port = int(url.rpartition(":")[2])
        for address in addresses:
            if address != "127.0.0.1":
                stack.enter_context(full(address, port))
        slow(set_connection, url)
        assert _over_requests().body == BODY


# -- what came whole counts --------------------------------------------------------------------------------


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.mount("http://", DeadlineAdapter())
        session.mount("https://", DeadlineAdapter())
        yield session


@pytest.mark.parametrize("pieces", [[ANSWER], [ANSWER[:-1], ANSWER[-1:]]])
def test_a_body_that_came_whole_counts_though_it_is_read_late(
    session: requests.Session, certificate: Path | None, pieces: list[bytes]
) -> None:
    with dripping(pieces, pause=0.01, certificate=certificate) as (url, _):
        session.verify = str(certificate)
        with Deadline(0.3, 0.3), session.get(url, stream=True) as answer:
            time.sleep(0.5)  # the process gets no time, for instance
            assert answer.raw.read() == BODY


def test_a_body_of_which_something_is_missing_does_not(session: requests.Session) -> None:
    with (
        dripping([ANSWER[:-1], b"", b"", ANSWER[-1:]], pause=0.4) as (url, _),
        Deadline(0.6, 0.6),
        session.get(url, stream=True) as answer,
    ):
        time.sleep(0.3)
        with pytest.raises(Exception, match="timed out"):
            answer.raw.read()


async def test_an_answer_counts_though_the_event_loop_was_busy_when_it_came(
    set_connection: SetConnection,
) -> None:
    with dripping([ANSWER], pause=0.2) as (url, _):
        slow(set_connection, url)
        hook = StreamHook()
        transport = await hook.aget_conn()
        asyncio.get_running_loop().call_later(0.1, time.sleep, LIMIT + 0.2)
        assert (await transport.send(REQUEST)).body == BODY
        await hook.aclose()


async def test_an_answer_that_had_not_come_by_then_does_not_count(set_connection: SetConnection) -> None:
    with dripping([ANSWER[:-1], ANSWER[-1:]], pause=0.8) as (url, _):
        slow(set_connection, url)
        hook = StreamHook()
        transport = await hook.aget_conn()
        with pytest.raises(StreamTransportException, match="did not answer within"):
            await transport.send(REQUEST)
        await hook.aclose()


def test_a_proxy_that_works_still_does(
    set_connection: SetConnection, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dripping([ANSWER], pause=0) as (url, _), forwarding() as (proxy, asked):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        slow(set_connection, url)
        assert send().body == BODY
    assert len(asked) == 1


def test_a_connection_that_goes_its_own_way_is_not_led_past_it() -> None:
    # As those through a SOCKS proxy do.
    class Connection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            timeouts.append(self.timeout)
            return socket.create_connection(way, self.timeout)

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    timeouts: list[Any] = []
    with dripping([ANSWER], pause=0) as (url, asked):
        way = ("127.0.0.1", int(url.rpartition(":")[2]))
        adapter = DeadlineAdapter()
        adapter.poolmanager.pool_classes_by_scheme = {"http": Pool}
        _limit(adapter.poolmanager)
        with requests.Session() as session, (deadline := Deadline(2.0, 1.0)):
            session.mount("http://", adapter)
            assert session.get("http://elsewhere.invalid/").content == BODY
    assert deadline.request_sent
    assert len(asked) == 1
    assert 0.5 < timeouts[0] <= 1.0
