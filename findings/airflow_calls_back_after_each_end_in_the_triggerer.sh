#!/usr/bin/env bash
# Package:   apache-airflow 3.3.2
# Behaviour: when a trigger ends its task (TaskSuccessEvent), Airflow asks the DAG processor to call the task's
#            callbacks, also where the task has none. For that the DAG processor parses the DAG's file once more.
# Seen:      a task without any callback ends in the triggerer, and one request for its callback is written.
# For us:    each sensor that ends in the triggerer costs up to one parse of its DAG file. The documentation says so.
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
    DateTimeSensorAsync(
        task_id="wait",
        target_time=datetime(2100, 1, 1, tzinfo=timezone.utc),
        start_from_trigger=True,
    )
PYTHON
"$folder/venv/bin/airflow" db migrate >"$folder/log" 2>&1
"$folder/venv/bin/airflow" dags reserialize >>"$folder/log" 2>&1

"$folder/venv/bin/python" - >"$folder/seen" 2>>"$folder/log" <<'PYTHON'
from airflow._shared.timezones.timezone import utcnow
from airflow.models.dagbag import DBDagBag
from airflow.models.db_callback_request import DbCallbackRequest
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.triggers.base import TaskSuccessEvent
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select

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
    (instance,) = run.get_task_instances(session=session)
    task = instance.task = dag.get_task("wait")
    instance.start_date = now
    assert instance.defer_task(session=session)
    print("seen: it has a callback", task.has_on_success_callback)
with create_session() as session:
    trigger = session.scalar(select(Trigger))
    Trigger.submit_event(trigger.id, TaskSuccessEvent(), session=session)
with create_session() as session:
    print("seen: state", session.scalar(select(TaskInstance.state)))
    print("seen: requests for a callback", len(session.scalars(select(DbCallbackRequest)).all()))
PYTHON

diff - <(grep "^seen" "$folder/seen") <<'EXPECTED' || { tail -30 "$folder/log"; exit 1; }
seen: it has a callback False
seen: state success
seen: requests for a callback 1
EXPECTED
echo "As it was: in Airflow 3.3.2 an end in the triggerer asks for callbacks that the task does not have."
