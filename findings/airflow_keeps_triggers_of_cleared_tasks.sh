#!/usr/bin/env bash
# Package:   apache-airflow 3.3.2
# Behaviour: when a deferred task is cleared, its trigger goes on until the scheduler gives the task a state again. In
#            a paused DAG that may be never. Trigger.clean_unused(), which the triggerer calls in each loop, looks for
#            tasks whose "state != 'deferred'", and to SQL a state that is NULL is not that.
# Seen:      one trigger is left after the task is cleared and the clean-up has run; none once the task has a state.
# For us:    the looks at Stream go on for nothing. The documentation says so.
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
from airflow.models.taskinstance import TaskInstance, clear_task_instances
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


def triggers_left():
    Trigger.clean_unused()
    with create_session() as session:
        return len(session.scalars(select(Trigger)).all())


with create_session() as session:
    instance = deferred(session)
    clear_task_instances([instance], session)
with create_session() as session:
    print("seen: state", session.scalar(select(TaskInstance.state)))
print("seen: triggers left", triggers_left())
with create_session() as session:
    session.scalar(select(TaskInstance)).state = "scheduled"
print("seen: triggers left once it is scheduled", triggers_left())
PYTHON

diff - <(grep "^seen" "$folder/seen") <<'EXPECTED'
seen: state None
seen: triggers left 1
seen: triggers left once it is scheduled 0
EXPECTED
echo "As it was: Airflow 3.3.2 keeps the trigger of a task that was cleared and has no state yet."
