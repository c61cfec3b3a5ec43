#!/usr/bin/env bash
# Package:   apache-airflow 3.3.2
# Behaviour: a triggerer holds one log file open for each trigger of a task. Where as many files are open as the system
#            allows (ulimit -n, 1,024 for many), opening the next one ends the triggerer with all its triggers, instead
#            of leaving that trigger without a log. Whichever triggerer takes them over ends in the same way.
# Seen:      of 100 waiting tasks, a triggerer that may open 64 files takes all, and ends.
# For us:    the documentation says how many open files a triggerer needs for its capacity.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apache-airflow==3.3.2
export AIRFLOW_HOME=$folder/home AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_FOLDER=$folder/dags
mkdir "$folder/dags"
cat >"$folder/dags/waits.py" <<'PYTHON'
from datetime import datetime, timezone

from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import DAG

with DAG("waits", schedule=None):
    for number in range(100):
        DateTimeSensorAsync(
            task_id=f"wait_{number}",
            target_time=datetime(2100, 1, 1, tzinfo=timezone.utc),
            start_from_trigger=True,
        )
PYTHON
"$folder/venv/bin/airflow" db migrate >"$folder/log" 2>&1
"$folder/venv/bin/airflow" dags reserialize >>"$folder/log" 2>&1

"$folder/venv/bin/python" >>"$folder/log" 2>&1 <<'PYTHON'
from airflow._shared.timezones.timezone import utcnow
from airflow.models.dagbag import DBDagBag
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType, DagRunType

with create_session() as session:
    dag = DBDagBag().get_latest_version_of_dag("waits", session=session)
    now = utcnow()
    run = dag.create_dagrun(
        run_id="run",
        logical_date=now,
        data_interval=(now, now),
        run_after=now,
        run_type=DagRunType.MANUAL,
        triggered_by=DagRunTriggeredByType.TEST,
        state="running",
        session=session,
    )
    for instance in run.get_task_instances(session=session):
        instance.task = dag.get_task(instance.task_id)
        instance.start_date = now
        assert instance.defer_task(session=session)
PYTHON

for limit in 64 256; do
  code=0
  (
    ulimit -n "$limit"
    exec timeout --kill-after=10 45 "$folder/venv/bin/airflow" triggerer --skip-serve-logs
  ) >"$folder/triggerer" 2>&1 || code=$?
  ended=$([ "$code" = 124 ] && echo "runs until it is stopped" || echo "ends by itself")
  said=$(grep -c "^OSError: .*Too many open files.*attempt=1.log.trigger" "$folder/triggerer" || true)
  echo "seen: with $limit open files it $ended, and says so of a log: $([ "$said" -gt 0 ] && echo yes || echo no)"
  cat "$folder/triggerer" >>"$folder/log"
done >"$folder/seen"

diff - <(grep "^seen" "$folder/seen") <<'EXPECTED' || { tail -30 "$folder/log"; exit 1; }
seen: with 64 open files it ends by itself, and says so of a log: yes
seen: with 256 open files it runs until it is stopped, and says so of a log: no
EXPECTED
echo "As it was: in Airflow 3.3.2 a triggerer ends when it cannot open one more log."
