"""
Delete channels for good, and wait until Stream has done so.

The wait happens in the triggerer: while Stream works, no worker slot is held.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor

with DAG("delete_channels_and_wait", schedule=None, catchup=False, tags=["stream"], doc_md=__doc__):
    delete_channels = StreamDeleteChannelsOperator(
        task_id="delete_channels",
        cids=["messaging:spring-sale", "messaging:summer-sale", "livestream:keynote"],
        hard_delete=True,
    )

    wait_for_deletion = StreamTaskSensor(
        task_id="wait_for_deletion",
        stream_task_id=delete_channels.output,
        timeout=timedelta(hours=1),
    )
