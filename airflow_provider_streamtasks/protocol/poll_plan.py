"""
Which poll comes next, of all the waits that share a connection and an endpoint.

A :class:`PollPlan` takes in who waits and what came; it says what to poll, and when. It sends
nothing and holds no clock, as a :class:`~airflow_provider_streamtasks.protocol.wait.Wait` does not.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count
from math import inf

from airflow_provider_streamtasks.exceptions import StreamRateLimitException
from airflow_provider_streamtasks.protocol.errors import asked_pause
from airflow_provider_streamtasks.protocol.poll_budget import PollBudget
from airflow_provider_streamtasks.protocol.poll_schedule import PollSchedule
from airflow_provider_streamtasks.protocol.rate_limits import WINDOW, RateLimit
from airflow_provider_streamtasks.protocol.tasks import Answer, Pollable, StreamTask
from airflow_provider_streamtasks.protocol.wait import Wait

Poll = tuple[str, Pollable]
"""What is polled: its id, and what it is."""

LAST_POLL = 10.0
"""Seconds after a deadline in which the last poll may still be made, before Airflow itself ends the wait."""

SLACK = 0.25
"""Seconds by which polls may be late before the plan's clock stands still."""

_SPAN = 10.0
"""Seconds over which the stretch is measured."""


@dataclass(slots=True)
class _Watched:
    """
    What is polled, and who waits for it.

    :param task_id: its id
    :param pollable: what it is
    :param began: Unix time at which the first of them began to wait
    :param key: when the next poll is due, on the plan's clock
    :param under_way: whether a poll is
    :param polled_at: Unix time of the last answer that saw it open; ``None`` before the first
    """

    task_id: str
    pollable: Pollable
    waits: list[Wait] = field(default_factory=list)
    began: float = inf
    key: float = inf
    under_way: bool = False
    polled_at: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """
    What a poll meant for those who wait.

    :param lines: each wait with what deserves a line in its log, or ``None``
    :param delay: seconds that a finished Stream task waited for this poll; ``None`` if it is not finished
    """

    lines: list[tuple[Wait, str | None]]
    delay: float | None = None


class PollPlan:
    """
    The polls of all waits of one connection and endpoint, in the order in which they shorten waits most.

    The plan has a clock of its own, which stands still while more is due than may be sent. So all intervals
    stretch together: a Stream task due every second is still polled thirty times as often as one due
    every thirty.

    :param budget: how many polls may go
    :param schedule: how far apart the polls of one Stream task are
    :param patient: whether what has not been polled yet is polled once however long after the deadline, as
        long as the budget lets polls go
    """

    def __init__(self, budget: PollBudget, schedule: PollSchedule, *, patient: bool = False) -> None:
        self.budget = budget
        self.schedule = schedule
        self.patient = patient
        self.stretch = 1.0
        # By number, because the garbage collector passes over tuples of nothing but numbers.
        self._waits: dict[int, Wait] = {}
        self._numbers: dict[Wait, int] = {}
        self._last_polls: set[Wait] = set()  # those whose deadline has come
        self._watched: dict[str, _Watched] = {}
        self._due: list[tuple[float, str]] = []
        self._deadlines: list[tuple[float, int]] = []
        self._count = count()
        self._pace = self._interval  # one object for all waits
        self._lag = 0.0  # seconds by which the plan's clock is behind
        self._span = (-inf, 0.0)  # when the stretch was measured, and the lag then

    def __len__(self) -> int:
        """Return how many waits are going on."""
        return len(self._waits)

    def join(self, wait: Wait, now: float) -> None:
        """Begin to poll the Stream tasks of a wait: at once, or in turn where the budget is spent."""
        wait.interval = self._pace
        number = self._numbers[wait] = next(self._count)
        self._waits[number] = wait
        age = now - wait.started_at
        first = 0.0 if self.budget.ready_at(now) <= now else wait.terms.delay(age, wait.interval)
        for task_id in wait.open_task_ids:
            poll = wait.pollable.key(task_id)
            watched = self._watched.setdefault(poll, _Watched(task_id, wait.pollable))
            watched.waits.append(wait)
            watched.began = min(watched.began, wait.started_at)
            self._put(poll, watched, now + first - self._lag)
        # If it ended while nobody polled, it is polled at once.
        heapq.heappush(self._deadlines, (max(now, wait.deadline), number))

    def leave(self, wait: Wait) -> None:
        """Forget a wait, whether it is over or not."""
        if wait in self._numbers:
            del self._waits[self._numbers.pop(wait)]
        self._last_polls.discard(wait)
        for task_id in wait.task_ids:
            self._forget(wait, task_id)
        if len(self._due) > 2 * len(self._watched) + 64:
            self._due = [entry for entry in self._due if self._is_current(entry)]
            heapq.heapify(self._due)
        if len(self._deadlines) > 2 * len(self._waits) + 64:
            self._deadlines = [entry for entry in self._deadlines if entry[1] in self._waits]
            heapq.heapify(self._deadlines)

    def expire(self, now: float) -> list[Wait]:
        """Prefer the last polls of waits whose deadline has come; return those that ended without one."""
        over = []
        while self._deadlines and self._deadlines[0][0] <= now:
            came, number = heapq.heappop(self._deadlines)
            wait = self._waits.get(number)
            if wait is None:
                continue
            if wait in self._last_polls:
                goes_on = self.patient and self.budget.ready_at(now) <= now + LAST_POLL
                for task_id in wait.expire(now, but_unpolled=goes_on):
                    self._forget(wait, task_id)
                if wait.over:
                    over.append(wait)
                else:
                    heapq.heappush(self._deadlines, (now + LAST_POLL, number))
            else:
                self._last_polls.add(wait)
                for task_id in wait.open_task_ids:
                    if wait.due_at(task_id) < inf:  # else its last answer has come meanwhile
                        poll = wait.pollable.key(task_id)
                        self._put(poll, self._watched[poll], -inf)
                heapq.heappush(self._deadlines, (came + LAST_POLL, number))
        return over

    def take(self, now: float) -> Poll | None:
        """Return what to poll now, and count it as polled; ``None`` if there is none."""
        while self._due and not self._is_current(self._due[0]):
            heapq.heappop(self._due)
        if not self._due or self._due[0][0] > now - self._lag or self.budget.ready_at(now) > now:
            return None
        key, poll = heapq.heappop(self._due)
        watched = self._watched[poll]
        watched.key, watched.under_way = inf, True
        if key > -inf:
            self._lag = max(self._lag, now - key - SLACK)
        self._measure(now)
        self.budget.sent(now)
        return watched.task_id, watched.pollable

    def pause(self, now: float) -> float:
        """Return the seconds until there may be something to do; infinite if an answer must come first."""
        due = self._due[0][0] + self._lag if self._due else inf
        deadline = self._deadlines[0][0] if self._deadlines else inf
        return max(0.0, min(max(due, self.budget.ready_at(now)), deadline) - now)

    def _forget(self, wait: Wait, task_id: str) -> None:
        watched = self._watched.get(poll := wait.pollable.key(task_id))
        if watched and wait in watched.waits:
            watched.waits.remove(wait)
            if not watched.waits:
                del self._watched[poll]

    def saw(self, polled: Poll, answer: Answer, limit: RateLimit | None, now: float) -> Seen:
        """
        Take in what a poll brought.

        :param polled: what :meth:`take` returned
        :param answer: the Stream task, or why there is none
        :param limit: what the answer said of the budget
        :param now: Unix time of the answer
        """
        self.budget.answered(limit, now)
        if isinstance(answer, StreamRateLimitException):
            pause = asked_pause(answer)
            self.budget.refused(WINDOW / 2 if pause is None else pause, now)
        task_id, pollable = polled
        watched = self._watched.get(poll := pollable.key(task_id))
        if watched is None:
            return Seen([])
        watched.under_way = False
        lines = [(wait, wait.observe(task_id, answer, now)) for wait in watched.waits]
        watched.waits = [wait for wait in watched.waits if wait.due_at(task_id) < inf]
        delay = None
        if isinstance(answer, StreamTask) and not (answer.finished and watched.waits):
            # Otherwise a failure is being confirmed, from which there is nothing to learn yet.
            delay = self._learn(watched, answer, now)
        if watched.waits:
            due = min(wait.due_at(task_id) for wait in watched.waits)
            self._put(poll, watched, due - self._lag)
        else:
            del self._watched[poll]
        return Seen(lines, delay)

    def _interval(self, age: float) -> float:
        # In seconds of the plan's clock, which is slower than others by the stretch.
        return self.schedule.interval(age, self.stretch) / self.stretch

    def _learn(self, watched: _Watched, task: StreamTask, now: float) -> float | None:
        """Let the schedule learn; return how long a finished Stream task has been finished."""
        began = watched.began
        before = began if watched.polled_at is None else watched.polled_at
        if not task.finished:
            self.schedule.saw_open(max(0.0, before - began), max(0.0, now - began))
            watched.polled_at = now
            return None
        # Clocks differ, but it was open at the poll before.
        finished_at = (before + now) / 2 if task.updated_at is None else task.updated_at
        if watched.polled_at is None and finished_at <= began:
            return max(0.0, now - began)  # it was finished before anybody waited
        finished_at = max(before, min(now, finished_at))
        self.schedule.saw_finish(max(0.0, before - began), max(0.0, finished_at - began))
        return now - finished_at

    def _put(self, poll: str, watched: _Watched, key: float) -> None:
        if not watched.under_way and key < watched.key:
            watched.key = key
            heapq.heappush(self._due, (key, poll))

    def _is_current(self, entry: tuple[float, str]) -> bool:
        key, poll = entry
        watched = self._watched.get(poll)
        return watched is not None and watched.key == key and not watched.under_way

    def _measure(self, now: float) -> None:
        since, lag = self._span
        if now - since >= _SPAN:
            if since > -inf:
                self.stretch = (now - since) / max(0.01, now - since - (self._lag - lag))
            self._span = (now, self._lag)
