#!/usr/bin/env bash
# Package:   s3fs 2026.9.0
# Behaviour: open(path, "xb") sends If-None-Match for a file with bytes, and refuses to replace an object. A file without
#            bytes is sent without it, and replaces the object.
# Seen:      "some bytes: FileExistsError", then "no bytes: replaced".
# For us:    what fits in one request goes by pipe_file(mode="create"), which is conditional for empty files too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check s3fs==2026.9.0 aiobotocore==3.10.0 \
  botocore==1.43.117 boto3==1.43.117 'moto[s3]==5.2.5' flask==3.1.3 flask-cors==6.0.5
"$folder/venv/bin/python" - >"$folder/seen" 2>"$folder/log" <<'PYTHON'
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
fs = S3FileSystem(key="key", secret="secret", endpoint_url=f"http://{host}:{port}")
fs.mkdir("bucket")
fs.pipe_file("bucket/x", b"somebody else's")
for what, data in (("some bytes", b"mine"), ("no bytes", b"")):
    try:
        with fs.open("bucket/x", "xb") as file:
            file.write(data)
        print(f"{what}: {'replaced' if fs.cat_file('bucket/x') == data else 'kept'}")
    except FileExistsError:
        print(f"{what}: FileExistsError")
server.stop()
PYTHON
cat "$folder/seen"
grep -qx "some bytes: FileExistsError" "$folder/seen" && grep -qx "no bytes: replaced" "$folder/seen"
