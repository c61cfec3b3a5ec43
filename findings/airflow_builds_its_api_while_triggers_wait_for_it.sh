#!/usr/bin/env bash
# Package:   apache-airflow 3.3.2
# Behaviour: a triggerer builds its in-process API when a trigger first needs the database (an XCom, a connection), in
#            the only thread of the supervisor. Until it is there, the supervisor reads neither what triggers log nor
#            what they fire. What they log goes through a socket, and once it is full, writing blocks them.
# Seen:      after the start there is no API; a call takes more than half a second to build it. A socket like that for
#            the log takes some 170 lines of up to 500 bytes, and then blocks.
# For us:    the first wait has it built before it is needed, and lines are written in threads.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apache-airflow==3.3.2
export AIRFLOW_HOME=$folder/home AIRFLOW__CORE__LOAD_EXAMPLES=False
"$folder/venv/bin/airflow" db migrate >"$folder/log" 2>&1

"$folder/venv/bin/python" - >"$folder/seen" 2>>"$folder/log" <<'PYTHON'
import socket
import time

from airflow.jobs.triggerer_job_runner import TriggerRunnerSupervisor

made = []


class Watched(TriggerRunnerSupervisor):
    """Notes when the API is built, and by whom."""

    def make_client(self):
        began = time.monotonic()
        client = super().make_client()
        made.append(time.monotonic() - began)
        return client


supervisor = Watched.start(capacity=10)
try:
    for _ in range(3):
        supervisor._service_subprocess(1)
    print("seen: built when triggers can run", bool(made))
    supervisor.client
    print("seen: building takes more than half a second", made[0] > 0.5)
finally:
    supervisor.kill(force=True)

reader, writer = socket.socketpair()
writer.setblocking(False)
lines = 0
try:
    while True:
        writer.send(b"x" * 500)
        lines += 1
except BlockingIOError:
    print("seen: lines until writing blocks are fewer than 1,000", lines < 1000)
PYTHON

diff - <(grep "^seen" "$folder/seen") <<'EXPECTED' || { tail -30 "$folder/log"; exit 1; }
seen: built when triggers can run False
seen: building takes more than half a second True
seen: lines until writing blocks are fewer than 1,000 True
EXPECTED
echo "As it was: in Airflow 3.3.2 a triggerer builds its API when it is first needed, and reads nothing meanwhile."
