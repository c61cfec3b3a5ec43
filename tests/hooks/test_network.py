"""The way to Stream: names, certificates, proxies, and what stands in it."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_streamtasks.exceptions import (
    StreamApiException,
    StreamConfigurationError,
    StreamException,
    StreamTaskTimeout,
    StreamTransportException,
)
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol.tasks import STREAM_TASKS
from airflow_provider_streamtasks.sandbox import Sandbox, SandboxControl
from tests.conftest import Logs, SetConnection, StartTask
from tests.hooks.conftest import WaitFor
from tests.servers import answering, dripping, folder_of_authorities, forwarding, self_signed

BUDGETS = b'{"server_side": {}, "status": "completed"}'


def why_not(hook: StreamHook) -> str:
    """Return what "Test connection" says of a connection that does not work."""
    works, words = hook.test_connection()
    assert not works
    return words


def what_passes(wait_for: WaitFor, hook: StreamHook, logs: Logs) -> str:
    """Return what is logged of an error that a wait waits out until its end."""
    with pytest.raises(StreamTaskTimeout):
        wait_for(hook, "a", timeout=0.1)
    return logs.text


# -- Test connection ---------------------------------------------------------------------------------------


def test_a_connection_that_works_takes_one_authenticated_call(
    connection: None, control: SandboxControl, hook: StreamHook
) -> None:
    assert hook.test_connection() == (True, "Stream accepted the key and the secret.")
    (request,) = control.journal()
    assert (request["operation"], request["authorization"]) == ("GetRateLimits", "valid")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"login": "another-key"}, "Check the API key: the login of the Airflow connection"),
        ({"password": "x" * 40}, "Check the API secret: the password of the Airflow connection"),
        ({"login": None}, "Connection 'stream_default': The connection has no API key (login)"),
        ({"password": None}, "Connection 'stream_default': The connection has no API secret (password)"),
        (
            {"host": "http://127.0.0.1:9"},
            "http://127.0.0.1:9 refused the connection: nothing listens at this host and port",
        ),
        (
            {"host": "https://stream.invalid"},
            "the host of https://stream.invalid has no address: check the base URL",
        ),
        ({"host": "http://stream.invalid"}, "must begin with https://"),
        ({"host": "https://me:pw@stream.invalid"}, "must be scheme, host"),
        ({"host": "http://127.0.0.1:9/api/v2"}, "has a path, '/api/v2': leave it out"),
        ({"extra": {"request_timeout": -1}}, "request_timeout is -1: a number above 0"),
        ({"extra": "{"}, "extra cannot be read: it is not JSON"),
        (
            {"port": "https"},
            "cannot read the connection 'stream_default' in the environment variable AIRFLOW_",
        ),
    ],
)
def test_what_is_wrong_with_a_connection_is_reported_in_words(
    set_connection: SetConnection, hook: StreamHook, fields: dict[str, Any], words: str
) -> None:
    set_connection(**fields)
    assert words in why_not(hook)


@pytest.mark.parametrize("value", [None, "{", '{"hots": "x"}', "stream://key:s3cret@host:port"])
def test_a_connection_that_airflow_does_not_hand_out_is_reported_everywhere(
    hook: StreamHook, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    said = (
        "Airflow has no connection 'stream_default'"
        if value is None
        else "in the environment variable AIRFLOW_"
    )
    if value is not None:
        monkeypatch.setenv("AIRFLOW_CONN_STREAM_DEFAULT", value)
    assert said in why_not(hook)
    with pytest.raises(StreamConfigurationError, match=said):
        wait_for(hook, "a", timeout=0.1)


def test_a_slip_in_the_extra_is_reported_though_the_connection_works(
    set_connection: SetConnection, hook: StreamHook, wait_for: WaitFor, logs: Logs, start_task: StartTask
) -> None:
    task_id = start_task()
    set_connection(extra={"request_timeot": 5})
    said = "the extra 'request_timeot' is unknown and has no effect. Is request_timeout meant?"
    works, words = hook.test_connection()
    assert works
    assert words.endswith(said)
    hook.close()
    wait_for(hook, task_id)
    assert said in logs.text


def test_a_slip_in_the_extra_is_reported_where_something_else_is_wrong(
    set_connection: SetConnection, hook: StreamHook
) -> None:
    set_connection(extra={"request_timeot": 5}, password="x" * 40)
    words = why_not(hook)
    assert "Check the API secret: the password of the Airflow connection. Connection" in words
    assert "request_timeot" in words


@pytest.mark.parametrize(("status", "body"), [(404, b"{}"), (404, b"not found"), (200, b"<html>")])
async def test_a_path_in_the_base_url_is_suspected_where_the_answer_is_not_streams(
    set_connection: SetConnection, hook: StreamHook, status: int, body: bytes
) -> None:
    said = "has the path '/stream': leave it out, unless a gateway of yours needs it"
    with answering(body, status=status) as url:
        set_connection(host=f"{url}/stream")
        assert said in why_not(hook)
        answer, _ = await hook.apoll("a")
        await hook.aclose()
    assert isinstance(answer, StreamException)
    assert said in str(answer)


@pytest.mark.parametrize("code", [40, 41, 42])
def test_a_token_that_stream_finds_untimely_is_a_skewed_clock(
    connection: None, control: SandboxControl, hook: StreamHook, code: int
) -> None:
    control.fault("api_error", operation="GetRateLimits", status=401, code=code)
    assert "clock skew" in why_not(hook)


@pytest.mark.parametrize(("skew", "said"), [(-3600, "+3600 s"), (3600, "-3600 s")])
def test_a_clock_that_is_off_is_mentioned_even_when_all_is_well(
    set_connection: SetConnection, hook: StreamHook, skew: float, said: str
) -> None:
    with answering(BUDGETS, clock=time.time() + skew) as url:
        set_connection(host=url)
        works, words = hook.test_connection()
    assert works
    # The header knows whole seconds only.
    assert said in words or said.replace("3600", "3601") in words or said.replace("3600", "3599") in words


def test_a_budget_that_is_spent_is_reported(
    connection: None, control: SandboxControl, hook: StreamHook
) -> None:
    control.fault("rate_limit", operation="GetRateLimits")
    assert "Stream answered 429" in why_not(hook)


# -- certificates ------------------------------------------------------------------------------------------


def test_a_certificate_that_nobody_vouches_for_is_refused(
    set_connection: SetConnection, hook: StreamHook, wait_for: WaitFor, tmp_path: Path, logs: Logs
) -> None:
    with answering(BUDGETS, certificate=self_signed(tmp_path)) as url:
        set_connection(host=url)
        said = what_passes(wait_for, hook, logs)
        assert "its certificate is not trusted" in why_not(hook)
    assert f"no trusted TLS connection to {url}: its certificate is not trusted" in said


@pytest.mark.parametrize(
    "variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"]
)
def test_a_certificate_that_the_environment_vouches_for_is_trusted(
    set_connection: SetConnection,
    hook: StreamHook,
    wait_for: WaitFor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    certificate = self_signed(tmp_path)
    folder = folder_of_authorities(certificate, tmp_path / "authorities")
    several = f"{tmp_path / 'none'}:{folder}"
    monkeypatch.setenv(variable, several if variable == "SSL_CERT_DIR" else str(certificate))
    with answering(BUDGETS, certificate=certificate) as url:
        set_connection(host=url)
        (task,) = wait_for(hook, "a")
        hook.close()
    assert task.completed


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_authorities_that_are_not_there_are_reported(
    set_connection: SetConnection,
    hook: StreamHook,
    wait_for: WaitFor,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    monkeypatch.setenv(variable, "/no/such/place")
    set_connection(host="https://127.0.0.1:9")
    said = f"The environment's {variable} is '/no/such/place', where no certificate authorities are"
    assert said in why_not(hook)
    with pytest.raises(StreamConfigurationError, match=said):
        wait_for(hook, "a", timeout=0.1)


def test_a_certificate_for_another_host_is_reported(
    set_connection: SetConnection,
    hook: StreamHook,
    wait_for: WaitFor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    logs: Logs,
) -> None:
    certificate = self_signed(tmp_path, host="stream.example")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with answering(BUDGETS, certificate=certificate) as url:
        set_connection(host=url)
        assert "its certificate is for another host: check the base URL" in why_not(hook)
        assert "its certificate is for another host" in what_passes(wait_for, hook, logs)


def test_a_certificate_that_has_expired_may_be_a_skewed_clock(
    set_connection: SetConnection,
    hook: StreamHook,
    wait_for: WaitFor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    logs: Logs,
) -> None:
    certificate = self_signed(tmp_path, valid_for=timedelta(hours=1))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with answering(BUDGETS, certificate=certificate) as url:
        set_connection(host=url)
        said = what_passes(wait_for, hook, logs)
    assert "its certificate is not valid at this time. Check the clock of this machine (clock skew)" in said


def test_a_host_that_does_not_speak_tls_is_refused(
    set_connection: SetConnection, hook: StreamHook, wait_for: WaitFor, logs: Logs
) -> None:
    with answering(BUDGETS) as url:
        set_connection(host=url.replace("http://", "https://"))
        said = what_passes(wait_for, hook, logs)
        assert why_not(hook).endswith(
            f"no trusted TLS connection to {url.replace('http://', 'https://')}: it does not speak TLS at "
            "this port. The sandbox speaks plain http: begin the base URL (the connection's host) with "
            "http://, which is allowed to this machine only"
        )
    assert "it does not speak TLS at this port" in said


# -- the environment ---------------------------------------------------------------------------------------


def test_what_netrc_says_of_the_host_is_ignored(
    start_task: StartTask,
    control: SandboxControl,
    hook: StreamHook,
    wait_for: WaitFor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    wait_for(hook, start_task())
    assert {request["authorization"] for request in control.journal()} == {"valid"}


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_the_proxy_of_the_environment_is_used(
    start_task: StartTask,
    sandbox: Sandbox,
    hook: StreamHook,
    wait_for: WaitFor,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    task_id = start_task()
    with forwarding() as (proxy, asked):
        monkeypatch.setenv(variable, proxy)
        (task,) = wait_for(hook, task_id)
        hook.close()
    assert task.completed
    assert asked == [f"{sandbox.url}/api/v2/tasks/{task_id}?api_key={sandbox.api_key}"]


@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "example.com,127.0.0.1"])
def test_a_host_that_needs_no_proxy_is_asked_directly(
    start_task: StartTask,
    hook: StreamHook,
    wait_for: WaitFor,
    monkeypatch: pytest.MonkeyPatch,
    exempt: str,
) -> None:
    task_id = start_task()
    with forwarding() as (proxy, asked):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("NO_PROXY", exempt)
        (task,) = wait_for(hook, task_id)
        hook.close()
    assert task.completed
    assert asked == []


def test_a_proxy_may_be_given_without_its_scheme(
    start_task: StartTask, hook: StreamHook, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = start_task()
    with forwarding() as (proxy, asked):
        monkeypatch.setenv("HTTP_PROXY", proxy.removeprefix("http://"))
        (task,) = wait_for(hook, task_id)
        hook.close()
    assert task.completed
    assert len(asked) == 1


def test_a_proxy_whose_name_has_no_address_is_called_the_proxy(
    connection: None, hook: StreamHook, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://me:pw@no-proxy.invalid:9")
    said = what_passes(wait_for, hook, logs) + why_not(hook)
    assert "the proxy to" in said
    assert "check the base URL" not in said
    assert "pw" not in said


BAD_PROXIES = ["http://me:pw@:::", "ftp://me:pw@127.0.0.1:9", "http://", "http://me:pw@[::1"]


@pytest.mark.parametrize("proxy", BAD_PROXIES)
def test_with_a_proxy_that_is_none_nothing_was_sent(
    connection: None, hook: StreamHook, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(StreamTransportException, match="check HTTPS_PROXY, HTTP_PROXY") as raised:
        hook.get_conn().send(STREAM_TASKS.request("a"))
    assert not raised.value.request_sent
    assert "pw" not in str(raised.value)


@pytest.mark.parametrize("proxy", [*BAD_PROXIES, "socks5://me:pw@127.0.0.1:9"])
async def test_a_triggerer_says_at_once_that_it_cannot_go_through_a_proxy(
    connection: None, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(StreamConfigurationError, match="a URL with http:// or https:// is needed") as raised:
        await StreamHook().aget_conn()
    assert "pw" not in str(raised.value)


def test_a_proxy_that_is_not_there_is_no_way_around_it(
    start_task: StartTask,
    control: SandboxControl,
    hook: StreamHook,
    wait_for: WaitFor,
    monkeypatch: pytest.MonkeyPatch,
    logs: Logs,
) -> None:
    task_id = start_task()
    monkeypatch.setenv("HTTP_PROXY", "http://me:pw@127.0.0.1:9")
    said = what_passes(wait_for, hook, logs)
    assert "cannot be reached, or does not let us through: check HTTPS_PROXY" in said + why_not(hook)
    assert "pw" not in said
    assert control.journal("GetTask") == []
    assert task_id


# -- answers that are none ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(
    start_task: StartTask,
    control: SandboxControl,
    hook: StreamHook,
    wait_for: WaitFor,
    status: int,
) -> None:
    task_id = start_task()
    control.fault("redirect", operation="GetTask", status=status, location="/api/v2/rate_limits")
    with pytest.raises(StreamApiException, match="a redirect") as raised:
        wait_for(hook, task_id)
    assert raised.value.status_code == status
    assert [request["operation"] for request in control.journal()] == ["DeleteChannels", "GetTask"]


def test_a_body_without_end_is_not_read_to_its_end(
    start_task: StartTask, control: SandboxControl, hook: StreamHook, wait_for: WaitFor, logs: Logs
) -> None:
    task_id = start_task()
    control.fault("huge_body", operation="GetTask", times=1)
    wait_for(hook, task_id)
    assert "longer than 8 MiB and was not read" in logs.text


@pytest.fixture
def short_timeouts(set_connection: SetConnection) -> None:
    """A request may take 0.3 s as a whole, instead of half a minute."""
    set_connection(extra={"request_timeout": 0.3})


@pytest.mark.parametrize(
    ("seconds", "each_waits"), [(20.0, "longer than the timeout"), (4.0, "not long, but together")]
)
def test_a_body_that_comes_in_drops_does_not_hold_us(
    start_task: StartTask,
    short_timeouts: None,
    control: SandboxControl,
    hook: StreamHook,
    wait_for: WaitFor,
    logs: Logs,
    seconds: float,
    each_waits: str,
) -> None:
    task_id = start_task()
    # Twenty drops: a second apart, or a fifth of one.
    control.fault("slow_body", operation="GetTask", seconds=seconds, times=1)
    (task,) = wait_for(hook, task_id)
    assert task.completed, each_waits
    assert "did not answer within 0.3 s" in logs.text


def test_an_answer_that_does_not_come_does_not_hold_us(
    start_task: StartTask,
    short_timeouts: None,
    control: SandboxControl,
    hook: StreamHook,
    wait_for: WaitFor,
    logs: Logs,
) -> None:
    task_id = start_task()
    control.fault("delay", operation="GetTask", seconds=1, times=1)
    (task,) = wait_for(hook, task_id)
    assert task.completed
    assert "did not answer within 0.3 s" in logs.text


@pytest.mark.parametrize("kind", ["reset_before", "truncated"])
def test_a_connection_that_breaks_is_reported(
    connection: None,
    control: SandboxControl,
    hook: StreamHook,
    wait_for: WaitFor,
    logs: Logs,
    kind: str,
) -> None:
    control.fault(kind, operation="GetTask")
    assert "closed the connection before its answer was complete" in what_passes(wait_for, hook, logs)


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"]
)
def test_an_answer_that_is_no_http_is_reported(
    set_connection: SetConnection, wait_for: WaitFor, hook: StreamHook, logs: Logs, answer: bytes
) -> None:
    with dripping([answer], pause=0) as (url, _):
        set_connection(host=url)
        assert "its answer was complete, or the answer is no HTTP" in what_passes(wait_for, hook, logs)
