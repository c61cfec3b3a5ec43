"""What a triggerer records of waits that go on, by the messages that it sends to Airflow's supervisor."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import SetXCom

from airflow_provider_streamtasks.protocol import progress
from airflow_provider_streamtasks.triggers.task import StreamTaskTrigger
from tests.airflow_tasks import TaskInstance
from tests.conftest import Logs, StartTask

SOON = 0.3


class Supervisor:
    """Takes the messages of a triggerer, as Airflow's does at the other end of a socket."""

    def __init__(self) -> None:
        self.messages: list[SetXCom] = []
        self.error: Exception | None = None

    def send(self, message: Any) -> None:
        if self.error:
            raise self.error
        time.sleep(0.05)  # it may be slow
        if isinstance(message, SetXCom):
            self.messages.append(message)


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    monkeypatch.setattr(progress, "SETTLING", SOON)
    monkeypatch.setattr(progress, "APART", SOON / 3)
    return supervisor


def trigger(*task_ids: str, **more: Any) -> StreamTaskTrigger:
    """Return a trigger that runs in a triggerer, of a wait that began an hour ago."""
    made = StreamTaskTrigger("stream_default", task_ids, time.time() - 3600, 3602.0, 0.1, 0.5, **more)
    made.trigger_id = 7
    made.task_instance = TaskInstance()  # type: ignore[assignment]
    return made


async def outcome(trigger: StreamTaskTrigger) -> Any:
    (event,) = [event async for event in trigger.run()]
    return event.payload["outcome"]


async def test_a_long_wait_is_recorded_in_an_xcom_of_its_airflow_task(
    start_task: StartTask, supervisor: Supervisor
) -> None:
    done, open_ = start_task(), start_task(end="never")
    began = time.time()
    assert await outcome(trigger(done, open_)) == "timed_out"
    (message,) = supervisor.messages
    assert (message.dag_id, message.task_id, message.run_id, message.map_index) == (
        "dag",
        "airflow_task",
        "run",
        -1,
    )
    assert message.key == "stream_progress"
    told: Any = message.value
    assert (told["status"], told["stream_tasks"], told["finished"]) == ("running", 2, 1)
    assert began - 1 <= datetime.fromisoformat(told["said_at"]).timestamp() <= began + 3


async def test_several_are_recorded_one_after_the_other(
    start_task: StartTask, supervisor: Supervisor
) -> None:
    before = asyncio.all_tasks()
    waits = [trigger(start_task(end="never")) for _ in range(5)]
    await asyncio.gather(*map(outcome, waits))
    assert len(supervisor.messages) == 5
    assert asyncio.all_tasks() == before


async def test_a_record_that_cannot_be_made_is_a_line_and_not_the_end(
    start_task: StartTask, supervisor: Supervisor, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor.error = RuntimeError("no such message")
    monkeypatch.setattr(progress, "INTERVAL", 0.3)
    assert await outcome(trigger(start_task(running=1.5))) == "completed"
    lines = [line for line in logs.text.splitlines() if "not recorded from here on: RuntimeError" in line]
    assert len(lines) == 1


@pytest.mark.parametrize("why", ["argument", "configuration", "dag.test"])
async def test_nothing_is_recorded_where_it_is_not_wanted(
    why: str, start_task: StartTask, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = trigger(start_task(running=1.0), record_progress=why != "argument")
    if why == "configuration":
        monkeypatch.setenv("AIRFLOW__STREAMTASKS__RECORD_PROGRESS", "False")
    if why == "dag.test":
        wait.trigger_id = None
    assert await outcome(wait) == "completed"
    assert supervisor.messages == []
