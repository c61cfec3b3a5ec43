"""A file in the user's storage, its checksum, and the manifest beside it."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_streamtasks.transfers.answers import Answer, meaning, os_errors, refuse_unpacked
from airflow_provider_streamtasks.transfers.aside import AHEAD, Aside
from airflow_provider_streamtasks.transfers.beside import Beside
from airflow_provider_streamtasks.transfers.draft import Draft
from airflow_provider_streamtasks.transfers.existing import existing
from airflow_provider_streamtasks.transfers.progress import Progress
from airflow_provider_streamtasks.transfers.source import ExportFile
from airflow_provider_streamtasks.transfers.storages import read_options, storage_of
from airflow_provider_streamtasks.transfers.upload import Upload

MANIFEST = ".manifest.json"
"""What the name of a file's manifest ends with."""

_CHUNK = 1024 * 1024
_LONGEST_MANIFEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class StoredFile:
    """
    A file in the user's storage.

    :param path: where it is
    :param bytes: how long it is, as it is stored
    :param sha256: its checksum, as it is stored, in hex
    :param stream_task_id: the Stream task that made it; ``None`` where nothing says so
    :param items: how many lines it has, if it is JSON lines; ``None`` where counting would not be cheap
    """

    path: str
    bytes: int
    sha256: str
    stream_task_id: str | None = None
    items: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what XComs and manifests hold."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def store(
    source: ExportFile, path: ObjectStoragePath, *, compress: bool, replace: bool, progress: Progress
) -> StoredFile:
    """
    Bring the file of an export to its place, whole or not at all, and write the manifest after it.

    :param compress: whether it is compressed on the way
    :param replace: whether it may replace a file that is there
    :raises FileExistsError: if it may not, and one is there
    :raises OSError: if the storage does not take it
    :raises StreamException: if the export cannot be read to its end
    """
    with ExitStack() as open_drafts:
        for place, chunk in source.chunks():
            if not chunk:  # the file begins
                open_drafts.close()
                draft = open_drafts.enter_context(_draft(path, source.size, replace=replace))
                content = open_drafts.enter_context(_Content(source, compress, draft.write, draft.ahead))
            else:
                content.take(chunk)
                progress.advance(len(chunk), place + len(chunk), source.size)
        content.end()
        draft.commit()
    stored = content.as_stored(path)
    write_manifest(path, stored)
    return stored


def compare(source: ExportFile, path: ObjectStoragePath, *, compress: bool, progress: Progress) -> StoredFile:
    """
    Read the file of an export and return what :func:`store` would make of it, without storing anything.

    :raises StreamException: if the export cannot be read to its end
    """
    with ExitStack() as contents:
        for place, chunk in source.chunks():
            if not chunk:
                contents.close()
                content = contents.enter_context(_Content(source, compress, lambda data: None))
            else:
                content.take(chunk)
                progress.advance(len(chunk), place + len(chunk), source.size)
        content.end()
    return content.as_stored(path)


def find(path: ObjectStoragePath) -> StoredFile | None:
    """
    Return the file that is there, as reading it shows, and what its manifest says if that is of it.

    :return: ``None`` where a new one may be written
    :raises OSError: if the storage does not tell whether there is one, or does not show it
    """
    digest, count = hashlib.sha256(), 0
    with os_errors(path, "looked at"):
        if not existing(path, keeps_others=bool(storage_of(path.protocol).keeps_others)):
            return None
        claimed = read_manifest(path)
        fs: Any = path.fs
        with fs.open(path.path, "rb", **read_options(path.protocol)) as file:
            refuse_unpacked(getattr(file, "details", None) or {})
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                count += len(chunk)
    # Somebody's file of the same length may have replaced the one that the manifest was written for.
    if claimed and (claimed.bytes, claimed.sha256) == (count, digest.hexdigest()):
        return claimed
    return StoredFile(str(path), count, digest.hexdigest())


def write_manifest(path: ObjectStoragePath, stored: StoredFile) -> None:
    """Write the manifest of a file."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    text = json.dumps({**stored.to_dict(), "stored_at": now}, indent=2) + "\n"
    data = text.encode()
    with _draft(_manifest(path), len(data), replace=True) as draft:
        draft.write(data)
        draft.commit()


def read_manifest(path: ObjectStoragePath) -> StoredFile | None:
    """Return what the manifest of a file says; ``None`` where there is none, or none that can be read."""
    fs: Any = path.fs
    try:
        with fs.open(_manifest(path).path, "rb") as file:
            manifest = json.loads(file.read(_LONGEST_MANIFEST))
        return StoredFile(
            path=str(path),
            bytes=int(manifest["bytes"]),
            sha256=str(manifest["sha256"]),
            stream_task_id=manifest.get("stream_task_id"),
            items=manifest.get("items"),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    except Exception as error:
        if meaning(error) is Answer.NOT_FOUND:
            return None
        raise


def _draft(path: ObjectStoragePath, size: int | None, *, replace: bool) -> Draft:
    if storage_of(path.protocol).whole_at_close:
        return Upload(path, size, replace=replace)
    return Beside(path, replace=replace)


def _count_lines(chunk: bytes) -> int:
    # Exports have long lines, and then this is several times as fast as bytes.count() before Python 3.13.
    count, place = 0, chunk.find(b"\n")
    while place >= 0:
        count += 1
        place = chunk.find(b"\n", place + 1)
    return count


def _manifest(path: ObjectStoragePath) -> ObjectStoragePath:
    manifest: ObjectStoragePath = path.parent / f"{path.name}{MANIFEST}"
    return manifest


class _Content:
    """
    The bytes of an export on their way: counted, hashed, compressed if asked for, and written.

    Hashing and writing have a thread each. A context manager, as :class:`~.aside.Aside` is.
    """

    def __init__(
        self, source: ExportFile, compress: bool, write: Callable[[bytes], Any], ahead: int = AHEAD
    ) -> None:
        self._source = source
        # zlib, because gzip writes the time: the same export must always give the same bytes.
        self._compressor = zlib.compressobj(wbits=31) if compress and source.encoding != "gzip" else None
        self._digest = hashlib.sha256()
        self._count = 0
        self._lines = 0
        self._last = b"\n"
        self._threads = Aside(self._digest.update), Aside(write, ahead)

    def __enter__(self) -> _Content:
        return self

    def __exit__(self, *error: Any) -> None:
        for thread in self._threads:
            thread.__exit__(*error)

    def take(self, chunk: bytes) -> None:
        """
        Take some more bytes.

        :raises OSError: if bytes could not be written
        """
        if self._source.is_json_lines:
            self._lines += _count_lines(chunk)
            self._last = chunk[-1:]
        self._pass_on(self._compressor.compress(chunk) if self._compressor else chunk)

    def end(self) -> None:
        """
        Wait until everything is written.

        :raises OSError: if bytes could not be written
        """
        self._pass_on(self._compressor.flush() if self._compressor else b"")
        for thread in self._threads:
            thread.finish()

    def as_stored(self, path: ObjectStoragePath) -> StoredFile:
        """Return the file that it has become."""
        return StoredFile(
            path=str(path),
            bytes=self._count,
            sha256=self._digest.hexdigest(),
            stream_task_id=self._source.task_id,
            items=self._lines + (self._last != b"\n") if self._source.is_json_lines else None,
        )

    def _pass_on(self, data: bytes) -> None:
        self._count += len(data)
        for thread in self._threads:
            thread.take(data)
