#!/usr/bin/env bash
# Package:   apache-airflow 3.3.2, universal-pathlib 0.3.10
# Behaviour: Airflow's provider for Azure registers the scheme adl, and the one for Amazon s3n. But ObjectStoragePath drops
#            the container of an adl path, and knows no s3n at all.
# Seen:      "adl: /x", while abfs gives "container/x"; "s3n: Unsupported filesystem".
# For us:    adl:// is refused, with a sentence that says to write abfs://.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apache-airflow==3.3.2 universal-pathlib==0.3.10
export AIRFLOW_HOME=$folder/home
"$folder/venv/bin/python" - >"$folder/seen" 2>"$folder/log" <<'PYTHON'
from airflow.sdk import ObjectStoragePath

for scheme in ("abfs", "adl", "s3n"):
    try:
        print(f"{scheme}: {ObjectStoragePath(f'{scheme}://container/x').path}")
    except ValueError as error:
        print(f"{scheme}: {str(error).partition(':')[0]}")
PYTHON
cat "$folder/seen"
grep -qx "abfs: container/x" "$folder/seen"
grep -qx "adl: /x" "$folder/seen"
grep -qx "s3n: Unsupported filesystem" "$folder/seen"
