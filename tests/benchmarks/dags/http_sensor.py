"""The deferrable sensor of Airflow's HTTP provider, which ends when an answer is no longer a 404."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG

DAGS = json.loads(Path(os.environ["BENCHMARK_IDS"]).read_text())["http_sensor"]

for dag_id, stream_task_ids in DAGS.items():
    with DAG(dag_id, schedule=None):
        for number, stream_task_id in enumerate(stream_task_ids):
            HttpSensor(
                task_id=f"wait_{number}",
                http_conn_id="stream_over_http",
                endpoint=f"api/v2/tasks/{stream_task_id}",
                request_params={"api_key": os.environ["BENCHMARK_API_KEY"]},
                deferrable=True,
                poke_interval=5,
                timeout=timedelta(hours=1).total_seconds(),
            )
