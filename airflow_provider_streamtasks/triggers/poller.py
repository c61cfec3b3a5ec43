"""
One poller per event loop, connection and endpoint, which triggers share: one session, one plan, one budget.

What to poll, and when, is decided by :class:`~airflow_provider_streamtasks.protocol.poll_plan.PollPlan`; a
poller only carries it out.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Awaitable, Callable
from math import inf
from weakref import WeakKeyDictionary

from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol.poll_budget import PollBudget
from airflow_provider_streamtasks.protocol.poll_plan import Poll, PollPlan
from airflow_provider_streamtasks.protocol.poll_schedule import PollSchedule
from airflow_provider_streamtasks.protocol.wait import Wait
from airflow_provider_streamtasks.triggers.metrics import PollMetrics
from airflow_provider_streamtasks.triggers.task import finish

GRAIN = 0.05
"""Seconds between two visits to the plan at least: what goes out together costs a third less."""

Line = tuple[int, str]
"""A line for the log of a wait: a level of :mod:`logging`, and a text."""

_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], Poller]] = WeakKeyDictionary()
_schedules: dict[tuple[str, str], PollSchedule] = {}
"""What was learned at each connection and endpoint, also by pollers that are gone."""


async def wait_for(stream_conn_id: str, wait: Wait, log: Callable[[int, str], Awaitable[None]]) -> None:
    """
    Return when a wait is over, polling together with all others that wait over the same connection.

    :param stream_conn_id: the Airflow connection
    :param log: is called with both parts of each :data:`Line`
    """
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    key = stream_conn_id, wait.pollable.endpoint
    poller = pollers.get(key)
    if poller is None:
        poller = pollers[key] = Poller(*key)
    poller.users += 1
    try:
        news = poller.listen(wait)
        if not wait.over:
            poller.join(wait)
        while not wait.over:
            # Here, because Airflow finds a trigger's log by the context of the line.
            for level, line in await news:
                await log(level, line)
            news = poller.listen(wait)
    finally:
        poller.leave(wait)
        poller.users -= 1
        if not poller.users:
            del pollers[key]
            await finish(poller.close())


class Poller:
    """
    Carries out the plan of one connection and endpoint on one event loop.

    :param stream_conn_id: the Airflow connection
    :param endpoint: Stream's name of the call that polls, such as ``GetTask``
    """

    def __init__(self, stream_conn_id: str, endpoint: str) -> None:
        self.users = 0
        self.budget = PollBudget(share=1.0)
        self.plan = PollPlan(self.budget, _schedules.setdefault((stream_conn_id, endpoint), PollSchedule()))
        self._hook = StreamHook(stream_conn_id)
        self._metrics = PollMetrics(stream_conn_id, endpoint)
        self._loop = asyncio.get_running_loop()
        self._news: dict[Wait, asyncio.Future[list[Line]]] = {}
        # Empty, because polls belong to no trigger. Tasks that begin in it stay in it.
        self._context = contextvars.Context()
        self._polls: set[asyncio.Task[None] | None] = set()
        self._timer: asyncio.TimerHandle | None = None

    def listen(self, wait: Wait) -> asyncio.Future[list[Line]]:
        """Return what is done as soon as a wait has lines for the log, or is over."""
        news = self._news[wait] = self._loop.create_future()
        return news

    def join(self, wait: Wait) -> None:
        """Begin to poll what a wait is for."""
        self.plan.join(wait, time.time())
        self._context.run(self._send)

    def leave(self, wait: Wait) -> None:
        """Forget a wait, whether it is over or not."""
        del self._news[wait]
        self.plan.leave(wait)
        if wait.over:
            self._metrics.ended(wait)

    async def close(self) -> None:
        """Give up what is under way, and close the session."""
        if self._timer:
            self._timer.cancel()
        polls = list(filter(None, self._polls))
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)
        self._metrics.report(self.plan, time.time())
        await self._hook.aclose()

    def _send(self) -> None:
        """Send the polls that are due, and come back when there may be more."""
        now = time.time()
        for wait in self.plan.expire(now):
            self._log(wait, None, now)
        while (poll := self.plan.take(now)) is not None:
            self._polls.add(self._loop.create_task(self._poll(poll)))
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

    async def _poll(self, first: Poll) -> None:
        """Poll once, and go on with what may be polled next."""
        poll: Poll | None = first
        while poll is not None:
            answer, limit = await self._hook.apoll(*poll)
            if limit is not None:
                self.budget.share = (await self._hook.aget_conn()).connection.rate_limit_share
            now = time.time()
            seen = self.plan.saw(poll, answer, limit, now)
            self._metrics.polled(answer, seen, self.plan, now)
            for wait, line_of_wait in seen.lines:
                self._log(wait, line_of_wait, now)
            poll = self.plan.take(now)
            # Mostly there is nothing else to send at this very moment.
            pause = self.plan.pause(now)
            if pause > 0.0:
                self._come_back(pause)
            else:
                self._send()
        self._polls.discard(asyncio.current_task(self._loop))

    def _log(self, wait: Wait, line_of_wait: str | None, now: float) -> None:
        lines: list[Line] = []
        if line_of_wait:
            lines.append((logging.WARNING, line_of_wait))
        if milestone := wait.milestone(now):
            lines.append((logging.INFO, milestone))
        if lines or wait.over:
            news = self._news[wait]
            if not news.done():
                news.set_result(lines)
            elif not news.cancelled():
                news.result().extend(lines)
