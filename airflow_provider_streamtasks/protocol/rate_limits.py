"""What is left of an endpoint's budget, as Stream's ``x-ratelimit-*`` headers say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from airflow_provider_streamtasks.protocol.wire import Request

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

    @property
    def used(self) -> int:
        """Requests of this window that are gone, whoever sent them."""
        return self.limit - self.remaining

    def allowed(self, share: float) -> int:
        """
        Return the requests of a window that we may use.

        :param share: the part of the budget, from 0 to 1; one request at least
        """
        return max(1, int(self.limit * share + 1e-9))

    def pause(self, share: float, age: float = 0.0) -> float:
        """
        Return the seconds to stay away, so that no more than our share of the window is used.

        :param share: the part of the budget that we may use, from 0 to 1; one request at least
        :param age: seconds since Stream said so
        """
        if self.used < self.allowed(share):
            return 0.0
        # A window that seems to end later was read from a clock that cannot be trusted.
        return min(max(0.0, self.reset - age), WINDOW)


def get_rate_limits(endpoint: str | None = None) -> Request:
    """
    Return the request that asks for the budgets of the server side's endpoints.

    :param endpoint: Stream's name of the only one that matters; ``None`` for all
    """
    query = {"server_side": "true", **({"endpoints": endpoint} if endpoint else {})}
    return Request("GetRateLimits", "GET", "/api/v2/rate_limits", query=query)


def read_rate_limit(
    endpoint: str, body: Mapping[str, Any], headers: Mapping[str, str], now: float
) -> RateLimit | None:
    """
    Read one endpoint's budget from the answer to :func:`get_rate_limits`.

    :param now: this machine's clock as Unix time, used only where the answer carries no ``Date``
    :return: ``None`` where the endpoint is not limited, or the answer makes no sense
    """
    return _rate_limit(lambda name: int(body["server_side"][endpoint][name]), headers, now)


def parse_rate_limit(headers: Mapping[str, str], now: float) -> RateLimit | None:
    """
    Read the budget from an answer's headers.

    :param headers: names in lower case
    :param now: this machine's clock as Unix time, used only where the answer carries no ``Date``
    :return: ``None`` where the endpoint is not limited, or the headers make no sense
    """
    return _rate_limit(lambda name: _number(headers[f"x-ratelimit-{name}"]), headers, now)


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


def _rate_limit(get: Callable[[str], int], headers: Mapping[str, str], now: float) -> RateLimit | None:
    try:
        limit, remaining, reset = map(get, ("limit", "remaining", "reset"))
        seconds = max(0.0, reset - server_time(headers, now))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return RateLimit(limit, remaining, seconds) if limit > 0 and remaining >= 0 else None


def _number(value: str) -> int:
    # A proxy may have joined two headers into one: "100, 100".
    return int(next(filter(str.strip, value.split(",")), "") if "," in value else value)


@lru_cache(maxsize=8)  # many answers come in the same second
def _http_date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return moment.timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
