"""The DAGs of the chaos suite, as the book that ``CHAOS_BOOK`` names asks for them."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from airflow_provider_streamtasks.operators.chat import (
    StreamDeleteChannelsOperator,
    StreamExportChannelsOperator,
)
from airflow_provider_streamtasks.operators.users import StreamDeleteUsersOperator
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from tests.chaos.book import Job, load_book

SENSORS: dict[str, dict[str, Any]] = {
    "sensor": {},
    "sensor_on_worker": {"start_from_trigger": False, "end_from_trigger": False},
    "sensor_poke": {"mode": "poke"},
    "sensor_reschedule": {"mode": "reschedule", "poke_interval": 15},
}


def build(job: Job) -> None:
    waits = job.way.startswith("operator")
    # Whoever comes back from the triggerer goes before those that have not begun, and deadlines go first.
    priority = 3 if job.end == "never" else 2
    arguments: dict[str, Any] = {
        "task_id": job.submitter,
        "on_ambiguous": job.on_ambiguous,
        "wait_for_completion": waits,
        "deferrable": job.way == "operator_deferrable",
        "wait_timeout": job.timeout,
        "retries": job.retries,
        "priority_weight": priority if waits else 1,
    }
    if job.operation == "DeleteUsers":
        submit: Any = StreamDeleteUsersOperator(user_ids=job.items, user="soft", **arguments)
    elif job.operation == "DeleteChannels":
        submit = StreamDeleteChannelsOperator(cids=job.items, hard_delete=True, **arguments)
    else:
        submit = StreamExportChannelsOperator(channels=job.items, **arguments)
    if job.way in SENSORS:
        StreamTaskSensor(
            task_id=job.waiter,
            stream_task_id=submit.output,
            timeout=job.timeout,
            retries=12,
            priority_weight=priority,
            **SENSORS[job.way],
        )


def dag_of(number: int) -> DAG:
    """Return one of the DAGs. Each has a file of its own, so that a worker reads no more than that."""
    with DAG(
        f"chaos_{number}",
        schedule=None,
        default_args={"retry_delay": timedelta(seconds=2), "weight_rule": "absolute"},
    ) as dag:
        for job in load_book(Path(os.environ["CHAOS_BOOK"])):
            if job.dag == number:
                build(job)
    return dag
