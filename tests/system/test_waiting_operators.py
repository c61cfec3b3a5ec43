"""Operators that wait in the triggerer of a real Airflow: those that end there, and those that must not."""

from __future__ import annotations

import pytest

from tests.system.places import XCOMS, places_of
from tests.system.real_stream import PATIENCE, SIGNATURE, RealStream

pytestmark = pytest.mark.system

OK = {"status": "ok"}
BOTH = ("wo_one", "wo_many", "wo_partial", "wo_signed")
OTHERS = (
    "wo_mapped",
    "wo_mapped_group",
    "wo_callbacks",
    "wo_import",
    "wo_failed",
    "wo_strict",
    "wo_timeout",
)


@pytest.fixture(scope="module")
def runs(real: RealStream) -> dict[str, str]:
    """Run the DAGs side by side, and return DAG -> run id once all have ended."""
    runs = {dag_id: real.airflow.trigger(dag_id) for dag_id in (*BOTH, *OTHERS)}
    for dag_id, run_id in runs.items():
        real.airflow.wait_for_run(dag_id, run_id, timeout=PATIENCE)
    return runs


def state(real: RealStream, runs: dict[str, str], dag_id: str, task_id: str = "now") -> str:
    return str(real.task(dag_id, runs[dag_id], task_id)["state"])


@pytest.mark.parametrize("dag_id", BOTH)
class TestBothEnds:
    def test_it_takes_half_the_worker_starts(
        self, real: RealStream, runs: dict[str, str], dag_id: str
    ) -> None:
        assert state(real, runs, dag_id) == state(real, runs, dag_id, "before") == "success"
        assert real.airflow.worker_starts(dag_id, runs[dag_id], "before") == 2
        assert real.airflow.worker_starts(dag_id, runs[dag_id], "now") == 1

    def test_the_xcoms_are_the_same(self, real: RealStream, runs: dict[str, str], dag_id: str) -> None:
        found = {}
        for task_id in ("before", "now"):
            keys = {each["key"] for each in real.airflow.xcom_entries(dag_id, runs[dag_id], task_id)}
            xcoms = {key: real.airflow.xcom(dag_id, runs[dag_id], task_id, key) for key in keys}
            ids = xcoms.pop("task_ids")
            assert xcoms.pop("return_value") == (ids[0] if len(ids) == 1 else ids)
            links = {key: xcoms.pop(key) for key in keys if key.startswith("_link")}
            found[task_id] = xcoms, sorted(links), len(ids)
        assert found["now"] == found["before"]

    def test_the_next_task_gets_the_ids(self, real: RealStream, runs: dict[str, str], dag_id: str) -> None:
        told = real.airflow.xcom(dag_id, runs[dag_id], "tell")
        assert told == {"got": real.airflow.xcom(dag_id, runs[dag_id], "now")}

    def test_the_log_says_why_a_worker_was_taken(
        self, real: RealStream, runs: dict[str, str], dag_id: str
    ) -> None:
        line = "Ending on a worker, because end_from_trigger is False"
        assert line in real.airflow.logs(dag_id, runs[dag_id], "before")
        assert "on a worker" not in real.airflow.logs(dag_id, runs[dag_id], "now")


class TestOneWorker:
    def test_the_result_is_an_xcom(self, real: RealStream, runs: dict[str, str]) -> None:
        assert real.airflow.xcom("wo_one", runs["wo_one"], "now", "result") == {"messaging:one": OK}
        first, second = real.airflow.xcom("wo_many", runs["wo_many"], "now", "result")
        assert (len(first), len(second)) == (100, 50)

    def test_failed_items_are_an_xcom(self, real: RealStream, runs: dict[str, str]) -> None:
        failed = real.airflow.xcom("wo_partial", runs["wo_partial"], "now", "failed_items")
        assert failed == {"messaging:half": "half of it"}

    def test_a_signed_url_is_in_xcoms_only(self, real: RealStream, runs: dict[str, str]) -> None:
        assert real.airflow.xcom("wo_signed", runs["wo_signed"], "now", "result")["url"].endswith(SIGNATURE)
        assert list(places_of(real, SIGNATURE)) == [XCOMS]

    @pytest.mark.parametrize("index", [0, 1])
    def test_mapped_operators_keep_their_xcoms_apart(
        self, real: RealStream, runs: dict[str, str], index: int
    ) -> None:
        run_id = runs["wo_mapped"]
        assert real.airflow.worker_starts("wo_mapped", run_id, "now", index) == 1
        result = real.airflow.xcom("wo_mapped", run_id, "now", "result", index)
        assert result == {f"messaging:m{index + 1}": OK}
        told = real.airflow.xcom("wo_mapped", run_id, "tell_all")
        assert told["got"][index] == real.airflow.xcom("wo_mapped", run_id, "now", map_index=index)

    @pytest.mark.parametrize("index", [0, 1])
    def test_so_do_those_in_a_mapped_group(self, real: RealStream, runs: dict[str, str], index: int) -> None:
        run_id = runs["wo_mapped_group"]
        assert real.airflow.worker_starts("wo_mapped_group", run_id, "each.now", index) == 1
        result = real.airflow.xcom("wo_mapped_group", run_id, "each.now", "result", index)
        assert result == {f"messaging:g{index + 1}": OK}
        told = real.airflow.xcom("wo_mapped_group", run_id, "each.tell", map_index=index)
        assert told == {"got": real.airflow.xcom("wo_mapped_group", run_id, "each.now", map_index=index)}

    def test_an_import_ends_there_too(self, real: RealStream, runs: dict[str, str]) -> None:
        assert state(real, runs, "wo_import") == "success"
        assert real.airflow.worker_starts("wo_import", runs["wo_import"], "now") == 1

    def test_the_sensor_of_an_import_needs_no_worker(self, real: RealStream, runs: dict[str, str]) -> None:
        assert state(real, runs, "wo_import", "sensor") == "success"
        assert real.airflow.worker_starts("wo_import", runs["wo_import"], "sensor") == 0
        assert "to finish the import" in real.airflow.logs("wo_import", runs["wo_import"], "sensor")


class TestTwoWorkers:
    def test_a_success_callback_is_called(self, real: RealStream, runs: dict[str, str]) -> None:
        assert real.airflow.worker_starts("wo_callbacks", runs["wo_callbacks"], "now") == 2
        log = real.airflow.logs("wo_callbacks", runs["wo_callbacks"], "now")
        assert "CALLED on_success_callback of now" in log
        assert "Ending on a worker, because on_success_callback would not be called" in log

    def test_a_failure_reaches_the_callback(self, real: RealStream, runs: dict[str, str]) -> None:
        assert state(real, runs, "wo_failed") == "failed"
        assert real.airflow.worker_starts("wo_failed", runs["wo_failed"], "now") == 2
        log = real.airflow.logs("wo_failed", runs["wo_failed"], "now")
        assert "CALLED on_failure_callback with StreamTaskException: Stream task" in log
        assert "Ending on a worker, because the wait ended as failed" in log

    def test_items_that_failed_may_be_a_failure(self, real: RealStream, runs: dict[str, str]) -> None:
        assert state(real, runs, "wo_strict") == "failed"
        log = real.airflow.logs("wo_strict", runs["wo_strict"], "now")
        assert "Ending on a worker, because items failed, and fail_on_partial is True" in log
        assert "half of it" in log

    def test_a_timeout_is_a_sensor_timeout(self, real: RealStream, runs: dict[str, str]) -> None:
        assert state(real, runs, "wo_timeout") == "failed"
        log = real.airflow.logs("wo_timeout", runs["wo_timeout"], "now")
        assert "AirflowSensorTimeout: Stream did not finish" in log
