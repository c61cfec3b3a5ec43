"""Sensors behind Airflow tasks of which some are skipped, on a real Airflow."""

from __future__ import annotations

import pytest

from tests.system.real_stream import PATIENCE, RealStream

pytestmark = pytest.mark.system

DAG_ID = "branches"


@pytest.fixture(scope="module")
def run_id(real: RealStream) -> str:
    run_id = real.airflow.trigger(DAG_ID)
    real.airflow.wait_for_run(DAG_ID, run_id, timeout=PATIENCE)
    return run_id


@pytest.mark.parametrize(
    ("task_id", "sizes"),
    [("joined", [1, 100, 50]), ("behind_mapped", [1, 1]), ("joined_with_mapped", [1, 1])],
)
def test_what_was_skipped_is_left_out(real: RealStream, run_id: str, task_id: str, sizes: list[int]) -> None:
    assert [len(result) for result in real.airflow.xcom(DAG_ID, run_id, task_id)] == sizes


@pytest.mark.parametrize("task_id", ["nobody", "nobody_in_the_triggerer", "nobody_and_soft_fail"])
def test_where_all_were_skipped_it_fails_for_good_and_says_what_to_do(
    real: RealStream, run_id: str, task_id: str
) -> None:
    task = real.task(DAG_ID, run_id, task_id)
    assert (task["state"], task["try_number"]) == ("failed", 1)
    log = real.airflow.logs(DAG_ID, run_id, task_id)
    assert "With trigger_rule='none_failed_min_one_success' this Airflow task is skipped" in log


def test_doing_so_skips_it(real: RealStream, run_id: str) -> None:
    assert real.task(DAG_ID, run_id, "as_told")["state"] == "skipped"
