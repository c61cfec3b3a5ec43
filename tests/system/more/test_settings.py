"""The provider under settings of Airflow that few have: ``make system-more``."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from airflow_provider_streamtasks import _compat
from tests.system.more.conftest import RarelyMet

pytestmark = pytest.mark.more

OK = {"status": "ok"}
PATIENCE = 300.0


class TestXComBackendAndSecretsBackend:
    """Neither the XComs nor the connection are where they usually are."""

    @pytest.fixture(scope="class")
    @classmethod
    def run_id(cls, rarely_met: RarelyMet) -> str:
        run_id = rarely_met.airflow.trigger("one_after_the_other")
        rarely_met.airflow.wait_for_run("one_after_the_other", run_id, timeout=PATIENCE)
        return run_id

    def test_a_sensor_finds_the_stream_task_and_the_next_task_its_result(
        self, rarely_met: RarelyMet, run_id: str
    ) -> None:
        assert rarely_met.airflow.run_state("one_after_the_other", run_id) == "success"
        told = rarely_met.airflow.xcom("one_after_the_other", run_id, "tell")
        assert json.loads(self.content(rarely_met, told)) == {"got": {"messaging:a": OK}}

    def test_it_needs_as_few_workers_as_otherwise(self, rarely_met: RarelyMet, run_id: str) -> None:
        starts = rarely_met.airflow.worker_starts("one_after_the_other", run_id, "wait")
        assert starts == (0 if _compat.RUNS_WITHOUT_WORKERS else 2)

    def test_every_xcom_went_through_the_backend(self, rarely_met: RarelyMet, run_id: str) -> None:
        kept = [json.loads(path.read_text()) for path in rarely_met.xcoms.iterdir()]
        assert {"messaging:a": OK} in kept
        stream_task_id = next(task["stream_task_id"] for task in rarely_met.sandbox.control.tasks())
        assert stream_task_id in kept

    def test_an_operator_that_waits_ends_alike(self, rarely_met: RarelyMet) -> None:
        run_id = rarely_met.airflow.trigger("waits_by_itself")
        assert rarely_met.airflow.wait_for_run("waits_by_itself", run_id, timeout=PATIENCE) == "success"

    @staticmethod
    def content(rarely_met: RarelyMet, where: Any) -> str:
        """Return the file that the API names, or what it has read by itself."""
        if isinstance(where, str) and where.startswith("xcom-file://"):
            (path,) = (each for each in rarely_met.xcoms.iterdir() if each.name == where.rpartition("/")[2])
            return path.read_text()
        return json.dumps(where)


class TestPools:
    """Three sensors share a pool with one slot."""

    @pytest.mark.parametrize(("include_deferred", "at_once"), [(True, 1), (False, 3)])
    def test_as_many_wait_at_once_as_the_pool_lets(
        self, rarely_met: RarelyMet, include_deferred: bool, at_once: int
    ) -> None:
        airflow = rarely_met.airflow
        pool = {"slots": 1, "include_deferred": include_deferred}
        known = {each["name"] for each in airflow.call("GET", "/pools")["pools"]}
        if "narrow" in known:
            airflow.call("PATCH", "/pools/narrow", body={"pool": "narrow", **pool})
        else:
            airflow.call("POST", "/pools", body={"name": "narrow", **pool})
        run_id = airflow.trigger("in_a_pool")
        most = max(self.deferred(rarely_met, run_id))
        assert airflow.run_state("in_a_pool", run_id) == "success"
        assert most == at_once

    def deferred(self, rarely_met: RarelyMet, run_id: str) -> Iterator[int]:
        """Yield how many sensors are deferred, again and again until the run has ended."""
        deadline = time.monotonic() + PATIENCE
        while rarely_met.airflow.run_state("in_a_pool", run_id) not in ("success", "failed"):
            assert time.monotonic() < deadline
            states = [task["state"] for task in rarely_met.airflow.task_instances("in_a_pool", run_id)]
            yield states.count("deferred")
            time.sleep(0.3)


class TestTasksTest:
    """``airflow tasks test`` runs one Airflow task in the terminal, its trigger included."""

    def test_an_operator_that_waits_ends_in_success(self, rarely_met: RarelyMet) -> None:
        rarely_met.airflow.wait_for_dag("waits_by_itself")
        before = self.statuses(rarely_met)
        done = rarely_met.airflow.cli("tasks", "test", "waits_by_itself", "delete", timeout=PATIENCE)
        assert done.returncode == 0, done.stdout + done.stderr
        assert self.statuses(rarely_met) == [*before, "completed"]

    def statuses(self, rarely_met: RarelyMet) -> list[str]:
        """Return how the Stream tasks of that operator stand."""
        tasks = rarely_met.sandbox.control.tasks()
        return [task["status"] for task in tasks if task["items"] == ["messaging:b"]]


class TestTriggersOfAnEarlierRelease:
    """What an earlier release stored about a wait is enough for this one."""

    STORED = (
        "stream_conn_id",
        "stream_task_ids",
        "started_at",
        "timeout",
        "poll_interval",
        "max_poll_interval",
    )

    def test_a_wait_that_an_earlier_release_began_ends_as_it_should(self, rarely_met: RarelyMet) -> None:
        airflow = rarely_met.airflow
        run_id = airflow.trigger("begun_before")
        deadline = time.monotonic() + PATIENCE
        while airflow.task_instance("begun_before", run_id, "wait")["state"] != "deferred":
            assert time.monotonic() < deadline
            time.sleep(0.3)
        airflow.kill("triggerer")
        with closing(sqlite3.connect(airflow.database, timeout=60)) as database, database:
            ((number, classpath, stored),) = database.execute("select id, classpath, kwargs from trigger")
            assert classpath.startswith("airflow_provider_streamtasks.triggers.")
            arguments = json.loads(stored)
            encoded = arguments.get("__var", arguments)
            for name in set(encoded) - set(self.STORED):
                del encoded[name]
            database.execute("update trigger set kwargs = ? where id = ?", (json.dumps(arguments), number))
        stream_task_id = airflow.xcom("begun_before", run_id, "delete")
        if str(stream_task_id).startswith("xcom-file://"):
            stream_task_id = json.loads(TestXComBackendAndSecretsBackend.content(rarely_met, stream_task_id))
        rarely_met.sandbox.control.fate(stream_task_id=stream_task_id, end="completed")
        airflow.restart("triggerer")
        assert airflow.wait_for_run("begun_before", run_id, timeout=PATIENCE) == "success"
