"""
One poller per event loop and connection, which all triggers share: one session, one plan, one budget.

What to look at, and when, is decided by :class:`~airflow_provider_streamtasks.protocol.plan.PollPlan`; a
poller only carries it out.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable
from math import inf
from weakref import WeakKeyDictionary

from airflow_provider_streamtasks.exceptions import StreamException
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol.plan import PollPlan
from airflow_provider_streamtasks.protocol.poll_budget import PollBudget
from airflow_provider_streamtasks.protocol.polling import Wait
from airflow_provider_streamtasks.protocol.schedule import Schedule
from airflow_provider_streamtasks.triggers.metrics import PollMetrics

GRAIN = 0.05
"""Seconds between two looks into the plan at least: what goes out together costs a third less."""

Tell = Callable[[int, str], None]
"""Takes a level of :mod:`logging` and a line for the log of whoever waits."""

_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Poller]] = WeakKeyDictionary()
_schedules: dict[str, Schedule] = {}
"""What was learned of the Stream tasks of each connection, also by pollers that are gone."""
_closing: set[asyncio.Task[None]] = set()
"""Closings under way: nothing else keeps them from being collected."""


async def wait_for(stream_conn_id: str, wait: Wait, tell: Tell) -> None:
    """
    Return when a wait is over, looking together with all others that wait over the same connection.

    :param stream_conn_id: the Airflow connection
    :param tell: is called with what deserves a line in the log
    :raises StreamException: if the Airflow connection cannot be used as it is
    """
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    poller = pollers.get(stream_conn_id)
    if poller is None:
        poller = pollers[stream_conn_id] = Poller(stream_conn_id)
    poller.users += 1
    try:
        await poller.wait_for(wait, tell)
    finally:
        poller.users -= 1
        if not poller.users:
            del pollers[stream_conn_id]
            # In a task of its own, because whoever leaves may have been cancelled.
            closing = asyncio.create_task(poller.close())
            _closing.add(closing)
            closing.add_done_callback(_closing.discard)
            await asyncio.shield(closing)


class Poller:
    """
    Carries out the plan of one connection on one event loop.

    :param stream_conn_id: the Airflow connection
    """

    def __init__(self, stream_conn_id: str) -> None:
        self.users = 0
        self.budget = PollBudget(share=1.0)
        self.plan = PollPlan(self.budget, _schedules.setdefault(stream_conn_id, Schedule()))
        self._hook = StreamHook(stream_conn_id)
        self._metrics = PollMetrics(stream_conn_id)
        self._loop = asyncio.get_running_loop()
        self._ends: dict[Wait, tuple[asyncio.Future[None], Tell]] = {}
        self._looks: set[asyncio.Task[None] | None] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def wait_for(self, wait: Wait, tell: Tell) -> None:
        """Return when a wait is over."""
        # First of all, so that a connection that cannot be used is told of here and not by a look.
        self.budget.share = (await self._hook.aget_conn()).connection.rate_limit_share
        if wait.over:
            return
        ended = self._loop.create_future()
        # Lines of a trigger's log find their way by the context in which they are written.
        context = contextvars.copy_context()
        self._ends[wait] = ended, lambda level, line: context.run(tell, level, line)
        self.plan.join(wait, time.time())
        self._send()
        try:
            await ended
            self._metrics.ended(wait)
        finally:
            del self._ends[wait]
            self.plan.leave(wait)

    async def close(self) -> None:
        """Give up what is under way, and close the session."""
        if self._timer:
            self._timer.cancel()
        looks = list(filter(None, self._looks))
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
        self._metrics.report(self.plan, time.time())
        await self._hook.aclose()

    def _send(self) -> None:
        """Send the looks that are due, and come back when there may be more."""
        now = time.time()
        for wait in self.plan.expire(now):
            self._end(wait)
        while (task_id := self.plan.take(now)) is not None:
            # In an empty context: a look belongs to no trigger.
            self._looks.add(contextvars.Context().run(self._loop.create_task, self._look(task_id)))
        self._come_back(self.plan.pause(now))

    def _come_back(self, pause: float) -> None:
        if pause < inf:
            at = self._loop.time() + max(GRAIN, pause)
            if self._timer is None or self._timer.when() > at:
                if self._timer:
                    self._timer.cancel()
                self._timer = self._loop.call_at(at, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._send()

    async def _look(self, task_id: str) -> None:
        try:
            answer, limit = await self._hook.alook(task_id)
        except Exception as error:
            # Whatever it is, nobody may wait for ever because of it.
            answer, limit = StreamException(f"The wait broke off: {type(error).__name__}: {error}"), None
        now = time.time()
        seen = self.plan.saw(task_id, answer, limit, now)
        self._metrics.polled(answer, seen, self.plan, now)
        for wait, note in seen.notes:
            self._tell(wait, note, now)
            if wait.over:
                self._end(wait)
        self._looks.discard(asyncio.current_task(self._loop))
        # Mostly there is nothing to send at this very moment.
        pause = self.plan.pause(now)
        if pause > 0.0:
            self._come_back(pause)
        else:
            self._send()

    def _tell(self, wait: Wait, note: str | None, now: float) -> None:
        if wait in self._ends:
            _, tell = self._ends[wait]
            if note:
                tell(logging.WARNING, note)
            if milestone := wait.milestone(now):
                tell(logging.INFO, milestone)

    def _end(self, wait: Wait) -> None:
        if wait in self._ends and not self._ends[wait][0].done():
            self._ends[wait][0].set_result(None)
