from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from airflow.sdk import DAG, Context
from airflow.sdk.bases.operator import TriggerFailureReason

from airflow_provider_streamtasks.exceptions import (
    StreamApiException,
    StreamConfigurationError,
    StreamException,
    StreamTaskException,
    StreamTaskTimeout,
)
from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.protocol import wait
from airflow_provider_streamtasks.sandbox import SandboxControl
from airflow_provider_streamtasks.sensors.task import StreamTaskFailed, StreamTaskSensor
from airflow_provider_streamtasks.triggers.task import StreamTaskTrigger
from tests.airflow_names import DagSerialization
from tests.airflow_tasks import Run
from tests.conftest import Logs, SetConnection, StartTask

SIGNED = "https://storage.example/export.json?Signature=abcdef"
MODES: dict[str, dict[str, Any]] = {
    "deferred": {},
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule"},
    "not-deferrable": {"deferrable": False},
}


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A way of waiting: in all of them the same must come out."""
    return MODES[request.param]


@pytest.fixture
def run() -> Run:
    return Run()


def sensor(stream_task_id: Any, **arguments: Any) -> StreamTaskSensor:
    return StreamTaskSensor(
        **{
            "task_id": "wait",
            "stream_task_id": stream_task_id,
            "poke_interval": 0.05,
            "timeout": 20,
            **arguments,
        }
    )


def execute(run: Run, stream_task_id: Any, **arguments: Any) -> Any:
    return run.execute(lambda: sensor(stream_task_id, **arguments))


# -- outcomes, in every mode -------------------------------------------------------------------------------


def test_completed_is_success_with_the_result(start_task: StartTask, run: Run, mode: dict[str, Any]) -> None:
    assert execute(run, start_task(running=0.1), **mode) == {"messaging:a": {"status": "ok"}}
    assert run.xcoms == {"return_value": {"messaging:a": {"status": "ok"}}}


def test_each_mode_waits_in_its_own_way(start_task: StartTask, run: Run, mode: dict[str, Any]) -> None:
    execute(run, start_task(running=1.0), **mode)
    assert len(run.deferrals) == (mode == MODES["deferred"])
    assert bool(run.reschedules) is (mode == MODES["reschedule"])


def test_items_that_failed_inside_are_a_warning_and_an_xcom(
    start_task: StartTask, run: Run, mode: dict[str, Any], logs: Logs
) -> None:
    result = execute(run, start_task(failed_items={"messaging:a": "gone"}), **mode)
    assert run.xcoms["failed_items"] == {"messaging:a": "gone"}
    assert run.xcoms["return_value"] == result
    assert "1 item failed: messaging:a (gone)" in logs.text


def test_items_that_failed_inside_are_a_failure_if_asked_for(
    start_task: StartTask, run: Run, mode: dict[str, Any]
) -> None:
    task_id = start_task(failed_items={"messaging:a": "gone"})
    with pytest.raises(StreamTaskFailed, match=r"1 item failed: messaging:a \(gone\)") as raised:
        execute(run, task_id, fail_on_partial=True, **mode)
    assert raised.value.task_id == task_id
    assert raised.value.error_type == "partial_failure"
    assert raised.value.failed_items == {"messaging:a": "gone"}
    assert run.xcoms == {"failed_items": {"messaging:a": "gone"}}


def test_what_failed_inside_a_failed_stream_task_is_an_xcom_too(
    start_task: StartTask, run: Run, mode: dict[str, Any]
) -> None:
    result = {"messaging:a": {"status": "error", "error": "gone"}, "messaging:b": {"status": "ok"}}
    with pytest.raises(StreamTaskFailed, match=r"failed: 1 item failed: messaging:a \(gone\)$") as raised:
        execute(run, start_task(end="failed", error=None, result=result), **mode)
    assert raised.value.failed_items == {"messaging:a": "gone"}
    assert run.xcoms == {"failed_items": {"messaging:a": "gone"}}


def test_what_failed_inside_is_no_xcom_where_none_is_wanted(
    start_task: StartTask, run: Run, mode: dict[str, Any]
) -> None:
    result = {"messaging:a": {"status": "error", "error": "gone"}}
    with pytest.raises(StreamTaskFailed):
        execute(run, start_task(end="failed", result=result), do_xcom_push=False, **mode)
    assert run.xcoms == {}


BEFORE = {
    "failed without a reason": {"status": "failed"},
    "failed of a rate limit": {"status": "failed", "result": {"description": "rate limit exceeded"}},
    "failed inside without a reason": {"status": "completed", "result": {"status": "failed"}},
    "started inside": {"status": "completed", "result": {"status": "started"}},
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
def test_what_is_not_the_last_word_is_waited_out(
    before: dict[str, Any],
    start_task: StartTask,
    run: Run,
    mode: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wait, "CONFIRMING_PAUSE", 0.6)
    task_id = start_task(before_end=[{"seconds": 0.5, **before}])
    assert execute(run, task_id, **mode) == {"messaging:a": {"status": "ok"}}
    assert run.xcoms == {"return_value": {"messaging:a": {"status": "ok"}}}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"end": "failed", "error": None}, "Stream gives no reason"),
        ({"end": "failed", "error": {"type": "rate_limit", "description": ""}}, "rate_limit: "),
        ({"end": "failed", "result": {"error": "Too many requests"}, "error": None}, "Too many requests"),
        ({"result": {"status": "failed"}}, "channel_batch_update: Stream gives no reason"),
    ],
)
def test_a_failure_that_may_pass_is_confirmed_by_two_more_polls(
    answer: dict[str, Any],
    why: str,
    start_task: StartTask,
    run: Run,
    mode: dict[str, Any],
    control: SandboxControl,
    logs: Logs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wait, "CONFIRMING_PAUSE", 0.1)
    with pytest.raises(StreamTaskFailed, match=why):
        execute(run, start_task(**answer), **mode)
    # A worker that takes over from the triggerer polls once more.
    assert len(control.journal("GetTask")) == 3 + len(run.deferrals)
    assert logs.text.count("That may pass") == 1


def test_a_failure_that_may_pass_is_a_failure_at_the_deadline(
    start_task: StartTask, run: Run, mode: dict[str, Any]
) -> None:
    with pytest.raises(StreamTaskFailed, match="Stream gives no reason"):
        execute(run, start_task(end="failed", error=None), timeout=0.5, **mode)


@pytest.mark.parametrize("end", ["failed", "error"])
def test_failed_is_a_failure_with_streams_words(
    start_task: StartTask, run: Run, mode: dict[str, Any], end: str
) -> None:
    error = {"type": "storage", "description": "full", "stacktrace": "at x", "version": "v1"}
    task_id = start_task(end=end, error=error)
    with pytest.raises(StreamTaskFailed, match=f"^Stream task {task_id} {end}: storage: full$") as raised:
        execute(run, task_id, **mode)
    assert raised.value.task_id == task_id
    assert (raised.value.error_type, raised.value.description) == ("storage", "full")
    assert (raised.value.stack_trace, raised.value.version) == ("at x", "v1")
    assert run.xcoms == {}


@pytest.mark.parametrize("fate", [{"end": "never"}, {"end": "defrosting"}])
def test_the_deadline_is_a_sensor_timeout(
    start_task: StartTask, run: Run, mode: dict[str, Any], fate: dict[str, Any]
) -> None:
    task_id = start_task(**fate)
    with pytest.raises(AirflowSensorTimeout) as raised:
        execute(run, task_id, timeout=0.2, **mode)
    assert f"finish the Stream task {task_id} within 0.2 s. Waiting ended, not the work" in str(raised.value)


def test_a_stream_task_that_stream_does_not_know_yet_is_waited_for(
    start_task: StartTask, run: Run, mode: dict[str, Any]
) -> None:
    assert execute(run, start_task(visible_after=0.3), **mode) == {"messaging:a": {"status": "ok"}}


@pytest.mark.parametrize("status", [400, 401, 403])
def test_an_error_that_does_not_pass_is_a_failure_at_once(
    start_task: StartTask, control: SandboxControl, run: Run, mode: dict[str, Any], status: int
) -> None:
    task_id = start_task()
    control.fault("api_error", operation="GetTask", status=status, code=43)
    with pytest.raises(StreamApiException, match="Check the API secret") as raised:
        execute(run, task_id, **mode)
    assert raised.value.status_code == status
    assert len(control.journal("GetTask")) == 1


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("rate_limit", {"retry_after": 0}),
        ("unavailable", {}),
        ("broken_json", {}),
        ("reset_before", {}),
    ],
)
def test_an_outage_is_waited_out(
    start_task: StartTask,
    control: SandboxControl,
    run: Run,
    mode: dict[str, Any],
    kind: str,
    options: dict[str, Any],
) -> None:
    task_id = start_task()
    control.budget("GetTask", window=1)  # what a 429 says of the next window
    control.fault(kind, operation="GetTask", times=2, **options)
    assert execute(run, task_id, **mode) == {"messaging:a": {"status": "ok"}}


def test_a_connection_that_cannot_be_used_is_a_failure(
    set_connection: SetConnection, run: Run, mode: dict[str, Any]
) -> None:
    set_connection(password=None)
    with pytest.raises(StreamConfigurationError, match="'stream_default': The connection has no API secret"):
        execute(run, "a", **mode)


# -- soft_fail, never_fail, silent_fail --------------------------------------------------------------------

FAILED = {"end": "failed"}
LATE = {"end": "never"}
REFUSED = {"status": 401}
DOWN = {"status": 503}
UNSET = {"password": None}


@pytest.mark.parametrize(
    ("flags", "fate", "outcome"),
    [
        ({"soft_fail": True}, LATE, AirflowSkipException),
        ({"soft_fail": True}, FAILED, AirflowSkipException),
        ({"soft_fail": True}, REFUSED, StreamApiException),
        ({"soft_fail": True}, UNSET, StreamConfigurationError),
        ({"soft_fail": True}, DOWN, StreamTaskTimeout),
        ({"never_fail": True}, DOWN, AirflowSkipException),
        ({}, DOWN, AirflowSensorTimeout),
        ({"never_fail": True}, LATE, AirflowSkipException),
        ({"never_fail": True}, FAILED, AirflowSkipException),
        ({"never_fail": True}, REFUSED, AirflowSkipException),
        ({"never_fail": True}, UNSET, AirflowSkipException),
        ({"silent_fail": True}, LATE, AirflowSensorTimeout),
        ({"silent_fail": True}, FAILED, StreamTaskFailed),
        ({"silent_fail": True}, REFUSED, AirflowSensorTimeout),
        ({"silent_fail": True}, UNSET, AirflowSensorTimeout),
        ({"silent_fail": True, "soft_fail": True}, REFUSED, AirflowSkipException),
    ],
)
def test_airflows_flags_mean_the_same_in_every_mode(
    set_connection: SetConnection,
    start_task: StartTask,
    control: SandboxControl,
    run: Run,
    mode: dict[str, Any],
    flags: dict[str, Any],
    fate: dict[str, Any],
    outcome: type[Exception],
) -> None:
    task_id = start_task(**(fate if "end" in fate else {}))
    if fate is REFUSED:
        control.fault("api_error", operation="GetTask", status=401, code=43)
    if fate is DOWN:
        control.fault("unavailable", operation="GetTask")
    if fate is UNSET:
        set_connection(**UNSET)
    with pytest.raises(outcome) as raised:
        execute(run, task_id, timeout=0.2, **flags, **mode)
    assert type(raised.value) is outcome


def test_an_airflow_connection_that_does_not_exist_is_never_a_skip(run: Run, mode: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="stream_default") as raised:
        execute(run, "a", timeout=0.2, soft_fail=True, **mode)
    assert not isinstance(raised.value, AirflowSkipException)


# -- one, many, none ---------------------------------------------------------------------------------------


def test_a_list_gives_the_list_of_results(start_task: StartTask, run: Run, mode: dict[str, Any]) -> None:
    ids = [start_task(f"messaging:{n}", running=n / 10) for n in (3, 1, 2)]
    assert execute(run, ids, **mode) == [{f"messaging:{n}": {"status": "ok"}} for n in (3, 1, 2)]


def test_a_list_of_one_gives_a_list(start_task: StartTask, run: Run, mode: dict[str, Any]) -> None:
    assert execute(run, [start_task()], **mode) == [{"messaging:a": {"status": "ok"}}]


def test_of_a_list_all_that_failed_are_named(start_task: StartTask, run: Run, mode: dict[str, Any]) -> None:
    first, second = start_task(end="failed"), start_task(end="failed", running=0.1)
    with pytest.raises(StreamTaskFailed) as raised:
        execute(run, [start_task(), first, second], **mode)
    assert raised.value.task_ids == [first, second]


def test_what_is_listed_twice_fails_once(start_task: StartTask, run: Run, mode: dict[str, Any]) -> None:
    failed = start_task(end="failed")
    with pytest.raises(StreamTaskFailed) as raised:
        execute(run, [failed, failed], **mode)
    assert raised.value.task_ids == [failed]
    assert str(raised.value).count(failed) == 1


def test_of_a_list_the_failed_outweigh_the_unfinished(
    start_task: StartTask, run: Run, mode: dict[str, Any]
) -> None:
    open_, failed = start_task(end="never"), start_task(end="failed")
    with pytest.raises(StreamTaskFailed, match=f"Not finished when the wait ended: the Stream task {open_}"):
        execute(run, [open_, failed], timeout=0.2, **mode)


def test_items_that_failed_are_gathered_from_all_of_a_list(
    start_task: StartTask, run: Run, mode: dict[str, Any]
) -> None:
    ids = [start_task(f"messaging:{n}", failed_items={"*": f"reason {n}"}) for n in (1, 2)]
    execute(run, ids, **mode)
    assert run.xcoms["failed_items"] == {"messaging:1": "reason 1", "messaging:2": "reason 2"}


@pytest.mark.parametrize("nothing", [[], ()])
def test_nothing_to_wait_for_is_success_without_a_request(
    connection: None, control: SandboxControl, run: Run, mode: dict[str, Any], nothing: Any
) -> None:
    assert execute(run, nothing, **mode) == []
    assert control.journal() == []


# -- XComs and logs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("redact", "configured", "url"),
    [
        (None, None, SIGNED),
        (True, None, "https://storage.example/export.json"),
        (None, "True", "https://storage.example/export.json"),
        (False, "True", SIGNED),
    ],
)
def test_signatures_are_cut_off_if_asked_for(
    start_task: StartTask,
    run: Run,
    mode: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    redact: bool | None,
    configured: str | None,
    url: str,
) -> None:
    if configured:
        monkeypatch.setenv("AIRFLOW__STREAMTASKS__REDACT_RESULT_URLS", configured)
    assert execute(run, start_task(result={"url": SIGNED}), redact_result_urls=redact, **mode) == {"url": url}


def test_no_log_shows_a_signature(start_task: StartTask, run: Run, mode: dict[str, Any], logs: Logs) -> None:
    execute(run, start_task(result={"url": SIGNED}), **mode)
    assert "abcdef" not in logs.text


def test_the_log_says_what_is_waited_for(
    start_task: StartTask, run: Run, mode: dict[str, Any], logs: Logs
) -> None:
    task_id = start_task()
    execute(run, task_id, **mode)
    assert f"Waiting up to 20 s for Stream to finish the Stream task {task_id}" in logs.lines


# -- deferral ----------------------------------------------------------------------------------------------


def test_deferring_hands_ids_and_numbers_to_the_trigger(connection: None, run: Run) -> None:
    before = time.time()
    with pytest.raises(TaskDeferred) as raised:
        sensor(["a", "b"], timeout=3600, poke_interval=2, max_wait=60).execute(run.context)
    deferred = raised.value
    assert isinstance(deferred.trigger, StreamTaskTrigger)
    _, arguments = deferred.trigger.serialize()
    assert before <= arguments["started_at"] <= time.time()
    expected = {
        "stream_conn_id": "stream_default",
        "stream_task_ids": ["a", "b"],
        "timeout": 3600,
        "poll_interval": 2,
        "max_poll_interval": 60,
        "keep_on_errors": False,
    }
    assert {name: arguments[name] for name in expected} == expected
    assert deferred.method_name == "execute_complete"
    # The scheduler's own timeout stands behind the trigger's, a little later.
    assert timedelta(seconds=3600) < deferred.timeout <= timedelta(seconds=3660)


@pytest.mark.parametrize(
    ("arguments", "deferrable", "mode"),
    [
        ({}, True, "poke"),
        ({"mode": "poke"}, False, "poke"),
        ({"mode": "reschedule"}, False, "reschedule"),
        ({"deferrable": False}, False, "poke"),
        ({"deferrable": True, "mode": "reschedule"}, True, "reschedule"),
    ],
)
def test_the_sensor_defers_unless_it_is_told_how_else_to_wait(
    arguments: dict[str, Any], deferrable: bool, mode: str
) -> None:
    made = sensor("a", **arguments)
    assert (made.deferrable, made.mode) == (deferrable, mode)


TRIGGER_TIMEOUT = {"error": TriggerFailureReason.TRIGGER_TIMEOUT.value}


@pytest.mark.parametrize(
    ("fate", "flags", "outcome"),
    [
        ({}, {}, None),
        ({"end": "failed"}, {}, StreamTaskFailed),
        ({"end": "never"}, {}, AirflowSensorTimeout),
        ({"end": "never"}, {"soft_fail": True}, AirflowSkipException),
        ({"end": "never"}, {"never_fail": True}, AirflowSkipException),
    ],
)
def test_when_no_triggerer_was_alive_one_look_decides(
    start_task: StartTask,
    control: SandboxControl,
    run: Run,
    fate: dict[str, Any],
    flags: dict[str, Any],
    outcome: type[Exception] | None,
) -> None:
    waiting = sensor(start_task(**fate), timeout=3600, **flags)
    if outcome is None:
        result = run.resume(waiting, "__fail__", **TRIGGER_TIMEOUT)
        assert result == {"messaging:a": {"status": "ok"}}
    else:
        with pytest.raises(outcome) as raised:
            run.resume(waiting, "__fail__", **TRIGGER_TIMEOUT)
        assert type(raised.value) is outcome
    assert len(control.journal("GetTask")) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_when_no_triggerer_was_alive_and_stream_refuses_that_is_no_skip(
    start_task: StartTask, control: SandboxControl, run: Run, status: int
) -> None:
    task_id = start_task()
    control.fault("api_error", operation="GetTask", status=status, code=43)
    with pytest.raises(StreamApiException):
        run.resume(sensor(task_id, soft_fail=True), "__fail__", **TRIGGER_TIMEOUT)


BROKEN_TRIGGER = {"error": TriggerFailureReason.TRIGGER_FAILURE.value, "traceback": ["No module named 'x'"]}
"""What Airflow passes where the triggerer could not carry the trigger out, maybe for want of the provider."""


def test_a_trigger_that_broke_is_no_skip_because_nobody_knows_how_the_stream_task_stands(run: Run) -> None:
    with pytest.raises(Exception, match="Trigger failure") as raised:
        run.resume(sensor("a", soft_fail=True), "__fail__", **BROKEN_TRIGGER)
    assert type(raised.value).__name__ == "TaskDeferralError"
    with pytest.raises(AirflowSkipException):
        run.resume(sensor("a", never_fail=True), "__fail__", **BROKEN_TRIGGER)


def test_when_no_triggerer_was_alive_and_the_connection_is_gone_that_is_no_skip(run: Run) -> None:
    with pytest.raises(Exception, match="stream_default") as raised:
        run.resume(sensor("a", soft_fail=True), "__fail__", **TRIGGER_TIMEOUT)
    assert not isinstance(raised.value, AirflowSkipException)


def test_when_the_connection_is_gone_after_the_wait_that_is_no_skip(
    start_task: StartTask, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_connection() -> StreamTaskSensor:
        if run.deferrals:
            monkeypatch.delenv("AIRFLOW_CONN_STREAM_DEFAULT")
        return sensor(task_id, soft_fail=True)

    task_id = start_task()
    with pytest.raises(Exception, match="stream_default") as raised:
        run.execute(without_connection)
    assert not isinstance(raised.value, AirflowSkipException)


def test_a_result_is_fetched_anew_after_the_wait_so_that_its_url_is_fresh(
    start_task: StartTask, control: SandboxControl, run: Run
) -> None:
    execute(run, start_task())
    assert len(control.journal("GetTask")) == 2
    assert len(run.events) == 1


# -- reschedule --------------------------------------------------------------------------------------------


def test_errors_are_counted_across_reschedules(
    start_task: StartTask, control: SandboxControl, run: Run
) -> None:
    run.store.set("stream_errors_since_wait", time.time() - 301)
    run.ti.first_reschedule = datetime.now(timezone.utc) - timedelta(minutes=10)
    task_id = start_task()
    control.fault("unavailable", operation="GetTask")
    with pytest.raises(StreamApiException) as raised:
        execute(run, task_id, timeout=3600, mode="reschedule")
    assert raised.value.status_code == 503
    assert run.reschedules == 0


def test_clocks_of_workers_may_differ(start_task: StartTask, run: Run) -> None:
    run.ti.first_reschedule = datetime.now(timezone.utc) + timedelta(seconds=5)
    task_id = start_task(pending=0, running=0)
    assert execute(run, task_id, mode="reschedule") == {"messaging:a": {"status": "ok"}}
    assert run.reschedules == 0


def test_a_good_answer_ends_the_count_of_errors_across_reschedules(
    start_task: StartTask, control: SandboxControl, run: Run
) -> None:
    run.store.set("stream_errors_since_wait", time.time() - 301)
    run.ti.first_reschedule = datetime.now(timezone.utc) - timedelta(minutes=10)
    task_id = start_task(running=0.3)
    control.fault("unavailable", operation="GetTask", after=1, times=1)
    assert execute(run, task_id, timeout=3600, max_wait=0.05, mode="reschedule") is not None


def test_errors_of_an_earlier_try_do_not_count(
    start_task: StartTask, control: SandboxControl, run: Run
) -> None:
    # The first poke of this try is answered, the second meets an error.
    run.store.set("stream_errors_since_wait", time.time() - 3600)
    task_id = start_task(running=0.3)
    control.fault("unavailable", operation="GetTask", after=1, times=1)
    assert execute(run, task_id, mode="reschedule") == {"messaging:a": {"status": "ok"}}


def test_every_poke_polls_all_of_a_list_within_the_budget(
    start_task: StartTask, control: SandboxControl, run: Run
) -> None:
    ids = [start_task(running=1) for _ in range(40)]
    control.budget("GetTask", limit=60, window=3)
    assert len(execute(run, ids, mode="reschedule", max_wait=0.05)) == len(ids)
    journal = control.journal("GetTask")
    assert {request["status"] for request in journal} == {200}
    assert len({request["path"] for request in journal[: len(ids)]}) == len(ids)


def test_the_deadline_counts_from_the_first_poke(
    start_task: StartTask, control: SandboxControl, run: Run
) -> None:
    run.ti.first_reschedule = datetime.now(timezone.utc) - timedelta(minutes=10)
    with pytest.raises(AirflowSensorTimeout):
        execute(run, start_task(end="never"), timeout=599, mode="reschedule")
    assert len(control.journal("GetTask")) == 1


# -- arguments ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "given", "allowed"),
    [
        ({"stream_task_id": None}, "stream_task_id is None", "trigger_rule='none_failed_min_one_success'"),
        ({"stream_task_id": [None]}, "stream_task_id is [None]", "can return an empty list"),
        ({"stream_task_id": 5}, "stream_task_id is 5", "or a list of ids, is needed"),
        ({"stream_task_id": {"a": 1}}, "stream_task_id is a dict", "or a list of ids, is needed"),
        ({"stream_task_id": ""}, "stream_task_id holds ''", "or a list of ids, is needed"),
        ({"stream_task_id": "  "}, "stream_task_id holds '  '", "or a list of ids, is needed"),
        ({"stream_task_id": ".."}, "stream_task_id holds '..'", "or a list of ids, is needed"),
        ({"stream_task_id": "None"}, "stream_task_id holds 'None'", "or a list of ids, is needed"),
        ({"stream_task_id": "\ud800"}, "stream_task_id holds '\\ud800'", "or a list of ids, is needed"),
        ({"stream_task_id": ["a", 5]}, "stream_task_id holds 5", "or a list of ids, is needed"),
        ({"stream_task_id": ["a", [""]]}, "stream_task_id holds ''", "or a list of ids, is needed"),
        ({"stream_task_id": [{"a": 1}]}, "stream_task_id holds a dict", "or a list of ids, is needed"),
        ({"stream_task_id": b"a"}, "stream_task_id is b'a'", "or a list of ids, is needed"),
        ({"stream_task_id": "['a', 'b']"}, "a list that became text in a template", "render_template_as"),
        ({"stream_task_id": "('a',)"}, "a list that became text in a template", "render_template_as"),
        ({"stream_conn_id": ""}, "stream_conn_id is ''", "a non-empty string"),
        ({"stream_conn_id": None}, "stream_conn_id is None", "a non-empty string"),
        ({"stream_conn_id": 5}, "stream_conn_id is 5", "a non-empty string"),
        ({"timeout": -1}, "timeout is -1", "seconds, 0 or more, or a timedelta"),
        ({"timeout": "60"}, "timeout is '60'", "seconds, 0 or more, or a timedelta"),
        ({"timeout": float("nan")}, "timeout is nan", "seconds, 0 or more, or a timedelta"),
        ({"timeout": float("inf")}, "timeout is inf", "seconds, 0 or more, or a timedelta"),
        ({"timeout": True}, "timeout is True", "seconds, 0 or more, or a timedelta"),
        ({"timeout": timedelta(-1)}, "timeout is datetime.timedelta(", "seconds, 0 or more, or a timedelta"),
        ({"poke_interval": -1}, "poke_interval is -1", "seconds, 0 or more, or a timedelta"),
        ({"poke_interval": "1"}, "poke_interval is '1'", "seconds, 0 or more, or a timedelta"),
        ({"max_wait": -1}, "max_wait is -1", "seconds, 0 or more, or a timedelta"),
        ({"max_wait": []}, "max_wait is []", "seconds, 0 or more, or a timedelta"),
        ({"deferrable": "yes"}, "deferrable is 'yes'", "True or False"),
        ({"fail_on_partial": 1}, "fail_on_partial is 1", "True or False"),
        ({"redact_result_urls": "no"}, "redact_result_urls is 'no'", "True or False"),
        ({"push_result": "ids"}, "push_result is 'ids'", "True or False"),
        ({"max_result_size": -1}, "max_result_size is -1", "a whole number, 0 or more"),
        ({"max_result_size": True}, "max_result_size is True", "a whole number, 0 or more"),
        ({"max_result_size": "1k"}, "max_result_size is '1k'", "a whole number, 0 or more"),
        ({"mode": "sleep"}, "received 'sleep'", "must be one of"),
    ],
)
def test_a_bad_argument_is_named_with_what_was_given_and_what_is_allowed(
    arguments: dict[str, Any], given: str, allowed: str
) -> None:
    # Airflow checks the mode; 3.1 raises an exception of its own.
    with pytest.raises((ValueError, AirflowException), match=r".") as raised:
        sensor(**{"stream_task_id": "a", **arguments})
    assert given in str(raised.value)
    assert allowed in str(raised.value)


@pytest.mark.parametrize("value", ["{{ ti.xcom_pull('submit') }}", ["a", "{{ var.value.b }}"]])
def test_what_is_left_to_a_template_is_checked_when_it_is_rendered(run: Run, value: Any) -> None:
    waiting = sensor(value)
    waiting.stream_task_id = None
    with pytest.raises(ValueError, match="no Airflow task that it comes from has pushed an id"):
        waiting.execute(run.context)


def test_a_list_that_became_text_in_a_template_is_explained(run: Run) -> None:
    waiting = sensor("{{ ti.xcom_pull('submit') }}")
    waiting.stream_task_id = "['a', 'b']"
    with pytest.raises(ValueError, match="set render_template_as_native_obj=True on the DAG"):
        waiting.execute(run.context)


@pytest.mark.parametrize("template_field", ["stream_task_id", "stream_conn_id"])
def test_templates_are_rendered(template_field: str) -> None:
    waiting = sensor(**{"stream_task_id": "a", template_field: "{{ params.x }}"})
    waiting.render_template_fields(Context(params={"x": "rendered"}))
    assert getattr(waiting, template_field) == "rendered"


@pytest.mark.parametrize(
    ("option", "attribute", "value"),
    [
        ("POLL_INTERVAL", "poke_interval", 3.0),
        ("TIMEOUT", "timeout", 7200.0),
        ("MAX_RESULT_SIZE", "max_result_size", 1_000_000),
    ],
)
def test_the_defaults_come_from_airflows_configuration(
    monkeypatch: pytest.MonkeyPatch, option: str, attribute: str, value: float
) -> None:
    monkeypatch.setenv(f"AIRFLOW__STREAMTASKS__{option}", str(value))
    assert getattr(StreamTaskSensor(task_id="wait", stream_task_id="a"), attribute) == value


# -- in a DAG ----------------------------------------------------------------------------------------------


def test_a_dag_with_the_sensor_survives_airflows_serialization() -> None:
    with DAG("waits", schedule=None) as dag:
        submit = StreamDeleteChannelsOperator(task_id="submit", cids=["messaging:a"], hard_delete=True)
        sensor(submit.output, timeout=timedelta(hours=1), max_wait=timedelta(seconds=10))
    written = json.loads(json.dumps(DagSerialization.to_dict(dag)))
    read = DagSerialization.from_dict(written)
    waiting = read.get_task("wait")
    assert waiting.task_type == "StreamTaskSensor"
    assert waiting.upstream_task_ids == {"submit"}
    assert set(waiting.template_fields) == {"stream_task_id", "stream_conn_id"}


def test_the_output_of_an_operator_makes_it_the_upstream() -> None:
    with DAG("waits", schedule=None):
        submit = StreamDeleteChannelsOperator(task_id="submit", cids=["messaging:a"])
        waiting = sensor(submit.output)
    assert waiting.upstream_task_ids == {"submit"}


def test_the_verdict_can_be_caught_as_streams_exception(start_task: StartTask, run: Run) -> None:
    with pytest.raises(StreamTaskException) as raised:
        execute(run, start_task(end="failed"))
    assert isinstance(raised.value, StreamException)


# -- no time at all ----------------------------------------------------------------------------------------


def test_without_any_time_it_looks_once_and_takes_what_is_finished(
    start_task: StartTask, run: Run, mode: dict[str, Any], control: SandboxControl
) -> None:
    assert execute(run, start_task(), timeout=0, **mode) == {"messaging:a": {"status": "ok"}}


def test_without_any_time_it_looks_once_and_gives_up(
    start_task: StartTask, run: Run, mode: dict[str, Any], control: SandboxControl
) -> None:
    with pytest.raises(AirflowSensorTimeout, match="within 0 s"):
        execute(run, start_task(end="never"), timeout=0, **mode)
    assert len(control.journal("GetTask")) == 1
    assert run.reschedules == 0


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("wrong", [None, {"conn_id": "stream_default"}])
def test_a_template_may_give_no_connection(
    wrong: Any, deferrable: bool, connection: None, control: SandboxControl
) -> None:
    sensor = StreamTaskSensor(
        task_id="wait", stream_task_id="0000", stream_conn_id="{{ params.conn }}", deferrable=deferrable
    )
    sensor.stream_conn_id = (
        wrong  # as render_template_as_native_obj, or an XCom that nobody pushed, leaves it
    )
    with pytest.raises(ValueError, match=r"^stream_conn_id is .*: a non-empty string is needed"):
        Run().execute(lambda: sensor)
    assert control.journal() == []
