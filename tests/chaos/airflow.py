"""An Airflow as it runs in production, whose parts can be killed: PostgreSQL, a broker, Celery workers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from local_stack.airflow import LocalAirflow
from local_stack.processes import stop_all
from tests.chaos.plan import WORKERS
from tests.chaos.postgres import Postgres

_REPOSITORY = Path(__file__).parents[2]
_SLOTS = 4  # Airflow tasks that one worker runs at a time
_NICE = 10  # on one machine, workers would starve those who serve them

# The defaults are for clusters that nobody kills all the time: these only make Airflow notice it sooner.
_SETTINGS = {
    "CORE__EXECUTOR": "CeleryExecutor",
    # Hardly more than the workers have slots: what waits in Celery's queue is past all priorities.
    "CORE__PARALLELISM": str(len(WORKERS) * _SLOTS + 2),
    "CORE__MAX_ACTIVE_TASKS_PER_DAG": "1000",
    "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",
    "CELERY__WORKER_CONCURRENCY": str(_SLOTS),
    "SCHEDULER__JOB_HEARTBEAT_SEC": "2",
    "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "5",
    "SCHEDULER__TASK_QUEUED_TIMEOUT": "40",
    "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
    "SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "20",
    "TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
    "WORKERS__EXECUTION_API_TIMEOUT": "5",
    "WORKERS__EXECUTION_API_RETRIES": "12",
    "WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "5",
}

_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
    **{
        name: ("celery", "worker", "-H", name, "--skip-serve-logs", "--without-mingle", "--without-gossip")
        for name in WORKERS
    },
}


class ChaosAirflow(LocalAirflow):
    """
    An Airflow on PostgreSQL, with two Celery workers, whose parts are killed and started again.

    :param postgres: its database, and Celery's results
    :param broker_url: where Celery's messages go
    """

    def __init__(
        self, dags_folder: Path, *, postgres: Postgres, broker_url: str, env: Mapping[str, str], home: Path
    ) -> None:
        settings = {
            **_SETTINGS,
            "DATABASE__SQL_ALCHEMY_CONN": postgres.url,
            "CELERY__BROKER_URL": broker_url,
            "CELERY__RESULT_BACKEND": f"db+{postgres.url}",
        }
        settings = {f"AIRFLOW__{name}": value for name, value in settings.items()}
        env = {**settings, "PYTHONPATH": str(_REPOSITORY), **env}
        super().__init__(dags_folder, env=env, home=home, start_timeout=180)

        self._read_from: dict[str, int] = {}

    def __enter__(self) -> ChaosAirflow:
        super().__enter__()
        return self

    def start(self, timeout: float | None = None) -> None:
        """Start every component and the workers, and return when all are at work."""
        timeout = self.start_timeout if timeout is None else timeout
        super().start(timeout)
        try:
            for name in WORKERS:
                self.revive(name)
            deadline = time.monotonic() + timeout
            while not all(map(self.worker_is_ready, WORKERS)):
                if time.monotonic() > deadline:
                    raise TimeoutError("the workers do not come up")
                time.sleep(0.2)
        except BaseException:
            self.stop()
            raise

    def shoot(self, name: str) -> None:
        """Send SIGKILL to a component and all that it spawned, and return when all is gone."""
        process = self._processes[name]
        process.send_signal(signal.SIGKILL)
        stop_all([process], grace=0)

    def revive(self, name: str) -> None:
        """Start a component that is gone, and do not wait for it."""
        if name in self._processes:
            stop_all([self._processes[name]], grace=0)  # what it left behind
        log = self.component_logs / f"{name}.log"
        self._read_from[name] = log.stat().st_size if log.exists() else 0
        process = self._spawn(name, *_ARGUMENTS[name])
        if name in WORKERS:
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)

    def gone(self) -> list[str]:
        """Return the components that have ended, by themselves or killed."""
        return [name for name in _ARGUMENTS if not self._processes[name].alive]

    def pids_of_tasks(self) -> set[int]:
        """Return the processes that belong to the workers."""
        return {pid for name in WORKERS for pid in self._processes[name].members()}

    def worker_is_ready(self, name: str) -> bool:
        """Tell whether a worker takes Airflow tasks since it was last started."""
        with self._processes[name].log.open(errors="replace") as log:
            log.seek(self._read_from[name])
            return f"{name} ready." in log.read()
