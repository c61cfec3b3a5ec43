"""Outages on demand: which requests are hit, and by what."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_streamtasks.sandbox.rules import (
    CODE,
    COUNT,
    FLAG,
    SECONDS,
    SHARE,
    STATUS,
    TEXT,
    TEXTS,
    BadRule,
    Kind,
    or_null,
    read_rule,
)

_COMMON: dict[str, Kind] = {
    "operation": TEXT,
    "kind": TEXT,
    "probability": SHARE,
    "times": or_null(COUNT),
    "starts_in": SECONDS,
    "for": or_null(SECONDS),
    "after": COUNT,
}

# Each kind of fault with the options that it knows beside the common ones.
OPTIONS: dict[str, dict[str, Kind]] = {
    "rate_limit": {"retry_after": COUNT},
    "api_error": {
        "status": STATUS,
        "code": CODE,
        "message": TEXT,
        "bare": FLAG,
        "unrecoverable": FLAG,
        "exception_fields": TEXTS,
        "taken": FLAG,
    },
    "unavailable": {"status": STATUS, "taken": FLAG},
    "redirect": {"status": STATUS, "location": TEXT},
    "reset_before": {},
    "reset_after": {},
    "delay": {"seconds": SECONDS},
    "slow_body": {"seconds": SECONDS},
    "broken_json": {},
    "truncated": {"bytes": COUNT},
    "cut": {"bytes": COUNT},
    "corrupted": {},
    "expired": {},
    "empty_body": {},
    "wrong_content_type": {},
    "huge_body": {"bytes": COUNT},
}


@dataclass(slots=True)
class Fault:
    """One rule: requests of an operation that meet a certain kind of trouble.

    :param operation: the operation that it hits; ``*`` for all.
    :param kind: one of :data:`OPTIONS`.
    :param options: the options of that kind.
    :param probability: the share of requests that it hits, 0 to 1.
    :param times: how many requests it hits; ``None`` for no end.
    :param begins: when it begins (Unix seconds).
    :param until: when it is over (Unix seconds); ``None`` for no end.
    :param after: how many requests it lets pass first.
    :param rng: its own random numbers, so that what other faults do changes nothing here.
    """

    operation: str
    kind: str
    options: dict[str, Any]
    probability: float
    times: int | None
    begins: float
    until: float | None
    after: int
    rng: random.Random
    seen: int = 0
    hits: int = 0

    def strikes(self, operation: str, now: float) -> bool:
        """Whether it hits this request of an operation."""
        if self.operation not in ("*", operation):
            return False
        if now < self.begins or (self.until is not None and now >= self.until):
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.seen += 1
        if self.seen <= self.after or self.rng.random() >= self.probability:
            return False
        self.hits += 1
        return True


@dataclass(slots=True)
class Faults:
    """All faults; the latest that strikes a request wins.

    :param clock: Unix time in seconds.
    :param seed: makes ``probability`` repeatable.
    """

    clock: Callable[[], float]
    seed: int = 0
    _faults: list[Fault] = field(default_factory=list)

    def add(self, rule: Any) -> None:
        """Let a fault strike from now on.

        :raises BadRule: the rule makes no sense.
        """
        kind = rule.get("kind") if isinstance(rule, dict) else None
        if not isinstance(kind, str) or kind not in OPTIONS:
            raise BadRule(f"a fault needs a 'kind', one of: {', '.join(OPTIONS)}; not {kind!r}")
        rule = read_rule(f"{kind} fault", rule, {**_COMMON, **OPTIONS[kind]})
        begins, lasts = self.clock() + rule.get("starts_in", 0.0), rule.get("for")
        self._faults.append(
            Fault(
                operation=rule.get("operation", "*"),
                kind=kind,
                options={key: rule[key] for key in OPTIONS[kind] if key in rule},
                probability=rule.get("probability", 1.0),
                times=rule.get("times"),
                begins=begins,
                until=None if lasts is None else begins + lasts,
                after=rule.get("after", 0),
                # Not for secrets: it must give the same numbers every time.
                rng=random.Random(f"{self.seed} {len(self._faults)}"),  # noqa: S311
            )
        )

    def strike(self, operation: str) -> Fault | None:
        """The fault that hits a request, if any."""
        now = self.clock()
        for fault in reversed(self._faults):
            if fault.strikes(operation, now):
                return fault
        return None

    def reset(self) -> None:
        """End all faults. Those that follow meet the random numbers of the first again."""
        self._faults.clear()
