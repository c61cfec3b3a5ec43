"""Every operator on the catalogue, with arguments that Stream accepts."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from airflow_provider_streamtasks.operators import chat, feeds, moderation, users, video
from airflow_provider_streamtasks.operators.base import StreamBaseOperator

MODULES: list[ModuleType] = [chat, feeds, moderation, users, video]

ARGUMENTS: dict[type[StreamBaseOperator], dict[str, Any]] = {
    chat.StreamDeleteChannelsOperator: {"cids": ["messaging:a", "messaging:b"], "hard_delete": True},
    chat.StreamExportChannelsOperator: {"channels": ["messaging:a", {"type": "messaging", "id": "b"}]},
    chat.StreamChannelBatchUpdateOperator: {
        "operation": "hide",
        "filter": {"cids": {"$in": ["messaging:a", "messaging:b"]}},
    },
    users.StreamDeleteUsersOperator: {"user_ids": ["joe", "ann"], "user": "soft"},
    users.StreamDeactivateUsersOperator: {"user_ids": ["joe", "ann"], "created_by_id": "root"},
    users.StreamReactivateUsersOperator: {"user_ids": ["joe", "ann"], "restore_messages": True},
    users.StreamExportUsersOperator: {"user_ids": ["joe", "ann"]},
    video.StreamDeleteCallOperator: {"call_type": "default", "call_id": "standup", "hard": True},
    feeds.StreamDeleteFeedOperator: {"feed_group_id": "user", "feed_id": "joe", "hard_delete": True},
    feeds.StreamDeleteFeedsOperator: {"feeds": ["user:joe", "user:ann"]},
    feeds.StreamDeleteFeedUserDataOperator: {"user_id": "joe", "hard_delete": False},
    feeds.StreamExportFeedUserDataOperator: {"user_id": "joe"},
    moderation.StreamImportBlockListOperator: {"blocklist_id": "swear words", "items": ["darn", "heck"]},
    moderation.StreamBulkImageModerationOperator: {"csv_file": "https://example.com/images.csv"},
    moderation.StreamExportModerationLogsOperator: {
        "filter": {"created_at": {"$gte": "2026-01-01T00:00:00Z"}},
        "format": "csv",
    },
}
OPERATORS = list(ARGUMENTS)

PACKAGE = Path(chat.__file__).parent


def make(operator: type[StreamBaseOperator], **others: Any) -> StreamBaseOperator:
    """Return an operator with good arguments, of which some may be replaced."""
    return operator(**{"task_id": "submit", "poll_interval": 0.05, **ARGUMENTS[operator], **others})


def name_of(operator: type[StreamBaseOperator]) -> str:
    return operator.__name__.removeprefix("Stream").removesuffix("Operator")
