"""A sensor that ends in the triggerer leaves behind what it leaves behind when it ends on a worker."""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar

import pytest
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.execution_time import xcom as where_xcoms_go
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_streamtasks.sandbox import SandboxControl
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from airflow_provider_streamtasks.triggers.sensor import StreamSensorTrigger
from tests.airflow_tasks import Run, TaskInstance, revived
from tests.conftest import Logs, StartTask

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


class XComs(BaseXCom):
    """An XCom backend that keeps them in memory."""

    kept: ClassVar[dict[str, Any]] = {}

    @classmethod
    def set(cls, key: str, value: Any, **where: Any) -> None:
        cls.kept[key] = json.loads(json.dumps(value))

    @classmethod
    def delete(cls, key: str, *where: Any, **more: Any) -> None:
        cls.kept.pop(key, None)


@pytest.fixture
def xcoms(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the triggerer pushes to the XCom backend of Airflow's configuration."""
    monkeypatch.setenv("AIRFLOW__CORE__XCOM_BACKEND", f"{__name__}.XComs")
    monkeypatch.setattr(where_xcoms_go, "XCom", where_xcoms_go.resolve_xcom_backend())
    monkeypatch.setattr(XComs, "kept", {})
    return XComs.kept


@pytest.fixture
def ids(request: pytest.FixtureRequest, start_task: StartTask) -> list[str]:
    return [start_task(result=result) for result in RESULTS[request.param]]


def sensor(ids: list[str], **policy: Any) -> StreamTaskSensor:
    return StreamTaskSensor(
        task_id="wait", stream_task_id=ids if len(ids) > 1 else ids[0], poke_interval=0.05, **policy
    )


def trigger(of: StreamTaskSensor, ids: list[str]) -> Any:
    """The trigger as the triggerer makes it, for a sensor that began on a worker."""
    found = revived(of.new_trigger(ids))
    assert isinstance(found, StreamSensorTrigger)
    found.started_at -= 60  # that worker is gone
    ti: Any = TaskInstance()
    found.trigger_id, found.task_instance = 1, ti
    return found


def fired(trigger: Any) -> Any:
    async def first() -> Any:
        return await anext(aiter(trigger.run()))

    return asyncio.run(first())


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("ids", RESULTS, indirect=True)
def test_xcoms_and_words_are_the_same(
    ids: list[str], policy: dict[str, Any], xcoms: dict[str, Any], logs: Logs
) -> None:
    waiting = sensor(ids, end_from_trigger=True, timeout=120, **policy)
    event = fired(trigger(waiting, ids))
    assert isinstance(event, TaskSuccessEvent)
    said_in_triggerer, told = told_of(logs), len(logs.lines)

    run = Run()
    run.execute(lambda: sensor(ids, deferrable=False, timeout=120, **policy))
    assert run.xcoms == xcoms
    assert said_in_triggerer == told_of(logs, told)
    assert "abcdef" not in logs.text


@pytest.mark.parametrize("ids", ["partial"], indirect=True)
def test_a_failure_is_left_to_the_worker(ids: list[str], xcoms: dict[str, Any], logs: Logs) -> None:
    waiting = sensor(ids, end_from_trigger=True, fail_on_partial=True, timeout=120)
    event = fired(trigger(waiting, ids))
    assert not isinstance(event, TaskSuccessEvent)
    assert event.payload["outcome"] == "completed"
    assert xcoms == {}
    assert told_of(logs) == []


@pytest.mark.parametrize("ids", ["one"], indirect=True)
def test_xcoms_of_an_earlier_try_go_where_this_one_has_none(
    ids: list[str], xcoms: dict[str, Any], control: SandboxControl
) -> None:
    xcoms.update(return_value="old", failed_items={"old": "gone"}, other="stays")
    ending = trigger(sensor(ids, end_from_trigger=True, push_result=False), ids)
    ending.began_here, ending.task_instance.try_number = True, 2
    assert isinstance(fired(ending), TaskSuccessEvent)
    assert xcoms == {"other": "stays"}


def told_of(logs: Logs, since: int = 0) -> list[str]:
    words = ("The XCom", "Stream completed", "There are")
    return [line for line in logs.lines[since:] if line.startswith(words)]
