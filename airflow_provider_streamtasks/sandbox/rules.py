"""Reading the rules (fates, faults, budgets) that a user gives the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


class BadRule(ValueError):
    """A rule that the sandbox cannot follow; the message says why."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value of a rule may be.

    :param words: completes the sentence "must be …".
    :param accepts: whether a value is of this kind.
    """

    words: str
    accepts: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


TEXT = Kind("a string", lambda value: isinstance(value, str))
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
COUNT = Kind("a whole number, 0 or more", _is_count)
STATUS = Kind("an HTTP status, 200 to 599", lambda value: _is_count(value) and 200 <= value <= 599)
CODE = Kind("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool))
SECONDS = Kind("a number of seconds, 0 or more", lambda value: _is_number(value) and value >= 0)
LENGTH = Kind("a number of seconds above 0", lambda value: _is_number(value) and value > 0)
SHARE = Kind("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
OBJECT = Kind("an object", lambda value: isinstance(value, dict))
TEXTS = Kind(
    "an object whose values are strings",
    lambda value: isinstance(value, dict) and all(isinstance(each, str) for each in value.values()),
)
OBJECTS = Kind(
    "a list of objects",
    lambda value: isinstance(value, list) and all(isinstance(each, dict) for each in value),
)
ANYTHING = Kind("JSON", lambda value: True)


def or_null(kind: Kind) -> Kind:
    """The same kind, or ``null``."""
    return Kind(f"{kind.words}, or null", lambda value: value is None or kind.accepts(value))


def read_rule(noun: str, rule: Any, kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """The rule, checked.

    :param noun: what the rule is called in messages: ``fate``, ``fault``, ``budget``.
    :param kinds: the keys that the rule may have, and what their values may be.
    :raises BadRule: a key is unknown or a value is not of its kind.
    """
    if not isinstance(rule, dict):
        raise BadRule(f"a {noun} must be an object, not {rule!r}")
    for key, value in rule.items():
        if key not in kinds:
            raise BadRule(f"a {noun} has no key {key!r}; it may have: {', '.join(sorted(kinds))}")
        if not kinds[key].accepts(value):
            raise BadRule(f"{key!r} of a {noun} must be {kinds[key].words}, not {value!r}")
    return rule
