"""The token goes to the host of the Airflow connection, over TLS or not at all, and nowhere else."""

from __future__ import annotations

from io import BytesIO

import pytest

from airflow_provider_streamtasks.exceptions import (
    StreamApiException,
    StreamConfigurationError,
    StreamException,
)
from airflow_provider_streamtasks.hooks.signed_urls import download, upload
from airflow_provider_streamtasks.hooks.stream import StreamHook
from tests.conftest import SetConnection
from tests.hooks.conftest import WaitFor
from tests.security.conftest import SECRET
from tests.security.hostile import HostileServer, answer

CLEAR = {
    "a name that begins like loopback": "http://127.0.0.1.evil.example",
    "a name that begins like localhost": "http://localhost.evil.example",
    "localhost as a user": "http://localhost@evil.example",
    "loopback as user and password": "http://127.0.0.1:80@evil.example",
    "a backslash before the at": "http://127.0.0.1\\@evil.example",
    "an encoded at": "http://localhost%40evil.example",
    "an encoded dot": "http://localhost%2eevil.example",
    "a NUL in the name": "http://localhost\x00.evil.example",
    "a line break in the name": "http://localhost\r\n.evil.example",
    "a tab in the name": "http://local\thost.evil.example",
    "a blank in the name": "http://localhost .evil.example",
    "an address of IPv4 in IPv6": "http://[::ffff:93.184.216.34]",
    "the same in hexadecimal": "http://[::ffff:5db8:d822]",
    "an address of any host": "http://[::]",
    "a short address": "http://0x7f.1",
    "a hexadecimal address": "http://0x7f000001",
    "a decimal address": "http://2130706433",
    "an octal address": "http://0177.0.0.1",
    "an address that is not there yet": "http://0",
    "a private address": "http://192.168.1.1",
    "the metadata of a cloud": "http://169.254.169.254/latest",
    "a name with a dot at its end": "http://localhost.",
    "letters that look like others": "http://lоcalhost",  # a Cyrillic o
    "a full stop of the East": "http://127。0。0。1.evil.example",
    "another scheme": "ftp://localhost",
    "a socket": "http+unix://localhost",
    "no host": "http:///localhost",
}


@pytest.mark.parametrize("host", CLEAR.values(), ids=CLEAR)
def test_no_plain_http_but_to_loopback(set_connection: SetConnection, hook: StreamHook, host: str) -> None:
    set_connection(host=host, password=SECRET)
    with pytest.raises(StreamConfigurationError, match="base URL") as raised:
        hook.get_conn()
    works, words = hook.test_connection()
    assert not works
    assert SECRET not in f"{raised.value} {words}"


ODD = {
    "a line break": "https://chat.example\r\nX-Evil: 1",
    "a line break at the end": "https://chat.example\n",
    "a tab": "https://chat\t.example",
    "a blank": "https://chat.example evil.example",
    "a NUL": "https://chat.example\x00",
    "a header in the path": "https://chat.example/a\r\nX-Evil: 1",
    "an empty user": "https://@chat.example",
    "a bell": "https://chat.example\x07",
}


@pytest.mark.parametrize("host", ODD.values(), ids=ODD)
def test_a_host_is_taken_as_it_is_written_or_not_at_all(
    set_connection: SetConnection, hook: StreamHook, host: str
) -> None:
    set_connection(host=host)
    with pytest.raises(StreamConfigurationError, match="base URL"):
        hook.get_conn()


@pytest.mark.parametrize("field", ["login", "password"])
@pytest.mark.parametrize("tail", ["\r\nX-Evil: 1", "\n", "\r", "\x00", "\t", "\x7f", "é", "\u2028"])
def test_key_and_secret_add_no_header(
    server: HostileServer, set_connection: SetConnection, hook: StreamHook, field: str, tail: str
) -> None:
    set_connection(host=server.url, **{field: f"a{SECRET}{tail}"})
    with pytest.raises(StreamConfigurationError, match="has a space or another character") as raised:
        hook.get_task("a")
    assert server.connections == 0
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]
)
def test_a_redirect_takes_the_token_nowhere(
    server: HostileServer, elsewhere: HostileServer, hook: StreamHook, wait_for: WaitFor, status: str
) -> None:
    server.answers(answer(b"{}", f"Location: {elsewhere.url}/api/v2/tasks/a", status=status))
    with pytest.raises(StreamApiException, match="a redirect"):
        wait_for(hook, "a", timeout=5)
    assert len(server.heads) == 1
    assert elsewhere.connections == 0


@pytest.mark.parametrize(
    "header", ["Refresh: 0; url={}", "Link: <{}>; rel=next", "Alt-Svc: h2={}", "Content-Location: {}"]
)
def test_no_other_header_leads_away(
    server: HostileServer, elsewhere: HostileServer, hook: StreamHook, wait_for: WaitFor, header: str
) -> None:
    body = b'{"task_id": "a", "status": "completed"}'
    server.answers(answer(body, header.format(elsewhere.url)))
    (task,) = wait_for(hook, "a", timeout=5)
    assert task.completed
    assert elsewhere.connections == 0


def test_a_cookie_is_not_sent_back(server: HostileServer, hook: StreamHook, wait_for: WaitFor) -> None:
    server.answers(answer(b'{"status": "completed"}', "Set-Cookie: a=b"))
    wait_for(hook, "a", timeout=5)
    wait_for(hook, "b", timeout=5)
    assert len(server.heads) == 2
    assert not any(b"cookie" in head.lower() for head in server.heads)


def test_a_storage_host_that_leads_elsewhere_is_not_followed(
    server: HostileServer, elsewhere: HostileServer
) -> None:
    server.answers(answer(b"", f"Location: {elsewhere.url}/file", status="302 Found"))
    with pytest.raises(StreamApiException, match="leads elsewhere"):
        download(f"{server.url}/file?Signature=s")
    assert elsewhere.connections == 0


@pytest.mark.parametrize(
    "url", [*(url for url in CLEAR.values() if url.startswith("http:")), "https://storage.example\\files"]
)
def test_a_storage_host_without_tls_gets_nothing(url: str) -> None:
    for transfer in (
        lambda: download(f"{url}/f?Signature=s"),
        lambda: upload(f"{url}/f?Signature=s", BytesIO(), 0),
    ):
        with pytest.raises(
            StreamException, match=r"^Stream gave an? (up|down)load URL that is not https://, or has a"
        ):
            transfer()
