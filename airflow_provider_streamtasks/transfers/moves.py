"""How a finished file gets its final name: at once, and never by copying where another way is known."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_streamtasks.transfers.existing import existing
from airflow_provider_streamtasks.transfers.storages import storage_of

_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What disks without hard links answer: FAT, some network and user-space filesystems."""


def move(path: ObjectStoragePath, place: str, *, replace: bool) -> None:
    """
    Give a file its final name.

    :param path: the final name
    :param place: where the file is: in the same folder
    :param replace: whether it may replace a file that is there
    :raises FileExistsError: if it may not, and one is there
    :raises OSError: if the storage does not do it
    """
    how = storage_of(path.protocol).keeps_others
    if how == "link":
        _on_disk(path, place, replace)
    elif how == "rename":
        _over_sftp(path, place, replace)
    else:
        if not replace:
            _check_free(path)
        fs: Any = path.fs
        fs.mv(place, path.path)


def _on_disk(path: ObjectStoragePath, place: str, replace: bool) -> None:
    if replace:
        # Not fsspec's, which copies where the system refuses to move: half a file would be seen.
        os.replace(place, path.path)
        return
    try:
        os.link(place, path.path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _check_free(path)
        os.replace(place, path.path)
    else:
        os.unlink(place)


def _over_sftp(path: ObjectStoragePath, place: str, replace: bool) -> None:
    from asyncssh.sftp import SFTPFailure, SFTPNoSuchFile, SFTPOpUnsupported
    from fsspec.asyn import sync

    fs: Any = path.fs

    async def rename() -> None:
        async with fs.client.start_sftp_client() as sftp:
            if replace:
                with suppress(SFTPOpUnsupported):  # then not fsspec's way out, which is to copy
                    await sftp.posix_rename(place, path.path)
                    return
            # In version 3 of the protocol, this replaces nothing.
            await sftp.rename(place, path.path)

    try:
        sync(fs.loop, rename)
    except SFTPNoSuchFile as error:
        raise FileNotFoundError(str(error)) from error
    except SFTPFailure as error:
        _check_free(path)
        raise OSError(f"{path} cannot be given its name: {error}") from error


def _check_free(path: ObjectStoragePath) -> None:
    if existing(path, keeps_others=False):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
