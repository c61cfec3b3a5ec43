#!/usr/bin/env bash
# Package:   apache-airflow 3.3.2
# Behaviour: with [core] multi_team, a task may use the connections of its team. Its trigger may not: the triggerer asks
#            the execution API inside its own process, which takes every caller for one without a team, also in a
#            triggerer that was started with --team-name.
# Seen:      the connection "theirs" belongs to the team "red". For the task it is there, for its trigger it is missing.
# For us:    a wait in a triggerer finds only connections that belong to no team. The error and the docs say so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apache-airflow==3.3.2
export AIRFLOW_HOME=$folder/home AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__MULTI_TEAM=True
export AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST='[{"name": "of_red", "team_name": "red", "kwargs": {"path": "'$folder/dags'"},
  "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle"}]'
mkdir "$folder/dags"
cat >"$folder/dags/waits.py" <<'PYTHON'
from datetime import datetime, timezone

from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import DAG

with DAG("waits", schedule=None):
    DateTimeSensorAsync(task_id="wait", target_time=datetime(2100, 1, 1, tzinfo=timezone.utc))
PYTHON
"$folder/venv/bin/airflow" db migrate >"$folder/log" 2>&1
"$folder/venv/bin/airflow" teams create red >>"$folder/log" 2>&1
"$folder/venv/bin/airflow" dags reserialize >>"$folder/log" 2>&1

"$folder/venv/bin/python" - >"$folder/seen" 2>>"$folder/log" <<'PYTHON'
from airflow._shared.timezones.timezone import utcnow
from airflow.api_fastapi.execution_api.security import get_team_name_for_ti
from airflow.jobs.triggerer_job_runner import in_process_api_server
from airflow.models import Connection
from airflow.models.dagbag import DBDagBag
from airflow.sdk.api.client import Client
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType, DagRunType

with create_session() as session:
    session.add(Connection(conn_id="theirs", conn_type="http", host="example.com", team_name="red"))
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
    session.flush()
    (instance,) = run.get_task_instances(session=session)
    team = get_team_name_for_ti(instance.id, session)

print("seen: team of the task:", team)
print("seen: for the task:", Connection.get_connection_from_secrets("theirs", team_name=team).host)
api = in_process_api_server()
client = Client(base_url=None, token="", dry_run=True, transport=api.transport)
client.base_url = "http://in-process.invalid./"
print("seen: for its trigger:", type(client.connections.get("theirs")).__name__, client.connections.get("theirs").error.name)
PYTHON

diff - <(grep "^seen" "$folder/seen") <<'EXPECTED' || { cat "$folder/log"; exit 1; }
seen: team of the task: red
seen: for the task: example.com
seen: for its trigger: ErrorResponse CONNECTION_NOT_FOUND
EXPECTED
echo "As it was: in Airflow 3.3.2 a trigger does not find the connections of its team."
