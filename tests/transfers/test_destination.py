"""Names of places and connections, as users write them and Airflow reads them."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, AssetAlias, ObjectStoragePath
from airflow.sdk.io import attach
from airflow.sdk.io.store import _STORE_CACHE
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from airflow_provider_streamtasks.transfers import moves
from airflow_provider_streamtasks.transfers.destination import asset_uri, quiet, storage_path
from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator
from airflow_provider_streamtasks.transfers.storages import PART, part_size
from airflow_provider_streamtasks.transfers.upload import Upload
from tests.transfers.conftest import Export, Store, StoringRun
from tests.transfers.hosts import StorageHost
from tests.transfers.stores import SERVERS


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"storage_conn_id": "aws_typo"}, "storage_conn_id names the connection 'aws_typo'"),
        ({"destination": "s3://aws_typo@bucket/x/"}, "destination names the connection 'aws_typo'"),
        ({"storage_conn_id": "stream_default"}, "leads to Stream"),
    ],
)
def test_a_wrong_connection_is_refused_before_the_first_request(
    arguments: dict[str, Any], text: str, export: Export, store: Store, host: StorageHost
) -> None:
    task_id = export()
    with pytest.raises(ValueError, match=text):
        store(task_id, **{"destination": "s3://bucket/exports/", **arguments})
    assert host.requests == []


@pytest.mark.parametrize(
    ("destination", "text"),
    [
        ("abfss://exports@account.dfs.core.windows.net/a/b", "abfs://CONNECTION@exports/a/b"),
        ("abfs://exports@account.blob.core.windows.net", "abfs://CONNECTION@exports/"),
        ("adl://exports/a", "Write abfs://"),
    ],
)
def test_what_airflow_reads_as_something_else_gets_a_sentence(destination: str, text: str) -> None:
    with DAG("dag", schedule=None), pytest.raises(ValueError, match=text):
        StreamExportToObjectStorageOperator(task_id="x", stream_task_id="x", destination=destination)


@pytest.mark.parametrize("path", ["nowhere://bucket/x", "hdfs://host/x", ObjectStoragePath("hdfs://host/x")])
def test_a_scheme_that_nobody_knows_is_refused_by_its_argument(path: Any) -> None:
    with pytest.raises(ValueError, match=f"file is '{path}': .*Install the Airflow provider"):
        storage_path("file", path)


def test_a_filesystem_that_somebody_attached_will_do() -> None:
    attach("webhdfs", fs=LocalFileSystem())
    try:
        assert storage_path("file", "webhdfs://host/x").fs.exists("/")
    finally:
        del _STORE_CACHE["webhdfs"]


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("s3://bucket/a/x", "s3://bucket/a/x"),
        ("s3a://bucket/a/x", "s3://bucket/a/x"),
        ("gs://bucket/a/x", "gs://bucket/a/x"),
        ("gcs://bucket/a/x", "gs://bucket/a/x"),
        ("abfs://container/a/x", "abfs://container/a/x"),
        ("abfss://container/a/x", "abfs://container/a/x"),
        ("/data/x", "file:///data/x"),
        ("local:///data/x", "file:///data/x"),
        ("file:///data/x", "file:///data/x"),
        ("sftp://there@/data/x", "sftp://files.example.com:2222/data/x"),
        ("memory://bucket/x", "memory:///bucket/x"),
    ],
)
def test_assets_are_named_as_providers_and_users_name_them(
    path: str, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {"conn_type": "sftp", "host": "files.example.com", "port": 2222}
    monkeypatch.setenv("AIRFLOW_CONN_THERE", json.dumps(there))
    assert asset_uri(ObjectStoragePath(path)) == uri


def test_an_alias_gets_that_name(export: Export, store: Store, run: StoringRun, tmp_path: Path) -> None:
    alias = AssetAlias("each file")
    store(export(), destination=f"local://{tmp_path}/exports", file_name="x", outlets=[alias])
    (event,) = run.outlet_events[alias].asset_alias_events
    assert event.dest_asset_key.uri == f"file://{tmp_path}/exports/x"


def test_the_requests_of_azures_library_stay_out_of_the_log() -> None:
    logger = logging.getLogger("azure.core.pipeline.policies.http_logging_policy")
    with quiet(ObjectStoragePath("abfs://container/x")):
        assert not logger.isEnabledFor(logging.INFO)
    assert logger.level == logging.NOTSET
    logger.setLevel(logging.DEBUG)
    try:
        with quiet(ObjectStoragePath("abfs://container/x")):
            assert logger.isEnabledFor(logging.DEBUG)
    finally:
        logger.setLevel(logging.NOTSET)


# -- parts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, PART * 9_000, PART * 9_000 + 1, 10**13, None])
def test_parts_are_what_s3_and_google_take(size: int | None) -> None:
    part = part_size(size)
    assert part >= PART
    assert part % 2**18 == 0
    assert (size or 0) / part <= 10_000


class Uploads(AbstractFileSystem):
    """Notes what is uploaded at a time, as fsspec cuts it."""

    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.whole: tuple[int, str] | None = None
        self.dropped = False

    def open(self, path: str, mode: str, block_size: int) -> AbstractBufferedFile:
        # fsspec itself knows no "xb".
        return Parts(self, path, {"xb": "wb"}[mode], block_size)

    def pipe_file(self, path: str, data: bytes, mode: str) -> None:
        self.whole = (len(data), mode)


class Parts(AbstractBufferedFile):
    fs: Uploads

    def _upload_chunk(self, final: bool = False) -> None:
        self.fs.sizes.append(self.buffer.tell())

    def discard(self) -> None:
        self.fs.dropped = True


def upload_to(fs: Any) -> Upload:
    path: Any = type("Path", (), {"fs": fs, "path": "bucket/x", "protocol": "s3"})()
    return Upload(path, 1, replace=False)


@pytest.mark.parametrize(
    "pieces", [[1], [PART], [PART + 1], [7, PART, 3 * PART, 1], [2**18] * 50, [PART * 4]]
)
def test_every_part_but_the_last_has_one_size(pieces: list[int]) -> None:
    fs = Uploads()
    with upload_to(fs) as upload:
        for piece in pieces:
            upload.write(b"x" * piece)
        upload.commit()
    if sum(pieces) <= PART:
        assert (fs.whole, fs.sizes) == ((sum(pieces), "create"), [])
    else:
        assert fs.whole is None
        assert set(fs.sizes[:-1]) == {PART}
        assert fs.sizes[-1] < PART
        assert sum(fs.sizes) == sum(pieces)
        assert not fs.dropped


@pytest.mark.parametrize("size", [1, PART, PART + 1, 2 * PART])
def test_nothing_more_is_sent_of_an_upload_that_is_given_up(size: int) -> None:
    fs = Uploads()
    with upload_to(fs) as upload:
        upload.write(b"x" * size)
    assert fs.whole is None
    assert fs.dropped is (size > PART)
    assert set(fs.sizes) <= {PART}


def test_a_whole_part_is_read_ahead_of_an_upload() -> None:
    """So that the next one is at hand when the storage has taken one."""
    assert upload_to(Uploads()).ahead == PART


if SERVERS["google"][1]:

    @pytest.mark.parametrize("replace", [True, False])
    def test_a_bucket_that_shows_files_while_they_are_written_is_refused(replace: bool) -> None:
        from gcsfs.extended_gcsfs import BucketType, ExtendedGcsFileSystem

        fs = ExtendedGcsFileSystem(token="anon", endpoint_url="http://127.0.0.1:9")
        # What Google would answer; no emulator has such buckets.
        fs._storage_layout_cache["bucket"] = BucketType.ZONAL_HIERARCHICAL
        path: Any = type("Path", (), {"fs": fs, "path": "bucket/x", "protocol": "gs"})()
        with pytest.raises(OSError, match="a zonal one"):
            Upload(path, 1, replace=replace)


# -- disks ---------------------------------------------------------------------------------------------------


@pytest.fixture
def other_device() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        yield Path(folder)


def test_a_folder_on_another_device(export: Export, store: Store, tmp_path: Path, other_device: Path) -> None:
    (tmp_path / "exports").symlink_to(other_device)
    store(export(b"x"), file_name="x")
    assert sorted(path.name for path in other_device.iterdir()) == ["x", "x.manifest.json"]
    assert (other_device / "x").read_bytes() == b"x"


def test_a_disk_without_hard_links(
    export: Export, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As FAT answers; no such disk can be had without rights on the machine.
    monkeypatch.setattr(os, "link", _no_links)
    store(export(b"x"), file_name="x")
    assert (tmp_path / "exports" / "x").read_bytes() == b"x"
    place = tmp_path / "exports" / ".x.part"
    place.write_bytes(b"y")
    with pytest.raises(FileExistsError):
        moves.move(ObjectStoragePath(f"file://{tmp_path}/exports/x"), str(place), replace=False)
    assert (tmp_path / "exports" / "x").read_bytes() == b"x"


def _no_links(*_: Any) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_fsspec_is_not_asked_to_move_on_a_disk(
    export: Export, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It copies where the system refuses, and half a file would be seen."""
    monkeypatch.delattr(LocalFileSystem, "mv_file", raising=False)
    monkeypatch.setattr(LocalFileSystem, "mv", None)
    for overwrite in ("error", "overwrite"):
        store(export(b"x"), file_name=overwrite, overwrite=overwrite)
        assert (tmp_path / "exports" / overwrite).read_bytes() == b"x"
