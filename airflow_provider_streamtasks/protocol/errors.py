"""What an answer of Stream's means: a body to use, or which exception; and whether to try again, and when."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from airflow_provider_streamtasks.exceptions import (
    StreamApiException,
    StreamException,
    StreamRateLimitException,
    StreamTransportException,
)
from airflow_provider_streamtasks.protocol.rate_limits import WINDOW, parse_rate_limit, parse_retry_after
from airflow_provider_streamtasks.protocol.signatures import without_queries
from airflow_provider_streamtasks.protocol.wire import MAX_BODY, Response

MAX_PAUSE = 15 * 60.0
"""Seconds that we let Stream keep us waiting at a time, whatever ``Retry-After`` says."""

_CHECK_SECRET = "Check the API secret: the password of the Airflow connection."  # noqa: S105
_CHECK_CLOCK = "The clock of this machine and Stream's differ (clock skew): set this machine's clock."
_HINTS = {
    2: "Check the API key: the login of the Airflow connection.",
    5: _CHECK_SECRET,
    40: _CHECK_CLOCK,
    41: _CHECK_CLOCK,
    42: _CHECK_CLOCK,
    43: _CHECK_SECRET,
    17: "The API key is known, but its app does not allow this call to a server.",
    99: "Stream has suspended the app of this API key.",
}
"""Stream docs: API error codes."""


def read_body(
    operation: str, response: Response, now: float, hints: Mapping[int, str] = MappingProxyType({})
) -> dict[str, Any]:
    """
    Return the JSON object that an answer carries.

    :param operation: Stream's name of the call, for messages
    :param now: this machine's clock as Unix time
    :param hints: what to do about an error of this call: Stream's code, or else the HTTP status -> a sentence
    :raises StreamRateLimitException: for a 429
    :raises StreamApiException: for any other answer but a JSON object with a 2xx status
    """
    body = response.json()
    if 200 <= response.status < 300 and body is not None:
        return body
    error = body or {}
    code = error.get("code")
    code = code if type(code) is int else 0
    message = error.get("message")
    fields: dict[str, Any] = {
        "message": without_queries(message)
        if isinstance(message, str) and message
        else _describe(operation, response),
        "status_code": response.status,
        "code": code,
        "exception_fields": _strings(error.get("exception_fields")),
        "unrecoverable": error.get("unrecoverable") is True,
        "more_info": str(error.get("more_info") or ""),
        "details": error["details"] if isinstance(error.get("details"), list) else [],
        "raw_response_body": quotable(response, 2000),
        "hint": _HINTS.get(code)
        or hints.get(code)
        or (response.hint if body is None or response.status == 404 else "")
        or hints.get(response.status, ""),
    }
    if response.status == 429:
        raise StreamRateLimitException(retry_after=_retry_after(response, now), **fields)
    raise StreamApiException(**fields)


def quotable(response: Response, size: int) -> str:
    """
    Return the beginning of a body for an exception, without signatures of URLs.

    It is empty where Stream answered with what was asked for, whole or not: there may be people in it.

    :param size: bytes of it at the most
    """
    if 200 <= response.status < 300 and response.body.lstrip()[:1] in (b"{", b"["):
        return ""
    return without_queries(response.body[:size].decode("utf-8", "replace"))


def is_passing(error: StreamException) -> bool:
    """
    Return whether the same question may be answered a little later.

    True for 429, 408, 5xx, a body that is not Stream's, and for no answer at all. What Stream marks
    ``unrecoverable`` never passes.
    """
    if isinstance(error, StreamApiException):
        return (error.status_code == 429 or is_ambiguous(error)) and not error.unrecoverable
    return isinstance(error, StreamTransportException)


def is_not_taken(error: StreamException) -> bool:
    """
    Return whether Stream certainly did not act on the request, so that sending it again is safe.

    True for a 429, which Stream refuses before any work starts, and where no connection was made.
    """
    if isinstance(error, StreamRateLimitException):
        return not error.unrecoverable
    return isinstance(error, StreamTransportException) and not error.request_sent


def is_ambiguous(error: StreamException) -> bool:
    """
    Return whether Stream may have acted on the request although it did not say so.

    True where the request went out and no answer of Stream's came back: a timeout, a reset, a 408, a 5xx,
    a 2xx whose body cannot be read.
    """
    if isinstance(error, StreamApiException):
        return error.status_code == 408 or error.status_code >= 500 or error.status_code < 300
    return isinstance(error, StreamTransportException) and error.request_sent


def is_unknown_task(error: StreamException) -> bool:
    """Return whether Stream does not know the Stream task, or does not know it yet."""
    return isinstance(error, StreamApiException) and error.status_code == 404


def asked_pause(error: StreamException) -> float | None:
    """Return the seconds that Stream asks us to stay away; ``None`` where it does not say."""
    if isinstance(error, StreamRateLimitException) and error.retry_after is not None:
        return min(error.retry_after, MAX_PAUSE)
    return None


def _retry_after(response: Response, now: float) -> float:
    asked = parse_retry_after(response.headers, now)
    if asked is not None:
        return asked
    budget = parse_rate_limit(response.headers, now)
    # Windows are a minute: a reset farther away is a clock that cannot be trusted.
    return min(budget.reset, WINDOW) if budget else WINDOW / 2


def _describe(operation: str, response: Response) -> str:
    if len(response.body) > MAX_BODY:
        return f"{operation}: the answer is longer than {MAX_BODY // 2**20} MiB and was not read"
    if 300 <= response.status < 400:
        return (
            f"{operation}: the host sends us elsewhere (a redirect), which Stream never does. "
            "Check the base URL: the host of the Airflow connection"
        )
    kind = response.headers.get("content-type", "without a content type")
    start = quotable(response, 200).strip()
    return f"{operation}: the answer is not Stream's JSON ({kind})" + (f": {start!r}" if start else "")


def _strings(value: object) -> dict[str, str]:
    return {str(k): without_queries(str(v)) for k, v in value.items()} if isinstance(value, Mapping) else {}
