"""DAGs whose results are people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from airflow.sdk import DAG

from airflow_provider_streamtasks.operators.users import StreamDeactivateUsersOperator
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor

ARGUMENTS: dict[str, Any] = {"stream_conn_id": "small_budget"}


def everyone(context: Any) -> Iterator[str]:
    """100,000 user ids, which are read when the Airflow task runs and stored nowhere."""
    return (str(uuid5(NAMESPACE_OID, str(number))) for number in range(100_000))


with DAG("people", schedule=None, default_args=ARGUMENTS):
    deactivated = StreamDeactivateUsersOperator(
        task_id="deactivate",
        user_ids=everyone,
        wait_for_completion=True,
        deferrable=True,
        wait_timeout=timedelta(minutes=10),
    )
    for name, ends_in_triggerer in (("end_in_triggerer", True), ("end_on_worker", False)):
        StreamTaskSensor(
            task_id=name,
            stream_task_id=deactivated.output,
            end_from_trigger=ends_in_triggerer,
            timeout=timedelta(minutes=10),
        )

with DAG("few_people", schedule=None, default_args=ARGUMENTS):
    few = StreamDeactivateUsersOperator(
        task_id="deactivate",
        user_ids=["joe", "ann"],
        wait_for_completion=True,
        deferrable=True,
        do_xcom_push=False,
    )
    submitted = StreamDeactivateUsersOperator(task_id="submit", user_ids=["joe", "ann"])
    StreamTaskSensor(task_id="ids", stream_task_id=submitted.output)
    StreamTaskSensor(task_id="ids_by_worker", stream_task_id=submitted.output, end_from_trigger=False)
    StreamTaskSensor(task_id="nothing", stream_task_id=submitted.output, push_result=False)
    StreamTaskSensor(task_id="unpushed", stream_task_id=submitted.output, do_xcom_push=False)

with DAG("people_on_demand", schedule=None, default_args=ARGUMENTS):
    StreamTaskSensor(
        task_id="wait",
        stream_task_id=StreamDeactivateUsersOperator(task_id="submit", user_ids=["joe", "ann"]).output,
        push_result=True,
    )
