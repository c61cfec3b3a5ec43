"""The first wait of a process: ``python -m tests.benchmarks.first_wait WAY URL``.

``beside_the_loop`` is our trigger. ``on_the_loop`` is the same one in a process whose event loop itself
imports what the trigger needs just before, as it would if nobody took care.

Prints one JSON object: the longest stall of the event loop, in seconds.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time

TICK = 0.001
"""Seconds between two looks at whether the event loop stands still."""

LASTS = 0.2
"""Seconds that the Stream task takes."""


def import_all() -> None:
    """Import what the first wait needs."""
    import airflow_provider_streamtasks.hooks.aiohttp_transport
    import airflow_provider_streamtasks.triggers.poller  # noqa: F401


async def first_wait(way: str) -> dict[str, float]:
    """Wait once, and watch the event loop meanwhile."""
    from airflow._shared.module_loading import import_string

    trigger = import_string("airflow_provider_streamtasks.triggers.task.StreamTaskTrigger")
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(TICK)
            longest = max(longest, time.perf_counter() - before - TICK)

    watcher = asyncio.create_task(watch())
    # To look through what Airflow has imported takes a tenth of a second, whoever happens to cause it.
    gc.collect()
    gc.freeze()
    await asyncio.sleep(0.2)
    longest = 0.0
    if way == "on_the_loop":
        import_all()
    task_id = f"{time.time() + LASTS:.6f}-first"
    async for event in trigger("bench", [task_id], time.time(), 60.0, 0.1, 1.0).run():
        assert event.payload["outcome"] == "completed", event.payload
    watcher.cancel()
    return {"loop_delay": longest}


def main() -> None:
    """Wait, and print."""
    way, url = sys.argv[1:]
    connection = {"conn_type": "stream", "login": "key", "password": "secret" * 6, "host": url}
    os.environ["AIRFLOW_CONN_BENCH"] = json.dumps(connection)
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"
    import airflow.jobs.triggerer_job_runner  # noqa: F401 - what a triggerer has imported by then

    print(json.dumps(asyncio.run(first_wait(way))))


if __name__ == "__main__":
    main()
