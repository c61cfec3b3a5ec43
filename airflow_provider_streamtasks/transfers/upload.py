"""Drafts in object storages that show an object only when its upload is complete."""

from __future__ import annotations

import errno
from collections import deque
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.transfers.answers import os_errors
from airflow_provider_streamtasks.transfers.draft import Draft
from airflow_provider_streamtasks.transfers.storages import part_size, storage_of


class Upload(Draft):
    """
    An upload under the final name: one request for what fits in one part, else part by part.

    Every part but the last has the same size, whatever the size of the pieces that come in.

    :raises OSError: if the storage would show bytes before the file is complete
    """

    def __init__(self, path: ObjectStoragePath, size: int | None, *, replace: bool) -> None:
        self._path = path
        self._fs: Any = path.fs
        self._replace = replace
        self._part = self.ahead = part_size(size)  # the next part comes in while one is sent
        self._first: deque[bytes] = deque()
        self._first_size = 0
        self._file: Any = None
        if early := storage_of(path.protocol).shows_early:
            self._refuse_early(early)

    def write(self, data: bytes) -> None:
        """Append bytes."""
        if self._file is None:
            self._first.append(data)
            self._first_size += len(data)
            if self._first_size <= self._part:
                return
            with os_errors(self._path, "written"):
                mode = "wb" if self._replace else "xb"
                self._file = self._fs.open(self._path.path, mode, block_size=self._part)
            # One by one, so that their memory is free when the last of them starts the upload.
            while self._first:
                self._append(self._first.popleft())
        else:
            self._append(data)

    def commit(self) -> None:
        """Complete the upload."""
        with os_errors(self._path, "written"):
            if self._file is None:
                # Also because an empty file in mode "xb" replaces what is there, with s3fs 2026.9.
                mode = "overwrite" if self._replace else "create"
                self._fs.pipe_file(self._path.path, b"".join(self._first), mode=mode)
                return
            self._file.close()
        self._file = None

    def discard(self) -> None:
        """Abort the upload. Azure has no call for that: the next success there drops what was sent."""
        file, self._file = self._file, None
        self._first.clear()
        if file is not None:
            _compat.drop_upload(file)

    def _append(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            # The storage's library uploads once it has a part or more: here, exactly a part.
            room = self._part - self._file.tell() % self._part
            with os_errors(self._path, "written"):
                self._file.write(rest[:room])
            rest = rest[room:]

    def _refuse_early(self, early: frozenset[str]) -> None:
        with os_errors(self._path, "written"):
            file = self._fs.open(self._path.path, "wb")
        _compat.drop_upload(file)
        if type(file).__name__ in early:
            raise OSError(
                errno.ENOTSUP,
                "a bucket that shows a file while it is written (a zonal one) cannot take a file as a whole",
                str(self._path),
            )
