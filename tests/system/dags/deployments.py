"""Waits for Stream tasks that have ended already, on Airflows with settings of their own."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_streamtasks.sensors.task import StreamTaskSensor

with DAG("deployments", schedule=None):

    @task
    def stream_task(dag_run: Any = None) -> str:
        return str(dag_run.conf["stream_task_id"])

    StreamTaskSensor(task_id="wait", stream_task_id=stream_task(), retries=0)

with DAG("resumed", schedule=None):
    StreamTaskSensor(
        task_id="wait",
        stream_task_id="{{ dag_run.conf['stream_task_id'] }}",
        end_from_trigger=False,
        retries=0,
    )
