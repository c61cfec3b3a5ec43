"""Files that look like the exports of Stream."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from airflow_provider_streamtasks.sandbox.content import NUMBER, Content, numbered

_TIME = "2026-01-01T00:00:00Z"
_BLOCK = 1024 * 1024
_MESSAGES = 20
_WORDS = ("we", "you", "see", "the", "file", "of", "that", "call", "on", "next", "week", "and", "not", "this")

Messages = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Form:
    """How a file is put together.

    :param record: one record, without what separates it from the next: of an item, and its messages.
    :param begin: what stands before the first record.
    :param between: what stands between two.
    :param end: what stands after the last one.
    """

    record: Callable[[str, Messages], str]
    begin: str = ""
    between: str = "\n"
    end: str = "\n"

    def content(self, items: Iterable[str], size: int | None) -> Content:
        """A record for each item; or as many as make up a size in bytes, the items again and again."""
        items = tuple(items)
        if size is None or not items:
            small = self.between.join(self.record(item, [_message(item, "1", "Hello")]) for item in items)
            return Content((self.begin + small + (self.end if items else "")).encode())
        return self._sized(items, size)

    def _sized(self, items: Sequence[str], size: int) -> Content:
        block = list(self._block(items))
        whole = b"".join(block)
        smallest = self.record(items[0], [_message(items[0], "last", "")])
        room = size - len((self.begin + smallest + self.end).encode())
        repeats, room = divmod(max(0, room), len(whole))
        tail = b""
        for record in block:
            if len(record) > room:
                break
            tail += numbered(record, repeats)
            room -= len(record)
        # The last message is as long as it must be for the file to have its size.
        filler = " ".join(_WORDS * (room // 50 + 1))[:room]
        last = self.record(items[0], [_message(items[0], "last", filler)])
        return Content(self.begin.encode(), whole, repeats, tail + (last + self.end).encode())

    def _block(self, items: Sequence[str]) -> Iterator[bytes]:
        # Not for secrets: the same export must give the same bytes every time.
        rng = random.Random("\n".join(items))  # noqa: S311
        texts = [" ".join(rng.choices(_WORDS, k=rng.randint(3, 40))) for _ in range(200)]
        size = 0
        for number, item in enumerate(cycle(items)):
            names = (f"{NUMBER.decode()}-{number:04d}-{index:02d}" for index in range(_MESSAGES))
            record = self.record(item, [_message(item, name, rng.choice(texts)) for name in names])
            yield (record + self.between).encode()
            size += len(record)
            if size >= _BLOCK:
                return


def channels(cids: Iterable[str], name: str, size: int | None = None) -> Content:
    """Exported channels: a JSON array, JSON lines or CSV, as the ending of the file's name says."""
    if name.endswith(".csv"):
        form = _csv(("cid", "message_id", "user_id", "text", "created_at"), _channel_rows)
    elif name.endswith(".jsonl"):
        form = _Form(_channel)
    else:
        form = _Form(_channel, "[\n", ",\n", "\n]\n")
    return form.content(cids, size)


def users(user_ids: Iterable[str], size: int | None = None) -> Content:
    """Exported users: JSON lines."""
    return _Form(_user).content(user_ids, size)


def feed_user_data(user_ids: Iterable[str], size: int | None = None) -> Content:
    """The exported feed data of one user."""
    [user_id] = user_ids
    begin = f'{{"user": {json.dumps({"id": user_id})}, "feeds": [], "follows": [], "activities": [\n'
    return _Form(_activities, begin, ",\n", "\n]}\n").content([user_id], size)


def moderated_images(urls: Iterable[str], size: int | None = None) -> Content:
    """The verdicts of a bulk image moderation."""
    header = ("csv_file", "action", "text")
    form = _csv(header, lambda url, messages: [(url, "keep", each["text"]) for each in messages])
    return form.content(urls, size)


def moderation_logs(filters: Iterable[str], size: int | None = None) -> Content:
    """Moderation logs, with the filter that they were asked for."""
    header = ("filter", "action", "entity_id", "moderator_id", "created_at")
    form = _csv(
        header,
        lambda filter_, messages: [
            (filter_, "mark_reviewed", each["id"], "alice", each["created_at"]) for each in messages
        ],
    )
    return form.content(filters, size)


def _message(item: str, number: str, text: str) -> dict[str, Any]:
    id_ = item.rpartition(":")[2]
    return {"id": f"{id_}-{number}", "text": text, "user": {"id": "alice"}, "created_at": _TIME}


def _channel(cid: str, messages: Messages) -> str:
    type_, _, id_ = cid.partition(":")
    return json.dumps(
        {
            "channel": {"type": type_, "id": id_, "cid": cid, "created_at": _TIME, "member_count": 1},
            "members": [{"user_id": "alice", "channel_role": "channel_member"}],
            "messages": messages,
        }
    )


def _user(user_id: str, messages: Messages) -> str:
    return json.dumps({"user": {"id": user_id, "role": "user"}, "messages": messages})


def _activities(user_id: str, messages: Messages) -> str:
    return ",\n".join(
        json.dumps({**message, "user": {"id": user_id}, "type": "post"}) for message in messages
    )


def _channel_rows(cid: str, messages: Messages) -> list[Sequence[str]]:
    return [(cid, each["id"], each["user"]["id"], each["text"], each["created_at"]) for each in messages]


def _csv(header: Sequence[str], rows: Callable[[str, Messages], Iterable[Sequence[str]]]) -> _Form:
    return _Form(
        lambda item, messages: _csv_lines(rows(item, messages)), f"{_csv_lines([header])}\r\n", "\r\n", "\r\n"
    )


def _csv_lines(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().removesuffix("\r\n")
