#!/usr/bin/env bash
# Package:   apache-airflow 3.3.2
# Behaviour: with [state_store] clear_on_success, "all task state keys for a task instance are automatically cleared
#            when that task instance moved to SUCCESS" (the option's description). Those of a task that a trigger
#            ends (TaskSuccessEvent) are not: only the API calls by which a worker or a user ends it clear them.
# Seen:      a deferred task with one key ends in the triggerer, and the key is still there.
# For us:    where that option is set, a waiting operator, which keeps its record there, ends on a worker.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apache-airflow==3.3.2
export AIRFLOW_HOME=$folder/home AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_FOLDER=$folder/dags
export AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS=True
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
from airflow._shared.state import TaskScope
from airflow._shared.timezones.timezone import utcnow
from airflow.models.dagbag import DBDagBag
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.state.metastore import MetastoreBackend
from airflow.triggers.base import TaskSuccessEvent
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select

scope, store = TaskScope(dag_id="waits", run_id="run", task_id="wait", map_index=-1), MetastoreBackend()
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
    instance.task = dag.get_task("wait")
    instance.start_date = now
    assert instance.defer_task(session=session)
    session.flush()
    store.set(scope, "job", '"abc"', session=session)
with create_session() as session:
    Trigger.submit_event(session.scalar(select(Trigger.id)), TaskSuccessEvent(), session=session)
with create_session() as session:
    print("seen: state", session.scalar(select(TaskInstance.state)))
    print("seen: keys", session.scalars(select(TaskStateStoreModel.key)).all())
    store.clear(scope, session=session)
with create_session() as session:
    print("seen: keys after what a worker's end does", session.scalars(select(TaskStateStoreModel.key)).all())
PYTHON

diff - <(grep "^seen" "$folder/seen") <<'EXPECTED' || { tail -30 "$folder/log"; exit 1; }
seen: state success
seen: keys ['job']
seen: keys after what a worker's end does []
EXPECTED
echo "As it was: in Airflow 3.3.2 the state of a task that ends in the triggerer is not cleared on success."
