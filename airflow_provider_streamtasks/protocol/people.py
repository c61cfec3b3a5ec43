"""
People in Stream's answers, who must not get into XComs or logs unasked.

Stream publishes no schema of results, so people are recognised by their fields. In doubt, too much is cut.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_VERDICT = frozenset({"status", "error", "reason", "code", "message", "description"})
_VERDICT_WORDS = frozenset({"ok", "completed", "failed", "error"})
"""How an item ended, in Stream's words."""

_OF_ANYTHING = frozenset(
    {"id", "user_id", "cid", "type", "state", "task_id", "url", "path", "status", "error", "reason", "code"}
)
"""Fields of an object that is not a person; nor need it be one for having times (``created_at``)."""

_PEOPLE = re.compile(r"users?|members?|owners?|senders?|persons?|people|\w+_by", re.ASCII)
"""Names under which people stand."""

_PERSONAL = re.compile(
    r"((user|nick|display|full|first|last|given|family|sur)?name|.*(mail|phone|mobile|address|birth).*)"
)
"""Names of fields that tell of a person, in lower case and without what separates words."""


def without_people(value: Any, among_people: bool = False) -> tuple[Any, int]:
    """
    Return a value in which people are cut to their ids, and how many there are.

    One person becomes ``{"id": ...}``; a list with people becomes ``{"count": ..., "ids": [...]}``.

    :param among_people: whether it stands under a name like ``users``
    """
    if isinstance(value, Mapping):
        if _is_person(value, among_people):
            return {name: value[name] for name in ("id", "user_id") if _is_id(value.get(name))}, 1
        cut = {
            name: without_people(each, among_people or _PEOPLE.fullmatch(name) is not None)
            for name, each in value.items()
        }
        return {name: each for name, (each, _) in cut.items()}, sum(people for _, people in cut.values())
    if isinstance(value, list):
        objects = [each for each in value if isinstance(each, Mapping)]
        if any(_is_person(each, among_people) for each in objects):
            ids = (each["id"] if _is_id(each.get("id")) else each.get("user_id") for each in objects)
            return {"count": len(value), "ids": list(filter(_is_id, ids))}, len(value)
        cuts = [without_people(each, among_people) for each in value]
        return [each for each, _ in cuts], sum(people for _, people in cuts)
    return value, 0


def _is_person(value: Mapping[str, Any], among_people: bool) -> bool:
    """
    Return whether an object is a person, or may be one.

    It is one if it has an id and more fields than the outcome of an item; or a field that tells of a person;
    or, under a name like ``users``, an id or any text. Other whole objects, such as channels, are taken for
    people, too: better to cut one of these than to show somebody's address.
    """
    has_id = _is_id(value.get("id")) or _is_id(value.get("user_id"))
    further = {
        name: each
        for name, each in value.items()
        if not (name in _OF_ANYTHING or name.endswith("_at") or is_verdict(each))
    }
    if has_id and (further or (among_people and not is_verdict(value.get("id")))):
        return True
    if any(_PERSONAL.fullmatch(re.sub(r"[\W_]", "", name.lower())) for name in further):
        return True
    return among_people and any(isinstance(each, str) for each in further.values())


def personal_fields(value: Mapping[str, Any]) -> list[str]:
    """Return the fields of an object that may tell of a person; none where it is no person."""
    if not _is_person(value, among_people=False):
        return []
    return [
        name
        for name, each in value.items()
        if name not in _OF_ANYTHING and not (isinstance(each, Mapping) or is_verdict(each))
    ]


def is_verdict(value: Any) -> bool:
    """Return whether a value says how an item ended, and no more."""
    if isinstance(value, str):
        return value.strip().lower() in _VERDICT_WORDS
    return isinstance(value, Mapping) and bool(value) and _VERDICT.issuperset(value)


def _is_id(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)
