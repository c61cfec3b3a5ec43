"""S3, as moto's server speaks it over HTTP, through Airflow's own provider for AWS."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_streamtasks.exceptions import StreamException
from airflow_provider_streamtasks.sandbox import SandboxControl, files
from airflow_provider_streamtasks.sandbox.content import Part
from tests.conftest import Logs
from tests.transfers.conftest import Export, Store
from tests.transfers.hosts import StorageHost, Trouble

MIB = 2**20
SIZE = 20 * MIB
PARTS = 4  # of 5 MiB
FOLDER = "s3://aws_default@exports/nightly/"
_CONTENT = files.channels(["messaging:a", "messaging:b"], "channels.jsonl", SIZE)
CONTENT = b"".join(Part(_CONTENT, 0, SIZE).chunks())
SHA = hashlib.sha256(CONTENT).hexdigest()

StartExport = Callable[..., str]


class Bucket:
    """What is in the bucket, as another client sees it."""

    name = "exports"

    def __init__(self, client: Any) -> None:
        self.client = client

    @property
    def names(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return [each["Key"].removeprefix("nightly/") for each in found]

    @property
    def unfinished(self) -> int:
        """The uploads that somebody has begun."""
        return len(self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", []))

    def read(self, name: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=self.name, Key=f"nightly/{name}")["Body"].read()
        return content

    def etag(self, name: str) -> str:
        etag: str = self.client.head_object(Bucket=self.name, Key=f"nightly/{name}")["ETag"]
        return etag.strip('"')


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from airflow.sdk.io.store import _STORE_CACHE
    from moto.server import ThreadedMotoServer

    # Airflow would go on with what another test meant by this connection.
    _STORE_CACHE.clear()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    # What it holds is the process's: other modules may have left something.
    _reset(f"http://{host}:{port}")
    yield f"http://{host}:{port}"
    server.stop()


def _reset(endpoint: str) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")).close()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    import boto3

    connection = {
        "conn_type": "aws",
        "login": "key",
        "password": "of-the-store",
        "extra": {"endpoint_url": endpoint, "region_name": "us-east-1"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="of-the-store",
    )
    client.create_bucket(Bucket=Bucket.name)
    yield Bucket(client)
    client.close()
    _reset(endpoint)


def test_a_large_file_is_one_upload_of_several_parts(
    bucket: Bucket, start_export: StartExport, store: Store
) -> None:
    task_id = start_export(bytes=SIZE)
    stored = store(task_id, destination=FOLDER)
    name = f"{task_id}.jsonl"
    assert stored["path"] == f"{FOLDER}{name}"
    assert (stored["bytes"], stored["sha256"]) == (SIZE, SHA)
    assert bucket.names == [name, f"{name}.manifest.json"]
    assert bucket.read(name) == CONTENT
    assert bucket.etag(name).endswith(f"-{PARTS}")
    assert bucket.unfinished == 0
    manifest = json.loads(bucket.read(f"{name}.manifest.json"))
    assert {key: manifest[key] for key in stored} == stored
    assert store(task_id, destination=FOLDER) == stored


def test_nothing_is_seen_before_it_is_whole(
    bucket: Bucket, export: Export, host: StorageHost, store: Store
) -> None:
    task_id = export(CONTENT)
    seen: list[tuple[list[str], int]] = []
    host.troubles += [
        Trouble(cut=18 * MIB),
        Trouble(before=lambda: seen.append((bucket.names, bucket.unfinished))),
    ]
    store(task_id, destination=FOLDER)
    assert seen == [([], 1)]
    assert host.places == [None, f"bytes={18 * MIB}-"]
    assert bucket.read(f"{task_id}.jsonl") == CONTENT


def test_five_cuts_on_the_way(
    bucket: Bucket, start_export: StartExport, control: SandboxControl, store: Store
) -> None:
    task_id = start_export(bytes=SIZE)
    control.fault("cut", operation="Download", bytes=3 * MIB, times=5)
    store(task_id, destination=FOLDER)
    assert [entry["status"] for entry in control.journal("Download")] == [200, *[206] * 5]
    assert bucket.read(f"{task_id}.jsonl") == CONTENT
    assert bucket.unfinished == 0


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_transfer_that_fails_changes_nothing(
    old: bytes | None, bucket: Bucket, export: Export, host: StorageHost, store: Store
) -> None:
    if old:
        store(export(old), destination=FOLDER, file_name="x")
    before = bucket.names
    task_id = export(CONTENT)
    host.troubles += [Trouble(cut=18 * MIB), Trouble(status=404)]
    with pytest.raises(StreamException, match="404"):
        store(task_id, destination=FOLDER, file_name="x", overwrite="overwrite")
    assert bucket.names == before
    assert old is None or bucket.read("x") == old
    assert bucket.unfinished == 0


def test_another_object_is_there(bucket: Bucket, export: Export, store: Store) -> None:
    store(export(b"old"), destination=FOLDER, file_name="x")
    task_id = export(b"new")
    with pytest.raises(AirflowFailException, match="is there already"):
        store(task_id, destination=FOLDER, file_name="x", overwrite="error")
    assert store(task_id, destination=FOLDER, file_name="x", overwrite="skip")["bytes"] == 3
    assert bucket.read("x") == b"old"
    stored = store(task_id, destination=FOLDER, file_name="x", overwrite="overwrite")
    assert bucket.read("x") == b"new"
    assert stored["sha256"] == hashlib.sha256(b"new").hexdigest()
    assert json.loads(bucket.read("x.manifest.json"))["stream_task_id"] == task_id


@pytest.mark.parametrize("content", [b"", b"x"])
def test_a_small_file(content: bytes, bucket: Bucket, export: Export, store: Store) -> None:
    stored = store(export(content), destination=FOLDER, file_name="x")
    assert bucket.read("x") == content
    assert stored["bytes"] == len(content)
    assert bucket.unfinished == 0


_STORING = """
import sys
from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator
from tests.airflow_tasks import Run
task_id, destination = sys.argv[1:]
StreamExportToObjectStorageOperator(
    task_id="store", stream_task_id=task_id, destination=destination, file_name="x"
).execute(Run().context)
"""


def test_a_killed_process_leaves_no_object_and_the_next_one_ends_as_ever(
    bucket: Bucket, export: Export, host: StorageHost, store: Store
) -> None:
    task_id = export(CONTENT)
    # Once it asks for the rest, most of the file is on the way to S3.
    host.troubles += [Trouble(cut=18 * MIB), Trouble(before=lambda: process.kill())]
    process = subprocess.Popen([sys.executable, "-c", _STORING, task_id, FOLDER])
    assert process.wait() == -9
    assert bucket.names == []
    stored = store(task_id, destination=FOLDER, file_name="x")
    assert stored["sha256"] == SHA
    assert bucket.names == ["x", "x.manifest.json"]
    assert bucket.read("x") == CONTENT


def test_nothing_of_the_credentials_is_logged(
    bucket: Bucket, start_export: StartExport, store: Store, logs: Logs
) -> None:
    stored = store(start_export(), destination=FOLDER)
    told = logs.text + json.dumps(stored) + "".join(bucket.read(name).decode() for name in bucket.names)
    assert "Signature=" not in told
    assert "of-the-store" not in told
