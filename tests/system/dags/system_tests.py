"""DAGs that only the system tests need; the others are those of the ``dags`` folder."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor

with DAG("retries_do_not_help", schedule=None):
    StreamTaskSensor(
        task_id="wait",
        stream_task_id=StreamDeleteChannelsOperator(
            task_id="delete", cids=["messaging:unlucky-3"], hard_delete=True
        ).output,
        retries=3,
    )

with DAG("result_with_signed_url", schedule=None):
    StreamTaskSensor(
        task_id="wait",
        stream_task_id=StreamDeleteChannelsOperator(
            task_id="delete", cids=["messaging:signed"], hard_delete=True
        ).output,
    )

with DAG("waits_by_itself", schedule=None):
    StreamDeleteChannelsOperator(
        task_id="delete",
        cids=["messaging:slow-3"],
        hard_delete=True,
        wait_for_completion=True,
        deferrable=True,
    )

with DAG("wait_as_told", schedule=None, render_template_as_native_obj=True, params={"cids": []}):
    StreamTaskSensor(
        task_id="wait",
        stream_task_id=StreamDeleteChannelsOperator(
            task_id="delete", cids="{{ params.cids }}", hard_delete=True
        ).output,
        timeout=30,
    )

with DAG("broken_connections", schedule=None):
    for conn_id in ("wrong_key", "wrong_secret", "unreachable", "skewed_clock"):
        StreamDeleteChannelsOperator(
            task_id=conn_id, stream_conn_id=conn_id, cids=["messaging:general"], hard_delete=True
        )
