"""A trigger that Airflow starts without a worker does not keep the copy of the DAG that it gets."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

import pytest
from airflow.executors.workloads.task import TaskInstanceDTO
from airflow.jobs.triggerer_job_runner import TriggerRunner
from airflow.sdk import DAG, TaskGroup

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from airflow_provider_streamtasks.triggers.sensor import StreamSensorTrigger
from tests.airflow_names import DagSerialization
from tests.airflow_tasks import TaskInstance
from tests.conftest import StartTask

NOW = datetime.now(timezone.utc)
DAG_RUN: dict[str, Any] = {
    "dag_id": "dag",
    "run_id": "run",
    "logical_date": None,
    "data_interval_start": None,
    "data_interval_end": None,
    "run_after": NOW,
    "start_date": NOW,
    "end_date": None,
    "run_type": "manual",
    "state": "running",
    "conf": None,
    "clear_number": 0,
    "consumed_asset_events": [],
    "partition_key": None,
}


@pytest.fixture
def ti() -> Any:
    """What Airflow gives to a trigger, with the context in which it renders its templates."""
    with DAG("dag", schedule=None) as dag, TaskGroup("group"):
        for name in ("wait", "other"):
            StreamTaskSensor(task_id=name, stream_task_id="abc")
    row = TaskInstanceDTO(
        id=uuid4(),
        dag_version_id=uuid4(),
        task_id="group.wait",
        dag_id="dag",
        run_id="run",
        try_number=1,
        map_index=-1,
        pool_slots=1,
        queue="default",
        priority_weight=1,
    )
    made = TriggerRunner.create_runtime_ti(row, DagSerialization.to_dict(dag), DAG_RUN)
    made.get_template_context()
    return made


def test_the_copy_is_gone_and_the_rest_stays(ti: Any) -> None:
    dag, context = weakref.ref(ti.task.dag), ti.get_template_context()
    before, arguments = dict(context), ti.task.start_trigger_args
    assert _compat.drop_dag(ti)
    del before["dag"], before["task"]
    assert {name: context[name] for name in before} == before
    assert context.keys() - before.keys() == {"task"}
    assert context["task"] is ti.task
    assert (ti.task.task_id, ti.task.start_trigger_args) == ("group.wait", arguments)
    gc.collect()
    assert dag() is None


def test_who_else_has_the_dag_keeps_it(ti: Any) -> None:
    task, dag = ti.task, ti.task.dag
    assert _compat.drop_dag(ti)
    assert task.dag is dag
    assert task.task_group is not None
    assert set(dag.task_dict) == {"group.wait", "group.other"}
    assert dag.task_dict["group.wait"] is task


def no_context(ti: Any) -> None:
    ti._cached_template_context = None


def other_dag(ti: Any) -> None:
    ti._cached_template_context["dag"] = object()


def other_task(ti: Any) -> None:
    ti._cached_template_context["task"] = object()


def other_context(ti: Any) -> None:
    ti._cached_template_context = type("Context", (dict,), {})(ti._cached_template_context)


def other_kind_of_dag(ti: Any) -> None:
    ti.task.dag = ti._cached_template_context["dag"] = DAG("dag", schedule=None)


@pytest.mark.parametrize("change", [no_context, other_dag, other_task, other_context, other_kind_of_dag])
def test_nothing_is_touched_where_airflow_is_not_as_expected(ti: Any, change: Callable[[Any], None]) -> None:
    change(ti)
    task, dag, context = ti.task, ti.task.dag, ti._cached_template_context
    entries = dict(context or {})
    assert not _compat.drop_dag(ti)
    assert (ti.task, task.dag, ti._cached_template_context) == (task, dag, context)
    assert dict(context or {}) == entries


@pytest.mark.parametrize("none", [None, TaskInstance()], ids=["dag.test()", "began on a worker"])
def test_who_got_no_copy_has_none_to_drop(none: Any) -> None:
    assert not _compat.drop_dag(none)


async def test_a_trigger_lets_go_of_it_when_it_runs(ti: Any, start_task: StartTask) -> None:
    trigger = StreamSensorTrigger(
        "stream_default", [start_task()], None, timeout=10.0, poll_interval=0.05, max_poll_interval=1.0
    )
    trigger.task_instance = ti
    assert ti.task.dag is not None
    await anext(aiter(trigger.run()))
    assert ti.task.dag is None
    assert "dag" not in ti.get_template_context()
