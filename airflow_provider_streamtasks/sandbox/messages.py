"""SendMessage: what was said in which channel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from airflow_provider_streamtasks.sandbox.answers import Refusal, invalid, missing, nanoseconds
from airflow_provider_streamtasks.sandbox.directory import Directory
from airflow_provider_streamtasks.sandbox.endpoints import Endpoint, Visit
from airflow_provider_streamtasks.sandbox.fields import Field, check

MOST = 5000
"""Characters of a message: what Stream allows unless the channel's type says otherwise."""

_MESSAGE = (
    Field("id"),
    Field("text"),
    Field("user_id"),
    Field("user", "object"),
    Field("attachments", "objects"),
    Field("custom", "object"),
    Field("mentioned_users", "strings"),
    Field("parent_id"),
    Field("pinned", "boolean"),
    Field("silent", "boolean"),
    Field("type", choices=("", "regular", "system")),
)
_FLAGS = ("force_moderation", "keep_channel_hidden", "pending", "skip_enrich_url", "skip_push")
_BODY = (
    Field("message", "object", required=True, fields=_MESSAGE),
    *(Field(name, "boolean") for name in _FLAGS),
)


@dataclass(slots=True)
class Messages:
    """The messages, and the endpoint that takes them.

    :param directory: the channels and users that there are.
    """

    directory: Directory
    _sent: dict[str, dict[str, Any]] = field(default_factory=dict)

    def endpoints(self) -> Iterator[Endpoint]:
        """What the API offers here."""
        yield Endpoint("SendMessage", "POST", "/api/v2/chat/channels/{type}/{id}/message", self.send)

    def send(self, visit: Visit) -> dict[str, Any]:
        """Take a message, once for each id."""
        body = visit.json_object()
        check(body, _BODY)
        said = body["message"]
        user_id = said.get("user_id") or (said.get("user") or {}).get("id")
        if not user_id:
            raise invalid("either message.user or message.user_id must be given when using server side auth")
        self.directory.settle()
        cid = f"{visit.params['type']}:{visit.params['id']}"
        channel, user = self.directory.channels.get(cid), self.directory.users.get(user_id)
        if channel is None:
            raise missing(f"Can't find channel with id {cid}")
        if user is None:
            raise invalid(
                f"The following users are involved in send message operation, but don't exist: [{user_id}]. "
                "Please create the user objects before sending the message."
            )
        text, message_id = said.get("text") or "", said.get("id") or str(uuid4())
        if len(text) > MOST:
            raise Refusal(400, 20, f"message text is longer than {MOST} characters")
        if message_id in self._sent:
            raise invalid(f"a message with ID {message_id} already exists")
        now = nanoseconds(self.directory.clock())
        message = {
            "id": message_id,
            "cid": cid,
            "text": text,
            "html": f"<p>{text}</p>\n" if text else "",
            "type": said.get("type") or "regular",
            "user": user.as_stream_mentions_it(),
            "created_at": now,
            "updated_at": now,
            "attachments": said.get("attachments") or [],
            "custom": said.get("custom") or {},
            "deleted_reply_count": 0,
            "latest_reactions": [],
            "mentioned_channel": False,
            "mentioned_here": False,
            "mentioned_users": [],
            "own_reactions": [],
            "pinned": bool(said.get("pinned")),
            "reaction_counts": {},
            "reaction_scores": {},
            "reply_count": 0,
            "restricted_visibility": [],
            "shadowed": False,
            "silent": bool(said.get("silent")),
        }
        self._sent[message_id] = message
        channel.last_message_at = now
        self.directory.version += 1
        return {"message": message}

    def in_channel(self, cid: str) -> list[dict[str, Any]]:
        """The messages of a channel, oldest first, as the control shows them."""
        return [
            {"id": each["id"], "text": each["text"], "user_id": each["user"]["id"]}
            for each in self._sent.values()
            if each["cid"] == cid
        ]

    def reset(self) -> None:
        """Forget every message."""
        self._sent.clear()
