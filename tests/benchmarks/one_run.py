"""One run of one way, in a process of its own: ``python -m tests.benchmarks.one_run WAY URL N DURATIONS``.

Prints one JSON object: CPU, polls, delays, the largest delay of the event loop, memory.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import resource
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

IDLE = 3.0
"""Seconds without any wait, in which is measured what the measuring itself costs."""


def durations(name: str, n: int, seed: int = 7) -> Iterator[float]:
    """Yield the seconds that each Stream task takes."""
    dice = random.Random(seed)
    for _ in range(n):
        kind = dice.random()
        if name == "mixture":
            low, high = (2, 10) if kind < 0.7 else (10, 60) if kind < 0.95 else (60, 300)
            yield dice.uniform(low, high)
        elif name == "short":
            yield dice.uniform(2, 20)
        else:
            yield float(name)


async def run(way: str, url: str, n: int, kind: str, spread: float) -> dict[str, float]:
    """Wait for ``n`` Stream tasks that begin within ``spread`` seconds."""
    from tests.benchmarks.ways import WAYS

    delays: list[float] = []
    largest = 0.0
    stop = False

    async def watch() -> None:
        nonlocal largest
        while not stop:
            before = time.perf_counter()
            await asyncio.sleep(0.02)
            largest = max(largest, time.perf_counter() - before - 0.02)

    async def one(wait, number: int, seconds: float, after: float) -> None:  # type: ignore[no-untyped-def]
        await asyncio.sleep(after)
        ends = time.time() + seconds
        await wait(f"{ends:.6f}-{number}")
        delays.append(time.time() - ends)

    dice = random.Random(1)
    async with WAYS[way](url) as wait:
        warm = f"{time.time():.6f}-warm"
        await wait(warm)
        # What Airflow has imported is a million objects. To look through them takes a tenth of a second, and
        # would be counted to whoever happens to cause it.
        gc.collect()
        gc.freeze()
        watcher = asyncio.create_task(watch())
        idle = time.process_time()
        await asyncio.sleep(IDLE)
        idle = (time.process_time() - idle) / IDLE
        polls, memory = statistics(url)["answered"], resident()
        cpu, wall = time.process_time(), time.perf_counter()
        jobs = []
        for i, seconds in enumerate(durations(kind, n)):
            jobs.append(asyncio.create_task(one(wait, i, seconds, dice.uniform(0, spread))))
            if i % 100 == 0:
                await asyncio.sleep(0)  # what the benchmark itself does must not stall the loop
        peak, largest = memory, 0.0
        while not all(job.done() for job in jobs):
            await asyncio.sleep(0.5)
            peak = max(peak, resident())
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        cpu -= idle * wall
        stop = True
        await watcher
        for job in jobs:
            job.result()
        counted = statistics(url)
    polls = counted["answered"] - polls
    delays.sort()
    return {
        "n": n,
        "cpu": cpu,
        "wall": wall,
        "polls": polls,
        "cpu_per_poll_ms": 1000 * cpu / polls,
        "cpu_per_task_ms": 1000 * cpu / n,
        "polls_per_task": polls / n,
        "delay_mean": sum(delays) / n,
        "delay_p50": delays[n // 2],
        "delay_p99": delays[int(n * 0.99)],
        "delay_max": delays[-1],
        "loop_delay": largest,
        "memory_per_wait_kib": (peak - memory) / n / 1024,
        "rejected": len(counted["rejected"]),
    }


def resident() -> int:
    """Return this process's memory in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def statistics(url: str) -> Any:
    """Return what the server has counted."""
    import ssl

    context = ssl.create_default_context(cafile=os.environ.get("REQUESTS_CA_BUNDLE"))
    with urllib.request.urlopen(f"{url}/statistics", context=context) as answer:
        return json.load(answer)


def main() -> None:
    """Run, and print."""
    way, url, n, kind, spread = sys.argv[1:]
    connection = {"conn_type": "stream", "login": "key", "password": "secret" * 6, "host": url}
    os.environ["AIRFLOW_CONN_BENCH"] = json.dumps(connection)
    # What is compared is polling: the other ways write no log at all.
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"
    print(json.dumps(asyncio.run(run(way, url, int(n), kind, float(spread)))))


if __name__ == "__main__":
    main()
