"""Every request that the sandbox received, and what it made of it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

KEPT = 100_000
KEPT_HEADERS = (
    "x-stream-client",
    "stream-auth-type",
    "x-client-request-id",
    "user-agent",
    "content-type",
    "accept-encoding",
    "range",
)


@dataclass(slots=True)
class Entry:
    """One request.

    :param number: counts requests from 1.
    :param time: when it arrived (Unix seconds).
    :param operation: Stream's name of the endpoint; ``Request`` if there is no such endpoint.
    :param query: without signatures.
    :param body: the JSON body; ``None`` if there is none or it is not JSON.
    :param headers: those of :data:`KEPT_HEADERS` that were sent.
    :param authorization: ``valid``, ``invalid`` or ``absent``; the token itself is never kept.
    :param status: HTTP status of the answer; ``None`` while there is none, and for ever after a reset.
    :param fault: the kind of fault that struck it.
    :param taken: whether the request was carried out, whatever the answer said.
    :param stream_task_id: the Stream task (or import) that it started.
    :param items: what it was accepted for: cids, user ids, …
    """

    number: int
    time: float
    operation: str
    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]
    authorization: str
    status: int | None = None
    fault: str | None = None
    taken: bool = False
    stream_task_id: str | None = None
    items: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Journal:
    """The newest :data:`KEPT` requests, in order of arrival."""

    _entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=KEPT))
    _count: int = 0

    def open(self, **about: Any) -> Entry:
        """Begin the entry of a request that has just arrived."""
        self._count += 1
        entry = Entry(number=self._count, **about)
        self._entries.append(entry)
        return entry

    def read(self, operation: str | None = None, after: int = 0) -> list[dict[str, Any]]:
        """The entries of an operation (or all) with a number above ``after``."""
        # Not asdict(): it would copy each body, and hold up the clients while it does.
        return [
            {name: getattr(entry, name) for name in Entry.__slots__}
            for entry in self._entries
            if entry.number > after and operation in (None, entry.operation)
        ]

    def reset(self) -> None:
        """Forget all requests and count from 1 again."""
        self._entries.clear()
        self._count = 0
