"""
How much longer than its budget demands a submission takes: ``python -m tests.benchmarks.budget_use``.

Stream's minute is scaled down to a few seconds. The least time that a budget demands is that of the windows
which have to pass before the last request may leave, counted from the beginning of a window. What is above it
is ours: the answers' way, the ledger, and coming back late after a pause.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time

import tests.conftest  # noqa: F401 - settings of Airflow, before anything imports it
from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.sandbox import Sandbox, running_sandbox
from tests.airflow_tasks import Run

ALLOWED = 1.1


def main() -> int:
    """Measure, print a table, and return 1 if it took too long or Stream refused a request."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.budget_use")
    parser.add_argument("--limit", type=int, default=60, help="requests in a window (default: %(default)s)")
    parser.add_argument("--window", type=int, default=3, help="seconds of a window (default: %(default)s)")
    parser.add_argument("--windows", type=int, default=8, help="windows to fill (default: %(default)s)")
    options = parser.parse_args()
    print(f"{'share':>5}  {'requests':>8}  {'least s':>7}  {'took s':>7}  {'ratio':>5}  {'refused':>7}")
    fine = True
    with running_sandbox(window=options.window) as sandbox:
        sandbox.control.budget("DeleteChannels", limit=options.limit)
        for share in (1.0, 0.8, 0.5):
            requests = int(options.limit * share) * options.windows
            took, refused = measure(sandbox, share, requests, options.window)
            least = (options.windows - 1) * options.window
            print(
                f"{share:5.1f}  {requests:8}  {least:7.1f}  {took:7.1f}  {took / least:5.2f}  {refused:7}",
                flush=True,
            )
            fine = fine and not refused and took / least <= ALLOWED
    return 0 if fine else 1


def measure(sandbox: Sandbox, share: float, requests: int, window: int) -> tuple[float, int]:
    """Return the seconds that a number of requests took, and how many of them Stream refused."""
    os.environ["AIRFLOW_CONN_STREAM_DEFAULT"] = json.dumps(
        {
            "conn_type": "stream",
            "login": sandbox.api_key,
            "password": sandbox.api_secret,
            "host": sandbox.url,
            "extra": {"rate_limit_share": share},
        }
    )
    cids = [f"messaging:{number}" for number in range(100 * requests)]
    before = len(sandbox.control.journal())
    time.sleep(window - time.time() % window)
    start = time.monotonic()
    Run().execute(lambda: StreamDeleteChannelsOperator(task_id="delete", cids=cids, hard_delete=True))
    took = time.monotonic() - start
    sent = sandbox.control.journal("DeleteChannels", after=before)
    assert len([entry for entry in sent if entry["taken"]]) == requests
    return took, len([entry for entry in sent if not entry["taken"]])


if __name__ == "__main__":
    logging.disable()
    sys.exit(main())
