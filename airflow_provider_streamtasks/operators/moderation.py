"""Operators on Stream Moderation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_streamtasks.operators.base import StreamBaseOperator
from airflow_provider_streamtasks.operators.items import ItemsArgument, item_source
from airflow_provider_streamtasks.protocol.catalogue import (
    BULK_IMAGE_MODERATION,
    EXPORT_MODERATION_LOGS,
    IMPORT_BLOCK_LIST,
)


class StreamImportBlockListOperator(StreamBaseOperator):
    """
    Add words to a block list. Words that are there already are skipped.

    Every argument below is templated.

    :param blocklist_id: the block list
    :param items: the words: a list, the output of another Airflow task, a callable that takes the context,
        or a file with one per line. Duplicates are dropped; every 5000 are a batch.
    :param chunk_size: words that Stream handles at a time (Stream's default)
    """

    stream_operation = IMPORT_BLOCK_LIST
    template_fields: Sequence[str] = (*IMPORT_BLOCK_LIST.arguments, *StreamBaseOperator.template_fields)
    ui_color = "#fff3cc"

    def __init__(
        self,
        *,
        blocklist_id: str,
        items: ItemsArgument,
        chunk_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.blocklist_id = blocklist_id
        self.items = item_source(items)
        self.chunk_size = chunk_size
        self.check_known()


class StreamBulkImageModerationOperator(StreamBaseOperator):
    """
    Moderate the images whose URLs are in a CSV file.

    Every argument below is templated.

    :param csv_file: URL of the file
    """

    stream_operation = BULK_IMAGE_MODERATION
    template_fields: Sequence[str] = (*BULK_IMAGE_MODERATION.arguments, *StreamBaseOperator.template_fields)
    ui_color = "#fff3cc"

    def __init__(self, *, csv_file: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.csv_file = csv_file
        self.check_known()


class StreamExportModerationLogsOperator(StreamBaseOperator):
    """
    Export the moderation logs: who took which action on which content, and when.

    Every argument below is templated.

    :param filter: which logs, such as ``{"created_at": {"$gte": "2026-01-01T00:00:00Z"}}``; all of them if
        left out
    :param format: the format of the file (Stream's default)
    """

    stream_operation = EXPORT_MODERATION_LOGS
    template_fields: Sequence[str] = (*EXPORT_MODERATION_LOGS.arguments, *StreamBaseOperator.template_fields)
    ui_color = "#d6f5e0"

    def __init__(
        self, *, filter: Mapping[str, Any] | None = None, format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.filter = filter
        self.format = format
        self.check_known()
