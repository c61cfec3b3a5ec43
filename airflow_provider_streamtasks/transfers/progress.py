"""How far a transfer has come, and how long it will still take."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

INTERVAL = 10.0
"""Seconds between two lines of the log."""

log = logging.getLogger(__name__)


class Progress:
    """
    Logs how far a transfer has come, every ten seconds.

    :param name: of the file, for the log
    :param clock: seconds that never go back
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._started = self._logged_at = clock()
        self._moved = 0

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._started

    @property
    def rate(self) -> float:
        """Bytes per second, counting those that had to be transferred twice."""
        return self._moved / max(self.seconds, 1e-3)

    def advance(self, count: int, done: int, size: int | None) -> None:
        """
        Record some more bytes.

        :param count: how many more
        :param done: how many there are
        :param size: how many there will be; ``None`` where nobody knows
        """
        self._moved += count
        if self._clock() - self._logged_at < INTERVAL:
            return
        self._logged_at = self._clock()
        if size:
            left = (size - done) / max(self.rate, 1.0)
            log.info(
                "%s: %s of %s (%d %%), %s/s, about %.0f s left",
                self._name,
                in_units(done),
                in_units(size),
                100 * done // size,
                in_units(self.rate),
                left,
            )
        else:
            log.info("%s: %s, %s/s", self._name, in_units(done), in_units(self.rate))


def in_units(count: float) -> str:
    """
    Return a number of bytes as people read it.

    >>> in_units(3 * 1024 * 1024)
    '3.0 MiB'
    """
    if count < 1024:
        return f"{count:.0f} bytes"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1024:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:.1f} TiB"
