from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack
from typing import Any

import pytest
from airflow.sdk._shared.secrets_masker import redact, reset_secrets_masker

from airflow_provider_streamtasks import __version__
from airflow_provider_streamtasks.exceptions import (
    MAY_HAVE_BEEN_TAKEN,
    StreamApiException,
    StreamConfigurationError,
    StreamException,
    StreamRateLimitException,
    StreamTaskException,
    StreamTaskTimeout,
    StreamTransportException,
)
from airflow_provider_streamtasks.hooks.client import ATTEMPTS
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol import poll_plan, wait
from airflow_provider_streamtasks.protocol.catalogue import DELETE_CHANNELS, EXPORT_USERS
from airflow_provider_streamtasks.protocol.credentials import Credentials
from airflow_provider_streamtasks.protocol.poll_budget import UNKNOWN_AT_ONCE
from airflow_provider_streamtasks.sandbox import Sandbox, SandboxControl, running_sandbox
from tests.conftest import Logs, SetConnection, StartTask
from tests.hooks.conftest import WaitFor


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def submit(hook: StreamHook) -> str | None:
    return hook.submit(DELETE_CHANNELS, ["messaging:a"], hard_delete=True).task_id


# -- what goes over the wire -------------------------------------------------------------------------------


def test_a_request_carries_what_stream_asks_for(
    start_task: StartTask, control: SandboxControl, hook: StreamHook, wait_for: WaitFor, sandbox: Sandbox
) -> None:
    task_id = start_task()
    wait_for(hook, task_id)
    (request,) = control.journal("GetTask")
    assert request["path"] == f"/api/v2/tasks/{task_id}"
    assert request["query"] == {"api_key": sandbox.api_key}
    assert request["authorization"] == "valid"
    assert request["headers"]["stream-auth-type"] == "jwt"
    assert request["headers"]["x-stream-client"] == f"airflow-provider-streamtasks-{__version__}"
    assert request["headers"]["accept-encoding"] == "identity"


def test_a_submission_carries_its_items_and_options(
    connection: None, control: SandboxControl, hook: StreamHook
) -> None:
    task_id = submit(hook)
    (request,) = control.journal("DeleteChannels")
    assert request["body"] == {"cids": ["messaging:a"], "hard_delete": True}
    assert request["headers"]["content-type"] == "application/json"
    assert request["stream_task_id"] == task_id


def test_a_soft_deletion_of_channels_has_a_result_and_a_stream_task(
    connection: None, control: SandboxControl, hook: StreamHook
) -> None:
    submission = hook.submit(DELETE_CHANNELS, ["messaging:a"])
    assert submission.task_id == control.journal("DeleteChannels")[-1]["stream_task_id"]
    assert submission.result == {"messaging:a": {"status": "ok"}}


def test_what_is_done_at_once_has_a_result_and_no_stream_task(
    connection: None, control: SandboxControl, hook: StreamHook
) -> None:
    control.fate(task_id=False)
    submission = hook.submit(DELETE_CHANNELS, ["messaging:a"])
    assert submission.task_id is None
    assert submission.result == {"messaging:a": {"status": "ok"}}


def test_an_answer_without_an_id_is_an_error_and_ambiguous(
    connection: None, control: SandboxControl, hook: StreamHook
) -> None:
    control.fate(task_id=False)
    with pytest.raises(
        StreamApiException, match="Stream answered 201: ExportUsers: the answer holds no id"
    ) as caught:
        hook.submit(EXPORT_USERS, ["joe"])
    assert "may or may not have taken" in caught.value.advice
    assert len(control.journal("ExportUsers")) == 1


@pytest.mark.parametrize(
    ("items", "options"),
    [
        ([], {}),
        (["a"], {}),
        ("messaging:a", {}),
        (["messaging:a"], {"hard_delete": "yes"}),
        (["a:b"] * 2, {"x": 1}),
    ],
)
def test_what_stream_would_refuse_is_not_sent(
    connection: None, control: SandboxControl, hook: StreamHook, items: Any, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"cids|hard_delete|option"):
        hook.submit(DELETE_CHANNELS, items, **options)
    assert control.journal() == []


def test_what_is_no_operation_is_refused(hook: StreamHook) -> None:
    with pytest.raises(
        ValueError, match=r"operation is 'DeleteChannels': a constant .* such as DELETE_CHANNELS"
    ):
        hook.submit("DeleteChannels", ["messaging:a"])  # type: ignore[arg-type]


@pytest.mark.parametrize("task_id", ["../users/delete", "a b?api_key=x", "%2e%2e%2fusers", "tâche", "a/../b"])
def test_a_task_id_cannot_change_the_endpoint(
    connection: None, control: SandboxControl, hook: StreamHook, wait_for: WaitFor, task_id: str
) -> None:
    with pytest.raises(StreamTaskTimeout):
        wait_for(hook, task_id, timeout=0)
    (request,) = control.journal()
    assert request["operation"] == "GetTask"
    assert list(request["query"]) == ["api_key"]


@pytest.mark.parametrize(
    ("attributes", "value"),
    [("conn_name_attr", "stream_conn_id"), ("conn_type", "stream"), ("default_conn_name", "stream_default")],
)
def test_airflow_finds_the_hook_by_its_attributes(attributes: str, value: str) -> None:
    assert getattr(StreamHook, attributes) == value


# -- submitting again only what was certainly not taken ----------------------------------------------------


def test_a_submission_is_sent_again_after_a_429(
    connection: None, control: SandboxControl, hook: StreamHook
) -> None:
    control.fault("rate_limit", operation="DeleteChannels", times=2, retry_after=0)
    task_id = submit(hook)
    sent = control.journal("DeleteChannels")
    assert [request["status"] for request in sent] == [429, 429, 201]
    assert [request["taken"] for request in sent] == [False, False, True]
    assert sent[-1]["stream_task_id"] == task_id


def test_a_spent_budget_is_waited_for(connection: None, control: SandboxControl, hook: StreamHook) -> None:
    # Windows of a second make the pause short that lasts up to a minute at Stream.
    control.budget("DeleteChannels", limit=1, window=1)
    for _ in range(3):
        assert submit(hook)
    taken = [request["time"] for request in control.journal("DeleteChannels") if request["taken"]]
    assert len({int(moment) for moment in taken}) == 3


def test_a_429_that_never_ends_is_given_up(
    connection: None, control: SandboxControl, hook: StreamHook
) -> None:
    control.fault("rate_limit", operation="DeleteChannels", retry_after=0)
    with pytest.raises(StreamRateLimitException) as raised:
        submit(hook)
    assert raised.value.advice == ""
    assert len(control.journal("DeleteChannels")) == ATTEMPTS


def test_a_submission_is_sent_again_when_no_connection_was_made(
    set_connection: SetConnection, hook: StreamHook, logs: Logs
) -> None:
    port = free_port()
    set_connection(host=f"http://127.0.0.1:{port}")
    started: list[Sandbox] = []

    with ExitStack() as late:

        def start(line: str) -> None:
            if "Trying again in" in line and not started:
                started.append(late.enter_context(running_sandbox(port=port)))

        logs.listener = start
        task_id = submit(hook)
        (request,) = started[0].control.journal("DeleteChannels")
        hook.close()
    assert request["stream_task_id"] == task_id


AMBIGUOUS = [
    pytest.param("reset_before", {}, StreamTransportException, id="reset-before-stream-took-it"),
    pytest.param("reset_after", {}, StreamTransportException, id="reset-after-stream-took-it"),
    pytest.param("delay", {"seconds": 1.5}, StreamTransportException, id="timeout"),
    pytest.param("truncated", {}, StreamTransportException, id="truncated"),
    pytest.param("unavailable", {}, StreamApiException, id="503"),
    pytest.param("unavailable", {"status": 504, "taken": True}, StreamApiException, id="504-taken"),
    pytest.param("api_error", {"status": 500}, StreamApiException, id="500"),
    pytest.param("api_error", {"status": 408}, StreamApiException, id="408"),
    pytest.param("broken_json", {}, StreamApiException, id="broken-json"),
    pytest.param("empty_body", {}, StreamApiException, id="empty-body"),
    pytest.param("wrong_content_type", {}, StreamApiException, id="not-streams-page"),
    pytest.param("huge_body", {}, StreamApiException, id="huge-body"),
]


@pytest.mark.parametrize(("kind", "options", "exception"), AMBIGUOUS)
def test_an_ambiguous_submission_is_never_sent_again(
    set_connection: SetConnection,
    control: SandboxControl,
    hook: StreamHook,
    kind: str,
    options: dict[str, Any],
    exception: type[StreamException],
) -> None:
    set_connection(extra={"request_timeout": 1})
    control.fault(kind, operation="DeleteChannels", **options)
    with pytest.raises(exception) as raised:
        submit(hook)
    assert len(control.journal("DeleteChannels")) == 1
    assert raised.value.may_be_taken
    assert raised.value.advice == MAY_HAVE_BEEN_TAKEN
    assert "may or may not have taken this submission" in str(raised.value)


def test_a_connection_that_the_server_has_closed_meanwhile_makes_no_submission_ambiguous(
    set_connection: SetConnection, sandbox: Sandbox
) -> None:
    port = free_port()
    set_connection(host=f"http://127.0.0.1:{port}")
    hook = StreamHook()
    for _ in range(2):
        # The second sandbox does not know the connection that the hook has kept from the first.
        with running_sandbox(port=port) as another:
            assert submit(hook)
            assert len(another.control.journal("DeleteChannels")) == 1
    hook.close()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
def test_a_submission_that_stream_refuses_is_neither_repeated_nor_ambiguous(
    connection: None, control: SandboxControl, hook: StreamHook, status: int
) -> None:
    control.fault("api_error", operation="DeleteChannels", status=status, code=4, message="no")
    with pytest.raises(StreamApiException) as raised:
        submit(hook)
    assert raised.value.status_code == status
    assert raised.value.advice == ""
    assert len(control.journal("DeleteChannels")) == 1


def test_streams_words_on_a_refusal_are_kept(
    connection: None, control: SandboxControl, hook: StreamHook
) -> None:
    control.fault(
        "api_error",
        operation="DeleteChannels",
        status=400,
        code=4,
        message="cids.0 is odd",
        unrecoverable=True,
        exception_fields={"cids.0": "is odd"},
    )
    with pytest.raises(StreamApiException) as raised:
        submit(hook)
    assert raised.value.code == 4
    assert raised.value.exception_fields == {"cids.0": "is odd"}
    assert raised.value.unrecoverable
    assert "code 4" in str(raised.value)
    assert "cids.0: is odd" in str(raised.value)


# -- one look ----------------------------------------------------------------------------------------------


def test_get_task_returns_a_stream_task_as_it_stands(start_task: StartTask, hook: StreamHook) -> None:
    task = hook.get_task(start_task(running=60))
    assert task.status == "running"
    assert task.created_at == pytest.approx(time.time(), abs=60)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("unavailable", {}),
        ("rate_limit", {"retry_after": 0}),
        ("reset_before", {}),
        ("broken_json", {}),
        ("api_error", {"status": 408}),
    ],
)
def test_get_task_rides_out_what_passes(
    start_task: StartTask, control: SandboxControl, hook: StreamHook, kind: str, options: dict[str, Any]
) -> None:
    task_id = start_task()
    control.fault(kind, operation="GetTask", times=2, **options)
    assert hook.get_task(task_id).completed
    assert len(control.journal("GetTask")) == 3


def test_get_task_does_not_ask_again_about_what_stream_does_not_know(
    connection: None, control: SandboxControl, hook: StreamHook
) -> None:
    with pytest.raises(StreamApiException, match="Can't find task") as raised:
        hook.get_task("unknown")
    assert raised.value.status_code == 404
    assert str(raised.value).endswith(
        "Check that the id is one that Stream gave out, and that the Airflow connection leads to the app "
        "that it belongs to. The id of an import is not that of a Stream task."
    )
    assert len(control.journal("GetTask")) == 1


def test_one_id_is_not_taken_for_a_list_of_its_letters(hook: StreamHook, start_task: StartTask) -> None:
    task_id = start_task()
    assert [task.task_id for task in hook.wait_for_tasks(task_id)] == [task_id]


@pytest.mark.parametrize("wrong", [None, 5, "", ".", "..", "\ud800", {"task_id": "a"}, ["a", 5]])
def test_what_is_no_id_is_not_waited_for(
    wrong: Any, connection: None, control: SandboxControl, hook: StreamHook
) -> None:
    for ask in (hook.get_task, hook.wait_for_task):
        with pytest.raises(ValueError, match=r"^task_id is "):
            ask(wrong)
    with pytest.raises(ValueError, match=r"^an item of task_ids is "):
        hook.wait_for_tasks(["0000", wrong])
    assert control.journal() == []


@pytest.mark.parametrize("wrong", [None, 5, "", {"conn_id": "stream_default"}])
def test_the_name_of_a_connection_is_text(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"^stream_conn_id is .*: a non-empty string is needed"):
        StreamHook(wrong)


def test_the_budgets_are_those_of_the_server_side(
    connection: None, control: SandboxControl, hook: StreamHook
) -> None:
    control.budget("DeleteUsers", limit=6)
    budgets = hook.get_rate_limits()
    assert budgets["DeleteUsers"]["limit"] == 6
    assert set(budgets["GetTask"]) == {"limit", "remaining", "reset"}


# -- waiting -----------------------------------------------------------------------------------------------


def test_a_completed_stream_task_is_returned(
    start_task: StartTask, hook: StreamHook, wait_for: WaitFor
) -> None:
    task_id = start_task(pending=0.1, waiting=0.1, running=0.1)
    (task,) = wait_for(hook, task_id)
    assert task.task_id == task_id
    assert task.status == "completed"
    assert task.result == {"messaging:a": {"status": "ok"}}


def test_wait_for_task_returns_the_one(start_task: StartTask, hook: StreamHook) -> None:
    task_id = start_task()
    assert hook.wait_for_task(task_id).task_id == task_id


def test_items_that_failed_inside_are_left_to_the_caller(
    start_task: StartTask, hook: StreamHook, wait_for: WaitFor
) -> None:
    (task,) = wait_for(hook, start_task(failed_items={"messaging:a": "gone"}))
    assert task.completed


@pytest.mark.parametrize("end", ["failed", "error"])
def test_a_failed_stream_task_raises_with_streams_words(
    start_task: StartTask, hook: StreamHook, wait_for: WaitFor, end: str
) -> None:
    error = {"type": "storage", "description": "full", "stacktrace": "at x", "version": "v1"}
    task_id = start_task(end=end, error=error)
    with pytest.raises(StreamTaskException) as raised:
        wait_for(hook, task_id)
    assert raised.value.task_id == task_id
    assert (raised.value.error_type, raised.value.description) == ("storage", "full")
    assert (raised.value.stack_trace, raised.value.version) == ("at x", "v1")
    assert str(raised.value) == f"Stream task {task_id} {end}: storage: full"


def test_a_failed_stream_task_without_an_error_raises_all_the_same(
    start_task: StartTask, hook: StreamHook, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wait, "CONFIRMING_PAUSE", 0.1)
    with pytest.raises(StreamTaskException) as raised:
        wait_for(hook, start_task(end="failed", error=None))
    assert raised.value.error_type == "unknown"


@pytest.mark.parametrize("fate", [{"end": "never"}, {"end": "defrosting"}, {"pending": 60}, {"waiting": 60}])
def test_what_is_not_finished_in_time_raises_a_timeout(
    start_task: StartTask, hook: StreamHook, wait_for: WaitFor, fate: dict[str, Any]
) -> None:
    task_id = start_task(**fate)
    with pytest.raises(
        StreamTaskTimeout, match=f"did not finish the Stream task {task_id} within 0.2 s"
    ) as e:
        wait_for(hook, task_id, timeout=0.2)
    assert e.value.task_ids == [task_id]
    assert e.value.error_type == "timeout"
    assert isinstance(e.value, StreamTransportException)


def test_an_unknown_status_is_warned_of_once(
    start_task: StartTask,
    control: SandboxControl,
    hook: StreamHook,
    wait_for: WaitFor,
    logs: Logs,
) -> None:
    task_id = start_task(end="defrosting")
    with pytest.raises(StreamTaskTimeout):
        wait_for(hook, task_id, timeout=3)
    assert len(control.journal("GetTask")) > 2
    assert [line for line in logs.lines if "unknown status" in line] == [
        f"Stream task {task_id} has the unknown status 'defrosting': waiting on"
    ]


def test_a_stream_task_that_stream_does_not_know_yet_is_waited_for(
    start_task: StartTask, control: SandboxControl, hook: StreamHook, wait_for: WaitFor
) -> None:
    (task,) = wait_for(hook, start_task(visible_after=0.3))
    assert task.completed
    assert 404 in [request["status"] for request in control.journal("GetTask")]


@pytest.mark.parametrize("status", [400, 401, 403])
def test_an_error_that_does_not_pass_raises_at_once(
    start_task: StartTask, control: SandboxControl, hook: StreamHook, wait_for: WaitFor, status: int
) -> None:
    task_id = start_task()
    control.fault("api_error", operation="GetTask", status=status, code=4)
    with pytest.raises(StreamApiException) as raised:
        wait_for(hook, task_id)
    assert raised.value.status_code == status
    assert len(control.journal("GetTask")) == 1


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param("rate_limit", {"retry_after": 0}, id="429"),
        pytest.param("api_error", {"status": 408}, id="408"),
        pytest.param("api_error", {"status": 500}, id="500"),
        pytest.param("api_error", {"status": 500, "bare": True}, id="500-bare"),
        pytest.param("unavailable", {}, id="503"),
        pytest.param("broken_json", {}, id="broken-json"),
        pytest.param("truncated", {}, id="truncated"),
        pytest.param("empty_body", {}, id="empty-body"),
        pytest.param("wrong_content_type", {}, id="portal"),
        pytest.param("huge_body", {}, id="huge-body"),
        pytest.param("reset_before", {}, id="reset"),
        pytest.param("delay", {"seconds": 0.6}, id="timeout"),
    ],
)
def test_an_outage_is_waited_out(
    set_connection: SetConnection,
    start_task: StartTask,
    control: SandboxControl,
    hook: StreamHook,
    wait_for: WaitFor,
    logs: Logs,
    kind: str,
    options: dict[str, Any],
) -> None:
    task_id = start_task()
    if kind == "delay":
        set_connection(extra={"request_timeout": 0.4})
    control.budget("GetTask", limit=1000, window=1)  # a 429 says that nothing is left of the window
    control.fault(kind, operation="GetTask", times=2, **options)
    (task,) = wait_for(hook, task_id)
    assert task.completed
    assert [request["fault"] for request in control.journal("GetTask")] == [kind, kind, None]
    assert logs.text.count(f"Polling Stream task {task_id} failed, waiting on: ") == 1


def test_a_host_that_is_not_there_is_waited_for(
    set_connection: SetConnection, hook: StreamHook, wait_for: WaitFor, logs: Logs
) -> None:
    set_connection(host=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StreamTaskTimeout):
        wait_for(hook, "a", timeout=0.3)
    assert "refused the connection: nothing listens at this host and port" in logs.text


def test_the_pause_that_stream_asks_for_is_kept(
    start_task: StartTask, control: SandboxControl, hook: StreamHook, wait_for: WaitFor
) -> None:
    task_id = start_task()
    control.budget("GetTask", limit=1000, window=1)
    control.fault("rate_limit", operation="GetTask", times=1, retry_after=1)
    wait_for(hook, task_id)
    refused, answered = (request["time"] for request in control.journal("GetTask"))
    assert answered - refused >= 1


def test_many_stream_tasks_are_waited_for_together(
    start_task: StartTask, control: SandboxControl, hook: StreamHook, wait_for: WaitFor
) -> None:
    ids = [start_task(f"messaging:{number}", running=0.2) for number in range(40)]
    finished = wait_for(hook, *ids)
    assert [task.task_id for task in finished] == ids
    assert [list(task.result) for task in finished] == [[f"messaging:{number}"] for number in range(40)]


def test_the_deadline_holds_however_many_are_waited_for(
    start_task: StartTask, control: SandboxControl, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll_plan, "LAST_POLL", 0.5)
    hook, ids = StreamHook(), [start_task(end="never") for _ in range(20)]
    control.fault("delay", operation="GetTask", seconds=0.1)
    began = time.monotonic()
    with pytest.raises(StreamTaskTimeout) as raised:
        wait_for(hook, *ids, timeout=2.5)  # one after the other, 2 s
    assert time.monotonic() - began < 4
    assert sorted(raised.value.task_ids) == sorted(ids)


def test_each_is_polled_once_whatever_the_deadline(
    start_task: StartTask, control: SandboxControl, monkeypatch: pytest.MonkeyPatch, hook: StreamHook
) -> None:
    monkeypatch.setattr(poll_plan, "LAST_POLL", 0.5)
    ids = [start_task(pending=0, running=0) for _ in range(20)]
    control.fault("delay", operation="GetTask", seconds=0.1)
    assert [task.task_id for task in hook.wait_for_tasks(ids, timeout=0)] == ids
    assert len(control.journal("GetTask")) == len(ids)


def test_a_connection_that_cannot_be_read_for_a_moment_is_an_error_of_the_poll(
    start_task: StartTask, hook: StreamHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StreamHook, "get_connection", lambda *_: 1 / 0)
    answer, limit = hook.poll("x")
    assert str(answer) == "The poll broke off: ZeroDivisionError: division by zero"
    assert limit is None


def test_polls_keep_to_our_share_of_the_budget(
    start_task: StartTask,
    set_connection: SetConnection,
    control: SandboxControl,
    wait_for: WaitFor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(poll_plan, "LAST_POLL", 0.2)
    ids = [start_task() for _ in range(60)]
    set_connection(extra=json.dumps({"rate_limit_share": 0.01}))
    control.budget("GetTask", limit=1000)
    with pytest.raises(StreamTaskTimeout):
        wait_for(StreamHook(), *ids, timeout=0.5)
    assert len(control.journal("GetTask")) <= 40  # ten a minute, the first answers, and a minute may end


def test_while_a_429_asks_for_a_pause_nothing_is_polled(
    start_task: StartTask, control: SandboxControl, hook: StreamHook, wait_for: WaitFor
) -> None:
    ids = [start_task() for _ in range(20)]
    control.budget("GetTask", limit=None)
    control.fault("rate_limit", operation="GetTask", lasts=1, retry_after=1)
    wait_for(hook, *ids)
    refused = [request for request in control.journal("GetTask") if request["status"] == 429]
    assert 1 <= len(refused) <= UNKNOWN_AT_ONCE


def test_of_several_the_failed_and_the_unfinished_are_named(
    start_task: StartTask, hook: StreamHook, wait_for: WaitFor
) -> None:
    done, failed, open_ = start_task(), start_task(end="failed"), start_task(end="never")
    with pytest.raises(StreamTaskException) as raised:
        wait_for(hook, done, failed, open_, timeout=0.3)
    assert raised.value.task_ids == [failed]
    assert open_ in str(raised.value)
    assert done not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"), [("poll_interval", -1), ("timeout", -0.1), ("timeout", float("nan"))]
)
def test_seconds_that_are_none_are_refused(
    connection: None, control: SandboxControl, hook: StreamHook, name: str, value: float
) -> None:
    with pytest.raises(ValueError, match=f"^{name} is {value}: a number of seconds, 0 or more, or a "):
        hook.wait_for_task("a", **{name: value})
    assert control.journal() == []


def test_the_defaults_of_a_wait_come_from_airflows_configuration(
    start_task: StartTask, control: SandboxControl, hook: StreamHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__STREAMTASKS__TIMEOUT", "1.5")
    monkeypatch.setenv("AIRFLOW__STREAMTASKS__POLL_INTERVAL", "0.1")
    task_id = start_task(end="never")
    with pytest.raises(StreamTaskTimeout, match=r"within 1\.5 s"):
        hook.wait_for_task(task_id)
    assert len(control.journal("GetTask")) >= 4


# -- credentials -------------------------------------------------------------------------------------------


def test_a_secret_that_was_rotated_is_picked_up_while_waiting(
    set_connection: SetConnection,
    start_task: StartTask,
    control: SandboxControl,
    hook: StreamHook,
    wait_for: WaitFor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task_id = start_task(running=0.3)
    set_connection(password="the-old-secret-of-more-than-32-bytes")
    read, aread = StreamHook.get_connection, StreamHook.aget_connection

    # The old secret is read first, the new one from then on.
    def get_connection(cls: Any, conn_id: str) -> Any:
        connection = read(conn_id)
        set_connection()
        return connection

    async def aget_connection(cls: Any, conn_id: str) -> Any:
        connection = await aread(conn_id)
        set_connection()
        return connection

    monkeypatch.setattr(StreamHook, "get_connection", classmethod(get_connection))
    monkeypatch.setattr(StreamHook, "aget_connection", classmethod(aget_connection))
    (task,) = wait_for(hook, task_id)
    assert task.completed
    verdicts = [request["authorization"] for request in control.journal("GetTask")]
    assert verdicts[0] == "invalid"
    assert set(verdicts[1:]) == {"valid"}


def test_a_secret_that_is_wrong_and_stays_so_is_tried_once(
    set_connection: SetConnection,
    start_task: StartTask,
    control: SandboxControl,
    hook: StreamHook,
    wait_for: WaitFor,
) -> None:
    task_id = start_task()
    set_connection(password="the-old-secret-of-more-than-32-bytes")
    with pytest.raises(StreamApiException, match="Check the API secret") as raised:
        wait_for(hook, task_id)
    assert raised.value.code == 43
    assert len(control.journal("GetTask")) == 1


def test_a_connection_that_cannot_be_used_raises_before_anything_is_sent(
    set_connection: SetConnection, control: SandboxControl, hook: StreamHook, wait_for: WaitFor
) -> None:
    set_connection(password=None)
    with pytest.raises(StreamConfigurationError, match="has no API secret"):
        wait_for(hook, "a")
    assert control.journal() == []


@pytest.mark.parametrize("leak", ["secret", "token"])
def test_the_secret_and_the_token_are_masked_in_logs(
    start_task: StartTask, hook: StreamHook, wait_for: WaitFor, sandbox: Sandbox, leak: str
) -> None:
    token = Credentials(sandbox.api_key, sandbox.api_secret, sandbox.url).token()
    value = {"secret": sandbox.api_secret, "token": token}[leak]
    task_id = start_task()
    reset_secrets_masker()
    wait_for(hook, task_id)
    assert redact(f"it is {value}!") == "it is ***!"


@pytest.mark.parametrize("kind", ["reset_before", "delay"])
def test_an_exception_does_not_hold_the_request_and_with_it_the_token(
    set_connection: SetConnection, control: SandboxControl, hook: StreamHook, kind: str
) -> None:
    set_connection(extra={"request_timeout": 0.3})
    control.fault(kind, operation="DeleteChannels")
    with pytest.raises(StreamTransportException) as raised:
        submit(hook)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
