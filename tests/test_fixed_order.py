"""What Airflow stores of a DAG is the same in each process: any change is a new version of the DAG."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DAG_FILE = """
import json

from airflow.sdk import DAG
from airflow_provider_streamtasks.operators.chat import (
    StreamChannelBatchUpdateOperator,
    StreamDeleteChannelsOperator,
    StreamExportChannelsOperator,
)
from airflow_provider_streamtasks.operators.data_import import StreamImportV2Operator
from airflow_provider_streamtasks.operators.operation import StreamOperationOperator
from airflow_provider_streamtasks.operators.users import StreamDeleteUsersOperator
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
    StreamOperationOperator(task_id="any", path="/api/v2/x", body={"a": [names]}, query={"b": names})
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
    print(task["__var"]["task_id"], text)
"""


def stored(seed: str, file: Path) -> dict[str, str]:
    """Return what Airflow stores of each Airflow task, in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(file)],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stdout.splitlines() if '"__var"' in line]
    return dict(line.split(" ", 1) for line in lines)


def test_sets_in_arguments_make_no_new_version_of_the_dag(tmp_path: Path) -> None:
    file = tmp_path / "sets.py"
    file.write_text(DAG_FILE)
    first, second = stored("1", file), stored("2", file)
    assert len(first) == 12
    assert [task for task in first if first[task] != second[task]] == []
