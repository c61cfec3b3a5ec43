"""A Stream task as ``GetTask`` shows it: how it stands, how it ended, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, Protocol

from airflow_provider_streamtasks.exceptions import StreamApiException, StreamException
from airflow_provider_streamtasks.protocol import results
from airflow_provider_streamtasks.protocol.errors import read_body
from airflow_provider_streamtasks.protocol.fields import parse_rfc3339
from airflow_provider_streamtasks.protocol.wire import Request, Response, fill

_OPEN = frozenset({"pending", "started", "waiting", "running"})
"""Stream docs; ``started`` only stands inside the result of a batch update (stream-chat-java's suite)."""
_FOR_A_PERSON = frozenset({"waiting_confirmation"})

CHANNEL_BATCH_UPDATE = "channel_batch_update"
"""The type of error of work that failed although its Stream task is completed."""

_RATE_LIMIT = re.compile(r"rate[\s_-]*limit|too many requests", re.IGNORECASE)
"""What the suites of stream-chat-python, -go and -ruby look for in the reason of a failed batch update."""

UNKNOWN = "unknown"
"""The type of error where Stream gives none. Stream's SDK says so, too."""


@dataclass(frozen=True, slots=True)
class TaskError:
    """Why a Stream task failed, in Stream's words: without signatures, and with people cut to their ids."""

    type: str = UNKNOWN
    description: str = ""
    stack_trace: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class StreamTask:
    """
    One Stream task, as one poll saw it.

    :param task_id: its id, which is opaque
    :param status: Stream's word for where it stands
    :param result: what it produced; ``None`` until it is completed, and where Stream gives none
    :param error: why it failed, or ``None``
    :param created_at: Unix time in seconds, or ``None`` where Stream did not say
    :param updated_at: Unix time in seconds, or ``None``
    :param report: what Stream's check of an import's file found: faults of lines, not of items; or ``None``
    """

    task_id: str
    status: str
    # Not in the repr, and so not in a log: a result may hold a signed URL.
    result: Any = field(default=None, repr=False)
    error: TaskError | None = None
    created_at: float | None = None
    updated_at: float | None = None
    report: Any = field(default=None, repr=False)

    @property
    def completed(self) -> bool:
        """Whether the work ended well, as a whole: the Stream task did, and its result does not object."""
        return self.status in results.GOOD and self._own_status in results.GOOD | {""}

    @property
    def failed(self) -> bool:
        """Whether the work ended badly, as a whole: Stream says so of the Stream task, or in its result."""
        return self.status in results.BAD or (self.status in results.GOOD and self._own_status in results.BAD)

    @property
    def finished(self) -> bool:
        """Whether the work ended."""
        return self.completed or self.failed

    @property
    def failure(self) -> TaskError:
        """Why the work failed: what Stream says in ``error``, or else in the result."""
        error = self.error or TaskError()
        inside = CHANNEL_BATCH_UPDATE if self.status in results.GOOD else UNKNOWN
        return replace(
            error,
            type=inside if error.type == UNKNOWN else error.type,
            description=error.description or results.reason(self.result),
        )

    @property
    def inside(self) -> Any:
        """The result as far as it tells of items: the report on a file, which quotes it, does not."""
        return None if self.report else self.result

    @property
    def failed_items(self) -> dict[str, str]:
        """The items that failed inside: item -> reason, where Stream names them."""
        return results.failed_items(self.inside)

    @property
    def rate_limited(self) -> bool:
        """Whether a rate limit that Stream keeps to inside itself made the work fail, or items in it."""
        reasons = [*self.failed_items.values(), *(self._reason if self.failed else ())]
        return any(map(_RATE_LIMIT.search, reasons))

    @property
    def may_pass(self) -> bool:
        """
        Whether this failure may not be the last word: it has no reason at all, or a rate limit as its reason.

        Three of Stream's own suites take such an answer for passing, and ask on.
        """
        if not self.failed:
            return False
        reason = self._reason
        return not reason or any(map(_RATE_LIMIT.search, reason))

    @property
    def remark(self) -> str | None:
        """What the log should say about the status, once; ``None`` where it is nothing special."""
        if self.status in _FOR_A_PERSON:
            return f"waits for a person at Stream ({self.status})"
        if self.finished or self.status in _OPEN:
            return None
        if self.status not in results.GOOD:
            return f"has the unknown status {self.status!r}"
        inside = self._own_status
        return (
            None if inside in _OPEN else f"is {self.status}, but its result has the unknown status {inside!r}"
        )

    @property
    def _own_status(self) -> str:
        return results.own_status(self.result)

    @property
    def _reason(self) -> list[str]:
        failure = self.failure
        known = [] if failure.type in (UNKNOWN, CHANNEL_BATCH_UPDATE) else [failure.type]
        return [*known, *([failure.description] if failure.description else [])]


Answer = StreamTask | StreamException
"""What a poll brought: how it stands, or why that is not known."""


class Pollable(Protocol):
    """A kind of work at Stream that is started once and polled until it is finished."""

    @property
    def noun(self) -> str:
        """What one of them is called in messages."""

    @property
    def endpoint(self) -> str:
        """Stream's name of the call that polls it, which has a rate limit of its own."""

    @property
    def whole(self) -> str:
        """What to call for its whole result."""

    def serialize(self) -> dict[str, Any]:
        """Return the arguments by which a trigger knows it."""

    def key(self, task_id: str) -> str:
        """Return what one of them is known by to a poller: waits with the same key share its polls."""

    def request(self, task_id: str) -> Request:
        """Return the request that asks for it."""

    def read(self, task_id: str, response: Response, now: float) -> StreamTask:
        """
        Return what an answer to the request says.

        :param task_id: the id that was asked for; the answer's own is not relied on
        :param now: this machine's clock as Unix time
        :raises StreamApiException: if the answer is an error, or does not tell
        """


def get_task(task_id: str) -> Request:
    """Return the request that asks for a Stream task."""
    return Request("GetTask", "GET", fill("/api/v2/tasks/{stream_task_id}", stream_task_id=task_id))


def read_task(task_id: str, response: Response, now: float) -> StreamTask:
    """
    Return the Stream task in an answer to :func:`get_task`.

    :param task_id: the id that was asked for; the answer's own is not relied on
    :param now: this machine's clock as Unix time
    :raises StreamApiException: if the answer is an error, or does not tell of a Stream task
    """
    body = read_body("GetTask", response, now, _HINTS)
    status = body.get("status")
    if not isinstance(status, str) or not status:
        raise StreamApiException(
            f"GetTask: the answer has no status, but {', '.join(map(repr, list(body)[:10])) or 'nothing'}",
            status_code=response.status,
        )
    error = body.get("error")
    return StreamTask(
        task_id=task_id,
        status=status.lower(),
        result=body.get("result"),
        error=_error(error) if error else None,
        created_at=parse_timestamp(body.get("created_at")),
        updated_at=parse_timestamp(body.get("updated_at")),
    )


_HINTS = {
    404: "Check that the id is one that Stream gave out, and that the Airflow connection leads to the app "
    "that it belongs to. The id of an import is not that of a Stream task.",
}


class _StreamTasks:
    noun = "Stream task"
    endpoint = "GetTask"
    whole = "hook.get_task(stream_task_id).result"
    serialize = staticmethod(dict[str, Any])
    key = staticmethod(str)
    request = staticmethod(get_task)
    read = staticmethod(read_task)


STREAM_TASKS: Pollable = _StreamTasks()
"""Stream tasks, which most operations start."""


def parse_timestamp(value: object) -> float | None:
    """
    Return Unix seconds for Stream's timestamps: nanoseconds as a number or a string, or RFC 3339.

    :return: ``None`` for anything else, and for what no date can be
    """
    if isinstance(value, str) and value.isdecimal() and len(value) <= 30:
        value = int(value)
    try:
        if isinstance(value, str):
            seconds = parse_rfc3339(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1e9
        else:
            return None
        datetime.fromtimestamp(seconds or 0.0, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return None
    return seconds


def _error(error: object) -> TaskError:
    if not isinstance(error, Mapping):
        return TaskError(description=results.as_text(error))
    return TaskError(
        type=results.as_text(error.get("type")) or UNKNOWN,
        description=next(filter(None, (results.as_text(error.get(name)) for name in results.REASONS)), ""),
        stack_trace=results.as_text(error.get("stacktrace")),
        version=results.as_text(error.get("version")),
    )
