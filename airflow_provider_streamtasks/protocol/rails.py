"""Rails for work that cannot be undone: how many items may be sent, and what a dry run says of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_streamtasks.protocol.fields import Flag, Item, Items, quoted
from airflow_provider_streamtasks.protocol.rate_limits import WINDOW, RateLimit

UNLIMITED = "unlimited"
"""The value of ``max_items`` that allows any number, whatever the configuration says."""

SAMPLE = 5
"""Items that a dry run names."""


def parse_max_items(name: str, value: Any) -> float:
    """
    Return how many items may be sent; infinity for ``"unlimited"``.

    :param value: a number, or the text that a template made of it
    :raises ValueError: for anything else, 0 included
    """
    if value == UNLIMITED:
        return math.inf
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {quoted(value)}: a whole number, 1 or more, or {UNLIMITED!r} is needed")
    return value


def parse_dry_run(value: Any) -> bool:
    """
    Return whether nothing is to be sent.

    :param value: a flag, or the text that a template made of it
    :raises ValueError: for anything else: a guess could delete something
    """
    if isinstance(value, str):
        value = {"true": True, "false": False}.get(value.strip().lower(), value)
    return Flag().parse("dry_run", value)


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """
    What would have been sent.

    :param operation: Stream's name of it, or method and path where that is not known
    :param items: their number, without duplicates; ``None`` for an operation that works on no list
    :param batches: requests that they need
    :param minimum_seconds: what the budget alone makes of it, if nobody else uses it; ``None`` where Stream
        names no budget, or its name is not known
    :param sample: the ids of a few items, evenly spread from the first to the last; empty where an item is
        free text, which may say anything of anybody
    """

    operation: str
    items: int | None
    batches: int
    minimum_seconds: float | None
    sample: list[str]

    def describe(self) -> str:
        """Return it as one line for the log."""
        what = "1 request" if self.items is None else f"{self.items:,} items in {self.batches:,} batches"
        takes = "" if self.minimum_seconds is None else f", {self.minimum_seconds:.0f} s at least"
        named = f" Among them: {', '.join(self.sample)}." if self.sample else ""
        return f"Dry run of {self.operation}: {what}{takes}. Nothing was sent.{named}"


def minimum_seconds(budget: RateLimit, share: float, requests: int) -> float:
    """
    Return the seconds that pass before the last request may leave, if nobody else uses the budget.

    :param budget: as Stream says now
    :param share: the part of it that we may use, from 0 to 1
    """
    allowed = budget.allowed(share)
    late = requests - max(0, allowed - budget.used)
    if late <= 0:
        return 0.0
    return min(budget.reset, WINDOW) + (math.ceil(late / allowed) - 1) * WINDOW


def sample(spec: Items, items: Iterable[Item], count: int) -> list[str]:
    """Return the ids of a few items. The first ones of a sorted list may be right where the last are not."""
    if spec.free_text:
        return []
    places = {step * (count - 1) // (SAMPLE - 1) for step in range(SAMPLE)}
    return [_id_of(item) for place, item in enumerate(items) if place in places]


def _id_of(item: Item) -> str:
    if not isinstance(item, Mapping):
        return item
    return str(item["cid"] if "cid" in item else f"{item['type']}:{item['id']}")
