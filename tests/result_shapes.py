"""
What GetTask may answer for each operation, and what that means.

These are Stream's public shapes of a result, and each of them with one thing missing, empty, null or of
another type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_streamtasks.operators import chat, feeds, moderation, users, video
from airflow_provider_streamtasks.operators.base import StreamBaseOperator
from airflow_provider_streamtasks.protocol.results import NO_CHANNELS, NO_OUTCOME, NO_REASON

SIGNATURE = "Signature=abcdef"
URL = f"https://storage.example/exports/x.json?{SIGNATURE}"


@dataclass(frozen=True, slots=True)
class Meaning:
    """
    What an answer means.

    :param how: ``completed``, ``failed``, or ``open``: not finished, or not known to be
    :param items: item -> why it failed inside
    :param error_type: why the whole failed
    :param description: why the whole failed, in words
    """

    how: str
    items: Mapping[str, str] = field(default_factory=dict)
    error_type: str = "unknown"
    description: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """
    One answer.

    :param name: what is special about it
    :param answer: ``end`` (the status), ``result``, ``error``
    """

    name: str
    answer: Mapping[str, Any]
    meaning: Meaning


COMPLETED, OPEN = Meaning("completed"), Meaning("open")
ODD: dict[str, Any] = {
    "null": None,
    "empty object": {},
    "empty list": [],
    "empty text": "",
    "text": "x",
    "number": 5,
    "true": True,
    "list": ["x"],
}
"""What may stand where something else should."""
FEW = ("null", "empty object", "text", "true")

OK = {"status": "ok"}
ITEM_SHAPES: dict[str, tuple[Any, str | None]] = {
    "ok": (OK, None),
    "ok in capitals": ({"status": "OK"}, None),
    "ok with an empty error": ({"status": "ok", "error": ""}, None),
    "ok with an error": ({"status": "ok", "error": "gone"}, "gone"),
    "error": ({"status": "error", "error": "gone"}, "gone"),
    "error without a reason": ({"status": "error"}, "error"),
    "error of another type": ({"status": "error", "error": {"description": "gone"}}, "gone"),
    "other status": ({"status": "not_found"}, "not_found"),
    "status null": ({"status": None}, NO_OUTCOME),
    "status empty": ({"status": ""}, NO_OUTCOME),
    "status of another type": ({"status": 5}, "5"),
    "status missing": ({"error": "gone"}, "gone"),
    "failed by another name": ({"state": "Failed"}, "Failed"),
    "plain ok": ("ok", None),
    "plain failure": ("failed", "failed"),
}
"""How the entry of an item may look, and why the item failed."""

LOST: dict[str, tuple[Any, str]] = {
    "null": (None, NO_OUTCOME),
    "empty": ({}, NO_OUTCOME),
    "empty text": ("", NO_OUTCOME),
    "empty list": ([], NO_OUTCOME),
    "number": (5, "5"),
    "plain other word": ("not_found", "not_found"),
}
"""Entries that only their name or their neighbours show to be an item's."""

_ITEMS: dict[type[StreamBaseOperator], list[str]] = {
    chat.StreamDeleteChannelsOperator: ["messaging:a", "messaging:b"],
    users.StreamDeleteUsersOperator: ["joe", "ann"],
    video.StreamDeleteCallOperator: ["default:standup"],
    feeds.StreamDeleteFeedOperator: ["user:joe"],
    feeds.StreamDeleteFeedsOperator: ["user:joe", "user:ann"],
    feeds.StreamDeleteFeedUserDataOperator: ["joe"],
}
_EXPORTS = (
    chat.StreamExportChannelsOperator,
    users.StreamExportUsersOperator,
    feeds.StreamExportFeedUserDataOperator,
    moderation.StreamBulkImageModerationOperator,
    moderation.StreamExportModerationLogsOperator,
)
_PEOPLE = (users.StreamDeactivateUsersOperator, users.StreamReactivateUsersOperator)

BATCH: dict[str, Any] = {
    "operation": "hide",
    "status": "completed",
    "task_id": "t",
    "success_channels_count": 1,
    "failed_channels": [],
    "batch_created_at": "2026-01-31T00:00:00Z",
    "finished_at": "2026-01-31T00:00:01Z",
}


def shapes(operator: type[StreamBaseOperator]) -> Iterator[Shape]:
    """Yield what GetTask may answer for an operation."""
    yield from _any_operation()
    if names := _ITEMS.get(operator):
        yield from _items(names)
    elif operator in _EXPORTS:
        yield from _one_thing_odd({"url": URL, "path": "x.json", "s3_bucket_name": "stream"})
    elif operator in _PEOPLE:
        person = {"id": "joe", "name": "Joe", "status": "away", "error": "x", "deactivated_at": "2026-01-31"}
        yield from _one_thing_odd({"users": [person]})
    elif operator is chat.StreamChannelBatchUpdateOperator:
        yield from _batch_update()
    else:
        assert operator is moderation.StreamImportBlockListOperator
        yield from _one_thing_odd({"items_count": 2})


def _any_operation() -> Iterator[Shape]:
    for name, value in ODD.items():
        yield Shape(f"result {name}", {"result": value}, COMPLETED)
    yield Shape("ok outside", {"end": "ok"}, COMPLETED)
    yield Shape("unknown outside", {"end": "thawing"}, OPEN)
    for word in ("failed", "error"):
        yield Shape(f"{word} inside", {"result": {"status": word}}, _failed_inside(""))
        why = {"type": "storage", "description": "full"}
        yield Shape(f"{word} outside", {"end": word, "error": why}, Meaning("failed", {}, "storage", "full"))
    for name in ("description", "error", "reason"):
        answer = {"end": "failed", "error": None, "result": {name: f"see {URL}"}}
        where = URL.partition("?")[0]
        yield Shape(f"reason in {name}", answer, Meaning("failed", description=f"see {where}"))
    inside = {"joe": {"status": "error", "error": "gone"}, "ann": OK}
    yield Shape(
        "reason in the items",
        {"end": "failed", "error": None, "result": inside},
        Meaning("failed", {"joe": "gone"}, description="1 item failed: joe (gone)"),
    )
    for name, value in ODD.items():
        if not isinstance(value, str) or not value:
            answer = {"end": "failed", "error": None, "result": value}
            yield Shape(f"failed, result {name}", answer, Meaning("failed"))


def _items(names: list[str]) -> Iterator[Shape]:
    first, well = names[0], dict.fromkeys(names, OK)
    shows = len(names) > 1 or ":" in first
    for name, (entry, why) in ITEM_SHAPES.items():
        yield Shape(f"item {name}", {"result": {**well, first: entry}}, _with_items({first: why}))
    for name, (entry, told) in LOST.items():
        # Alone and under such a name it may as well be a field of Stream's: then "completed" counts.
        failed = {first: told} if shows else {}
        yield Shape(f"item {name}", {"result": {**well, first: entry}}, Meaning("completed", failed))
    for name in ("status", "operation", "failed_channels", "users", "url", "description", "error", "reason"):
        entries = {**well, name: {"status": "error", "error": "gone"}}
        yield Shape(f"item called {name}", {"result": entries}, Meaning("completed", {name: "gone"}))
    others = {name: entry for name, entry in well.items() if name != first}
    yield Shape("item missing", {"result": others}, COMPLETED)
    plain = dict.fromkeys(names, "ok")
    yield Shape("plain texts", {"result": plain}, COMPLETED)
    yield Shape(
        "plain texts, one of them bad", {"result": {**plain, first: "error"}}, _with_items({first: "error"})
    )


def _batch_update() -> Iterator[Shape]:
    yield Shape("whole", {"result": BATCH}, COMPLETED)
    for key in BATCH:
        rest = {name: value for name, value in BATCH.items() if name != key}
        yield Shape(f"{key} missing", {"result": rest}, COMPLETED)
    for word, meaning in {
        "ok": COMPLETED,
        "OK": COMPLETED,
        "started": OPEN,
        "pending": OPEN,
        "running": OPEN,
        "thawing": OPEN,
        "": COMPLETED,
        "failed": _failed_inside(""),
        "error": _failed_inside(""),
    }.items():
        yield Shape(f"status {word!r}", {"result": {**BATCH, "status": word}}, meaning)
    for name in ("null", "number", "list", "empty list", "true"):
        meaning = COMPLETED if name == "null" else OPEN
        yield Shape(f"status {name}", {"result": {**BATCH, "status": ODD[name]}}, meaning)
    for name in FEW:
        for key in ("operation", "task_id", "success_channels_count", "batch_created_at", "finished_at"):
            yield Shape(f"{key} {name}", {"result": {**BATCH, key: ODD[name]}}, COMPLETED)
    groups: dict[str, tuple[Any, dict[str, str]]] = {
        "named": ([{"reason": "frozen", "cids": ["a:1"]}], {"a:1": "frozen"}),
        "without reason": ([{"cids": ["a:1"]}], {"a:1": NO_REASON}),
        "reason null": ([{"reason": None, "cids": ["a:1"]}], {"a:1": NO_REASON}),
        "reason of another type": ([{"reason": 5, "cids": ["a:1"]}], {"a:1": "5"}),
        "without cids": ([{"reason": "frozen"}], {"frozen": NO_CHANNELS}),
        "cids null": ([{"reason": "frozen", "cids": None}], {"frozen": NO_CHANNELS}),
        "cids empty": ([{"reason": "frozen", "cids": []}], {"frozen": NO_CHANNELS}),
        "cids a text": ([{"reason": "frozen", "cids": "a:1"}], {"a:1": "frozen"}),
        "empty group": ([{}], {NO_CHANNELS: NO_REASON}),
        "group null": ([None], {NO_CHANNELS: NO_REASON}),
        "group a text": (["a:1"], {"a:1": NO_REASON}),
        "no list": ({"reason": "frozen", "cids": ["a:1"]}, {"a:1": "frozen"}),
        "text": ("all", {"all": NO_CHANNELS}),
        "null": (None, {}),
    }
    for name, (value, items) in groups.items():
        failed = {**BATCH, "failed_channels": value}
        yield Shape(f"failed_channels {name}", {"result": failed}, Meaning("completed", items))
        told = ", ".join(f"{item} ({why})" for item, why in items.items())
        text = f"1 item failed: {told}" if items else ""
        yield Shape(
            f"failed, failed_channels {name}",
            {"result": {**failed, "status": "failed"}},
            _failed_inside(text, items),
        )
        yield Shape(
            f"failed with a description, failed_channels {name}",
            {"result": {**failed, "status": "failed", "description": "no such team"}},
            _failed_inside("no such team", items),
        )


def _one_thing_odd(result: dict[str, Any]) -> Iterator[Shape]:
    yield Shape("whole", {"result": result}, COMPLETED)
    for key in result:
        rest = {name: value for name, value in result.items() if name != key}
        yield Shape(f"{key} missing", {"result": rest}, COMPLETED)
        for name in FEW:
            yield Shape(f"{key} {name}", {"result": {**result, key: ODD[name]}}, COMPLETED)


def _with_items(items: Mapping[str, str | None]) -> Meaning:
    return Meaning("completed", {item: why for item, why in items.items() if why is not None})


def _failed_inside(description: str, items: Mapping[str, str] | None = None) -> Meaning:
    return Meaning("failed", items or {}, "channel_batch_update", description)
