"""The matrix: what each shape of an answer means for each operation, whoever waits and wherever it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.exceptions import StreamTaskException, StreamTaskTimeout
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.operators.base import StreamBaseOperator
from airflow_provider_streamtasks.sandbox import SandboxControl
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from tests.airflow_tasks import Run
from tests.conftest import Logs
from tests.every_operator import OPERATORS, make, name_of
from tests.result_shapes import SIGNATURE, Meaning, Shape, shapes
from tests.triggerer import Triggerer

MATRIX = [
    pytest.param(operator, shape, id=f"{name_of(operator)}: {shape.name}")
    for operator in OPERATORS
    for shape in shapes(operator)
]
SENSORS: dict[str, dict[str, Any]] = {
    "poked": {"deferrable": False},
    "rescheduled": {"mode": "reschedule"},
    "deferred": {"end_from_trigger": False},
}


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


def waiting_operator(operator: type[StreamBaseOperator], **way: Any) -> StreamBaseOperator:
    return make(operator, wait_for_completion=True, poll_interval=0, wait_timeout=0, **way)


def sensor(task_ids: Sequence[str], **way: Any) -> StreamTaskSensor:
    return StreamTaskSensor(task_id="wait", stream_task_id=task_ids, poke_interval=0, timeout=0, **way)


def by_operator(operator: type[StreamBaseOperator], run: Run, deferrable: bool) -> Meaning:
    submit = waiting_operator(operator, deferrable=deferrable)
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
    return ended(run, lambda: run.execute(lambda: sensor(task_ids, **way)))


def by_triggerer(make_task: Callable[[], Any], triggerer: Triggerer) -> Meaning:
    """Let an Airflow task end in the triggerer; what the triggerer hands to a worker ends there."""
    run = Run()
    found = ended(run, lambda: run.execute(make_task, triggerer))
    assert bool(run.events) is (found.how != "completed"), "a completed wait ends in the triggerer"
    return found


@pytest.mark.parametrize(("operator", "shape"), MATRIX)
def test_an_answer_means_the_same_whoever_waits(
    operator: type[StreamBaseOperator],
    shape: Shape,
    connection: None,
    control: SandboxControl,
    logs: Logs,
    triggerer: Triggerer,
) -> None:
    control.fate(pending=0, running=0, **shape.answer)
    run = Run()
    found = {"operator on a worker": by_operator(operator, run, deferrable=False)}
    task_ids = run.xcoms["task_ids"]
    found["operator from the triggerer"] = by_operator(operator, Run(), deferrable=True)
    found["hook"] = by_hook(task_ids)
    found |= {f"sensor, {name}": by_sensor(task_ids, **way) for name, way in SENSORS.items()}
    if _compat.RUNS_WITHOUT_WORKERS:
        found["sensor in the triggerer"] = by_triggerer(lambda: sensor(task_ids), triggerer)
        found["operator in the triggerer"] = by_triggerer(
            lambda: waiting_operator(operator, deferrable=True), triggerer
        )
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
    triggerer: Triggerer,
) -> None:
    control.fate(pending=0, running=0, **shape.answer)
    run = Run()
    make(operator).execute(run.context)
    task_ids = run.xcoms["task_ids"]
    found = [by_sensor(task_ids, deferrable=False, fail_on_partial=True)]
    if _compat.RUNS_WITHOUT_WORKERS:
        found.append(by_triggerer(lambda: sensor(task_ids, fail_on_partial=True), triggerer))
        found.append(
            by_triggerer(lambda: waiting_operator(operator, deferrable=True, fail_on_partial=True), triggerer)
        )
    for meaning in found:
        assert (meaning.how, meaning.error_type) == ("failed", "partial_failure")
        assert meaning.items == shape.meaning.items
