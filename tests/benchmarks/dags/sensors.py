"""As many sensors as there are ids, with workers and without."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_streamtasks.sensors.task import StreamTaskSensor

IDS = json.loads(Path(os.environ["BENCHMARK_IDS"]).read_text())

for dag_id, choice in (("with_workers", False), ("without_workers", None)):
    with DAG(dag_id, schedule=None, max_active_tasks=1000):
        for number, stream_task_id in enumerate(IDS[dag_id]):
            StreamTaskSensor(
                task_id=f"wait_{number}",
                stream_task_id=stream_task_id,
                timeout=timedelta(hours=1),
                start_from_trigger=choice,
                end_from_trigger=choice,
            )
