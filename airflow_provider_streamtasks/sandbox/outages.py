"""What a fault looks like on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web

from airflow_provider_streamtasks.sandbox.answers import Answer, failure
from airflow_provider_streamtasks.sandbox.budgets import Budget
from airflow_provider_streamtasks.sandbox.content import Content, Part
from airflow_provider_streamtasks.sandbox.faults import Fault

_ENVOY = b"upstream connect error or disconnect/reset before headers. reset reason: connection failure"
TOO_MANY = "Too many requests, check response headers for more information."
_PORTAL = b"<!DOCTYPE html>\n<html><body><h1>Welcome to the guest network</h1></body></html>\n"
_DROPS = 20

Options = Mapping[str, Any]


def instead(fault: Fault, operation: str, budget: Budget, now: float) -> Answer:
    """The answer that a fault of a :data:`REPLACING` kind gives in place of the true one."""
    return REPLACING[fault.kind](fault.options, operation, budget, now)


def _rate_limit(options: Options, operation: str, budget: Budget, now: float) -> Answer:
    headers = {
        "x-ratelimit-limit": str(budget.limit or 0),
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(budget.reset(now)),
    }
    if "retry_after" in options:
        headers["Retry-After"] = str(options["retry_after"])
    return replace(failure(operation, 429, 9, TOO_MANY), headers=headers)


def _api_error(options: Options, operation: str, budget: Budget, now: float) -> Answer:
    status, message = options.get("status", 500), options.get("message", "Internal Server Error")
    if options.get("bare"):
        return Answer(status, json.dumps({"message": message}).encode())
    extra = {key: options[key] for key in ("unrecoverable", "exception_fields") if key in options}
    return failure(operation, status, options.get("code", -1), message, **extra)


def _unavailable(options: Options, operation: str, budget: Budget, now: float) -> Answer:
    return Answer(options.get("status", 503), _ENVOY, "text/plain", {"server": "envoy"})


def _redirect(options: Options, operation: str, budget: Budget, now: float) -> Answer:
    location = options.get("location", "/api/v2/elsewhere")
    return Answer(options.get("status", 302), b"", "text/html", {"Location": location})


# The kinds of fault that give an answer of their own.
REPLACING: dict[str, Callable[[Options, str, Budget, float], Answer]] = {
    "rate_limit": _rate_limit,
    "api_error": _api_error,
    "unavailable": _unavailable,
    "redirect": _redirect,
}


def spoilt(fault: Fault, answer: Answer) -> Answer:
    """What a fault makes of the content of the true answer."""
    if fault.kind == "broken_json":
        return replace(answer, body=answer.body[: len(answer.body) // 2])
    if fault.kind == "empty_body":
        return replace(answer, body=b"")
    if fault.kind == "wrong_content_type":
        return replace(answer, body=_PORTAL, content_type="text/html")
    if fault.kind == "huge_body":
        size = fault.options.get("bytes", 16 * 1024 * 1024)
        return replace(answer, body=b"".join(chunks(answer.body)).rjust(size))
    if fault.kind == "corrupted":
        return replace(answer, body=_in_part(answer.body).flipped())
    return answer


async def reset(request: web.Request) -> web.StreamResponse:
    """Cut the connection with a TCP reset, so that the client gets no answer at all."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        # Lingering for zero seconds makes the kernel send RST instead of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()


async def drip(request: web.Request, fault: Fault, answer: Answer) -> web.StreamResponse:
    """Send an answer bit by bit, over the seconds that the fault asks for."""
    response = await _begin(request, answer)
    size = max(1, -(-len(answer.body) // _DROPS))
    drops = [answer.body[start : start + size] for start in range(0, len(answer.body), size)]
    # A client that hangs up in between is what this fault is for.
    with contextlib.suppress(ConnectionError):
        for drop in drops:
            await asyncio.sleep(fault.options.get("seconds", 1.0) / len(drops))
            await _write(response, drop)
        await response.write_eof()
    return response


async def send(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Send an answer that is too large for the memory."""
    response = await _begin(request, answer)
    # Clients that hang up are no news.
    with contextlib.suppress(ConnectionError):
        await _write(response, answer.body)
        await response.write_eof()
    return response


async def truncate(request: web.Request, fault: Fault, answer: Answer) -> web.StreamResponse:
    """Announce an answer, send half of it or as much as the fault says, and hang up."""
    response = await _begin(request, answer)
    with contextlib.suppress(ConnectionError):
        await _write(response, answer.body[: fault.options.get("bytes", len(answer.body) // 2)])
    if fault.kind == "cut":
        return await reset(request)
    if request.transport is not None:
        request.transport.close()
    return response


def chunks(body: bytes | Part) -> Iterable[bytes]:
    """A body, some bytes at a time."""
    return _in_part(body).chunks()


def _in_part(body: bytes | Part) -> Part:
    return Part(Content(body), 0, len(body)) if isinstance(body, bytes) else body


async def _write(response: web.StreamResponse, body: bytes | Part) -> None:
    for chunk in chunks(body):
        await response.write(chunk)


async def _begin(request: web.Request, answer: Answer) -> web.StreamResponse:
    response = web.StreamResponse(
        status=answer.status, headers={**answer.headers, "Content-Type": answer.content_type}
    )
    response.content_length = len(answer.body)
    await response.prepare(request)
    return response
