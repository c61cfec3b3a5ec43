"""A message into a channel of Stream Chat, which arrives once however often it is sent."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_streamtasks.exceptions import StreamApiException, StreamException
from airflow_provider_streamtasks.protocol.fields import Segment, Text
from airflow_provider_streamtasks.protocol.wire import Request, fill

CHANNEL = Text(form="[^:]+:[^:]+", example="messaging:alerts")
"""What the cid of a channel must look like."""

MAX_TEXT = 1024 * 1024
"""Characters of a message at the most: channel types allow fewer, of which Stream knows."""

_INPUT_ERROR, _NOT_FOUND, _TOO_LONG = 4, 16, 20
"""Stream docs: API error codes."""


@dataclass(frozen=True, slots=True)
class Message:
    """
    A message on its way.

    :param cid: the channel
    :param text: what it says
    :param user_id: the user at Stream who says it
    :param id: its own id. Stream takes a message with one id once, so sending it again is safe.
    :raises ValueError: naming the argument that is not allowed
    """

    cid: str
    text: str
    user_id: str
    id: str

    def __post_init__(self) -> None:
        CHANNEL.parse("channel", self.cid)
        for name, value in (("text", self.text), ("user_id", self.user_id), ("message_id", self.id)):
            Text(MAX_TEXT).parse(name, value)

    def request(self) -> Request:
        """Return the request that sends it."""
        type_, _, id_ = self.cid.partition(":")
        return Request(
            "SendMessage",
            "POST",
            fill(
                "/api/v2/chat/channels/{type}/{id}/message",
                type=Segment().parse("channel", type_),
                id=Segment().parse("channel", id_),
            ),
            json={
                "message": {"id": self.id, "text": self.text, "user_id": self.user_id},
                # Stream would fetch the pages that the text links to, which are none of its business.
                "skip_enrich_url": True,
            },
            hints={
                _INPUT_ERROR: f"Does the user {self.user_id!r}, who sends it, exist at Stream?",
                _NOT_FOUND: f"Create the channel {self.cid!r} at Stream first, or correct its name.",
                _TOO_LONG: "Shorten the text, or raise max_message_length of the channel type.",
            },
        )

    def is_there(self, error: StreamException) -> bool:
        """Return whether an error means that Stream has the message already."""
        return (
            isinstance(error, StreamApiException)
            and error.code == _INPUT_ERROR
            and f"{self.id} already exists" in error.message
        )
