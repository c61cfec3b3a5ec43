"""What the sandbox carries out, or pretends to: Stream tasks, and imports with states of their own."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from airflow_provider_streamtasks.sandbox.answers import nanoseconds
from airflow_provider_streamtasks.sandbox.fates import Fate
from airflow_provider_streamtasks.sandbox.timeline import Stages, Timeline


@dataclass(kw_only=True, slots=True)
class Job:
    """Something that goes on after the request that started it.

    :param operation: the operation that started it.
    :param items: what it was started for: cids, user ids, …
    :param created: when it was started (Unix seconds).
    :param fate: what becomes of it.
    """

    STAGES: ClassVar[Stages] = Stages()

    operation: str
    items: tuple[str, ...]
    created: float
    fate: Fate
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    timeline: Timeline = field(init=False)
    visible: float = field(init=False)

    def __post_init__(self) -> None:
        self.timeline = Timeline(self.fate.plan(self.created, self.STAGES))
        self.visible = self.created + self.fate.visible_after

    def change(self, fate: Fate, now: float) -> None:
        """Give it another fate, from a time on."""
        self.fate = fate
        self.timeline.replan(now, fate.plan(now, self.STAGES))
        self.visible = now + fate.visible_after

    def finished(self, now: float) -> bool:
        """Whether it has reached its last state."""
        return self.fate.end != "never" and now >= self.timeline.moments[-1].time

    def as_control_shows_it(self, now: float) -> dict[str, Any]:
        """What a test or a rehearsal wants to know of it."""
        return {
            "stream_task_id": self.id,
            "operation": self.operation,
            "items": list(self.items),
            "status": self.timeline.now(now).state,
            "created": self.created,
            "finished": self.finished(now),
        }


@dataclass(kw_only=True, slots=True)
class StreamTask(Job):
    """A job that GetTask knows.

    :param build_result: its result if all goes as the fate says; URLs in it are signed anew each time.
    """

    build_result: Callable[[StreamTask, float], dict[str, Any]]

    def as_stream_shows_it(self, now: float) -> dict[str, Any]:
        """The body of GetTask. ``result`` and ``error`` are left out where there is none."""
        updated, status = self.timeline.now(now)
        body: dict[str, Any] = {
            "task_id": self.id,
            "status": status,
            "created_at": nanoseconds(self.created),
            "updated_at": nanoseconds(updated),
        }
        if not self.finished(now):
            return {**body, **self.fate.shown_before_end(self.timeline.moments[-1].time - now)}
        if (result := self._result(now)) is not None:
            body["result"] = result
        if (error := self.fate.error()) is not None:
            body["error"] = error
        return body

    def _result(self, now: float) -> Any:
        if "result" in self.fate.outcome:
            return self.fate.outcome["result"]
        return self.build_result(self, now) if self.fate.end == "completed" else None
