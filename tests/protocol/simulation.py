"""Waits in virtual time: the real plan, budget and schedule against a Stream that is a few lines long."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from math import inf

from airflow_provider_streamtasks.exceptions import StreamRateLimitException
from airflow_provider_streamtasks.protocol.poll_budget import PollBudget
from airflow_provider_streamtasks.protocol.poll_plan import PollPlan
from airflow_provider_streamtasks.protocol.poll_schedule import PollSchedule
from airflow_provider_streamtasks.protocol.rate_limits import RateLimit
from airflow_provider_streamtasks.protocol.tasks import STREAM_TASKS, StreamTask
from airflow_provider_streamtasks.protocol.wait import Wait
from tests.wait_terms import wait_terms

MINUTE = 60.0
START = 30_000_000 * MINUTE
LATENCY = 0.02  # seconds

MIXTURE_K = 6.04
"""Seconds: the least product of polls per Stream task and mean delay for :func:`mixture`."""
MIXTURE_G = 0.551
"""What hazard-aware spending saves at most for :func:`mixture`; spending evenly is 1."""

SHARE = 0.8
"""The part of Stream's limit that a connection uses by default."""

Durations = Callable[[random.Random], float]


def least_delay(waits: int, polls_a_minute: float) -> float:
    """Return the least mean delay, in seconds, that any schedule can have for :func:`mixture`."""
    return waits * MINUTE / (2 * polls_a_minute) * MIXTURE_G


def mixture(dice: random.Random) -> float:
    """70% 2-10 s, 25% 10-60 s, 5% 60-300 s."""
    kind = dice.random()
    return dice.uniform(*((2, 10) if kind < 0.7 else (10, 60) if kind < 0.95 else (60, 300)))


def mixture_in_minutes(dice: random.Random) -> float:
    return 60.0 * mixture(dice)


@dataclass
class Server:
    """Takes ``limit`` polls a minute; others take ``others`` of them, evenly over the minute."""

    limit: int | None = None
    others: int = 0
    rejected: list[float] = field(default_factory=list)
    _opened: float = 0.0
    _used: int = 0

    def poll(self, now: float) -> tuple[bool, RateLimit | None]:
        if self.limit is None:
            return True, None
        opened = now // MINUTE * MINUTE
        if opened != self._opened:
            self._opened, self._used = opened, 0
        self._used += 1
        used = self._used + int(self.others * (now - opened) / MINUTE)
        if used > self.limit:
            self.rejected.append(now)
        reset = opened + MINUTE - now
        return used <= self.limit, RateLimit(self.limit, max(0, self.limit - used), reset)


@dataclass
class Process:
    """One triggerer: a plan of its own, and the waits that joined it."""

    share: float
    plan: PollPlan = field(init=False)
    under_way: list[tuple[float, int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plan = PollPlan(PollBudget(self.share), PollSchedule())


@dataclass
class Result:
    delays: list[float]
    polls: int
    tasks: int
    server: Server
    longest_open: float

    @property
    def mean_delay(self) -> float:
        return sum(self.delays) / len(self.delays)

    @property
    def p99_delay(self) -> float:
        return sorted(self.delays)[int(0.99 * len(self.delays))]

    @property
    def polls_per_task(self) -> float:
        return self.polls / self.tasks


def simulate(
    n: int,
    durations: Durations,
    *,
    server: Server | None = None,
    processes: int = 1,
    share: float = SHARE,
    spread: float = 0.0,
    lasts: float = inf,
    counted_after: float = 0.0,
    refill: bool = False,
    seed: int = 1,
) -> Result:
    """Let waits begin and end.

    :param n: waits in all, or at any time with ``refill``.
    :param spread: seconds over which they begin.
    :param lasts: seconds of the simulation; otherwise until all ended.
    :param counted_after: seconds until a wait that begins counts in the delays.
    :param refill: begin a new wait for each that ends.
    """
    dice, server, numbers = random.Random(seed), server or Server(), count()
    terms = wait_terms(timeout=1e9)
    group = [Process(share) for _ in range(processes)]
    ends: dict[str, float] = {}
    began: dict[str, float] = {}
    delays: list[float] = []
    polls = tasks = 0
    coming = sorted((START + dice.uniform(0, spread), i % processes) for i in range(n))
    now = START
    while now < START + lasts and (coming or ends):
        while coming and coming[0][0] <= now:
            at, index = heapq.heappop(coming)
            task_id = f"{index}-{next(numbers)}"
            ends[task_id], began[task_id] = at + durations(dice), at
            group[index].plan.join(Wait([task_id], terms, at), at)
        next_at = coming[0][0] if coming else inf
        for process in group:
            while process.under_way and process.under_way[0][0] <= now:
                _, _, task_id = heapq.heappop(process.under_way)
                polls += 1
                answered, limit = server.poll(now)
                end = ends[task_id]
                answer: StreamTask | StreamRateLimitException
                if not answered:
                    assert limit is not None
                    answer = StreamRateLimitException("no", status_code=429, retry_after=limit.reset)
                elif end <= now:
                    answer = StreamTask(task_id, "completed", updated_at=end)
                else:
                    answer = StreamTask(task_id, "running")
                for wait, _line in process.plan.saw((task_id, STREAM_TASKS), answer, limit, now).lines:
                    if wait.over:
                        process.plan.leave(wait)
                        tasks += 1
                        if began[task_id] >= START + counted_after:
                            delays.append(now - end)
                        del ends[task_id], began[task_id]
                        if refill:
                            heapq.heappush(coming, (now, int(task_id[0])))
                            next_at = now
            while (poll := process.plan.take(now)) is not None:
                heapq.heappush(process.under_way, (now + LATENCY, next(numbers), poll[0]))
            next_at = min(next_at, now + max(0.005, process.plan.pause(now)))
            if process.under_way:
                next_at = min(next_at, process.under_way[0][0])
        assert next_at < inf, "nobody would ever poll again"
        now = max(now, next_at)
    open_for = max((now - end for end in ends.values()), default=0.0)
    return Result(delays, polls, max(1, tasks), server, open_for)
