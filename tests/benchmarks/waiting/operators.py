"""Operators that wait: those that end on a worker, and those that end in the triggerer."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator

COUNT = int(os.environ["BENCHMARK_OPERATORS"])

for dag_id, end_from_trigger in (("on_worker", False), ("in_triggerer", True)):
    for name, count in ((dag_id, COUNT), (f"warm_up_{dag_id}", 1)):
        with DAG(name, schedule=None):
            for number in range(count):
                StreamDeleteChannelsOperator(
                    task_id=f"delete_{number}",
                    cids=[f"messaging:{name}-{number}"],
                    hard_delete=True,
                    wait_for_completion=True,
                    deferrable=True,
                    end_from_trigger=end_from_trigger,
                    wait_timeout=timedelta(hours=1),
                )
