"""The first wait of a process, and many at once: nothing of it blocks the event loop."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import GetTaskStates, TaskStatesResult
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.protocol.delivery import Delivery
from airflow_provider_streamtasks.triggers.sensor import StreamSensorTrigger
from airflow_provider_streamtasks.triggers.task import StreamTaskTrigger, write
from airflow_provider_streamtasks.triggers.warm_up import WarmUp
from tests.airflow_tasks import TaskInstance
from tests.conftest import Logs, StartTask

ROOT = Path(__file__).parents[2]
TERMS: dict[str, Any] = {"timeout": 120.0, "poll_interval": 0.05, "max_poll_interval": 1.0}

FIRST_WAIT = """
import asyncio, json, sys, threading, time
from airflow_provider_streamtasks.triggers.task import StreamTaskTrigger

class Finder:
    on_loop = []

    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is threading.main_thread():
            self.on_loop.append(name)

async def wait():
    sys.meta_path.insert(0, Finder())
    trigger = StreamTaskTrigger("stream_default", [sys.argv[1]], time.time(), 10.0, 0.05, 1.0)
    async for event in trigger.run():
        assert event.payload["outcome"] == "completed", event.payload

asyncio.run(wait())
print(json.dumps([Finder.on_loop, sorted(sys.modules)]))
"""


# -- imports -----------------------------------------------------------------------------------------------


def test_the_first_wait_of_a_process_imports_nothing_large_on_the_event_loop(start_task: StartTask) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIRST_WAIT, start_task()],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    on_loop, loaded = json.loads(done.stdout.splitlines()[-1])
    heavy = {"aiohttp", "requests", "jwt", "yarl"}
    assert heavy <= set(loaded)
    assert not {name.partition(".")[0] for name in on_loop} & {*heavy, "airflow_provider_streamtasks"}


# -- log lines ---------------------------------------------------------------------------------------------


class FullPipe(logging.Handler):
    """Blocks whoever writes a line, as a pipe does that nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.read = threading.Event()
        self.blocked: list[threading.Thread] = []
        self.files: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.blocked.append(threading.current_thread())
        self.files.add(record.filename)
        self.read.wait(10)


@pytest.fixture
def full_pipe(caplog: pytest.LogCaptureFixture) -> Iterator[FullPipe]:
    caplog.set_level(logging.INFO)
    pipe, logger = FullPipe(), logging.getLogger("airflow_provider_streamtasks.triggers.task")
    logger.addHandler(pipe)
    yield pipe
    pipe.read.set()
    logger.removeHandler(pipe)


async def test_a_log_that_nobody_reads_does_not_block_the_event_loop(
    start_task: StartTask, full_pipe: FullPipe
) -> None:
    trigger = StreamTaskTrigger("stream_default", [start_task()], time.time(), **TERMS)
    event = asyncio.ensure_future(anext(aiter(trigger.run())))
    done, _ = await asyncio.wait([event], timeout=2)
    assert not done
    assert full_pipe.blocked
    full_pipe.read.set()
    assert (await event).payload["outcome"] == "completed"
    assert len(full_pipe.blocked) == 2
    assert threading.current_thread() not in full_pipe.blocked
    assert full_pipe.files == {"task.py"}


async def test_a_log_that_nobody_reads_blocks_one_thread_only(full_pipe: FullPipe) -> None:
    """Airflow and aiohttp need the threads of the event loop, to log an end and to look up a name."""
    lines = [asyncio.ensure_future(write(logging.INFO, f"line {number}")) for number in range(100)]
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 5) == "free"
    assert len(full_pipe.blocked) <= 1
    full_pipe.read.set()
    await asyncio.gather(*lines)
    assert len(full_pipe.blocked) == 100
    assert len(set(full_pipe.blocked)) == 1


# -- XComs -------------------------------------------------------------------------------------------------


async def test_waits_whose_xcoms_nobody_takes_hold_no_thread_that_others_need(start_task: StartTask) -> None:
    """In one of those threads, Airflow logs that a wait has fired, and only then takes it in."""
    loop, pushing, taken = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    class Pushing(StreamTaskTrigger):
        def _push(self, delivery: Delivery) -> None:
            loop.call_soon_threadsafe(pushing.set)
            taken.wait(10)

    async def end(stream_task_id: str) -> Any:
        trigger: Any = Pushing("stream_default", [stream_task_id], time.time(), **TERMS, end=True)
        trigger.trigger_id, trigger.task_instance = 1, TaskInstance()
        return await anext(aiter(trigger.run()))

    stream_task_id = start_task()
    ends = [asyncio.ensure_future(end(stream_task_id)) for _ in range(50)]
    await pushing.wait()
    await asyncio.sleep(0.2)
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 5) == "free"
    taken.set()
    assert all(isinstance(event, TaskSuccessEvent) for event in await asyncio.gather(*ends))


# -- Airflow's in-process API ------------------------------------------------------------------------------


class Supervisor:
    """What a triggerer's process talks to: it builds its API for the first call that needs the database."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[Any] = []
        self.threads: set[threading.Thread] = set()
        self._error = error

    def send(self, message: Any) -> Any:
        self.asked.append(message)
        self.threads.add(threading.current_thread())
        if self._error:
            raise self._error
        return TaskStatesResult(task_states={})


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    return supervisor


async def test_airflow_is_asked_once_in_a_process_and_not_on_the_event_loop(supervisor: Supervisor) -> None:
    warm_up, ti = WarmUp(quiet=0.05), TaskInstance()
    for _ in range(3):
        warm_up.begin(ti)
    await warm_up.over.wait()
    warm_up.begin(ti)
    await asyncio.sleep(0.1)
    (question,) = supervisor.asked
    # It reads the state of the Airflow task that waits, and changes nothing.
    assert isinstance(question, GetTaskStates)
    assert (question.dag_id, question.task_ids, question.run_ids) == (ti.dag_id, [ti.task_id], [ti.run_id])
    assert threading.current_thread() not in supervisor.threads


async def test_airflow_is_not_asked_while_waits_begin(supervisor: Supervisor) -> None:
    warm_up = WarmUp(quiet=0.3)
    for _ in range(5):
        warm_up.begin(TaskInstance())
        await asyncio.sleep(0.1)
    assert supervisor.asked == []
    await warm_up.over.wait()
    assert len(supervisor.asked) == 1


async def test_airflow_is_asked_in_time_however_many_waits_begin(supervisor: Supervisor) -> None:
    warm_up = WarmUp(quiet=0.3, latest=0.3)
    for _ in range(5):
        warm_up.begin(TaskInstance())
        await asyncio.sleep(0.1)
    assert len(supervisor.asked) == 1


async def test_no_wait_fails_because_airflow_could_not_be_asked(
    monkeypatch: pytest.MonkeyPatch, logs: Logs, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    refusing = Supervisor(RuntimeError("not now"))
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", refusing, raising=False)
    warm_up = WarmUp(quiet=0.0)
    warm_up.begin(TaskInstance())
    await warm_up.over.wait()
    assert len(refusing.asked) == 1
    assert "could not be warmed up: RuntimeError: not now" in logs.text


@pytest.mark.parametrize(
    ("end", "trigger_id", "asked"),
    [
        *([(True, 1, True)] if _compat.RUNS_WITHOUT_WORKERS else []),
        (False, 1, False),
        (True, None, False),
    ],
)
async def test_it_is_asked_where_a_sensor_will_need_its_api(
    start_task: StartTask,
    supervisor: Supervisor,
    monkeypatch: pytest.MonkeyPatch,
    end: bool,
    trigger_id: int | None,
    asked: bool,
) -> None:
    fresh = WarmUp(quiet=0.0)
    monkeypatch.setattr("airflow_provider_streamtasks.triggers.warm_up.warm_up", fresh)
    trigger = StreamSensorTrigger(
        "stream_default", [start_task()], time.time() - 60, end=end, do_xcom_push=False, **TERMS
    )
    ti: Any = TaskInstance()
    trigger.trigger_id, trigger.task_instance = trigger_id, ti
    event = await anext(aiter(trigger.run()))
    if asked:
        await fresh.over.wait()
    assert isinstance(event, TaskSuccessEvent) == (end and trigger_id is not None)
    # Before 3.3, secrets to be masked go the same way.
    assert len([each for each in supervisor.asked if isinstance(each, GetTaskStates)]) == asked
