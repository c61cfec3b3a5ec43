"""Operators that import data into Stream."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath
from airflow.sdk.log import mask_secret

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.arguments import known, parse_states
from airflow_provider_streamtasks.exceptions import StreamException
from airflow_provider_streamtasks.operators.base import StreamBaseOperator
from airflow_provider_streamtasks.operators.stored_ledger import StoredLedger
from airflow_provider_streamtasks.protocol.catalogue import CREATE_IMPORT, CREATE_IMPORT_V2
from airflow_provider_streamtasks.protocol.data_import import (
    MAX_UPLOAD,
    cancel_import,
    create_import_url,
)
from airflow_provider_streamtasks.protocol.fields import Flag, Text
from airflow_provider_streamtasks.protocol.signatures import secrets
from airflow_provider_streamtasks.waiting import ImportWaiter

if TYPE_CHECKING:
    from airflow.sdk import Context


class StreamImportOperator(StreamBaseOperator, ImportWaiter):
    """
    Import a file into Stream Chat: ask for a place, upload the file as a stream, start the import.

    The import may have to be confirmed by a person at Stream, and may take hours. A retry does not upload the
    file again: after correcting it, clear the Airflow task.

    Every argument below is templated.

    :param file: an ``ObjectStoragePath``, or text like ``s3://my_aws@bucket/import.json`` or
        ``/data/import.json``; at most 300 MiB
    :param mode: ``insert`` only adds what is not there, ``upsert`` also replaces what is there
    :param merge_custom: whether custom fields are merged instead of replaced
    """

    stream_operation = CREATE_IMPORT
    template_fields: Sequence[str] = ("file", "mode", "merge_custom", *StreamBaseOperator.template_fields)
    ui_color = "#fff3cc"

    def __init__(
        self,
        *,
        file: str | PathLike[str] | ObjectStoragePath,
        mode: str,
        merge_custom: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.file = file if isinstance(file, PathLike | ObjectStoragePath) else known("file", file, Text())
        self.mode = mode
        self.merge_custom = merge_custom
        # Where Stream keeps the file: known once it is uploaded.
        self.path = "{uploaded}"
        self.check_known()

    def _submit(self, context: Context, stored: StoredLedger) -> Any:
        self._checked_options()  # before the file leaves, which may be hundreds of MiB
        store = _compat.task_state_store(context)
        key = f"{self.state_key('import_path')}_{_compat.life(context)}"
        path = store.get(key) if store else None
        if path is None:
            path = self._upload()
            if store:
                store.set(key, path)
        else:
            self.log.info("An earlier try has uploaded the file, as %s", path)
        self.path = path
        return super()._submit(context, stored)

    def _what(self) -> tuple[Any, ...]:
        return *super()._what(), str(self.file)

    def _rehearse(self, context: Context) -> list[str]:
        self._checked_file()
        return super()._rehearse(context)

    def _checked_file(self) -> tuple[ObjectStoragePath, int]:
        """Return the file and its bytes."""
        from airflow_provider_streamtasks.transfers.answers import os_errors, refuse_unpacked
        from airflow_provider_streamtasks.transfers.destination import quiet, storage_path

        file = storage_path("file", self.file)
        with quiet(file), os_errors(file, "read"):
            found: Any = file.fs.info(file.path)
            refuse_unpacked(found)
        if found.get("type") == "directory":
            raise ValueError(f"file is {file}, a folder: a file is needed")
        size = found.get("size") or 0
        if not 0 < size <= MAX_UPLOAD:
            raise ValueError(f"file is {file} with {size} bytes: 1 to {MAX_UPLOAD} bytes are needed")
        return file, size

    def _upload(self) -> str:
        from airflow_provider_streamtasks.hooks.signed_urls import upload
        from airflow_provider_streamtasks.transfers.answers import os_errors
        from airflow_provider_streamtasks.transfers.destination import quiet
        from airflow_provider_streamtasks.transfers.storages import read_options

        file, size = self._checked_file()
        place = self.hook.call(create_import_url(file.name))
        path, url = place.get("path"), place.get("upload_url")
        if not isinstance(path, str) or not isinstance(url, str):
            raise StreamException("CreateImportURL: the answer names no place to upload to")
        for secret in secrets(url):
            mask_secret(secret)
        started = time.monotonic()
        named, options = os_errors(file, "read", StreamException), read_options(file.protocol)
        with quiet(file), named, file.open("rb", **options) as stream:  # type: ignore[no-untyped-call]
            upload(url, stream, size)
        self.log.info("Uploaded %s, %d bytes, in %.1f s", file, size, time.monotonic() - started)
        return path


class StreamImportV2Operator(StreamBaseOperator, ImportWaiter):
    """
    Start an import of the second generation.

    Its states are numbers that Stream does not explain: to wait for it, say which of them are final.

    :param product: ``chat`` or ``feeds`` (templated)
    :param settings: where the data is and how to import it: ``mode``, ``path``, ``s3``, ``merge_custom``,
        ``skip_references_check``, ``use_import_time_as_op_time`` (templated)
    :param user_id: the user on whose behalf (templated)
    :param completed_states: the states that mean success; needed with ``wait_for_completion``
    :param failed_states: the states that mean failure
    :param cancel_on_kill: whether to cancel the import at Stream when the Airflow task is killed while
        it waits (default: True)
    """

    stream_operation = CREATE_IMPORT_V2
    template_fields: Sequence[str] = (*CREATE_IMPORT_V2.arguments, *StreamBaseOperator.template_fields)
    ui_color = "#fff3cc"

    def __init__(
        self,
        *,
        product: str,
        settings: Mapping[str, Any],
        user_id: str | None = None,
        completed_states: Sequence[int] = (),
        failed_states: Sequence[int] = (),
        cancel_on_kill: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.product = product
        self.settings = settings
        self.user_id = user_id
        self.completed_states, self.failed_states = parse_states(completed_states, failed_states)
        self.cancel_on_kill = Flag().parse("cancel_on_kill", cancel_on_kill)
        if self.wait_for_completion and not self.completed_states:
            raise ValueError("completed_states is empty: wait_for_completion needs to know what success is")
        self.check_known()

    def on_kill(self) -> None:
        """Cancel the import: Stream can."""
        if not (self.cancel_on_kill and self.wait_for_completion and self._stored):
            super().on_kill()
            return
        for import_id in self._stored.ledger.task_ids:
            try:
                self.hook.call(cancel_import(import_id))
                self.log.info("Cancelled the import %s", import_id)
            except StreamException as error:
                self.log.warning("The import %s goes on, cancelling failed: %s", import_id, error)
