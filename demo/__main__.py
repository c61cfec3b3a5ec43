"""``python -m demo``: run the example DAGs on a real Airflow against the sandbox, and judge how they end."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import requests

from demo import table
from demo.population import ALERTS, populate
from demo.scenarios import EVERY_OPERATION, SCENARIOS
from demo.verdict import HEADER, judge, name_of
from local_stack.airflow import AirflowStartTimeout, LocalAirflow
from local_stack.mail import local_mail
from local_stack.processes import ended_as_by_ctrl_c
from local_stack.rest import AirflowRest
from local_stack.sandbox import LocalSandbox, local_sandbox

_HERE = Path(__file__).resolve().parent
_DAGS = _HERE.parent / "dags"
_TIMEOUT = 300.0  # seconds for the start, and for whatever must happen next
_SILENCE = 15.0  # seconds after which a sign of life is due
_WORTH_TELLING = ("running", "deferred", "success", "failed", "up_for_retry", "skipped", "upstream_failed")


class DemoFailedError(RuntimeError):
    """A DAG did not end as it should; the message has one line for each difference."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit status is 0 only if every DAG ended as it should."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave it running until Ctrl-C")
    parser.add_argument(
        "--timeout",
        type=float,
        default=_TIMEOUT,
        metavar="SECONDS",
        help="for the start of Airflow, and for whatever must happen next in a DAG (default: %(default).0f)",
    )
    options = parser.parse_args(arguments)
    if not options.timeout > 0:
        parser.error(f"--timeout is {options.timeout:g}: a number of seconds above 0 is needed")
    try:
        with ended_as_by_ctrl_c(), _work_folder() as folder:
            _demonstrate(folder, options.keep, options.timeout)
    except KeyboardInterrupt:
        print("Interrupted; everything is stopped.", file=sys.stderr)
        return 130
    except (TimeoutError, requests.Timeout) as error:
        print(f"\n{_too_slow(error, options.timeout)}", file=sys.stderr)
        return 1
    except Exception as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def _too_slow(error: Exception, timeout: float) -> str:
    """Say what did not happen in time, and what to do on a machine that needs longer."""
    what = error.summary if isinstance(error, AirflowStartTimeout) else str(error)
    if isinstance(error, requests.Timeout):
        what = f"Airflow's API did not answer within {timeout:.0f} s"
    return (
        f"{what}: this machine is slow or busy (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores). "
        f"Give it longer: make demo TIMEOUT={2 * timeout:.0f}"
    )


def _demonstrate(folder: Path, keep: bool, timeout: float) -> None:
    tell = _teller()
    tell("starting the sandbox")
    log, fates = folder / "sandbox.log", _HERE / "fates.json"
    with local_sandbox(log, fates, timeout) as sandbox, local_mail() as mail:
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
        airflow = LocalAirflow(
            _DAGS, env=env, home=folder / "airflow", on_progress=tell, patience=timeout, start_timeout=timeout
        )
        with airflow:
            runs = _start(airflow, folder)
            tell(f"started {', '.join(runs)}")
            watch(airflow, runs, tell, timeout)
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


def _start(airflow: AirflowRest, folder: Path) -> dict[str, str]:
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


def watch(airflow: AirflowRest, runs: dict[str, str], tell: Callable[[str], None], timeout: float) -> None:
    """
    Tell of every task that changes its state until all runs have ended.

    :param runs: DAG -> run id; those that the scheduler starts are added.
    :param timeout: seconds in which something must happen.
    :raises TimeoutError: when nothing does.
    """
    happened = last_sign = time.monotonic()
    told: dict[tuple[str, str], str] = {}
    going = [scenario.dag_id for scenario in SCENARIOS]
    while going:
        for dag_id in list(going):
            if dag_id not in runs:
                if not (begun := airflow.runs(dag_id)):
                    continue
                runs[dag_id] = begun[0]["dag_run_id"]
                tell(f"the scheduler started {dag_id}")
                happened = last_sign = time.monotonic()
            ended = airflow.run_state(dag_id, runs[dag_id]) in ("success", "failed")
            for task in airflow.task_instances(dag_id, runs[dag_id]):
                name = name_of(task)
                if task["state"] in _WORTH_TELLING and told.get((dag_id, name)) != task["state"]:
                    told[dag_id, name] = task["state"]
                    tell(f"{dag_id}: {name} is {task['state']}")
                    happened = last_sign = time.monotonic()
            if ended:
                going.remove(dag_id)
                happened = time.monotonic()
        if going and time.monotonic() > happened + timeout:
            raise TimeoutError(f"Nothing happened for {timeout:.0f} s in {', '.join(going)}")
        if going and time.monotonic() > last_sign + _SILENCE:
            last_sign = time.monotonic()
            tell(f"waiting for {', '.join(going)}")
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
    print(f"What waits:    {airflow.base_url}/plugin/stream-tasks")
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
