"""``python -m tests.benchmarks.fresh_triggerer``: many sensors on a triggerer that has just started.

Each way has a triggerer of its own, without any warm-up, and a connection in an environment variable:

- ``no_op``: Airflow tasks whose trigger does nothing but end them, 20 a DAG
- ``no_op_xcom``: the same, but each trigger pushes an XCom before, as sensors do
- ``many_dags``: as many sensors, 20 a DAG
- ``one_dag``: the same number in a single DAG

All wait; then Stream completes everything at once. Counted are the CPU seconds of the triggerer (supervisor
and runner) and of all processes of Airflow until all wait, the memory of the triggerer a sensor, the longest
of the triggerer's own lines "async thread was blocked", and the seconds from Stream's completion to the end
of the Airflow tasks. Writes ``docs/generated/benchmarks_fresh.json`` and
``docs/generated/waiting_fresh.inc``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import time
from pathlib import Path

import psutil

from airflow_provider_streamtasks.sandbox import SandboxControl
from local_stack.airflow import LocalAirflow
from tests.benchmarks.real_airflow import (
    DOCS,
    IDLE,
    OF_A_DAG,
    cpu_seconds,
    endless_tasks,
    ends,
    in_dags,
    started,
)

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WAYS = {
    "no_op": "a trigger that does nothing",
    "no_op_xcom": "a trigger that pushes an XCom",
    "many_dags": "sensors, 20 a DAG",
    "one_dag": "sensors, one DAG",
}
NO_OPS = ("no_op", "no_op_xcom")
ROWS = {
    "mean_seconds_to_end": ("from completion to the end of an Airflow task, mean", "{:.1f} s"),
    "last_seconds_to_end": ("the same, the last one", "{:.1f} s"),
    "longest_block": ('longest "async thread was blocked" while they end', "{:.1f} s"),
    "seconds_to_wait": ("from the trigger of the DAG runs until all wait", "{:.0f} s"),
    "triggerer_cpu_to_wait": ("CPU of the triggerer for it", "{:.1f} s"),
    "triggerer_cpu_above_idle": ("the same, less what an idle one takes in that time", "{:.1f} s"),
    "cpu_to_wait": ("CPU of all processes of Airflow for it", "{:.0f} s"),
    "longest_block_to_wait": ('longest "async thread was blocked" meanwhile', "{:.1f} s"),
    "memory_kib": ("memory of the triggerer, an Airflow task", "{:.0f} KiB"),
}

_Measured = dict[str, float]


def triggerer(airflow: LocalAirflow) -> list[psutil.Process]:
    """Return the processes of the triggerer."""
    return [psutil.Process(pid) for pid in airflow._processes["triggerer"].members()]


def triggerer_cpu(airflow: LocalAirflow) -> float:
    """Return the CPU seconds of the triggerer."""
    times = [process.cpu_times() for process in triggerer(airflow)]
    return float(sum(each.user + each.system for each in times))


def triggerer_memory(airflow: LocalAirflow) -> int:
    """Return the bytes that only the triggerer's processes have."""
    return sum(process.memory_full_info().uss for process in triggerer(airflow))


def blocks(airflow: LocalAirflow) -> list[float]:
    """Return the seconds of each of the triggerer's own lines about a blocked event loop."""
    said = re.findall(
        r"async thread was blocked for ([0-9.]+) seconds", airflow._processes["triggerer"].output()
    )
    return [float(seconds) for seconds in said]


def one_way(
    airflow: LocalAirflow, control: SandboxControl, plan: dict[str, list[str]], file: Path, rest: float
) -> _Measured:
    """
    Let the Airflow tasks of some DAGs wait on a new triggerer, and end them all at once.

    :param plan: DAG -> its Stream tasks; none where the Airflow tasks end with the file
    :param rest: seconds in which all wait, before they end
    """
    file.unlink(missing_ok=True)
    airflow.restart("triggerer")
    time.sleep(5)
    idle = triggerer_cpu(airflow)
    time.sleep(IDLE)
    idle = (triggerer_cpu(airflow) - idle) / IDLE
    count = sum(map(len, plan.values()))
    memory, cpu, all_cpu, began = (
        triggerer_memory(airflow),
        triggerer_cpu(airflow),
        cpu_seconds(airflow),
        time.time(),
    )
    for dag_id in plan:
        airflow.trigger(dag_id)
    ends(airflow, plan, "deferred")
    waiting = {
        "seconds_to_wait": time.time() - began,
    }
    # The scheduler has deferred them; the triggerer is still taking them in.
    seen, now = 0.0, triggerer_cpu(airflow)
    while now - seen > 0.4:
        time.sleep(2)
        seen, now = now, triggerer_cpu(airflow)
    used = triggerer_cpu(airflow) - cpu
    waiting |= {
        "triggerer_cpu_to_wait": used,
        "triggerer_cpu_above_idle": used - idle * (time.time() - began),
        "cpu_to_wait": cpu_seconds(airflow) - all_cpu,
    }
    time.sleep(rest)
    waiting["memory_kib"] = (triggerer_memory(airflow) - memory) / count / 1024
    before = blocks(airflow)
    for stream_task_id in (each for ids in plan.values() for each in ids if each):
        control.fate(stream_task_id=stream_task_id)
    file.touch()
    completed = time.time()
    delays = [end - completed for end in ends(airflow, plan, "success")]
    time.sleep(2)
    after = blocks(airflow)[len(before) :]
    return {
        **waiting,
        "longest_block_to_wait": max(before, default=0.0),
        "mean_seconds_to_end": statistics.mean(delays),
        "last_seconds_to_end": max(delays),
        "longest_block": max(after, default=0.0),
        "blocks": len(after),
    }


def one_round(ways: list[str], sensors: int, build: Path | None, rest: float) -> dict[str, _Measured]:
    """Measure the ways, one after the other, on an Airflow and a sandbox of their own."""
    with endless_tasks() as (folder, sandbox):
        file = folder / "end"
        plans: dict[str, dict[str, list[str]]] = {}
        for way in ways:
            ids = [""] * sensors if way in NO_OPS else started(sandbox.connection, sensors)
            size = sensors if way == "one_dag" else OF_A_DAG
            plans[way] = in_dags(way, ids, size)
        no_op = {dag: len(ids) for way in NO_OPS for dag, ids in plans.get(way, {}).items()}
        with_sensors = {
            dag_id: ids for way in ways if way not in NO_OPS for dag_id, ids in plans[way].items()
        }
        plan = {"file": str(file), "no_op": no_op, "sensors": with_sensors}
        (folder / "many_waits.json").write_text(json.dumps(plan))
        env = {
            "AIRFLOW_CONN_STREAM_DEFAULT": sandbox.connection,
            "BENCHMARK_PLANS": str(folder),
            "PYTHONPATH": os.pathsep.join(map(str, filter(None, [build, HERE / "fresh", ROOT]))),
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "1000",
        }
        with LocalAirflow(HERE / "fresh", env=env, home=folder / "airflow") as airflow:
            results = {}
            for way in ways:
                for dag_id in plans[way]:
                    airflow.wait_for_dag(dag_id)
            for way in ways:
                results[way] = one_way(airflow, sandbox.control, plans[way], file, rest)
                print(f"  {way}: " + ", ".join(f"{n} {v:.2f}" for n, v in results[way].items()), flush=True)
            return results


def table(sensors: int, rounds: list[dict[str, _Measured]]) -> list[str]:
    """Return the rows of a list-table: the mean of the rounds."""
    ways = [way for way in WAYS if way in rounds[0]]
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "",
        f"   * - {sensors} Airflow tasks, rounds: {len(rounds)}",
    ]
    lines += [f"     - {WAYS[way]}" for way in ways]
    for name, (words, pattern) in ROWS.items():
        lines.append(f"   * - {words}")
        lines += [
            f"     - {pattern.format(statistics.mean(each[way][name] for each in rounds))}" for way in ways
        ]
    return lines


def main() -> None:
    """Measure all ways in several rounds."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.fresh_triggerer", description=__doc__)
    parser.add_argument("--sensors", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rest", type=float, default=10.0, help="seconds in which all wait before they end")
    parser.add_argument("--only", choices=list(WAYS), action="append", help="measure; write nothing")
    parser.add_argument("--build", type=Path, help="a checkout of another release, to measure; write nothing")
    options = parser.parse_args()
    rounds = []
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", flush=True)
        rounds.append(one_round(options.only or list(WAYS), options.sensors, options.build, options.rest))
    if options.only or options.build:
        return
    results = {"sensors": options.sensors, "rounds": rounds}
    (DOCS / "benchmarks_fresh.json").write_text(json.dumps(results, indent=1) + "\n")
    (DOCS / "waiting_fresh.inc").write_text("\n".join(table(options.sensors, rounds)) + "\n")


if __name__ == "__main__":
    main()
