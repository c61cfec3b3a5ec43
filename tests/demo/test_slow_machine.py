"""The demo on a machine that needs its time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from demo.__main__ import watch
from demo.scenarios import SCENARIOS
from local_stack.rest import AirflowRest
from tests.servers import playing_airflow

ROOT = Path(__file__).resolve().parents[2]


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "demo", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_too_slow_a_start_is_one_sentence_with_the_way_out_and_leaves_nothing_running() -> None:
    # No Airflow is up within four seconds; the sandbox is.
    done = run_demo("--timeout", "4")
    assert done.returncode == 1
    last, *others = reversed(done.stderr.strip().splitlines())
    assert "4 s: this machine is slow or busy (load " in last
    assert last.endswith("Give it longer: make demo TIMEOUT=8")
    assert "Traceback" not in done.stderr
    assert len(others) <= 2  # where the logs are
    folder = next(line for line in done.stderr.splitlines() if line.startswith("The logs are in "))
    folder = folder.removeprefix("The logs are in ")
    assert not [each.pid for each in psutil.process_iter(["cmdline"]) if folder in str(each.info["cmdline"])]


@pytest.mark.parametrize("seconds", ["0", "-1", "nan"])
def test_no_time_at_all_is_refused(seconds: str) -> None:
    done = run_demo("--timeout", seconds)
    assert done.returncode == 2
    assert f"--timeout is {float(seconds):g}: a number of seconds above 0 is needed" in done.stderr


def tasks_of(states: list[str]) -> list[dict[str, Any]]:
    return [{"task_id": f"t{i}", "map_index": -1, "state": state} for i, state in enumerate(states)]


@contextmanager
def airflow(seconds: float, steps: int, ends: bool = True) -> Iterator[AirflowRest]:
    """Play an Airflow in whose runs one task ends each so many seconds."""
    began = time.monotonic()

    def answer(path: str) -> Any:
        done = min(steps, int((time.monotonic() - began) / seconds))
        if path.endswith("/taskInstances"):
            return {"task_instances": tasks_of(["success"] * done + ["running"] * (steps - done))}
        return {"state": "success" if ends and done == steps else "running"}

    with playing_airflow(answer) as url:
        yield AirflowRest(url)


def all_runs() -> dict[str, str]:
    return {scenario.dag_id: "run" for scenario in SCENARIOS}


def test_a_machine_on_which_something_happens_now_and_then_gets_as_long_as_it_needs() -> None:
    told: list[str] = []
    began = time.monotonic()
    with airflow(seconds=1.2, steps=4) as slow:
        watch(slow, all_runs(), told.append, timeout=4)
    assert time.monotonic() - began > 4.5
    assert f"{SCENARIOS[0].dag_id}: t3 is success" in told


def test_where_nothing_happens_any_more_that_is_reported_with_the_dags_that_wait() -> None:
    said = "Nothing happened for 2 s in nightly_channel_report, "
    with airflow(seconds=0.2, steps=2, ends=False) as stuck, pytest.raises(TimeoutError, match=said):
        watch(stuck, all_runs(), lambda line: None, timeout=2)


def test_make_hands_the_time_on() -> None:
    made = subprocess.run(
        ["make", "-n", "demo", "TIMEOUT=900", "KEEP=1"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "-m demo --keep --timeout 900" in made.stdout
