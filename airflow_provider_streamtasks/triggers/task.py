"""``StreamTaskTrigger``: wait for Stream tasks in the triggerer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import asdict
from functools import lru_cache, partial
from typing import Any, TypeVar

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_streamtasks import _compat, configuration, spans
from airflow_provider_streamtasks.exceptions import StreamException
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol.data_import import Import
from airflow_provider_streamtasks.protocol.delivery import Delivery, XComPolicy, decide
from airflow_provider_streamtasks.protocol.tasks import STREAM_TASKS, Pollable
from airflow_provider_streamtasks.protocol.wait import ERRORS_ONLY_LIMIT, Ended, Outcome, Wait, WaitTerms
from airflow_provider_streamtasks.triggers import warm_up
from airflow_provider_streamtasks.triggers.progress import recorded

_Result = TypeVar("_Result")

BACKSTOP = 15.0
"""Seconds after the deadline at which the scheduler ends a wait whose trigger did not."""

# Shared, because the garbage collector stops the event loop while it walks through what each wait holds. A
# logger for each would be a third of that.
log = logging.getLogger(__name__)
_shared_terms = lru_cache(maxsize=256)(WaitTerms)
_shared_policy = lru_cache(maxsize=256)(XComPolicy)

_writer = ThreadPoolExecutor(1, "stream-task-log")
"""The thread that writes lines: one of its own, so that a full pipe blocks no thread that others need."""

_callers = ThreadPoolExecutor(4, "stream-task-xcom")
"""The threads that read and write XComs (:func:`call_airflow`)."""


async def write(level: int, line: str) -> None:
    """
    Write a line to the log of the trigger that runs, from a thread.

    It goes through a pipe that nobody reads while the triggerer is busy (3.3.2): a pipe that is full blocks.

    :param level: of :mod:`logging`
    """
    if log.isEnabledFor(level):
        # In this context, from which Airflow knows whose line it is.
        job = partial(copy_context().run, _write, level, line)
        await asyncio.get_running_loop().run_in_executor(_writer, job)


def _write(level: int, line: str) -> None:
    log.log(level, line)  # from here, because Airflow shows which file a line is from


async def call_airflow(function: Callable[[], _Result]) -> _Result:
    """
    Call a function that calls Airflow, in a thread, and return what it returns.

    The triggerer's supervisor takes such calls one by one. In the threads of the event loop, those of many
    waits would be in the way of all else: Airflow logs each event there before it takes it in (3.3.2), so
    hardly a wait would end before the last call of all of them.
    """
    return await asyncio.get_running_loop().run_in_executor(_callers, partial(copy_context().run, function))


_finishing: set[asyncio.Task[None]] = set()
"""What is under way by :func:`finish`: nothing else keeps it from being collected."""


async def finish(work: Coroutine[Any, Any, None]) -> None:
    """Carry out work to its end, in a task of its own, because the caller may be cancelled."""
    task = asyncio.create_task(work)
    _finishing.add(task)
    task.add_done_callback(_finishing.discard)
    await asyncio.shield(task)


class StreamTaskTrigger(BaseTrigger):
    """
    Wait until Stream tasks are finished, and fire one event.

    The event names ids and how the wait ended. Results are not in it: Airflow logs events, and a result may
    hold a signed URL.

    With ``end``, a completed wait ends the Airflow task here, after the results have become XComs.
    Everything else goes to a worker, which handles exceptions, callbacks and retries.

    :param stream_conn_id: the Airflow connection
    :param stream_task_ids: the Stream tasks
    :param started_at: Unix time at which the wait began. With it the deadline stays the same when the trigger
        moves to another triggerer.
    :param timeout: seconds to wait, from ``started_at``
    :param poll_interval: seconds between two polls at least
    :param max_poll_interval: seconds between two polls at most
    :param keep_on_errors: whether no error ends the wait
    :param record_progress: whether an XCom records how far a wait of more than a minute has come
    :param completed_states: for imports, :class:`~airflow_provider_streamtasks.protocol.data_import.Import`
        says what; ``None`` for Stream tasks
    :param failed_states: likewise
    :param end: whether to end the Airflow task (Airflow 3.3 and later)
    :param policy: what becomes an XCom then, as
        :class:`~airflow_provider_streamtasks.protocol.delivery.XComPolicy` has it
    """

    def __init__(
        self,
        stream_conn_id: str,
        stream_task_ids: Sequence[str],
        started_at: float,
        timeout: float,
        poll_interval: float,
        max_poll_interval: float,
        keep_on_errors: bool = False,
        record_progress: bool = True,
        *,
        completed_states: Sequence[int] | None = None,
        failed_states: Sequence[int] = (),
        end: bool = False,
        **policy: Any,
    ) -> None:
        super().__init__()
        self.stream_conn_id = stream_conn_id
        named = [stream_task_ids] if isinstance(stream_task_ids, str) else stream_task_ids
        self.stream_task_ids = tuple(named)
        self.started_at = started_at
        self.terms = _shared_terms(timeout, poll_interval, max_poll_interval, keep_on_errors)
        self.record_progress = record_progress
        self.pollable: Pollable = STREAM_TASKS
        if completed_states is not None:
            self.pollable = Import(tuple(completed_states), tuple(failed_states))
        self.end = end
        self.policy = _shared_policy(**policy)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments: ids and numbers, never a secret."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "stream_conn_id": self.stream_conn_id,
            "stream_task_ids": list(self.stream_task_ids),
            "started_at": self.started_at,
            **asdict(self.terms),
            "record_progress": self.record_progress,
            **self.pollable.serialize(),
            **({"end": True, **asdict(self.policy)} if self.end else {}),
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and end the Airflow task, or fire the event that :func:`read_event` reads."""
        if self._may_end:
            warm_up.warm_up.begin(self.task_instance)
        wait = Wait(self.stream_task_ids, self.terms, self.started_at, self.pollable)
        await write(logging.INFO, wait.beginning(time.time()))
        try:
            with recorded(wait, self):
                poller = await warm_up.poller()
                await poller.wait_for(self.stream_conn_id, wait, write)
        except StreamException as error:
            wait.error = error
        except Exception as error:
            # Left to Airflow, it would become a TaskDeferralError, which soft_fail turns into a skip.
            wait.error = StreamException(f"The wait broke off: {type(error).__name__}: {error}")
        age = time.time() - self.started_at
        await write(logging.INFO, f"The wait ended after {age:.1f} s: {wait.outcome}")
        spans.record(wait, self.stream_conn_id)
        yield await self.event(wait)

    async def event(self, wait: Wait) -> TriggerEvent:
        """Return the event that ends the Airflow task, or the one for a worker, once it may be fired."""
        if self._may_end:
            try:
                why = await self._end(wait)
            except Exception as error:
                why = f"the triggerer could not: {type(error).__name__}: {error}"
                await write(logging.WARNING, f"Ending on a worker, because {why}")
            else:
                if why is None:
                    return TaskSuccessEvent()
                await write(logging.INFO, f"Ending on a worker, because {why}")
        await asyncio.sleep(self._until_worker_is_gone())
        return TriggerEvent(
            {
                "outcome": str(wait.outcome),
                "stream_task_ids": list(self.stream_task_ids),
                "open": wait.open_task_ids,
                "last_error": wait.last_error,
                "started_at": self.started_at,
                "terms": asdict(self.terms),
                "error": wait.error.to_dict() if wait.error else None,
            }
        )

    @property
    def _may_end(self) -> bool:
        # dag.test() has no trigger id, and does not know events that end the Airflow task.
        return self.end and self.trigger_id is not None

    async def _end(self, wait: Wait) -> str | None:
        """Carry out what is decided, unless that is for a worker: then do nothing, and return why."""
        if wait.outcome is not Outcome.COMPLETED:
            return f"the wait ended as {wait.outcome}"
        # In a thread, because a result may be megabytes, and others wait in this loop.
        delivery = await asyncio.to_thread(decide, wait.ended(), self.policy, whole=self.pollable.whole)
        if delivery.failure:
            return "items failed, and fail_on_partial is True"
        for secret in delivery.secrets:
            await _compat.amask_secret(secret)
        for line in delivery.log_lines:
            await write(logging.INFO, line)
        for line in delivery.warnings:
            await write(logging.WARNING, line)
        await call_airflow(partial(self._push, delivery))
        return None

    def _push(self, delivery: Delivery) -> None:
        # Not as xcoms of the event: those reach the next task as text, and pass by an XCom backend (3.3.2).
        from airflow.sdk.execution_time.xcom import XCom  # only where tasks run

        for key, value in delivery.xcoms.items():
            XCom.set(key=key, value=value, **self._place())

    def _place(self) -> dict[str, Any]:
        """Return where the XComs of the Airflow task are."""
        ti: Any = self.task_instance
        return {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id, "map_index": ti.map_index}

    def _until_worker_is_gone(self) -> float:
        """Return the seconds until the scheduler has surely seen the end of the worker that deferred."""
        if self.trigger_id is None:
            return 0.0  # dag.test(): there is no such worker
        return max(0.0, self.started_at + configuration.worker_end_seen() - time.time())


def read_event(event: Mapping[str, Any], hook: StreamHook, pollable: Pollable = STREAM_TASKS) -> Ended:
    """
    Return how the Stream tasks of a trigger's event stand.

    They are asked for again, so that a signed URL in a result is fresh. An outage is waited out as during the
    wait. What Stream says now counts: if one is no longer finished, or seems to have failed only now, the
    wait for it goes on, up to the same deadline.

    :param event: what :class:`StreamTaskTrigger` fired
    :param pollable: what they are, where they are not Stream tasks proper
    :raises StreamException: the error that ended the wait
    """
    if event["error"]:
        raise StreamException.from_dict(event["error"])
    awaited = [task_id for task_id in event["stream_task_ids"] if task_id not in event["open"]]
    tasks = [hook.get_task(task_id, pollable, patience=ERRORS_ONLY_LIMIT) for task_id in awaited]
    confirmed = event["outcome"] == Outcome.FAILED.value
    seen = {task.task_id: task for task in tasks if task.finished and (confirmed or not task.may_pass)}
    unclear = [task_id for task_id in awaited if task_id not in seen]
    again = Wait(unclear, WaitTerms(**event["terms"]), event["started_at"], pollable)
    hook.carry_out(again)
    ended = again.ended()
    seen |= {task.task_id: task for task in ended.finished}
    finished = [seen[task_id] for task_id in awaited if task_id in seen]
    still_open = [*event["open"], *ended.open_task_ids]
    # Waits that began before an upgrade may fire the event of then.
    last_error = ended.last_error or event.get("last_error", "")
    return Ended(finished, still_open, ended.timeout, ended.noun, last_error)
