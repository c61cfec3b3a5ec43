"""What is left of an endpoint's budget, as Stream's ``x-ratelimit-*`` headers say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime

WINDOW = 60.0
"""Seconds of Stream's windows; they are aligned to the clock's minutes."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """
    The budget of one endpoint.

    :param limit: requests that a window allows
    :param remaining: requests that are left in this window
    :param reset: seconds from the answer until the next window begins
    """

    limit: int
    remaining: int
    reset: float


def parse_rate_limit(headers: Mapping[str, str], now: float) -> RateLimit | None:
    """
    Read the budget from an answer's headers.

    :param headers: names in lower case
    :param now: this machine's clock as Unix time, used only where the answer carries no ``Date``
    :return: ``None`` where the endpoint is not limited, or the headers make no sense
    """
    try:
        limit, remaining, reset = (
            int(_first(headers[f"x-ratelimit-{name}"])) for name in ("limit", "remaining", "reset")
        )
    except (KeyError, ValueError):
        return None
    if limit < 0 or remaining < 0:
        return None
    return RateLimit(limit, remaining, max(0.0, reset - server_time(headers, now)))


def server_time(headers: Mapping[str, str], now: float) -> float:
    """Return Unix time by Stream's clock, so that a skewed clock of ours does not bend a reset."""
    return _http_date(headers.get("date", "")) or now


def parse_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds of a ``Retry-After`` header, which may be a number or a date."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:12])
    moment = _http_date(text)
    return None if moment is None else max(0.0, moment - server_time(headers, now))


def _first(value: str) -> str:
    # A proxy may have joined two headers into one: "100, 100".
    return next(part for part in map(str.strip, f"{value},-1".split(",")) if part)


def _http_date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return moment.timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
