"""The DAGs that users copy, run by Airflow itself against the sandbox."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.sandbox import SandboxControl
from tests.conftest import Logs

FOLDER = Path(__file__).parents[2] / "dags"


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    """The DAGs of the folder, known to a database of their own."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.db import initdb

    initdb()
    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag(dag_folder=FOLDER)
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.fixture
def fates(control: SandboxControl, connection: None) -> None:
    """What the DAGs' channels are named after."""
    control.fate(
        operation="DeleteChannels",
        item="messaging:unlucky-*",
        end="failed",
        error={"type": "storage", "description": "shard 7 is read-only"},
    )
    control.fate(operation="DeleteChannels", item="messaging:endless-*", end="never")


def states(run: Any) -> dict[str, str]:
    return {ti.task_id: str(ti.state) for ti in run.get_task_instances()}


def test_every_file_of_the_folder_is_a_dag_that_is_tested_here(dags: dict[str, Any]) -> None:
    assert set(dags) == {path.stem for path in FOLDER.glob("*.py")}
    assert set(dags) == {
        "delete_channels_and_wait",
        "delete_channels_with_alert",
        "delete_channels_with_deadline",
        "export_channels_to_storage",
    }


def test_every_dag_has_a_description_for_whoever_meets_it_in_the_ui(dags: dict[str, Any]) -> None:
    assert all(dag.doc_md for dag in dags.values())


@pytest.mark.usefixtures("fates")
def test_waiting_ends_when_stream_has_deleted_the_channels(
    dags: dict[str, Any], control: SandboxControl
) -> None:
    run = dags["delete_channels_and_wait"].test()
    assert states(run) == {"delete_channels": "success", "wait_for_deletion": "success"}
    (task,) = control.tasks()
    assert task["items"] == ["messaging:spring-sale", "messaging:summer-sale", "livestream:keynote"]
    assert task["finished"]
    waiting = run.get_task_instance("wait_for_deletion")
    result = waiting.xcom_pull(task_ids="wait_for_deletion", key="return_value")
    assert result["livestream:keynote"] == {"status": "ok"}


@pytest.mark.usefixtures("fates")
def test_a_failure_alerts_with_streams_words(
    dags: dict[str, Any], control: SandboxControl, logs: Logs
) -> None:
    run = dags["delete_channels_with_alert"].test()
    assert states(run) == {"delete_channels": "success", "wait_for_deletion": "failed"}
    (task,) = control.tasks()
    (alert,) = (line for line in logs.lines if line.startswith("delete_channels_with_alert."))
    words = [
        f"Stream task: {task['stream_task_id']}",
        "Error type: storage",
        "Description: shard 7 is read-only",
    ]
    # Before Airflow 3.3, dag.test() gives a callback no exception; a real run does.
    expected = words if _compat.RUNS_WITHOUT_WORKERS else ["None"]
    assert alert.splitlines()[:-1] == [
        f"delete_channels_with_alert.wait_for_deletion failed in the run {run.run_id}",
        *expected,
    ]
    assert "Log: http" in alert


@pytest.mark.usefixtures("fates")
def test_a_deadline_ends_the_wait_and_names_what_goes_on(
    dags: dict[str, Any], control: SandboxControl, logs: Logs, capfd: pytest.CaptureFixture[str]
) -> None:
    run = dags["delete_channels_with_deadline"].test()
    assert states(run) == {"delete_channels": "success", "wait_for_deletion": "failed"}
    (task,) = control.tasks()
    assert not task["finished"]
    printed = "".join(capfd.readouterr()) + logs.text
    assert "AirflowSensorTimeout" in printed
    assert f"did not finish the Stream task {task['stream_task_id']} within 10 s" in printed


@pytest.mark.usefixtures("fates")
def test_an_export_is_stored_where_the_parameter_says(
    dags: dict[str, Any], control: SandboxControl, logs: Logs, tmp_path: Path
) -> None:
    run = dags["export_channels_to_storage"].test(run_conf={"destination": f"file://{tmp_path}/exports/"})
    assert states(run) == {
        "export_channels": "success",
        "wait_for_export": "success",
        "store_export": "success",
    }
    (task,) = control.tasks()
    file = tmp_path / "exports" / f"{task['stream_task_id']}.jsonl"
    channels = [json.loads(line)["channel"]["cid"] for line in file.read_text().splitlines()]
    assert channels == ["messaging:general", "messaging:support"]
    storing = run.get_task_instance("store_export")
    assert storing.xcom_pull(task_ids="store_export", key="return_value") == {
        "path": f"file://{file}",
        "bytes": file.stat().st_size,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "stream_task_id": task["stream_task_id"],
        "items": 2,
    }
    assert "Signature" not in logs.text
