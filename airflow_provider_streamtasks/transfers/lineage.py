"""
What OpenLineage is told of an export: from Stream's app to the files that were stored.

Datasets are named by OpenLineage's rules, so that whatever reads the files later names them alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook, ObjectStoragePath, XComArg

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.transfers.storages import storage_of
from airflow_provider_streamtasks.transfers.stored import StoredFile

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_streamtasks.protocol.credentials import Credentials


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

    def facets(self) -> OperatorLineage[Any, Any]:
        """Return it for OpenLineage, whose provider must be installed."""
        from airflow.providers.common.compat.openlineage.facet import (
            Dataset,
            ExternalQueryRunFacet,
            OutputDataset,
            OutputStatisticsOutputDatasetFacet,
        )
        from airflow.providers.openlineage.extractors import OperatorLineage

        host, app = urlsplit(self.credentials.base_url).netloc, self.credentials.api_key
        outputs = []
        for path, stored in self.files:
            namespace, name = dataset_name(path)
            written = OutputStatisticsOutputDatasetFacet(rowCount=stored.items, size=stored.bytes)
            outputs.append(
                OutputDataset(namespace=namespace, name=name, outputFacets={"outputStatistics": written})
            )
        lineage: OperatorLineage[Any, Any] = OperatorLineage(
            inputs=[
                Dataset(namespace=f"stream://{host}", name=f"{app}/{operation}" if operation else app)
                for operation in self.operations or [""]
            ],
            outputs=outputs,
        )
        if len(self.files) == 1 and (task_id := self.files[0][1].stream_task_id):
            query = ExternalQueryRunFacet(externalQueryId=task_id, source=f"stream://{host}")
            lineage.run_facets["externalQuery"] = query
        return lineage


def operations_of(stream_task_id: Any) -> list[str]:
    """
    Return the operations of Stream's whose tasks an argument names, as far as the DAG shows them.

    :param stream_task_id: the argument, before it is rendered
    """
    found: dict[str, None] = {}
    seen: set[str] = set()
    operators = _sources(stream_task_id)
    while operators:
        operator = operators.pop(0)
        if operator.task_id in seen:
            continue
        seen.add(operator.task_id)
        kind = getattr(operator, "operator_class", operator)  # of a mapped one
        if name := getattr(getattr(kind, "stream_operation", None), "name", None):
            found[name] = None
        else:  # what waits hands on
            operators += _sources(getattr(operator, "stream_task_id", None))
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


def _sources(value: Any) -> list[Any]:
    references: Iterable[tuple[Any, str]] = XComArg.iter_xcom_references(value)
    return [operator for operator, _ in references]
