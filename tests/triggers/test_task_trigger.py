from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from airflow.models.trigger import Trigger

from airflow_provider_streamtasks.exceptions import (
    StreamApiException,
    StreamConfigurationError,
    StreamException,
    StreamTaskException,
    StreamTaskTimeout,
)
from airflow_provider_streamtasks.hooks.client import ATTEMPTS
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol import wait
from airflow_provider_streamtasks.sandbox import Sandbox, SandboxControl
from airflow_provider_streamtasks.triggers.task import StreamTaskTrigger, read_event
from tests.airflow_tasks import revived
from tests.conftest import Logs, SetConnection, StartTask

SIGNED = "https://storage.example/export.json?Signature=abcdef"


def trigger(*task_ids: str, started_at: float | None = None, **terms: Any) -> StreamTaskTrigger:
    return StreamTaskTrigger(
        "stream_default",
        task_ids,
        time.time() if started_at is None else started_at,
        **{"timeout": 10.0, "poll_interval": 0.05, "max_poll_interval": 1.0, **terms},
    )


async def events(trigger: StreamTaskTrigger) -> list[Any]:
    return [event.payload async for event in trigger.run()]


async def event(trigger: StreamTaskTrigger) -> Any:
    (payload,) = await events(trigger)
    return payload


def read(payload: Mapping[str, Any]) -> Any:
    """Return what the worker makes of an event, which comes to it as JSON."""
    hook = StreamHook()
    try:
        return read_event(json.loads(json.dumps(payload)), hook).completed()
    finally:
        hook.close()


# -- across processes --------------------------------------------------------------------------------------


def test_a_trigger_is_made_again_from_its_path_and_arguments() -> None:
    first = trigger("a", "b", started_at=1_800_000_000.5, timeout=60.0, keep_on_errors=True)
    assert revived(first).serialize() == first.serialize()
    path, arguments = first.serialize()
    assert path == "airflow_provider_streamtasks.triggers.task.StreamTaskTrigger"
    assert arguments == {
        "stream_conn_id": "stream_default",
        "stream_task_ids": ["a", "b"],
        "started_at": 1_800_000_000.5,
        "timeout": 60.0,
        "poll_interval": 0.05,
        "max_poll_interval": 1.0,
        "keep_on_errors": True,
        "record_progress": True,
    }


def test_a_trigger_survives_airflows_own_encoding() -> None:
    path, arguments = trigger("a", "b").serialize()
    row = Trigger(classpath=path, kwargs=arguments)
    assert StreamTaskTrigger(**row.kwargs).serialize() == (path, arguments)


async def test_the_arguments_hold_no_secret_even_after_use(start_task: StartTask, sandbox: Sandbox) -> None:
    used = trigger(start_task())
    await event(used)
    written = json.dumps(used.serialize())
    assert sandbox.api_secret not in written
    assert sandbox.api_key not in written


async def test_the_deadline_stays_the_same_when_the_trigger_moves(
    start_task: StartTask, control: SandboxControl
) -> None:
    task_id = start_task(end="never")
    long_ago = trigger(task_id, started_at=time.time() - 3600, timeout=600)
    payload = await event(revived(long_ago))
    assert payload["outcome"] == "timed_out"
    assert len(control.journal("GetTask")) == 1


async def test_what_finished_while_no_triggerer_was_alive_is_no_timeout(start_task: StartTask) -> None:
    payload = await event(trigger(start_task(), started_at=time.time() - 3600, timeout=600))
    assert payload["outcome"] == "completed"


# -- events ------------------------------------------------------------------------------------------------


async def test_a_completed_stream_task_fires_one_event(start_task: StartTask) -> None:
    task_id = start_task(running=0.2)
    payload = await event(trigger(task_id, started_at=(started_at := time.time())))
    assert payload == {
        "outcome": "completed",
        "stream_task_ids": [task_id],
        "open": [],
        "last_error": "",
        "started_at": started_at,
        "terms": {"timeout": 10.0, "poll_interval": 0.05, "max_poll_interval": 1.0, "keep_on_errors": False},
        "error": None,
    }
    (task,) = read(payload)
    assert task.result == {"messaging:a": {"status": "ok"}}


async def test_an_event_holds_no_signed_url_because_airflow_logs_it(
    start_task: StartTask, logs: Logs
) -> None:
    payload = await event(trigger(start_task(result={"url": SIGNED})))
    assert "abcdef" not in json.dumps(payload)
    assert "abcdef" not in logs.text
    (task,) = read(payload)
    assert task.result == {"url": SIGNED}


@pytest.mark.parametrize("end", ["failed", "error"])
async def test_a_failed_stream_task_becomes_streams_words_on_the_worker(
    start_task: StartTask, end: str
) -> None:
    task_id = start_task(end=end, error={"type": "storage", "description": "full"})
    payload = await event(trigger(task_id))
    assert payload["outcome"] == "failed"
    with pytest.raises(StreamTaskException, match="storage: full") as raised:
        read(payload)
    assert raised.value.task_id == task_id


async def test_the_deadline_becomes_a_timeout_on_the_worker(start_task: StartTask) -> None:
    done, open_ = start_task(), start_task(end="never")
    payload = await event(trigger(done, open_, timeout=0.3))
    assert payload["outcome"] == "timed_out"
    assert payload["open"] == [open_]
    with pytest.raises(StreamTaskTimeout, match=r"within 0\.3 s") as raised:
        read(payload)
    assert raised.value.task_ids == [open_]


async def test_a_timeout_says_on_the_worker_what_the_last_poll_in_the_triggerer_brought(
    start_task: StartTask, control: SandboxControl
) -> None:
    task_id = start_task()
    control.fault("unavailable", operation="GetTask")
    payload = await event(trigger(task_id, timeout=0.3))
    with pytest.raises(
        StreamTaskTimeout, match=r"not known whether Stream goes on with it: Stream answered 503"
    ):
        read(payload)
    # A trigger of an earlier release fires no such key.
    del payload["last_error"]
    with pytest.raises(StreamTaskTimeout, match=r"Stream may go on with it"):
        read(payload)


async def test_an_error_keeps_its_class_and_fields_on_the_worker(
    start_task: StartTask, control: SandboxControl
) -> None:
    task_id = start_task()
    control.fault("api_error", operation="GetTask", status=403, code=17, message="not allowed")
    payload = await event(trigger(task_id))
    assert payload["outcome"] == "error"
    with pytest.raises(StreamApiException, match="not allowed") as raised:
        read(payload)
    assert (raised.value.status_code, raised.value.code) == (403, 17)
    assert "does not allow this call" in raised.value.hint


async def test_an_airflow_connection_without_a_secret_is_an_event(set_connection: SetConnection) -> None:
    set_connection(password=None)
    payload = await event(trigger("a"))
    assert payload["outcome"] == "error"
    with pytest.raises(StreamConfigurationError, match="has no API secret"):
        read(payload)


async def test_an_airflow_connection_that_does_not_exist_is_an_event() -> None:
    payload = await event(trigger("a"))
    assert payload["outcome"] == "error"
    with pytest.raises(StreamException, match="stream_default"):
        read(payload)


async def test_one_id_is_not_taken_for_a_list_of_its_letters(start_task: StartTask) -> None:
    task_id = start_task()
    waiting = StreamTaskTrigger("stream_default", task_id, time.time(), 10.0, 0.05, 1.0)
    assert (await event(waiting))["stream_task_ids"] == [task_id]


async def test_what_nobody_thought_of_is_an_event_too(connection: None) -> None:
    unencodable = "\ud800"
    payload = await event(trigger(unencodable))
    assert payload["outcome"] == "error"
    with pytest.raises(StreamException, match="The poll broke off: ValueError"):
        read(payload)


async def test_an_outage_is_waited_out(start_task: StartTask, control: SandboxControl) -> None:
    task_id = start_task()
    control.fault("unavailable", operation="GetTask", times=3)
    payload = await event(trigger(task_id))
    assert payload["outcome"] == "completed"


async def test_an_outage_between_the_event_and_the_worker_is_waited_out(
    start_task: StartTask, control: SandboxControl
) -> None:
    payload = await event(trigger(start_task()))
    control.fault("unavailable", operation="GetTask", times=ATTEMPTS)
    assert [task.status for task in read(payload)] == ["completed"]


@pytest.mark.parametrize(
    "before",
    [
        {"end": "failed", "error": {"type": "storage", "description": "full"}},
        {"end": "completed"},
    ],
)
async def test_what_is_running_again_when_the_worker_looks_is_waited_for_on(
    start_task: StartTask, control: SandboxControl, before: dict[str, Any]
) -> None:
    task_id = start_task(**before)
    payload = await event(trigger(task_id))
    control.fate(stream_task_id=task_id, running=0.3)
    assert [task.status for task in read(payload)] == ["completed"]
    assert len(control.journal("GetTask")) > 2


async def test_what_seems_to_have_failed_only_when_the_worker_polls_is_polled_again(
    start_task: StartTask, control: SandboxControl
) -> None:
    task_id = start_task()
    payload = await event(trigger(task_id, timeout=60.0))
    control.fate(stream_task_id=task_id, before_end=[{"seconds": 1, "status": "failed"}])
    assert [task.status for task in read(payload)] == ["completed"]


async def test_what_is_running_again_when_the_worker_looks_is_waited_for_to_the_same_deadline(
    start_task: StartTask, control: SandboxControl
) -> None:
    done, again = start_task(), start_task()
    payload = await event(trigger(done, again, timeout=0.6))
    control.fate(stream_task_id=again, end="never")
    with pytest.raises(StreamTaskTimeout, match=r"within 0\.6 s") as raised:
        read(payload)
    assert raised.value.task_ids == [again]


async def test_a_failure_that_may_pass_is_confirmed_before_it_is_an_event(
    start_task: StartTask, control: SandboxControl, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wait, "CONFIRMING_PAUSE", 0.5)
    task_id = start_task(end="failed", error=None)
    started = time.time()
    payload = await event(trigger(task_id, timeout=60.0))
    assert payload["outcome"] == "failed"
    assert 1.0 <= time.time() - started < 6.0
    assert len(control.journal("GetTask")) == 3
    assert logs.text.count("That may pass") == 1
    with pytest.raises(StreamTaskException, match="Stream gives no reason"):
        read(payload)


async def test_many_stream_tasks_fire_one_event(start_task: StartTask, control: SandboxControl) -> None:
    ids = [start_task(f"messaging:{number}", running=0.2) for number in range(60)]
    payload = await event(trigger(*ids))
    assert payload["outcome"] == "completed"
    assert payload["stream_task_ids"] == ids
    assert {request["path"].rpartition("/")[2] for request in control.journal("GetTask")} == set(ids)


async def test_a_stream_task_that_is_given_twice_is_polled_once(
    start_task: StartTask, control: SandboxControl
) -> None:
    task_id = start_task()
    payload = await event(trigger(task_id, task_id))
    assert len(control.journal("GetTask")) == 1
    assert [task.task_id for task in read(payload)] == [task_id, task_id]


async def test_with_keep_on_errors_only_the_deadline_ends_the_wait(
    start_task: StartTask, control: SandboxControl
) -> None:
    task_id = start_task()
    control.fault("api_error", operation="GetTask", status=401, code=43)
    payload = await event(trigger(task_id, timeout=0.4, keep_on_errors=True))
    assert payload["outcome"] == "timed_out"
    assert len(control.journal("GetTask")) > 1


# -- ends --------------------------------------------------------------------------------------------------


def wait_for_a_look(control: SandboxControl) -> None:
    while not control.journal("GetTask"):
        time.sleep(0.02)


async def test_a_trigger_that_is_cancelled_stops_and_closes_its_connections(
    start_task: StartTask,
    control: SandboxControl,
    logs: Logs,
    recwarn: pytest.WarningsRecorder,
) -> None:
    running = asyncio.ensure_future(events(trigger(start_task(end="never"))))
    await asyncio.to_thread(wait_for_a_look, control)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    polls = len(control.journal("GetTask"))
    del running
    gc.collect()
    await asyncio.sleep(0.2)
    assert len(control.journal("GetTask")) == polls
    assert "Unclosed" not in logs.text
    assert not [warning for warning in recwarn if "nclosed" in str(warning.message)]


async def test_a_trigger_that_is_done_has_closed_its_connections(
    start_task: StartTask, logs: Logs, recwarn: pytest.WarningsRecorder
) -> None:
    await event(trigger(start_task()))
    gc.collect()
    await asyncio.sleep(0)
    assert "Unclosed" not in logs.text
    assert not [warning for warning in recwarn if "nclosed" in str(warning.message)]


@pytest.mark.parametrize(("setting", "seconds"), [(None, 15), ("30", 35), ("0", 5)])
async def test_no_event_comes_before_the_scheduler_has_seen_the_end_of_the_worker_that_deferred(
    start_task: StartTask, monkeypatch: pytest.MonkeyPatch, setting: str | None, seconds: float
) -> None:
    if setting:
        monkeypatch.setenv("AIRFLOW__STREAMTASKS__SCHEDULER_LAG", setting)
    started_at = time.time() - seconds + 0.5
    scheduled = trigger(start_task(), started_at=started_at)
    scheduled.trigger_id = 1
    payload = await event(scheduled)
    assert payload["outcome"] == "completed"
    assert 0 <= time.time() - (started_at + seconds) < 1


async def test_waiting_does_not_hold_up_other_triggers(
    start_task: StartTask, control: SandboxControl
) -> None:
    task_id = start_task()
    control.fault("delay", operation="GetTask", seconds=0.5, times=1)
    waiting = asyncio.ensure_future(event(trigger(task_id)))
    await asyncio.sleep(0.1)
    turns = 0
    while not waiting.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert (await waiting)["outcome"] == "completed"
    assert turns > 5
