#!/usr/bin/env bash
# Package:   getstream 7.0.0, Stream's official SDK for Python
# Behaviour: its StreamTaskException can be raised and pickled, but neither unpickled nor copied. Its constructor takes
#            keyword arguments only, and the default way of pickling an exception calls it with positional ones.
# Seen:      TypeError: StreamTaskException.__init__() takes 1 positional argument but 2 were given
# For us:    Airflow and process pools pickle exceptions, so the provider has exceptions of its own with the same fields.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check getstream==7.0.0

"$folder/venv/bin/python" - >"$folder/seen" <<'PYTHON'
import copy
import pickle

from getstream.exceptions import StreamTaskException

error = StreamTaskException(task_id="t", error_type="e", description="d", stack_trace="", version="")
pickled = pickle.dumps(error)
for name, again in (("unpickled", lambda: pickle.loads(pickled)), ("copied", lambda: copy.copy(error))):
    try:
        again()
        print(f"{name}: fine")
    except TypeError as problem:
        print(f"{name}: {type(problem).__name__}: {problem}")
PYTHON

diff - "$folder/seen" <<'EXPECTED'
unpickled: TypeError: StreamTaskException.__init__() takes 1 positional argument but 2 were given
copied: TypeError: StreamTaskException.__init__() takes 1 positional argument but 2 were given
EXPECTED
echo "As it was: getstream 7.0.0 cannot unpickle or copy its StreamTaskException."
