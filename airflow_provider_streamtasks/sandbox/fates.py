"""What becomes of Stream tasks: how long they take and how they end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from airflow_provider_streamtasks.sandbox.rules import (
    ANYTHING,
    COUNT,
    FLAG,
    LENGTH,
    OBJECTS,
    SECONDS,
    TEXT,
    TEXTS,
    BadRule,
    or_null,
    read_rule,
)
from airflow_provider_streamtasks.sandbox.timeline import Moment, Stages

DAY = 86_400.0
DEFAULT_ERROR = {
    "type": "internal_error",
    "description": "the sandbox was told to let this task fail",
    "stacktrace": "task.go:42 sandbox.Run",
    "version": "sandbox",
}

_PLAN_KINDS = {
    "pending": SECONDS,
    "waiting": SECONDS,
    "running": SECONDS,
    "end": TEXT,
    "error": or_null(TEXTS),
    "failed_items": TEXTS,
    "result": ANYTHING,
    "before_end": OBJECTS,
    "visible_after": SECONDS,
    "url_lifetime": SECONDS,
}
_BEFORE_END_KINDS = {"seconds": LENGTH, "status": TEXT, "result": ANYTHING, "error": ANYTHING}
_KINDS = {
    **_PLAN_KINDS,
    "operation": TEXT,
    "item": TEXT,
    "task_id": FLAG,
    "result_at_once": FLAG,
    "bytes": or_null(COUNT),
    "ranges": FLAG,
    "checksum": FLAG,
    "times": or_null(COUNT),
}
_CHANGE_KINDS = {**_PLAN_KINDS, "stream_task_id": TEXT}


@dataclass(frozen=True, slots=True)
class Fate:
    """What will become of a Stream task.

    :param operation: the operation whose submissions it applies to; ``*`` for all.
    :param item: glob that one item of the submission must match.
    :param pending: seconds in ``pending``.
    :param waiting: seconds in ``waiting``.
    :param running: seconds in ``running``.
    :param end: ``completed``, ``failed``, ``error``, ``never`` or any other status.
    :param outcome: what an answer shows at the end instead of what follows from ``end``: may hold
        ``result`` and ``error``; ``None`` there leaves the key out of the answer.
    :param before_end: what GetTask shows between the last stage and the end, one after the other:
        ``seconds``, ``status``, and ``result`` and ``error`` where there are any.
    :param failed_items: glob → reason: items that fail inside a completed task.
    :param visible_after: seconds during which GetTask does not know the task yet.
    :param url_lifetime: seconds for which the signed URL of a result is valid.
    :param task_id: whether the answer to the submission names the task; ``None``: as the operation does.
    :param result_at_once: whether that answer tells a result of each item; ``None``: as the operation does.
    :param bytes: the size of the file of an export; ``None``: a small one.
    :param ranges: whether the host sends parts of that file.
    :param checksum: whether the host sends its checksum.
    :param times: how many submissions it applies to; ``None`` for all.
    """

    operation: str = "*"
    item: str = "*"
    pending: float = 0.2
    waiting: float = 0.0
    running: float = 0.5
    end: str = "completed"
    outcome: dict[str, Any] = field(default_factory=dict)
    before_end: list[dict[str, Any]] = field(default_factory=list)
    failed_items: dict[str, str] = field(default_factory=dict)
    visible_after: float = 0.0
    url_lifetime: float = DAY
    task_id: bool | None = None
    result_at_once: bool | None = None
    bytes: int | None = None
    ranges: bool = True
    checksum: bool = False
    times: int | None = None

    def governs(self, operation: str, items: Sequence[str]) -> bool:
        """Whether a submission with these items meets this fate."""
        return self.operation in ("*", operation) and (
            self.item == "*" or any(fnmatchcase(item, self.item) for item in items)
        )

    def plan(self, start: float, stages: Stages) -> list[Moment]:
        """The states of a task that begins at a time (Unix seconds)."""
        seconds = {"pending": self.pending, "waiting": self.waiting, "running": self.running}
        moments = stages.plan(start, seconds, self.end)
        if self.before_end:
            time = moments.pop().time
            for shown in self.before_end:
                moments.append(Moment(time, shown["status"]))
                time += shown["seconds"]
            moments.append(Moment(time, stages.end(self.end)))
        return moments

    def shown_before_end(self, left: float) -> dict[str, Any]:
        """What GetTask shows beside the status of a task that is not at its end.

        :param left: seconds until the end.
        """
        for shown in reversed(self.before_end):
            left -= shown["seconds"]
            if left <= 0:
                return {key: shown[key] for key in ("result", "error") if key in shown}
        return {}

    def failures(self, items: Sequence[str]) -> dict[str, str]:
        """The items that fail inside the task, with the reasons."""
        return {
            item: reason
            for item in items
            for glob, reason in self.failed_items.items()
            if fnmatchcase(item, glob)
        }

    def error(self) -> dict[str, str] | None:
        """What GetTask shows as ``error`` at the end."""
        derived = DEFAULT_ERROR if self.end in ("failed", "error") else None
        error: dict[str, str] | None = self.outcome.get("error", derived)
        return error


def _fate(rule: dict[str, Any], defaults: dict[str, Any]) -> Fate:
    outcome = {key: rule[key] for key in ("result", "error") if key in rule}
    for shown in rule.get("before_end", ()):
        read_rule("state before the end", shown, _BEFORE_END_KINDS)
        if not {"seconds", "status"} <= shown.keys():
            raise BadRule(f"a state before the end needs seconds and a status, unlike {shown!r}")
    if rule.get("before_end") and rule.get("end") == "never":
        raise BadRule("a fate that never ends has nothing before its end")
    others = {key: value for key, value in rule.items() if key not in ("result", "error", "stream_task_id")}
    return Fate(**{**defaults, **others, "outcome": outcome})


def change_of_fate(rule: dict[str, Any]) -> Fate:
    """The fate of a task that exists already; what the rule does not mention takes no time.

    :raises BadRule: the rule makes no sense.
    """
    rule = read_rule("fate of an existing task", rule, _CHANGE_KINDS)
    return _fate(rule, {"pending": 0.0, "waiting": 0.0, "running": 0.0})


@dataclass(slots=True)
class Fates:
    """The fates that wait for submissions; the latest that governs a submission wins."""

    _fates: list[Fate] = field(default_factory=list)
    _used: list[int] = field(default_factory=list)

    def add(self, rule: Any) -> None:
        """Let a rule govern the submissions that follow.

        :raises BadRule: the rule makes no sense.
        """
        self._fates.append(_fate(read_rule("fate", rule, _KINDS), {}))
        self._used.append(0)

    def choose(self, operation: str, items: Sequence[str]) -> Fate:
        """The fate of one submission."""
        for index in reversed(range(len(self._fates))):
            fate = self._fates[index]
            if fate.governs(operation, items) and (fate.times is None or self._used[index] < fate.times):
                self._used[index] += 1
                return fate
        return Fate()

    def reset(self) -> None:
        """Forget all fates: submissions complete after the default times."""
        self._fates.clear()
        self._used.clear()
