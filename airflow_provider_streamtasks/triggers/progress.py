"""
Records how far the waits of a triggerer have come, in an XCom of each, so that Airflow's UI can show it.

What to record, and when, is decided by :class:`~airflow_provider_streamtasks.protocol.progress.RecordPlan`.
Airflow's task state store, where such a record belongs, is closed to triggers: the triggerer takes no message
that writes to it (3.3.2, 3.4.0b2).
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow_provider_streamtasks import configuration
from airflow_provider_streamtasks.progress import NOT_RECORDED, write_xcom
from airflow_provider_streamtasks.protocol.progress import Progress, RecordPlan
from airflow_provider_streamtasks.protocol.wait import Wait

if TYPE_CHECKING:
    from airflow_provider_streamtasks.triggers.task import StreamTaskTrigger

REST = 5.0
"""Seconds between two visits to the plan at most: a wait may join whose turn comes before all others'."""

log = logging.getLogger(__name__)

_recorders: WeakKeyDictionary[asyncio.AbstractEventLoop, Recorder] = WeakKeyDictionary()


@contextmanager
def recorded(wait: Wait, trigger: StreamTaskTrigger) -> Iterator[None]:
    """Record how far a wait has come, for as long as the block lasts."""
    # dag.test() has no trigger id; in it nobody looks at the UI.
    if not trigger.record_progress or trigger.trigger_id is None or trigger.task_instance is None:
        yield
        return
    recorder = _recorders.setdefault(asyncio.get_running_loop(), Recorder())
    recorder.join(wait, trigger.task_instance)
    try:
        yield
    finally:
        recorder.leave(wait)


class Recorder:
    """Carries out the plan of one event loop: one record after the other, each in a thread."""

    def __init__(self) -> None:
        self.plan = RecordPlan()
        self._task: asyncio.Task[None] | None = None
        self._enabled = configuration.record_progress()
        # With the context of each trigger: by it Airflow knows whose log a line is for, and, since 3.4, which
        # iteration of a loop an XCom belongs to.
        self._places: dict[Wait, tuple[contextvars.Context, Any]] = {}

    def join(self, wait: Wait, task_instance: Any) -> None:
        """Record a wait from now on."""
        if self._enabled:
            self._places[wait] = (contextvars.copy_context(), task_instance)
            self.plan.join(wait, time.time())
            if self._task is None:
                self._task = contextvars.Context().run(asyncio.ensure_future, self._run())

    def leave(self, wait: Wait) -> None:
        """Forget a wait."""
        self.plan.leave(wait)
        self._places.pop(wait, None)
        if self._task and not self._places:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        from asgiref.sync import sync_to_async  # unlike asyncio.to_thread, it serves Airflow before 3.3

        write = sync_to_async(_write, thread_sensitive=False)
        while True:
            await asyncio.sleep(min(self.plan.pause(time.time()), REST))
            if taken := self.plan.take(time.time()):
                wait, progress = taken
                context, task_instance = self._places[wait]
                if not await context.run(asyncio.ensure_future, write(task_instance, progress)):
                    self.plan.leave(wait)


def _write(ti: Any, progress: Progress) -> bool:
    """Write a record; return False, after a line in the log, if that cannot be done."""
    try:
        write_xcom(ti, progress)
    except Exception as error:
        log.warning(NOT_RECORDED, type(error).__name__, error)
        return False
    return True
