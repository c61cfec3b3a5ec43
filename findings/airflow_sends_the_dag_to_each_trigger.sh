#!/usr/bin/env bash
# Package:   apache-airflow 3.3.2
# Behaviour: for each task that starts in the triggerer (start_from_trigger), Airflow sends the whole serialized DAG to
#            the triggerer's process, which reads it on its event loop. The trigger keeps what was read as long as it
#            runs, although it needs it only for its templates, before it runs.
# Seen:      of a DAG with 50 such tasks, each of two triggers is sent all 50, and has a copy of its own of all 50.
# For us:    sensors of DAGs with many tasks begin on a worker; where they do not, a trigger drops its copy.
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
    for number in range(50):
        DateTimeSensorAsync(
            task_id=f"wait_{number}",
            target_time=datetime(2100, 1, 1, tzinfo=timezone.utc),
            start_from_trigger=True,
        )
PYTHON
"$folder/venv/bin/airflow" db migrate >"$folder/log" 2>&1
"$folder/venv/bin/airflow" dags reserialize >>"$folder/log" 2>&1

"$folder/venv/bin/python" - >"$folder/seen" 2>>"$folder/log" <<'PYTHON'
from airflow._shared.timezones.timezone import utcnow
from airflow.executors.workloads import RunTrigger
from airflow.jobs.triggerer_job_runner import TriggerRunner, TriggerRunnerSupervisor
from airflow.models.dagbag import DBDagBag
from airflow.models.trigger import Trigger
from airflow.utils.helpers import log_filename_template_renderer
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select


def deferred(session):
    """Let the scheduler's own code start two waits of a new run."""
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
    for instance in sorted(run.get_task_instances(session=session), key=lambda each: each.task_id)[:2]:
        instance.task = dag.get_task(instance.task_id)
        instance.start_date = now
        assert instance.defer_task(session=session)
    session.flush()


class Supervisor:
    """Has what TriggerRunnerSupervisor needs to make what it sends for a trigger."""

    job = type("Job", (), {"id": 1})
    logger_cache = {}
    _create_workload = TriggerRunnerSupervisor._create_workload


with create_session() as session:
    deferred(session)
    bag, name = DBDagBag(), log_filename_template_renderer()
    triggers = session.scalars(select(Trigger).order_by(Trigger.id)).all()
    sent = [
        Supervisor()._create_workload(
            trigger=trigger, dag_bag=bag, render_log_fname=name, session=session
        ).model_dump_json()
        for trigger in triggers
    ]
print("seen: triggers", len(sent))
received = [RunTrigger.model_validate_json(each) for each in sent]
print("seen: tasks that each is sent", [len(each.dag_data["dag"]["tasks"]) for each in received])
kept = [TriggerRunner.create_runtime_ti(each.ti, each.dag_data, each.dag_run_data) for each in received]
print("seen: tasks that each keeps", [len(each.task.dag.task_dict) for each in kept])
print("seen: they share them", kept[0].task.dag is kept[1].task.dag)
PYTHON

diff - <(grep "^seen" "$folder/seen") <<'EXPECTED' || { tail -30 "$folder/log"; exit 1; }
seen: triggers 2
seen: tasks that each is sent [50, 50]
seen: tasks that each keeps [50, 50]
seen: they share them False
EXPECTED
echo "As it was: in Airflow 3.3.2 each trigger that the scheduler starts has a copy of its whole DAG."
