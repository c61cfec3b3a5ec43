"""A real Airflow on this machine: SQLite, LocalExecutor, and each component a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Literal, get_args

import requests

from local_stack.ports import free_port
from local_stack.processes import ChildProcess, ended_as_by_ctrl_c, signals_held, stop_all
from local_stack.rest import PATIENCE, AirflowRest

Component = Literal["api-server", "scheduler", "dag-processor", "triggerer"]
COMPONENTS: tuple[Component, ...] = get_args(Component)

# All share one log folder, so nobody needs to serve logs to anybody.
_ARGUMENTS: dict[Component, tuple[str, ...]] = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}

_AIRFLOW = (sys.executable, "-m", "airflow")
_STOP_GRACE = 5.0  # seconds between SIGTERM and SIGKILL
_REPORT_INTERVAL = 5.0  # seconds between two signs of life while nothing happens


class AirflowStartError(RuntimeError):
    """A component of the local Airflow died or did not become healthy; the message has the end of its log."""


class AirflowStartTimeout(AirflowStartError, TimeoutError):
    """
    The local Airflow needs longer to start than it was given.

    :param summary: what was not ready, in a sentence without its end.
    :param logs: the end of the logs.
    """

    def __init__(self, summary: str, logs: str) -> None:
        super().__init__(f"{summary}:\n{logs}")
        self.summary = summary


class LocalAirflow(AirflowRest):
    """
    Airflow in a folder of its own, with scheduler, DAG processor, API server and triggerer.

    A context manager that starts it and stops everything that it started, whatever happens: an
    exception, Ctrl-C, SIGTERM. It takes free ports, and nothing from ``~/airflow`` nor from
    ``AIRFLOW*`` variables of the environment. The UI at :attr:`base_url` asks for no login.

    :param dags_folder: the DAGs to serve.
    :param env: further environment of all components, such as ``AIRFLOW_CONN_STREAM_DEFAULT`` or
        ``AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC``.
    :param home: a new or empty folder that outlives us; a temporary one if None.
    :param keep_home: leave the temporary folder, with its logs, in place.
    :param on_progress: is called with a line of text at every step of the start and the stop.
    :param components: what to start; the API server must be among them.
    :param patience: seconds to wait for an answer of its API, or until it has read a DAG.
    :param start_timeout: seconds for the start.
    """

    def __init__(
        self,
        dags_folder: Path | str,
        *,
        env: Mapping[str, str] | None = None,
        home: Path | str | None = None,
        keep_home: bool = False,
        on_progress: Callable[[str], None] | None = None,
        components: tuple[Component, ...] = COMPONENTS,
        patience: float = PATIENCE,
        start_timeout: float = 120,
    ) -> None:
        port = free_port()
        super().__init__(f"http://127.0.0.1:{port}", patience)
        self.dags_folder = Path(dags_folder).resolve()
        self.keep_home = keep_home or home is not None
        self.components = components
        self.start_timeout = start_timeout
        if home is None:
            self.home = Path(tempfile.mkdtemp(prefix="airflow-")).resolve()
        else:
            self.home = Path(home).resolve()
            self.home.mkdir(parents=True, exist_ok=True)
            if any(self.home.iterdir()):
                raise ValueError(f"{self.home} is not empty: a local Airflow needs a folder of its own")
        self.database = self.home / "airflow.db"
        self.task_logs = self.home / "logs"
        self.component_logs = self.home / "components"
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
            **_settings(self.home, self.dags_folder, port),
            **(env or {}),
        }
        self._progress = on_progress or (lambda line: None)
        self._processes: dict[str, ChildProcess] = {}
        self._cleanup = ExitStack()

    def __enter__(self) -> LocalAirflow:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, timeout: float | None = None) -> None:
        """
        Start every component and return when all are healthy.

        :param timeout: seconds, for all of it (default: ``start_timeout``).
        :raises AirflowStartTimeout: when it takes longer; everything is stopped again.
        :raises AirflowStartError: when it fails; everything is stopped again.
        """
        began = time.monotonic()
        timeout = self.start_timeout if timeout is None else timeout
        self._cleanup.enter_context(ended_as_by_ctrl_c())
        try:
            self.component_logs.mkdir()
            self._progress("creating Airflow's database")
            self._migrate(timeout)
            self._progress(f"database ready after {time.monotonic() - began:.1f} s, starting the components")
            since = datetime.now(timezone.utc)
            for component in self.components:
                self._spawn(component, *_ARGUMENTS[component])
            self._wait_until_healthy(self.components, since, began, timeout)
        except BaseException:
            self.stop()
            raise
        self._progress(f"Airflow is ready after {time.monotonic() - began:.1f} s: {self.base_url}")

    def stop(self) -> None:
        """Stop all that was started, and remove the temporary home unless it is to be kept."""
        with self._cleanup, signals_held():
            try:
                self._progress("stopping Airflow")
            finally:  # even when nobody listens any more
                self._session.close()  # the API server waits for open connections before it ends
                stop_all(self._processes.values(), grace=_STOP_GRACE)
                self._processes.clear()
                if not self.keep_home:
                    shutil.rmtree(self.home, ignore_errors=True)

    def kill(self, component: Component, number: int = signal.SIGKILL) -> None:
        """Send a signal to a component and to all that it spawned; return after SIGKILL when all is gone."""
        process = self._processes[component]
        process.send_signal(number)
        if number == signal.SIGKILL:
            stop_all([process], grace=0)

    def restart(self, component: Component, timeout: float | None = None) -> None:
        """
        Start a component anew, stopping it first if it still runs, and return when it is healthy.

        :param timeout: seconds (default: ``start_timeout``).
        """
        timeout = self.start_timeout if timeout is None else timeout
        stop_all([self._processes[component]], grace=_STOP_GRACE)
        since = datetime.now(timezone.utc)
        self._spawn(component, *_ARGUMENTS[component])
        self._wait_until_healthy((component,), since, time.monotonic(), timeout)

    def component_log(self, component: Component) -> Path:
        """Return the file with a component's output, all its lives together."""
        return self.component_logs / f"{component}.log"

    def cli(self, *args: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """
        Run ``airflow ARGS`` in this Airflow and return its exit code and output.

        :param timeout: seconds.
        """
        return subprocess.run(
            [*_AIRFLOW, *args], env=self.env, cwd=self.home, capture_output=True, text=True, timeout=timeout
        )

    def _migrate(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        migration = self._spawn("migration", "db", "migrate")
        while True:
            try:
                code = migration.wait(max(0.0, min(_REPORT_INTERVAL, deadline - time.monotonic())))
                break
            except TimeoutError as error:
                if time.monotonic() >= deadline:
                    summary = f"Airflow's database was not ready after {timeout:.0f} s"
                    raise AirflowStartTimeout(summary, migration.tail()) from error
                self._progress("waiting for the database")
        if code:
            raise AirflowStartError(f"`airflow db migrate` ended with code {code}:\n{migration.tail()}")

    def _spawn(self, name: str, *args: str) -> ChildProcess:
        log = self.component_logs / f"{name}.log"
        with signals_held():
            self._processes[name] = ChildProcess(
                name, [*_AIRFLOW, *args], env=self.env, cwd=self.home, log=log
            )
        return self._processes[name]

    def _wait_until_healthy(
        self, components: tuple[Component, ...], since: datetime, began: float, timeout: float
    ) -> None:
        """Wait for a sign of life later than ``since``: a killed component counts as healthy for a while."""
        reported = time.monotonic()
        waiting = list(components)
        while True:
            for component in list(waiting):
                process = self._processes[component]
                if not process.alive:
                    raise AirflowStartError(f"{component} ended by itself:\n{process.tail()}")
                if self._heard_of(component, since):
                    waiting.remove(component)
                    self._progress(f"{component} is healthy after {time.monotonic() - began:.1f} s")
            if not waiting:
                return
            if time.monotonic() > began + timeout:
                tails = "\n".join(f"--- {name}\n{self._processes[name].tail()}" for name in waiting)
                summary = f"Airflow's {', '.join(waiting)} did not start within {timeout:.0f} s"
                raise AirflowStartTimeout(summary, tails)
            if time.monotonic() > reported + _REPORT_INTERVAL:
                reported = time.monotonic()
                self._progress(f"waiting for {', '.join(waiting)}")
            time.sleep(0.2)

    def _heard_of(self, component: Component, since: datetime) -> bool:
        try:
            health = self.health()
        except requests.RequestException:
            return False
        if component == "api-server":  # it has just answered
            return True
        key = component.replace("-", "_")
        heartbeat = health[key][f"latest_{key}_heartbeat"]
        return heartbeat is not None and datetime.fromisoformat(heartbeat.replace("Z", "+00:00")) > since


def _settings(home: Path, dags_folder: Path, port: int) -> dict[str, str]:
    # Secrets are fixed: every process must know the same ones, and they guard nothing but a loopback port.
    api = f"http://127.0.0.1:{port}"
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__FERNET_KEY": "bG9jYWwtYWlyZmxvdy1mb3ItZGVtby1hbmQtdGVzdHM=",
        # Without this, workers call port 8080.
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{api}/execution/",
        # Seconds until a component gives up, and dies, because another one writes. The default is 5.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=60",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": api,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": "local-airflow-for-demo-and-tests",
        "AIRFLOW__API_AUTH__JWT_SECRET": "local-airflow-for-demo-and-tests" * 2,
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        # Nobody serves logs here: ask no other Airflow of this machine, on the usual ports, for them.
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": "1",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        # A file that has not changed is not parsed again: on a small machine that alone keeps a core busy.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
        # A busy machine answers later than after the usual 5 seconds.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # Workers reach the API server, and the sandbox, past any proxy of the environment.
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1,localhost"])),
        "no_proxy": ",".join(filter(None, [os.environ.get("no_proxy"), "127.0.0.1,localhost"])),
    }
