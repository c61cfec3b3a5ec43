#!/usr/bin/env bash
# Package:   fsspec 2026.9.0 with s3fs 2026.9.0
# Behaviour: isfile() is False whatever went wrong: also where the storage refuses to tell (403) or is down (503).
#            exists() tells these apart, by an exception.
# Seen:      isfile() is False for 403, 503 and 404 alike.
# For us:    "not isfile()" must never mean that there is nothing to lose. The provider asks in another way.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fsspec==2026.9.0 s3fs==2026.9.0

"$folder/venv/bin/python" - >"$folder/seen" <<'PYTHON'
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec


class Storage(BaseHTTPRequestHandler):
    """Answers every request with one status."""

    status = 0

    def do_GET(self):
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Storage)
threading.Thread(target=server.serve_forever, daemon=True).start()
for Storage.status in (403, 503, 404):
    storage = fsspec.filesystem(
        "s3",
        key="key",
        secret="secret",
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        config_kwargs={"retries": {"max_attempts": 1}},
        skip_instance_cache=True,
    )
    storage.retries = 1
    try:
        exists = storage.exists("bucket/file")
    except OSError as error:
        exists = type(error).__name__
    print(f"{Storage.status}: isfile() {storage.isfile('bucket/file')}, exists() {exists}")
PYTHON

diff - "$folder/seen" <<'EXPECTED'
403: isfile() False, exists() PermissionError
503: isfile() False, exists() OSError
404: isfile() False, exists() False
EXPECTED
echo "As it was: isfile() of fsspec 2026.9.0 is False where s3fs 2026.9.0 could not find out."
