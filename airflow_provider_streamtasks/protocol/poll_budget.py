"""
How many polls Stream still takes from us, and when the next one may go.

What Stream's headers say counts, not what we counted: other processes and programs spend the same budget.
"""

from __future__ import annotations

from math import inf

from airflow_provider_streamtasks.protocol.rate_limits import WINDOW, RateLimit

AT_ONCE = 32
"""
Polls that may be under way at the same time, each on a connection of its own. To open one over TLS costs as
much CPU as a dozen polls. Where answers take 0.1 s, there is room for 19,200 polls a minute.
"""

UNKNOWN_AT_ONCE = 8
"""The same while Stream has not said yet whether, and how tightly, it limits polls."""

BURST = 0.05
"""The part of a window's polls that may go at once; the others are spread over what is left of the window."""


class PollBudget:
    """
    The budget of polls over one connection.

    :param share: the part of Stream's limit that we may use, from 0 to 1
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self.under_way = 0
        self._limit: int | None = None
        self._answered = False
        self._paused_until = -inf
        self._ends = -inf  # Unix time at which the window ends
        self._left = 0.0  # polls that we may still send in it
        self._even = -inf  # Unix time at which the next poll would go if all were spread evenly

    def ready_at(self, now: float) -> float:
        """Return the Unix time from which on a poll may go; infinite if an answer must come first."""
        if self.under_way >= (AT_ONCE if self._answered else UNKNOWN_AT_ONCE):
            return inf
        if self._paused_until > now or self._limit is None:
            return self._paused_until
        ahead = max(0.0, self._limit * self.share * BURST - 1.0)  # polls that may go before their turn
        if now >= self._ends:
            # A new window begins. Its first answer will say how it stands.
            self._left = max(1.0, self.share * self._limit)
            self._ends = now + WINDOW
            # No burst: others may come back in the same moment.
            self._even = now + self._gap(now) * ahead
        if self._left < 1.0:
            return self._ends
        return self._even - self._gap(now) * ahead

    def sent(self, now: float) -> None:
        """Record a poll that goes out."""
        self.under_way += 1
        if self._limit is not None:
            self._even = max(self._even, now) + self._gap(now)
            self._left -= 1.0

    def answered(self, limit: RateLimit | None, now: float) -> None:
        """
        Record that a poll is no longer under way.

        :param limit: what its answer said of the budget; ``None`` where nothing
        :param now: Unix time of the answer
        """
        self.under_way -= 1
        self._answered = True
        if limit is None:
            return
        if self._limit is None:
            self._even = now
        self._limit = limit.limit
        # Windows are a minute: a reset farther away is a clock that cannot be trusted.
        reset = min(limit.reset, WINDOW)
        left = limit.remaining - (1.0 - self.share) * limit.limit - self.under_way
        ends = now + reset
        if now < self._ends and ends < self._ends + reset / 2 + 1.0:
            # Answers overtake each other, and their clock has whole seconds: the tightest one is right.
            self._left, self._ends = min(self._left, left), min(self._ends, ends)
        else:
            self._left, self._ends = left, ends

    def refused(self, pause: float, now: float) -> None:
        """
        Record a 429: nobody goes before the pause is over, and then one after the other.

        :param pause: seconds that Stream asks us to stay away
        """
        self._paused_until = max(self._paused_until, now + pause)
        self._left = 0.0
        self._ends = max(self._ends, self._paused_until)
        if self._limit is None:
            self._answered = False

    def _gap(self, now: float) -> float:
        """Return the seconds between two polls if all that are left are spread evenly over the window."""
        return max(0.0, self._ends - now) / max(1.0, self._left)
