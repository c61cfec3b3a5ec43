"""What a wait that holds a worker records of how far it has come."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import SetXCom

from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.protocol import progress
from airflow_provider_streamtasks.sandbox import SandboxControl
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from tests.airflow_tasks import Run, TaskStateStore
from tests.conftest import Logs, StartTask

KEY = "stream_progress_wait"
SOON = 0.3


class Store(TaskStateStore):
    """
    Remembers each record that was written.

    :ivar error: is raised instead, if there is one
    """

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []
        self.error: Exception | None = None

    def set(self, key: str, value: Any, **more: Any) -> None:
        if key.startswith("stream_progress"):
            if self.error:
                raise self.error
            self.records.append(value)
        super().set(key, value, **more)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def run(store: Store) -> Run:
    run = Run()
    run.store = store
    return run


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record is due after a moment, and not after a minute."""
    monkeypatch.setattr(progress, "INTERVAL", SOON)


def wait_for(run: Run, task_ids: Any, **arguments: Any) -> Any:
    """Wait in a sensor that holds its worker, unless the arguments say otherwise."""
    given = {"poke_interval": 0.05, "max_wait": 0.1, "timeout": 20, "deferrable": False, **arguments}
    return run.execute(lambda: StreamTaskSensor(task_id="wait", stream_task_id=task_ids, **given))


@pytest.mark.usefixtures("soon")
class TestOneWorker:
    def test_a_sensor_records_what_stream_said_last(
        self, start_task: StartTask, run: Run, store: Store
    ) -> None:
        done, open_ = start_task(), start_task(end="never")
        began = time.time()
        with pytest.raises(AirflowSensorTimeout):
            wait_for(run, [done, open_], timeout=2)
        first = store.records[0]
        assert (first["status"], first["stream_tasks"], first["finished"]) == ("running", 2, 1)
        assert began - 1 <= datetime.fromisoformat(first["said_at"]).timestamp() <= began + 3
        assert progress.read_progress(first) == first

    def test_an_operator_does_so_too(self, sandbox: Any, connection: None, run: Run, store: Store) -> None:
        sandbox.control.fate(pending=0, running=1.5)
        waits: dict[str, Any] = {"wait_for_completion": True, "poll_interval": 0.1}
        run.execute(
            lambda: StreamDeleteChannelsOperator(
                task_id="delete", cids=["messaging:a"], hard_delete=True, **waits
            )
        )
        assert {each["status"] for each in store.records} == {"running"}
        assert "stream_progress_delete" not in store.values

    def test_it_is_gone_after_the_wait(self, start_task: StartTask, run: Run, store: Store) -> None:
        assert wait_for(run, start_task(running=1.5)) is not None
        assert store.records
        assert store.values == {}

    @pytest.mark.parametrize("off", ["do_xcom_push", "record_progress"])
    def test_it_can_be_turned_off(
        self, start_task: StartTask, run: Run, store: Store, monkeypatch: pytest.MonkeyPatch, off: str
    ) -> None:
        if off == "record_progress":
            monkeypatch.setenv("AIRFLOW__STREAMTASKS__RECORD_PROGRESS", "False")
        wait_for(run, start_task(running=1.0), do_xcom_push=off != "do_xcom_push")
        assert store.records == []

    def test_one_that_cannot_be_made_harms_no_wait(
        self, start_task: StartTask, run: Run, store: Store, logs: Logs
    ) -> None:
        store.error = OSError("no space left")
        assert wait_for(run, start_task(running=1.0)) is not None
        assert logs.text.count("is not recorded from here on: OSError: no space left") == 1

    def test_without_a_store_it_is_the_xcom(
        self, start_task: StartTask, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """So on Airflow before 3.3."""
        sent: list[Any] = []

        class Supervisor:
            def send(self, message: Any) -> None:
                sent.append(message)

        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(), raising=False)
        run.store = None  # type: ignore[assignment]
        assert wait_for(run, start_task(running=1.0)) is not None
        records = [each for each in sent if isinstance(each, SetXCom)]
        told: Any = {each.key: each.value for each in records}
        assert told["stream_progress"]["status"] == "running"


class TestRescheduling:
    """Each poke is another process: what was recorded is in the store alone."""

    @pytest.fixture(autouse=True)
    def old(self, run: Run) -> None:
        run.ti.first_reschedule = datetime.now(timezone.utc) - timedelta(minutes=10)

    def test_a_wait_of_minutes_is_recorded_once_a_minute(
        self, start_task: StartTask, run: Run, store: Store
    ) -> None:
        wait_for(run, start_task(running=1.0), mode="reschedule", timeout=3600)
        assert run.reschedules > 2
        assert [each["status"] for each in store.records] == ["running"]
        assert store.values == {}

    def test_not_without_a_store(self, start_task: StartTask, run: Run) -> None:
        run.store = None  # type: ignore[assignment]
        assert wait_for(run, start_task(running=0.5), mode="reschedule", timeout=3600) is not None


def test_a_record_that_a_killed_try_left_goes_with_the_next_one(
    start_task: StartTask, run: Run, store: Store
) -> None:
    left = {"status": "running", "said_at": "2026-01-01T00:00:00+00:00", "errors_since": None}
    store.values[KEY] = left | {"stream_tasks": 1, "finished": 0, "failed": 0}
    run.ti.try_number = 2
    wait_for(run, start_task())
    assert store.values == {}


def test_a_wait_of_less_than_a_minute_leaves_no_trace(
    start_task: StartTask, control: SandboxControl, run: Run, store: Store
) -> None:
    wait_for(run, start_task(running=0.5))
    assert store.records == []
