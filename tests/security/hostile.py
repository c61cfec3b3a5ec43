"""A server that answers with bytes of the test's choice, and keeps every byte that it was sent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Send = Callable[[bytes], None]


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return a complete answer."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


DONE = answer(b'{"task_id": "a", "status": "completed", "result": {"ok": true}}')


@dataclass
class HostileServer:
    """
    :param respond: gets the request's head, and sends what it likes; the connection ends with it
    :ivar heads: the requests' first lines and headers, as they came
    :ivar sent: bytes of answers that went out
    """

    port: int
    respond: Callable[[bytes, Send], None] = lambda head, send: send(DONE)
    heads: list[bytes] = field(default_factory=list, repr=False)
    sent: int = 0
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self, content: bytes) -> None:
        """Answer every request alike."""
        self.respond = lambda head, send: send(content)

    def serve(self, connection: socket.socket) -> None:
        self.connections += 1

        def send(content: bytes) -> None:
            connection.sendall(content)
            self.sent += len(content)

        with connection, suppress(OSError):
            connection.settimeout(20)
            head = b""
            while b"\r\n\r\n" not in head:
                received = connection.recv(65536)
                if not received:
                    return
                head += received
            self.heads.append(head.partition(b"\r\n\r\n")[0])
            self.respond(head, send)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass


@contextmanager
def hostile_server() -> Iterator[HostileServer]:
    """Serve on a free port, each connection in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = HostileServer(listener.getsockname()[1])

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=server.serve, args=[connection], daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
