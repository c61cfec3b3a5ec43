"""DAGs for settings of Airflow that few have."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor

LONG = timedelta(minutes=5)


def delete(task_id: str, *cids: str, **arguments: Any) -> StreamDeleteChannelsOperator:
    return StreamDeleteChannelsOperator(task_id=task_id, cids=list(cids), hard_delete=True, **arguments)


@task
def tell(value: Any) -> Any:
    return {"got": value}


with DAG("one_after_the_other", schedule=None):
    one = delete("delete", "messaging:a")
    tell(StreamTaskSensor(task_id="wait", stream_task_id=one.output, timeout=LONG).output)

with DAG("waits_by_itself", schedule=None):
    delete("delete", "messaging:b", wait_for_completion=True, deferrable=True, wait_timeout=LONG)

with DAG("in_a_pool", schedule=None):
    slow = delete("delete", "messaging:slow-1").output
    for number in range(3):
        StreamTaskSensor(task_id=f"wait_{number}", stream_task_id=slow, pool="narrow", timeout=LONG)

with DAG("begun_before", schedule=None):
    begun = delete("delete", "messaging:endless-1").output
    # It begins on a worker, so its trigger's arguments are not encrypted.
    StreamTaskSensor(task_id="wait", stream_task_id=begun, timeout=LONG, start_from_trigger=False)
