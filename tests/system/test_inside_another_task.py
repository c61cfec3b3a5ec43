"""Operators and sensors that a TaskFlow function of a real Airflow carries out itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.system.real_stream import PATIENCE, RealStream

pytestmark = pytest.mark.system

DAG_ID = "inside_another_task"
OK = {"status": "ok"}


@pytest.fixture(scope="module")
def run_id(real: RealStream) -> str:
    run_id = real.airflow.trigger(DAG_ID)
    real.airflow.wait_for_run(DAG_ID, run_id, timeout=PATIENCE)
    return run_id


@pytest.mark.parametrize(
    ("task_id", "value"),
    [
        ("all_in_one", {"one": {"messaging:inner-1": OK}, "two": True}),
        ("failure_is_caught", "caught: message store down"),
        ("reschedule", {"messaging:inner-3": OK}),
        ("endless_import", "AirflowSensorTimeout"),
    ],
)
def test_the_function_goes_on_behind_it(real: RealStream, run_id: str, task_id: str, value: Any) -> None:
    assert real.airflow.xcom(DAG_ID, run_id, task_id) == value
    assert real.airflow.worker_starts(DAG_ID, run_id, task_id) == 1


def test_so_does_a_mapped_function(real: RealStream, run_id: str) -> None:
    values = [real.airflow.xcom(DAG_ID, run_id, "mapped", map_index=index) for index in (0, 1)]
    assert values == [{"messaging:inner-4": OK}, {"messaging:inner-5": OK}]


def test_the_log_says_why_nothing_deferred(real: RealStream, run_id: str) -> None:
    log = real.airflow.logs(DAG_ID, run_id, "all_in_one")
    line = "Waiting on this worker, because deferring would end the Airflow task 'all_in_one' around it"
    assert log.count(line) == 2
