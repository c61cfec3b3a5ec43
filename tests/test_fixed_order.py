"""Sets have one order in all processes: in what Airflow stores of a DAG, and in the batches of a retry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

DAG_FILE = """
import json

from airflow.sdk import DAG
from airflow_provider_streamtasks.operators.chat import (
    StreamChannelBatchUpdateOperator,
    StreamDeleteChannelsOperator,
    StreamExportChannelsOperator,
)
from airflow_provider_streamtasks.operators.data_import import StreamImportV2Operator
from airflow_provider_streamtasks.operators.items import ItemFile
from airflow_provider_streamtasks.operators.operation import StreamOperationOperator
from airflow_provider_streamtasks.operators.users import StreamDeleteUsersOperator
from airflow_provider_streamtasks.protocol.catalogue import DELETE_CHANNELS
from airflow_provider_streamtasks.sensors.data_import import StreamImportSensor
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator
from tests.airflow_names import DagSerialization

names = {f"messaging:{number}" for number in range(20)}
numbers = {1000003 * number for number in range(20)}

with DAG("sets", schedule=None) as dag:
    delete = StreamDeleteChannelsOperator(task_id="delete", cids=names, hard_delete=True)
    more = StreamDeleteUsersOperator(task_id="more", user_ids=frozenset(names), user="soft")
    StreamExportChannelsOperator(
        task_id="export", channels=names, format="csv", version="v2", include_fields={"cid", "members", "id"}
    )
    StreamChannelBatchUpdateOperator(
        task_id="update", operation="updateData", filter={"cids": {"$in": names}}, custom_unset=names
    )
    StreamOperationOperator(task_id="any", path="/api/v2/x", body={"a": [names]})
    StreamImportV2Operator(
        task_id="import", product="chat", settings={"path": "x", "s3": names}, completed_states=numbers
    )
    StreamImportSensor(task_id="wait_for_imports", import_id=names, completed_states=numbers)
    StreamTaskSensor(task_id="wait", stream_task_id=names)
    StreamTaskSensor(task_id="wait_on_worker", stream_task_id=names, deferrable=False)
    StreamTaskSensor(task_id="wait_for_outputs", stream_task_id=[delete.output, more.output])
    StreamTaskSensor.partial(task_id="mapped", stream_task_id=names).expand(timeout=[1, 2])
    StreamExportToObjectStorageOperator(task_id="store", stream_task_id=names, destination="/data")

for task in DagSerialization.to_dict(dag)["dag"]["tasks"]:
    text = json.dumps(task, sort_keys=True)
    print("TASK", task["__var"]["task_id"], text)
cids = {f"messaging:{number}" for number in range(50)}
print("ITEMS", *ItemFile(DELETE_CHANNELS.items, cids, {}))
"""


def said(seed: str, file: Path) -> list[str]:
    """Return the lines of a process of its own that begin with a word in capitals."""
    done = subprocess.run(
        [sys.executable, str(file)],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if line.startswith(("TASK ", "ITEMS "))]


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """What two processes say whose sets have different orders."""
    file = tmp_path_factory.mktemp("dags") / "sets.py"
    file.write_text(DAG_FILE)
    return [said(seed, file) for seed in ("1", "2")]


def test_sets_in_arguments_make_no_new_version_of_the_dag(processes: list[list[str]]) -> None:
    """Any change of what Airflow stores of a DAG is one."""
    first, second = (
        dict(line.split(" ", 2)[1:] for line in lines if line.startswith("TASK ")) for lines in processes
    )
    assert len(first) == 12
    assert [task for task in first if first[task] != second[task]] == []


def test_a_set_has_one_order_in_all_processes(processes: list[list[str]]) -> None:
    """A retry on another worker must cut the same batches."""
    [first], [second] = ([line for line in lines if line.startswith("ITEMS ")] for lines in processes)
    assert len(first.split()) == 1 + 50
    assert first == second
