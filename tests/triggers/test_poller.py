from __future__ import annotations

import asyncio
import gc
import json
import logging
import time
from typing import Any

import pytest

from airflow_provider_streamtasks.exceptions import StreamConfigurationError, StreamException
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol.catalogue import CREATE_IMPORT_V2
from airflow_provider_streamtasks.protocol.data_import import Import
from airflow_provider_streamtasks.protocol.tasks import STREAM_TASKS, Pollable
from airflow_provider_streamtasks.protocol.wait import Outcome, Wait, WaitTerms
from airflow_provider_streamtasks.sandbox import Sandbox, SandboxControl
from airflow_provider_streamtasks.triggers import metrics, poller, task
from airflow_provider_streamtasks.triggers.data_import import StreamImportTrigger
from airflow_provider_streamtasks.triggers.task import StreamTaskTrigger
from tests.conftest import Logs, SetConnection, StartTask
from tests.wait_terms import wait_terms

CONN = "stream_default"
QUICK = wait_terms(timeout=20, poll_interval=0.2)
IMPORTS = Import(completed_states=(3,), failed_states=(4, 5))  # as the sandbox numbers its states


def wait_of(*task_ids: str, terms: WaitTerms = QUICK, pollable: Pollable = STREAM_TASKS) -> Wait:
    return Wait(task_ids, terms, time.time(), pollable)


async def waited(*waits: Wait) -> list[tuple[int, str]]:
    lines: list[tuple[int, str]] = []

    async def tell(*line: Any) -> None:
        lines.append(line)

    await asyncio.gather(*(poller.wait_for(CONN, wait, tell) for wait in waits))
    return lines


def pollers() -> dict[tuple[str, str], poller.Poller]:
    return poller._pollers.get(asyncio.get_running_loop(), {})


@pytest.fixture
def connections_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The Airflow connections that were read, in order."""
    read: list[str] = []
    original = StreamHook.aget_connection

    async def aget_connection(cls: Any, conn_id: str) -> Any:
        read.append(conn_id)
        return await original(conn_id)

    monkeypatch.setattr(StreamHook, "aget_connection", classmethod(aget_connection))
    return read


@pytest.fixture
def start_import(control: SandboxControl, connection: None) -> StartTask:
    """Starts an import of the second generation, which completes at once unless the fate says otherwise."""

    def start_import(**fate: Any) -> str:
        control.fate(**{"pending": 0, "running": 0, "times": 1, **fate})
        hook = StreamHook()
        try:
            submission = hook.submit(CREATE_IMPORT_V2, product="chat", settings={"path": "s3://a/b.json"})
        finally:
            hook.close()
        assert submission.task_id
        return submission.task_id

    return start_import


class Reported:
    """Takes Airflow's place as the receiver of metrics."""

    def __init__(self) -> None:
        self.tags: dict[str, list[dict[str, str]]] = {}

    def _take(self, name: str, *_: Any, tags: dict[str, str]) -> None:
        self.tags.setdefault(name, []).append(tags)

    incr = gauge = timing = _take


async def test_all_waits_of_a_connection_share_one_session(
    start_task: StartTask, connections_read: list[str]
) -> None:
    waits = [wait_of(start_task(running=0.5)) for _ in range(20)]
    await waited(*waits)
    assert {wait.outcome for wait in waits} == {Outcome.COMPLETED}
    assert connections_read == [CONN]


async def test_two_waits_for_one_stream_task_share_its_polls(
    start_task: StartTask, control: SandboxControl
) -> None:
    task_id = start_task(running=0.7)
    waits = [wait_of(task_id) for _ in range(10)]
    await waited(*waits)
    assert {wait.outcome for wait in waits} == {Outcome.COMPLETED}
    assert len(control.journal("GetTask")) <= 8


async def test_each_wait_keeps_its_own_timeout(start_task: StartTask) -> None:
    task_id = start_task(running=1.5)
    short, long = wait_of(task_id, terms=wait_terms(0.5, 0.2)), wait_of(task_id)
    await waited(short, long)
    assert (short.outcome, long.outcome) == (Outcome.TIMED_OUT, Outcome.COMPLETED)


async def test_the_last_one_out_leaves_nothing(start_task: StartTask) -> None:
    before = asyncio.all_tasks()
    await waited(wait_of(start_task(running=0.3)))
    assert pollers() == {}
    assert asyncio.all_tasks() == before


async def test_who_comes_after_the_last_one_out_gets_a_new_one(start_task: StartTask) -> None:
    first, second = wait_of(start_task()), wait_of(start_task())
    await waited(first)
    await waited(second)
    assert second.outcome is Outcome.COMPLETED


async def test_a_cancelled_wait_leaves_nothing(start_task: StartTask, control: SandboxControl) -> None:
    before = asyncio.all_tasks()
    job = asyncio.create_task(waited(wait_of(start_task(end="never"))))
    await asyncio.sleep(0.5)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    await asyncio.gather(*task._finishing)
    polls = len(control.journal("GetTask"))
    await asyncio.sleep(0.6)
    assert pollers() == {}
    assert asyncio.all_tasks() == before
    assert len(control.journal("GetTask")) == polls
    gc.collect()  # an unclosed session would warn, and fail the test


async def test_a_cancelled_wait_does_not_disturb_the_others(start_task: StartTask) -> None:
    task_id = start_task(running=1.0)
    stays = wait_of(task_id)
    leaves = asyncio.create_task(waited(wait_of(task_id)))
    stays_too = asyncio.create_task(waited(stays))
    await asyncio.sleep(0.3)
    leaves.cancel()
    await stays_too
    assert stays.outcome is Outcome.COMPLETED


async def test_a_wait_that_is_cancelled_while_it_connects_leaves_nothing(start_task: StartTask) -> None:
    job = asyncio.create_task(waited(wait_of(start_task(end="never"))))
    await asyncio.sleep(0)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    await asyncio.gather(*task._finishing)
    assert pollers() == {}


async def test_no_connection_is_read_when_a_trigger_is_cleaned_up(
    start_task: StartTask, connections_read: list[str]
) -> None:
    trigger = StreamTaskTrigger(CONN, [start_task()], time.time(), 20, 0.2, 30)
    async for _ in trigger.run():
        connections_read.clear()
    await trigger.cleanup()
    assert connections_read == []


async def test_a_rotated_secret_is_picked_up_by_reading_the_connection_once(
    sandbox: Sandbox,
    start_task: StartTask,
    set_connection: SetConnection,
    connections_read: list[str],
) -> None:
    ids = [start_task(running=1.0) for _ in range(10)]
    set_connection(password="0" * 64)
    hook = StreamHook(CONN)
    await hook.aget_conn()
    set_connection()
    connections_read.clear()
    answers = await asyncio.gather(*map(hook.apoll, ids))
    await hook.aclose()
    assert all(not isinstance(answer, StreamException) for answer, _ in answers)
    assert connections_read == [CONN]


async def test_a_wrong_secret_ends_all_waits_with_few_readings(
    start_task: StartTask, set_connection: SetConnection, connections_read: list[str]
) -> None:
    waits = [wait_of(start_task()) for _ in range(8)]
    set_connection(password="0" * 64)
    await waited(*waits)
    assert {wait.outcome for wait in waits} == {Outcome.ERROR}
    assert len(connections_read) <= 4


async def test_a_connection_that_cannot_be_used_is_reported_and_leaves_nothing(
    set_connection: SetConnection,
) -> None:
    set_connection(password="")
    await waited(wait := wait_of("a"))
    with pytest.raises(StreamConfigurationError, match="API secret"):
        wait.result()
    await asyncio.gather(*task._finishing)
    assert pollers() == {}


async def test_whatever_breaks_nobody_waits_for_ever(
    start_task: StartTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr(StreamHook, "_asend", broken)
    wait = wait_of(start_task())
    await waited(wait)
    with pytest.raises(StreamException, match="KeyError: 'surprise'"):
        wait.result()


async def test_what_deserves_a_line_is_logged_by_those_who_wait_only(
    start_task: StartTask, control: SandboxControl
) -> None:
    strange = start_task(running=0.5, end="defrosting")
    lines = await waited(wait_of(strange, terms=wait_terms(1, 0.2)))
    assert [level for level, _ in lines] == [logging.WARNING]
    assert "defrosting" in lines[0][1]


async def test_the_budget_is_kept_from_the_first_answer_on(
    sandbox: Sandbox, start_task: StartTask, control: SandboxControl
) -> None:
    control.budget("DeleteChannels", limit=None)
    control.budget("GetTask", limit=60, window=3)
    waits = [wait_of(start_task(running=0.2), terms=wait_terms(120, 0.2)) for _ in range(80)]
    await waited(*waits)
    assert {wait.outcome for wait in waits} == {Outcome.COMPLETED}
    assert [entry for entry in control.journal("GetTask") if entry["status"] == 429] == []


async def test_the_share_of_the_connection_is_kept(
    start_task: StartTask, set_connection: SetConnection
) -> None:
    task_id = start_task(running=0.3)
    set_connection(extra=json.dumps({"rate_limit_share": 0.25}))
    job = asyncio.create_task(waited(wait_of(task_id)))
    await asyncio.sleep(0.2)
    assert pollers()[CONN, "GetTask"].budget.share == 0.25
    await job


async def test_the_loop_is_never_blocked_for_long(start_task: StartTask) -> None:
    ids = [start_task(running=1.0) for _ in range(30)]
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    await waited(*(wait_of(task_id) for task_id in ids))
    counting.cancel()
    assert turns > 100


# -- imports -----------------------------------------------------------------------------------------------


async def test_imports_share_one_session_and_their_polls(
    start_import: StartTask, control: SandboxControl, connections_read: list[str]
) -> None:
    import_id = start_import(running=0.7)
    connections_read.clear()
    waits = [wait_of(import_id, pollable=IMPORTS) for _ in range(10)]
    await waited(*waits)
    assert {wait.outcome for wait in waits} == {Outcome.COMPLETED}
    assert connections_read == [CONN]
    assert len(control.journal("GetImportV2Task")) <= 8


async def test_the_trigger_of_imports_waits_by_the_poller(
    start_import: StartTask, control: SandboxControl, logs: Logs
) -> None:
    import_id = start_import(running=0.5)
    trigger = StreamImportTrigger(
        stream_conn_id=CONN,
        stream_task_ids=[import_id],
        started_at=time.time() - 150,
        timeout=200,
        poll_interval=0.2,
        max_poll_interval=0.2,
        completed_states=[3],
        failed_states=[4, 5],
    )

    async def run() -> list[Any]:
        return [event.payload["outcome"] async for event in trigger.run()]

    running = asyncio.create_task(run())
    await asyncio.sleep(0.2)
    assert list(pollers()) == [(CONN, "GetImportV2Task")]
    assert await running == ["completed"]
    assert f"Waiting since 150 s for Stream to finish the import {import_id}" in logs.text


async def test_stream_tasks_and_imports_have_budgets_of_their_own(
    start_task: StartTask, start_import: StartTask, control: SandboxControl
) -> None:
    control.budget("GetTask", limit=1, window=30)
    control.fault("rate_limit", operation="GetTask", retry_after=30, times=1)
    held = asyncio.create_task(waited(wait_of(start_task(end="never"))))
    await asyncio.sleep(0.5)
    wait = wait_of(start_import(running=0.5), pollable=IMPORTS)
    await waited(wait)
    held.cancel()
    await asyncio.wait([held])
    assert wait.outcome is Outcome.COMPLETED
    assert len(control.journal("GetTask")) == 1


async def test_the_budget_of_imports_is_kept_from_the_first_answer_on(
    start_import: StartTask, control: SandboxControl
) -> None:
    control.budget("CreateImportV2Task", limit=None)
    control.budget("GetImportV2Task", limit=60, window=3)
    ids = [start_import(running=0.2) for _ in range(50)]
    waits = [wait_of(import_id, terms=wait_terms(120, 0.2), pollable=IMPORTS) for import_id in ids]
    await waited(*waits)
    assert {wait.outcome for wait in waits} == {Outcome.COMPLETED}
    assert [entry for entry in control.journal("GetImportV2Task") if entry["status"] == 429] == []


async def test_states_mean_to_each_wait_what_its_user_says(start_import: StartTask) -> None:
    import_id = start_import()
    waits = [
        wait_of(import_id, pollable=Import(completed, failed), terms=wait_terms(1, 0.2))
        for completed, failed in (((3,), (4,)), ((4,), (3,)), ((4,), ()))
    ]
    await waited(*waits)
    assert [wait.outcome for wait in waits] == [Outcome.COMPLETED, Outcome.FAILED, Outcome.TIMED_OUT]


async def test_metrics_say_what_was_polled(
    start_task: StartTask, start_import: StartTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported = Reported()
    monkeypatch.setattr(metrics, "Stats", reported)
    await waited(wait_of(start_task()), wait_of(start_import(), pollable=IMPORTS))
    for name in ("polls", "outcomes", "waits", "stretch"):
        tags = reported.tags[f"streamtasks.{name}"]
        assert {each["stream_conn_id"] for each in tags} == {CONN}
        assert {each["endpoint"] for each in tags} == {"GetTask", "GetImportV2Task"}
