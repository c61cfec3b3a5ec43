"""Files in the user's storage that nobody sees before they are complete."""

from __future__ import annotations

import contextlib
import re
import secrets
from types import TracebackType
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_streamtasks import _compat

WHOLE_AT_CLOSE = frozenset({"s3", "s3a", "s3n", "gs", "gcs"})
"""
Schemes of storages where an object appears when its upload is complete, and replaces the old one in that
moment. There a temporary name would only cost a copy of the whole, and the right to delete.
"""

BLOCK = 5 * 1024 * 1024
"""Bytes that go to an object storage at a time: the fewest that S3 takes. Several of these are in memory."""

_MOST_BLOCKS = 9_000  # S3 takes 10,000
_UNKNOWN_BLOCK = 2 * BLOCK


class Draft:
    """
    A new file, or the next version of one, that appears under its name when it is complete.

    A context manager: left without :meth:`commit`, it leaves nothing.

    In object storages that show an object only when its upload is complete, it is such an upload. Elsewhere
    it is a file beside the final one, ``.NAME.<16 hex digits>.part``, that is moved in the end. What dead
    processes left there is removed.

    :param path: where the file appears
    :param size: its bytes, if known
    :raises OSError: if nothing can be written there
    """

    def __init__(self, path: ObjectStoragePath, size: int | None = None) -> None:
        self._fs: Any = path.fs
        self._target = path.path
        self._place = self._target
        self._moved = path.protocol not in WHOLE_AT_CLOSE
        if self._moved:
            folder = path.parent.path
            if self._fs.isdir(self._target):
                raise IsADirectoryError(f"{path} is a folder")
            self._fs.makedirs(folder, exist_ok=True)
            self._remove_leftovers(folder, path.name)
            self._place = f"{folder.rstrip('/')}/.{path.name}.{secrets.token_hex(8)}.part"
        self._file: Any = self._fs.open(self._place, "wb", block_size=_block(size))

    def __enter__(self) -> Draft:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.discard()

    def write(self, data: bytes) -> None:
        """
        Append bytes.

        :raises OSError: for example if the disk is full
        """
        self._file.write(data)

    def commit(self) -> None:
        """
        Let the file appear under its name.

        :raises OSError: if the storage does not take it; it does not appear then
        """
        self._file.close()
        if self._moved:
            self._fs.mv(self._place, self._target)
        self._file = None

    def discard(self) -> None:
        """Throw away what was written. After :meth:`commit` there is nothing to throw away."""
        file, self._file = self._file, None
        if file is None:
            return
        if not _compat.drop_upload(file):
            with contextlib.suppress(Exception):
                file.close()
        if self._moved:
            with contextlib.suppress(Exception):
                self._fs.rm_file(self._place)

    def _remove_leftovers(self, folder: str, name: str) -> None:
        leftover = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{16}}\.part")
        for found in self._fs.ls(folder, detail=False) if self._fs.exists(folder) else ():
            if leftover.fullmatch(str(found).rstrip("/").rpartition("/")[2]):
                with contextlib.suppress(FileNotFoundError):
                    self._fs.rm_file(found)


def _block(size: int | None) -> int:
    if size is None:
        return _UNKNOWN_BLOCK
    # A multiple of 256 KiB, which Google insists on.
    return max(BLOCK, -(-size // (_MOST_BLOCKS * 2**18)) * 2**18)
