"""A DAG of which there are two versions; the tests write the second one."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor

VERSION = 1

with DAG("round_trip", schedule=None):
    delete = StreamDeleteChannelsOperator(task_id="delete", cids=["messaging:endless-1"], hard_delete=True)
    wait = StreamTaskSensor(
        task_id="wait", stream_task_id=delete.output, timeout=timedelta(minutes=5 * VERSION)
    )

    @task
    def version(result: object) -> int:
        return VERSION if result else 0

    version(wait.output)
