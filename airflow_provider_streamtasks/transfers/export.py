"""``StreamExportToObjectStorageOperator``: from a finished export to a file in the user's own storage."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from os import PathLike
from reprlib import repr as shortened
from string import Formatter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk import AssetAlias, BaseOperator, ObjectStoragePath, XComArg
from airflow.sdk.definitions.asset import Asset, AssetRef

from airflow_provider_streamtasks.arguments import (
    check_rendered,
    in_fixed_order,
    is_rendered,
    known,
    parse_stream_task_ids,
)
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol.fields import Choice, Flag, Text
from airflow_provider_streamtasks.protocol.signatures import without_queries
from airflow_provider_streamtasks.transfers.destination import (
    asset_uri,
    check_notation,
    quiet,
    storage_path,
)
from airflow_provider_streamtasks.transfers.lineage import ExportLineage, operations_of
from airflow_provider_streamtasks.transfers.progress import Progress, in_units
from airflow_provider_streamtasks.transfers.source import ExportFile
from airflow_provider_streamtasks.transfers.stored import (
    StoredFile,
    compare,
    find,
    store,
    write_manifest,
)

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

PATHS_KEY = "paths"
FILES_KEY = "files"

_NAME_PARTS = ("stream_task_id", "index", "suffix")
_FROM_ROOT = re.compile(r"((file|local):(//([^/@]*@)?(?=/)|(?!//)))?/", re.IGNORECASE)
_POLICIES = ("error", "skip", "overwrite")


class StreamExportToObjectStorageOperator(BaseOperator):
    """
    Store the files of finished exports in object storage, or on a disk.

    The file is streamed from Stream's storage host to yours, and is neither in the worker's memory nor on its
    disk. It appears under its name when it is complete, and then its manifest (``NAME.manifest.json``). A
    broken download goes on where it broke.

    XComs: ``return_value`` is a dictionary with ``path``, ``bytes``, ``sha256``, ``stream_task_id`` and, for
    JSON lines, ``items``; a list of them where ``stream_task_id`` is a list. ``paths`` is always a list. The
    extra of the asset events of ``outlets`` holds the same: ``files``, and for a single file also its own
    fields.

    :param stream_task_id: the Stream task of an export that has completed, or a list of them (templated)
    :param destination: the folder, as an ``ObjectStoragePath`` or as text like
        ``s3://bucket/exports/{{ dag_run.run_after | ds }}/`` or ``/data/exports`` (templated). In a run
        that assets started there is no ``ds``.
    :param file_name: the name of a file in it. ``{stream_task_id}``, ``{index}`` (from 1) and ``{suffix}``
        (the ending of Stream's file, such as ``.jsonl``) are filled in. (templated)
    :param gzip: whether files are compressed on the way; their names then end with ``.gz``
    :param overwrite: what to do if there is a file already. ``"error"``: fail if it is another one.
        ``"skip"``: leave it as it is. ``"overwrite"``: replace it.
    :param stream_conn_id: the Airflow connection, of type ``stream`` (templated)
    :param storage_conn_id: the Airflow connection of the storage, where it needs one (templated)
    :raises StreamTaskException: if Stream says that an export failed
    :raises StreamException: if an export is not finished, or leaves no file; if Stream or its storage host
        does not answer as needed
    :raises ValueError: if the destination cannot be used, or Airflow has no such connection
    :raises AirflowSkipException: if there is no export to store (an empty list), and there are ``outlets``
    :raises AirflowFailException: if there is another file, and ``overwrite`` is ``"error"``
    :raises OSError: if the storage does not take a file, or does not tell whether one is there
    """

    template_fields: Sequence[str] = (
        "stream_task_id",
        "destination",
        "file_name",
        "stream_conn_id",
        "storage_conn_id",
    )
    ui_color = "#d6f5e0"

    def __init__(
        self,
        *,
        stream_task_id: str | Sequence[str] | XComArg,
        destination: str | PathLike[str] | ObjectStoragePath,
        file_name: str = "{stream_task_id}{suffix}",
        gzip: bool = False,
        overwrite: str = "error",
        stream_conn_id: str = StreamHook.default_conn_name,
        storage_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if is_rendered(stream_task_id):
            parse_stream_task_ids(stream_task_id)
        if not isinstance(destination, XComArg):
            if not isinstance(destination, ObjectStoragePath | PathLike):
                Text().parse("destination", destination)
            check_notation("destination", destination)
            _check_beginning(str(destination))
        if not isinstance(file_name, XComArg) and not ("{{" in str(file_name) or "{%" in str(file_name)):
            _check_file_name(file_name)
        # Once it is rendered, the id says nothing of where it came from.
        self._operations = operations_of(stream_task_id)
        self._lineage: ExportLineage | None = None
        self.stream_task_id = in_fixed_order(stream_task_id)
        self.destination = destination
        self.file_name = file_name
        self._given = {"destination": destination, "file_name": file_name}
        self.gzip = Flag().parse("gzip", gzip)
        self.overwrite = Choice(_POLICIES).parse("overwrite", overwrite)
        self.stream_conn_id = known("stream_conn_id", stream_conn_id, Text())
        self.storage_conn_id = storage_conn_id and known("storage_conn_id", storage_conn_id, Text())

    @cached_property
    def hook(self) -> StreamHook:
        """The hook, made when the Airflow task runs."""
        return StreamHook(self.stream_conn_id)

    def execute(self, context: Context) -> Any:
        """Look at all exports first, then store them one after the other."""
        for name, given in self._given.items():
            check_rendered(name, given, getattr(self, name))
        task_ids = list(dict.fromkeys(parse_stream_task_ids(self.stream_task_id)))
        folder = self._folder()
        try:
            exports = [ExportFile(self.hook, self.hook.get_task(task_id)) for task_id in task_ids]
            places = self._places(folder, exports)
            self._lineage = ExportLineage(self.hook.get_conn().connection.credentials, self._operations)
            stored: list[StoredFile] = []
            with quiet(folder):
                for export, place in zip(exports, places, strict=True):
                    stored.append(self._store(export, place))
                    if stored[-1].stream_task_id:  # else it is somebody's file that was left
                        self._lineage.add(place, stored[-1])
        finally:
            self.hook.close()
        files = [each.to_dict() for each in stored]
        if self.do_xcom_push:
            context["ti"].xcom_push(PATHS_KEY, [each.path for each in stored])
        if self.outlets and not files:
            # Success would start the DAGs that wait for the assets.
            raise AirflowSkipException("There is no export to store, so the assets are as they were")
        self._report_to_assets(context, files)
        return files[0] if isinstance(self.stream_task_id, str) else files

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """
        Return for OpenLineage Stream's app and operation as input, and the stored files as outputs.

        After a failure these are the files that were stored before it.
        """
        return self._lineage.facets() if self._lineage and self._lineage.files else None

    def _folder(self) -> ObjectStoragePath:
        given: Any = self.destination
        conn_id = self.storage_conn_id and Text().parse("storage_conn_id", self.storage_conn_id)
        _check_beginning(str(given))
        folder = storage_path("destination", given, conn_id or None)
        if folder.protocol in ("", "file", "local") and not _FROM_ROOT.match(str(given)):
            raise _relative(str(given))
        if (folder / "file").parent != folder:
            raise ValueError(f"destination is {str(given)!r}: the name of a bucket is needed")
        return folder

    def _places(self, folder: ObjectStoragePath, exports: Sequence[ExportFile]) -> list[ObjectStoragePath]:
        _check_file_name(self.file_name)
        names = []
        for index, export in enumerate(exports, 1):
            # An id comes from an XCom, and must not lead to another folder.
            name = self.file_name.format(
                stream_task_id=quote(export.task_id, safe=""), index=index, suffix=export.suffix
            )
            if self.gzip and not name.endswith(".gz"):
                name += ".gz"
            if not name.strip() or name in (".", "..") or any(c in "/\\" or ord(c) < 32 for c in name):
                raise ValueError(f"file_name gives {name!r}: the name of a file, without a folder, is needed")
            names.append(name)
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"file_name gives {twice[0]!r} to several exports: {{stream_task_id}} or {{index}} is needed"
            )
        return [folder / name for name in names]

    def _store(self, export: ExportFile, path: ObjectStoragePath) -> StoredFile:
        compress = self.gzip and not export.suffix.endswith(".gz")
        replace = self.overwrite == "overwrite"
        if not replace and (there := find(path)):
            return self._keep(export, path, there, compress)
        progress = Progress(path.name)
        try:
            stored = store(export, path, compress=compress, replace=replace, progress=progress)
        except FileExistsError:
            # Somebody was quicker, or the role may not look.
            there = None if replace else find(path)
            if there is None:
                raise
            return self._keep(export, path, there, compress)
        if export.encoding:
            self.log.warning("%s is stored as Stream's host sent it: compressed (%s)", path, export.encoding)
        self.log.info(
            "Stored %s: %s in %.1f s (%s/s), SHA-256 %s",
            path,
            in_units(stored.bytes),
            progress.seconds,
            in_units(progress.rate),
            stored.sha256,
        )
        return stored

    def _keep(
        self, export: ExportFile, path: ObjectStoragePath, there: StoredFile, compress: bool
    ) -> StoredFile:
        """Return the file that is there, if it is to stay."""
        if self.overwrite == "error" and there.stream_task_id != export.task_id:
            there = self._same(export, path, there, compress)
        self.log.info("%s is there already (%s)", path, in_units(there.bytes))
        return there

    def _same(
        self, export: ExportFile, path: ObjectStoragePath, there: StoredFile, compress: bool
    ) -> StoredFile:
        """Return the file that is there if it is that of the export, although no manifest says so."""
        if there.stream_task_id is None:
            # A process may have died between the file and its manifest.
            self.log.info("No manifest is of %s: comparing it with Stream's file", path)
            wanted = compare(export, path, compress=compress, progress=Progress(path.name))
            if (wanted.bytes, wanted.sha256) == (there.bytes, there.sha256):
                write_manifest(path, wanted)
                return wanted
        raise AirflowFailException(
            f"{path} is there already, and is not the file of the Stream task {export.task_id}. "
            "Nothing was changed. Remove it, or set overwrite to 'skip' or 'overwrite'."
        )

    def _report_to_assets(self, context: Context, files: list[dict[str, Any]]) -> None:
        """Say in the asset events where the data is."""
        for outlet in self.outlets:
            if isinstance(outlet, AssetAlias):
                for file in files:
                    asset = Asset(asset_uri(ObjectStoragePath(file["path"])))
                    context["outlet_events"][outlet].add(asset, extra=file)
            elif isinstance(outlet, Asset | AssetRef):
                extra: dict[str, Any] = context["outlet_events"][outlet].extra
                extra.update({FILES_KEY: files, **(files[0] if len(files) == 1 else {})})


def _check_beginning(destination: str) -> None:
    """Refuse a destination whose beginning is wrong for any value of a template in it."""
    if destination.lower().startswith(("http://", "https://")):
        raise ValueError(
            f"destination is {without_queries(destination)!r}: a storage that can be written to is needed"
        )
    beginning, template, _ = destination.partition("{")
    if not beginning.startswith("/") and ":" not in beginning and ("/" in beginning or not template):
        raise _relative(destination)


def _relative(destination: str) -> ValueError:
    return ValueError(f"destination is {destination!r}: a path from the root, or with a scheme, is needed")


def _check_file_name(template: Any) -> None:
    allowed = f"text with {', '.join(f'{{{part}}}' for part in _NAME_PARTS)} is needed"
    try:
        pieces = list(Formatter().parse(Text().parse("file_name", template)))
    except ValueError as error:
        raise ValueError(f"file_name is {shortened(template)}: {allowed} ({error})") from None
    if unknown := {part for _, part, _, _ in pieces} - {None, *_NAME_PARTS}:
        raise ValueError(f"file_name holds {{{sorted(map(str, unknown))[0]}}}: {allowed}")
    for _, part, width, _ in pieces:
        # A very wide name would fill the memory.
        if width and ("{" in width or re.search(r"[0-9]{4}", width)):
            raise ValueError(
                f"file_name formats {part} as {shortened(width)}: something like {{index:03d}} is needed"
            )
    try:
        template.format(stream_task_id="", index=1, suffix="")
    except ValueError as error:
        raise ValueError(f"file_name is {shortened(template)}: {allowed} ({error})") from None
