"""A storage host that does what the sandbox's does not: break off, forget, change its mind, lie."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Trouble:
    """What happens to one request.

    :param cut: the connection ends after so many bytes of the body.
    :param status: an answer without a file.
    :param before: is called first.
    :param headers: replace those of the true answer; ``None`` leaves one out.
    :param chunked: send the body in chunks, without a length.
    :param body: replaces the true one, but not the headers.
    :param stream: writes the body in place of the true one, however long it is.
    """

    cut: int | None = None
    status: int | None = None
    before: Callable[[], None] = lambda: None
    headers: dict[str, str | None] = field(default_factory=dict)
    chunked: bool = False
    body: bytes | None = None
    stream: Callable[[Callable[[bytes], Any]], Any] | None = None


class StorageHost:
    """Hands out one file to whoever knows the signature."""

    def __init__(self) -> None:
        self.content = b""
        self.etag: str | None = '"one"'
        self.ranges = True
        self.signature = "0123456789abcdef-first"
        self.troubles: list[Trouble] = []
        self.requests: list[Message] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/exports/channels.jsonl?Expires=1&Signature={self.signature}"

    @property
    def places(self) -> list[str | None]:
        """The ranges that were asked for."""
        return [each["Range"] for each in self.requests]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append(handler.headers)
        trouble = self.troubles.pop(0) if self.troubles else Trouble()
        trouble.before()
        status, headers, body = self._true_answer(handler)
        if trouble.status:
            secret = f"you wanted {handler.path}".encode()  # as some hosts do
            status, headers, body = trouble.status, {"Content-Length": str(len(secret))}, secret
        headers |= trouble.headers
        body = body if trouble.body is None else trouble.body
        if trouble.chunked:
            headers |= {"Content-Length": None, "Transfer-Encoding": "chunked"}
        handler.send_response_only(status)
        for name, value in headers.items():
            if value is not None:
                handler.send_header(name, value)
        handler.send_header("Connection", "close")
        handler.end_headers()
        if trouble.stream:
            trouble.stream(handler.wfile.write)
        part = b"" if trouble.stream else body[: trouble.cut]
        if trouble.chunked:
            part = b"%x\r\n%b" % (len(body), part) if part else b""
            part += b"\r\n0\r\n\r\n" if trouble.cut is None else b""
        handler.wfile.write(part)
        handler.wfile.flush()
        handler.close_connection = True

    def _true_answer(self, handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str | None], bytes]:
        if f"Signature={self.signature}" not in handler.path:
            return 403, {"Content-Length": "0"}, b""
        size = len(self.content)
        headers: dict[str, str | None] = {"Content-Length": str(size), "ETag": self.etag}
        found = re.fullmatch(r"bytes=(\d+)-", handler.headers["Range"] or "")
        if not (found and self.ranges and handler.headers["If-Range"] == self.etag):
            return 200, headers, self.content
        start = int(found[1])
        headers |= {"Content-Range": f"bytes {start}-{size - 1}/{size}", "Content-Length": str(size - start)}
        return 206, headers, self.content[start:]


@contextmanager
def storage_host() -> Iterator[StorageHost]:
    host = StorageHost()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            host.answer(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
