"""A sensor on an Airflow with a listener."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_streamtasks.sensors.task import StreamTaskSensor

with DAG("listened", schedule=None):

    @task
    def stream_task(dag_run: Any = None) -> str:
        return str(dag_run.conf["stream_task_id"])

    StreamTaskSensor(task_id="wait", stream_task_id=stream_task(), timeout=timedelta(minutes=10))
