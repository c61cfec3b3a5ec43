"""A Stream API that knows GetTask only, answers as fast as asyncio can, and may have a budget.

``python -m tests.benchmarks.server`` prints its URL. The id of a Stream task says when it ends:
``<Unix time>-<anything>``; so there is nothing to register, and every process of a benchmark agrees.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import time
from email.utils import formatdate


class Budget:
    """Counts polls in windows of the clock. Rejected ones count as well.

    :param limit: polls per window.
    :param window: seconds.
    """

    def __init__(self, limit: int, window: float) -> None:
        self.limit = limit
        self.window = window
        self.opened = 0.0
        self.used = 0
        self.rejected: list[float] = []

    def spend(self, now: float) -> tuple[bool, str]:
        """Count a poll; return whether it is answered, and the headers."""
        opened = now // self.window * self.window
        if opened != self.opened:
            self.opened, self.used = opened, 0
        self.used += 1
        allowed = self.used <= self.limit
        if not allowed:
            self.rejected.append(now)
        headers = (
            f"x-ratelimit-limit: {self.limit}\r\n"
            f"x-ratelimit-remaining: {max(0, self.limit - self.used)}\r\n"
            f"x-ratelimit-reset: {math.ceil(opened + self.window)}\r\n"
        )
        return allowed, headers


class Polls(asyncio.Protocol):
    """One connection."""

    budget: Budget | None = None
    answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].partition(b"?")[0]
            self.transport.write(self.answer(path.rpartition(b"/")[2].decode()))  # type: ignore[attr-defined]

    def answer(self, last: str) -> bytes:
        now = time.time()
        if last == "statistics":
            rejected = Polls.budget.rejected if Polls.budget else []
            return _http(200, json.dumps({"answered": Polls.answered, "rejected": rejected}), "", now)
        Polls.answered += 1
        extra = "x-ratelimit-limit: 1000000\r\nx-ratelimit-remaining: 999999\r\n"
        extra += f"x-ratelimit-reset: {int(now // 60 * 60 + 60)}\r\n"
        if Polls.budget:
            allowed, extra = Polls.budget.spend(now)
            if not allowed:
                return _http(
                    429, '{"code": 9, "message": "Too many requests", "StatusCode": 429}', extra, now
                )
        ends = float(last.partition("-")[0])
        status, result = ("completed", '{"a:1": {"status": "ok"}}') if now >= ends else ("running", "null")
        body = (
            f'{{"task_id": "{last}", "status": "{status}", "created_at": {int(now * 1e9)}, '
            f'"updated_at": {int(min(now, ends) * 1e9)}, "result": {result}, "duration": "0.5ms"}}'
        )
        return _http(200, body, extra, now)


def _http(status: int, body: str, extra: str, now: float) -> bytes:
    return (
        f"HTTP/1.1 {status} OK\r\nDate: {formatdate(now, usegmt=True)}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{extra}\r\n{body}"
    ).encode()


async def _serve(options: argparse.Namespace) -> None:
    if options.limit:
        Polls.budget = Budget(options.limit, options.window)
    context = None
    if options.certificate:
        import ssl

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.certificate)
    server = await asyncio.get_running_loop().create_server(Polls, "127.0.0.1", 0, ssl=context, backlog=4096)
    scheme = "https" if context else "http"
    print(f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=0, help="polls per window; 0 for no limit")
    parser.add_argument("--window", type=float, default=60.0, help="seconds")
    parser.add_argument("--certificate", help="PEM file with key and certificate: speak TLS")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
