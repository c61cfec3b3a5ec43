"""The DAG with a loop on a real Airflow, 3.4 or newer; older ones do not collect this."""

from __future__ import annotations

import pytest

from tests.system.real_stream import PATIENCE, RealStream

pytestmark = pytest.mark.system

DAG_ID = "export_users_in_rounds"


def test_rounds_go_on_until_every_user_is_exported(real: RealStream) -> None:
    users = [f"in-rounds-{number}" for number in range(3)]
    for user_id in users:
        real.sandbox.control.add_user(user_id)
    run_id = real.airflow.trigger(DAG_ID, {"per_round": 2})
    real.airflow.wait_for_run(DAG_ID, run_id, timeout=PATIENCE)

    tasks = real.airflow.task_instances(DAG_ID, run_id)
    assert {task["state"] for task in tasks} == {"success"}, tasks
    # There may be users of other tests, so at least two rounds; one of the sandbox's own is "airflow".
    rounds = [
        call["items"] for call in real.sandbox.control.journal("ExportUsers") if len(call["items"]) <= 2
    ]
    assert set(users) <= {user_id for items in rounds for user_id in items}
    waits = [task for task in tasks if task["task_id"] == "one_round.wait"]
    assert len(waits) >= 2
    assert not any(task["pid"] for task in waits), "a sensor took a worker"
    assert len(list((real.folder / "stream" / "users").glob("*/*.jsonl"))) == len(waits)
