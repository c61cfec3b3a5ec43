"""Sensors as they are by default: they begin and end in the triggerer."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_streamtasks.sensors.task import StreamTaskSensor

DAGS = json.loads(Path(os.environ["BENCHMARK_IDS"]).read_text())["without_workers"]

for dag_id, stream_task_ids in DAGS.items():
    with DAG(dag_id, schedule=None):
        for number, stream_task_id in enumerate(stream_task_ids):
            StreamTaskSensor(
                task_id=f"wait_{number}", stream_task_id=stream_task_id, timeout=timedelta(hours=1)
            )
