#!/usr/bin/env bash
# Package:   gcsfs 2026.10.1 and adlfs 2026.8.0 with fsspec 2026.9.0; azure-storage-blob 12.31.1
# Behaviour: a file that its storage keeps with "Content-Encoding: gzip" is unpacked while it is read, and ends after as
#            many bytes as it has packed. Nothing says that the rest is missing.
# Seen:      of 8890 bytes, packed into fewer than 3000, both read as many as are packed, and end in the middle of a line.
# For us:    a list of users would lose most of them, and end with an id that is none. The provider refuses such files.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  fsspec==2026.9.0 gcsfs==2026.10.1 adlfs==2026.8.0 azure-storage-blob==12.31.1

GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT=false "$folder/venv/bin/python" - >"$folder/seen" 2>"$folder/log" <<'PYTHON'
import gzip
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec

LINES = b"".join(b"user-%d\n" % number for number in range(1000))
PACKED = gzip.compress(LINES, 1, mtime=0)


class Storage(BaseHTTPRequestHandler):
    """Answers as Google's API and Azure's do of one object that was stored packed."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        headers = {"Content-Type": "text/plain", "ETag": '"one"'}
        if self.path.startswith("/storage/v1/b") and "alt=media" not in self.path:
            return self.answer(200, headers, self.described())
        headers["Content-Encoding"] = "gzip"
        headers["Last-Modified"] = "Sat, 28 Nov 2026 22:00:00 GMT"
        headers["x-ms-blob-type"] = "BlockBlob"
        asked = self.headers["x-ms-range"] or self.headers["Range"]
        first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", asked).groups()) if asked else (0, len(PACKED))
        last = min(last, len(PACKED) - 1)
        if asked:
            headers["Content-Range"] = f"bytes {first}-{last}/{len(PACKED)}"
        self.answer(206 if asked else 200, headers, PACKED[first : last + 1])

    do_HEAD = do_GET

    def described(self):
        return json.dumps(
            {
                "kind": "storage#object",
                "name": "ids.txt",
                "bucket": "bucket",
                "size": str(len(PACKED)),
                "contentType": "text/plain",
                "contentEncoding": "gzip",
                "generation": "1",
                "updated": "2026-11-28T22:00:00Z",
                "timeCreated": "2026-11-28T22:00:00Z",
            }
        ).encode()

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Storage)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
storages = {
    "gcsfs": fsspec.filesystem("gs", token="anon", endpoint_url=url, project="none"),
    "adlfs": fsspec.filesystem(
        "abfs",
        connection_string=f"DefaultEndpointsProtocol=http;AccountName=account;AccountKey={key};"
        f"BlobEndpoint={url}/account;",
    ),
}
for name, storage in storages.items():
    with storage.open("bucket/ids.txt", "rb") as file:
        read = file.read()
    print(
        f"{name}: whole {read == LINES}, the beginning {LINES.startswith(read)}, "
        f"as long as packed {len(read) == len(PACKED) < 3000}"
    )
PYTHON

diff - "$folder/seen" <<'EXPECTED' || { tail -30 "$folder/log"; exit 1; }
gcsfs: whole False, the beginning True, as long as packed True
adlfs: whole False, the beginning True, as long as packed True
EXPECTED
echo "As it was: gcsfs 2026.10.1 and adlfs 2026.8.0 end a file with a Content-Encoding after its packed size."
