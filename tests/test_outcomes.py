"""The matrix: what each shape of an answer means for each operation, whoever waits and wherever it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.execution_time import xcom as where_xcoms_go
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.exceptions import StreamTaskException, StreamTaskTimeout
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.operators.base import StreamBaseOperator
from airflow_provider_streamtasks.sandbox import SandboxControl
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from tests.airflow_tasks import Run, TaskInstance, as_another_process_sees_it, revived
from tests.conftest import Logs
from tests.every_operator import OPERATORS, make, name_of
from tests.result_shapes import SIGNATURE, Meaning, Shape, shapes

MATRIX = [
    pytest.param(operator, shape, id=f"{name_of(operator)}: {shape.name}")
    for operator in OPERATORS
    for shape in shapes(operator)
]
AT_ONCE: dict[str, Any] = {"poke_interval": 0, "timeout": 0}
SENSORS: dict[str, dict[str, Any]] = {
    "poked": {"deferrable": False},
    "rescheduled": {"mode": "reschedule"},
    "deferred": {"end_from_trigger": False},
}


class XComs(BaseXCom):
    """An XCom backend that keeps them in memory."""

    kept: ClassVar[dict[str, Any]] = {}

    @classmethod
    def set(cls, key: str, value: Any, **where: Any) -> None:
        cls.kept[key] = json.loads(json.dumps(value))


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the triggerer pushes to the XCom backend of Airflow's configuration."""
    monkeypatch.setenv("AIRFLOW__CORE__XCOM_BACKEND", f"{__name__}.XComs")
    monkeypatch.setattr(where_xcoms_go, "XCom", where_xcoms_go.resolve_xcom_backend())
    monkeypatch.setattr(XComs, "kept", {})
    return XComs.kept


def ended(run: Run, carry_out: Callable[[], Any]) -> Meaning:
    """Return what an Airflow task made of an answer."""
    failed: StreamTaskException | None = None
    try:
        carry_out()
    except StreamTaskException as error:
        failed = error
    except AirflowSensorTimeout:
        return Meaning("open")
    items = run.xcoms.get("failed_items", {})
    if failed is None:
        return Meaning("completed", items)
    assert SIGNATURE not in str(failed)
    assert failed.failed_items == items
    return Meaning("failed", items, failed.error_type, failed.description)


def by_operator(operator: type[StreamBaseOperator], run: Run, deferrable: bool) -> Meaning:
    submit = make(operator, wait_for_completion=True, deferrable=deferrable, poll_interval=0, wait_timeout=0)
    return ended(run, lambda: run.execute(lambda: submit))


def by_hook(task_ids: Sequence[str]) -> Meaning:
    hook = StreamHook()
    try:
        (task,) = hook.wait_for_tasks(task_ids, poll_interval=0, timeout=0)
    except StreamTaskException as error:
        return Meaning("failed", error.failed_items, error.error_type, error.description)
    except StreamTaskTimeout:
        return Meaning("open")
    finally:
        hook.close()
    return Meaning("completed", task.failed_items)


def by_sensor(task_ids: Sequence[str], **way: Any) -> Meaning:
    run = Run()
    return ended(
        run,
        lambda: run.execute(
            lambda: StreamTaskSensor(task_id="wait", stream_task_id=task_ids, **AT_ONCE, **way)
        ),
    )


def by_triggerer(task_ids: Sequence[str], pushed: dict[str, Any], **way: Any) -> Meaning:
    """Let a sensor end in the triggerer; what the triggerer hands to a worker ends there."""
    run = Run()
    sensor = StreamTaskSensor(task_id="wait", stream_task_id=task_ids, **AT_ONCE, **way)
    trigger = revived(sensor.new_trigger(task_ids))
    trigger.started_at -= 60  # the worker that deferred is gone
    trigger.trigger_id, trigger.task_instance = 1, TaskInstance()
    pushed.clear()

    async def fire() -> Any:
        return await anext(aiter(trigger.run()))

    event = asyncio.run(fire())
    if isinstance(event, TaskSuccessEvent):
        return Meaning("completed", pushed.get("failed_items", {}))
    payload = as_another_process_sees_it(event.payload)
    found = ended(run, lambda: run.resume(sensor, "execute_complete", event=payload))
    assert found.how != "completed", "a completed wait ends in the triggerer"
    return found


@pytest.mark.parametrize(("operator", "shape"), MATRIX)
def test_an_answer_means_the_same_whoever_waits(
    operator: type[StreamBaseOperator],
    shape: Shape,
    connection: None,
    control: SandboxControl,
    logs: Logs,
    pushed: dict[str, Any],
) -> None:
    control.fate(pending=0, running=0, **shape.answer)
    run = Run()
    found = {"operator on a worker": by_operator(operator, run, deferrable=False)}
    task_ids = run.xcoms["task_ids"]
    found["operator from the triggerer"] = by_operator(operator, Run(), deferrable=True)
    found["hook"] = by_hook(task_ids)
    found |= {f"sensor, {name}": by_sensor(task_ids, **way) for name, way in SENSORS.items()}
    if _compat.RUNS_WITHOUT_WORKERS:
        found["sensor in the triggerer"] = by_triggerer(task_ids, pushed)
    assert found == dict.fromkeys(found, shape.meaning)
    assert SIGNATURE not in logs.text


def shape_of(case: Any) -> Shape:
    shape: Shape = case.values[1]
    return shape


PARTIAL = [
    each for each in MATRIX if shape_of(each).meaning.how == "completed" and shape_of(each).meaning.items
]


@pytest.mark.parametrize(("operator", "shape"), PARTIAL)
def test_items_that_failed_inside_are_a_failure_where_that_is_asked_for(
    operator: type[StreamBaseOperator],
    shape: Shape,
    connection: None,
    control: SandboxControl,
    pushed: dict[str, Any],
) -> None:
    control.fate(pending=0, running=0, **shape.answer)
    run = Run()
    make(operator).execute(run.context)
    task_ids = run.xcoms["task_ids"]
    found = [by_sensor(task_ids, deferrable=False, fail_on_partial=True)]
    if _compat.RUNS_WITHOUT_WORKERS:
        found.append(by_triggerer(task_ids, pushed, fail_on_partial=True))
    for meaning in found:
        assert (meaning.how, meaning.error_type) == ("failed", "partial_failure")
        assert meaning.items == shape.meaning.items
