"""Stream's filters: ``{"type": "messaging", "member_count": {"$gt": 2}}`` as a test of a channel or user."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from airflow_provider_streamtasks.sandbox.answers import Refusal, invalid

Test = Callable[[Any], bool]
Read = Callable[[Any], Any]

_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_RANGE = frozenset({"$eq", "$exists", *_ORDER})
_ONE_OF = frozenset({"$eq", "$in", "$ne", "$nin", "$exists"})
_LISTED = frozenset({"$in", "$nin", "$exists"})

# Field -> kind of value, operators. Any other field is one of the custom ones, of any kind.
CHANNEL_FIELDS: Mapping[str, tuple[str, frozenset[str]]] = {
    "cid": ("string", _ONE_OF),
    "id": ("string", _ONE_OF),
    "type": ("string", _ONE_OF),
    "team": ("string", _ONE_OF),
    "members": ("string", _LISTED),
    "frozen": ("boolean", _ONE_OF),
    "disabled": ("boolean", _ONE_OF),
    "member_count": ("number", _RANGE),
    "created_at": ("time", _RANGE),
    "updated_at": ("time", _RANGE),
    "last_updated": ("time", _RANGE),
    "last_message_at": ("time", _RANGE),
}
USER_FIELDS: Mapping[str, tuple[str, frozenset[str]]] = {
    "id": ("string", _ONE_OF | _RANGE),
    "name": ("string", _ONE_OF),
    "role": ("string", _ONE_OF),
    "teams": ("string", _LISTED),
    "banned": ("boolean", _ONE_OF),
    "created_at": ("time", _RANGE),
    "updated_at": ("time", _RANGE),
    "last_active": ("time", _RANGE),
    "deactivated_at": ("time", _RANGE),
}
_ANY = ("anything", _ONE_OF | _RANGE)


def build(conditions: Any, fields: Mapping[str, tuple[str, frozenset[str]]]) -> Test:
    """The test that a filter stands for.

    :raises Refusal: the filter is none of Stream's.
    """
    if not isinstance(conditions, dict):
        raise invalid("filter_conditions must be an object")
    tests = [_clause(key, operand, fields) for key, operand in conditions.items()]
    if len(tests) == 1:
        return tests[0]
    return lambda entry: all(test(entry) for test in tests)


def read(name: str, fields: Mapping[str, Any]) -> Read:
    """What reads a field of a channel or user; ``None`` where it has none."""
    if name in fields:
        return operator.attrgetter(name)
    return lambda entry: entry.custom.get(name)


def bounds(conditions: Any, name: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The operators and values by which a filter, as a whole, bounds a field: where in an order to begin."""
    for key, operand in conditions.items():
        if key == "$and":
            for part in operand:
                yield from bounds(part, name, fields)
        elif key == name and isinstance(operand, dict):
            for each, value in operand.items():
                if each in _ORDER:
                    yield each, _value(name, value, fields)


def comparable(value: Any, other: Any) -> bool:
    """Whether one of two values can come before the other."""
    both = (value, other)
    return all(isinstance(each, str) for each in both) or all(isinstance(each, int | float) for each in both)


def _clause(key: str, operand: Any, fields: Mapping[str, Any]) -> Test:
    if key in ("$and", "$or", "$nor"):
        if not isinstance(operand, list) or not operand:
            raise invalid(f"{key} must be a list of filters that is not empty")
        tests = [build(part, fields) for part in operand]
        if key == "$and":
            return lambda entry: all(test(entry) for test in tests)
        if key == "$or":
            return lambda entry: any(test(entry) for test in tests)
        return lambda entry: not any(test(entry) for test in tests)
    if key.startswith("$"):
        raise invalid(f"unsupported operator {key}")
    if not isinstance(operand, dict):
        operand = {"$eq": operand}
    tests = [_comparison(key, each, value, fields) for each, value in operand.items()]
    return lambda entry: all(test(entry) for test in tests)


def _comparison(name: str, operator_: str, operand: Any, fields: Mapping[str, Any]) -> Test:
    _, operators = fields.get(name, _ANY)
    if operator_ not in operators:
        raise invalid(f"operator {operator_} is not supported for field `{name}`")
    value = read(name, fields)
    if operator_ == "$exists":
        if not isinstance(operand, bool):
            raise invalid("$exists operator only support boolean values")
        return lambda entry: (value(entry) is not None) is operand
    if operator_ in ("$in", "$nin"):
        if not isinstance(operand, list):
            raise invalid(f"{operator_} of field `{name}` must be a list")
        wanted = [_value(name, each, fields) for each in operand]
        among = set(wanted) if all(isinstance(each, str) for each in wanted) else wanted
        return lambda entry: _meets(value(entry), among) is (operator_ == "$in")
    wanted_one = _value(name, operand, fields)
    if operator_ in ("$eq", "$ne"):
        return lambda entry: (value(entry) == wanted_one) is (operator_ == "$eq")
    compare = _ORDER[operator_]
    return lambda entry: comparable(value(entry), wanted_one) and compare(value(entry), wanted_one)


def _meets(value: Any, among: Any) -> bool:
    if isinstance(value, tuple):
        return any(each in among for each in value)
    return value in among if not isinstance(value, dict | list) else value in list(among)


def _value(name: str, operand: Any, fields: Mapping[str, Any]) -> Any:
    kind, _ = fields.get(name, _ANY)
    given = _kind(operand)
    if kind == "time":
        return _nanoseconds(name, operand)
    if kind not in ("anything", given):
        raise invalid(f"field `{name}` contains type {given}. expecting {kind}")
    return operand


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "number", float: "number", list: "array", dict: "object", type(None): "null"}
    return names[type(value)]


def _nanoseconds(name: str, text: Any) -> int:
    form = r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)"
    match = re.fullmatch(form, text, re.ASCII) if isinstance(text, str) else None
    try:
        if match is None:
            raise ValueError
        moment = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))
        seconds = int(moment.timestamp())
    except (ValueError, OverflowError):
        raise _no_time(name, text) from None
    return seconds * 10**9 + int((match[2] or "0").ljust(9, "0"))


def _no_time(name: str, given: Any) -> Refusal:
    return invalid(f"field `{name}` contains {given!r}. expecting an RFC 3339 time")
