"""What breaks on the way from the sandbox's storage host, and how it ends: whole, or not at all."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_streamtasks.exceptions import StreamTransportException
from airflow_provider_streamtasks.sandbox import SandboxControl, files
from airflow_provider_streamtasks.sandbox.content import Part
from tests.transfers.conftest import Store

SIZE = 3 * 2**20
TENTH = SIZE // 10
CONTENT = files.channels(["messaging:a", "messaging:b"], "channels.jsonl", SIZE)
SHA = hashlib.sha256(b"".join(Part(CONTENT, 0, SIZE).chunks())).hexdigest()

StartExport = Callable[..., str]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def is_whole(folder: Path, stored: dict[str, Any]) -> bool:
    name = f"{stored['stream_task_id']}.jsonl"
    assert names(folder) == [name, f"{name}.manifest.json"]
    assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == SHA
    return (stored["bytes"], stored["sha256"]) == (SIZE, SHA)


def requests(control: SandboxControl) -> list[tuple[int, str | None]]:
    """The answers that the storage host gave, and the ranges that were asked for."""
    return [(entry["status"], entry["headers"].get("range")) for entry in control.journal("Download")]


def from_place(place: int) -> tuple[int, str]:
    return 206, f"bytes={place}-"


@pytest.mark.parametrize("kind", ["cut", "truncated"])
def test_five_breaks_on_the_way(
    kind: str, start_export: StartExport, control: SandboxControl, store: Store, tmp_path: Path
) -> None:
    task_id = start_export(bytes=SIZE)
    control.fault(kind, operation="Download", bytes=TENTH, times=5)
    assert is_whole(tmp_path / "exports", store(task_id))
    # A connection that is reset loses what is still on the way, so it goes on somewhere before the break.
    answers = requests(control)
    assert [status for status, _ in answers] == [200, *[206] * 5]
    if kind == "truncated":
        assert answers[1:] == [from_place(number * TENTH) for number in range(1, 6)]


def test_a_url_that_expires_on_the_way(
    start_export: StartExport, control: SandboxControl, store: Store, tmp_path: Path
) -> None:
    task_id = start_export(bytes=SIZE)
    control.fault("expired", operation="Download", times=1)
    control.fault("truncated", operation="Download", bytes=TENTH, times=1)
    assert is_whole(tmp_path / "exports", store(task_id))
    assert requests(control) == [(200, None), (403, f"bytes={TENTH}-"), from_place(TENTH)]
    assert len(control.journal("GetTask")) == 2


def test_a_url_that_has_no_time_left(
    start_export: StartExport, control: SandboxControl, store: Store, tmp_path: Path
) -> None:
    task_id = start_export(bytes=SIZE, url_lifetime=0)
    with pytest.raises(Exception, match="does not hand out the file"):
        store(task_id)
    assert names(tmp_path / "exports") == []


def test_a_host_without_ranges(
    start_export: StartExport, control: SandboxControl, store: Store, tmp_path: Path
) -> None:
    task_id = start_export(bytes=SIZE, ranges=False)
    control.fault("truncated", operation="Download", bytes=TENTH, times=2)
    assert is_whole(tmp_path / "exports", store(task_id))
    assert [status for status, _ in requests(control)] == [200] * 3


def test_a_file_that_always_ends_early(
    start_export: StartExport, control: SandboxControl, store: Store, tmp_path: Path
) -> None:
    task_id = start_export(bytes=SIZE, ranges=False)
    control.fault("truncated", operation="Download", bytes=SIZE - 1)
    with pytest.raises(StreamTransportException, match="broke off"):
        store(task_id)
    assert names(tmp_path / "exports") == []


def test_wrong_bytes_are_fetched_again(
    start_export: StartExport, control: SandboxControl, store: Store, tmp_path: Path
) -> None:
    task_id = start_export(bytes=SIZE, checksum=True)
    control.fault("corrupted", operation="Download", times=1)
    assert is_whole(tmp_path / "exports", store(task_id))
    assert requests(control) == [(200, None)] * 2


def test_wrong_bytes_are_found_after_a_break(
    start_export: StartExport, control: SandboxControl, store: Store, tmp_path: Path
) -> None:
    task_id = start_export(bytes=SIZE, checksum=True)
    control.fault("corrupted", operation="Download", times=1)
    control.fault("truncated", operation="Download", bytes=TENTH, times=1)
    assert is_whole(tmp_path / "exports", store(task_id))
    assert requests(control) == [(200, None), from_place(TENTH), (200, None)]


def test_bytes_that_stay_wrong_are_not_stored(
    start_export: StartExport, control: SandboxControl, store: Store, tmp_path: Path
) -> None:
    task_id = start_export(bytes=SIZE, checksum=True)
    control.fault("corrupted", operation="Download")
    with pytest.raises(StreamTransportException, match="md5 of what the storage host sent"):
        store(task_id)
    assert len(requests(control)) == 5
    assert names(tmp_path / "exports") == []


_ON_A_FULL_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))  # as a full disk: bytes are refused
from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator
from tests.airflow_tasks import Run
task_id, destination = sys.argv[1:]
operator = StreamExportToObjectStorageOperator(
    task_id="store", stream_task_id=task_id, destination=destination, file_name="x", overwrite="overwrite"
)
try:
    operator.execute(Run().context)
except OSError as error:
    print("OSError", error.strerror)
"""


def test_a_full_disk(start_export: StartExport, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    arguments = [start_export(bytes=SIZE), f"file://{tmp_path}/"]
    done = subprocess.run([sys.executable, "-c", _ON_A_FULL_DISK, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "OSError File too large"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x": b"old"}


@pytest.mark.parametrize("gzip", [False, True])
def test_every_line_is_a_record(gzip: bool, start_export: StartExport, store: Store, tmp_path: Path) -> None:
    stored = store(start_export(bytes=SIZE), gzip=gzip)
    assert stored["items"] == sum(chunk.count(b"\n") for chunk in Part(CONTENT, 0, SIZE).chunks())
    manifest = json.loads((tmp_path / "exports" / f"{Path(stored['path']).name}.manifest.json").read_text())
    assert manifest["items"] == stored["items"]
