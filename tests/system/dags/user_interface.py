"""DAGs whose Airflow tasks go on waiting, so that somebody may look at them."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor

for dag_id in ("ui_waits", "secret_ui_waits"):
    with DAG(dag_id, schedule=None):
        submit = StreamDeleteChannelsOperator(
            task_id="delete", cids=["messaging:endless-1"], hard_delete=True
        )
        StreamTaskSensor(task_id="wait", stream_task_id=submit.output, timeout=1200)
        StreamDeleteChannelsOperator(
            task_id="delete_many",
            cids=[f"messaging:endless-{number}" for number in range(150)],
            hard_delete=True,
            wait_for_completion=True,
            deferrable=True,
            wait_timeout=1200,
        )
        if dag_id == "ui_waits":
            StreamTaskSensor(
                task_id="on_a_worker", stream_task_id=submit.output, deferrable=False, timeout=1200
            )
        StreamTaskSensor.partial(task_id="wait_mapped", timeout=1200).expand(stream_task_id=[submit.output])
