"""A real Airflow that reports to OpenLineage, into a file: ``make system-more``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_stack.airflow import LocalAirflow
from local_stack.sandbox import local_sandbox
from tests.system.more.conftest import FATES, REPOSITORY

pytestmark = pytest.mark.more

DAG_ID = "export_channels_to_storage"
PATIENCE = 300.0


@pytest.fixture(scope="module")
def reporting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalAirflow, Path]]:
    """An Airflow, and the folder with its OpenLineage events and its exports."""
    folder = tmp_path_factory.mktemp("openlineage")
    (folder / "dags").mkdir()
    shutil.copy(REPOSITORY / "dags" / f"{DAG_ID}.py", folder / "dags")
    (folder / "fates.json").write_text(json.dumps(FATES))
    with local_sandbox(folder / "sandbox.log", folder / "fates.json") as sandbox:
        transport = {"type": "file", "log_file_path": str(folder / "events"), "append": True}
        env = {
            "PYTHONPATH": str(REPOSITORY),
            "AIRFLOW_CONN_STREAM_DEFAULT": sandbox.connection,
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        }
        with LocalAirflow(folder / "dags", env=env, home=folder / "airflow") as airflow:
            yield airflow, folder


@pytest.fixture(scope="module")
def run_id(reporting: tuple[LocalAirflow, Path]) -> str:
    airflow, folder = reporting
    run_id = airflow.trigger(DAG_ID, {"destination": f"file://{folder}/exports/"})
    assert airflow.wait_for_run(DAG_ID, run_id, timeout=PATIENCE) == "success"
    return run_id


def completed(folder: Path, task_id: str) -> dict[str, Any]:
    """Return the event that says that an Airflow task has completed."""
    events = [json.loads(line) for line in (folder / "events").read_text().splitlines()]
    name = f"{DAG_ID}.{task_id}"
    (event,) = (each for each in events if each["job"]["name"] == name and each["eventType"] == "COMPLETE")
    return dict(event)


def test_the_event_of_the_export_leads_from_stream_to_the_file(
    reporting: tuple[LocalAirflow, Path], run_id: str
) -> None:
    _, folder = reporting
    event = completed(folder, "store_export")
    (source,), (file,) = event["inputs"], event["outputs"]
    assert source["namespace"].startswith("stream://127.0.0.1:")
    assert source["name"].endswith("/ExportChannels")
    (stored,) = (folder / "exports").glob("*.jsonl")
    assert (file["namespace"], file["name"]) == ("file", str(stored))
    assert file["outputFacets"]["outputStatistics"]["size"] == stored.stat().st_size


def test_a_sensor_takes_a_worker_so_that_openlineage_hears_of_it(
    reporting: tuple[LocalAirflow, Path], run_id: str
) -> None:
    airflow, folder = reporting
    assert airflow.worker_starts(DAG_ID, run_id, "wait_for_export") == 2
    assert completed(folder, "wait_for_export")["inputs"] == []
