"""DAGs that come from git, where a run keeps the version with which it began; and DAGs of a team."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_streamtasks import _compat
from local_stack.airflow import LocalAirflow
from local_stack.processes import ChildProcess
from local_stack.sandbox import LocalSandbox, local_sandbox

pytestmark = pytest.mark.more

HERE = Path(__file__).parent
DAG = "round_trip"
PATIENCE = 300.0
FATES = [{"operation": "*", "item": "messaging:endless-*", "end": "never"}]
STARTS = 0 if _compat.RUNS_WITHOUT_WORKERS else 2


class Repository:
    """A git repository with one DAG."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(HERE / "versioned", folder)
        self._git("init", "--quiet", "--initial-branch=main")
        self.commit()

    def write_version(self, number: int) -> None:
        """Commit another version."""
        file = self.folder / "round_trip.py"
        file.write_text(file.read_text().replace("VERSION = 1", f"VERSION = {number}"))
        self.commit()

    def commit(self) -> None:
        self._git("add", ".")
        self._git(
            "-c", "user.name=Somebody", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "DAG"
        )

    def _git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSandbox]:
    folder = tmp_path_factory.mktemp("sandbox")
    (folder / "fates.json").write_text(json.dumps(FATES))
    with local_sandbox(folder / "sandbox.log", folder / "fates.json") as sandbox:
        yield sandbox


def bundle(classpath: str, kwargs: dict[str, object], **team: str) -> dict[str, str]:
    described = {"name": "tried", "classpath": classpath, "kwargs": {**kwargs, "refresh_interval": 2}, **team}
    return {"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([described])}


def until_deferred(airflow: LocalAirflow, run_id: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while airflow.task_instance(DAG, run_id, "wait")["state"] != "deferred":
        assert time.monotonic() < deadline
        time.sleep(0.3)


def complete(airflow: LocalAirflow, sandbox: LocalSandbox, run_id: str) -> None:
    sandbox.control.fate(stream_task_id=airflow.xcom(DAG, run_id, "delete"), end="completed")


def test_a_wait_ends_in_the_version_of_the_dag_in_which_it_began(
    sandbox: LocalSandbox, tmp_path: Path
) -> None:
    repository = Repository(tmp_path / "repository")
    env = {
        "AIRFLOW_CONN_STREAM_DEFAULT": sandbox.connection,
        **bundle(
            "airflow.providers.git.bundles.git.GitDagBundle",
            {"repo_url": str(repository.folder), "tracking_ref": "main"},
        ),
    }
    with LocalAirflow(tmp_path, env=env, home=tmp_path / "airflow") as airflow:
        run_id = airflow.trigger(DAG)
        until_deferred(airflow, run_id)
        began = airflow.call("GET", f"/dags/{DAG}/dagRuns/{run_id}")["dag_versions"]
        repository.write_version(2)
        deadline = time.monotonic() + PATIENCE
        while len(airflow.call("GET", f"/dags/{DAG}/dagVersions")["dag_versions"]) < 2:
            assert time.monotonic() < deadline
            time.sleep(1)
        complete(airflow, sandbox, run_id)
        assert airflow.wait_for_run(DAG, run_id, timeout=PATIENCE) == "success"
        assert airflow.xcom(DAG, run_id, "version") == 1
        assert airflow.call("GET", f"/dags/{DAG}/dagRuns/{run_id}")["dag_versions"] == began
        assert airflow.worker_starts(DAG, run_id, "wait") == STARTS


class TeamAirflow(LocalAirflow):
    """An Airflow that knows a team."""

    def _migrate(self, timeout: float) -> None:
        super()._migrate(timeout)
        done = self.cli("teams", "create", "red")
        assert done.returncode == 0, done.stdout + done.stderr

    def _spawn(self, name: str, *args: str) -> ChildProcess:
        return super()._spawn(name, *args, *(("--team-name", "red") if name == "triggerer" else ()))


@pytest.mark.parametrize("of_the_team", [True, False], ids=["connection-of-the-team", "connection-of-none"])
def test_a_triggerer_of_a_team_waits_with_connections_that_belong_to_no_team(
    sandbox: LocalSandbox, tmp_path: Path, of_the_team: bool
) -> None:
    shutil.copytree(HERE / "versioned", tmp_path / "dags")
    env = {
        "AIRFLOW__CORE__MULTI_TEAM": "True",
        "AIRFLOW_CONN__RED___STREAM_DEFAULT": sandbox.connection,
        **({} if of_the_team else {"AIRFLOW_CONN_STREAM_DEFAULT": sandbox.connection}),
        **bundle(
            "airflow.dag_processing.bundles.local.LocalDagBundle",
            {"path": str(tmp_path / "dags")},
            team_name="red",
        ),
    }
    with TeamAirflow(tmp_path / "dags", env=env, home=tmp_path / "airflow") as airflow:
        run_id = airflow.trigger(DAG)
        until_deferred(airflow, run_id)
        complete(airflow, sandbox, run_id)
        state = airflow.wait_for_run(DAG, run_id, timeout=PATIENCE)
        if of_the_team:
            # Airflow's own limit (3.3.2): its triggers have no team.
            assert state == "failed"
            assert "finds only connections that belong to no team" in airflow.logs(DAG, run_id, "wait")
            return
        assert state == "success"
        assert airflow.worker_starts(DAG, run_id, "wait") == STARTS
