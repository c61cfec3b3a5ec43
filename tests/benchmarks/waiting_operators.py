"""``python -m tests.benchmarks.waiting_operators``: operators that wait, on a real Airflow, in two ways.

``on_worker`` comes back to a worker (``end_from_trigger=False``); ``in_triggerer`` ends in the triggerer, as
is usual. All submit and wait; then Stream completes everything at once. Counted are worker starts, the CPU
seconds of all processes of Airflow from the trigger of the DAG run to its end, and the seconds from Stream's
completion to the end of the Airflow tasks. Each round has an Airflow of its own, on which both ways have run
once; the order alternates. Writes ``docs/generated/waiting_operators.inc``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

from airflow_provider_streamtasks import configuration
from airflow_provider_streamtasks.sandbox import SandboxControl
from local_stack.airflow import LocalAirflow
from tests.benchmarks.real_airflow import DOCS, HERE, cpu_seconds, endless_tasks, ends, idle

WAYS = {"on_worker": "ends on a worker", "in_triggerer": "ends in the triggerer"}
ROWS = {
    "worker_starts": ("worker starts", "{:.0f}"),
    "cpu_seconds": ("CPU of all processes of Airflow", "{:.0f} s"),
    "cpu_seconds_above_idle": ("the same, less what an idle Airflow takes in that time", "{:.0f} s"),
    "mean_seconds_to_end": ("from Stream's completion to the end of an Airflow task, mean", "{:.1f} s"),
    "last_seconds_to_end": ("the same, the last one", "{:.1f} s"),
}

_Measured = dict[str, float]


def measure(
    airflow: LocalAirflow, control: SandboxControl, dag_id: str, count: int, idle_cpu: float = 0.0
) -> _Measured:
    """
    Let the operators of a DAG submit and wait, and end them all at once.

    :param idle_cpu: CPU seconds that an idle Airflow takes in a second
    """
    plan = {dag_id: [""] * count}
    cpu, began = cpu_seconds(airflow), time.time()
    run_id = airflow.trigger(dag_id)
    ends(airflow, plan, "deferred")
    # Until nothing holds an end on a worker back any more.
    time.sleep(configuration.worker_end_seen() + 1)
    for task in control.tasks():
        if not task["finished"]:
            control.fate(stream_task_id=task["stream_task_id"])
    completed = time.time()
    delays = [end - completed for end in ends(airflow, plan, "success")]
    cpu, lasted = cpu_seconds(airflow) - cpu, time.time() - began
    tasks = [task["task_id"] for task in airflow.task_instances(dag_id, run_id)]
    return {
        "worker_starts": sum(airflow.worker_starts(dag_id, run_id, task_id) for task_id in tasks),
        "cpu_seconds": cpu,
        "cpu_seconds_above_idle": cpu - lasted * idle_cpu,
        "mean_seconds_to_end": statistics.mean(delays),
        "last_seconds_to_end": max(delays),
    }


def one_round(ways: list[str], count: int) -> dict[str, _Measured]:
    """Measure the ways, one after the other, on an Airflow and a sandbox of their own."""
    with endless_tasks() as (folder, sandbox):
        env = {
            "AIRFLOW_CONN_STREAM_DEFAULT": sandbox.connection,
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "1000",
            "BENCHMARK_OPERATORS": str(count),
            "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]),
        }
        with LocalAirflow(HERE / "waiting", env=env, home=folder / "airflow") as airflow:
            results = {}
            for way in ways:
                airflow.wait_for_dag(way)
                measure(airflow, sandbox.control, f"warm_up_{way}", 1)
            idle_cpu = idle(airflow)
            for way in ways:
                results[way] = measure(airflow, sandbox.control, way, count, idle_cpu)
                print(f"  {way}: {results[way]}", flush=True)
            return results


def table(count: int, rounds: list[dict[str, _Measured]]) -> list[str]:
    """Return the rows of a list-table: the mean of the rounds, and the ratio in each of them."""
    lines = [".. list-table::", "   :header-rows: 1", "", f"   * - {count} operators, {len(rounds)} rounds"]
    lines += [f"     - {words}" for words in WAYS.values()]
    lines += ["     - ratio"]
    for name, (words, pattern) in ROWS.items():
        means = [statistics.mean(each[way][name] for each in rounds) for way in WAYS]
        ratios = sorted(each["in_triggerer"][name] / each["on_worker"][name] for each in rounds)
        lines += [f"   * - {words}", *(f"     - {pattern.format(mean)}" for mean in means)]
        lines += [f"     - {ratios[0]:.2f} to {ratios[-1]:.2f}"]
    return lines


def main() -> None:
    """Run the rounds, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.waiting_operators", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--operators", type=int, default=40)
    options = parser.parse_args()
    rounds = []
    for number in range(options.rounds):
        print(f"round {number + 1}", flush=True)
        rounds.append(one_round(list(WAYS)[:: -1 if number % 2 else 1], options.operators))
    (DOCS / "waiting_operators.inc").write_text("\n".join(table(options.operators, rounds)) + "\n")


if __name__ == "__main__":
    main()
