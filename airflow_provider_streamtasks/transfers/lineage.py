"""
What readers of lineage are told of an export: from Stream's app to the files that were stored.

For OpenLineage, datasets are named by its rules, so later readers of the files name them alike. For others,
files are named like assets.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook, ObjectStoragePath, XComArg

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.transfers.destination import asset_uri
from airflow_provider_streamtasks.transfers.storages import storage_of
from airflow_provider_streamtasks.transfers.stored import StoredFile

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_streamtasks.protocol.credentials import Credentials

log = logging.getLogger(__name__)


@dataclass(slots=True)
class ExportLineage:
    """
    Where the files of an Airflow task came from, and where they are.

    :param credentials: of Stream's app. The API key names the app, and is no secret.
    :param operations: of Stream's that made the exports, where the DAG shows them
    :param files: what was stored so far
    """

    credentials: Credentials
    operations: Sequence[str]
    files: list[tuple[ObjectStoragePath, StoredFile]] = field(default_factory=list)

    def add(self, path: ObjectStoragePath, stored: StoredFile) -> None:
        """
        Add a stored file, and report it as hook lineage.

        ``ObjectStoragePath`` reports what is written to the file that it opens. Exports go past that, to let
        the storage itself refuse to replace a file.
        """
        from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

        self.files.append((path, stored))
        try:
            collector: Any = get_hook_lineage_collector()  # type: ignore[no-untyped-call]
            for namespace, name in self._sources():
                collector.add_input_asset(context=path, uri=f"{namespace}/{name}")
            collector.add_output_asset(context=path, uri=asset_uri(path))
        except Exception as error:
            # The file is stored, even if a reader of lineage does not hear of it.
            log.warning("%s is not reported as hook lineage: %s: %s", path, type(error).__name__, error)

    def facets(self) -> OperatorLineage[Any, Any]:
        """Return it for OpenLineage, whose provider must be installed."""
        from airflow.providers.common.compat.openlineage.facet import (
            Dataset,
            ExternalQueryRunFacet,
            OutputDataset,
            OutputStatisticsOutputDatasetFacet,
        )
        from airflow.providers.openlineage.extractors import OperatorLineage

        outputs = []
        for path, stored in self.files:
            namespace, name = dataset_name(path)
            written = OutputStatisticsOutputDatasetFacet(rowCount=stored.items, size=stored.bytes)
            outputs.append(
                OutputDataset(namespace=namespace, name=name, outputFacets={"outputStatistics": written})
            )
        lineage: OperatorLineage[Any, Any] = OperatorLineage(
            inputs=[Dataset(namespace=namespace, name=name) for namespace, name in self._sources()],
            outputs=outputs,
        )
        if len(self.files) == 1 and (task_id := self.files[0][1].stream_task_id):
            query = ExternalQueryRunFacet(externalQueryId=task_id, source=self._sources()[0][0])
            lineage.run_facets["externalQuery"] = query
        return lineage

    def _sources(self) -> list[tuple[str, str]]:
        """Return namespace and name of what the exports came from."""
        host, app = urlsplit(self.credentials.base_url).netloc, self.credentials.api_key
        names = [f"{app}/{operation}" for operation in self.operations] or [app]
        return [(f"stream://{host}", name) for name in names]


def operations_of(stream_task_id: Any) -> list[str]:
    """
    Return the operations of Stream's whose tasks an argument names, as far as the DAG shows them.

    :param stream_task_id: the argument, before it is rendered
    """
    found: dict[str, None] = {}
    seen: set[str] = set()
    operators = _operators_behind(stream_task_id)
    while operators:
        operator = operators.pop(0)
        if operator.task_id in seen:
            continue
        seen.add(operator.task_id)
        kind = getattr(operator, "operator_class", operator)  # of a mapped one
        if name := getattr(getattr(kind, "stream_operation", None), "name", None):
            found[name] = None
        else:  # what waits hands on
            operators += _operators_behind(getattr(operator, "stream_task_id", None))
    return list(found)


def dataset_name(path: ObjectStoragePath) -> tuple[str, str]:
    """
    Return OpenLineage's namespace and name of a file.

    Source: https://openlineage.io/docs/spec/naming, and for SFTP, which it does not have, Airflow's provider.
    """
    scheme = storage_of(path.protocol).asset_scheme or path.protocol
    if scheme == "file":
        return "file", path.path
    if scheme == "sftp":
        connection = BaseHook.get_connection(_compat.storage_conn_id(path) or "sftp_default")
        return f"file://{connection.host}:{connection.port or 22}", path.path
    bucket, _, key = path.path.lstrip("/").partition("/")
    if scheme == "abfs" and (account := getattr(path.fs, "account_name", None)):
        return f"abfss://{bucket}@{account}.dfs.core.windows.net", key
    return f"{scheme}://{bucket}", key


def _operators_behind(value: Any) -> list[Any]:
    references: Iterable[tuple[Any, str]] = XComArg.iter_xcom_references(value)
    return [operator for operator, _ in references]
