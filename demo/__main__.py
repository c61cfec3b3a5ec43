"""``python -m demo``: run the example DAGs on a real Airflow against the sandbox, and judge how they end."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from demo import table
from demo.local_airflow import LocalAirflow
from demo.local_sandbox import LocalSandbox, local_sandbox
from demo.processes import ended_as_by_ctrl_c
from demo.scenarios import SCENARIOS, Ending

_HERE = Path(__file__).resolve().parent
_DAGS = _HERE.parent / "dags"
_RUN_TIMEOUT = 180.0  # seconds for all runs together
_HEADER = ("DAG", "Airflow task", "Stream said", "Airflow ended", "seconds", "worker starts")
_WORTH_TELLING = ("running", "deferred", "success", "failed", "up_for_retry", "skipped", "upstream_failed")


class DemoFailedError(RuntimeError):
    """A DAG did not end as it should; the message has one line for each difference."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit status is 0 only if every DAG ended as it should."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave it running until Ctrl-C")
    options = parser.parse_args(arguments)
    try:
        with ended_as_by_ctrl_c(), _work_folder() as folder:
            _demonstrate(folder, options.keep)
    except KeyboardInterrupt:
        print("Interrupted; everything is stopped.", file=sys.stderr)
        return 130
    except Exception as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def _demonstrate(folder: Path, keep: bool) -> None:
    tell = _teller()
    tell("starting the sandbox")
    with local_sandbox(folder / "sandbox.log", _HERE / "fates.json") as sandbox:
        tell(f"the sandbox plays Stream at {sandbox.url}")
        env = {"AIRFLOW_CONN_STREAM_DEFAULT": sandbox.connection}
        with LocalAirflow(_DAGS, env=env, home=folder / "airflow", on_progress=tell) as airflow:
            runs = {each.dag_id: airflow.trigger(each.dag_id, each.conf(folder)) for each in SCENARIOS}
            tell(f"started {', '.join(runs)}")
            _watch(airflow, runs, tell)
            rows, differences = _judge(airflow, sandbox, runs)
            print(f"\n{table.render(_HEADER, rows)}\n", flush=True)
            if not differences:
                print(f"All {len(runs)} DAGs ended as they should.", flush=True)
            if keep:
                _linger(airflow, sandbox, differences)
            if differences:
                raise DemoFailedError("\n".join(differences))


def _watch(airflow: LocalAirflow, runs: Mapping[str, str], tell: Callable[[str], None]) -> None:
    """Tell of every task that changes its state until all runs have ended."""
    deadline = time.monotonic() + _RUN_TIMEOUT
    told: dict[tuple[str, str], str] = {}
    going = dict(runs)
    while going:
        for dag_id, run_id in list(going.items()):
            ended = airflow.run_state(dag_id, run_id) in ("success", "failed")
            for task in airflow.task_instances(dag_id, run_id):
                key = (dag_id, task["task_id"])
                if task["state"] in _WORTH_TELLING and told.get(key) != task["state"]:
                    told[key] = task["state"]
                    tell(f"{dag_id}: {task['task_id']} is {task['state']}")
            if ended:
                del going[dag_id]
        if going and time.monotonic() > deadline:
            raise DemoFailedError(f"not finished after {_RUN_TIMEOUT:.0f} s: {', '.join(going)}")
        time.sleep(0.3)


def _judge(
    airflow: LocalAirflow, sandbox: LocalSandbox, runs: Mapping[str, str]
) -> tuple[list[list[str]], list[str]]:
    """Return the table's rows, and a line for everything that is not as it should be."""
    status = {task["stream_task_id"]: task["status"] for task in sandbox.control.tasks()}
    rows: list[list[str]] = []
    differences: list[str] = []
    for scenario in SCENARIOS:
        dag_id, run_id = scenario.dag_id, runs[scenario.dag_id]
        tasks = sorted(airflow.task_instances(dag_id, run_id), key=lambda task: task["start_date"] or "")
        submitted = {task["task_id"]: _submitted(airflow, dag_id, run_id, task["task_id"]) for task in tasks}
        said = ", ".join(status[each] for ids in submitted.values() for each in ids)
        endings: dict[str, Ending] = {}
        for task in tasks:
            task_id = task["task_id"]
            ids = submitted[task_id]
            endings[task_id] = _ending(airflow, task, scenario.endings.get(task_id))
            rows.append(
                [
                    dag_id,
                    task_id,
                    f"accepted as {', '.join(each[:8] for each in ids)}" if ids else said,
                    str(endings[task_id]),
                    f"{task['duration'] or 0:.1f}",
                    str(airflow.worker_starts(dag_id, run_id, task_id)),
                ]
            )
        differences += [
            f"{dag_id}: {task_id} should have ended as {expected}, not as {endings.get(task_id, 'missing')}."
            for task_id, expected in scenario.endings.items()
            if endings.get(task_id) != expected
        ]
    return rows, differences


def _submitted(airflow: LocalAirflow, dag_id: str, run_id: str, task_id: str) -> list[str]:
    """Return the ids of the Stream tasks that an Airflow task started."""
    try:
        return list(airflow.xcom(dag_id, run_id, task_id, "task_ids"))
    except LookupError:
        return []


def _ending(airflow: LocalAirflow, task: Mapping[str, Any], expected: Ending | None) -> Ending:
    """Return how a task ended; what its log was expected to show is part of it only if it does."""
    ending = Ending(task["state"])
    if expected and expected.log and expected.state == ending.state:
        log = airflow.logs(task["dag_id"], task["dag_run_id"], task["task_id"])
        return expected if expected.log in log else ending
    return ending


def _linger(airflow: LocalAirflow, sandbox: LocalSandbox, differences: Sequence[str]) -> None:
    """Leave everything running until Ctrl-C."""
    for difference in differences:
        print(difference)
    print(f"Airflow's UI:  {airflow.base_url} (no login)")
    print(f"The sandbox:   {sandbox.url}")
    print(f"All logs:      {airflow.home.parent}")
    print("Both keep running. Press Ctrl-C to stop them.", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print()


@contextmanager
def _work_folder() -> Iterator[Path]:
    """Make a folder for all logs and remove it in the end, unless an error makes them worth reading."""
    folder = Path(tempfile.mkdtemp(prefix="stream-demo-")).resolve()
    try:
        yield folder
    except Exception:
        print(f"The logs are in {folder}", file=sys.stderr)
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _teller() -> Callable[[str], None]:
    """Return a function that prints a line after the seconds since now."""
    began = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {line}", flush=True)

    return tell


if __name__ == "__main__":
    sys.exit(main())
