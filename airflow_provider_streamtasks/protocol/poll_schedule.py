"""
When to poll a Stream task of a given age next.

A poll costs a request, and not polling costs delay. For a given number of polls the mean delay is least where
the rate of polls follows the square root of the hazard: the rate at which Stream tasks of that age finish.
Nobody knows the hazard beforehand. For durations that may be seconds or hours it falls like 1/age, and polls
every ``GROWTH * sqrt(age)`` seconds are right for that. A :class:`PollSchedule` begins there and moves to
what it sees.
"""

from __future__ import annotations

from bisect import bisect_right
from math import inf, sqrt

GROWTH = 0.45
"""Seconds between two polls, per square root of age in seconds."""

POLL_COST = 0.1
"""Seconds of delay of one Stream task that a poll is worth, where the hazard is known."""

YOUNG = 4.0
"""Seconds of age below which nothing is assumed to be more likely to finish than at this age."""

_PER_OCTAVE = 3
_OCTAVES = 17


def _rate(hazard: float) -> float:
    """Return the polls per second at which a poll costs as much as it saves."""
    return sqrt(hazard / (2.0 * POLL_COST))


_EDGES = [0.0, *(2.0 ** (i / _PER_OCTAVE - 1) for i in range(_PER_OCTAVE * _OCTAVES))]
"""Seconds of age at which one bin ends and the next begins: 0, then from half a second to a day."""

_LAST = len(_EDGES) - 1
_MIDDLES = [0.0, *(edge * 2.0 ** (0.5 / _PER_OCTAVE) for edge in _EDGES[1:])]

_ASSUMED = [(POLL_COST * 2.0) / GROWTH**2 / max(YOUNG, age) for age in _MIDDLES]
"""The hazard of each bin while nothing is known, such that polls are ``GROWTH * sqrt(age)`` apart."""

_ASSUMED_RATES = [_rate(hazard) for hazard in _ASSUMED]

WEIGHT = 3.0
"""Stream tasks that must have finished at an age until what was seen counts as much as what was assumed."""

MEMORY = 2000.0
"""Finished Stream tasks after which everything seen counts half: workloads change."""

TRUST = 2.0
"""How many times rarer than assumed polls may become while the budget lasts, in case everything changes."""

_RENEWAL = 16
"""Finished Stream tasks between two reckonings of the rates."""


def usual_interval(age: float) -> float:
    """Return the seconds until the next poll of what is ``age`` seconds old, while nothing is known."""
    return GROWTH * sqrt(max(0.0, age))


class PollSchedule:
    """The polls of the Stream tasks of one connection, which learns from how long these take."""

    def __init__(self) -> None:
        self._finished = [0.0] * (_LAST + 1)
        self._watched = [0.0] * (_LAST + 1)  # seconds that Stream tasks were seen open at that age
        self._total = 0.0
        self._news = 0
        self._rates = list(_ASSUMED_RATES)

    def interval(self, age: float, stretch: float = 1.0) -> float:
        """
        Return the seconds until the next poll of what is ``age`` seconds old.

        :param stretch: how many times fewer polls there are than there should be
        """
        age = max(0.0, age)
        bin_, now, left = _bin(age), age, stretch
        while True:
            rate = max(self._rates[bin_], _ASSUMED_RATES[bin_] / (TRUST * stretch))
            end = _EDGES[bin_ + 1] if bin_ < _LAST else inf
            polls = (end - now) * rate
            if polls >= left:
                return now + left / rate - age
            left -= polls
            now, bin_ = end, bin_ + 1

    def saw_open(self, before: float, age: float) -> None:
        """Learn that a Stream task did not finish between two ages: nothing where a clock stepped back."""
        age = max(before, age)
        bin_, last = _bin(before), _bin(age)
        while bin_ < last:
            self._watched[bin_] += _EDGES[bin_ + 1] - before
            before, bin_ = _EDGES[bin_ + 1], bin_ + 1
        self._watched[bin_] += age - before

    def saw_finish(self, before: float, age: float) -> None:
        """
        Learn that a Stream task finished.

        :param before: the age in seconds at which it was last seen open
        :param age: the age at which it finished
        """
        self.saw_open(before, age)
        self._finished[_bin(age)] += 1.0
        self._total += 1.0
        self._news += 1
        if self._news >= min(_RENEWAL, self._total / 4):
            self._renew()

    def _renew(self) -> None:
        self._news = 0
        if self._total > MEMORY:
            self._total /= 2
            self._finished = [count / 2 for count in self._finished]
            self._watched = [seconds / 2 for seconds in self._watched]
        for bin_, assumed in enumerate(_ASSUMED):
            hazard = (WEIGHT + self._finished[bin_]) / (WEIGHT / assumed + self._watched[bin_])
            self._rates[bin_] = _rate(hazard)


def _bin(age: float) -> int:
    return bisect_right(_EDGES, age) - 1
