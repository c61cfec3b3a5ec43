"""Where files go to or come from in the user's storage, as users and Airflow name it."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from os import PathLike
from typing import Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.sdk import BaseHook, ObjectStoragePath
from airflow.sdk.io import has_fs

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol.fields import Text
from airflow_provider_streamtasks.protocol.signatures import without_queries
from airflow_provider_streamtasks.transfers.storages import storage_of

_AZURE_HOST = re.compile(r"abfss?://([^/@]*)@([^/@]*\.[^/@]*)(/.*)?", re.IGNORECASE)


def check_notation(name: str, given: Any) -> None:
    """
    Refuse what Airflow would take for something else than what was meant.

    :param name: of the argument
    :raises ValueError: saying what to write instead
    """
    text = without_queries(str(given))  # which may sign
    if found := _AZURE_HOST.match(text):
        container, _, rest = found.groups()
        raise ValueError(
            f"{name} is {text!r}: Airflow expects a connection's id before the @, the container after it. "
            f"Write abfs://CONNECTION@{container}{rest or '/'}; the account stands in the connection"
        )
    if text.lower().startswith("adl://"):
        # Airflow 3.3's ObjectStoragePath("adl://container/key") is the path /key.
        raise ValueError(f"{name} is {text!r}: in adl://, Airflow loses the container. Write abfs://")


def storage_path(
    name: str, given: str | PathLike[str] | ObjectStoragePath, conn_id: str | None = None
) -> ObjectStoragePath:
    """
    Return a path in a storage, whose scheme and Airflow connection are there.

    :param name: of the argument
    :param conn_id: the Airflow connection, if it does not stand in the path
    :raises ValueError: if the path or the connection id cannot be used
    """
    check_notation(name, given)
    _check_connection("storage_conn_id", conn_id)
    is_path = isinstance(given, PathLike | ObjectStoragePath)  # an ObjectStoragePath is no PathLike
    text = Text().parse(name, str(given) if is_path else given)
    path: Any = given
    try:
        if not isinstance(given, ObjectStoragePath) or conn_id:
            # In Airflow 3.1, conn_id=None would hide the connection that the path itself names.
            named: Any = {"conn_id": conn_id} if conn_id else {}
            path = ObjectStoragePath(text, **named)
        if not has_fs(path.protocol or "file"):
            path.fs  # noqa: B018 - the one that somebody attached, or an error
    except ValueError as error:
        raise ValueError(
            f"{name} is {without_queries(text)!r}: {error}. "
            "Install the Airflow provider that has the scheme, or correct it"
        ) from None
    _check_connection(name if not conn_id else "storage_conn_id", _compat.storage_conn_id(path))
    return path  # type: ignore[no-any-return]


def asset_uri(path: ObjectStoragePath) -> str:
    """
    Return the URI by which Airflow's providers and users name a file in assets.

    The scheme is the storage's own, without a connection: ``s3`` also for ``s3a``, ``gs`` for ``gcs``.
    """
    scheme = storage_of(path.protocol).asset_scheme or path.protocol
    host = ""
    if scheme == "sftp" and (conn_id := _compat.storage_conn_id(path)):
        connection = BaseHook.get_connection(conn_id)
        host = f"{connection.host}:{connection.port or 22}"
    return f"{scheme}://{host}{path.path}"


@contextlib.contextmanager
def quiet(path: ObjectStoragePath) -> Iterator[None]:
    """Keep the requests that a storage's library logs out of the log, unless somebody wants them there."""
    loggers = [logging.getLogger(name) for name in storage_of(path.protocol).noisy_loggers]
    unset = [logger for logger in loggers if logger.level == logging.NOTSET]
    for logger in unset:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger in unset:
            logger.setLevel(logging.NOTSET)


def _check_connection(name: str, conn_id: str | None) -> None:
    if conn_id is None:
        return
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        # For S3, Airflow would go on with any other credentials that it finds.
        raise ValueError(f"{name} names the connection {conn_id!r}: Airflow has none of that id") from None
    if connection.conn_type == StreamHook.conn_type:
        raise ValueError(f"{name} names the connection {conn_id!r}: it leads to Stream, not to a storage")
