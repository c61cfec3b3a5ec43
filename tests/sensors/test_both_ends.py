"""A sensor that ends in the triggerer leaves behind what it leaves behind when it ends on a worker."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_streamtasks.operators.data_import import StreamImportV2Operator
from airflow_provider_streamtasks.sandbox import SandboxControl
from airflow_provider_streamtasks.sensors.data_import import StreamImportSensor
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from airflow_provider_streamtasks.triggers.sensor import StreamSensorTrigger
from tests.airflow_tasks import Run, TaskInstance, revived
from tests.conftest import Logs, StartTask
from tests.triggerer import Triggerer, XComs

URL = "https://storage.example/export.json"
SIGNED = f"{URL}?Signature=abcdef"
OK = {"messaging:a": {"status": "ok"}}
PARTIAL = {"messaging:a": {"status": "error", "error": "gone"}}
PEOPLE = {"users": [{"id": "ann", "name": "Ann Smith", "custom": {"phone": "+1-555-0100"}}]}
LARGE = {f"messaging:{number}": {"status": "ok"} for number in range(5_000)}

RESULTS: dict[str, list[Any]] = {
    "one": [OK],
    "none": [None],
    "several": [OK, None, {"url": SIGNED}],
    "partial": [OK, PARTIAL],
    "people": [PEOPLE],
    "mixed": [PEOPLE, {"url": SIGNED}],
    "large": [LARGE],
    "all failed": [{item: {"status": "error", "error": "gone"} for item in LARGE}],
}
POLICIES: list[dict[str, Any]] = [
    {},
    {"push_result": True},
    {"push_result": False},
    {"do_xcom_push": False},
    {"max_result_size": 10},
    {"redact_result_urls": True},
]


@pytest.fixture
def ids(request: pytest.FixtureRequest, start_task: StartTask) -> list[str]:
    return [start_task(result=result) for result in RESULTS[request.param]]


def sensor(ids: list[str], **policy: Any) -> StreamTaskSensor:
    return StreamTaskSensor(
        task_id="wait", stream_task_id=ids if len(ids) > 1 else ids[0], poke_interval=0.05, **policy
    )


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("ids", RESULTS, indirect=True)
def test_xcoms_and_words_are_the_same(
    ids: list[str], policy: dict[str, Any], triggerer: Triggerer, logs: Logs
) -> None:
    in_triggerer = Run()
    in_triggerer.execute(lambda: sensor(ids, **policy), triggerer)
    assert (len(in_triggerer.deferrals), in_triggerer.events) == (1, [])
    said_in_triggerer = told_of(logs)

    run = Run()
    run.execute(lambda: sensor(ids, deferrable=False, **policy))
    assert run.xcoms == in_triggerer.xcoms
    assert Counter(told_of(logs)) == Counter(2 * said_in_triggerer)
    assert "abcdef" not in logs.text


@pytest.mark.parametrize("ids", ["partial"], indirect=True)
def test_a_failure_is_left_to_the_worker(ids: list[str], triggerer: Triggerer, logs: Logs) -> None:
    waiting = sensor(ids, fail_on_partial=True)
    event = triggerer.fire(revived(waiting.new_trigger(ids)), TaskInstance())
    assert event.payload["outcome"] == "completed"
    assert triggerer.xcoms == {}
    assert told_of(logs) == []
    assert "Ending on a worker, because items failed, and fail_on_partial is True" in logs.text


@pytest.mark.parametrize("ids", ["one"], indirect=True)
def test_xcoms_of_an_earlier_try_go_where_this_one_has_none(ids: list[str], triggerer: Triggerer) -> None:
    old = {"old": "gone"}
    triggerer.xcoms.update(return_value="old", failed_items=old, validation_report=old, other="stays")
    trigger = revived(sensor(ids, push_result=False).make_trigger(StreamSensorTrigger, ids, None))
    ti = TaskInstance()
    ti.try_number = 2
    assert isinstance(triggerer.fire(trigger, ti), TaskSuccessEvent)
    assert triggerer.xcoms == {"other": "stays"}


def test_a_wait_for_imports_begins_and_ends_there_too(
    connection: None, control: SandboxControl, triggerer: Triggerer
) -> None:
    control.fate(pending=0, running=0.3, result=OK)
    states = {"completed_states": [3], "failed_states": [4, 5]}  # as the sandbox numbers them
    settings = {"path": "s3://bucket/import.json"}
    import_id = Run().execute(
        lambda: StreamImportV2Operator(task_id="start", product="chat", settings=settings)
    )
    waiting = StreamImportSensor(task_id="wait", import_id=import_id, poke_interval=0.05, **states)
    trigger = revived(waiting.make_trigger(StreamSensorTrigger, [import_id], None))
    assert isinstance(triggerer.fire(trigger, TaskInstance()), TaskSuccessEvent)
    assert triggerer.xcoms == {"return_value": OK}
    assert control.journal("GetImportV2Task")


@pytest.mark.parametrize("ids", ["one"], indirect=True)
def test_what_the_triggerer_cannot_do_a_worker_does(
    ids: list[str], triggerer: Triggerer, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(XComs, "set", None)
    run = Run()
    assert run.execute(lambda: sensor(ids), triggerer) == OK
    assert len(run.events) == 1
    assert "Ending on a worker, because the triggerer could not: TypeError" in logs.text


def told_of(logs: Logs) -> list[str]:
    words = ("The XCom", "Stream completed", "There are")
    return [line for line in logs.lines if line.startswith(words)]
