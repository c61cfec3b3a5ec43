#!/usr/bin/env bash
# Package:   apache-airflow 3.3.2
# Behaviour: with [triggerer] queues_enabled, a trigger that the scheduler starts (start_from_trigger) gets no queue,
#            whatever the queue of its task. One that a worker starts gets the task's queue.
# Seen:      the task's queue is "isolated", the trigger's is None. A triggerer that serves "isolated" does not find it.
# For us:    where triggerers have queues, sensors begin on a worker.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apache-airflow==3.3.2
export AIRFLOW_HOME=$folder/home AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_FOLDER=$folder/dags AIRFLOW__TRIGGERER__QUEUES_ENABLED=True
mkdir "$folder/dags"
cat >"$folder/dags/waits.py" <<'PYTHON'
from datetime import datetime, timezone

from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import DAG

with DAG("waits", schedule=None):
    DateTimeSensorAsync(
        task_id="wait",
        target_time=datetime(2100, 1, 1, tzinfo=timezone.utc),
        queue="isolated",
        start_from_trigger=True,
    )
PYTHON
"$folder/venv/bin/airflow" db migrate >"$folder/log" 2>&1
"$folder/venv/bin/airflow" dags reserialize >>"$folder/log" 2>&1

"$folder/venv/bin/python" - >"$folder/seen" 2>>"$folder/log" <<'PYTHON'
from airflow._shared.timezones.timezone import utcnow
from airflow.models.dagbag import DBDagBag
from airflow.models.trigger import Trigger
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select


def deferred(session):
    """Let the scheduler's own code start the wait of a new run."""
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
    (instance,) = run.get_task_instances(session=session)
    instance.task = dag.get_task("wait")
    instance.start_date = now
    assert instance.defer_task(session=session)
    session.flush()
    return instance


with create_session() as session:
    instance = deferred(session)
    print("queue of the task:", instance.queue)
    print("queue of its trigger:", session.scalar(select(Trigger.queue)))
PYTHON

diff - <(grep "^queue" "$folder/seen") <<'EXPECTED'
queue of the task: isolated
queue of its trigger: None
EXPECTED
echo "As it was: in Airflow 3.3.2 the trigger that the scheduler starts has no queue."
