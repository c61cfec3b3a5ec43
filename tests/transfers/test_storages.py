"""Every storage: what is stored, what stays, and what is left when something goes wrong on either side."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pyarrow
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import Context
from pyarrow import parquet

from airflow_provider_streamtasks.operators.data_import import StreamImportOperator
from airflow_provider_streamtasks.operators.items import ItemFile
from airflow_provider_streamtasks.protocol.catalogue import DEACTIVATE_USERS
from airflow_provider_streamtasks.sandbox import SandboxControl
from airflow_provider_streamtasks.transfers.storages import PART
from tests.airflow_tasks import Run
from tests.conftest import Logs
from tests.transfers.conftest import Export, Store
from tests.transfers.hosts import StorageHost, Trouble
from tests.transfers.stores import HERE, OVER_HTTP, Disk
from tests.transfers.stores import Store as Storage

MIB = 2**20
SMALL = b'{"cid": "messaging:a"}\n' * 1000
LARGE = b"".join(
    b'{"line": %09d, "text": "%s"}\n' % (number, b"x" * 200) for number in range(52_000)
)  # 12 MiB
WHOLE_PARTS = LARGE[: 2 * PART]
OTHER = b"somebody else's"
FILES = ["x", "x.manifest.json"]
over_http = pytest.mark.parametrize("one_storage", OVER_HTTP, indirect=True)
in_folders = pytest.mark.parametrize("one_storage", [n for n in HERE if n not in OVER_HTTP], indirect=True)
MOST_REQUESTS = {"s3": 4, "azure": 8, "google": 8}


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def is_stored(storage: Storage, content: bytes, stored: dict[str, Any]) -> None:
    assert storage.names() == FILES
    assert storage.read("x") == content
    assert (stored["bytes"], stored["sha256"]) == (len(content), sha(content))
    manifest = json.loads(storage.read("x.manifest.json"))
    assert {key: manifest[key] for key in stored} == stored


@pytest.mark.parametrize(
    "content", [b"", SMALL, LARGE, WHOLE_PARTS], ids=["empty", "small", "two parts", "whole parts"]
)
def test_a_first_store(
    storage: Storage,
    content: bytes,
    export: Export,
    store: Store,
    logs: Logs,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, int], None],
) -> None:
    caplog.set_level("INFO")
    is_stored(storage, content, store(export(content), destination=storage.folder, file_name="x"))
    assert storage.unfinished() == []
    if storage.proxy and len(content) <= len(SMALL):
        record_property("requests", len(storage.proxy.requests))
        assert len(storage.proxy.requests) <= MOST_REQUESTS[storage.name], storage.proxy.requests
        assert {method for method, _ in storage.proxy.requests}.isdisjoint({"DELETE", "PATCH"})
    assert len(logs.lines) < 20, logs.lines


@pytest.mark.parametrize("overwrite", ["error", "skip", "overwrite"])
def test_a_second_run_ends_the_same(storage: Storage, overwrite: str, export: Export, store: Store) -> None:
    arguments = {"destination": storage.folder, "file_name": "x", "overwrite": overwrite}
    task_id = export(SMALL)
    first = store(task_id, **arguments)
    assert store(task_id, **arguments) == first
    is_stored(storage, SMALL, first)


def test_a_process_died_before_the_manifest(storage: Storage, export: Export, store: Store) -> None:
    arguments = {"destination": storage.folder, "file_name": "x"}
    task_id = export(SMALL)
    first = store(task_id, **arguments)
    storage.remove("x.manifest.json")
    assert store(task_id, **arguments) == first
    is_stored(storage, SMALL, first)


def test_another_file_is_there(storage: Storage, export: Export, store: Store) -> None:
    arguments = {"destination": storage.folder, "file_name": "x"}
    storage.put("x", OTHER)
    task_id = export(SMALL)
    with pytest.raises(AirflowFailException, match="is there already"):
        store(task_id, overwrite="error", **arguments)
    assert store(task_id, overwrite="skip", **arguments)["sha256"] == sha(OTHER)
    assert (storage.names(), storage.read("x")) == (["x"], OTHER)
    is_stored(storage, SMALL, store(task_id, overwrite="overwrite", **arguments))


def test_another_file_of_the_same_length_took_its_place(
    storage: Storage, export: Export, store: Store
) -> None:
    arguments = {"destination": storage.folder, "file_name": "x"}
    task_id = export(SMALL)
    store(task_id, **arguments)
    other = SMALL[:-1] + bytes([SMALL[-1] ^ 1])
    storage.put("x", other)
    with pytest.raises(AirflowFailException, match="is there already"):
        store(task_id, overwrite="error", **arguments)
    skipped = store(task_id, overwrite="skip", **arguments)
    assert (skipped["sha256"], skipped.get("stream_task_id")) == (sha(other), None)
    assert storage.read("x") == other


@pytest.mark.parametrize("content", [b"", SMALL, LARGE], ids=["empty", "small", "two parts"])
@pytest.mark.parametrize("overwrite", ["error", "skip"])
def test_another_file_appears_meanwhile(
    storage: Storage, overwrite: str, content: bytes, export: Export, host: StorageHost, store: Store
) -> None:
    """After the look, and before the last request: nothing but the storage itself can tell then."""
    task_id = export(content)
    host.troubles += [Trouble(before=lambda: storage.put("x", OTHER))]
    arguments = {"destination": storage.folder, "file_name": "x", "overwrite": overwrite}
    if overwrite == "error":
        with pytest.raises(AirflowFailException, match="is there already"):
            store(task_id, **arguments)
    else:
        assert store(task_id, **arguments)["sha256"] == sha(OTHER)
    assert (storage.names(), storage.read("x")) == (["x"], OTHER)
    if storage.name != "azure":
        assert storage.unfinished() == []


def test_a_download_that_is_cut_and_resumed(
    storage: Storage, export: Export, host: StorageHost, store: Store
) -> None:
    task_id = export(LARGE)
    host.troubles += [Trouble(cut=MIB), Trouble(cut=5 * MIB + 1), Trouble(cut=100)]
    is_stored(storage, LARGE, store(task_id, destination=storage.folder, file_name="x"))
    assert len(host.places) == 4


def test_gzip(storage: Storage, export: Export, store: Store) -> None:
    stored = store(export(LARGE), destination=storage.folder, file_name="x", gzip=True)
    assert storage.names() == ["x.gz", "x.gz.manifest.json"]
    data = storage.read("x.gz")
    assert gzip.decompress(data) == LARGE
    assert stored["sha256"] == sha(data)


def test_a_download_that_fails_leaves_what_was_there(
    storage: Storage, export: Export, host: StorageHost, store: Store
) -> None:
    storage.put("x", OTHER)
    task_id = export(LARGE)
    arguments = {"destination": storage.folder, "file_name": "x", "overwrite": "overwrite"}
    host.troubles += [Trouble(cut=6 * MIB), Trouble(status=404)]
    with pytest.raises(Exception, match="404"):
        store(task_id, **arguments)
    assert (storage.names(), storage.read("x")) == (["x"], OTHER)
    is_stored(storage, LARGE, store(task_id, **arguments))
    assert storage.unfinished() == []


@over_http
@pytest.mark.parametrize("status", [403, 503])
@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "two parts"])
def test_each_request_fails_in_turn(
    storage: Storage, content: bytes, status: int, export: Export, store: Store
) -> None:
    """Whatever fails, the file is whole or not there, and the next run ends well."""
    arguments = {"destination": storage.folder, "file_name": "x"}
    assert storage.proxy
    store(export(content), **arguments)
    for number in range(len(storage.proxy.requests)):
        storage.clear()
        task_id = export(content)
        storage.proxy.reset()
        storage.proxy.fail_at(number, status)
        try:
            store(task_id, **arguments)
        except OSError as error:
            assert f"{storage.folder}x" in str(error)  # noqa: PT017 - one that is ridden out raises nothing
        storage.proxy.reset()
        assert storage.names() in ([], ["x"], FILES)
        assert storage.names() == [] or storage.read("x") == content
        is_stored(storage, content, store(task_id, **arguments))


@over_http
@pytest.mark.parametrize("status", [403, 503])
@pytest.mark.parametrize("overwrite", ["error", "skip"])
def test_each_request_fails_while_another_file_is_there(
    storage: Storage, overwrite: str, status: int, export: Export, store: Store
) -> None:
    """A storage that does not say what is there never loses what is there."""
    assert storage.proxy
    storage.put("x", OTHER)
    for number in range(8):
        task_id = export(SMALL)
        storage.proxy.reset()
        storage.proxy.fail_at(number, status)
        with contextlib.suppress(OSError, AirflowFailException):
            store(task_id, destination=storage.folder, file_name="x", overwrite=overwrite)
        assert (storage.names(), storage.read("x")) == (["x"], OTHER)


@over_http
@pytest.mark.parametrize("status", [403, 503])
@pytest.mark.parametrize("overwrite", ["error", "skip"])
def test_no_look_is_answered(
    storage: Storage, overwrite: str, status: int, export: Export, store: Store
) -> None:
    assert storage.proxy
    storage.put("x", OTHER)
    storage.proxy.fails = lambda number, method, path: status if method in ("GET", "HEAD") else None
    with pytest.raises(OSError, match=f"{storage.folder}x"):
        store(export(SMALL), destination=storage.folder, file_name="x", overwrite=overwrite)
    assert (storage.names(), storage.read("x")) == (["x"], OTHER)


@over_http
def test_a_role_that_may_only_write(storage: Storage, export: Export, store: Store) -> None:
    """No list, no read, no delete."""
    assert storage.proxy
    storage.proxy.fails = lambda number, method, path: 403 if method in ("GET", "HEAD", "DELETE") else None
    for content in (b"", SMALL, LARGE):
        is_stored(storage, content, store(export(content), destination=storage.folder, file_name="x"))
        storage.clear()


_STORING = """
import os, sys
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator
from tests.airflow_tasks import Run
task_id, destination = sys.argv[1:]
StreamExportToObjectStorageOperator(
    task_id="store", stream_task_id=task_id, destination=destination, file_name="x"
).execute(Run().context)
"""


def test_a_killed_process_leaves_nothing_after_the_next_success(
    storage: Storage, export: Export, host: StorageHost, store: Store
) -> None:
    task_id = export(LARGE)
    # Once it asks for the rest, most of the file is on the way.
    host.troubles += [Trouble(cut=6 * MIB), Trouble(before=lambda: process.kill())]
    process = subprocess.Popen([sys.executable, "-c", _STORING, task_id, storage.folder])
    assert process.wait() == -9
    assert storage.names() == []
    is_stored(storage, LARGE, store(task_id, destination=storage.folder, file_name="x"))
    if storage.name != "s3":  # where a lifecycle rule is needed
        assert storage.unfinished() == []


@in_folders
@pytest.mark.parametrize("overwrite", ["error", "skip", "overwrite"])
def test_a_folder_is_in_the_place(storage: Disk, overwrite: str, export: Export, store: Store) -> None:
    (storage.root / "x").mkdir()
    with pytest.raises(IsADirectoryError, match=f"^{storage.folder}x is a folder$"):
        store(export(), destination=storage.folder, file_name="x", overwrite=overwrite)
    (storage.root / "x").rmdir()  # empty as it was


@in_folders
def test_two_runs_for_one_name_leave_one_whole_file_and_the_slower_one_says_why_it_fails(
    storage: Storage, export: Export, host: StorageHost, store: Store
) -> None:
    arguments = {"destination": storage.folder, "file_name": "x"}
    task_id = export(SMALL)
    host.troubles += [Trouble(cut=100), Trouble(before=lambda: store(task_id, **arguments))]
    with pytest.raises(FileNotFoundError, match=f"another run.*: '{storage.folder}x'"):
        store(task_id, **arguments)
    assert storage.unfinished() == []
    is_stored(storage, SMALL, store(task_id, **arguments))


def test_two_hundred_mebibytes(storage: Storage, export: Export, host: StorageHost, store: Store) -> None:
    piece = bytes(range(256)) * 4096
    size = 200 * MIB
    task_id = export()
    host.troubles += [
        Trouble(
            stream=lambda write: [write(piece) for _ in range(200)], headers={"Content-Length": str(size)}
        )
    ]
    stored = store(task_id, destination=storage.folder, file_name="x")
    assert (stored["bytes"], stored["sha256"]) == (size, sha(piece * 200))
    assert sha(storage.read("x")) == stored["sha256"]


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "two parts"])
def test_an_import_is_uploaded_from_there(
    storage: Storage, content: bytes, connection: None, control: SandboxControl
) -> None:
    storage.put("x", content)
    Run().execute(lambda: StreamImportOperator(task_id="import", file=f"{storage.folder}x", mode="upsert"))
    (upload,) = control.journal("Upload")
    assert upload["status"] == 200


def _parquet(ids: list[str]) -> bytes:
    file = io.BytesIO()
    parquet.write_table(pyarrow.table({"name": ids, "user_id": ids}), file, row_group_size=1000)
    return file.getvalue()


# More than one read of an object storage takes at a time: few and long ones, that no compression makes short.
IDS = [hashlib.sha512(b"%d" % number).hexdigest() for number in range(45_000)]
LINES = "\n".join(IDS).encode()
ITEMS = {
    "lines": ("ids.txt", LINES, None),
    "gzip": ("ids.txt.gz", gzip.compress(LINES, 1), None),
    "csv": ("ids.csv", b"name,user_id\n" + b"".join(b"x,%s\n" % each.encode() for each in IDS), "user_id"),
    "json": ("ids.jsonl", b"".join(b'{"user": {"id": "%s"}}\n' % each.encode() for each in IDS), "user.id"),
    "parquet": ("ids.parquet", _parquet(IDS), "user_id"),
}


@pytest.mark.parametrize("kind", ITEMS)
def test_items_are_read_from_there(storage: Storage, kind: str) -> None:
    name, content, column = ITEMS[kind]
    assert DEACTIVATE_USERS.items
    storage.put(name, content)
    with ItemFile(DEACTIVATE_USERS.items, f"{storage.folder}{name}", Context(), column) as items:
        assert list(items) == IDS


@over_http
@pytest.mark.parametrize("status", [403, 503])
def test_items_of_which_a_part_cannot_be_read_are_none(storage: Storage, status: int) -> None:
    """Half of a list must not be taken for the whole of it."""
    name, content, column = ITEMS["lines"]
    assert storage.proxy
    assert DEACTIVATE_USERS.items
    storage.put(name, content)
    gets = 0

    def fails(number: int, method: str, path: str) -> int | None:
        nonlocal gets
        gets += method == "GET"
        return status if gets > 1 else None

    storage.proxy.fails = fails
    with pytest.raises(OSError, match=f"{storage.folder}{name}"):
        ItemFile(DEACTIVATE_USERS.items, f"{storage.folder}{name}", Context(), column)


@over_http
def test_a_file_that_its_library_would_unpack_and_cut_off_is_not_read(
    storage: Storage, connection: None, control: SandboxControl, export: Export, store: Store
) -> None:
    """gcsfs and adlfs end it after as many bytes as it has packed; s3fs leaves it packed."""
    storage.put_packed("ids.txt", gzip.compress(LINES))
    assert DEACTIVATE_USERS.items
    location, place = f"{storage.folder}ids.txt", {"destination": storage.folder, "file_name": "ids.txt"}
    if storage.name == "s3":
        with ItemFile(DEACTIVATE_USERS.items, location, Context()) as items:
            assert list(items) == IDS
        return
    with pytest.raises(
        ValueError, match=r"user_ids is '.*ids\.txt': the storage has it with Content-Encoding"
    ):
        ItemFile(DEACTIVATE_USERS.items, location, Context())
    with pytest.raises(OSError, match="cannot be read: the storage has it with Content-Encoding 'gzip'"):
        Run().execute(lambda: StreamImportOperator(task_id="import", file=location, mode="upsert"))
    assert control.journal() == []
    with pytest.raises(OSError, match="cannot be looked at: the storage has it with Content-Encoding"):
        store(export(), overwrite="skip", **place)


@over_http
def test_an_import_whose_file_cannot_be_read_says_so(
    storage: Storage, connection: None, control: SandboxControl
) -> None:
    storage.put("x", LARGE)
    assert storage.proxy
    gets = 0

    def fails(number: int, method: str, path: str) -> int | None:
        nonlocal gets
        gets += method == "GET"
        return 403 if gets > 1 else None

    storage.proxy.fails = fails
    with pytest.raises(OSError, match=f"{storage.folder}x"):
        Run().execute(
            lambda: StreamImportOperator(task_id="import", file=f"{storage.folder}x", mode="upsert")
        )
