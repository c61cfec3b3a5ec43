"""The states that a Stream task passes through, and when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Moment(NamedTuple):
    """The point in time (Unix seconds) at which a state begins."""

    time: float
    state: str


@dataclass(slots=True)
class Timeline:
    """Moments in order of time: the past is fixed, the future is a plan that can be replaced."""

    moments: list[Moment]

    def now(self, time: float) -> Moment:
        """The state at a time, with the moment it began."""
        return self.past(time)[-1]

    def past(self, time: float) -> list[Moment]:
        """The states entered up to a time."""
        first, *later = self.moments
        return [first, *(moment for moment in later if moment.time <= time)]

    def replan(self, time: float, moments: Iterable[Moment]) -> None:
        """Keep what happened up to a time, and let other states follow."""
        self.moments = [*self.past(time), *moments]


@dataclass(frozen=True, slots=True)
class Stages:
    """The names under which one kind of task shows its stages.

    :param pending: queued, not yet looked at.
    :param waiting: held up.
    :param running: being worked on.
    :param order: the order in which a task passes the three.
    :param ends: names of ends that differ from the fate's own word.
    """

    pending: str = "pending"
    waiting: str = "waiting"
    running: str = "running"
    order: tuple[str, ...] = ("pending", "waiting", "running")
    ends: tuple[tuple[str, str], ...] = ()

    def end(self, end: str) -> str:
        """The name under which an end is shown."""
        return dict(self.ends).get(end, end)

    def plan(self, start: float, seconds: dict[str, float], end: str) -> list[Moment]:
        """The moments of a task.

        :param start: when the task begins (Unix seconds).
        :param seconds: how long each of the three stages lasts; 0 skips a stage.
        :param end: the final state, or ``never``: the last stage goes on for ever.
        """
        moments = []
        time = start
        for stage in self.order:
            if seconds[stage] > 0:
                moments.append(Moment(time, getattr(self, stage)))
                time += seconds[stage]
        if end != "never":
            moments.append(Moment(time, self.end(end)))
        return moments or [Moment(start, getattr(self, self.order[-1]))]
