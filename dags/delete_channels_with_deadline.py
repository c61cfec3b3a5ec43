"""
Delete channels for good, and give up waiting when it takes too long.

The sensor ends with ``AirflowSensorTimeout``, which Airflow does not retry. Stream may go on with its task:
the message names it, so that somebody can look after it.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor

with DAG("delete_channels_with_deadline", schedule=None, catchup=False, tags=["stream"], doc_md=__doc__):
    delete_channels = StreamDeleteChannelsOperator(
        task_id="delete_channels",
        cids=["messaging:endless-1", "messaging:endless-2"],
        hard_delete=True,
    )

    wait_for_deletion = StreamTaskSensor(
        task_id="wait_for_deletion",
        stream_task_id=delete_channels.output,
        timeout=timedelta(seconds=10),
    )
