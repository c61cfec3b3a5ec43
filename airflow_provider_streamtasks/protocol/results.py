"""
What the result of a Stream task says about the work: a status of its own, how each item ended, a reason.

Stream publishes no schema of results, and the same object may hold fields of Stream's or ids of a user's: a
user may be called ``status``, ``error`` or ``failed_channels``. So what an entry is follows from its value,
not from its name alone:

- An object with ``status`` or ``error``, with a ``state`` of failure, or with ``success`` false, says how the
  item of that name ended. A text at ``status`` is the result's own status.
- A **map of items** is a result in which one entry says how an item ended: such an object, one of the texts
  ``ok``, ``failed`` or ``error``, or anything under a name like ``type:id``. Every entry of it is an item
  then, and one that does not say ``ok`` has failed: not knowing is not success.
- In a map of plain texts (``{"joe": "ok"}``) the text at ``status`` is an item as well, unless there are
  other fields of a batch update beside it.
- A **batch update** has such fields, of the type that Stream gives them: ``operation``, ``task_id``,
  ``success_channels_count``, ``failed_channels``, ``batch_created_at``, ``finished_at``.
- An **entry of a list** says how an item ended if it holds an id and an outcome, and nothing else. One with
  more is a whole object, such as a user, whose ``status`` may mean anything.
- A **field of failures** has ``failed``, ``failures`` or ``errors`` in its name, and lists or counts them.
  A name with ``_at`` is a time, one that begins with ``max_`` a limit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any

from airflow_provider_streamtasks.protocol.people import personal_fields, without_people
from airflow_provider_streamtasks.protocol.signatures import without_queries

GOOD = frozenset({"ok", "completed"})
"""Statuses of success. Stream docs: ``completed`` of Stream tasks, ``ok`` of items; its suites take both."""
BAD = frozenset({"failed", "error"})
"""Statuses of failure. Stream docs: ``failed``. A maintainer of Stream once named ``error`` instead."""

NO_OUTCOME = "Stream does not say how it ended"
NO_REASON = "no reason given"
NO_CHANNELS = "Stream does not name the channels"

NAMED = 10
"""Failed items that a sentence names; of the others it gives the number."""

_PLAIN_VERDICTS = BAD | {"ok"}
REASONS = ("description", "error", "reason", "message")
"""Names under which Stream says why."""
_BATCH_FIELDS: dict[str, tuple[type, ...]] = {
    "operation": (str,),
    "task_id": (str,),
    "success_channels_count": (int, float),
    "failed_channels": (list,),
    "batch_created_at": (str, int, float),
    "finished_at": (str, int, float),
}
_ID = re.compile(r"[^\s:/]+:[^\s:/]+")
_IDS = ("cid", "fid", "id", "user_id")
_OUTCOME = frozenset({"status", "state", "success", "error", "reason", "code", "message", "description"})
_FAILURES = re.compile(r"(?!max_|.*_at(_|$))(.+_)?(failed|failures|errors)(_.+)?", re.IGNORECASE)


def own_status(result: Any) -> str:
    """Return the status that a result itself has, in lower case; an empty string where it has none."""
    if isinstance(result, str):
        return _word(result) if _word(result) in BAD else ""
    if not isinstance(result, Mapping):
        return ""
    status = result.get("status")
    if isinstance(status, str):
        if _is_map_of_texts(result):
            return ""
        # As with an item: with an error, it has failed, whatever the status.
        return "error" if _has_error(result) and _word(status) in GOOD else _word(status)
    if status is None and _has_error(result) and not _is_map_of_items(result):
        return "error"
    if status is None or isinstance(status, Mapping) or not _is_batch_update(result):
        return ""
    return _word(json.dumps(status, default=str))


def verdicts(result: Any) -> dict[str, str | None]:
    """Return how each item ended that a result names: item -> why it failed, or ``None``."""
    if isinstance(result, list):
        return dict(_listed("", result))
    if not isinstance(result, Mapping):
        return {}
    entries = {str(name): value for name, value in result.items() if not _is_field(result, name, value)}
    found: dict[str, str | None] = dict(_unsuccessful_channels(result))
    counts: dict[str, str | None] = {}
    for name, value in result.items():
        if not _FAILURES.fullmatch(str(name)):
            found.update(_listed(name, value))
        elif _is_number(value):
            counts |= {str(name): f"{value:g}"} if value > 0 else {}
        elif name != "failed_channels":
            found.update(_failures(str(name), value))
    if any(_is_verdict(name, value) for name, value in entries.items()):
        # A text that may be a person's name must not become a reason.
        entries |= dict.fromkeys(personal_fields(entries))
        found.update((name, _why_failed(value)) for name, value in entries.items())
    # If the failed items are known, their number adds nothing.
    return found if any(found.values()) else found | counts


def failed_items(result: Any, refused: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """
    Return the items that failed inside: item -> reason.

    A group of failed channels that names none of them is one item, called by its reason.

    :param refused: items that failed already when they were submitted. Of one that the result names, the
        result decides.
    """
    ends = {**refused, **verdicts(result)}
    return {item: reason for item, reason in ends.items() if reason is not None}


def reason(result: Any) -> str:
    """Return why the work failed, as far as its result says so; an empty string where it does not."""
    if isinstance(result, str):
        return "" if _word(result) in GOOD | BAD else as_text(result)
    if not isinstance(result, Mapping):
        return ""
    for name in REASONS:
        value = result.get(name)
        if not _is_verdict("", value) and (text := as_text(value)):
            return text
    return in_words(failed_items(result))


def in_words(items: Mapping[str, str]) -> str:
    """Name failed items with their reasons: all of a few, the first ones of many; empty if there are none."""
    if not items:
        return ""
    named = ", ".join(f"{item} ({why})" for item, why in islice(items.items(), NAMED))
    more = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
    return f"{len(items)} item{'s' * (len(items) != 1)} failed: {named}{more}"


def as_text(value: Any) -> str:
    """
    Return what Stream put where words are expected, as text; empty if it is nothing.

    There are no signatures in it, and of people only their ids.
    """
    if isinstance(value, Mapping):
        value = next(filter(None, map(value.get, REASONS)), value)
    if not value:
        return ""
    return without_queries(value if isinstance(value, str) else str(without_people(value)[0])).strip()


def _why_failed(verdict: Any) -> str | None:
    if isinstance(verdict, Mapping):
        if error := as_text(verdict.get("error")):
            return error
        succeeded = verdict.get("success")
        if succeeded is False:
            return _why(verdict) or NO_REASON
        verdict = verdict.get("status", verdict.get("state", "ok" if succeeded is True else None))
    if isinstance(verdict, str) and _word(verdict) in GOOD:
        return None
    return as_text(verdict) or NO_OUTCOME


def _is_verdict(name: str, value: Any) -> bool:
    if isinstance(value, Mapping) and ("status" in value or "error" in value or _is_bad(value)):
        return True
    return _is_plain_verdict(value) or _ID.fullmatch(name) is not None


def _is_bad(value: Mapping[str, Any]) -> bool:
    state = value.get("state")
    return value.get("success") is False or (isinstance(state, str) and _word(state) in BAD)


def _is_plain_verdict(value: Any) -> bool:
    return isinstance(value, str) and _word(value) in _PLAIN_VERDICTS


def _has_error(result: Mapping[str, Any]) -> bool:
    if result.get("success") is False or result.get("failed") is True:
        return True
    error = result.get("error")
    return not _is_verdict("", error) and bool(as_text(error))


def _is_map_of_items(result: Mapping[str, Any]) -> bool:
    """Return whether anything but ``error`` tells how an item ended."""
    return any(_is_verdict(str(name), value) for name, value in result.items() if name != "error")


def _is_map_of_texts(result: Mapping[str, Any]) -> bool:
    others = (value for name, value in result.items() if name != "status")
    return any(map(_is_plain_verdict, others)) and not _is_batch_update(result)


def _is_batch_update(result: Mapping[str, Any]) -> bool:
    return any(_fits(name, result.get(name)) for name in _BATCH_FIELDS)


def _fits(name: str, value: Any) -> bool:
    return isinstance(value, _BATCH_FIELDS[name]) and not _is_plain_verdict(value)


def _is_field(result: Mapping[str, Any], name: str, value: Any) -> bool:
    """Return whether an entry is Stream's own, and not an item's."""
    if isinstance(value, Mapping):
        return False
    if name == "status":
        return isinstance(value, str) and not _is_map_of_texts(result)
    if name == "success" and value is True:
        return True
    if _FAILURES.fullmatch(name) and (_is_number(value) or value is False or value == []):
        return True
    if name in _BATCH_FIELDS:
        return _is_batch_update(result) and (value is None or _fits(name, value))
    status = own_status(result) if name in REASONS else ""
    return bool(status) and (status in BAD or not _is_plain_verdict(value))


def _unsuccessful_channels(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    groups = result.get("failed_channels")
    if groups and not isinstance(groups, list) and not _is_verdict("", groups) and _is_batch_update(result):
        groups = [groups if isinstance(groups, Mapping) and "cids" in groups else {"reason": groups}]
    for group in groups if isinstance(groups, list) else ():
        entry = group if isinstance(group, Mapping) else {"cids": [group] if group else []}
        why = as_text(entry.get("reason"))
        cids = entry.get("cids")
        names = [cids] if isinstance(cids, str) else cids if isinstance(cids, list) else []
        named = [text for cid in names if (text := as_text(cid))]
        if not named:
            yield why or NO_CHANNELS, NO_CHANNELS if why else NO_REASON
        yield from ((cid, why or NO_REASON) for cid in named)


def _listed(name: str, entries: Any) -> Iterator[tuple[str, str | None]]:
    """Yield how items ended, where entries of a list say that and nothing else."""
    for place, entry in enumerate(entries if isinstance(entries, list) else ()):
        if (
            isinstance(entry, Mapping)
            and _is_verdict("", entry)
            and entry.keys() <= {*_IDS, *_OUTCOME, "type"}
        ):
            yield _id(entry) or f"{name}[{place}]", _why_failed(entry)


def _failures(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the items that a field of failures names."""
    if isinstance(value, list):
        for place, entry in enumerate(value):
            if isinstance(entry, Mapping):
                yield _id(entry) or f"{name}[{place}]", _why(entry) or NO_REASON
            elif text := as_text(entry):
                yield text, NO_REASON
    elif isinstance(value, Mapping):
        if item := _id(value):
            if item != name:  # else it is an item of that name
                yield item, _why(value) or NO_REASON
        elif not _is_verdict("", value):  # else it is an item of that name
            reasons = {**value, **dict.fromkeys(personal_fields(value))}
            for item, why in reasons.items():
                if why or why is None:
                    yield str(item), as_text(why) or NO_REASON


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _why(entry: Mapping[str, Any]) -> str:
    return next((text for name in REASONS if (text := as_text(entry.get(name)))), "")


def _id(entry: Mapping[str, Any]) -> str:
    return next((text for name in _IDS if (text := as_text(entry.get(name)))), "")


def _word(text: str) -> str:
    return text.strip().lower()
