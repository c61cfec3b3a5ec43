"""``python -m tests.benchmarks.real_airflow``: many sensors on a real Airflow, with workers and without.

All wait; then Stream completes everything at once. Counted are the CPU seconds of all processes of Airflow,
and the seconds from Stream's completion to the end of the Airflow tasks. Writes
``docs/benchmarks_airflow.json``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from airflow_provider_streamtasks.sandbox import SandboxControl
from demo.local_airflow import COMPONENTS, LocalAirflow
from demo.local_sandbox import local_sandbox

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "docs" / "benchmarks_airflow.json"
WAYS = ("with_workers", "without_workers")


def cpu_seconds(airflow: LocalAirflow) -> float:
    """Return the CPU time of all processes of Airflow, those that ended included."""
    total = 0.0
    for component in COMPONENTS:
        for pid in airflow._processes[component].members():
            try:
                times = psutil.Process(pid).cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system + times.children_user + times.children_system
    return total


def until(airflow: LocalAirflow, dag_id: str, run_id: str, state: str, timeout: float = 1200.0) -> list[Any]:
    """Wait until every Airflow task of a run is in a state, and return them."""
    deadline = time.monotonic() + timeout
    while True:
        tasks = airflow.task_instances(dag_id, run_id)
        if all(task["state"] == state for task in tasks):
            return tasks
        if time.monotonic() > deadline:
            raise SystemExit(f"{dag_id}: not all are {state}")
        time.sleep(1.0)


def measure(airflow: LocalAirflow, control: SandboxControl, dag_id: str, ids: list[str]) -> dict[str, float]:
    """Let the sensors of a DAG wait, and end them all at once."""
    cpu, began = cpu_seconds(airflow), time.time()
    run_id = airflow.trigger(dag_id)
    until(airflow, dag_id, run_id, "deferred")
    waiting = time.time()
    for stream_task_id in ids:
        control.fate(stream_task_id=stream_task_id)
    completed = time.time()
    tasks = until(airflow, dag_id, run_id, "success")
    ends = [datetime.fromisoformat(task["end_date"]).timestamp() - completed for task in tasks]
    return {
        "cpu_seconds": cpu_seconds(airflow) - cpu,
        "wall_seconds": time.time() - began,
        "seconds_to_wait": waiting - began,
        "mean_seconds_to_end": statistics.mean(ends),
        "last_seconds_to_end": max(ends),
    }


def main() -> None:
    """Measure both ways on one Airflow, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sensors", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fates = folder / "fates.json"
        fates.write_text(json.dumps([{"operation": "*", "end": "never"}]))
        with local_sandbox(folder / "sandbox.log", fates) as sandbox:
            sandbox.control.budget(limit=None)
            ids = {way: started(sandbox.connection, options.sensors) for way in WAYS}
            (folder / "ids.json").write_text(json.dumps(ids))
            env = {
                "AIRFLOW_CONN_STREAM_DEFAULT": sandbox.connection,
                "BENCHMARK_IDS": str(folder / "ids.json"),
                "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "1000",
            }
            with LocalAirflow(HERE / "dags", env=env, home=folder / "airflow") as airflow:
                results: dict[str, Any] = {"sensors": options.sensors}
                for way in WAYS:
                    results[way] = measure(airflow, sandbox.control, way, ids[way])
                    print(way, results[way], flush=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def started(connection: str, count: int) -> list[str]:
    """Start Stream tasks that run until they are told to end; return their ids."""
    import os

    os.environ["AIRFLOW_CONN_STREAM_DEFAULT"] = connection
    from airflow_provider_streamtasks.hooks.stream import StreamHook
    from airflow_provider_streamtasks.protocol.operations import DELETE_CHANNELS

    hook = StreamHook()
    ids = []
    for number in range(count):
        submission = hook.submit(DELETE_CHANNELS, [f"messaging:{number}"], hard_delete=True)
        assert submission.task_id
        ids.append(submission.task_id)
    hook.close()
    return ids


if __name__ == "__main__":
    main()
