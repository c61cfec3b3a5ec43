"""Contexts of callbacks, as Airflow makes them for an Airflow task that failed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from airflow.sdk import DAG, TaskInstanceState
from airflow.sdk.execution_time.context import MacrosAccessor

from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.sandbox import SandboxControl
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from tests.airflow_names import integrate_macros_plugins
from tests.airflow_tasks import Run, TaskInstance
from tests.conftest import StartTask

CHANNEL = "messaging:alerts"
LOG_URL = "http://localhost:8080/dags/nightly/runs/night-7/tasks/wait?try_number=2"
ERROR = {
    "type": "storage_error",
    "description": "message store down",
    "stacktrace": "store.go:7",
    "version": "v9",
}

Fail = Callable[[Any], Any]


class FailedTaskInstance(TaskInstance):
    """The second of three tries."""

    dag_id = "nightly"
    run_id = "night-7"
    try_number = 2
    max_tries = 2
    start_date = datetime(2026, 1, 7, 1, 2, 3, tzinfo=timezone.utc)
    log_url = LOG_URL
    state: TaskInstanceState | None = TaskInstanceState.FAILED
    end_date: datetime | None = None

    def __init__(self, task_id: str = "wait") -> None:
        super().__init__()
        self.task_id = task_id


@pytest.fixture
def fail() -> Fail:
    """Carries an Airflow task out that fails, and returns the context that its callbacks get."""

    def fail(task: Any) -> Any:
        run = Run()
        run.ti = FailedTaskInstance(task.task_id)
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is, it is the alert's subject
            run.execute(lambda: task)
        integrate_macros_plugins()
        return {
            **run.context,
            "dag": task.get_dag(),
            "task": task,
            "run_id": run.ti.run_id,
            "macros": MacrosAccessor(),
            "exception": caught.value,
        }

    return fail


@pytest.fixture
def failed(start_task: StartTask, fail: Fail) -> Any:
    """The context of a sensor whose Stream task failed."""
    stream_task_id = start_task(end="failed", error=ERROR)
    with DAG("nightly", schedule=None):
        delete = StreamDeleteChannelsOperator(task_id="delete", cids=["messaging:a", "messaging:b"])
        wait = StreamTaskSensor(task_id="wait", stream_task_id=stream_task_id, poke_interval=0.05, timeout=20)
        delete >> wait
    return fail(wait)


@pytest.fixture
def channel(control: SandboxControl, connection: None) -> str:
    """A channel at Stream, and the user who says alerts there."""
    control.add_channel(CHANNEL)
    control.add_user("airflow")
    return CHANNEL
