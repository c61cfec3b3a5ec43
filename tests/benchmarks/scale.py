"""``python -m tests.benchmarks.scale``: thousands of waits on an Airflow with PostgreSQL.

Each round has an Airflow of its own, and measures three ways, one after the other, on triggerers that have
just started:

- ``no_op``: Airflow tasks whose trigger does nothing but end them
- ``push_xcom``: the same, but each trigger pushes an XCom before, as sensors do
- ``sensors``: as they are by default

There are 20 Airflow tasks in a DAG and 10 DAGs in a file. The DAG runs are there before; at the beginning all
DAGs are unpaused together. One DAG goes ahead, and is not counted in the memory: with it comes what a
triggerer pays once.

1. All begin. A trigger that runs is seen by its log, which the triggerer's supervisor holds open.
2. All wait, for some seconds.
3. The triggerer with the most waits is killed (SIGKILL) and started anew, until all wait again.
4. Stream completes everything in the same moment, or the file appears that no-op triggers wait for.

Writes ``docs/generated/benchmarks_scale.json`` after each way, and from it ``waiting_scale.inc`` and
``waiting_scale.svg``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from airflow_provider_streamtasks.sandbox import SandboxControl
from local_stack.airflow import LocalAirflow
from local_stack.processes import stop_all
from tests.benchmarks import scale_tables
from tests.benchmarks.real_airflow import OF_A_DAG, endless_tasks, in_dags, parses, started
from tests.chaos.postgres import Postgres

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OF_A_FILE = 10
"""DAGs in a file."""

CAPACITY = 5000
BUDGET = 10_000
"""Polls a minute that Stream allows: as many as it documents for the endpoint with the largest budget."""

SETTINGS = {
    "AIRFLOW__TRIGGERER__CAPACITY": str(CAPACITY),
    # The DAG processor shall parse what Airflow asks it to, and not what is old.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "7200",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
}
WAYS = ("no_op", "push_xcom", "sensors")
DURABLE = {"fsync": "on"}
LIMIT = 1800.0
"""Seconds until whatever does not come is given up."""

_Result = dict[str, Any]


@dataclass
class Rig:
    """
    What is measured.

    :param triggerers: their names
    """

    airflow: LocalAirflow
    database: Postgres
    control: SandboxControl
    triggerers: list[str]

    def start(self, names: Iterable[str]) -> None:
        """Start triggerers, having stopped what is left of them; do not wait for them."""
        for name in names:
            if name in self.airflow._processes:
                stop_all([self.airflow._processes[name]], grace=5)
            self.airflow._spawn(name, "triggerer", "--skip-serve-logs")

    def kill(self, name: str) -> None:
        """Kill a triggerer with all that it spawned."""
        self.airflow._processes[name].send_signal(signal.SIGKILL)
        stop_all([self.airflow._processes[name]], grace=0)

    def supervisors(self) -> list[psutil.Process]:
        """Return the processes of the triggerers that speak with the database."""
        return [psutil.Process(self.airflow._processes[name].pid) for name in self.triggerers]

    def runners(self) -> list[psutil.Process]:
        """Return the processes of the triggerers that run the triggers."""
        return [child for each in self.supervisors() for child in each.children()]

    def waits(self) -> list[int]:
        """Return how many triggers run in each triggerer: so many logs its supervisor holds open."""
        return [_open_logs(each.pid) for each in self.supervisors()]

    def memory(self) -> dict[str, int]:
        """Return the bytes that nobody else has."""
        groups = {"supervisor": self.supervisors(), "runner": self.runners()}
        return {name: sum(each.memory_full_info().uss for each in group) for name, group in groups.items()}

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds of each part, processes that have ended included."""
        postgres = psutil.Process(self.database.pid)
        groups = {
            "supervisor": [each.pid for each in self.supervisors()],
            "runner": [each.pid for each in self.runners()],
            "database": [each.pid for each in (postgres, *postgres.children(recursive=True))],
            **{
                name: self.airflow._processes[name].members()
                for name in ("scheduler", "dag-processor", "api-server")
            },
        }
        return {name: sum(map(_cpu, group)) for name, group in groups.items()}

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask Airflow's database: to ask Airflow would cost what is measured here."""
        connection = self.database.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.commit()
            connection.close()

    def pause(self, pattern: str, paused: bool) -> None:
        """Pause or unpause DAGs."""
        self.airflow.call(
            "PATCH", "/dags", params={"dag_id_pattern": pattern, "limit": 1}, body={"is_paused": paused}
        )

    def requests(self) -> int:
        """Return how many requests the sandbox has had."""
        from airflow_provider_streamtasks.hooks.stream import StreamHook

        StreamHook().get_rate_limits()
        return int(self.control.journal("GetRateLimits")[-1]["number"])


def _cpu(pid: int) -> float:
    with suppress(psutil.NoSuchProcess):
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def _open_logs(pid: int) -> int:
    count = 0
    folder = f"/proc/{pid}/fd"
    with suppress(FileNotFoundError):
        for name in os.listdir(folder):
            with suppress(FileNotFoundError):
                count += ".trigger." in os.readlink(f"{folder}/{name}")
    return count


def until(happened: Callable[[], Any], what: str, pause: float = 0.5) -> Any:
    """Wait until something true comes back, and return it."""
    deadline = time.monotonic() + LIMIT
    while not (result := happened()):
        if time.monotonic() > deadline:
            raise SystemExit(f"not in {LIMIT:.0f} s: {what}")
        time.sleep(pause)
    return result


def all_wait(rig: Rig, count: int, began: float) -> list[tuple[float, int]]:
    """Wait until a number of triggers run, and return how many did so after how many seconds."""
    curve: list[tuple[float, int]] = []

    def sample() -> bool:
        curve.append((round(time.time() - began, 1), sum(rig.waits())))
        return curve[-1][1] >= count

    until(sample, f"{count} triggers run; the last samples: {curve[-3:]}")
    return curve


def settle(rig: Rig) -> None:
    """Wait until the triggerers and the scheduler have done what they had to do at once."""

    def calm() -> bool:
        cpu, memory = rig.cpu(), rig.memory()["supervisor"]
        time.sleep(3)
        took = {name: seconds - cpu[name] for name, seconds in rig.cpu().items()}
        grown = rig.memory()["supervisor"] - memory
        return (
            max(took["scheduler"], took["dag-processor"]) < 0.9 and took["supervisor"] < 0.5 and grown < 2**20
        )

    until(calm, "calm", pause=0)


def per_second(rig: Rig, seconds: float) -> dict[str, float]:
    """Return the CPU seconds that each part takes in a second."""
    before, began = rig.cpu(), time.monotonic()
    time.sleep(seconds)
    now, lasted = rig.cpu(), time.monotonic() - began
    return {name: (now[name] - before[name]) / lasted for name in now}


def begin(rig: Rig, way: str, count: int, rest: float) -> _Result:
    """Let a way's Airflow tasks wait, on new triggerers."""
    since = datetime.now(timezone.utc)
    rig.start(rig.triggerers)
    alive = "SELECT count(*) FROM job WHERE job_type = 'TriggererJob' AND latest_heartbeat > start_date"
    until(
        lambda: rig.rows(f"{alive} AND start_date > %s", since) == [(len(rig.triggerers),)],
        "the triggerers are at work",
    )
    time.sleep(3)
    idle = per_second(rig, 5)
    rig.pause(f"{way}_{0:05}", False)
    all_wait(rig, OF_A_DAG, time.time())
    time.sleep(8)  # until the provider, having seen no other wait begin, has Airflow build what it needs
    settle(rig)
    memory, cpu, began = rig.memory(), rig.cpu(), time.time()
    rig.pause(f"{way}_%", False)
    curve = all_wait(rig, count, began)
    lasted = time.time() - began
    took = {name: seconds - cpu[name] for name, seconds in rig.cpu().items()}
    settle(rig)
    requests, rested = rig.requests(), time.time()
    waiting = per_second(rig, rest)
    polls = (rig.requests() - requests - 1) / (time.time() - rested)
    now = rig.memory()
    return {
        "begin_curve": curve,
        "begun_a_second": (count - OF_A_DAG) / lasted,
        "seconds_to_wait": lasted,
        "cpu_to_wait": took,
        "idle_cpu_a_second": idle,
        "waiting_cpu_a_second": waiting,
        "polls_a_second": polls,
        "fixed_memory": memory,
        "kib_a_sensor": {name: (now[name] - memory[name]) / (count - OF_A_DAG) / 1024 for name in now},
        "waits": rig.waits(),
        "open_files": [each.num_fds() for each in rig.supervisors()],
    }


def die(rig: Rig, count: int) -> _Result:
    """Kill the triggerer with the most waits and start it anew."""
    lost = max(rig.waits())
    name = rig.triggerers[rig.waits().index(lost)]
    rig.kill(name)
    began = time.time()
    rig.start([name])
    curve = all_wait(rig, count, began)
    return {
        "killed_with": lost,
        "seconds_to_wait_again": time.time() - began,
        "again_curve": curve,
        "waits_again": rig.waits(),
        "memory_again": rig.memory(),
    }


def end(rig: Rig, way: str, ids: list[str], file: Path) -> _Result:
    """Let all Airflow tasks of a way end."""
    count = len(ids)
    settle(rig)
    cpu, parsed = rig.cpu(), parses(rig.airflow)
    moment = time.time() + max(5.0, count / 200)
    for stream_task_id in filter(None, ids):
        rig.control.fate(stream_task_id=stream_task_id, running=max(0.0, moment - time.time()))
    if time.time() > moment:
        raise SystemExit("the sandbox took too long to learn when to complete everything")
    time.sleep(max(0.0, moment - time.time()))
    file.touch()
    sql = "SELECT state, count(*) FROM task_instance WHERE dag_id LIKE %s GROUP BY state"
    over = {"success", "failed", "skipped", "upstream_failed", "removed"}
    until(lambda: over >= {state for state, _ in rig.rows(sql, f"{way}_%")}, f"all of {way} have ended")
    states = dict(rig.rows(sql, f"{way}_%"))
    took = {name: seconds - cpu[name] for name, seconds in rig.cpu().items()}
    ends = rig.rows("SELECT extract(epoch FROM end_date) FROM task_instance WHERE dag_id LIKE %s", f"{way}_%")
    delays = sorted(float(each) - moment for (each,) in ends)
    ((xcoms,),) = rig.rows(
        "SELECT count(*) FROM xcom WHERE dag_id LIKE %s AND key = 'return_value'", f"{way}_%"
    )
    ((workers,),) = rig.rows(
        "SELECT count(*) FROM log WHERE dag_id LIKE %s AND event = 'running'", f"{way}_%"
    )
    return {
        "states": states,
        "xcoms": xcoms,
        "worker_starts": workers,
        "ends_a_second": count / delays[-1],
        "mean_seconds_to_end": statistics.mean(delays),
        "last_seconds_to_end": delays[-1],
        "cpu_to_end": took,
        "end_curve": [
            (second, sum(each > second for each in delays)) for second in range(int(delays[-1]) + 2)
        ],
        "parses": parses(rig.airflow) - parsed,
        "callbacks_left": rig.rows("SELECT count(*) FROM callback WHERE type = 'dag_processor'")[0][0],
    }


@contextmanager
def rig_of(
    folder: Path,
    plans: dict[str, dict[str, list[str]]],
    control: SandboxControl,
    connection: str,
    number: int,
) -> Iterator[Rig]:
    """Run an Airflow with the DAGs of some ways, all paused, each with a run."""
    dags = folder / "dags"
    dags.mkdir()
    for way, plan in plans.items():
        ids = list(plan)
        for first in range(0, len(ids), OF_A_FILE):
            of_the_file = {dag_id: plan[dag_id] for dag_id in ids[first : first + OF_A_FILE]}
            sensors = of_the_file if way == "sensors" else {}
            no_op = {dag_id: len(each) for dag_id, each in of_the_file.items() if dag_id not in sensors}
            name = f"{way}_{first:05}"
            (folder / f"{name}.json").write_text(
                json.dumps({"file": str(folder / "end"), "no_op": no_op, "sensors": sensors})
            )
            shutil.copy(HERE / "fresh" / "many_waits.py", dags / f"{name}.py")
    with Postgres(folder / "postgres.log", DURABLE) as database:
        env = {
            **SETTINGS,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.url,
            "AIRFLOW_CONN_STREAM_DEFAULT": connection,
            "BENCHMARK_PLANS": str(folder),
            "PYTHONPATH": os.pathsep.join(map(str, [HERE / "fresh", ROOT])),
        }
        with LocalAirflow(dags, env=env, home=folder / "airflow", start_timeout=180) as airflow:
            names = ["triggerer", *(f"triggerer-{each}" for each in range(2, number + 1))]
            rig = Rig(airflow, database, control, names)
            known = sum(map(len, plans.values()))
            until(lambda: rig.rows("SELECT count(*) FROM serialized_dag") == [(known,)], "all DAGs are there")
            for dag_id in (each for plan in plans.values() for each in plan):
                airflow.call("POST", f"/dags/{dag_id}/dagRuns", body={"logical_date": None, "conf": {}})
            yield rig


def one_round(
    ways: Iterable[str], count: int, triggerers: int, rest: float, save: Callable[[str, _Result], None]
) -> None:
    """
    Measure the ways, one after the other, on an Airflow of their own.

    :param save: is called with what was measured, after each step
    """
    with endless_tasks() as (folder, sandbox):
        sandbox.control.budget("GetTask", limit=BUDGET, window=60)
        ids = {way: [""] * count for way in ways}
        if "sensors" in ids:
            ids["sensors"] = started(sandbox.connection, count)
        plans = {way: _named(in_dags(way, ids[way])) for way in ways}
        with rig_of(folder, plans, sandbox.control, sandbox.connection, triggerers) as rig:
            for way in ways:
                # What the way before has left to do for the DAG processor is not this way's.
                rig.rows("DELETE FROM callback WHERE type = 'dag_processor'")
                (folder / "end").unlink(missing_ok=True)
                result = begin(rig, way, count, rest)
                save(way, result)
                result |= die(rig, count)
                save(way, result)
                result |= end(rig, way, ids[way], folder / "end")
                save(way, result)


def _named(plan: dict[str, list[str]]) -> dict[str, list[str]]:
    """Give the DAGs names of which none is the beginning of another."""
    return {f"{name.rpartition('_')[0]}_{number:05}": ids for number, (name, ids) in enumerate(plan.items())}


def report(count: int, triggerers: int, way: str, result: _Result, *, began: str | None) -> None:
    """
    Print what was measured, and keep it.

    :param began: when the round began; ``None``: do not keep it
    """
    shown = {name: value for name, value in result.items() if not name.endswith("_curve")}
    print(f"{datetime.now():%H:%M:%S} {count} {way}, {triggerers} triggerers: ", end="")
    print(json.dumps(shown, default=float), flush=True)
    if began:
        scale_tables.save(count, triggerers, way, result, began)


def main() -> None:
    """Measure all sizes."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__)
    parser.add_argument("--sensors", type=int, action="append", help="default: 1000, 2000, 5000")
    parser.add_argument("--triggerers", type=int, action="append", help="default: 1, 2")
    parser.add_argument("--ways", choices=WAYS, action="append", help="default: all")
    parser.add_argument("--rest", type=float, default=20.0, help="seconds in which all wait")
    parser.add_argument("--only", action="store_true", help="write nothing")
    options = parser.parse_args()
    sizes = options.sensors or [1000, 2000, 5000]
    needed = max(sizes) + 1000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SystemExit(f"{needed} open files are needed, and {hard} are allowed: see ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    for triggerers in options.triggerers or [1, 2]:
        for count in sizes:
            began = datetime.now(timezone.utc).isoformat(timespec="seconds")
            keep = partial(report, count, triggerers, began=None if options.only else began)
            one_round(options.ways or WAYS, count, triggerers, options.rest, keep)
    if not options.only:
        scale_tables.main()


if __name__ == "__main__":
    main()
