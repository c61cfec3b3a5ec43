"""One sensor of each kind, so that a round measures an Airflow that has done such a thing before."""

from __future__ import annotations

import json
import os
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_streamtasks.sensors.task import StreamTaskSensor

ID = json.loads(Path(os.environ["BENCHMARK_IDS"]).read_text())["warm_up"]

with DAG("warm_up", schedule=None):
    for name, may in (("with_workers", False), ("without_workers", None)):
        StreamTaskSensor(task_id=name, stream_task_id=ID, start_from_trigger=may, end_from_trigger=may)
