"""Waits on which triggerers die and stall."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_streamtasks.operators.data_import import StreamImportV2Operator
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor

DEADLINE = timedelta(seconds=45)

with DAG("triggerers", schedule=None):

    @task(multiple_outputs=True)
    def stream_tasks(dag_run: Any = None) -> dict[str, str]:
        return dict(dag_run.conf)

    ids: Any = stream_tasks()
    for way, may in (("with_workers", False), ("without_workers", None)):
        for what in ("completed_early", "failed_early", "completed_late", "failed_late", "endless"):
            StreamTaskSensor(
                task_id=f"{what}_{way}",
                stream_task_id=ids[f"{what}_{way}"],
                timeout=DEADLINE if what == "endless" else timedelta(minutes=10),
                start_from_trigger=may,
                end_from_trigger=may,
            )

    StreamImportV2Operator(
        task_id="import",
        product="chat",
        settings={"path": "s3://bucket/endless.json", "mode": "upsert"},
        completed_states=[3],
        failed_states=[4, 5],
        wait_for_completion=True,
        deferrable=True,
        wait_timeout=timedelta(minutes=10),
    )
