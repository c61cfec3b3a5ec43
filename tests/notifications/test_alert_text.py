from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests
from airflow.providers.common.compat.sdk import AirflowSensorTimeout
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.log import mask_secret

from airflow_provider_streamtasks.exceptions import (
    MAY_HAVE_BEEN_TAKEN,
    StreamApiException,
    StreamConfigurationError,
    StreamException,
    StreamRateLimitException,
    StreamSubmissionException,
    StreamTaskException,
    StreamTaskTimeout,
    StreamTransportException,
)
from airflow_provider_streamtasks.notifications.alerts import MAX_LINE, alert_text
from airflow_provider_streamtasks.operators.chat import (
    StreamDeleteChannelsOperator,
    StreamExportChannelsOperator,
)
from airflow_provider_streamtasks.operators.data_import import StreamImportV2Operator
from airflow_provider_streamtasks.sandbox import SandboxControl
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from tests.conftest import StartTask
from tests.notifications.conftest import ERROR, LOG_URL, Fail, FailedTaskInstance

LABELS = ("For: ", "Since: ", "What to do: ", "Log: ")


def sensor(stream_task_id: Any = "t-1", **arguments: Any) -> StreamTaskSensor:
    return StreamTaskSensor(
        **{"task_id": "wait", "stream_task_id": stream_task_id, "poke_interval": 0.05, **arguments}
    )


def delete(**arguments: Any) -> StreamDeleteChannelsOperator:
    return StreamDeleteChannelsOperator(**{"task_id": "delete", "cids": ["messaging:a"], **arguments})


def context(exception: object = None, task: Any = None, **others: Any) -> Any:
    ti = FailedTaskInstance(task.task_id if task else "wait")
    return {"ti": ti, "task": task, "exception": exception, **others}


def lines(context: Any) -> list[str]:
    """The five lines, without their labels."""
    first, *others = alert_text(context).splitlines()
    assert [line.startswith(label) for line, label in zip(others, LABELS, strict=True)] == [True] * 4
    return [first, *(line.removeprefix(label) for line, label in zip(others, LABELS, strict=True))]


# -- all of it ---------------------------------------------------------------------------------------------


def test_a_failed_sensor_says_what_failed_for_which_items_since_when_what_to_do_and_where_the_log_is(
    failed: Any,
) -> None:
    error = failed["exception"]
    created = datetime.fromtimestamp(error.created_at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    assert alert_text(failed).splitlines() == [
        "nightly.wait failed (run night-7, try 2 of 3): DeleteChannels ended with storage_error: "
        "message store down",
        f"For: cids messaging:a, messaging:b; Stream task {error.task_id}",
        f"Since: the Stream task was created {created}, this try began 2026-01-07 01:02:03 UTC",
        "What to do: A failed Stream task stays failed. Clear the Airflow task that submitted it to submit "
        "it again, or ask Stream's support about its id.",
        f"Log: {LOG_URL}",
    ]


def test_a_failed_operator_that_waits_says_to_clear_itself(
    connection: None, control: SandboxControl, fail: Fail
) -> None:
    control.fate(pending=0, running=0, end="failed", error=ERROR)
    what, which, _, to_do, _ = lines(
        fail(delete(hard_delete=True, wait_for_completion=True, poll_interval=0))
    )
    stream_task_id = control.tasks()[0]["stream_task_id"]
    assert what.endswith("DeleteChannels ended with storage_error: message store down")
    assert which == f"cids messaging:a; Stream task {stream_task_id}"
    assert "Clear this Airflow task to submit it again" in to_do


# -- what failed -------------------------------------------------------------------------------------------


def test_a_sensor_that_ran_out_of_time_names_the_stream_task_and_that_it_goes_on(
    start_task: StartTask, fail: Fail
) -> None:
    stream_task_id = start_task(end="never")
    failed = fail(sensor(stream_task_id, timeout=0.1))
    what, which, _, to_do, _ = lines(failed)
    assert isinstance(failed["exception"], AirflowSensorTimeout)
    assert f"Stream did not finish the Stream task {stream_task_id} within 0.1 s" in what
    assert which == f"Stream task {stream_task_id}"
    assert "Clear this Airflow task to wait once more, which submits nothing" in to_do


def test_the_timeout_of_a_sensor_has_the_fields_that_templates_name(
    start_task: StartTask, fail: Fail
) -> None:
    stream_task_id = start_task(end="never")
    error = fail(sensor(stream_task_id, timeout=0.1))["exception"]
    assert (error.task_id, error.task_ids, error.error_type) == (stream_task_id, [stream_task_id], "timeout")
    assert error.description.startswith("Stream did not finish")
    assert (error.stack_trace, error.version) == ("", "")


def test_an_operator_that_ran_out_of_time_warns_of_submitting_twice(
    connection: None, control: SandboxControl, fail: Fail
) -> None:
    control.fate(end="never")
    failed = fail(delete(hard_delete=True, wait_for_completion=True, poll_interval=0, wait_timeout=0.1))
    assert "Do not clear this Airflow task, which would submit it again" in lines(failed)[3]


def test_an_error_that_ended_the_wait_alone_warns_of_submitting_twice(
    connection: None, control: SandboxControl, fail: Fail
) -> None:
    control.fault("api_error", operation="GetTask", status=403, code=17)
    failed = fail(delete(hard_delete=True, wait_for_completion=True, poll_interval=0))
    assert isinstance(failed["exception"], StreamApiException)
    assert "Clearing this Airflow task would submit it again" in lines(failed)[3]


def test_a_function_that_ran_out_of_time_may_have_submitted(
    connection: None, control: SandboxControl, fail: Fail
) -> None:
    control.fate(end="never")
    failed = fail(delete(hard_delete=True, wait_for_completion=True, poll_interval=0, wait_timeout=0.1))
    outer = EmptyOperator(task_id="outer")
    to_do = lines({**failed, "task": outer})[3]
    assert "Do not clear this Airflow task, which may submit it again" in to_do


def test_what_was_not_done_for_some_items_names_them_and_why(
    connection: None, control: SandboxControl, fail: Fail
) -> None:
    control.fate(pending=0, running=0, failed_items={"messaging:b": "the channel is frozen"})
    failed = fail(
        delete(
            cids=["messaging:a", "messaging:b"],
            hard_delete=True,
            wait_for_completion=True,
            poll_interval=0,
            fail_on_partial=True,
        )
    )
    what, which, _, to_do, _ = lines(failed)
    assert what.endswith("partial_failure: 1 item failed: messaging:b (the channel is frozen)")
    assert which.startswith("failed items messaging:b; Stream task ")
    assert "The XCom failed_items" in to_do


BATCH_UPDATE = {"operation": "hide", "status": "failed", "failed_channels": [{"reason": "too busy"}]}


@pytest.mark.parametrize(
    ("answer", "told", "items"),
    [
        ({"end": "failed", "error": None, "result": {"description": "full"}}, "failed: full", ""),
        ({"end": "failed", "error": {}, "result": {"reason": "full"}}, "failed: full", ""),
        (
            {"result": BATCH_UPDATE},
            "ended with channel_batch_update: 1 item failed: too busy (Stream does not name the channels)",
            "failed items too busy; ",
        ),
        (
            {"result": {**BATCH_UPDATE, "description": "no such team"}},
            "ended with channel_batch_update: no such team",
            "failed items too busy; ",
        ),
        (
            {"end": "failed", "error": None, "result": {"messaging:a": {"error": "frozen"}}},
            "failed: 1 item failed: messaging:a (frozen)",
            "failed items messaging:a; ",
        ),
    ],
)
def test_the_reason_is_reported_wherever_stream_puts_it(
    answer: dict[str, Any], told: str, items: str, start_task: StartTask, fail: Fail
) -> None:
    what, which, *_ = lines(fail(sensor(start_task(**answer))))
    assert what.endswith(f"a Stream task {told}")
    assert which.startswith(items)


def test_a_failed_import_says_what_is_wrong_with_the_file(
    connection: None, control: SandboxControl, fail: Fail
) -> None:
    control.fate(pending=0, running=0, end="failed", result={"Errors": ["user.id required"] * 4})
    import_v2 = StreamImportV2Operator(
        task_id="import",
        product="chat",
        settings={"path": "x.json"},
        wait_for_completion=True,
        completed_states=[3],
        failed_states=[4],
    )
    what, _, _, to_do, _ = lines(fail(import_v2))
    assert what.endswith(
        "CreateImportV2Task ended with import_failed: the import ended as 4: user.id required; "
        "user.id required; user.id required and 1 more"
    )
    assert to_do == (
        "Correct the file as the XCom validation_report says, if there is one. Clear this Airflow task "
        "afterwards."
    )


def test_a_refused_secret_says_to_check_it(set_connection: Any, fail: Fail) -> None:
    set_connection(password="0" * 64)
    what, which, _, to_do, _ = lines(fail(delete()))
    assert "DeleteChannels: Stream answered 401, code 43" in what
    assert which == "cids messaging:a"
    assert to_do == "Check the API secret: the password of the Airflow connection."


def test_an_answer_that_was_lost_says_that_stream_may_have_taken_it(
    connection: None, control: SandboxControl, fail: Fail
) -> None:
    control.fault("reset_after", operation="DeleteChannels")
    assert "may or may not have taken this submission" in lines(fail(delete()))[3]


@pytest.mark.parametrize(
    ("error", "said", "to_do"),
    [
        (StreamException("it broke"), "it broke", "Read the log."),
        (StreamException("it broke", hint="Mend it."), "it broke", "Mend it."),
        (StreamConfigurationError("no secret"), "no secret", "Correct the Airflow connection"),
        (StreamApiException("no", status_code=400), "Stream answered 400: no", "correct what it names"),
        (StreamApiException("no", status_code=404), "Stream answered 404: no", "Check the id"),
        (StreamApiException("no", status_code=503), "Stream answered 503: no", "https://status.getstream.io"),
        (
            StreamRateLimitException("slow down", status_code=429, retry_after=7.4),
            "Stream answered 429: slow down",
            "wait 7 s",
        ),
        (StreamRateLimitException("", status_code=429), "Stream answered 429", "wait a minute"),
        (StreamTransportException("refused"), "refused", "network, proxy, DNS"),
        (StreamTransportException("reset", may_be_taken=True), "reset", MAY_HAVE_BEEN_TAKEN),
        (StreamTaskTimeout("too late", task_ids=["a"]), "too late", "which may submit it again"),
        (StreamSubmissionException("uncertain", batches=[1]), "uncertain", "Check at Stream what was done"),
        (
            StreamTaskException("x", task_id="a"),
            "Stream task failed: Stream gives no reason",
            "stays failed",
        ),
        (
            StreamTaskException("x", task_id="a", description="full", task_ids=["a", "b"]),
            "a Stream task failed: full (one of 2 Stream tasks that failed)",
            "stays failed",
        ),
        (ValueError("cids is empty"), "ValueError: cids is empty", "Read the log."),
        ("killed", "killed", "Read the log."),
        (None, "Airflow does not tell the reason", "Read the log."),
    ],
)
def test_every_error_says_what_happened_and_what_to_do(error: object, said: str, to_do: str) -> None:
    what, *_, do, _ = lines(context(error))
    assert said in what
    assert to_do in do


def test_the_cause_of_an_exception_of_airflows_is_reported() -> None:
    error = AirflowSensorTimeout("timed out")
    error.__cause__ = StreamTransportException("no route to Stream")
    assert lines(context(error))[0].endswith("no route to Stream")


def test_an_exception_that_is_its_own_cause_is_reported() -> None:
    error = ValueError("raised from itself")
    error.__cause__ = error
    assert lines(context(error))[0].endswith("raised from itself")


# -- for which items ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cids", "named"),
    [
        ([f"messaging:{i}" for i in range(3)], "cids messaging:0, messaging:1, messaging:2"),
        (
            [f"messaging:{i}" for i in range(100)],
            "cids messaging:0, messaging:1, messaging:2 and 97 more",
        ),
        (
            [f"messaging:{i}" for i in range(250)],
            "some of cids messaging:0, messaging:1, messaging:2 and 247 more",
        ),
        ("s3://bucket/cids.txt", "cids s3://bucket/cids.txt"),
        ("{{ params.cids }}", "no items at Stream"),
    ],
)
def test_the_first_items_are_named_and_the_others_counted(cids: Any, named: str) -> None:
    assert lines(context(task=delete(cids=cids)))[1] == named


def test_channels_of_an_export_are_named_by_their_cids() -> None:
    channels = [{"cid": "messaging:a", "messages_since": "2026-01-01T00:00:00Z"}, {"type": "team", "id": "b"}]
    export = StreamExportChannelsOperator(task_id="export", channels=channels)
    assert lines(context(task=export))[1] == "channels messaging:a, b"


def test_a_sensor_names_the_items_of_the_operator_before_it() -> None:
    with DAG("nightly", schedule=None):
        before = delete(cids=["messaging:a"])
        wait = sensor(before.output)
    assert lines(context(task=wait))[1] == "cids messaging:a"


def test_a_sensor_behind_two_operators_names_only_the_stream_tasks() -> None:
    with DAG("nightly", schedule=None):
        wait = sensor(["t-1", "t-2", "t-3", "t-4"])
        [delete(), delete(task_id="other")] >> wait
    assert lines(context(task=wait))[1] == "Stream task t-1, t-2, t-3 and 1 more"


def test_an_instance_of_a_mapped_task_is_named_with_its_index() -> None:
    failed = context()
    failed["ti"].map_index = 4
    assert lines(failed)[0].startswith("nightly.wait[4] failed (run night-7, try 2 of 3)")


# -- other callbacks ---------------------------------------------------------------------------------------


def test_the_callback_of_a_dag_is_about_the_run_and_not_about_the_task_that_ended_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/")
    assert lines(context(task=delete(), run_id="night-7", reason="task_failure")) == [
        "nightly failed (run night-7): task_failure",
        "the whole run",
        "unknown",
        "See which Airflow tasks of the run failed, and read their logs.",
        "https://airflow.example/dags/nightly/runs/night-7",
    ]


def test_a_missed_deadline_is_about_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/")
    run = {"dag_id": "nightly", "dag_run_id": "night 7", "start_date": "2026-01-07T01:00:00Z"}
    due = datetime(2026, 1, 7, 4, tzinfo=timezone(timedelta(hours=1)))
    assert lines({"dag_run": run, "deadline": {"id": "d-1", "deadline_time": due}}) == [
        "nightly missed its deadline (run night 7): it was due at 2026-01-07 03:00:00 UTC",
        "the whole run",
        "the run began 2026-01-07T01:00:00Z",
        "See which Airflow task of the run is not finished, and what it waits for.",
        "https://airflow.example/dags/nightly/runs/night%207",
    ]


def test_a_context_with_nothing_in_it_still_gives_five_lines() -> None:
    assert lines({})[0] == "An unknown DAG ran a callback: Airflow does not tell the reason to this callback"


def test_what_cannot_be_had_is_left_out() -> None:
    class Broken(BaseOperator):
        @property
        def stream_operation(self) -> Any:
            raise RuntimeError("no")

    class HalfMade:
        task_id = "wait"

        @property
        def log_url(self) -> str:
            raise AttributeError("run_id")

    told = lines({"ti": HalfMade(), "task": Broken(task_id="wait"), "exception": ValueError("x")})
    assert told[0] == "An unknown DAG.wait failed: ValueError: x"


# -- nothing that is secret, and not too much --------------------------------------------------------------


def test_the_signature_of_a_url_is_left_out() -> None:
    url = "https://storage.example/export.json?Expires=1&Signature=abcdef"
    text = alert_text(context(ValueError(f"cannot read '{url}', gave up")))
    assert "Signature" not in text
    assert "cannot read 'https://storage.example/export.json', gave up" in text


def test_so_is_that_of_a_url_which_a_library_names_without_its_host() -> None:
    with pytest.raises(requests.ConnectionError) as raised:
        requests.get("http://127.0.0.1:1/export.json?X-Amz-Expires=1&X-Amz-Signature=abcdef", timeout=5)
    text = alert_text(context(raised.value))
    assert "Max retries exceeded with url: /export.json (Caused by" in text
    assert "X-Amz" not in text


def test_what_airflow_masks_in_its_logs_is_masked() -> None:
    mask_secret("correct-horse-battery")
    what = lines(context(ValueError("password=correct-horse-battery")))[0]
    assert what.endswith("password=***")


def test_a_long_error_of_many_lines_becomes_one_line_that_can_be_read() -> None:
    text = alert_text(context(ValueError("\n".join(["too", "long"] * MAX_LINE))))
    assert len(text.splitlines()) == 5
    assert len(text.splitlines()[0]) == MAX_LINE
    assert "too long too" in text
