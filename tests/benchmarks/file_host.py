"""``python -m tests.benchmarks.file_host PORT FOLDER [BYTES_PER_SECOND]``: a storage host that costs little.

It sends files with ``sendfile``, as web servers do, so that on a machine with few cores it leaves them to
those who are measured.
"""

from __future__ import annotations

import os
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SO_MAX_PACING_RATE = 47  # Linux's; Python has no name for it


class Handler(BaseHTTPRequestHandler):
    """Hands out the files of one folder."""

    protocol_version = "HTTP/1.1"
    folder: Path
    rate: int | None = None

    def do_GET(self) -> None:
        """Send a whole file."""
        if self.rate:
            self.connection.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, self.rate)
        with (self.folder / Path(self.path.partition("?")[0]).name).open("rb") as file:
            self.send_response_only(200)
            self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            self.send_header("ETag", '"benchmark"')
            self.end_headers()
            self.connection.settimeout(None)
            self.connection.sendfile(file)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


def main() -> None:
    """Serve until the end."""
    port, folder, *rate = sys.argv[1:]
    Handler.folder = Path(folder)
    Handler.rate = int(rate[0]) if rate else None
    ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
