"""The provider on a real Airflow: scheduler, workers, API server and triggerer are processes of their own."""

from __future__ import annotations

import re
import time

import pytest

from tests.system.real_stream import PATIENCE, RealStream

pytestmark = pytest.mark.system


def wait_until_deferred(real: RealStream, dag_id: str, run_id: str, task_id: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while (state := real.task(dag_id, run_id, task_id)["state"]) != "deferred":
        assert time.monotonic() < deadline, f"{task_id} is {state}, not deferred"
        time.sleep(0.3)


def wait_until_called(real: RealStream, operation: str, about: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not any(about in call["path"] for call in real.sandbox.control.journal(operation)):
        assert time.monotonic() < deadline, f"nobody called {operation} about {about}"
        time.sleep(0.3)


class TestCompleted:
    def test_ends_in_success_with_the_result_as_xcom(self, real: RealStream, runs: dict[str, str]) -> None:
        dag_id, run_id = "delete_channels_and_wait", runs["delete_channels_and_wait"]

        assert real.airflow.run_state(dag_id, run_id) == "success"
        assert real.airflow.xcom(dag_id, run_id, "wait_for_deletion") == {
            "messaging:spring-sale": {"status": "ok"},
            "messaging:summer-sale": {"status": "ok"},
            "livestream:keynote": {"status": "ok"},
        }

    def test_holds_no_worker_while_it_waits(self, real: RealStream, runs: dict[str, str]) -> None:
        dag_id, run_id = "delete_channels_and_wait", runs["delete_channels_and_wait"]

        assert real.airflow.worker_starts(dag_id, run_id, "wait_for_deletion") == 0

    def test_holds_no_worker_while_an_operator_waits(self, real: RealStream, runs: dict[str, str]) -> None:
        dag_id, run_id = "waits_by_itself", runs["waits_by_itself"]

        assert real.airflow.worker_starts(dag_id, run_id, "delete") == 1
        assert "Pausing task as DEFERRED" in real.airflow.logs(dag_id, run_id, "delete")

    def test_an_operator_may_wait_by_itself(self, real: RealStream, runs: dict[str, str]) -> None:
        dag_id, run_id = "waits_by_itself", runs["waits_by_itself"]

        assert real.airflow.run_state(dag_id, run_id) == "success"
        assert real.airflow.xcom(dag_id, run_id, "delete", "result") == {"messaging:slow-3": {"status": "ok"}}
        assert real.airflow.xcom(dag_id, run_id, "delete", "task_ids") == [
            real.airflow.xcom(dag_id, run_id, "delete")
        ]


class TestFailed:
    def test_fails_without_a_retry(self, real: RealStream, runs: dict[str, str]) -> None:
        dag_id, run_id = "retries_do_not_help", runs["retries_do_not_help"]
        task = real.task(dag_id, run_id, "wait")

        assert (task["state"], task["try_number"], task["max_tries"]) == ("failed", 1, 3)

    def test_the_callback_gets_what_stream_said(self, real: RealStream, runs: dict[str, str]) -> None:
        dag_id, run_id = "delete_channels_with_alert", runs["delete_channels_with_alert"]
        log = real.airflow.logs(dag_id, run_id, "wait_for_deletion")

        assert f"Stream task: {real.airflow.xcom(dag_id, run_id, 'delete_channels')}" in log
        assert "Error type: storage_error" in log
        assert "Description: message store down" in log
        assert f"Log: {real.airflow.base_url}/dags/{dag_id}" in log


class TestDeadline:
    def test_ends_in_a_sensor_timeout_soon_after(self, real: RealStream, runs: dict[str, str]) -> None:
        dag_id, run_id = "delete_channels_with_deadline", runs["delete_channels_with_deadline"]

        assert real.task(dag_id, run_id, "wait_for_deletion")["state"] == "failed"
        log = real.airflow.logs(dag_id, run_id, "wait_for_deletion")
        assert "AirflowSensorTimeout: Stream did not finish the Stream task" in log
        assert "Stream may go on with it" in log
        # A minute is what sensors get that say nothing.
        assert 10 <= real.lasted(dag_id, run_id, "wait_for_deletion") < 60


class TestBrokenConnections:
    @pytest.mark.parametrize(
        ("conn_id", "words"),
        [
            ("wrong_key", "Check the API key"),
            ("wrong_secret", "Check the API secret"),
            ("unreachable", "http://127.0.0.1:1 refused the connection"),
            ("skewed_clock", "clock skew"),
        ],
    )
    def test_the_log_says_what_is_wrong(
        self, real: RealStream, runs: dict[str, str], conn_id: str, words: str
    ) -> None:
        run_id = runs["broken_connections"]

        assert real.task("broken_connections", run_id, conn_id)["state"] == "failed"
        assert words in real.airflow.logs("broken_connections", run_id, conn_id)


class TestTriggererDies:
    def test_the_wait_goes_on_when_it_comes_back(self, real: RealStream) -> None:
        run_id = real.airflow.trigger("wait_as_told", conf={"cids": ["messaging:slow-1"]})
        wait_until_deferred(real, "wait_as_told", run_id, "wait")
        real.airflow.kill("triggerer")
        real.airflow.restart("triggerer")

        assert real.airflow.wait_for_run("wait_as_told", run_id) == "success"
        assert real.airflow.xcom("wait_as_told", run_id, "wait") == {"messaging:slow-1": {"status": "ok"}}

    def test_the_deadline_stays_the_same(self, real: RealStream) -> None:
        run_id = real.airflow.trigger("wait_as_told", conf={"cids": ["messaging:endless-3"]})
        wait_until_deferred(real, "wait_as_told", run_id, "wait")
        time.sleep(8)
        real.airflow.kill("triggerer")
        real.airflow.restart("triggerer")
        real.airflow.wait_for_run("wait_as_told", run_id)

        log = real.airflow.logs("wait_as_told", run_id, "wait")
        assert "AirflowSensorTimeout" in log
        assert real.lasted("wait_as_told", run_id, "wait") >= 30
        first, *later = map(float, re.findall(r"Waiting up to ([\d.]+) s", log))
        assert first <= 30
        assert all(left <= first - 8 for left in later)

    def test_a_wait_that_nobody_watched_is_polled_once_more(self, real: RealStream) -> None:
        run_id = real.airflow.trigger("wait_as_told", conf={"cids": ["messaging:slow-2"]})
        wait_until_deferred(real, "wait_as_told", run_id, "wait")
        real.airflow.kill("triggerer")
        try:
            assert real.airflow.wait_for_run("wait_as_told", run_id) == "success"
        finally:
            real.airflow.restart("triggerer")


class TestKilledWhileDeferred:
    def test_an_import_is_cancelled_at_stream(self, real: RealStream) -> None:
        run_id = real.airflow.trigger("import_killed")
        wait_until_deferred(real, "import_killed", run_id, "import")
        import_id = real.airflow.xcom("import_killed", run_id, "import", "task_ids")[0]
        wait_until_called(real, "GetImportV2Task", import_id)
        real.airflow.set_state("import_killed", run_id, "import", "failed")

        wait_until_called(real, "CancelImportV2Task", import_id)


class TestCleared:
    def test_an_airflow_task_that_is_cleared_submits_once_more(self, real: RealStream) -> None:
        dag_id, conf = "wait_as_told", {"cids": ["messaging:cleared"]}
        run_id = real.airflow.trigger(dag_id, conf=conf)
        assert real.airflow.wait_for_run(dag_id, run_id) == "success"
        first = real.airflow.xcom(dag_id, run_id, "delete")
        before = real.task(dag_id, run_id, "delete")["max_tries"]
        real.airflow.clear(dag_id, run_id, ["delete", "wait"])
        assert real.airflow.wait_for_run(dag_id, run_id) == "success"

        assert real.task(dag_id, run_id, "delete")["max_tries"] > before, (
            "Airflow no longer raises max_tries when an Airflow task is cleared. Find another mark: until "
            "then, a clear looks like a retry, which submits nothing that was submitted before."
        )
        assert real.airflow.xcom(dag_id, run_id, "delete") != first
