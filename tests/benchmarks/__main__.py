"""``make bench``: what waiting costs, as ratios of ways that run side by side, interleaved.

Writes ``docs/generated/benchmarks.json``, from which ``tests.benchmarks.tables`` makes the tables.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.protocol.simulation import SHARE, Server, least_delay, mixture_in_minutes, simulate
from tests.servers import self_signed

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "generated" / "benchmarks.json"
REFERENCE = "shared_session"
SECTIONS = ["cold", "few", "cpu", "tls", "sdk", "many", "mixture", "hours", "budget", "recording"]
COLD_ROUNDS = 5
FLOORS = ["by_hand", "httptools_protocol", "raw_protocol"]
WITH_SDK = ["shared_poller", REFERENCE, "official_sdk"]
HOUR_LONG = 200  # Stream tasks
LIMIT, WAITS = 1000, 5000  # polls a minute that Stream takes, and waits that go on at any time


@contextmanager
def serving(*arguments: str) -> Iterator[str]:
    """Run the server in a process of its own; yield its URL."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.server", *arguments],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    try:
        assert server.stdout
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


def start(
    way: str, url: str, n: int, kind: str, spread: float, certificate: Path | None = None
) -> subprocess.Popen[str]:
    """Begin one run in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.one_run", way, url, str(n), kind, str(spread)]
    environment = os.environ | _airflow()
    if certificate:
        environment["REQUESTS_CA_BUNDLE"] = str(certificate)
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def result(run: subprocess.Popen[str]) -> dict[str, float]:
    """Return what a run measured."""
    output, _ = run.communicate()
    if run.returncode:
        raise SystemExit("a run failed; its output is above")
    measured: dict[str, float] = json.loads(output.splitlines()[-1])
    return measured


def interleaved(
    ways: Sequence[str], rounds: int, n: int, kind: str, spread: float, certificate: Path | None = None
) -> dict[str, Any]:
    """Run the ways one after the other, several rounds; return for each what its runs measured.

    :param certificate: PEM file with key and certificate: over TLS.
    """
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for number in range(rounds):
        for way in ways:
            with serving(*(["--certificate", str(certificate)] if certificate else [])) as url:
                runs[way].append(result(start(way, url, n, kind, spread, certificate)))
            print(f"  {kind}, {n:,} waits, round {number + 1}, {way}: {_brief(runs[way][-1])}", flush=True)
    return summary(runs)


def side_by_side(ways: Sequence[str], n: int, kind: str, spread: float) -> dict[str, Any]:
    """Run the ways at the same time, each with a server of its own, where a run takes minutes."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        started = {way: start(way, stack.enter_context(serving()), n, kind, spread) for way in ways}
        runs = {way: [result(run)] for way, run in started.items()}
    for way in ways:
        print(f"  {kind}, {n:,} waits, {way}: {_brief(runs[way][0])}", flush=True)
    return summary(runs)


def cold(rounds: int) -> dict[str, Any]:
    """Return how long the first wait of a process blocks the event loop, with imports on it and beside it."""
    ways = ("on_the_loop", "beside_the_loop")
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    with serving() as url:
        for number in range(rounds):
            for way in ways:
                command = [sys.executable, "-m", "tests.benchmarks.first_wait", way, url]
                run = subprocess.run(
                    command,
                    cwd=ROOT,
                    env=os.environ | _airflow(),
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                )
                runs[way].append(json.loads(run.stdout.splitlines()[-1]))
                stall = 1000 * runs[way][-1]["loop_delay"]
                print(f"  first wait, round {number + 1}, {way}: {stall:.0f} ms", flush=True)
    table: dict[str, Any] = {}
    for way, measured in runs.items():
        pairs = zip(measured, runs["on_the_loop"], strict=True)
        ratios = sorted(run["loop_delay"] / other["loop_delay"] for run, other in pairs)
        table[way] = {name: statistics.median(run[name] for run in measured) for name in measured[0]}
        table[way]["loop_delay_ratio"] = [statistics.median(ratios), ratios[0], ratios[-1]]
    return table


def hours() -> dict[str, Any]:
    """Return what Stream tasks of an hour cost, in virtual time: the plan holds no clock."""
    counted = simulate(HOUR_LONG, lambda dice: dice.uniform(3000, 4200), spread=600)
    delays = sorted(counted.delays)
    polls = counted.polls / HOUR_LONG
    mean, p50, p99 = sum(delays) / HOUR_LONG, delays[HOUR_LONG // 2], delays[int(0.99 * HOUR_LONG)]
    row = {"n": HOUR_LONG, "polls_per_task": polls, "polls_per_task_ratio": polls / 3601.0}
    row |= {"delay_mean": mean, "delay_p50": p50, "delay_p99": p99, "delay_max": delays[-1]}
    print(f"  {polls:.0f} polls a task, delay {mean:.1f}/{p99:.1f}/{delays[-1]:.1f} s", flush=True)
    return {"shared_poller": row}


def budget() -> dict[str, Any]:
    """Return what a budget that is far too small for the waits makes of them, in virtual time."""
    steady: dict[str, Any] = {"refill": True, "lasts": 12_000, "counted_after": 4_000}
    half = LIMIT // 2
    ways: dict[str, tuple[dict[str, Any], Server, float]] = {
        "alone": ({}, Server(LIMIT), SHARE * LIMIT),
        "beside_others": ({}, Server(LIMIT, others=half), SHARE * half),
        "two_triggerers": ({"processes": 2}, Server(LIMIT), SHARE * LIMIT),
    }
    results = {}
    for name, (more, server, ours) in ways.items():
        counted = simulate(WAITS, mixture_in_minutes, server=server, **steady, **more)
        results[name] = {
            "delay_ratio": counted.mean_delay / least_delay(WAITS, ours),
            "delay_mean": counted.mean_delay,
            "delay_p99": counted.p99_delay,
            "delay_max": max(max(counted.delays), counted.longest_open),
            "rejected": len(server.rejected),
        }
        print(f"  {name}: {results[name]}", flush=True)
    return results


def summary(runs: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Return medians, and the ratio of the CPU per poll to the reference's in the same round."""
    table: dict[str, Any] = {}
    for way, measured in runs.items():
        row: dict[str, Any] = {name: statistics.median(run[name] for run in measured) for name in measured[0]}
        if REFERENCE in runs:
            for name in ("cpu_per_poll_ms", "cpu_per_task_ms", "polls_per_task"):
                pairs = zip(measured, runs[REFERENCE], strict=True)
                ratios = sorted(run[name] / reference[name] for run, reference in pairs)
                row[f"{name}_ratio"] = [statistics.median(ratios), ratios[0], ratios[-1]]
        table[way] = row
    return table


def main() -> None:
    """Run what is asked for, and keep the results of the rest."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", choices=SECTIONS, action="append")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in options.only or SECTIONS:
        print(name, flush=True)
        if name == "cpu":
            results[name] = interleaved(
                ["shared_poller", "every_second", REFERENCE, *FLOORS], options.rounds, 1000, "short", 1.0
            )
        elif name == "tls":
            with tempfile.TemporaryDirectory() as folder:
                ways, certificate = ["shared_poller", "every_second", REFERENCE], self_signed(Path(folder))
                results[name] = interleaved(ways, options.rounds, 1000, "short", 1.0, certificate)
        elif name == "cold":
            results[name] = cold(COLD_ROUNDS)
        elif name == "hours":
            results[name] = hours()
        elif name == "budget":
            results[name] = budget()
        elif name == "recording":
            results[name] = interleaved(["unrecorded", "recorded"], options.rounds, 1000, "short", 1.0)
        elif name == "few":
            results[name] = interleaved([*WITH_SDK, "by_hand"], options.rounds, 100, "short", 1.0)
        elif name == "sdk":
            results[name] = interleaved(WITH_SDK, 1, 1000, "short", 1.0)
        elif name == "many":
            ways = ["shared_poller", REFERENCE, "by_hand"]
            results[name] = interleaved(ways, options.rounds, 10_000, "short", 10.0)
        else:
            results[name] = side_by_side(["shared_poller", REFERENCE], 1000, "mixture", 30.0)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def _brief(run: dict[str, float]) -> str:
    return (
        f"{run['cpu_per_poll_ms']:.3f} ms a poll, {run['polls_per_task']:.1f} polls a task, delay "
        f"{run['delay_mean']:.2f}/{run['delay_p99']:.2f} s, loop {1000 * run['loop_delay']:.0f} ms, "
        f"{run['memory_per_wait_kib']:.1f} KiB a wait"
    )


def _airflow() -> dict[str, str]:
    home = Path(tempfile.gettempdir()) / "streamtasks-benchmarks"
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }


if __name__ == "__main__":
    main()
