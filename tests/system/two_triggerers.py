"""A real Airflow with two triggerers that die and stall as a test says."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import jwt
import requests

from airflow_provider_streamtasks.sandbox import Sandbox
from local_stack.airflow import LocalAirflow
from local_stack.processes import ChildProcess, signals_held, stop_all
from tests.chaos.postgres import Postgres
from tests.system.collector import Collector
from tests.system.real_stream import PATIENCE

SETTINGS = {
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    # Seconds without a heartbeat after which a triggerer's waits move to another.
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
}


def until(happened: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
    """Wait until something true comes back, and return it."""
    deadline = time.monotonic() + timeout
    while not (result := happened()):
        assert time.monotonic() < deadline, f"not in {timeout:.0f} s: {what}"
        time.sleep(0.3)
    return result


class Triggerer:
    """A triggerer beside the other components of an Airflow."""

    def __init__(self, airflow: LocalAirflow, database: Postgres, name: str) -> None:
        self.airflow = airflow
        self.database = database
        self.name = name
        self.job_id = 0
        self._process: ChildProcess | None = None

    def start(self) -> None:
        """Start it, and return when it is at work."""
        ((newest,),) = query(self.database, "SELECT coalesce(max(id), 0) FROM job")
        with signals_held():
            self._process = ChildProcess(
                self.name,
                [sys.executable, "-m", "airflow", "triggerer", "--skip-serve-logs"],
                env=self.airflow.env,
                cwd=self.airflow.home,
                log=self.airflow.component_logs / f"{self.name}.log",
            )
        sql = (
            "SELECT id FROM job WHERE id > %s AND job_type = 'TriggererJob' AND latest_heartbeat > start_date"
        )
        ((self.job_id,),) = until(lambda: query(self.database, sql, newest), f"{self.name} is at work")

    def signal(self, number: int) -> None:
        """Send a signal to it and to all that it spawned."""
        assert self._process
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it with all that it spawned."""
        self.signal(signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self._process:
            stop_all([self._process], grace=5)

    def heartbeat(self) -> Any:
        """Return when it was last heard of."""
        ((heartbeat,),) = query(self.database, "SELECT latest_heartbeat FROM job WHERE id = %s", self.job_id)
        return heartbeat

    def waits(self) -> set[str]:
        """Return the Airflow tasks whose waits it has."""
        sql = "SELECT task_id FROM task_instance JOIN trigger t ON t.id = trigger_id WHERE triggerer_id = %s"
        return {task_id for (task_id,) in query(self.database, sql, self.job_id)}


@dataclass
class Rig:
    """An Airflow with two triggerers, and Stream tasks that end when a test says so."""

    airflow: LocalAirflow
    database: Postgres
    sandbox: Sandbox
    collector: Collector
    one: Triggerer
    two: Triggerer

    def busier_first(self) -> list[Triggerer]:
        """Return the triggerers, first that with more waits."""
        return sorted((self.one, self.two), key=lambda triggerer: -len(triggerer.waits()))

    def start_stream_task(self) -> str:
        """Start a Stream task, and return its id."""
        token = jwt.encode({"server": True}, self.sandbox.api_secret, algorithm="HS256")
        answer = requests.post(
            f"{self.sandbox.url}/api/v2/chat/channels/delete",
            params={"api_key": self.sandbox.api_key},
            headers={"Authorization": token, "stream-auth-type": "jwt"},
            json={"cids": ["messaging:a"], "hard_delete": True},
            timeout=30,
        )
        return str(answer.json()["task_id"])

    def end(self, stream_task_ids: Iterable[str], how: str = "completed") -> None:
        """End Stream tasks."""
        for stream_task_id in stream_task_ids:
            self.sandbox.control.fate(stream_task_id=stream_task_id, end=how)

    def asked_for(self) -> set[str]:
        """Return the Stream tasks and imports that somebody has looked at."""
        return {entry["path"].rsplit("/", 1)[-1] for entry in self.sandbox.control.journal()}

    def states(self, run_id: str) -> dict[str, str]:
        """Return Airflow task -> state, without asking the API server."""
        return dict(
            query(self.database, "SELECT task_id, state FROM task_instance WHERE run_id = %s", run_id)
        )

    def xcoms(self, dag_id: str, run_id: str, task_id: str) -> list[str]:
        """Return the keys of an Airflow task's XComs, but for Airflow's own."""
        entries = self.airflow.xcom_entries(dag_id, run_id, task_id)
        return [entry["key"] for entry in entries if not entry["key"].startswith("_")]


def query(database: Postgres, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Ask Airflow's database."""
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
