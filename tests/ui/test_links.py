"""The link on operators and sensors, through Airflow's own serialization of DAGs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.links import StreamTasksLink, task_classes
from airflow_provider_streamtasks.operators.base import StreamBaseOperator
from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from airflow_provider_streamtasks.waiting import StreamTaskWaiter
from tests.airflow_names import DagSerialization

RUN = "scheduled__2026-11-28T00:00:00+00:00"


def every(cls: type) -> set[type]:
    return {cls}.union(*map(every, cls.__subclasses__()))


def test_every_operator_and_sensor_has_it() -> None:
    ours = {
        each
        for each in every(StreamTaskWaiter)
        if each.__module__.startswith("airflow_provider_streamtasks.")
        and each.__name__.startswith("Stream")
        and each not in (StreamTaskWaiter, StreamBaseOperator)
    }
    named = set(task_classes())
    assert len(named) == 21
    assert {each for each in ours if each.__module__ in {one.__module__ for one in named}} <= named


def link_of(task: Any, map_index: int = -1) -> str:
    key = SimpleNamespace(dag_id="d a", run_id=RUN, task_id=task.task_id, map_index=map_index)
    return str(task.get_extra_links(SimpleNamespace(key=key), "Stream tasks"))


@pytest.fixture(scope="module")
def dag() -> Any:
    """A DAG as Airflow's API server has it."""
    with DAG("d", schedule=None) as dag:
        submit = StreamDeleteChannelsOperator(task_id="submit", cids=["messaging:a"], hard_delete=True)
        StreamTaskSensor(task_id="wait", stream_task_id=submit.output)
        StreamTaskSensor.partial(task_id="mapped").expand(stream_task_id=["one", "two"])
    # dag.test() in the same process, of another test, switches links off.
    DagSerialization._load_operator_extra_links = True
    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


@pytest.mark.parametrize("task_id", ["submit", "wait", "mapped"])
def test_airflow_finds_it(dag: Any, task_id: str) -> None:
    assert "Stream tasks" in dag.get_task(task_id).extra_links


def test_it_leads_to_the_task_instance(dag: Any) -> None:
    assert link_of(dag.get_task("wait")) == (
        "/plugin/stream-tasks?dag_id=d+a&run_id=scheduled__2026-11-28T00%3A00%3A00%2B00%3A00&task_id=wait"
    )


def test_it_leads_to_the_one_that_is_mapped(dag: Any) -> None:
    assert link_of(dag.get_task("mapped"), 1).endswith("&task_id=mapped&map_index=1")


def test_in_a_loop_it_leads_to_all_iterations(dag: Any) -> None:
    """There, Airflow 3.4 hands the iteration to it in the place of the map index."""
    assert link_of(dag.get_task("wait"), 2).endswith("&task_id=wait")


def test_it_keeps_the_path_at_which_airflow_is_served(dag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.com/air/flow/")
    assert link_of(dag.get_task("wait")).startswith("/air/flow/plugin/stream-tasks?")


def test_a_sensor_begins_without_a_worker_all_the_same(dag: Any) -> None:
    """Since 3.3; before, every sensor begins on a worker."""
    assert dag.get_task("wait").start_from_trigger is _compat.RUNS_WITHOUT_WORKERS


def test_the_link_makes_no_xcom() -> None:
    assert StreamTaskSensor.operator_extra_links == ()
    assert StreamTasksLink().name == "Stream tasks"
