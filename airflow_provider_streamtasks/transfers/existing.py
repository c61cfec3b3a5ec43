"""A look at what is in a place."""

from __future__ import annotations

from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_streamtasks.transfers.answers import may_write, meaning
from airflow_provider_streamtasks.transfers.storages import storage_of


def existing(path: ObjectStoragePath, *, keeps_others: bool) -> bool:
    """
    Return whether there is a file; False where a new one may be written.

    In object storages, the beginning of other names is no file.

    :param keeps_others: whether the storage itself refuses to replace a file. Then one may also write where
        the role may not look.
    :raises IsADirectoryError: if a folder is in the place
    :raises Exception: if the storage does not tell: what its library raises
    """
    fs: Any = path.fs
    fs.invalidate_cache(path.parent.path)
    try:
        found: dict[str, Any] = fs.info(path.path)
    except Exception as error:
        if may_write(meaning(error), keeps_others=keeps_others):
            return False
        raise
    if found.get("type") == "directory" and not storage_of(path.protocol).whole_at_close:
        raise IsADirectoryError(f"{path} is a folder")
    return found.get("type") != "directory"
