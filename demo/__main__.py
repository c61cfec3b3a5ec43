"""``python -m demo``: run the example DAGs on a real Airflow against the sandbox, and judge how they end."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from demo import table
from demo.local_airflow import LocalAirflow
from demo.local_mail import local_mail
from demo.local_sandbox import LocalSandbox, local_sandbox
from demo.population import ALERTS, populate
from demo.processes import ended_as_by_ctrl_c
from demo.scenarios import EVERY_OPERATION, SCENARIOS
from demo.verdict import HEADER, judge, name_of

_HERE = Path(__file__).resolve().parent
_DAGS = _HERE.parent / "dags"
_RUN_TIMEOUT = 180.0  # seconds for all runs together
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
    with local_sandbox(folder / "sandbox.log", _HERE / "fates.json") as sandbox, local_mail() as mail:
        tell(f"the sandbox plays Stream at {sandbox.url}")
        populate(sandbox.control)
        # One for failure_alerts, one for failed_operations, which tries again.
        sandbox.control.fault("reset_after", operation="ReactivateUsers", times=2)
        env = {
            "AIRFLOW_CONN_STREAM_DEFAULT": sandbox.connection,
            "AIRFLOW_CONN_SMTP_DEFAULT": mail.connection,
            "AIRFLOW_VAR_STREAM_EXPORTS": f"file://{folder}/stream",
            "AIRFLOW_VAR_STREAM_GDPR": f"file://{folder}/gdpr",
        }
        with LocalAirflow(_DAGS, env=env, home=folder / "airflow", on_progress=tell) as airflow:
            runs = _start(airflow, folder)
            tell(f"started {', '.join(runs)}")
            _watch(airflow, runs, tell)
            posted = [message["text"] for message in sandbox.control.messages(ALERTS)]
            rows, differences = judge(airflow, sandbox.control, mail, runs, posted)
            print(f"\n{table.render(HEADER, rows)}\n")
            _print_alerts(posted)
            if not differences:
                print(f"All {len(runs)} DAGs ended as they should.", flush=True)
            if keep:
                _linger(airflow, sandbox, differences)
            if differences:
                raise DemoFailedError("\n".join(differences))


def _start(airflow: LocalAirflow, folder: Path) -> dict[str, str]:
    """Let the scheduler start its DAGs, start the others, and return DAG -> run id of these."""
    for scenario in SCENARIOS:
        if scenario.params is None:
            airflow.unpause(scenario.dag_id)
    return {
        scenario.dag_id: airflow.trigger(
            scenario.dag_id, {name: value.format(folder=folder) for name, value in scenario.params.items()}
        )
        for scenario in SCENARIOS
        if scenario.params is not None
    }


def _watch(airflow: LocalAirflow, runs: dict[str, str], tell: Callable[[str], None]) -> None:
    """Tell of every task that changes its state until all runs have ended; add those of the scheduler."""
    deadline = time.monotonic() + _RUN_TIMEOUT
    told: dict[tuple[str, str], str] = {}
    going = [scenario.dag_id for scenario in SCENARIOS]
    while going:
        for dag_id in list(going):
            if dag_id not in runs:
                if not (begun := airflow.runs(dag_id)):
                    continue
                runs[dag_id] = begun[0]["dag_run_id"]
                tell(f"the scheduler started {dag_id}")
            ended = airflow.run_state(dag_id, runs[dag_id]) in ("success", "failed")
            for task in airflow.task_instances(dag_id, runs[dag_id]):
                name = name_of(task)
                if task["state"] in _WORTH_TELLING and told.get((dag_id, name)) != task["state"]:
                    told[dag_id, name] = task["state"]
                    tell(f"{dag_id}: {name} is {task['state']}")
            if ended:
                going.remove(dag_id)
        if going and time.monotonic() > deadline:
            raise DemoFailedError(f"not finished after {_RUN_TIMEOUT:.0f} s: {', '.join(going)}")
        time.sleep(1)


def _print_alerts(posted: Sequence[str]) -> None:
    """Print each alert; of those on every operation only what failed and what Stream said of it."""
    of_operations = f"{EVERY_OPERATION}."
    print(f"The alerts in {ALERTS}:\n")
    for alert in posted:
        if not alert.startswith(of_operations):
            print(textwrap.indent(alert, "    "), end="\n\n")
    told = [
        alert.partition("\n")[0].split(" failed (", 1) for alert in posted if alert.startswith(of_operations)
    ]
    rows = [[where.removeprefix(of_operations), what.partition("): ")[2]] for where, what in sorted(told)]
    print(f"{table.render(('Failed operation', 'What its alert says'), rows)}\n")


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
