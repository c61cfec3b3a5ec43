"""Buckets of S3 that are set up in ways of their own: ``make stores``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from airflow.providers.common.compat.sdk import AirflowFailException

from tests.transfers.conftest import Export, Store

pytestmark = pytest.mark.stores

MIB = 2**20
SMALL = b'{"cid": "messaging:a"}\n' * 1000
LARGE = b"".join(b'{"line": %09d, "text": "%s"}\n' % (n, b"x" * 200) for n in range(52_000))  # two parts
OTHER = b"somebody else's"


def create(client: Any, **others: Any) -> None:
    client.create_bucket(Bucket=others.pop("name", "exports"), **others)


def plain(client: Any) -> None:
    create(client)


def versioned(client: Any) -> None:
    create(client)
    client.put_bucket_versioning(Bucket="exports", VersioningConfiguration={"Status": "Enabled"})


def locked(client: Any) -> None:
    create(client, ObjectLockEnabledForBucket=True)
    retention = {"Mode": "COMPLIANCE", "Days": 1}
    client.put_object_lock_configuration(
        Bucket="exports",
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}},
    )


def encrypted(client: Any) -> None:
    create(client)
    rule = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/exports"}
    client.put_bucket_encryption(
        Bucket="exports",
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]},
    )


def dotted(client: Any) -> None:
    create(client, name="exports.of.example.com")


def elsewhere(client: Any) -> None:
    create(client, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})


BUCKETS: dict[str, tuple[Callable[[Any], None], str, str]] = {
    "plain": (plain, "exports", "us-east-1"),
    "versioned": (versioned, "exports", "us-east-1"),
    "object lock": (locked, "exports", "us-east-1"),
    "encrypted by default": (encrypted, "exports", "us-east-1"),
    "dots in its name": (dotted, "exports.of.example.com", "us-east-1"),
    "another region": (elsewhere, "exports", "eu-central-1"),
}
"""By name: what sets it up, the bucket, and the region of Airflow's connection."""


class Bucket:
    """A bucket as another client sees it."""

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name
        self.folder = f"s3://bucket_store@{name}/nightly/"

    def names(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return [each["Key"].removeprefix("nightly/") for each in found]

    def read(self, name: str) -> bytes:
        data: bytes = self.client.get_object(Bucket=self.name, Key=f"nightly/{name}")["Body"].read()
        return data

    def put(self, name: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=f"nightly/{name}", Body=data)

    def versions(self, name: str) -> int:
        found = self.client.list_object_versions(Bucket=self.name, Prefix=f"nightly/{name}")["Versions"]
        return sum(each["Key"] == f"nightly/{name}" for each in found)


@contextmanager
def server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    # What it holds is the process's, whichever server it was sent to.
    requests.post(f"http://{host}:{port}/moto-api/reset", timeout=10)
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture(params=BUCKETS)
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    import boto3
    from airflow.sdk.io.store import _STORE_CACHE

    set_up, name, region = BUCKETS[request.param]
    with server() as endpoint:
        extra = {"endpoint_url": endpoint, "region_name": region}
        fields = {"conn_type": "aws", "login": "key", "password": "of-the-store", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_BUCKET_STORE", json.dumps(fields))
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id="key",
            aws_secret_access_key="of-the-store",
        )
        set_up(client)
        _STORE_CACHE.clear()
        yield Bucket(client, name)
        _STORE_CACHE.clear()


@pytest.mark.parametrize("content", [b"", SMALL, LARGE], ids=["empty", "small", "two parts"])
def test_a_first_store_and_a_second_run_under_each_policy(
    bucket: Bucket, content: bytes, export: Export, store: Store
) -> None:
    task_id = export(content)
    arguments = {"destination": bucket.folder, "file_name": "x"}
    first = store(task_id, **arguments)
    assert bucket.names() == ["x", "x.manifest.json"]
    assert bucket.read("x") == content
    assert first["sha256"] == hashlib.sha256(content).hexdigest()
    for overwrite in ("error", "skip"):
        assert store(task_id, overwrite=overwrite, **arguments) == first
    assert bucket.versions("x") == 1
    assert store(task_id, overwrite="overwrite", **arguments) == first
    assert bucket.read("x") == content


@pytest.mark.parametrize("content", [b"", SMALL, LARGE], ids=["empty", "small", "two parts"])
def test_another_file_is_there(bucket: Bucket, content: bytes, export: Export, store: Store) -> None:
    task_id = export(content)
    arguments = {"destination": bucket.folder, "file_name": "x"}
    bucket.put("x", OTHER)
    with pytest.raises(AirflowFailException, match="is there already"):
        store(task_id, overwrite="error", **arguments)
    assert store(task_id, overwrite="skip", **arguments)["sha256"] == hashlib.sha256(OTHER).hexdigest()
    assert bucket.read("x") == OTHER
    store(task_id, overwrite="overwrite", **arguments)
    assert bucket.read("x") == content
