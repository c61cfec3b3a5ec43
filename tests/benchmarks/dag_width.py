"""``python -m tests.benchmarks.dag_width``: what the copy of a DAG costs that Airflow gives to each trigger.

For DAGs of several sizes, 100 sensors begin in the triggerer, one after the other. Counted are the
milliseconds for which each blocks the event loop, from the bytes that the triggerer's process is sent, and
the memory that each holds on to: with the copy, as Airflow leaves it, and without, as the provider does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.benchmarks.__main__ import _airflow
from tests.benchmarks.one_run import resident

ROOT = Path(__file__).parents[2]
SIZES = (20, 100, 200, 1000)
SENSORS = 100


def begin(tasks: int, keep: bool) -> tuple[float, float]:
    """
    Let sensors of a DAG begin as the triggerer does.

    :return: milliseconds of CPU, and KiB, a sensor
    """
    import gc

    import msgspec
    from airflow.executors.workloads.task import TaskInstanceDTO
    from airflow.jobs.triggerer_job_runner import TriggerRunner
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    from airflow_provider_streamtasks import _compat
    from airflow_provider_streamtasks.sensors.task import StreamTaskSensor

    with DAG("dag", schedule=None) as dag:
        for number in range(tasks):
            StreamTaskSensor(task_id=f"wait_{number}", stream_task_id=str(uuid4()))
    sent = msgspec.msgpack.encode(DagSerialization.to_dict(dag))
    now = datetime.now(timezone.utc)
    run: dict[str, Any] = {"dag_id": "dag", "run_id": "run", "run_type": "manual", "state": "running"}
    run |= {"run_after": now, "start_date": now, "end_date": None, "clear_number": 0, "conf": None}
    run |= dict.fromkeys(("logical_date", "data_interval_start", "data_interval_end", "partition_key"))
    run |= {"consumed_asset_events": []}
    task: dict[str, Any] = {"dag_id": "dag", "run_id": "run", "try_number": 1, "map_index": -1}
    task |= {"pool_slots": 1, "queue": "default", "priority_weight": 1, "task_id": "wait_0"}

    def one() -> Any:
        row = TaskInstanceDTO(id=uuid4(), dag_version_id=uuid4(), **task)
        ti = TriggerRunner.create_runtime_ti(row, msgspec.msgpack.decode(sent), run)
        ti.get_template_context()
        if not keep:
            assert _compat.drop_dag(ti)
        return ti

    one()
    gc.collect()
    gc.freeze()
    memory, cpu = resident(), time.process_time()
    held = [one() for _ in range(SENSORS)]
    cpu = time.process_time() - cpu
    return 1000 * cpu / len(held), (resident() - memory) / len(held) / 1024


def main() -> None:
    """Print a line for each size, each from a process of its own."""
    if len(sys.argv) > 1:
        print(*begin(int(sys.argv[1]), sys.argv[2] == "keep"))
        return
    for tasks in SIZES:
        for how in ("keep", "drop"):
            done = subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.dag_width", str(tasks), how],
                cwd=ROOT,
                env=os.environ | _airflow(),
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            milliseconds, kib = map(float, done.stdout.splitlines()[-1].split())
            print(f"{tasks} tasks, {how}: {milliseconds:.1f} ms, {kib:.0f} KiB a sensor", flush=True)


if __name__ == "__main__":
    main()
