"""How many requests each endpoint takes in a window of the clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_streamtasks.sandbox.rules import COUNT, LENGTH, TEXT, or_null, read_rule

DEFAULT_LIMIT = 60
DEFAULT_LIMITS: dict[str, int | None] = {
    "GetTask": 1000,
    "GetExportChannelsStatus": 1000,
    "DeleteUsers": 6,
    "GetImport": 300,
    "ListImports": 300,
    "GetImportV2Task": 300,
    "ListImportV2Tasks": 300,
    "GetRateLimits": 1000,
    # Without a limit: their answers carry no x-ratelimit headers.
    "Upload": None,
    "Download": None,
}

_KINDS = {"operation": TEXT, "limit": or_null(COUNT), "window": LENGTH}


@dataclass(slots=True)
class Budget:
    """One endpoint's allowance, counted in fixed windows that are aligned to the clock.

    :param limit: requests per window; ``None`` for no limit.
    :param window: length of a window in seconds.
    """

    limit: int | None
    window: float
    used: int = 0
    opened: float = 0.0

    def spend(self, now: float) -> bool:
        """Count one request; whether the budget covers it. A rejected request counts as well."""
        self._turn(now)
        self.used += 1
        return self.limit is None or self.used <= self.limit

    def standing(self, now: float) -> dict[str, int] | None:
        """``limit``, ``remaining`` and ``reset`` (Unix seconds) as Stream reports them."""
        if self.limit is None:
            return None
        self._turn(now)
        return {
            "limit": self.limit,
            "remaining": max(0, self.limit - self.used),
            "reset": self.reset(now),
        }

    def headers(self, now: float) -> dict[str, str]:
        """The ``x-ratelimit-*`` headers; none for an endpoint without a limit."""
        return {f"x-ratelimit-{key}": str(value) for key, value in (self.standing(now) or {}).items()}

    def reset(self, now: float) -> int:
        """When the next window opens (Unix seconds, rounded up)."""
        return math.ceil((now // self.window + 1) * self.window)

    def _turn(self, now: float) -> None:
        opened = now // self.window * self.window
        if opened != self.opened:
            self.opened, self.used = opened, 0


@dataclass(slots=True)
class Budgets:
    """The budgets of all endpoints.

    :param clock: Unix time in seconds.
    :param window: length of a window in seconds where no rule sets another; Stream's is a minute.
    """

    clock: Callable[[], float]
    window: float = 60.0
    _rules: list[dict[str, Any]] = field(default_factory=list)
    _budgets: dict[str, Budget] = field(default_factory=dict)

    def add(self, rule: Any) -> None:
        """Follow a rule from now on; the endpoints that it names start with nothing used.

        :param rule: ``{"operation": name or "*", "limit": requests or null, "window": seconds}``.
        :raises BadRule: the rule makes no sense.
        """
        rule = read_rule("budget", rule, _KINDS)
        self._rules.append(rule)
        for operation in [name for name in self._budgets if _applies(rule, name)]:
            del self._budgets[operation]

    def of(self, operation: str) -> Budget:
        """The budget of an endpoint."""
        if operation not in self._budgets:
            terms: dict[str, Any] = {
                "limit": DEFAULT_LIMITS.get(operation, DEFAULT_LIMIT),
                "window": self.window,
            }
            for rule in self._rules:
                if _applies(rule, operation):
                    terms.update({key: rule[key] for key in terms if key in rule})
            self._budgets[operation] = Budget(**terms)
        return self._budgets[operation]

    def reset(self) -> None:
        """Forget all rules and all that was used."""
        self._rules.clear()
        self._budgets.clear()


def _applies(rule: dict[str, Any], operation: str) -> bool:
    return rule.get("operation", "*") in ("*", operation)
