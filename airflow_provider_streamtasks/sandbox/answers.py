"""What the sandbox answers: Stream's success bodies and Stream's error envelope."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from airflow_provider_streamtasks.sandbox.content import Part

MORE_INFO = "https://getstream.io/chat/docs/api_errors_response"


@dataclass(slots=True)
class Answer:
    """An HTTP answer that has not been sent yet, so that a fault can still spoil it."""

    status: int
    body: bytes | Part
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """A request that Stream turns down.

    :param status: HTTP status.
    :param code: Stream's own error code, as listed in its API error reference.
    :param reason: what is wrong; the envelope wraps it as ``<operation> failed with error: "<reason>"``.
    """

    def __init__(self, status: int, code: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.code = code
        self.reason = reason


def invalid(reason: str) -> Refusal:
    """The refusal of a request whose content is wrong."""
    return Refusal(400, 4, reason)


def missing(reason: str) -> Refusal:
    """The refusal of a request for something that does not exist."""
    return Refusal(404, 16, reason)


def duration(seconds: float) -> str:
    """The time a request took, as Stream writes it: ``36.23ms``."""
    return f"{seconds * 1000:.2f}ms"


class Nanoseconds(int):
    """A point in time as API v2 writes it. A type of its own, so that API v1 can write it in words."""


def nanoseconds(moment: float) -> Nanoseconds:
    """A point in time (Unix seconds) as API v2 writes it: integer nanoseconds."""
    return Nanoseconds(moment * 1_000_000_000)


def rfc3339(moment: float) -> str:
    """A point in time (Unix seconds) as API v1 writes it, and API v2 inside some results."""
    return datetime.fromtimestamp(moment, timezone.utc).isoformat().replace("+00:00", "Z")


def success(method: str, payload: dict[str, Any], seconds: float) -> Answer:
    """Stream's answer to a request it accepted: 201 for POST and PUT, 200 otherwise."""
    status = 201 if method in ("POST", "PUT") else 200
    return Answer(status, json.dumps({**payload, "duration": duration(seconds)}).encode())


def failure(
    operation: str,
    status: int,
    code: int,
    reason: str,
    seconds: float = 0.0,
    **extra: Any,
) -> Answer:
    """Stream's error envelope, with all six keys that its SDKs insist on."""
    envelope = {
        "code": code,
        "message": f'{operation} failed with error: "{reason}"',
        "StatusCode": status,
        "duration": duration(seconds),
        "more_info": MORE_INFO,
        "details": [],
        **extra,
    }
    return Answer(status, json.dumps(envelope).encode())


def denied(refusal: Refusal) -> Answer:
    """What the object storage says instead: it is not Stream, and speaks XML."""
    code = {403: "AccessDenied", 404: "NoSuchKey"}.get(refusal.status, "InvalidRequest")
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{refusal.reason}</Message></Error>'
    return Answer(refusal.status, body.encode(), "application/xml")
