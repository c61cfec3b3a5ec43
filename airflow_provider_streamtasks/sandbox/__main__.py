"""``python -m airflow_provider_streamtasks.sandbox``: a local Stream API on the command line."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from airflow_provider_streamtasks.sandbox.api import StreamApi
from airflow_provider_streamtasks.sandbox.rules import BadRule
from airflow_provider_streamtasks.sandbox.server import SandboxServer


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sandbox until SIGINT or SIGTERM; the exit status."""
    options = _parser().parse_args(arguments)
    api = StreamApi(
        options.api_key,
        options.api_secret,
        window=options.window,
        seed=options.seed,
        strict=options.strict,
    )
    try:
        for path, add in (
            (options.fates, api.set_fate),
            (options.faults, api.set_fault),
            (options.budgets, api.set_budget),
        ):
            for rule in json.loads(path.read_text()) if path else ():
                add(rule)
        server = SandboxServer(api, options.host, options.port)
        asyncio.run(_serve(server))
    except (BadRule, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def _serve(server: SandboxServer) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    print(f"Stream sandbox listening on {await server.start()}", flush=True)
    await stop.wait()
    await server.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_streamtasks.sandbox",
        description="A local Stream API for tests and rehearsals.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8765, help="0 picks a free one (default: %(default)s)")
    parser.add_argument("--api-key", required=True, help="the API key that clients must use")
    parser.add_argument("--api-secret", required=True, help="the secret that signs their tokens")
    for rules in ("fates", "faults", "budgets"):
        parser.add_argument(f"--{rules}", type=Path, help=f"a JSON file with a list of {rules}")
    parser.add_argument(
        "--window", type=float, default=60.0, help="seconds of a rate limit window (default: %(default)s)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="makes faults with a probability repeatable (default: %(default)s)",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="refuse exports of channels that are not there, and polls of an import v2 without a body",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
