"""Sensors behind several Airflow tasks, of which some are skipped."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import DAG, task

from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor


def delete(task_id: str, *cids: str) -> Any:
    return StreamDeleteChannelsOperator(task_id=task_id, cids=list(cids), hard_delete=True)


@task
def skipped() -> str:
    raise AirflowSkipException


def wait(task_id: str, stream_task_id: Any, **arguments: Any) -> None:
    StreamTaskSensor(
        **{
            "task_id": task_id,
            "stream_task_id": stream_task_id,
            "trigger_rule": "all_done",
            "retries": 2,
            **arguments,
        }
    )


with DAG("branches", schedule=None):
    never = skipped()
    one = delete("one", "messaging:branch-1").output
    many = delete("many", *(f"messaging:branch-{number}" for number in range(150))).output
    each = StreamDeleteChannelsOperator.partial(task_id="each", hard_delete=True).expand(
        cids=[["messaging:branch-2"], ["messaging:branch-3"]]
    )

    wait("joined", [one, never, many], trigger_rule="none_failed_min_one_success")
    wait("behind_mapped", each.output)
    wait("joined_with_mapped", [never, each.output])
    wait("nobody", [never])
    wait("nobody_in_the_triggerer", never)
    wait("nobody_and_soft_fail", never, soft_fail=True)
    wait("as_told", [never], trigger_rule="none_failed_min_one_success")
