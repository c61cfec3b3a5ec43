"""
Export all users, a thousand in each round, until nobody is left. It needs Airflow 3.4, which has task loops.

A round stores its files before the next one begins, and what fails is tried again within its round. Set the
Airflow Variable ``stream_exports`` to the folder, such as ``s3://your-bucket/stream``: until then it is a
folder on the worker's disk.

Change who is exported in ``users_behind``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from airflow import sdk
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import Param, dag, task, task_group

from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.operators.users import StreamExportUsersOperator
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator

ROUNDS = 1_000  # at most: the last one fails if somebody is left after it


def users_behind(user_id: str | None) -> Iterator[str]:
    """Yield the ids of users in order, so that a user who registers meanwhile moves nobody."""
    yield from (user["id"] for user in StreamHook().iter_users({"id": {"$gt": user_id}} if user_id else None))


@dag(
    schedule=None,
    catchup=False,
    params={"per_round": Param(1_000, type="integer", minimum=1, description="Users that a round exports")},
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["stream"],
    doc_md=__doc__,
)
def export_users_in_rounds() -> None:
    @task_group
    def one_round() -> None:
        @task
        def find_users(*, loop: Any = None, params: Any = None) -> list[str]:
            behind = loop.previous["last"] if loop.index else None
            user_ids = list(islice(users_behind(behind), params["per_round"]))
            if not user_ids:
                raise AirflowSkipException("There is nobody")
            return user_ids

        @task
        def look_for_more(user_ids: Any) -> dict[str, Any]:
            last = user_ids[-1]
            return {"last": last, "more": any(users_behind(last))}

        user_ids = find_users()
        export = StreamExportUsersOperator(task_id="export", user_ids=user_ids)
        wait = StreamTaskSensor(
            task_id="wait", stream_task_id=export.output, timeout=timedelta(hours=6), redact_result_urls=True
        )
        store = StreamExportToObjectStorageOperator(
            task_id="store",
            stream_task_id=export.output,
            destination="{{ var.value.get('stream_exports', 'file:///tmp/stream') }}"
            "/users/{{ dag_run.run_after | ts_nodash }}/",
            overwrite="skip",
        )
        wait >> store >> look_for_more(user_ids)

    def until(*, loop: Any) -> bool:
        return not loop.result["more"]

    one_round.loop(max_iterations=ROUNDS, until=until)  # type: ignore[attr-defined, unused-ignore] # 3.4


if hasattr(sdk, "LoopDecision"):
    export_users_in_rounds()
else:
    logging.getLogger(__name__).info(
        "There is no DAG in here: it needs task loops, and with them Airflow 3.4"
    )
