"""What OpenLineage is told of stored exports, by its own provider for Airflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.sdk import DAG, ObjectStoragePath, task
from airflow.utils.state import TaskInstanceState

from airflow_provider_streamtasks.operators.chat import StreamExportChannelsOperator
from airflow_provider_streamtasks.operators.data_import import StreamImportOperator
from airflow_provider_streamtasks.operators.operation import StreamOperationOperator
from airflow_provider_streamtasks.operators.users import StreamExportUsersOperator
from airflow_provider_streamtasks.protocol.credentials import Credentials
from airflow_provider_streamtasks.sandbox import Sandbox
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator
from airflow_provider_streamtasks.transfers.lineage import ExportLineage, dataset_name, operations_of
from tests.conftest import Logs
from tests.transfers.conftest import Export, StoringRun
from tests.transfers.hosts import StorageHost

CONTENT = b'{"cid": "messaging:a"}\n{"cid": "messaging:b"}\n'


class TestNames:
    @pytest.mark.parametrize(
        ("path", "namespace", "name"),
        [
            ("s3://bucket/a/x.jsonl", "s3://bucket", "a/x.jsonl"),
            ("s3a://bucket/a/x.jsonl", "s3://bucket", "a/x.jsonl"),
            ("gs://bucket/a/x.jsonl", "gs://bucket", "a/x.jsonl"),
            ("gcs://bucket/a/x.jsonl", "gs://bucket", "a/x.jsonl"),
            ("/data/x.jsonl", "file", "/data/x.jsonl"),
            ("file:///data/x.jsonl", "file", "/data/x.jsonl"),
            ("sftp://there@/data/x.jsonl", "file://files.example.com:2222", "/data/x.jsonl"),
            ("memory://bucket/x", "memory://bucket", "x"),
        ],
    )
    def test_follow_openlineages_rules(
        self, path: str, namespace: str, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        there = {"conn_type": "sftp", "host": "files.example.com", "port": 2222}
        monkeypatch.setenv("AIRFLOW_CONN_THERE", json.dumps(there))
        assert dataset_name(ObjectStoragePath(path)) == (namespace, name)

    def test_openlineages_own_client_gives_the_same(self) -> None:
        from openlineage.client.naming import dataset as rules

        for path, rule in {
            "s3://bucket/a/x.jsonl": rules.S3(bucket_name="bucket", object_key="a/x.jsonl"),
            "gs://bucket/a/x.jsonl": rules.GCS(bucket_name="bucket", object_key="a/x.jsonl"),
            "file:///data/x.jsonl": rules.LocalFileSystem(path="/data/x.jsonl"),
        }.items():
            assert dataset_name(ObjectStoragePath(path)) == (rule.get_namespace(), rule.get_name())

    def test_azure_names_the_account(self) -> None:
        from openlineage.client.naming.dataset import ABFSS

        path: Any = SimpleNamespace(
            protocol="abfs", path="container/a/x", fs=SimpleNamespace(account_name="ours")
        )
        rule = ABFSS(container="container", service="ours", path="a/x")
        assert dataset_name(path) == (rule.get_namespace(), rule.get_name())
        path.fs.account_name = None
        assert dataset_name(path) == ("abfs://container", "a/x")


class TestOperations:
    def test_are_those_whose_output_is_given(self) -> None:
        with DAG("dag", schedule=None):
            channels = StreamExportChannelsOperator(task_id="channels", channels=[{"cid": "messaging:a"}])
            users = StreamExportUsersOperator(task_id="users", user_ids=["a"])
            assert operations_of(channels.output) == ["ExportChannels"]
            assert operations_of([channels.output, users.output, users.output]) == [
                "ExportChannels",
                "ExportUsers",
            ]

    def test_are_found_through_a_sensor(self) -> None:
        with DAG("dag", schedule=None):
            users = StreamExportUsersOperator(task_id="users", user_ids=["a"])
            wait = StreamTaskSensor(task_id="wait", stream_task_id=users.output)
            assert operations_of(wait.output) == ["ExportUsers"]

    def test_of_a_mapped_operator(self) -> None:
        with DAG("dag", schedule=None):
            users = StreamExportUsersOperator.partial(task_id="users").expand(user_ids=[["a"], ["b"]])
            assert operations_of(users.output) == ["ExportUsers"]

    def test_are_not_guessed(self) -> None:
        @task
        def ids() -> str:
            return "x"

        with DAG("dag", schedule=None):
            any_operation = StreamOperationOperator(task_id="any", path="/api/v2/x", body={})
            assert operations_of(ids()) == []
            assert operations_of("{{ params.id }}") == []
            assert len(operations_of(any_operation.output)) <= 1


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have OpenLineage's provider write its events into a file; returns what reads them."""
    from airflow.providers.openlineage import conf

    file = tmp_path / "events"
    transport = {"type": "file", "log_file_path": str(file), "append": True}
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", json.dumps(transport))
    for option in vars(conf).values():
        if hasattr(option, "cache_clear"):
            option.cache_clear()
    return lambda: [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Airflow's own collector of hook lineage, which it has as soon as a plugin reads it."""
    try:
        from airflow.sdk import lineage, plugins_manager
    except ImportError:  # before Airflow 3.2
        from airflow.lineage import hook  # type: ignore[attr-defined, unused-ignore]

        collector = hook.HookLineageCollector()
        monkeypatch.setattr(hook, "_hook_lineage_collector", collector)
        yield collector
        return
    reads: Any = lambda: [lineage.HookLineageReader]  # noqa: E731
    monkeypatch.setattr(plugins_manager, "get_hook_lineage_readers_plugins", reads)
    lineage.get_hook_lineage_collector.cache_clear()
    yield lineage.get_hook_lineage_collector()
    lineage.get_hook_lineage_collector.cache_clear()


class TestHookLineage:
    def test_leads_from_stream_to_each_file(
        self, export: Export, run: StoringRun, sandbox: Sandbox, tmp_path: Path, collector: Any
    ) -> None:
        with DAG("dag", schedule=None):
            channels = StreamExportChannelsOperator(task_id="channels", channels=[{"cid": "messaging:a"}])
            operator = StreamExportToObjectStorageOperator(
                task_id="store", stream_task_id=channels.output, destination=f"file://{tmp_path}/exports/"
            )
        operator.stream_task_id = [export(CONTENT), export(CONTENT)]
        operator.execute(run.context)

        found = collector.collected_assets
        files = {f"file://{tmp_path}/exports/{task_id}.jsonl" for task_id in operator.stream_task_id}
        assert {each.asset.uri for each in found.outputs} == files
        app = f"stream://{urlsplit(sandbox.url).netloc}/{sandbox.api_key}"
        assert {each.asset.uri for each in found.inputs} == {f"{app}/ExportChannels"}
        assert sandbox.api_secret not in repr(found)

    def test_names_what_a_bucket_holds_as_assets_do(self, collector: Any, sandbox: Sandbox) -> None:
        stored: Any = SimpleNamespace(stream_task_id="x")
        path = ObjectStoragePath("s3://bucket/exports/x.jsonl", conn_id="aws_lineage")
        ExportLineage(Credentials(sandbox.api_key, sandbox.api_secret, sandbox.url), []).add(path, stored)
        (file,) = collector.collected_assets.outputs
        assert file.asset.uri == "s3://bucket/exports/x.jsonl"

    def test_a_fault_of_its_own_harms_no_export(
        self, export: Export, run: StoringRun, tmp_path: Path, collector: Any, logs: Logs
    ) -> None:
        del collector._outputs
        operator = StreamExportToObjectStorageOperator(
            task_id="store", stream_task_id=export(CONTENT), destination=f"file://{tmp_path}/exports/"
        )
        assert operator.execute(run.context)["bytes"] == len(CONTENT)
        assert "is not reported as hook lineage: AttributeError" in logs.text

    def test_the_file_of_an_import_is_an_input_by_itself(
        self, run: StoringRun, connection: None, tmp_path: Path, collector: Any
    ) -> None:
        file = tmp_path / "import.json"
        file.write_text('[{"type": "user", "data": {"id": "a"}}]')
        operator = StreamImportOperator(task_id="import", file=f"file://{file}", mode="upsert")
        operator.execute(run.context)
        assert [each.asset.uri for each in collector.collected_assets.inputs] == [f"file://{file}"]


def emit(operator: Any, state: TaskInstanceState) -> None:
    """Tell OpenLineage of an Airflow task that has ended, as its listener does."""
    from airflow.providers.openlineage.extractors import ExtractorManager
    from airflow.providers.openlineage.plugins.adapter import OpenLineageAdapter
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
    from openlineage.client.uuid import generate_new_uuid

    run: Any = SimpleNamespace(run_id="run")
    found = ExtractorManager().extract_metadata(run, operator, state, task_instance=None)
    event = RunEvent(
        eventType=RunState.COMPLETE,
        eventTime="2026-11-28T12:00:00Z",
        run=Run(str(generate_new_uuid()), found.run_facets),
        job=Job("airflow", f"{operator.dag_id}.{operator.task_id}", found.job_facets),
        inputs=found.inputs,
        outputs=found.outputs,
        producer="tests",
    )
    OpenLineageAdapter().emit(event)


def test_the_event_leads_from_stream_to_the_files(
    export: Export, run: StoringRun, sandbox: Sandbox, tmp_path: Path, events: Any
) -> None:
    task_id = export(CONTENT)
    with DAG("dag", schedule=None):
        channels = StreamExportChannelsOperator(task_id="channels", channels=[{"cid": "messaging:a"}])
        operator = StreamExportToObjectStorageOperator(
            task_id="store", stream_task_id=channels.output, destination=f"file://{tmp_path}/exports/"
        )
    operator.stream_task_id = task_id  # as it is when it is rendered
    operator.execute(run.context)
    emit(operator, TaskInstanceState.SUCCESS)

    (event,) = events()
    host = urlsplit(sandbox.url).netloc
    (source,) = event["inputs"]
    assert (source["namespace"], source["name"]) == (f"stream://{host}", f"{sandbox.api_key}/ExportChannels")
    (file,) = event["outputs"]
    assert (file["namespace"], file["name"]) == ("file", f"{tmp_path}/exports/{task_id}.jsonl")
    statistics = file["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["size"]) == (2, len(CONTENT))
    assert event["run"]["facets"]["externalQuery"]["externalQueryId"] == task_id
    text = json.dumps(event)
    assert sandbox.api_secret not in text
    assert "Signature" not in text


def test_after_a_failure_it_names_what_was_stored_before(
    export: Export, run: StoringRun, host: StorageHost, tmp_path: Path, events: Any
) -> None:
    first, second = export(CONTENT), export(CONTENT)
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / f"{second}.jsonl").write_text("somebody else's")
    operator = StreamExportToObjectStorageOperator(
        task_id="store", stream_task_id=[first, second], destination=f"file://{tmp_path}/exports/"
    )
    with pytest.raises(Exception, match="is there already"):
        operator.execute(run.context)
    emit(operator, TaskInstanceState.FAILED)
    (event,) = events()
    assert [each["name"] for each in event["outputs"]] == [f"{tmp_path}/exports/{first}.jsonl"]


def test_a_file_of_somebody_else_that_is_left_comes_from_no_export(
    export: Export, run: StoringRun, tmp_path: Path, collector: Any
) -> None:
    (tmp_path / "x").write_text("somebody else's")
    operator = StreamExportToObjectStorageOperator(
        task_id="store",
        stream_task_id=export(CONTENT),
        destination=f"file://{tmp_path}/",
        file_name="x",
        overwrite="skip",
    )
    assert operator.execute(run.context)["path"] == f"file://{tmp_path}/x"
    assert operator.get_openlineage_facets_on_complete(None) is None
    assert not collector.has_collected


def test_nothing_stored_is_nothing_to_report(run: StoringRun, connection: None, tmp_path: Path) -> None:
    operator = StreamExportToObjectStorageOperator(
        task_id="store", stream_task_id=[], destination=f"file://{tmp_path}/exports/"
    )
    assert operator.get_openlineage_facets_on_complete(None) is None
    operator.execute(run.context)
    assert operator.get_openlineage_facets_on_complete(None) is None
