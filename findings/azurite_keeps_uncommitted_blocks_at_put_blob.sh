#!/usr/bin/env bash
# Package:   azurite 3.37.0 (npm)
# Behaviour: Azure's documentation of Put Block List says that Put Blob drops the uncommitted blocks of a blob. Azurite
#            keeps them, even after Delete Blob and another Put Blob; only Put Block List drops them.
# Seen:      one block after Put Blob, one after Delete Blob and another Put Blob, none after Put Block List.
# For us:    tests empty the emulator by an empty block list. An upload in parts ends with Put Block List anyway.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
npm install --silent --no-save --no-package-lock --prefix "$folder" azurite@3.37.0 >"$folder/log" 2>&1
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check azure-storage-blob==12.31.1
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
node "$folder/node_modules/azurite/dist/src/blob/main.js" --blobPort "$port" --inMemoryPersistence --silent \
  --skipApiVersionCheck --disableTelemetry >>"$folder/log" 2>&1 &
server=$!

PORT=$port "$folder/venv/bin/python" - >"$folder/seen" 2>>"$folder/log" <<'PYTHON'
import os
import time

from azure.core.exceptions import ServiceRequestError
from azure.storage.blob import BlobServiceClient

# Azurite's own account, which its documentation names.
account = "devstoreaccount1"
key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
service = BlobServiceClient(f"http://127.0.0.1:{os.environ['PORT']}/{account}", key, retry_total=0)
for _ in range(120):
    try:
        container = service.create_container("files")
        break
    except ServiceRequestError:
        time.sleep(0.5)
blob = container.get_blob_client("x")


def see(what):
    print(f"seen: after {what}:", len(blob.get_block_list("uncommitted")[1]))


blob.stage_block("first", b"part")
blob.upload_blob(b"whole", overwrite=True)
see("Put Blob")
blob.delete_blob()
blob.upload_blob(b"whole", overwrite=True)
see("Delete Blob and Put Blob")
blob.commit_block_list([])
see("Put Block List")
PYTHON

diff - <(grep "^seen" "$folder/seen") <<'EXPECTED' || { tail -30 "$folder/log"; exit 1; }
seen: after Put Blob: 1
seen: after Delete Blob and Put Blob: 1
seen: after Put Block List: 0
EXPECTED
echo "As it was: Azurite 3.37.0 keeps uncommitted blocks at Put Blob and Delete Blob."
