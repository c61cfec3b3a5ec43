"""The operator: what it stores, where, what it tells, and what it leaves when something goes wrong."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk import DAG, Asset, AssetAlias, ObjectStoragePath
from airflow.sdk.io.store import attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_streamtasks.exceptions import (
    StreamApiException,
    StreamException,
    StreamTaskException,
)
from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator
from tests.conftest import StartTask
from tests.transfers.conftest import Export, Store, StoringRun
from tests.transfers.hosts import StorageHost, Trouble

CONTENT = b'{"cid": "messaging:a"}\n{"cid": "messaging:b"}'
SHA = hashlib.sha256(CONTENT).hexdigest()


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())} if folder.exists() else {}


def without_time(files: dict[str, bytes]) -> dict[str, Any]:
    """Manifests without the time that they were written."""
    return {
        name: {k: v for k, v in json.loads(data).items() if k != "stored_at"}
        if name.endswith(".manifest.json")
        else data
        for name, data in files.items()
    }


# -- what is stored and told ---------------------------------------------------------------------------------


def test_one_file_its_manifest_and_its_xcoms(
    export: Export, store: Store, run: StoringRun, tmp_path: Path
) -> None:
    task_id = export(CONTENT)
    stored = store(task_id)
    path = f"file://{tmp_path}/exports/{task_id}.jsonl"
    assert stored == {
        "path": path,
        "bytes": len(CONTENT),
        "sha256": SHA,
        "stream_task_id": task_id,
        "items": 2,
    }
    assert run.xcoms == {"return_value": stored, "paths": [path]}
    found = files(tmp_path / "exports")
    assert list(found) == [f"{task_id}.jsonl", f"{task_id}.jsonl.manifest.json"]
    manifest = json.loads(found[f"{task_id}.jsonl.manifest.json"])
    assert manifest.pop("stored_at").endswith("+00:00")
    assert manifest == stored
    assert ObjectStoragePath(stored["path"]).read_bytes() == CONTENT


def test_several_files(
    start_export: Callable[..., str], store: Store, run: StoringRun, tmp_path: Path
) -> None:
    ids = [start_export(), start_export()]
    stored = store([*ids, ids[0]], file_name="{index:03d}-channels{suffix}", destination=str(tmp_path))
    assert [each["stream_task_id"] for each in stored] == ids
    assert run.xcoms["paths"] == [f"{tmp_path}/001-channels.jsonl", f"{tmp_path}/002-channels.jsonl"]
    assert len(files(tmp_path)) == 4


def test_no_file(store: Store, run: StoringRun, connection: None, tmp_path: Path) -> None:
    assert store([]) == []
    assert run.xcoms == {"return_value": [], "paths": []}
    assert files(tmp_path / "exports") == {}


def test_no_export_updates_no_asset(store: Store, connection: None) -> None:
    with pytest.raises(AirflowSkipException, match="no export to store"):
        store([], outlets=[Asset("exports")])


def test_gzip_is_the_same_every_time(export: Export, store: Store, tmp_path: Path) -> None:
    task_id = export(CONTENT * 1000)
    stored = [store(task_id, gzip=True, overwrite="overwrite") for _ in range(2)]
    data = files(tmp_path / "exports")[f"{task_id}.jsonl.gz"]
    assert gzip.decompress(data) == CONTENT * 1000
    assert stored[0] == stored[1]
    assert (stored[0]["bytes"], stored[0]["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert stored[0]["items"] == 1001


NAMES = {
    "{stream_task_id}{suffix}": "ID.jsonl",
    "channels-{index}": "channels-1",
    "{index:>05}.jsonl": "00001.jsonl",
}


@pytest.mark.parametrize("template", NAMES)
def test_names(template: str, export: Export, store: Store, tmp_path: Path) -> None:
    task_id = export()
    store(task_id, file_name=template)
    assert NAMES[template].replace("ID", task_id) in files(tmp_path / "exports")


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "{}",
        "{name}",
        "{index.__class__}",
        "{index",
        "{0}",
        None,
        3,
        "{index:9999d}",
        "{index:{index}}",
        "{suffix:03d}",
        "{stream_task_id:d}",
        "{index:q}",
        "{index!x}",
    ],
)
def test_a_name_that_makes_no_sense_is_an_import_error(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^file_name "):
        StreamExportToObjectStorageOperator(
            task_id="store", stream_task_id="x", destination="/tmp", file_name=bad
        )


@pytest.mark.parametrize("bad", ["../{index}", "a/b", ".", "..", " ", "a\nb", "a\\b"])
def test_a_name_leads_to_no_other_folder(bad: str, export: Export, store: Store, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="file_name"):
        store(export(), file_name=bad)
    assert files(tmp_path) == {}


def test_two_exports_need_two_names(export: Export, store: Store, host: StorageHost) -> None:
    with pytest.raises(ValueError, match="several exports"):
        store([export(), export()], file_name="channels{suffix}")
    assert host.requests == []


@pytest.mark.parametrize(
    "arguments", [{"overwrite": "maybe"}, {"gzip": 1}, {"destination": " "}, {"storage_conn_id": 5}]
)
def test_an_argument_that_makes_no_sense_is_an_import_error(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        StreamExportToObjectStorageOperator(
            **{"task_id": "store", "stream_task_id": "x", "destination": "/tmp", **arguments}
        )


@pytest.mark.parametrize("destination", ["exports", "file://exports", "file://", "file:exports", "local://x"])
def test_a_relative_destination_is_refused(destination: str, export: Export, store: Store) -> None:
    with pytest.raises(ValueError, match="from the root"):
        store(export(), destination=destination)


@pytest.mark.parametrize(
    ("destination", "allowed"),
    [
        ("exports", "from the root"),
        ("exports/{{ ds }}/", "from the root"),
        ("./exports", "from the root"),
        ("https://example.com/{{ ds }}/", "can be written to"),
        (Path("exports"), "from the root"),
        (ObjectStoragePath("exports"), "from the root"),
    ],
)
def test_a_destination_that_begins_wrong_is_refused_when_the_dag_is_parsed(
    destination: Any, allowed: str
) -> None:
    with pytest.raises(ValueError, match=f"^destination is '{re.escape(str(destination))}': .*{allowed}"):
        StreamExportToObjectStorageOperator(task_id="store", stream_task_id="x", destination=destination)


@pytest.mark.parametrize(
    "destination",
    ["{{ params.folder }}", "{{ var.value.x }}/y/", "s3{{ params.a }}://bucket/", "/data/{{ ds }}"],
)
def test_a_destination_that_a_template_may_begin_is_left_until_then(destination: str) -> None:
    store = StreamExportToObjectStorageOperator(task_id="x", stream_task_id="x", destination=destination)
    assert store.destination == destination


@pytest.mark.parametrize("scheme", ["file://", "file:", "local://", ""])
def test_a_destination_from_the_root(scheme: str, export: Export, store: Store, tmp_path: Path) -> None:
    stored = store(export(), destination=f"{scheme}{tmp_path}/here")
    assert [stored["path"].rpartition("/here/")[2]] == [
        path.name for path in (tmp_path / "here").iterdir() if path.suffix != ".json"
    ]


@pytest.mark.parametrize("destination", ["s3://", "s3:/", "s3a://"])
def test_a_destination_without_a_bucket_is_refused(destination: str, export: Export, store: Store) -> None:
    with pytest.raises(ValueError, match="name of a bucket"):
        store(export(), destination=destination)


def test_a_destination_that_nobody_can_write_to_is_refused(export: Export, store: Store) -> None:
    with pytest.raises(ValueError, match="can be written to"):
        store(export(), destination="https://example.com/exports")


def test_templates() -> None:
    with DAG("dag", schedule=None):
        operator = StreamExportToObjectStorageOperator(
            task_id="store",
            stream_task_id="{{ ids }}",
            destination="s3://bucket/{{ ds }}/",
            file_name="{{ ds }}-{index}{suffix}",
        )
    context: Any = {"ds": "2026-01-31", "ids": "x"}
    operator.render_template_fields(context)
    assert operator.stream_task_id == "x"
    assert operator.destination == "s3://bucket/2026-01-31/"
    assert operator.file_name == "2026-01-31-{index}{suffix}"


@pytest.mark.parametrize(
    ("argument", "template"),
    [("destination", "/data/{{ params.given }}/x"), ("file_name", "{{ params.given }}-{index}")],
)
@pytest.mark.parametrize(("context", "said"), [({"params": {"given": None}}, "gave None"), (None, "Airflow")])
def test_a_template_that_gave_nothing_names_no_place(
    argument: str, template: str, context: Any, said: str, run: StoringRun
) -> None:
    arguments: dict[str, Any] = {"destination": "/data", argument: template}
    operator = StreamExportToObjectStorageOperator(task_id="store", stream_task_id="x", **arguments)
    if context:
        operator.render_template_fields(context)
    with pytest.raises(ValueError, match=f"^{argument} is .*{said}"):
        operator.execute(run.context)


# -- assets --------------------------------------------------------------------------------------------------


def test_asset_events_say_where_the_data_is(export: Export, store: Store, run: StoringRun) -> None:
    asset = Asset("exports")
    stored = store(export(CONTENT), outlets=[asset])
    assert run.outlet_events[asset].extra == {"files": [stored], **stored}


def test_asset_events_of_several_files(
    start_export: Callable[..., str], store: Store, run: StoringRun
) -> None:
    asset, alias = Asset("exports"), AssetAlias("each file")
    stored = store([start_export(), start_export()], outlets=[asset, alias, object()])
    assert run.outlet_events[asset].extra == {"files": stored}
    events = run.outlet_events[alias].asset_alias_events
    assert [event.extra for event in events] == stored
    assert [event.dest_asset_key.uri for event in events] == [each["path"] for each in stored]


# -- what is there already -----------------------------------------------------------------------------------


@pytest.mark.parametrize("overwrite", ["error", "skip", "overwrite"])
@pytest.mark.parametrize("gzip", [False, True])
def test_running_twice_gives_the_same_end(
    overwrite: str, gzip: bool, export: Export, store: Store, host: StorageHost, tmp_path: Path
) -> None:
    task_id = export(CONTENT)
    first = store(task_id, overwrite=overwrite, gzip=gzip)
    before = without_time(files(tmp_path / "exports"))
    assert store(task_id, overwrite=overwrite, gzip=gzip) == first
    assert without_time(files(tmp_path / "exports")) == before
    assert len(host.requests) == (2 if overwrite == "overwrite" else 1)


@pytest.mark.parametrize("gzip", [False, True])
@pytest.mark.parametrize("spoilt", [None, "", "[]", "{}", '{"bytes": "x", "sha256": 1}', '{"bytes": 1}'])
def test_a_process_died_before_the_manifest(
    spoilt: str | None, gzip: bool, export: Export, store: Store, tmp_path: Path
) -> None:
    task_id = export(CONTENT)
    first = store(task_id, gzip=gzip)
    before = without_time(files(tmp_path / "exports"))
    (manifest,) = (tmp_path / "exports").glob("*.manifest.json")
    manifest.unlink() if spoilt is None else manifest.write_text(spoilt)
    assert store(task_id, gzip=gzip) == first
    assert without_time(files(tmp_path / "exports")) == before


@pytest.mark.parametrize("manifest", [True, False])
def test_another_file_is_there(
    manifest: bool, export: Export, host: StorageHost, store: Store, tmp_path: Path
) -> None:
    store(export(b"old"), file_name="x")
    if not manifest:
        (tmp_path / "exports" / "x.manifest.json").unlink()
    before = files(tmp_path / "exports")
    task_id = export(CONTENT)
    with pytest.raises(AirflowFailException, match="is there already, and is not the file"):
        store(task_id, file_name="x", overwrite="error")
    assert files(tmp_path / "exports") == before

    skipped = store(task_id, file_name="x", overwrite="skip")
    assert files(tmp_path / "exports") == before
    assert (skipped["bytes"], skipped["sha256"]) == (3, hashlib.sha256(b"old").hexdigest())

    stored = store(task_id, file_name="x", overwrite="overwrite")
    assert files(tmp_path / "exports")["x"] == CONTENT
    assert stored["sha256"] == SHA
    assert stored["stream_task_id"] == task_id


def test_what_is_there_stays_until_the_new_file_is_complete(
    export: Export, host: StorageHost, store: Store, tmp_path: Path
) -> None:
    store(export(b"old"), file_name="x")
    before = files(tmp_path / "exports")
    task_id = export(CONTENT)
    host.troubles += [Trouble(cut=5), Trouble(status=404)]
    with pytest.raises(StreamApiException):
        store(task_id, file_name="x", overwrite="overwrite")
    assert files(tmp_path / "exports") == before


# -- Stream tasks that are no finished exports ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("fate", "kind", "text"),
    [
        ({"end": "failed", "error": {"type": "t", "description": "d"}}, StreamTaskException, "failed: t: d"),
        ({"end": "error"}, StreamTaskException, "error"),
        ({"end": "never", "running": 9}, StreamException, "is running: there is no file yet. Wait for it"),
        ({"result": None}, StreamException, "has no url"),
        ({"result": {}}, StreamException, "has no url"),
        ({"result": {"url": 3}}, StreamException, "has no url"),
        ({"visible_after": 60}, StreamApiException, "Can't find task"),
    ],
)
def test_no_file_to_store(
    fate: dict[str, Any],
    kind: type[Exception],
    text: str,
    export: Export,
    start_task: StartTask,
    store: Store,
    host: StorageHost,
    tmp_path: Path,
) -> None:
    good, bad = export(), start_task(**fate)
    with pytest.raises(kind, match=text):
        store([good, bad])
    assert host.requests == []
    assert files(tmp_path / "exports") == {}


@pytest.mark.parametrize("bad", ["", None, ["", "x"], "[1]", [None]])
def test_no_stream_task(bad: Any, store: Store) -> None:
    with pytest.raises(ValueError, match="stream_task_id"):
        store(bad)


# -- storages ------------------------------------------------------------------------------------------------


class SmallDisk(MemoryFileSystem):
    """Any other storage of fsspec's, with little room."""

    cachable = False
    store: dict[str, Any] = {}  # noqa: RUF012
    room = 10**9

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        file = super()._open(path, mode, **kwargs)
        write = file.write

        def limited(data: bytes) -> int:
            if file.tell() + len(data) > self.room:
                write(data[:5])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return int(write(data))

        file.write = limited
        return file


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    disk = SmallDisk()
    attach(protocol="memory", fs=disk).fs = disk
    yield disk
    SmallDisk.store.clear()


def test_any_other_storage_gets_a_temporary_file_that_is_moved(
    disk: SmallDisk, export: Export, store: Store
) -> None:
    task_id = export(CONTENT)
    store(task_id, destination="memory://bucket/exports/")
    assert disk.cat_file(f"/bucket/exports/{task_id}.jsonl") == CONTENT
    assert len(SmallDisk.store) == 2


class DropBox(SmallDisk):
    """A storage where one may write, and not list."""

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        raise RuntimeError("Permission denied")  # sshfs has no OSError of it


def test_a_storage_that_shows_no_list_of_its_files(disk: SmallDisk, export: Export, store: Store) -> None:
    attach(protocol="memory", fs=disk).fs = DropBox()
    task_id = export(CONTENT)
    store(task_id, destination="memory://bucket/exports/", overwrite="overwrite")
    assert disk.cat_file(f"/bucket/exports/{task_id}.jsonl") == CONTENT


def test_a_full_disk_leaves_nothing(
    disk: SmallDisk, export: Export, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SmallDisk, "room", 20)
    with pytest.raises(OSError, match="No space left on device: 'memory://bucket/exports/"):
        store(export(CONTENT), destination="memory://bucket/exports/")
    assert SmallDisk.store == {}


def test_a_scheme_that_nobody_knows(export: Export, store: Store) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        store(export(), destination="nowhere://bucket/exports/")


# -- crashes -------------------------------------------------------------------------------------------------

_STORING = """
import sys
from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator
from tests.airflow_tasks import Run
task_id, destination = sys.argv[1:]
StreamExportToObjectStorageOperator(
    task_id="store", stream_task_id=task_id, destination=destination
).execute(Run().context)
"""


def test_a_killed_process_leaves_no_half_file_and_the_next_one_cleans_up(
    export: Export, host: StorageHost, store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    bystanders = {".x.part", ".other.jsonl.0123456789abcdef.part"}
    for name in bystanders:
        (folder / name).touch()
    task_id = export(CONTENT * 1000)
    # It gets some bytes, then waits for more.
    host.troubles += [Trouble(cut=20_000), Trouble(before=lambda: time.sleep(3))]
    process = subprocess.Popen([sys.executable, "-c", _STORING, task_id, f"file://{folder}/"])
    deadline = time.monotonic() + 60
    while len(host.requests) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (left,) = {path.name for path in folder.iterdir()} - bystanders
    assert left.startswith(f".{task_id}.jsonl.")

    store(task_id)
    assert {path.name for path in folder.iterdir()} == {
        f"{task_id}.jsonl",
        f"{task_id}.jsonl.manifest.json",
        *bystanders,
    }
    assert (folder / f"{task_id}.jsonl").read_bytes() == CONTENT * 1000


# -- memory --------------------------------------------------------------------------------------------------

_MEASURING = """
import resource, sys
from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator
from tests.airflow_tasks import Run
small, large, destination = sys.argv[1:]
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
def store(task_id):
    StreamExportToObjectStorageOperator(
        task_id="store", stream_task_id=task_id, destination=destination
    ).execute(Run().context)
store(small)
before = peak()
store(large)
print(peak() - before)
"""


def test_a_large_export_needs_little_memory(
    export: Export, host: StorageHost, start_task: StartTask, tmp_path: Path
) -> None:
    small = export(b"x" * 1000)
    large = start_task(result={"url": host.url})
    size = 256 * 2**20
    chunk = bytes(range(256)) * 4096  # 1 MiB

    host.troubles += [
        Trouble(),
        Trouble(
            stream=lambda write: [write(chunk) for _ in range(256)], headers={"Content-Length": str(size)}
        ),
    ]
    done = subprocess.run(
        [sys.executable, "-c", _MEASURING, small, large, f"file://{tmp_path}/"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"{large}.jsonl").stat().st_size == size
    assert int(done.stdout.split()[-1]) <= 64 * 2**20
    manifest = json.loads((tmp_path / f"{large}.jsonl.manifest.json").read_text())
    assert manifest["sha256"] == hashlib.sha256(chunk * 256).hexdigest()
