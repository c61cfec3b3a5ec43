"""API v1: the same endpoints under shorter paths, with times in words. Stream's older SDKs speak it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from airflow_provider_streamtasks.sandbox.answers import Answer, Nanoseconds, rfc3339
from airflow_provider_streamtasks.sandbox.endpoints import Endpoint, Visit

# What Stream's OpenAPI document of API v1 has too: chat, and what all products share.
OPERATIONS = frozenset(
    (
        "CancelImportV2Task",
        "ChannelBatchUpdate",
        "CreateImport",
        "CreateImportURL",
        "CreateImportV2Task",
        "DeactivateUsers",
        "DeleteChannels",
        "DeleteImportV2Task",
        "DeleteImporterExternalStorage",
        "DeleteUsers",
        "ExportChannels",
        "ExportUsers",
        "GetImport",
        "GetImportV2Task",
        "GetImporterExternalStorage",
        "GetRateLimits",
        "GetTask",
        "ImportBlockList",
        "ListImportV2Tasks",
        "ListImports",
        "QueryChannels",
        "QueryUsers",
        "ReactivateUsers",
        "SendMessage",
        "UpsertImporterExternalStorage",
        "ValidateImporterExternalStorage",
    )
)


def endpoints(of_version_two: Iterable[Endpoint]) -> Iterator[Endpoint]:
    """The endpoints of API v1, which do what those of API v2 do."""
    for endpoint in of_version_two:
        if endpoint.name in OPERATIONS:
            path = endpoint.path.removeprefix("/api/v2").removeprefix("/chat")
            yield replace(endpoint, path=path, handle=_with_times_in_words(endpoint))
        if endpoint.name == "GetTask":
            # Only API v1 has it. Stream's SDKs expect the same answer, and give it this name.
            name, path = "GetExportChannelsStatus", "/export_channels/{id}"
            yield replace(endpoint, name=name, path=path, handle=_with_times_in_words(endpoint))


def _with_times_in_words(endpoint: Endpoint) -> Callable[[Visit], Answer | dict[str, Any]]:
    def handle(visit: Visit) -> Answer | dict[str, Any]:
        outcome = endpoint.handle(visit)
        return outcome if isinstance(outcome, Answer) else _in_words(outcome)

    return handle


def _in_words(value: Any) -> Any:
    if isinstance(value, Nanoseconds):
        return rfc3339(value / 1_000_000_000)
    if isinstance(value, dict):
        return {key: _in_words(each) for key, each in value.items()}
    return [_in_words(each) for each in value] if isinstance(value, list) else value
