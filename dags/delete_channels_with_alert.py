"""
Delete channels for good, and tell somebody when Stream could not.

The callback gets the exception, which carries what Stream said. Replace the log line by a message to wherever
your people look at night.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_streamtasks.exceptions import StreamTaskException
from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor


def alert(context: Any) -> None:
    exception, ti = context.get("exception"), context["ti"]
    lines = [f"{ti.dag_id}.{ti.task_id} failed in the run {ti.run_id}"]
    if isinstance(exception, StreamTaskException):
        lines += [
            f"Stream task: {exception.task_id}",
            f"Error type: {exception.error_type}",
            f"Description: {exception.description}",
        ]
    else:
        lines.append(str(exception))
    lines.append(f"Log: {ti.log_url}")
    logging.getLogger("stream.alert").error("\n".join(lines))


with DAG("delete_channels_with_alert", schedule=None, catchup=False, tags=["stream"], doc_md=__doc__):
    delete_channels = StreamDeleteChannelsOperator(
        task_id="delete_channels",
        cids=["messaging:unlucky-1", "messaging:unlucky-2"],
        hard_delete=True,
        on_failure_callback=alert,
    )

    wait_for_deletion = StreamTaskSensor(
        task_id="wait_for_deletion",
        stream_task_id=delete_channels.output,
        timeout=timedelta(hours=1),
        on_failure_callback=alert,
    )
