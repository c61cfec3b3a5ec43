"""The sandbox as an HTTP server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aiohttp import web

from airflow_provider_streamtasks.protocol.credentials import is_loopback
from airflow_provider_streamtasks.sandbox import outages
from airflow_provider_streamtasks.sandbox.answers import Answer, Refusal, denied, failure, missing, success
from airflow_provider_streamtasks.sandbox.api import StreamApi
from airflow_provider_streamtasks.sandbox.content import Part
from airflow_provider_streamtasks.sandbox.endpoints import MEBIBYTE, Endpoint, Visit
from airflow_provider_streamtasks.sandbox.faults import Fault
from airflow_provider_streamtasks.sandbox.journal import KEPT_HEADERS, Entry
from airflow_provider_streamtasks.sandbox.rules import BadRule

_NO_ENDPOINT = "Request"
# Bytes: below, compression does not pay; above, only a fault makes an answer so large.
_COMPRESSED_FROM, _COMPRESSED_TO = 1024, MEBIBYTE


class SandboxServer:
    """Serves a :class:`~.api.StreamApi` on a loopback address, with the control endpoints beside it.

    :param api: what to serve.
    :param host: a loopback address.
    :param port: 0 picks a free one.
    """

    def __init__(self, api: StreamApi, host: str = "127.0.0.1", port: int = 0) -> None:
        if not is_loopback(host):
            raise ValueError(
                f"The sandbox listens on loopback addresses only, not on {host}: "
                "its control endpoints ask for no credentials."
            )
        self.api = api
        self._host = host
        self._port = port
        application = web.Application(client_max_size=300 * MEBIBYTE)
        control = _Control(api)
        application.add_routes(
            [
                web.post("/sandbox/fates", control.rules(api.set_fate)),
                web.delete("/sandbox/fates", control.clear(api.fates.reset)),
                web.post("/sandbox/faults", control.rules(api.set_fault)),
                web.delete("/sandbox/faults", control.clear(api.faults.reset)),
                web.post("/sandbox/budgets", control.rules(api.set_budget)),
                web.delete("/sandbox/budgets", control.clear(api.budgets.reset)),
                web.post("/sandbox/channels", control.rules(api.directory.add_channel)),
                web.post("/sandbox/users", control.rules(api.directory.add_user)),
                web.post("/sandbox/population", control.rules(api.directory.populate)),
                web.get("/sandbox/journal", control.journal),
                web.get("/sandbox/tasks", control.tasks),
                web.get("/sandbox/messages", control.messages),
                web.delete("/sandbox", control.clear(api.reset)),
                web.route("*", "/{path:.*}", self._serve),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)

    async def start(self) -> str:
        """Listen; the URL where clients reach the sandbox."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self.api.storage.base_url = url
        return url

    async def stop(self) -> None:
        """Close all connections."""
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        found = self.api.switchboard.find(request.method, request.rel_url.raw_path)
        endpoint, params = found or (None, {})
        operation = endpoint.name if endpoint else _NO_ENDPOINT
        content = await request.read()
        kept = endpoint is None or not (endpoint.signed or endpoint.secret)
        entry = self._enter(request, operation, content if kept else None)
        visit = Visit(request.method, request.path, params, request.query, request.headers, content, entry)

        fault = self.api.faults.strike(operation)
        if fault is None:
            answer = self._answer(endpoint, visit)
            entry.status = answer.status
            return await _respond(request, answer)
        entry.fault = fault.kind
        return await self._strike(request, fault, endpoint, visit)

    def _enter(self, request: web.Request, operation: str, content: bytes | None) -> Entry:
        headers = request.headers
        return self.api.journal.open(
            time=self.api.clock(),
            operation=operation,
            method=request.method,
            path=request.rel_url.raw_path,
            query={key: value for key, value in request.query.items() if key != "Signature"},
            body=None if content is None else _json_or_none(content),
            headers={name: headers[name] for name in KEPT_HEADERS if name in headers},
            authorization=self.api.gatekeeper.verdict(headers),
        )

    def _answer(self, endpoint: Endpoint | None, visit: Visit) -> Answer:
        """Carry the request out, as far as Stream would."""
        operation = visit.entry.operation
        started = time.perf_counter()
        limits: dict[str, str] = {}
        try:
            if endpoint is None:
                raise missing("Not Found")
            self.api.admit(endpoint, visit)
            now = self.api.clock()
            budget = self.api.budgets.of(operation)
            covered = budget.spend(now)
            limits = budget.headers(now)
            if not covered:
                raise Refusal(429, 9, outages.TOO_MANY)
            if len(visit.content) > endpoint.most:
                raise Refusal(413, 22, f"the request body is larger than {endpoint.most} bytes")
            outcome = endpoint.handle(visit)
        except Refusal as refusal:
            seconds = time.perf_counter() - started
            answer = (
                denied(refusal)
                if endpoint is not None and endpoint.signed
                else failure(operation, refusal.status, refusal.code, refusal.reason, seconds)
            )
        else:
            visit.entry.taken = True
            answer = (
                outcome
                if isinstance(outcome, Answer)
                else success(visit.method, outcome, time.perf_counter() - started)
            )
        return replace(answer, headers={**answer.headers, **limits})

    async def _strike(
        self, request: web.Request, fault: Fault, endpoint: Endpoint | None, visit: Visit
    ) -> web.StreamResponse:
        entry = visit.entry
        if fault.kind == "reset_before":
            return await outages.reset(request)
        if fault.kind == "delay":
            await asyncio.sleep(fault.options.get("seconds", 1.0))
        if fault.kind == "expired":
            self.api.storage.expire(visit.query)
        if fault.kind in outages.REPLACING:
            if fault.options.get("taken"):
                self._answer(endpoint, visit)
            budget = self.api.budgets.of(entry.operation)
            answer = outages.instead(fault, entry.operation, budget, self.api.clock())
        else:
            answer = outages.spoilt(fault, self._answer(endpoint, visit))
        if fault.kind == "reset_after":
            return await outages.reset(request)
        entry.status = answer.status
        if fault.kind == "slow_body":
            return await outages.drip(request, fault, answer)
        if fault.kind in ("truncated", "cut"):
            return await outages.truncate(request, fault, answer)
        return await _respond(request, answer)


class _Control:
    """The endpoints under ``/sandbox`` by which tests and rehearsals steer the sandbox."""

    def __init__(self, api: StreamApi) -> None:
        self._api = api

    def rules(self, add: Callable[[Any], None]) -> Callable[[web.Request], Any]:
        """An endpoint that takes a rule, or a list of them."""

        async def handle(request: web.Request) -> web.Response:
            try:
                content = await request.json()
                for rule in content if isinstance(content, list) else [content]:
                    add(rule)
            except (BadRule, ValueError) as error:
                return web.json_response({"error": str(error)}, status=400)
            return web.json_response({}, status=201)

        return handle

    def clear(self, reset: Callable[[], None]) -> Callable[[web.Request], Any]:
        """An endpoint that forgets something."""

        async def handle(request: web.Request) -> web.Response:
            reset()
            return web.json_response({})

        return handle

    async def journal(self, request: web.Request) -> web.Response:
        """``?operation=`` and ``?after=`` (a number) narrow the journal down."""
        after = request.query.get("after", "0")
        if not after.isdigit():
            return web.json_response({"error": f"after must be a number, not {after!r}"}, status=400)
        entries = self._api.journal.read(request.query.get("operation"), int(after))
        return web.json_response({"journal": entries})

    async def tasks(self, request: web.Request) -> web.Response:
        """All Stream tasks, in the order they were started."""
        now = self._api.clock()
        return web.json_response({"tasks": [job.as_control_shows_it(now) for job in self._api.jobs.values()]})

    async def messages(self, request: web.Request) -> web.Response:
        """The messages of the channel ``?channel=`` (a cid), in the order they were sent."""
        messages = self._api.messages.in_channel(request.query.get("channel", ""))
        return web.json_response({"messages": messages})


async def _respond(request: web.Request, answer: Answer) -> web.StreamResponse:
    if isinstance(answer.body, Part):
        return await outages.send(request, answer)
    response = web.Response(
        status=answer.status,
        body=answer.body,
        headers={**answer.headers, "Content-Type": answer.content_type},
    )
    if _COMPRESSED_FROM <= len(answer.body) < _COMPRESSED_TO:
        response.enable_compression()
    return response


def _json_or_none(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
