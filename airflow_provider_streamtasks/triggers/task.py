"""``StreamTaskTrigger``: wait for Stream tasks in the triggerer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_streamtasks import configuration, spans
from airflow_provider_streamtasks.exceptions import StreamException
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol.failures import in_words
from airflow_provider_streamtasks.protocol.tasks import STREAM_TASKS, Pollable
from airflow_provider_streamtasks.protocol.wait import ERRORS_ONLY_LIMIT, Ended, Outcome, Wait, WaitTerms
from airflow_provider_streamtasks.triggers import warm_up
from airflow_provider_streamtasks.triggers.progress import recorded

BACKSTOP = 15.0
"""Seconds after the deadline at which the scheduler ends a wait whose trigger did not."""

# Shared, because the event loop stands still while the garbage collector goes through what each wait holds,
# and a logger of its own is a third of that.
log = logging.getLogger(__name__)
_shared_terms = lru_cache(maxsize=256)(WaitTerms)


async def write(level: int, line: str) -> None:
    """
    Write a line to the log of the trigger that runs, from a thread.

    It goes through a pipe that nobody reads while the triggerer is busy (3.3.2): a pipe that is full blocks.

    :param level: of :mod:`logging`
    """
    if log.isEnabledFor(level):
        await asyncio.to_thread(_write, level, line)


def _write(level: int, line: str) -> None:
    log.log(level, line)  # from here, because Airflow shows which file a line is from


_finishing: set[asyncio.Task[None]] = set()
"""What is under way by :func:`finish`: nothing else keeps it from being collected."""


async def finish(work: Coroutine[Any, Any, None]) -> None:
    """Carry out work to its end, in a task of its own, because whoever begins it may be cancelled."""
    task = asyncio.create_task(work)
    _finishing.add(task)
    task.add_done_callback(_finishing.discard)
    await asyncio.shield(task)


class StreamTaskTrigger(BaseTrigger):
    """
    Wait until Stream tasks are finished, and fire one event.

    The event names ids and how the wait ended. Results are not in it: Airflow logs events, and a result may
    hold a signed URL.

    :param stream_conn_id: the Airflow connection
    :param stream_task_ids: the Stream tasks
    :param started_at: Unix time at which the wait began. With it the deadline stays the same when the trigger
        moves to another triggerer.
    :param timeout: seconds to wait, from ``started_at``
    :param poll_interval: seconds between two polls at least
    :param max_poll_interval: seconds between two polls at most
    :param keep_on_errors: whether no error ends the wait
    :param record_progress: whether an XCom records how far a wait of more than a minute has come
    """

    pollable: Pollable = STREAM_TASKS
    """What is waited for."""

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
    ) -> None:
        super().__init__()
        self.stream_conn_id = stream_conn_id
        self.stream_task_ids = tuple(stream_task_ids)
        self.started_at = started_at
        self.terms = _shared_terms(timeout, poll_interval, max_poll_interval, keep_on_errors)
        self.record_progress = record_progress

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments: ids and numbers, never a secret."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "stream_conn_id": self.stream_conn_id,
            "stream_task_ids": list(self.stream_task_ids),
            "started_at": self.started_at,
            **asdict(self.terms),
            "record_progress": self.record_progress,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire the event that :func:`read_event` reads."""
        wait = Wait(self.stream_task_ids, self.terms, self.started_at, self.pollable)
        left = max(0.0, wait.deadline - time.time())
        words = in_words(wait.task_ids, wait.pollable.noun)
        await write(logging.INFO, f"Waiting up to {left:.10g} s for Stream to finish {words}")
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
        outcome = wait.outcome.value if wait.outcome else None
        await write(logging.INFO, f"The wait ended after {age:.1f} s: {outcome}")
        spans.record(wait, self.stream_conn_id)
        yield await self.event(wait)

    async def event(self, wait: Wait) -> TriggerEvent:
        """Return the event that tells a worker how the wait ended, once it may be fired."""
        await asyncio.sleep(self._until_worker_is_gone())
        return TriggerEvent(
            {
                "outcome": wait.outcome.value if wait.outcome else None,
                "stream_task_ids": list(self.stream_task_ids),
                "open": wait.open_task_ids,
                "started_at": self.started_at,
                "terms": asdict(self.terms),
                "error": wait.error.to_dict() if wait.error else None,
            }
        )

    def _until_worker_is_gone(self) -> float:
        """Return the seconds until the scheduler has surely seen the end of the worker that deferred."""
        if self.trigger_id is None:
            return 0.0  # dag.test(): there is no such worker
        return max(0.0, self.started_at + configuration.worker_end_seen() - time.time())


def read_event(event: Mapping[str, Any], hook: StreamHook, pollable: Pollable = STREAM_TASKS) -> Ended:
    """
    Return how the Stream tasks stand of which a trigger's event tells.

    They are asked for anew, so that a signed URL in a result is fresh. An outage of Stream's right then is
    waited out like one during the wait. What Stream says now counts: should one not be finished any more, or
    seem to have failed only now, it is waited for on, up to the same deadline.

    :param event: what :class:`StreamTaskTrigger` fired, of this release or an earlier one
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
    again = Wait(unclear, *_terms_of(event), pollable)
    hook.carry_out(again)
    ended = again.ended()
    seen |= {task.task_id: task for task in ended.finished}
    finished = [seen[task_id] for task_id in awaited if task_id in seen]
    return Ended(finished, [*event["open"], *ended.open_task_ids], ended.timeout, ended.noun)


def _terms_of(event: Mapping[str, Any]) -> tuple[WaitTerms, float]:
    """Return the terms of the wait of which an event tells, and when it began."""
    if "terms" in event:
        return WaitTerms(**event["terms"]), event["started_at"]
    # Early 0.1.0 wrote the timeout alone. What seemed finished then, and does not now, gets it once more.
    return WaitTerms(event["timeout"]), time.time()
