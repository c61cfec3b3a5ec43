"""Small files that look like the exports of Stream."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

_TIME = "2026-01-01T00:00:00Z"


def channels(cids: Iterable[str], name: str) -> str:
    """Exported channels: a JSON array, JSON lines or CSV, as the ending of the file's name says."""
    exported = [_channel(cid) for cid in cids]
    if name.endswith(".csv"):
        rows = [
            (channel["channel"]["cid"], message["id"], message["user"]["id"], message["text"], _TIME)
            for channel in exported
            for message in channel["messages"]
        ]
        return _csv(("cid", "message_id", "user_id", "text", "created_at"), rows)
    return _lines(exported) if name.endswith(".jsonl") else json.dumps(exported, indent=2)


def users(user_ids: Iterable[str]) -> str:
    """Exported users: JSON lines."""
    return _lines({"user": {"id": user_id, "role": "user"}, "messages": []} for user_id in user_ids)


def feed_user_data(user_ids: Iterable[str]) -> str:
    """The exported feed data of one user."""
    [user_id] = user_ids
    return json.dumps({"user": {"id": user_id}, "feeds": [], "activities": [], "follows": []}, indent=2)


def moderated_images(urls: Iterable[str]) -> str:
    """The verdicts of a bulk image moderation."""
    return _csv(("csv_file", "action"), [(url, "keep") for url in urls])


def _channel(cid: str) -> dict[str, Any]:
    type_, _, id_ = cid.partition(":")
    message = {"id": f"{id_}-1", "text": f"Hello from {cid}", "user": {"id": "alice"}, "created_at": _TIME}
    return {
        "channel": {"type": type_, "id": id_, "cid": cid, "created_at": _TIME, "member_count": 1},
        "members": [{"user_id": "alice", "channel_role": "channel_member"}],
        "messages": [message],
    }


def _lines(records: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
