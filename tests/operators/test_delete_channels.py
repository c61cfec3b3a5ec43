from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowSensorTimeout, TaskDeferred
from airflow.sdk import DAG, Context
from airflow.sdk.bases.operator import TriggerFailureReason

from airflow_provider_streamtasks.exceptions import StreamApiException, StreamException, StreamTaskException
from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.sandbox import SandboxControl
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from airflow_provider_streamtasks.triggers.task import StreamTaskTrigger
from tests.airflow_tasks import Run
from tests.conftest import Logs, SetConnection

SIGNED = "https://storage.example/export.json?Signature=abcdef"
WAYS: dict[str, dict[str, Any]] = {
    "on-the-worker": {"wait_for_completion": True, "deferrable": False},
    "deferred": {"wait_for_completion": True, "deferrable": True},
}


@pytest.fixture(params=WAYS)
def waiting(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A way of waiting for completion: in both the same must come out."""
    return WAYS[request.param]


@pytest.fixture
def run(connection: None) -> Run:
    return Run()


@pytest.fixture
def at_once(control: SandboxControl) -> None:
    """Every Stream task completes as soon as it is started."""
    control.fate(pending=0, running=0)


def delete(cids: Any = ("messaging:a",), **arguments: Any) -> StreamDeleteChannelsOperator:
    return StreamDeleteChannelsOperator(
        **{
            "task_id": "delete",
            "cids": cids if not isinstance(cids, tuple) else list(cids),
            "hard_delete": True,
            "poll_interval": 0.05,
            "wait_timeout": 20,
            **arguments,
        }
    )


def execute(run: Run, *args: Any, **arguments: Any) -> Any:
    return run.execute(lambda: delete(*args, **arguments))


def started(control: SandboxControl) -> list[str]:
    return [request["stream_task_id"] for request in control.journal("DeleteChannels") if request["taken"]]


# -- submitting --------------------------------------------------------------------------------------------


def test_of_one_batch_mapped_tasks_can_be_made_too(run: Run, control: SandboxControl) -> None:
    with DAG("dag", schedule=None):
        operator = delete()
        StreamTaskSensor.partial(task_id="wait").expand(stream_task_id=operator.output)
    # Airflow would fail it for returning anything else, after Stream had accepted the batch.
    assert run.execute(lambda: operator) == started(control)


def test_one_batch_gives_the_id_and_the_list_of_one(run: Run, control: SandboxControl) -> None:
    result = execute(run, ["messaging:a", "messaging:b"])
    assert [result] == started(control)
    assert run.xcoms == {"return_value": result, "task_ids": [result]}
    (request,) = control.journal("DeleteChannels")
    assert request["body"] == {"cids": ["messaging:a", "messaging:b"], "hard_delete": True}


def test_submitting_does_not_wait(run: Run, control: SandboxControl) -> None:
    execute(run)
    assert control.journal("GetTask") == []


def test_more_than_a_hundred_become_batches_in_order(run: Run, control: SandboxControl) -> None:
    cids = [f"messaging:{number}" for number in range(250)]
    result = execute(run, cids)
    batches = [request["items"] for request in control.journal("DeleteChannels")]
    assert [len(batch) for batch in batches] == [100, 100, 50]
    assert [cid for batch in batches for cid in batch] == cids
    assert result == started(control)
    assert run.xcoms["task_ids"] == run.xcoms["return_value"] == result


def test_a_hundred_are_one_batch(run: Run, control: SandboxControl) -> None:
    execute(run, [f"messaging:{number}" for number in range(100)])
    assert len(control.journal("DeleteChannels")) == 1


def test_duplicates_are_dropped_before_batches_are_cut(run: Run, control: SandboxControl) -> None:
    execute(run, [f"messaging:{number % 100}" for number in range(250)])
    (request,) = control.journal("DeleteChannels")
    assert request["items"] == [f"messaging:{number}" for number in range(100)]


# -- soft deletion: a result, a Stream task, or both ---------------------------------------------------------

OK = {"messaging:a": {"status": "ok"}}
ANSWERS: dict[str, dict[str, Any]] = {
    "both": {},
    "result-only": {"task_id": False},
    "task-only": {"result_at_once": False},
}
HAS_TASK = pytest.mark.parametrize("answer", [ANSWERS["both"], ANSWERS["task-only"]], ids=["both", "task"])


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_soft_delete_hands_on_what_the_answer_says(run: Run, control: SandboxControl, answer: str) -> None:
    control.fate(**ANSWERS[answer])
    result = execute(run, ["messaging:a"], hard_delete=False)
    assert result == ([] if answer == "result-only" else started(control)[0])
    assert run.xcoms == {
        "return_value": result,
        "task_ids": [result] if result else [],
        **({} if answer == "task-only" else {"result": OK}),
    }
    assert control.journal("GetTask") == []


@HAS_TASK
def test_a_soft_delete_is_waited_for(
    run: Run, control: SandboxControl, waiting: dict[str, Any], answer: dict[str, Any]
) -> None:
    control.fate(pending=0.1, running=0, **answer)
    assert execute(run, hard_delete=False, **waiting) == started(control)[0]
    assert run.xcoms["result"] == OK
    assert len(run.deferrals) == waiting["deferrable"]


def test_a_soft_delete_without_a_stream_task_has_nothing_to_wait_for(
    run: Run, control: SandboxControl, waiting: dict[str, Any]
) -> None:
    control.fate(task_id=False)
    assert execute(run, hard_delete=False, **waiting) == []
    assert run.xcoms["result"] == OK
    assert run.deferrals == []
    assert control.journal("GetTask") == []


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("answer", ANSWERS)
def test_a_sensor_waits_for_a_soft_delete(
    run: Run, control: SandboxControl, answer: str, deferrable: bool
) -> None:
    control.fate(pending=0.1, running=0, **ANSWERS[answer])
    ids = execute(run, hard_delete=False)
    waited = run.execute(
        lambda: StreamTaskSensor(
            task_id="wait", stream_task_id=ids, poke_interval=0.05, timeout=20, deferrable=deferrable
        )
    )
    assert waited == ([] if answer == "result-only" else OK)


@HAS_TASK
def test_a_soft_delete_ends_as_its_stream_task_ends(
    run: Run, control: SandboxControl, waiting: dict[str, Any], answer: dict[str, Any]
) -> None:
    control.fate(pending=0, running=0, end="failed", **answer)
    with pytest.raises(StreamTaskException, match="internal_error"):
        execute(run, hard_delete=False, **waiting)
    assert "result" not in run.xcoms


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_a_retry_of_a_soft_delete_sends_what_failed(
    run: Run, control: SandboxControl, waiting: dict[str, Any], answer: dict[str, Any]
) -> None:
    control.fate(pending=0, running=0)
    control.fate(pending=0, running=0, failed_items={"messaging:b": "gone"}, times=1, **answer)
    arguments = {"hard_delete": False, "fail_on_partial": True, **waiting}
    with pytest.raises(StreamTaskException, match=r"1 item failed: messaging:b \(gone\)"):
        execute(run, ["messaging:a", "messaging:b"], **arguments)
    assert run.xcoms["failed_items"] == {"messaging:b": "gone"}
    execute(run, ["messaging:a", "messaging:b"], **arguments)
    assert [entry["items"] for entry in control.journal("DeleteChannels")] == [
        ["messaging:a", "messaging:b"],
        ["messaging:b"],
    ]


def test_what_the_answer_refused_stays_failed_where_the_stream_task_does_not_name_it(
    run: Run, control: SandboxControl, waiting: dict[str, Any]
) -> None:
    control.fate(pending=0, running=0, failed_items={"messaging:b": "gone"}, result=OK, times=1)
    arguments = {"hard_delete": False, "fail_on_partial": True, **waiting}
    with pytest.raises(StreamTaskException, match=r"1 item failed: messaging:b \(gone\)") as caught:
        execute(run, ["messaging:a", "messaging:b"], **arguments)
    assert caught.value.task_ids == started(control)
    control.fate(pending=0, running=0)
    execute(run, ["messaging:a", "messaging:b"], **arguments)
    assert control.journal("DeleteChannels")[-1]["items"] == ["messaging:b"]


class WithoutStore(Run):
    """An Airflow task before Airflow 3.3, whose notes end with the process."""

    @property
    def context(self) -> Any:
        return {"ti": self.ti, "task_instance": self.ti}


def test_what_the_answer_refused_is_not_forgotten_where_nothing_is_kept(
    connection: None, control: SandboxControl, waiting: dict[str, Any]
) -> None:
    control.fate(pending=0, running=0, failed_items={"messaging:b": "gone"}, result=OK)
    run = WithoutStore()
    with pytest.raises(StreamTaskException, match=r"1 item failed: messaging:b \(gone\)"):
        execute(run, ["messaging:a", "messaging:b"], hard_delete=False, fail_on_partial=True, **waiting)
    assert run.xcoms["failed_items"] == {"messaging:b": "gone"}


def test_what_the_answer_refused_is_done_where_the_stream_task_says_so(
    run: Run, control: SandboxControl, waiting: dict[str, Any]
) -> None:
    result = {cid: {"status": "ok"} for cid in ("messaging:a", "messaging:b")}
    control.fate(pending=0, running=0, failed_items={"messaging:b": "busy"}, result=result)
    execute(run, list(result), hard_delete=False, fail_on_partial=True, **waiting)
    assert run.xcoms["result"] == result


def test_an_answer_with_neither_a_stream_task_nor_a_result_is_no_success(
    run: Run, control: SandboxControl
) -> None:
    control.fate(task_id=False, result_at_once=False)
    with pytest.raises(StreamException, match="the answer holds no id at 'task_id', but 'duration'"):
        execute(run, hard_delete=False)
    assert run.xcoms["task_ids"] == []
    assert len(control.journal("DeleteChannels")) == 1


def test_channels_that_could_not_be_deleted_are_gathered_from_all_batches(
    run: Run, control: SandboxControl
) -> None:
    control.fate(failed_items={"messaging:7": "gone", "messaging:107": "busy"})
    execute(run, [f"messaging:{number}" for number in range(150)], hard_delete=False)
    assert run.xcoms["failed_items"] == {"messaging:7": "gone", "messaging:107": "busy"}


def test_channels_that_a_soft_delete_could_not_delete_are_a_warning(
    run: Run, control: SandboxControl, logs: Logs
) -> None:
    control.fate(failed_items={"messaging:b": "gone"})
    execute(run, ["messaging:a", "messaging:b"], hard_delete=False)
    assert run.xcoms["failed_items"] == {"messaging:b": "gone"}
    assert "1 item failed: messaging:b (gone)" in logs.text


def test_channels_that_a_soft_delete_could_not_delete_are_a_failure_if_asked_for(
    run: Run, control: SandboxControl
) -> None:
    control.fate(failed_items={"messaging:b": "gone"})
    with pytest.raises(StreamTaskException, match=r"1 item failed: messaging:b \(gone\)"):
        execute(run, ["messaging:a", "messaging:b"], hard_delete=False, fail_on_partial=True)
    assert run.xcoms["failed_items"] == {"messaging:b": "gone"}


def test_when_a_later_batch_is_refused_the_ids_of_the_earlier_stay(run: Run, control: SandboxControl) -> None:
    control.fault("api_error", operation="DeleteChannels", status=403, code=17, after=1)
    with pytest.raises(StreamApiException) as raised:
        execute(run, [f"messaging:{number}" for number in range(250)])
    assert raised.value.status_code == 403
    assert len(control.journal("DeleteChannels")) == 2
    assert run.xcoms == {"task_ids": started(control)}
    assert len(run.xcoms["task_ids"]) == 1


@pytest.mark.parametrize(
    ("kind", "options"), [("reset_after", {}), ("unavailable", {"taken": True}), ("broken_json", {})]
)
def test_an_ambiguous_batch_is_sent_once_and_reported_as_ambiguous(
    run: Run, control: SandboxControl, kind: str, options: dict[str, Any]
) -> None:
    control.fault(kind, operation="DeleteChannels", **options)
    with pytest.raises(StreamException, match="may or may not have"):
        execute(run)
    assert len(control.journal("DeleteChannels")) == 1
    assert run.xcoms == {"task_ids": []}


def test_a_spent_budget_is_waited_for(run: Run, control: SandboxControl) -> None:
    # Windows of a second make the pause short that lasts up to a minute at Stream.
    control.budget("DeleteChannels", limit=1, window=1)
    assert execute(run, [f"messaging:{number}" for number in range(150)]) == started(control)
    taken = [request["time"] for request in control.journal("DeleteChannels") if request["taken"]]
    assert len({int(moment) for moment in taken}) == 2


def test_a_connection_that_cannot_be_used_fails_before_anything_is_sent(
    set_connection: SetConnection, run: Run, control: SandboxControl
) -> None:
    set_connection(login=None)
    with pytest.raises(StreamException, match="has no API key"):
        execute(run)
    assert control.journal() == []


# -- waiting -----------------------------------------------------------------------------------------------


def test_completed_is_success_with_id_and_result(
    run: Run, control: SandboxControl, waiting: dict[str, Any]
) -> None:
    result = execute(run, **waiting)
    assert [result] == started(control)
    assert run.xcoms == {
        "return_value": result,
        "task_ids": [result],
        "result": {"messaging:a": {"status": "ok"}},
    }
    assert len(run.deferrals) == waiting["deferrable"]


@pytest.mark.usefixtures("at_once")
def test_several_batches_give_lists(run: Run, control: SandboxControl, waiting: dict[str, Any]) -> None:
    result = execute(run, [f"messaging:{number}" for number in range(150)], **waiting)
    assert result == started(control)
    assert [len(each) for each in run.xcoms["result"]] == [100, 50]


def test_items_that_failed_inside_are_a_warning(
    run: Run, control: SandboxControl, waiting: dict[str, Any], logs: Logs
) -> None:
    control.fate(pending=0, running=0, failed_items={"messaging:b": "gone"})
    execute(run, ["messaging:a", "messaging:b"], **waiting)
    assert run.xcoms["failed_items"] == {"messaging:b": "gone"}
    assert "1 item failed: messaging:b (gone)" in logs.text


def test_items_that_failed_inside_are_a_failure_if_asked_for(
    run: Run, control: SandboxControl, waiting: dict[str, Any]
) -> None:
    control.fate(pending=0, running=0, failed_items={"messaging:b": "gone"})
    with pytest.raises(StreamTaskException, match="1 item failed") as raised:
        execute(run, ["messaging:a", "messaging:b"], fail_on_partial=True, **waiting)
    assert raised.value.failed_items == {"messaging:b": "gone"}
    assert run.xcoms["failed_items"] == {"messaging:b": "gone"}
    assert run.xcoms["task_ids"] == started(control)


@pytest.mark.parametrize("end", ["failed", "error"])
def test_failed_is_a_failure_that_airflow_may_retry(
    run: Run, control: SandboxControl, waiting: dict[str, Any], end: str
) -> None:
    control.fate(pending=0, running=0, end=end, error={"type": "storage", "description": "full"})
    with pytest.raises(StreamTaskException, match="storage: full") as raised:
        execute(run, **waiting)
    # A retry submits anew, so this is no verdict for ever, as it is in the sensor.
    assert not isinstance(raised.value, AirflowException)
    assert run.xcoms["task_ids"] == started(control)


def test_the_deadline_is_a_sensor_timeout(run: Run, control: SandboxControl, waiting: dict[str, Any]) -> None:
    control.fate(end="never")
    with pytest.raises(AirflowSensorTimeout, match=r"within 0\.4 s\. Waiting ended, not the work"):
        execute(run, wait_timeout=0.4, **waiting)
    assert run.xcoms["task_ids"] == started(control)


def test_an_error_that_does_not_pass_is_a_failure_at_once(
    run: Run, control: SandboxControl, waiting: dict[str, Any]
) -> None:
    control.fault("api_error", operation="GetTask", status=403, code=17)
    with pytest.raises(StreamApiException) as raised:
        execute(run, **waiting)
    assert raised.value.status_code == 403
    assert len(control.journal("GetTask")) == 1


def test_an_outage_is_waited_out(run: Run, control: SandboxControl, waiting: dict[str, Any]) -> None:
    control.fault("unavailable", operation="GetTask", times=2)
    assert [execute(run, **waiting)] == started(control)


@pytest.mark.parametrize(("redact", "url"), [(False, SIGNED), (True, "https://storage.example/export.json")])
def test_signatures_are_cut_off_if_asked_for(
    run: Run, control: SandboxControl, waiting: dict[str, Any], redact: bool, url: str
) -> None:
    control.fate(pending=0, running=0, result={"url": SIGNED})
    execute(run, redact_result_urls=redact, **waiting)
    assert run.xcoms["result"] == {"url": url}


def test_deferring_hands_ids_and_numbers_to_the_trigger(run: Run, control: SandboxControl) -> None:
    before = time.time()
    operator = delete(
        [f"messaging:{number}" for number in range(150)],
        wait_timeout=timedelta(hours=1),
        poll_interval=2,
        **WAYS["deferred"],
    )
    with pytest.raises(TaskDeferred) as raised:
        operator.execute(run.context)
    assert isinstance(raised.value.trigger, StreamTaskTrigger)
    _, arguments = raised.value.trigger.serialize()
    assert before <= arguments["started_at"] <= time.time()
    expected = {
        "stream_conn_id": "stream_default",
        "stream_task_ids": started(control),
        "timeout": 3600,
        "poll_interval": 2,
        "max_poll_interval": 30,
        "keep_on_errors": False,
    }
    assert {name: arguments[name] for name in expected} == expected
    assert raised.value.method_name == "execute_complete"
    assert timedelta(seconds=3600) < raised.value.timeout <= timedelta(seconds=3660)
    assert run.xcoms == {"task_ids": started(control)}


@pytest.mark.parametrize(
    ("fate", "outcome"),
    [({}, None), ({"end": "failed"}, StreamTaskException), ({"end": "never"}, AirflowSensorTimeout)],
)
def test_when_no_triggerer_was_alive_one_look_decides(
    run: Run, control: SandboxControl, fate: dict[str, Any], outcome: type[Exception] | None
) -> None:
    control.fate(pending=0, running=0, **fate)
    with pytest.raises(TaskDeferred):
        delete(wait_timeout=3600, **WAYS["deferred"]).execute(run.context)
    again = delete(wait_timeout=3600, **WAYS["deferred"])
    timeout = {"error": TriggerFailureReason.TRIGGER_TIMEOUT.value}
    if outcome is None:
        assert [run.resume(again, "__fail__", **timeout)] == started(control)
    else:
        with pytest.raises(outcome):
            run.resume(again, "__fail__", **timeout)
    assert len(control.journal("GetTask")) == 1
    assert len(control.journal("DeleteChannels")) == 1


@pytest.mark.parametrize(("configured", "deferrable"), [("True", True), ("False", False)])
def test_whether_it_defers_is_airflows_default(
    monkeypatch: pytest.MonkeyPatch, configured: str, deferrable: bool
) -> None:
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", configured)
    assert delete().deferrable is deferrable


# -- on_kill -----------------------------------------------------------------------------------------------


def test_the_log_says_for_what_a_worker_waits_and_how_long(run: Run, logs: Logs) -> None:
    task_id = run.execute(lambda: delete(wait_for_completion=True, deferrable=False, wait_timeout=20))
    assert f"Waiting up to 20 s for Stream to finish the Stream task {task_id}" in logs.lines


def test_when_it_is_killed_the_log_names_what_goes_on(run: Run, control: SandboxControl, logs: Logs) -> None:
    operator = delete()
    operator.execute(run.context)
    operator.on_kill()
    (task_id,) = started(control)
    assert f"Nothing is cancelled at Stream: it goes on with the Stream task {task_id}" in logs.text


def test_when_it_is_killed_before_anything_was_accepted_there_is_nothing_to_say(logs: Logs) -> None:
    delete().on_kill()
    assert "goes on" not in logs.text


# -- arguments ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named", "given"),
    [
        ({"cids": []}, "cids", "empty"),
        ({"cids": "messaging:a"}, "cids", "'messaging:a'"),
        ({"cids": None}, "cids", "None"),
        ({"cids": 5}, "cids", "5"),
        ({"cids": ["general"]}, "cids", "'general'"),
        ({"cids": ["messaging:a", None]}, "cids", "None"),
        ({"cids": ["messaging:a", "messaging: b"]}, "cids", "'messaging: b'"),
        ({"hard_delete": "yes"}, "hard_delete", "'yes'"),
        ({"hard_delete": 1}, "hard_delete", "1"),
        ({"stream_conn_id": ""}, "stream_conn_id", "''"),
        ({"wait_for_completion": "yes"}, "wait_for_completion", "'yes'"),
        ({"deferrable": 1}, "deferrable", "1"),
        ({"fail_on_partial": None}, "fail_on_partial", "None"),
        ({"redact_result_urls": "no"}, "redact_result_urls", "'no'"),
        ({"poll_interval": -1}, "poll_interval", "-1"),
        ({"poll_interval": "1"}, "poll_interval", "'1'"),
        ({"wait_timeout": -1}, "wait_timeout", "-1"),
        ({"wait_timeout": timedelta(-1)}, "wait_timeout", "timedelta"),
        ({"wait_timeout": float("nan")}, "wait_timeout", "nan"),
        ({"wait_timeout": True}, "wait_timeout", "True"),
    ],
)
def test_a_bad_argument_is_refused_when_the_dag_is_parsed(
    arguments: dict[str, Any], named: str, given: str
) -> None:
    with pytest.raises(ValueError, match=named) as raised:
        delete(**arguments)
    assert given in str(raised.value)


@pytest.mark.parametrize("rendered", [[], "['messaging:a']", None, ["general"]])
def test_what_is_left_to_a_template_is_checked_before_anything_is_sent(
    run: Run, control: SandboxControl, rendered: Any
) -> None:
    operator = delete("{{ ti.xcom_pull('list_channels') }}")
    operator.cids = rendered
    with pytest.raises(ValueError, match="cids"):
        operator.execute(run.context)
    assert control.journal() == []


def test_a_bad_item_far_down_the_list_stops_the_first_batch_too(run: Run, control: SandboxControl) -> None:
    operator = delete("{{ ti.xcom_pull('list_channels') }}")
    operator.cids = [*(f"messaging:{number}" for number in range(150)), "general"]
    with pytest.raises(ValueError, match="'general'"):
        operator.execute(run.context)
    assert control.journal() == []


def test_the_output_of_another_airflow_task_is_taken() -> None:
    with DAG("deletes", schedule=None):
        first = delete()
        second = delete(first.output, task_id="second")
    assert second.upstream_task_ids == {"delete"}


@pytest.mark.parametrize(
    ("field", "value"), [("cids", ["{{ params.x }}"]), ("stream_conn_id", "{{ params.x }}")]
)
def test_templates_are_rendered(field: str, value: Any) -> None:
    operator = delete(**{field: value})
    operator.render_template_fields(Context(params={"x": "messaging:rendered"}))
    assert "messaging:rendered" in getattr(operator, field)


@pytest.mark.parametrize(
    ("option", "attribute", "seconds"),
    [("POLL_INTERVAL", "poll_interval", 3.0), ("TIMEOUT", "wait_timeout", 7200.0)],
)
def test_the_defaults_come_from_airflows_configuration(
    monkeypatch: pytest.MonkeyPatch, option: str, attribute: str, seconds: float
) -> None:
    monkeypatch.setenv(f"AIRFLOW__STREAMTASKS__{option}", str(seconds))
    assert getattr(delete(**{attribute: None}), attribute) == seconds
