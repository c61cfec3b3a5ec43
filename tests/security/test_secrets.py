"""The secret, and the token that it signs, stand in no text that anybody reads."""

from __future__ import annotations

import asyncio
import json
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.sdk import Connection
from airflow.sdk._shared.secrets_masker import redact, reset_secrets_masker

from airflow_provider_streamtasks.exceptions import StreamConfigurationError, StreamException
from airflow_provider_streamtasks.hooks.connection import read_connection
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol.catalogue import DELETE_CHANNELS
from airflow_provider_streamtasks.protocol.credentials import Credentials
from airflow_provider_streamtasks.triggers.task import StreamTaskTrigger
from tests import json_values
from tests.conftest import Logs, SetConnection
from tests.every_operator import OPERATORS, make, name_of
from tests.fuzzing import fuzz
from tests.hooks.conftest import WaitFor
from tests.security.conftest import SECRET
from tests.security.hostile import HostileServer, Send, answer

TOKEN = Credentials("sandbox-key", SECRET).token()
PARTS = (SECRET, TOKEN, TOKEN.rpartition(".")[2])


def everything_about(error: BaseException) -> str:
    """Return all that a log, a debugger or an error tracker could show of an exception."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    fields = json.dumps(error.to_dict()) if isinstance(error, StreamException) else ""
    texts = [str(error), repr(error), repr(vars(error)), fields, *shown.format()]
    chain = [each for each in (error.__cause__, error.__context__) if each is not None]
    return "\n".join([*texts, repr(pickle.dumps(error)), *map(everything_about, chain)])


def check_nothing_shows(*texts: str) -> None:
    for text in texts:
        for part in PARTS:
            assert part not in text


def echo(head: bytes, send: Send) -> None:
    """Answer as an errant proxy does that is to help with debugging: with what it was sent."""
    received = head.decode("latin-1")
    body = {"code": 4, "message": received, "more_info": received, "details": [received], "echo": received}
    send(answer(json.dumps(body).encode(), status="400 Bad Request"))


def echo_as_text(head: bytes, send: Send) -> None:
    send(answer(head, status="502 Bad Gateway"))


def refuse(head: bytes, send: Send) -> None:
    send(
        answer(b'{"code": 43, "message": "JWTAuth error: signature is not valid"}', status="401 Unauthorized")
    )


def hang_up(head: bytes, send: Send) -> None:
    raise OSError


def nonsense(head: bytes, send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n")


WAYS = [echo, echo_as_text, refuse, hang_up, nonsense]


@pytest.mark.parametrize("respond", WAYS)
def test_an_exception_holds_no_secret(
    server: HostileServer, hook: StreamHook, wait_for: WaitFor, logs: Logs, respond: Callable[..., None]
) -> None:
    server.respond = respond
    with pytest.raises(StreamException) as raised:
        wait_for(hook, "a", timeout=0)
    assert TOKEN.encode() in server.heads[0]
    check_nothing_shows(everything_about(raised.value), logs.text)


@pytest.mark.parametrize("respond", WAYS)
def test_a_submission_that_fails_holds_no_secret(
    server: HostileServer, hook: StreamHook, logs: Logs, respond: Callable[..., None]
) -> None:
    server.respond = respond
    with pytest.raises(StreamException) as raised:
        hook.submit(DELETE_CHANNELS, ["messaging:a"], again_if=lambda error: False)
    check_nothing_shows(everything_about(raised.value), logs.text)


@pytest.mark.parametrize("respond", WAYS)
def test_the_button_test_shows_no_secret(
    server: HostileServer, hook: StreamHook, respond: Callable[..., None]
) -> None:
    server.respond = respond
    works, words = hook.test_connection()
    assert not works
    check_nothing_shows(words)


@pytest.mark.parametrize(
    "fields",
    [
        {"host": f"https://me:{SECRET}@chat.example"},
        {"host": f"https://chat.example?secret={SECRET}"},
        {"login": None},
        {"login": f"{SECRET} {SECRET}"},
        {"password": f"{SECRET}\n"},
        {"host": "http://chat.example"},
        {"host": "https://[::1"},
        {"extra": {"request_timeout": "soon"}},
    ],
)
def test_a_connection_that_cannot_be_used_shows_no_secret(
    set_connection: SetConnection, hook: StreamHook, fields: dict[str, Any]
) -> None:
    set_connection(**{"password": SECRET, **fields})
    with pytest.raises(StreamConfigurationError) as raised:
        hook.get_conn()
    check_nothing_shows(str(raised.value), repr(raised.value), json.dumps(raised.value.to_dict()))
    works, words = hook.test_connection()
    assert not works
    check_nothing_shows(words)


def test_nothing_that_holds_the_secret_shows_it(server: HostileServer, hook: StreamHook) -> None:
    hook.get_task("a")
    transport = hook.get_conn()
    check_nothing_shows(repr(hook), repr(transport), repr(transport.connection), str(vars(hook)))


def test_the_event_loops_transport_does_not_show_it_either(server: HostileServer) -> None:
    async def poll() -> str:
        hook = StreamHook()
        try:
            await hook.apoll("a")
            transport = await hook.aget_conn()
            return f"{hook!r} {transport!r} {transport.connection!r} {vars(hook)}"
        finally:
            await hook.aclose()

    check_nothing_shows(asyncio.run(poll()))


def test_both_are_masked_from_the_first_request_on(server: HostileServer, hook: StreamHook) -> None:
    reset_secrets_masker()
    hook.get_task("a")
    check_nothing_shows(str(redact(f"{SECRET} {TOKEN}")))


def test_a_trigger_in_the_metadata_database_has_none(server: HostileServer) -> None:
    trigger = StreamTaskTrigger(
        "stream_default", ["a"], 0.0, timeout=60.0, poll_interval=1.0, max_poll_interval=30.0
    )
    check_nothing_shows(json.dumps(trigger.serialize(), default=str))


@pytest.mark.parametrize("operator", OPERATORS, ids=name_of)
def test_no_template_and_no_extra_link_of_an_operator_gives_a_secret(
    server: HostileServer, operator: type[Any]
) -> None:
    made = make(operator)
    made.hook.get_conn()
    fields = {name: getattr(made, name) for name in made.template_fields}
    check_nothing_shows(json.dumps(fields, default=str), repr(made), str(vars(made)))
    assert list(made.operator_extra_links) == []


@pytest.fixture
def masks_forgotten() -> Iterator[None]:
    """Let Airflow forget what a test has it mask: plain words, which the logs of other tests hold, too."""
    yield
    reset_secrets_masker()


@pytest.mark.usefixtures("masks_forgotten")
@fuzz(
    json_values.rolled(
        lambda dice: {
            "login": dice.of(("key", None, "", dice.text())),
            "password": SECRET + dice.of(("", dice.text())),
            "host": dice.of(("", None, "https://chat.example", dice.text(), f"http://{dice.text()}")),
            "port": dice.of((None, 0, 443, 70_000)),
            "extra": json.dumps(dice.of(({}, dice.value(), {"request_timeout": dice.value()}))),
        }
    )
)
def test_whatever_a_connection_says_it_is_used_or_refused_without_a_word_of_the_secret(
    fields: dict[str, Any],
) -> None:
    problem = ""
    try:
        connection = read_connection(Connection(conn_id="mine", conn_type="stream", **fields))
        assert connection.credentials.base_url.startswith(("https://", "http://"))
        assert connection.credentials.base_url.isprintable()
        assert 0 < connection.request_timeout <= 3600
        assert 0 < connection.rate_limit_share <= 1
    except StreamConfigurationError as error:
        problem = str(error)
        assert problem.startswith("Connection 'mine': ")
    check_nothing_shows(problem)
