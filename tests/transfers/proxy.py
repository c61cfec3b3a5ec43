"""What stands between us and an emulator: it counts requests, and lets some of them fail."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_PIECE = 1024 * 1024


class Proxy:
    """Passes requests on.

    :ivar requests: method and path of each
    :ivar refuses: is given the method, the path and the headers of a request, and returns a status where the
        emulator lets pass what the real storage does not
    :ivar fails: is given the number of a request (from 0), its method and its path; a status instead of
        ``None`` is the answer to it
    """

    def __init__(self, target: str) -> None:
        self.target = target.removeprefix("http://")
        self.port = 0
        self.refuses: Callable[[str, str, Message], int | None] = lambda method, path, headers: None
        self.reset()

    def reset(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.fails: Callable[[int, str, str], int | None] = lambda number, method, path: None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fail_at(self, number: int, status: int) -> None:
        """Let one request fail, and whatever is the same request sent again."""
        failing: set[tuple[str, str]] = set()

        def fails(at: int, method: str, path: str) -> int | None:
            if at == number:
                failing.add((method, path))
            return status if (method, path) in failing else None

        self.fails = fails

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        with self._lock:
            number = len(self.requests)
            self.requests.append((handler.command, handler.path))
            status = self.fails(number, handler.command, handler.path)
        status = status or self.refuses(handler.command, handler.path, handler.headers)
        if status:
            for size in _pieces(length):
                handler.rfile.read(size)
            handler.send_response_only(status)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        target = http.client.HTTPConnection(self.target, timeout=60)
        target.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
        for name, value in handler.headers.items():
            if name.lower() not in ("connection", "expect"):
                target.putheader(name, value)
        target.endheaders()
        if "chunked" in handler.headers.get("Transfer-Encoding", ""):
            for chunk in _chunks(handler):
                target.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        for size in _pieces(length):
            target.send(handler.rfile.read(size))
        answer = target.getresponse()
        handler.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "keep-alive"):
                # A session of an upload is gone on with through here too.
                handler.send_header(name, value.replace(self.target, f"127.0.0.1:{self.port}"))
        body = b"" if handler.command == "HEAD" else answer.read()
        announced = answer.headers["Content-Length"] if handler.command == "HEAD" else None
        handler.send_header("Content-Length", announced or str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        target.close()


def _pieces(length: int) -> Iterator[int]:
    while length:
        yield min(length, _PIECE)
        length -= min(length, _PIECE)


def _chunks(handler: BaseHTTPRequestHandler) -> Iterator[bytes]:
    while True:
        size = int(handler.rfile.readline().split(b";")[0], 16)
        chunk = handler.rfile.read(size)
        handler.rfile.readline()
        yield chunk
        if not size:
            return


@contextmanager
def proxy_to(target: str) -> Iterator[Proxy]:
    proxy = Proxy(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            proxy.answer(self)

        do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
