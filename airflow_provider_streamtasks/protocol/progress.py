"""
How far a wait has come, and when that is worth a record.

Records are for people who wonder whether a wait of hours goes on. Each costs Airflow's database a write, so a
:class:`RecordPlan` makes few of them, however many wait.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from itertools import count
from math import inf
from typing import Any

from airflow_provider_streamtasks.protocol.wait import Wait

PROGRESS = "stream_progress"
"""Key of the XCom with the record. Keys in the task state store begin with it."""

INTERVAL = 60.0
"""Seconds of age at which a wait is first recorded; and between two records of one wait at least."""

APART = 1.0
"""Seconds between two records of whichever waits. With more than sixty of them, they take turns."""

SETTLING = 5.0
"""Seconds in which a wait that comes from another process should have been polled here for the first time."""

_LONGEST_STATUS = 60  # characters
_TIMES = ("said_at", "errors_since")


@dataclass(frozen=True, slots=True)
class Progress:
    """
    How far a wait has come.

    :param status: what Stream said last of a Stream task that was not finished; ``None`` where it has not
        said anything
    :param said_at: Unix time of that
    :param stream_tasks: how many are waited for
    :param finished: how many of them are finished, failed ones included
    :param failed: how many of them failed
    :param errors_since: Unix time since when there were only errors; ``None`` while there are none
    """

    status: str | None
    said_at: float | None
    stream_tasks: int
    finished: int
    failed: int
    errors_since: float | None = None

    @classmethod
    def of(cls, wait: Wait) -> Progress:
        """Return how far a wait has come by now."""
        status, said_at = wait.last_word or (None, None)
        finished = [task for task in map(wait.finished_task, wait.task_ids) if task]
        return cls(
            status[:_LONGEST_STATUS] if status else status,
            said_at,
            len(wait.task_ids),
            len(finished),
            sum(task.failed for task in finished),
            wait.errors_since,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON: times in ISO 8601, in UTC."""
        return asdict(self) | {"said_at": _iso(self.said_at), "errors_since": _iso(self.errors_since)}


def read_progress(value: Any) -> dict[str, Any] | None:
    """
    Return a record as it was written; ``None`` if it is none.

    Authors of DAGs may write anything under the same key, and that must not reach the page.
    """
    if not isinstance(value, Mapping):
        return None
    texts = {name: value.get(name) for name in ("status", *_TIMES)}
    numbers = {name: value.get(name) for name in ("stream_tasks", "finished", "failed")}
    is_record = (
        all(isinstance(text, str | None) and len(text or "") <= _LONGEST_STATUS for text in texts.values())
        and all(type(number) is int and number >= 0 for number in numbers.values())
        and all(_is_time(texts[name]) for name in _TIMES)
    )
    return {**texts, **numbers} if is_record else None


def worth_recording(wait: Wait, recorded: Any, now: float) -> Progress | None:
    """
    Return what to record of a wait that a worker polls, by the times in its record once a minute at most.

    It needs no memory: a sensor that reschedules itself polls in another process each time.

    :param recorded: its record as it was read, or anything else that stands in its place
    :param now: Unix time, right after a poll
    :return: ``None`` if there is nothing to record
    """
    last = read_progress(recorded) or {}
    times = [datetime.fromisoformat(at).timestamp() for name in _TIMES if (at := last.get(name))]
    if wait.over or not wait.polls or now < max([wait.started_at, *times]) + INTERVAL:
        return None
    progress = Progress.of(wait)
    return progress if progress.to_dict() != last else None


class RecordPlan:
    """
    Which wait to record next, and when: at the age of a minute, then once a minute, and never two at once.

    A wait of which there is nothing new is passed over. The plan holds no clock and writes nothing.
    """

    def __init__(self) -> None:
        self._waits: dict[int, Wait] = {}
        self._numbers: dict[Wait, int] = {}
        self._recorded: dict[int, Progress] = {}
        # By number, because the garbage collector passes over tuples of nothing but numbers. Entries of waits
        # that have left go when their time comes, which is within a minute or in turn.
        self._due: list[tuple[float, int]] = []
        self._count = count()
        self._free_at = -inf

    def __len__(self) -> int:
        """Return how many waits there are to record."""
        return len(self._waits)

    def join(self, wait: Wait, now: float) -> None:
        """Record a wait from now on."""
        number = self._numbers[wait] = next(self._count)
        self._waits[number] = wait
        heapq.heappush(self._due, (max(wait.started_at + INTERVAL, now + SETTLING), number))

    def leave(self, wait: Wait) -> None:
        """Forget a wait, whether it is over or not."""
        number = self._numbers.pop(wait, None)
        if number is not None:
            del self._waits[number]
            self._recorded.pop(number, None)

    def take(self, now: float) -> tuple[Wait, Progress] | None:
        """Return a wait to record now, and what to record; ``None`` if there is none."""
        while self._due and self.pause(now) <= 0.0:
            _, number = heapq.heappop(self._due)
            wait = self._waits.get(number)
            if wait is None:
                continue
            heapq.heappush(self._due, (now + (INTERVAL if wait.polls else SETTLING), number))
            progress = Progress.of(wait)
            if wait.polls and progress != self._recorded.get(number):
                self._recorded[number] = progress
                self._free_at = now + APART
                return wait, progress
        return None

    def pause(self, now: float) -> float:
        """Return the seconds until there may be something to record; infinite if nobody waits."""
        return max(0.0, max(self._due[0][0], self._free_at) - now) if self._due else inf


def _is_time(text: str | None) -> bool:
    try:
        return text is None or datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _iso(moment: float | None) -> str | None:
    return (
        None if moment is None else datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="seconds")
    )
