"""Sensors, and Airflow tasks that do nothing, in the DAGs that the plan of the same name has."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator
from airflow.triggers.base import StartTriggerArgs

from airflow_provider_streamtasks.sensors.task import StreamTaskSensor

PLAN = json.loads((Path(os.environ["BENCHMARK_PLANS"]) / f"{Path(__file__).stem}.json").read_text())


class NoOp(BaseOperator):
    """
    Begin and end in the triggerer.

    :param push: whether the trigger pushes an XCom
    """

    start_from_trigger = True

    def __init__(self, *, push: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls="no_op_trigger.NoOpTrigger",
            next_method="execute",
            trigger_kwargs={"path": PLAN["file"], "push": push},
            timeout=timedelta(hours=1),
        )

    def execute(self, context: Any) -> None:
        """Never run."""


for dag_id, stream_task_ids in PLAN["sensors"].items():
    with DAG(dag_id, schedule=None):
        for number, stream_task_id in enumerate(stream_task_ids):
            StreamTaskSensor(
                task_id=f"wait_{number}", stream_task_id=stream_task_id, timeout=timedelta(hours=1)
            )

for dag_id, count in PLAN["no_op"].items():
    with DAG(dag_id, schedule=None):
        for number in range(count):
            NoOp(task_id=f"wait_{number}", push="xcom" in dag_id)
