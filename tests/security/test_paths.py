"""Nothing that stands in an id leads to another endpoint, or adds to the request."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

import pytest

from airflow_provider_streamtasks.exceptions import StreamException
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol import data_import
from airflow_provider_streamtasks.protocol.catalogue import CATALOGUE
from airflow_provider_streamtasks.protocol.operations import Operation
from tests.hooks.conftest import WaitFor
from tests.security.hostile import HostileServer, answer

IDS = {
    "a step up": "../users/delete",
    "two steps up": "a/../../users/delete",
    "an encoded step up": "%2e%2e%2fusers%2fdelete",
    "a step up of Windows": "..\\users\\delete",
    "a query": "a?hard_delete=true",
    "a fragment": "a#b",
    "another host": "//evil.example/x",
    "a whole URL": "http://evil.example/x",
    "parameters": "a;b=c",
    "a header": "a\r\nX-Evil: 1",
    "a second request": "a HTTP/1.1\r\nHost: x\r\n\r\nDELETE /api/v2/users HTTP/1.1\r\n\r\n",
    "a NUL": "a\x00b",
    "blanks": " a b\t",
    "letters of the world": "tâche-任务-😀",
    "a text that turns round": "\u202eetad",
    "another slash": "a\uff0fb\u2215c",
    "braces": "{stream_task_id}{0}",
    "a quote": "a\"'<b>",
}
HEADERS = {b"host", b"authorization", b"stream-auth-type", b"x-stream-client", b"accept", b"accept-encoding"}
HEADERS_OF_LIBRARIES = {b"user-agent", b"connection", b"content-length", b"content-type"}


def one_request(server: HostileServer) -> tuple[bytes, bytes, dict[bytes, bytes]]:
    """Return method, target and headers of the only request, after a look at their form."""
    (head,) = server.heads
    assert server.connections == 1
    first, *lines = head.split(b"\r\n")
    found = re.fullmatch(rb"([A-Z]+) (/[!-~]*) HTTP/1\.1", first)
    assert found, first
    headers = {name.lower(): value for name, value in (line.split(b": ", 1) for line in lines)}
    assert set(headers) - HEADERS_OF_LIBRARIES == HEADERS
    return found[1], found[2], headers


def check_target(target: bytes, prefix: str, value: str, suffix: str = "", query: str = "") -> None:
    """Check that a value stands in its segment, and comes back from it."""
    path, _, asked = target.decode().partition("?")
    assert asked == f"api_key=sandbox-key{query}"
    assert path.startswith(prefix)
    assert path.endswith(suffix)
    segment = path[len(prefix) : len(path) - len(suffix)]
    assert "/" not in segment
    assert segment not in ("", ".", "..")
    assert unquote(segment, errors="strict") == value


@pytest.mark.parametrize("task_id", IDS.values(), ids=IDS)
def test_the_id_of_a_stream_task(
    server: HostileServer, hook: StreamHook, wait_for: WaitFor, task_id: str
) -> None:
    wait_for(hook, task_id, timeout=5)
    method, target, _ = one_request(server)
    assert method == b"GET"
    check_target(target, "/api/v2/tasks/", task_id)


PLACES = [
    (row, name)
    for row in CATALOGUE.values()
    for name in row.parameters
    if name not in ("call_type", "feed_group_id")
]


@pytest.mark.parametrize(("row", "name"), PLACES, ids=lambda each: getattr(each, "label", each))
@pytest.mark.parametrize("value", [text for text in IDS.values() if len(text) <= 64])
def test_a_parameter_of_an_operation(
    server: HostileServer, hook: StreamHook, row: Operation, name: str, value: str
) -> None:
    server.answers(answer(b'{"task_id": "a"}', status="201 Created"))
    parameters: dict[str, Any] = {**dict.fromkeys(row.parameters, "x"), name: value}
    try:
        hook.submit(row, ["item"] if row.items else [], **parameters)
    except ValueError as error:
        assert "without blanks, quotes, brackets, braces or commas" in str(error)  # noqa: PT017
        assert server.heads == []
        return
    method, target, _ = one_request(server)
    prefix, suffix = row.path.replace("{call_type}", "x").replace("{feed_group_id}", "x").split(f"{{{name}}}")
    assert method.decode() == row.method
    check_target(target, prefix, value, suffix)


@pytest.mark.parametrize("value", IDS.values(), ids=IDS)
def test_the_id_of_an_import(server: HostileServer, hook: StreamHook, value: str) -> None:
    hook.call(data_import.cancel_import(value))
    _, target, _ = one_request(server)
    check_target(target, "/api/v2/imports/v2/", value, "/cancel")


@pytest.mark.parametrize("name", [text for text in IDS.values() if "\x00" not in text])
def test_the_name_of_a_budget(server: HostileServer, hook: StreamHook, name: str) -> None:
    server.answers(answer(b"{}"))
    hook.get_budget(name)
    _, target, _ = one_request(server)
    path, _, query = target.decode().partition("?")
    assert path == "/api/v2/rate_limits"
    assert query.startswith("api_key=sandbox-key&server_side=true&endpoints=")
    assert query.count("&") == 2


@pytest.mark.parametrize("task_id", ["", ".", "..", "\ud800"])
def test_what_no_encoding_keeps_in_its_place_is_not_sent(
    server: HostileServer, hook: StreamHook, task_id: str
) -> None:
    with pytest.raises(ValueError, match=r"^task_id is "):
        hook.get_task(task_id)
    assert server.connections == 0


def test_a_very_long_id_is_the_servers_to_refuse(
    server: HostileServer, hook: StreamHook, wait_for: WaitFor
) -> None:
    server.answers(answer(b"<html>too long</html>", status="414 URI Too Long"))
    with pytest.raises(StreamException, match="not Stream's JSON"):
        wait_for(hook, "x" * 1_000_000, timeout=5)
    method, target, _ = one_request(server)
    assert (method, len(target)) == (b"GET", len("/api/v2/tasks/") + 1_000_000 + len("?api_key=sandbox-key"))


def test_a_page_of_users_keeps_the_filter_in_its_parameter(server: HostileServer, hook: StreamHook) -> None:
    server.answers(answer(b'{"users": []}'))
    conditions: dict[str, Any] = {"name": "a&presence=true#\r\nX-Evil: 1"}
    assert list(hook.iter_users(conditions)) == []
    _, target, _ = one_request(server)
    assert target.startswith(b"/api/v2/users?api_key=sandbox-key&payload=%7B")
    assert target.count(b"&") == 1
