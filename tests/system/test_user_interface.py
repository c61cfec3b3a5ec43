"""What a real Airflow's API server hands to the page "Stream tasks", and to whom."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import requests

from airflow_provider_streamtasks._compat import RUNS_WITHOUT_WORKERS
from tests.system.real_stream import PATIENCE, RealStream

pytestmark = pytest.mark.system

DAGS = ("ui_waits", "secret_ui_waits")
WAITS = "/streamtasks/waits"


def token_of(real: RealStream, user: str, role: str) -> str:
    """Return a login of a user, as Airflow's own login makes one."""
    claims = jwt.decode(real.airflow.token(), options={"verify_signature": False})
    secret = real.airflow.env["AIRFLOW__API_AUTH__JWT_SECRET"]
    return jwt.encode({**claims, "sub": user, "role": role}, secret, algorithm="HS512")


@pytest.fixture(scope="session")
def waiting(real: RealStream) -> Iterator[dict[str, str]]:
    """Two DAGs whose Airflow tasks are deferred: DAG -> run id. They are ended afterwards."""
    runs = {dag_id: real.airflow.trigger(dag_id) for dag_id in DAGS}
    deadline = time.monotonic() + 180
    for dag_id, run_id in runs.items():
        while [each["state"] for each in real.airflow.task_instances(dag_id, run_id)].count("deferred") < 3:
            assert time.monotonic() < deadline, real.airflow.task_instances(dag_id, run_id)
            time.sleep(0.5)
    yield runs
    for dag_id, run_id in runs.items():
        real.airflow.call("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", body={"state": "failed"})


def ask(real: RealStream, token: str, path: str = WAITS, **query: Any) -> requests.Response:
    session = requests.Session()
    session.trust_env = False
    headers = {"Authorization": f"Bearer {token}"}
    return session.get(f"{real.airflow.base_url}{path}", params=query, headers=headers, timeout=90)


def test_an_admin_sees_every_wait(real: RealStream, waiting: dict[str, str]) -> None:
    token = token_of(real, "admin", "ADMIN")
    deadline = time.monotonic() + PATIENCE
    answer = ask(real, token).json()
    while not all(each["triggerer"] for each in answer["waits"]):
        assert time.monotonic() < deadline
        time.sleep(0.5)
        answer = ask(real, token).json()
    seen = {(each["dag_id"], each["task_id"], each["map_index"]): each for each in answer["waits"]}
    tasks = {("wait", -1), ("delete_many", -1), ("wait_mapped", 0)}
    assert {(dag_id, *task) for dag_id in DAGS for task in tasks} <= set(seen)

    began_in_triggerer = seen["ui_waits", "wait", -1]
    assert began_in_triggerer["ids_from"] == {"task_id": "delete", "key": "return_value"}
    assert seen["ui_waits", "delete_many", -1]["stream_task_count"] == 2
    assert seen["ui_waits", "wait_mapped", 0]["stream_task_count"] == 1
    assert all(each["triggerer"]["hostname"] for each in seen.values())
    assert all(each["deadline"] > answer["as_of"] > each["since"] for each in seen.values())


def test_a_user_sees_only_waits_of_dags_that_may_be_read(real: RealStream, waiting: dict[str, str]) -> None:
    viewer = token_of(real, "viewer", "VIEWER")
    assert {each["dag_id"] for each in ask(real, viewer).json()["waits"]} & set(DAGS) == {"ui_waits"}
    assert ask(real, viewer, dag_id="secret_ui_waits").status_code == 403


@pytest.mark.parametrize("task_id", ["wait", "delete_many", "delete"])
def test_every_task_instance_has_the_link(real: RealStream, waiting: dict[str, str], task_id: str) -> None:
    run_id = waiting["ui_waits"]
    path = f"/api/v2/dags/ui_waits/dagRuns/{run_id}/taskInstances/{task_id}/links"
    links = ask(real, token_of(real, "admin", "ADMIN"), path).json()["extra_links"]
    assert links["Stream tasks"].startswith("/plugin/stream-tasks?dag_id=ui_waits&run_id=manual__")
    assert links["Stream tasks"].endswith(f"&task_id={task_id}")


def test_the_link_costs_no_worker(real: RealStream, waiting: dict[str, str]) -> None:
    assert real.airflow.worker_starts("ui_waits", waiting["ui_waits"], "wait") == 0


def test_after_a_minute_it_says_what_stream_said_last(real: RealStream, waiting: dict[str, str]) -> None:
    token = token_of(real, "admin", "ADMIN")
    deadline = time.monotonic() + 90 + PATIENCE
    told: dict[str, Any] = {"": None}
    while not all(told.values()):
        assert time.monotonic() < deadline, told
        time.sleep(1)
        waits = ask(real, token, dag_id="ui_waits").json()["waits"]
        told = {each["task_id"]: each["progress"] for each in waits}
    assert {each["status"] for each in told.values()} == {"running"}
    assert {task_id: each["stream_tasks"] for task_id, each in told.items()} == {
        "wait": 1,
        "delete_many": 2,
        "wait_mapped": 1,
    }
    path = (
        f"/api/v2/dags/ui_waits/dagRuns/{waiting['ui_waits']}/taskInstances/wait/xcomEntries/stream_progress"
    )
    assert ask(real, token, path, deserialize=False).json()["value"]["status"] == "running"


if RUNS_WITHOUT_WORKERS:  # the task state store came with the same release, 3.3

    def test_so_does_the_task_state_store_of_a_wait_on_a_worker(
        real: RealStream, waiting: dict[str, str]
    ) -> None:
        run_id, deadline = waiting["ui_waits"], time.monotonic() + 90 + PATIENCE
        path = f"/dags/ui_waits/dagRuns/{run_id}/taskInstances/on_a_worker/state-store"
        found: dict[str, Any] = {}
        while "stream_progress_on_a_worker" not in found:
            assert time.monotonic() < deadline, found
            time.sleep(1)
            entries = real.airflow.call("GET", path)["task_state_store"]
            found = {each["key"]: each["value"] for each in entries}
        real.airflow.set_state("ui_waits", run_id, "on_a_worker", "success")  # it holds a worker
        told = found["stream_progress_on_a_worker"]
        told = json.loads(told) if isinstance(told, str) else told
        assert (told["status"], told["stream_tasks"], told["finished"]) == ("running", 1, 0)


def test_the_command_line_lists_the_waits(real: RealStream, waiting: dict[str, str]) -> None:
    done = real.airflow.cli("stream", "waits", "--dag-id", "ui_waits", "-o", "json", timeout=120)
    assert done.returncode == 0, done.stderr
    assert {each["task_id"] for each in json.loads(done.stdout)} == {"wait", "delete_many", "wait_mapped"}
