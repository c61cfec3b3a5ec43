"""Sensors that begin and end in the triggerer of a real Airflow, and those that must not."""

from __future__ import annotations

import re
import time

import pytest

from local_stack.rest import AirflowRestError
from tests.system.places import XCOMS, places_of
from tests.system.real_stream import PATIENCE, SIGNATURE, RealStream

pytestmark = pytest.mark.system

OK = {"status": "ok"}
AT_ONCE = (
    "ww_one",
    "ww_list",
    "ww_literal",
    "ww_empty",
    "ww_signed",
    "ww_mapped",
    "ww_mapped_group",
    "ww_mapped_downstream",
    "ww_callbacks",
    "ww_failed",
    "ww_partial",
    "ww_timeout",
    "ww_jinja",
    "ww_no_id",
)


@pytest.fixture(scope="module")
def runs(real: RealStream) -> dict[str, str]:
    """Run the DAGs side by side, and return DAG -> run id once all have ended."""
    runs = {dag_id: trigger(real, dag_id) for dag_id in AT_ONCE}
    for dag_id, run_id in runs.items():
        real.airflow.wait_for_run(dag_id, run_id, timeout=PATIENCE)
    return runs


def trigger(real: RealStream, dag_id: str) -> str:
    """Start a run, even if SQLite is too busy at first."""
    for _ in range(5):
        try:
            return real.airflow.trigger(dag_id)
        except AirflowRestError as error:
            if error.status != 500:
                raise
            time.sleep(2)
    return real.airflow.trigger(dag_id)


def state(real: RealStream, runs: dict[str, str], dag_id: str, task_id: str = "wait", index: int = -1) -> str:
    return str(real.airflow.task_instance(dag_id, runs[dag_id], task_id, index)["state"])


def worker_starts(
    real: RealStream, runs: dict[str, str], dag_id: str, task_id: str = "wait", index: int = -1
) -> int:
    return real.airflow.worker_starts(dag_id, runs[dag_id], task_id, index)


class TestNoWorker:
    def test_an_output_is_waited_for(self, real: RealStream, runs: dict[str, str]) -> None:
        assert worker_starts(real, runs, "ww_one") == 0
        assert real.airflow.xcom("ww_one", runs["ww_one"], "wait") == {"messaging:a": OK}

    def test_the_next_task_gets_the_result(self, real: RealStream, runs: dict[str, str]) -> None:
        assert real.airflow.xcom("ww_one", runs["ww_one"], "tell") == {"got": {"messaging:a": OK}}

    def test_a_list_is_waited_for(self, real: RealStream, runs: dict[str, str]) -> None:
        assert worker_starts(real, runs, "ww_list") == 0
        first, second = real.airflow.xcom("ww_list", runs["ww_list"], "wait")
        assert (len(first), len(second)) == (100, 50)

    def test_an_empty_list_is_success(self, real: RealStream, runs: dict[str, str]) -> None:
        assert worker_starts(real, runs, "ww_empty") == 0
        assert real.airflow.xcom("ww_empty", runs["ww_empty"], "wait") == []

    def test_failed_items_are_an_xcom(self, real: RealStream, runs: dict[str, str]) -> None:
        assert worker_starts(real, runs, "ww_partial") == 0
        assert real.airflow.xcom("ww_partial", runs["ww_partial"], "wait", "failed_items") == {
            "messaging:half": "half of it"
        }

    def test_the_log_has_its_line(self, real: RealStream, runs: dict[str, str]) -> None:
        log = real.airflow.logs("ww_one", runs["ww_one"], "wait")
        assert "for Stream to finish the Stream task" in log
        assert "completed" in log

    def test_a_signed_url_is_in_xcoms_only(self, real: RealStream, runs: dict[str, str]) -> None:
        assert worker_starts(real, runs, "ww_signed") == worker_starts(real, runs, "ww_signed", "redact") == 0
        result = real.airflow.xcom("ww_signed", runs["ww_signed"], "wait")
        assert result["url"].endswith(SIGNATURE)
        assert list(places_of(real, SIGNATURE)) == [XCOMS]

    def test_a_url_is_redacted_where_wanted(self, real: RealStream, runs: dict[str, str]) -> None:
        result = real.airflow.xcom("ww_signed", runs["ww_signed"], "redact")
        assert result == {"url": "https://exports.example.com/channels.json"}


class TestOneWorkerForWhatWentWrong:
    def test_a_failure_reaches_the_callback(self, real: RealStream, runs: dict[str, str]) -> None:
        assert state(real, runs, "ww_failed") == "failed"
        assert worker_starts(real, runs, "ww_failed") == 1
        log = real.airflow.logs("ww_failed", runs["ww_failed"], "wait")
        assert "CALLED on_failure_callback with StreamTaskFailed: Stream task" in log
        assert "message store down" in log

    def test_a_timeout_is_a_sensor_timeout(self, real: RealStream, runs: dict[str, str]) -> None:
        assert state(real, runs, "ww_timeout") == "failed"
        assert worker_starts(real, runs, "ww_timeout") == 1
        log = real.airflow.logs("ww_timeout", runs["ww_timeout"], "wait")
        assert "AirflowSensorTimeout: Stream did not finish" in log

    def test_an_unknown_stream_task_is_an_error(self, real: RealStream, runs: dict[str, str]) -> None:
        assert state(real, runs, "ww_literal") == "failed"
        assert "Stream answered 404" in real.airflow.logs("ww_literal", runs["ww_literal"], "wait")

    def test_items_that_failed_may_be_a_failure(self, real: RealStream, runs: dict[str, str]) -> None:
        assert state(real, runs, "ww_partial", "strict") == "failed"
        assert "half of it" in real.airflow.logs("ww_partial", runs["ww_partial"], "strict")

    def test_a_missing_xcom_is_logged(self, real: RealStream, runs: dict[str, str]) -> None:
        assert state(real, runs, "ww_no_id") == "failed"
        log = real.airflow.logs("ww_no_id", runs["ww_no_id"], "wait")
        assert "no Airflow task that it comes from has pushed an id" in log


class TestWorkersWhereSomethingWouldBeLost:
    @pytest.mark.parametrize("index", [0, 1])
    def test_mapped_sensors_wait_for_their_own(
        self, real: RealStream, runs: dict[str, str], index: int
    ) -> None:
        # Only the beginning needs a worker.
        assert worker_starts(real, runs, "ww_mapped", index=index) == 1
        assert real.airflow.xcom("ww_mapped", runs["ww_mapped"], "wait", map_index=index) == {
            f"messaging:m{index + 1}": OK
        }

    @pytest.mark.parametrize("index", [0, 1])
    def test_sensors_in_a_mapped_group_wait_for_their_own(
        self, real: RealStream, runs: dict[str, str], index: int
    ) -> None:
        assert worker_starts(real, runs, "ww_mapped_group", "each.wait", index) == 1
        assert real.airflow.xcom(
            "ww_mapped_group", runs["ww_mapped_group"], "each.wait", map_index=index
        ) == {f"messaging:g{index + 1}": OK}

    def test_a_result_may_be_mapped_over(self, real: RealStream, runs: dict[str, str]) -> None:
        assert real.airflow.run_state("ww_mapped_downstream", runs["ww_mapped_downstream"]) == "success"

    def test_a_success_callback_is_called(self, real: RealStream, runs: dict[str, str]) -> None:
        assert worker_starts(real, runs, "ww_callbacks") == 2
        log = real.airflow.logs("ww_callbacks", runs["ww_callbacks"], "wait")
        assert "CALLED on_success_callback of wait" in log

    def test_a_template_is_rendered(self, real: RealStream, runs: dict[str, str]) -> None:
        # Only the beginning needs a worker.
        assert worker_starts(real, runs, "ww_jinja") == 1
        assert real.airflow.xcom("ww_jinja", runs["ww_jinja"], "wait") == {"messaging:c": OK}


class TestClearedAfterSuccess:
    """Runs after the others of the module: it changes what they look at."""

    def test_it_begins_and_ends_in_the_triggerer_again_without_an_error_in_its_log(
        self, real: RealStream, runs: dict[str, str]
    ) -> None:
        real.airflow.clear("ww_one", runs["ww_one"], ["wait"])
        assert real.airflow.wait_for_run("ww_one", runs["ww_one"]) == "success"
        task = real.airflow.task_instance("ww_one", runs["ww_one"], "wait")
        assert (task["state"], task["try_number"]) == ("success", 2)
        assert worker_starts(real, runs, "ww_one") == 0
        assert real.airflow.xcom("ww_one", runs["ww_one"], "wait") == {"messaging:a": OK}
        lines = real.airflow.component_log("triggerer").read_text().splitlines()
        assert [line for line in lines if "error" in line and "ww_one" in line] == []


class TestTriggererDies:
    def test_the_wait_goes_on(self, real: RealStream) -> None:
        run_id = self.begin(real, "messaging:slow-8")
        real.airflow.kill("triggerer")
        real.airflow.restart("triggerer")

        assert real.airflow.wait_for_run("ww_survives", run_id) == "success"
        assert real.airflow.worker_starts("ww_survives", run_id, "wait") == 0
        assert real.airflow.xcom("ww_survives", run_id, "wait") == {"messaging:slow-8": OK}

    def test_the_deadline_stays_the_same(self, real: RealStream) -> None:
        run_id = self.begin(real, "messaging:endless-8")
        time.sleep(8)
        real.airflow.kill("triggerer")
        real.airflow.restart("triggerer")
        real.airflow.wait_for_run("ww_survives", run_id)

        log = real.airflow.logs("ww_survives", run_id, "wait")
        assert "AirflowSensorTimeout" in log
        first, *_, last = map(float, re.findall(r"Waiting up to (\S+) s for Stream", log))
        assert 50 < first <= 60
        assert last <= first - 8

    def begin(self, real: RealStream, cid: str) -> str:
        run_id = real.airflow.trigger("ww_survives", conf={"cid": cid})
        deadline = time.monotonic() + PATIENCE
        while real.task("ww_survives", run_id, "wait")["state"] != "deferred":
            assert time.monotonic() < deadline
            time.sleep(0.3)
        time.sleep(2)
        return run_id
