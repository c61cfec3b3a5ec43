"""What the demo and the system tests ask of Airflow's REST API."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any
from urllib.parse import quote

import requests

_FINISHED = ("success", "failed")
PATIENCE = 90.0
"""Seconds to wait for an answer."""

_ATTEMPTS = 5  # at a call that ends in a 500, which it does where SQLite is locked for too long


class AirflowRestError(RuntimeError):
    """
    Airflow's REST API refused a call.

    :param status: the HTTP status.
    :param body: what it said.
    """

    def __init__(self, status: int, method: str, path: str, body: str) -> None:
        super().__init__(f"{method} {path}: HTTP {status}: {body[:500]}")
        self.status = status
        self.body = body


class AirflowRest:
    """
    A client of Airflow's REST API, logged in where everyone is an admin.

    :param base_url: where the API server listens, such as ``http://127.0.0.1:8080``.
    :param patience: seconds to wait for an answer, or until the DAG processor has read a DAG.
    """

    def __init__(self, base_url: str, patience: float = PATIENCE) -> None:
        self.base_url = base_url
        self.patience = patience
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment is not for a loopback address

    def call(
        self, method: str, path: str, *, params: dict[str, Any] | None = None, body: object = None
    ) -> Any:
        """
        Make a call and return the decoded answer, None if it is empty.

        :param path: below ``/api/v2``.
        :raises AirflowRestError: on every status that is not 2xx.
        """
        if "Authorization" not in self._session.headers:
            self._session.headers["Authorization"] = f"Bearer {self.token()}"
        for attempt in range(_ATTEMPTS):
            answer = self._session.request(
                method,
                f"{self.base_url}/api/v2{path}",
                params=params,
                json=body,
                headers={"Accept": "application/json"},
                timeout=self.patience,
            )
            if answer.status_code != 500:
                break
            time.sleep(attempt)
        if not answer.ok:
            raise AirflowRestError(answer.status_code, method, path, answer.text)
        return answer.json() if answer.content else None

    def token(self) -> str:
        """Return a new API token."""
        answer = self._session.get(f"{self.base_url}/auth/token", timeout=self.patience)
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def health(self) -> dict[str, Any]:
        """Return what the API server knows of every component's health; needs no token."""
        answer = self._session.get(f"{self.base_url}/api/v2/monitor/health", timeout=5)
        answer.raise_for_status()
        health: dict[str, Any] = answer.json()
        return health

    def wait_for_dag(self, dag_id: str, timeout: float | None = None) -> None:
        """
        Wait until the DAG processor has read a DAG.

        :param timeout: seconds (default: the patience).
        :raises RuntimeError: as soon as a file of the DAG folder fails to import.
        :raises TimeoutError: when no file defines the DAG.
        """
        timeout = self.patience if timeout is None else timeout
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.call("GET", _dag(dag_id))
                return
            except AirflowRestError as error:
                if error.status != 404:
                    raise
            if broken := self.call("GET", "/importErrors")["import_errors"]:
                traces = "\n".join(f"{each['filename']}:\n{each['stack_trace']}" for each in broken)
                raise RuntimeError(f"DAG {dag_id!r} is missing and these files do not import:\n{traces}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"no DAG {dag_id!r} in the DAG folder after {timeout:.0f} s")
            time.sleep(0.2)

    def trigger(
        self, dag_id: str, conf: dict[str, Any] | None = None, logical_date: datetime | None = None
    ) -> str:
        """Start a run of a DAG as soon as it is there, unpaused if need be, and return its run id."""
        self.unpause(dag_id)
        date = logical_date.isoformat() if logical_date else None
        run = self.call("POST", f"{_dag(dag_id)}/dagRuns", body={"logical_date": date, "conf": conf or {}})
        return str(run["dag_run_id"])

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler start a DAG, as soon as it is there, by its schedule or its assets."""
        self.wait_for_dag(dag_id)
        self.call("PATCH", _dag(dag_id), body={"is_paused": False})

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the runs of a DAG as the API gives them, oldest first."""
        found = self.call("GET", f"{_dag(dag_id)}/dagRuns", params={"limit": 1000, "order_by": "id"})
        return list(found["dag_runs"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run: ``queued``, ``running``, ``success`` or ``failed``."""
        return str(self.call("GET", _run(dag_id, run_id))["state"])

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 600) -> str:
        """
        Wait until a run has ended, and return ``success`` or ``failed``.

        :param timeout: seconds.
        :raises TimeoutError: with the state of every task.
        """
        deadline = time.monotonic() + timeout
        while (state := self.run_state(dag_id, run_id)) not in _FINISHED:
            if time.monotonic() > deadline:
                tasks = {
                    (each["task_id"], each["map_index"]): each["state"]
                    for each in self.task_instances(dag_id, run_id)
                }
                raise TimeoutError(f"{dag_id} {run_id} is {state} after {timeout:.0f} s: {tasks}")
            time.sleep(0.3)
        return state

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run as the API gives them, in order of task id and map index."""
        found = self.call("GET", f"{_run(dag_id, run_id)}/taskInstances", params={"limit": 1000})
        return sorted(found["task_instances"], key=lambda each: (each["task_id"], each["map_index"]))

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return one task instance as the API gives it."""
        mapped = f"/{map_index}" if map_index >= 0 else ""
        instance: dict[str, Any] = self.call("GET", f"{_task(dag_id, run_id, task_id)}{mapped}")
        return instance

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """
        Return an XCom's value.

        :raises LookupError: when there is none.
        """
        path = f"{_task(dag_id, run_id, task_id)}/xcomEntries/{quote(key, safe='')}"
        try:
            return self.call("GET", path, params={"map_index": map_index, "deserialize": True})["value"]
        except AirflowRestError as error:
            if error.status == 404:
                raise LookupError(f"{dag_id}.{task_id} has no XCom {key!r}") from error
            raise

    def xcom_entries(
        self, dag_id: str, run_id: str = "~", task_id: str = "~", *, page: int = 100
    ) -> list[dict[str, Any]]:
        """
        Return which XComs there are, without their values.

        :param run_id: ``~`` for all of them; so for ``task_id``.
        :param page: how many are asked for at a time.
        """
        entries: list[dict[str, Any]] = []
        while True:
            params = {"limit": page, "offset": len(entries)}
            found = self.call("GET", f"{_task(dag_id, run_id, task_id)}/xcomEntries", params=params)
            entries += found["xcom_entries"]
            if not found["xcom_entries"] or len(entries) >= found["total_entries"]:
                return entries

    def logs(
        self, dag_id: str, run_id: str, task_id: str, try_number: int | None = None, map_index: int = -1
    ) -> str:
        """
        Return the log of one try as text, worker's and triggerer's together; exceptions without traceback.

        :param try_number: counted from 1; the latest if None.
        """
        if try_number is None:
            try_number = max(1, self.task_instance(dag_id, run_id, task_id, map_index)["try_number"])
        path = f"{_task(dag_id, run_id, task_id)}/logs/{try_number}"
        answer = self.call("GET", path, params={"full_content": True, "map_index": map_index})
        return "\n".join(_log_line(entry) for entry in answer["content"])

    def worker_starts(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> int:
        """Return how many times a worker process began to run a task instance, all its tries together."""
        # The execution API writes one "running" event to the audit log whenever a worker reports for
        # duty (also after a deferral), and nothing that happens in the triggerer writes one.
        event = {"event": "running", "map_index": map_index, "limit": 1}
        params = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, **event}
        return int(self.call("GET", "/eventLogs", params=params)["total_entries"])

    def set_state(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1) -> None:
        """Mark a task instance ``success``, ``failed`` or ``skipped``, as a user does in the UI."""
        mapped = f"/{map_index}" if map_index >= 0 else ""
        self.call("PATCH", f"{_task(dag_id, run_id, task_id)}{mapped}", body={"new_state": state})

    def clear(self, dag_id: str, run_id: str, task_ids: list[str]) -> None:
        """Clear tasks of a run, whatever their state, as a user does in the UI, so that they run again."""
        body = {"dag_run_id": run_id, "task_ids": task_ids, "dry_run": False, "only_failed": False}
        self.call("POST", f"{_dag(dag_id)}/clearTaskInstances", body=body)


def _dag(dag_id: str) -> str:
    return f"/dags/{quote(dag_id, safe='')}"


def _run(dag_id: str, run_id: str) -> str:
    return f"{_dag(dag_id)}/dagRuns/{quote(run_id, safe='')}"


def _task(dag_id: str, run_id: str, task_id: str) -> str:
    return f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}"


def _log_line(entry: dict[str, Any] | str) -> str:
    if isinstance(entry, str):
        return entry
    shown = ("timestamp", "level", "event", "error_detail")
    head = " ".join(str(entry[key]) for key in shown[:3] if entry.get(key))
    rest = {key: value for key, value in entry.items() if key not in shown}
    details = json.dumps(rest, default=str, ensure_ascii=False) if rest else ""
    errors = [f"{each['exc_type']}: {each['exc_value']}" for each in entry.get("error_detail") or ()]
    return "\n".join([f"{head} {details}".rstrip(), *errors])
