"""Drafts on disks and other storages: a file beside the final one, that gets its name in the end."""

from __future__ import annotations

import contextlib
import errno
import re
import secrets
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_streamtasks.transfers.answers import os_errors
from airflow_provider_streamtasks.transfers.draft import Draft
from airflow_provider_streamtasks.transfers.moves import move


class Beside(Draft):
    """
    A file ``.NAME.<16 hex digits>.part`` in the same folder. What dead processes left there is
    removed, as far as one may.

    :param path: where the file appears
    :param replace: whether it may replace a file that is there
    :raises OSError: if nothing can be written there
    """

    def __init__(self, path: ObjectStoragePath, *, replace: bool) -> None:
        self._path = path
        self._fs: Any = path.fs
        self._replace = replace
        folder = path.parent.path
        self._place = f"{folder.rstrip('/')}/.{path.name}.{secrets.token_hex(8)}.part"
        with os_errors(path, "written"):
            if self._fs.isdir(path.path):
                raise IsADirectoryError(f"{path} is a folder")
            self._fs.makedirs(folder, exist_ok=True)
            self._remove_leftovers(folder, path.name)
            self._file: Any = self._fs.open(self._place, "wb")

    def write(self, data: bytes) -> None:
        """Append bytes."""
        with os_errors(self._path, "written"):
            self._file.write(data)

    def commit(self) -> None:
        """Let the file appear under its name."""
        with os_errors(self._path, "written"):
            self._file.close()
            try:
                move(self._path, self._place, replace=self._replace)
            except FileNotFoundError as error:
                why = "what was written is gone: perhaps another run for this name took it for remains"
                raise FileNotFoundError(errno.ENOENT, why, str(self._path)) from error
        self._file = None

    def discard(self) -> None:
        """Remove what was written."""
        file, self._file = self._file, None
        if file is None:
            return
        with contextlib.suppress(Exception):
            file.close()
        with contextlib.suppress(Exception):
            self._fs.rm_file(self._place)

    def _remove_leftovers(self, folder: str, name: str) -> None:
        leftover = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{16}}\.part")
        # A role that may write may not always list or remove. Any other trouble shows when writing.
        with contextlib.suppress(Exception):
            for found in self._fs.ls(folder, detail=False):
                if leftover.fullmatch(str(found).rstrip("/").rpartition("/")[2]):
                    with contextlib.suppress(FileNotFoundError):
                        self._fs.rm_file(found)
