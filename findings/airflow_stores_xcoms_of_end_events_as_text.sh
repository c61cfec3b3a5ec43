#!/usr/bin/env bash
# Package:   apache-airflow 3.3.2
# Behaviour: the xcoms of an event that ends a task (TaskSuccessEvent) are encoded once more than XComs that a task
#            pushes: where those come back as the dict that was pushed, these come back as its JSON, a str.
# Seen:      {"rows": 42} of an event is pulled as the text '{"rows": 42}', and of a task as a dict.
# For us:    an end in the triggerer pushes its XComs before the event, as a task does.
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
from airflow.api_fastapi.execution_api.app import InProcessExecutionAPI
from airflow.models.dagbag import DBDagBag
from airflow.models.trigger import Trigger
from airflow.sdk.api.client import Client
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.execution_time.comms import XComResult
from airflow.triggers.base import TaskSuccessEvent
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select

VALUE = {"rows": 42}
PLACE = {"dag_id": "waits", "run_id": "run", "task_id": "wait"}

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
with create_session() as session:
    trigger = session.scalar(select(Trigger))
    Trigger.submit_event(trigger.id, TaskSuccessEvent(xcoms={"of_the_event": VALUE}), session=session)

# What a task does, and what the next one pulls: by Airflow's client, on its API inside this process.
api = InProcessExecutionAPI()
client = Client(base_url="http://in-process.invalid/", token="", transport=api.transport)
client.xcoms.set(**PLACE, key="of_a_task", value=BaseXCom.serialize_value(VALUE))
for key in ("of_a_task", "of_the_event"):
    got = client.xcoms.get(**PLACE, key=key)
    value = BaseXCom.deserialize_value(XComResult(key=got.key, value=got.value))
    print(f"seen: {key} is a {type(value).__name__}: {value}")
PYTHON

diff - <(grep "^seen" "$folder/seen") <<'EXPECTED' || { tail -30 "$folder/log"; exit 1; }
seen: of_a_task is a dict: {'rows': 42}
seen: of_the_event is a str: {"rows": 42}
EXPECTED
echo "As it was: in Airflow 3.3.2 an XCom of an event that ends a task is pulled as text."
