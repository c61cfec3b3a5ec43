"""The bundled sandbox as a process of its own."""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_streamtasks.sandbox.control import SandboxControl
from local_stack.processes import ChildProcess, signals_held, stop_all

_READY = re.compile(r"Stream sandbox listening on (http://\S+)")


@dataclass(frozen=True)
class LocalSandbox:
    """
    A running sandbox.

    :param url: where it listens.
    :param api_key: the API key that it takes.
    :param api_secret: the secret that goes with it.
    :param process: what runs it.
    """

    url: str
    api_key: str
    api_secret: str
    process: ChildProcess

    @property
    def control(self) -> SandboxControl:
        """The client that steers it."""
        return SandboxControl(self.url)

    @property
    def connection(self) -> str:
        """An Airflow connection to it, as the value of an ``AIRFLOW_CONN_*`` variable."""
        fields = {"conn_type": "stream", "login": self.api_key, "password": self.api_secret, "host": self.url}
        return json.dumps(fields)


@contextmanager
def local_sandbox(
    log: Path, fates: Path | None = None, timeout: float = 30, seed: int = 0
) -> Iterator[LocalSandbox]:
    """
    Run a sandbox on a free port, with fresh credentials, and stop it whatever happens.

    :param log: the file for its output.
    :param fates: a JSON file with what becomes of Stream tasks.
    :param timeout: seconds until it must listen.
    :param seed: makes faults with a probability repeatable.
    :raises RuntimeError: when it ends by itself; the message has the end of its log.
    :raises TimeoutError: when it needs longer.
    """
    key, secret = secrets.token_hex(6), secrets.token_hex(32)
    argv = [sys.executable, "-m", "airflow_provider_streamtasks.sandbox", "--port", "0"]
    argv += ["--api-key", key, "--api-secret", secret, "--seed", str(seed)]
    if fates:
        argv += ["--fates", str(fates)]
    started: list[ChildProcess] = []
    try:
        with signals_held():
            started.append(ChildProcess("sandbox", argv, env=os.environ, cwd=log.parent, log=log))
        yield LocalSandbox(_url(started[0], timeout), key, secret, started[0])
    finally:
        stop_all(started, grace=3)


def _url(process: ChildProcess, timeout: float) -> str:
    deadline = time.monotonic() + timeout
    while not (ready := _READY.search(process.output())):
        if not process.alive:
            raise RuntimeError(f"the sandbox did not start:\n{process.tail()}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"The sandbox did not start within {timeout:.0f} s")
        time.sleep(0.05)
    return ready[1]
