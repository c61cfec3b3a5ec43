"""
Whatever may come over the wire, for properties.

The values are read out of random bytes: building them from strategies of their own takes ten times as long,
and a hundred thousand of them are wanted.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

# Names that the code looks for, so that the values behind them are looked at.
_FIELDS = (
    *("code", "message", "exception_fields", "unrecoverable", "more_info", "details", "StatusCode"),
    *("status", "result", "error", "created_at", "updated_at", "task_id", "import_task", "state", "id"),
    *("type", "description", "stacktrace", "version", "failed_channels", "cids", "reason", "url"),
    *("channels", "channel", "cid", "users", "server_side", "limit", "remaining", "reset"),
)
_TEXTS = (
    *("completed", "failed", "error", "running", "PENDING", "ok", "", " ", ".", "..", "None", "null"),
    *("messaging:a", "a:b:c", ":", "user:joe", "[", "(", "{", "{{ x }}", "{x}", "%2e%2e", "../users/delete"),
    *("https://x.example/a.jsonl?Signature=b&x=%zz", "http://[", "https://x\n?y", "HTTP://?", "//x?y"),
    *(
        "2026-01-31T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "9999-12-31T23:59:59.9-23:59",
        "0001-01-01T00:00:00+23:59",
    ),
    *(
        "1700000000000000000",
        "9" * 31,
        "-1",
        "1e999",
        "nan",
        "\u0663",
        "\x00",
        "\r\nX: y",
        "\ud800",
        "\u202e",
        "\U0001f600",
    ),
)
_NUMBERS = (
    *(0, 1, -1, 4, 9, 16, 43, 200, 404, 429, 2**31, 2**53 + 1, 2**63, -(2**63), 10**40, 10**400),
    *(1_700_000_000_000_000_000, 253_402_300_800 * 10**9, 0.0, -0.0, 0.5, 1.7e18, 1e308, -1e308, 5e-324),
    *(float("inf"), float("-inf"), float("nan")),
)
_DIGITS = ("00", "01", "12", "23", "24", "29", "30", "31", "59", "60", "99")
_DEPTH = 6
_BYTES = 80


class Dice:
    """Decisions, one after the other, from bytes; 0 for ever where they end, which is always the simplest."""

    def __init__(self, content: bytes) -> None:
        self._bytes = iter(content)

    def roll(self, sides: int) -> int:
        return next(self._bytes, 0) % sides

    def of(self, choices: tuple[Any, ...]) -> Any:
        return choices[self.roll(len(choices))]

    def text(self) -> str:
        kind = self.roll(4)
        if kind < 2:
            return str(self.of(_TEXTS))
        if kind == 2:
            return str(self.of(_FIELDS))
        return "".join(chr(self.roll(256) * self.of((1, 1, 257, 4352))) for _ in range(self.roll(12)))

    def number(self) -> Any:
        return self.of(_NUMBERS) if self.roll(3) else self.roll(256) * 257 ** self.roll(8) - self.roll(256)

    def value(self, depth: int = 0) -> Any:
        kind = self.roll(9 if depth < _DEPTH else 5)
        if kind < 1:
            return None
        if kind < 2:
            return bool(self.roll(2))
        if kind < 3:
            return self.number()
        if kind < 5:
            return self.text()
        if kind < 6:
            return [self.value(depth + 1) for _ in range(self.roll(5))]
        return self.object(depth)

    def object(self, depth: int = 0) -> dict[str, Any]:
        return {self.name(): self.value(depth + 1) for _ in range(self.roll(7))}

    def name(self) -> str:
        return str(self.of(_FIELDS)) if self.roll(4) else self.text()

    def time(self) -> str:
        """Something that looks like RFC 3339."""
        digits = [self.of(_DIGITS) for _ in range(7)]
        year = self.of(("0000", "0001", "1969", "2026", "9999"))
        fraction = self.of(("", ".5", f".{'9' * 40}"))
        zone = self.of(("Z", "z", f"+{digits[5]}:{digits[6]}", f"-{digits[5]}:{digits[6]}"))
        return f"{year}-{digits[0]}-{digits[1]}T{digits[2]}:{digits[3]}:{digits[4]}{fraction}{zone}"

    def body(self) -> bytes:
        kind = self.roll(8)
        if kind < 1:
            return bytes(self._bytes)
        if kind < 2:
            # Deeper than Python's own recursion goes.
            opening: bytes = self.of((b"[", b'{"a":'))
            return opening * self.roll(256) * 100
        whole = json.dumps(self.object() if kind < 7 else self.value()).encode()
        return whole[: -self.roll(30) or None] if kind < 3 else whole


def rolled(make: Callable[[Dice], Any]) -> st.SearchStrategy[Any]:
    """Whatever comes out of random decisions."""
    return st.binary(min_size=_BYTES, max_size=_BYTES).map(lambda content: make(Dice(content)))


anything = rolled(Dice.value)
documents = rolled(Dice.object)
bodies = rolled(Dice.body)
texts = rolled(Dice.text)
times = rolled(Dice.time)


def objects(values: st.SearchStrategy[object] = anything) -> st.SearchStrategy[dict[str, object]]:
    """Objects with names that the code looks for, and values of one sort behind them."""
    return st.dictionaries(st.sampled_from(_FIELDS) | texts, values, max_size=8)


def _header(dice: Dice) -> str:
    kind = dice.roll(6)
    if kind < 1:
        return dice.text()
    if kind < 2:
        return ", ".join(str(dice.number()) for _ in range(dice.roll(4)))
    if kind < 3:
        return "9" * dice.roll(256) * dice.roll(3)
    if kind < 4:
        weekday, zone = dice.of(("Sun", "Xyz", "")), dice.of(("GMT", "+0000", "-9999", "XYZ", ""))
        year = (1600 + dice.roll(256) * 2) * dice.of((1, 1, 1, 5, 100))
        return f"{weekday}, {dice.roll(40)} Nov {year} {dice.roll(30)}:{dice.roll(70)}:00 {zone}"
    return str(1_700_000_000 + dice.roll(256)) if kind < 5 else str(dice.roll(256))


_HEADERS = (
    *("date", "retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
    "content-type",
)
headers = rolled(lambda dice: {name: _header(dice) for name in _HEADERS if dice.roll(4)})
numbers = rolled(lambda dice: str(dice.number()))
statuses = st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 408, 413, 429, 500, 503, 599, 100])
