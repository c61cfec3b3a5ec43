"""What the settings of a deployment do to a wait: each has a real Airflow of its own."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jwt
import pytest
import requests

from airflow_provider_streamtasks.sandbox import Sandbox, running_sandbox
from local_stack.airflow import Component, LocalAirflow
from local_stack.processes import ChildProcess, signals_held, stop_all
from tests.system.real_stream import PATIENCE, START_TIMEOUT

pytestmark = pytest.mark.system

DAG_FILE = Path(__file__).parent / "dags" / "deployments.py"
ALL: tuple[Component, ...] = ("api-server", "scheduler", "dag-processor", "triggerer")
BUT_THE_TRIGGERER: tuple[Component, ...] = ("api-server", "scheduler", "dag-processor")


class Deployment:
    """An Airflow, and a Stream whose tasks complete at once."""

    def __init__(self, airflow: LocalAirflow, sandbox: Sandbox) -> None:
        self.airflow = airflow
        self._sandbox = sandbox

    def begin(self, dag_id: str) -> str:
        """Start a Stream task and a run that waits for it, and return the run's id."""
        token = jwt.encode({"server": True}, self._sandbox.api_secret, algorithm="HS256")
        answer = requests.post(
            f"{self._sandbox.url}/api/v2/chat/channels/delete",
            params={"api_key": self._sandbox.api_key},
            headers={"Authorization": token, "stream-auth-type": "jwt"},
            json={"cids": ["messaging:a"], "hard_delete": True},
            timeout=30,
        )
        return self.airflow.trigger(dag_id, conf={"stream_task_id": answer.json()["task_id"]})

    def run(self, dag_id: str) -> str:
        """Do the same, wait for the run's end, and return its id."""
        run_id = self.begin(dag_id)
        self.airflow.wait_for_run(dag_id, run_id, timeout=PATIENCE)
        return run_id


@contextmanager
def deployed(folder: Path, components: tuple[Component, ...] = ALL, **settings: str) -> Iterator[Deployment]:
    (folder / "dags").mkdir()
    shutil.copy(DAG_FILE, folder / "dags")
    with running_sandbox() as sandbox:
        sandbox.control.fate(operation="*", pending=0, running=0)
        fields = {"login": sandbox.api_key, "password": sandbox.api_secret, "host": sandbox.url}
        env = {"AIRFLOW_CONN_STREAM_DEFAULT": json.dumps({"conn_type": "stream", **fields}), **settings}
        airflow = LocalAirflow(
            folder / "dags",
            env=env,
            home=folder / "airflow",
            components=components,
            start_timeout=START_TIMEOUT,
        )
        with airflow:
            yield Deployment(airflow, sandbox)


class TestAsInstalled:
    """Airflow's example DAGs are there, as they are unless somebody says no."""

    @pytest.fixture(scope="class")
    @classmethod
    def deployment(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
        with deployed(
            tmp_path_factory.mktemp("installed"), AIRFLOW__CORE__LOAD_EXAMPLES="True"
        ) as deployment:
            yield deployment

    def test_the_listener_among_the_examples_costs_no_worker(self, deployment: Deployment) -> None:
        run_id = deployment.run("deployments")
        assert deployment.airflow.task_instance("deployments", run_id, "wait")["state"] == "success"
        assert deployment.airflow.worker_starts("deployments", run_id, "wait") == 0

    def test_a_scheduler_that_is_slow_to_see_the_end_of_a_worker_fails_nothing(
        self, deployment: Deployment
    ) -> None:
        run_id = deployment.begin("resumed")
        deadline = time.monotonic() + PATIENCE
        while deployment.airflow.task_instance("resumed", run_id, "wait")["state"] != "deferred":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        deployment.airflow.kill("scheduler", signal.SIGSTOP)
        time.sleep(9)
        deployment.airflow.kill("scheduler", signal.SIGCONT)

        assert deployment.airflow.wait_for_run("resumed", run_id) == "success"
        assert deployment.airflow.worker_starts("resumed", run_id, "wait") == 2


class TestQueuesOfTriggerers:
    """One triggerer serves the queue of the Airflow tasks, and none serves those without a queue."""

    @pytest.fixture(scope="class")
    @classmethod
    def deployment(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
        folder = tmp_path_factory.mktemp("queues")
        with deployed(
            folder, components=BUT_THE_TRIGGERER, AIRFLOW__TRIGGERER__QUEUES_ENABLED="True"
        ) as deployment:
            airflow = deployment.airflow
            with signals_held():
                triggerer = ChildProcess(
                    "triggerer",
                    [
                        sys.executable,
                        "-m",
                        "airflow",
                        "triggerer",
                        "--skip-serve-logs",
                        "--queues",
                        "default",
                    ],
                    env=airflow.env,
                    cwd=airflow.home,
                    log=airflow.component_logs / "triggerer.log",
                )
            try:
                yield deployment
            finally:
                stop_all([triggerer], grace=5)

    def test_the_wait_is_served(self, deployment: Deployment) -> None:
        run_id = deployment.run("deployments")
        assert deployment.airflow.task_instance("deployments", run_id, "wait")["state"] == "success"
        log = deployment.airflow.logs("deployments", run_id, "wait")
        assert "because triggerers that serve the queue 'default' would not see it" in log
        assert deployment.airflow.worker_starts("deployments", run_id, "wait") == 1
