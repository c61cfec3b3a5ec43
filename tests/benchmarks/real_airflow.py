"""``python -m tests.benchmarks.real_airflow``: many sensors on a real Airflow, in three ways.

``with_workers`` is our sensor with ``start_from_trigger=False, end_from_trigger=False``; ``without_workers``
is our sensor as it is by default; ``http_sensor`` is ``HttpSensor(deferrable=True)`` of Airflow's HTTP
provider, every 5 s. That one knows nothing of Stream's status: it ends with the first answer that is not a
404. So for it alone the sandbox answers 404 until the moment of completion.

There are 20 sensors in a DAG. All wait; then Stream completes everything at once. Counted are the CPU seconds
of all processes of Airflow, from the trigger of the DAG runs until all has ended and the DAG processor has
done what Airflow asks of it then, and the seconds from Stream's completion to the end of the Airflow tasks.
Each round has an Airflow of its own, which has run one sensor with workers and one without before; the order
of the ways alternates. Writes ``docs/generated/benchmarks_airflow.json`` and
``docs/generated/waiting_airflow.inc``.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import psutil

from airflow_provider_streamtasks.protocol.credentials import Credentials
from airflow_provider_streamtasks.sandbox import SandboxControl
from local_stack.airflow import COMPONENTS, LocalAirflow
from local_stack.sandbox import LocalSandbox, local_sandbox

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs" / "generated"
WAYS = {
    "with_workers": "this provider, with workers",
    "http_sensor": "``HttpSensor``",
    "without_workers": "this provider",
}
ROWS = {
    "cpu_seconds": ("CPU of all processes of Airflow", "{:.0f} s"),
    "cpu_seconds_above_idle": ("the same, less what an idle Airflow takes in that time", "{:.0f} s"),
    "mean_seconds_to_end": ("from Stream's completion to the end of an Airflow task, mean", "{:.1f} s"),
    "last_seconds_to_end": ("the same, the last one", "{:.1f} s"),
    "seconds_to_wait": ("from the trigger of the DAG runs until all wait", "{:.0f} s"),
    "polls": ("polls", "{:,.0f}"),
    "parses": ("parses of DAG files by the DAG processor", "{:,.0f}"),
}
NOTE = """\
Seconds are the mean of the rounds; ratios are the lowest and the highest of a round. ``HttpSensor`` is that
of ``apache-airflow-providers-http`` {version} with ``deferrable=True, poke_interval=5``. It cannot wait for a
Stream task in earnest: it ends with the first answer that is not a 404, and with ``response_check`` it holds
a worker. So here the sandbox answers 404 to it until Stream completes everything. There are 20 sensors in a
DAG."""
OF_A_DAG = 20
"""Airflow tasks in a DAG."""

IDLE = 20.0
"""Seconds for which an Airflow with nothing to do is watched."""

_Measured = dict[str, float]


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


def in_dags(way: str, ids: list[str], of_a_dag: int = OF_A_DAG) -> dict[str, list[str]]:
    """Return the DAGs of a way, each with its Stream tasks."""
    return {f"{way}_{first}": ids[first : first + of_a_dag] for first in range(0, len(ids), of_a_dag)}


def ends(
    airflow: LocalAirflow, plan: dict[str, list[str]], state: str, timeout: float = 1200.0
) -> list[float]:
    """
    Wait until every Airflow task of some DAGs is in a state, and return the Unix times of their ends.

    The database is read, and not Airflow asked: that would cost what is measured here.

    :param plan: DAG -> its Stream tasks
    """
    deadline = time.monotonic() + timeout
    marks, count = ", ".join("?" * len(plan)), sum(map(len, plan.values()))
    query = f"SELECT state, end_date FROM task_instance WHERE dag_id IN ({marks})"
    with closing(sqlite3.connect(f"file:{airflow.database}?mode=ro", uri=True, timeout=30)) as database:
        while time.monotonic() < deadline:
            tasks = database.execute(query, list(plan)).fetchall()
            if failed := [task for task in tasks if task[0] == "failed"]:
                raise SystemExit(f"{len(failed)} Airflow tasks failed")
            if len(tasks) == count and all(task[0] == state for task in tasks):
                found = [datetime.fromisoformat(end) for _, end in tasks if end]
                return [end.replace(tzinfo=timezone.utc).timestamp() for end in found]
            time.sleep(0.25)
    raise SystemExit(f"not all Airflow tasks are {state}")


def parses(airflow: LocalAirflow) -> int:
    """Return how many times the DAG processor has parsed a file of DAGs: each time, it logs that it does."""
    logs = (airflow.task_logs / "dag_processor").glob("[0-9]*/**/*.log")
    return sum(log.read_bytes().count(b'"event":"Filling up the DagBag from ') for log in logs)


def called_back(airflow: LocalAirflow, timeout: float = 300.0) -> None:
    """Wait until the DAG processor has done all that it was asked to for Airflow tasks that have ended."""
    deadline, calm = time.monotonic() + timeout, 0
    with closing(sqlite3.connect(f"file:{airflow.database}?mode=ro", uri=True, timeout=30)) as database:
        while calm < 3:
            if time.monotonic() > deadline:
                raise SystemExit("the DAG processor is not done")
            seen = parses(airflow)
            time.sleep(1)
            ((left,),) = database.execute("SELECT count(*) FROM callback").fetchall()
            calm = 0 if left or parses(airflow) > seen else calm + 1


def idle(airflow: LocalAirflow) -> float:
    """Return the CPU seconds that an idle Airflow takes in a second."""
    cpu, began = cpu_seconds(airflow), time.monotonic()
    time.sleep(IDLE)
    return (cpu_seconds(airflow) - cpu) / (time.monotonic() - began)


def let_wait(airflow: LocalAirflow, control: SandboxControl, plan: dict[str, list[str]]) -> _Measured:
    """Trigger the DAGs of a way; return once all of their sensors wait and have polled Stream."""
    cpu, began = cpu_seconds(airflow), time.time()
    for dag_id in plan:
        airflow.trigger(dag_id)
    ends(airflow, plan, "deferred")
    ids = {each for of_a_dag in plan.values() for each in of_a_dag}
    while not ids <= {entry["path"].rsplit("/", 1)[-1] for entry in control.journal("GetTask")}:
        time.sleep(0.25)
    return {"cpu_seconds": cpu_seconds(airflow) - cpu, "seconds_to_wait": time.time() - began}


def let_end(airflow: LocalAirflow, control: SandboxControl, plan: dict[str, list[str]]) -> _Measured:
    """Complete all Stream tasks of a way."""
    cpu, began = cpu_seconds(airflow), time.time()
    for stream_task_id in (each for of_a_dag in plan.values() for each in of_a_dag):
        control.fate(stream_task_id=stream_task_id)
    control.clear_faults()
    completed = time.time()
    delays = [end - completed for end in ends(airflow, plan, "success")]
    called_back(airflow)
    return {
        "cpu_seconds": cpu_seconds(airflow) - cpu,
        "seconds_to_end": time.time() - began,
        "mean_seconds_to_end": statistics.mean(delays),
        "last_seconds_to_end": max(delays),
    }


def measure(
    airflow: LocalAirflow, control: SandboxControl, way: str, plan: dict[str, list[str]]
) -> _Measured:
    """Let the sensors of a way wait, and end them all at once."""
    requests_before, parses_before = control.journal()[-1]["number"], parses(airflow)
    if way == "http_sensor":
        control.fault("api_error", operation="GetTask", status=404, code=16, message="not found")
    waiting = let_wait(airflow, control, plan)
    ending = let_end(airflow, control, plan)
    return {
        **waiting,
        **ending,
        "cpu_seconds": waiting["cpu_seconds"] + ending["cpu_seconds"],
        "polls": control.journal()[-1]["number"] - requests_before,
        "parses": parses(airflow) - parses_before,
    }


@contextmanager
def endless_tasks() -> Iterator[tuple[Path, LocalSandbox]]:
    """Give a folder, and a sandbox without limits in which Stream tasks end only when they are told to."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fates = folder / "fates.json"
        fates.write_text(json.dumps([{"operation": "*", "end": "never"}]))
        with local_sandbox(folder / "sandbox.log", fates) as sandbox:
            sandbox.control.budget(limit=None)
            yield folder, sandbox


def one_round(ways: list[str], sensors: int) -> dict[str, _Measured]:
    """Measure the ways, one after the other, on an Airflow and a sandbox of their own."""
    with endless_tasks() as (folder, sandbox):
        plans = {way: in_dags(way, started(sandbox.connection, sensors)) for way in ways}
        (warm_up,) = started(sandbox.connection, 1)
        sandbox.control.fate(stream_task_id=warm_up)
        (folder / "ids.json").write_text(json.dumps({**plans, "warm_up": warm_up}))
        env = {
            "AIRFLOW_CONN_STREAM_DEFAULT": sandbox.connection,
            "AIRFLOW_CONN_STREAM_OVER_HTTP": http_connection(sandbox),
            "BENCHMARK_IDS": str(folder / "ids.json"),
            "BENCHMARK_API_KEY": sandbox.api_key,
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "1000",
        }
        with LocalAirflow(HERE / "dags", env=env, home=folder / "airflow") as airflow:
            for dag_id in (each for plan in plans.values() for each in plan):
                airflow.wait_for_dag(dag_id)
            airflow.wait_for_run("warm_up", airflow.trigger("warm_up"))
            cpu_per_second = idle(airflow)
            results = {}
            for way in ways:
                result = measure(airflow, sandbox.control, way, plans[way])
                lasted = result["seconds_to_wait"] + result.pop("seconds_to_end")
                result["cpu_seconds_above_idle"] = result["cpu_seconds"] - lasted * cpu_per_second
                results[way] = result
                print(f"  {way}: {_rounded(result)}", flush=True)
            return results


def started(connection: str, count: int) -> list[str]:
    """Start Stream tasks that run until they are told to end; return their ids."""
    os.environ["AIRFLOW_CONN_STREAM_DEFAULT"] = connection
    from airflow_provider_streamtasks.hooks.stream import StreamHook
    from airflow_provider_streamtasks.protocol.catalogue import DELETE_CHANNELS

    hook = StreamHook()
    ids = []
    for number in range(count):
        submission = hook.submit(DELETE_CHANNELS, [f"messaging:{number}"], hard_delete=True)
        assert submission.task_id
        ids.append(submission.task_id)
    hook.close()
    return ids


def http_connection(sandbox: LocalSandbox) -> str:
    """Return the sandbox as a connection of Airflow's HTTP provider."""
    token = Credentials(sandbox.api_key, sandbox.api_secret, sandbox.url).token()
    headers = {"Authorization": token, "stream-auth-type": "jwt"}
    return json.dumps({"conn_type": "http", "host": sandbox.url, "extra": headers})


def table(sensors: int, rounds: list[dict[str, _Measured]]) -> list[str]:
    """Return the rows of a list-table: the mean of the rounds, and the ratio in each of them."""
    ways = [way for way in WAYS if way in rounds[0]]
    others = [way for way in ways if way != "without_workers"]
    lines = [".. list-table::", "   :header-rows: 1", "", f"   * - {sensors} sensors, {len(rounds)} rounds"]
    lines += [f"     - {WAYS[way]}" for way in ways]
    lines += [f"     - {WAYS[way]} ÷ {WAYS['without_workers']}" for way in others]
    for name, (words, pattern) in ROWS.items():
        lines.append(f"   * - {words}")
        lines += [
            f"     - {pattern.format(statistics.mean(each[way][name] for each in rounds))}" for way in ways
        ]
        for way in others:
            ratios = sorted(each[way][name] / each["without_workers"][name] for each in rounds)
            lines.append(f"     - {ratios[0]:.1f} to {ratios[-1]:.1f}" if ratios[-1] else "     - none")
    return [*lines, "", *NOTE.format(version=version("apache-airflow-providers-http")).splitlines()]


def main() -> None:
    """Measure all ways in several rounds."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.real_airflow", description=__doc__)
    parser.add_argument("--sensors", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", choices=list(WAYS), action="append", help="measure; write nothing")
    options = parser.parse_args()
    ways = options.only or list(WAYS)
    rounds = []
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", flush=True)
        rounds.append(one_round(ways[:: -1 if number % 2 else 1], options.sensors))
    if options.only:
        return
    results = {"sensors": options.sensors, "rounds": rounds}
    (DOCS / "benchmarks_airflow.json").write_text(json.dumps(results, indent=1) + "\n")
    (DOCS / "waiting_airflow.inc").write_text("\n".join(table(options.sensors, rounds)) + "\n")


def _rounded(result: _Measured) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in result.items())


if __name__ == "__main__":
    main()
