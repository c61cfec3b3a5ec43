"""The table: each operation of Stream's that the provider uses, as the official SDKs call it.

The tests of this folder are driven by it, and ``python -m tests.conformance`` prints
``docs/generated/conformance_calls.inc`` from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal
from unittest.mock import ANY

from getstream import models

GIVEN = object()
"""Stands in arguments for the id, or the path, of what exists before the call: see ``Row.given``."""

PAST = datetime(2026, 1, 1, tzinfo=timezone.utc)
OK = {"status": "ok"}

Given = Literal["task", "upload", "import", "import_v2", "external_storage", "population"]


@dataclass(frozen=True)
class Call:
    """A call of a method.

    :param method: its name on the client, with a dot for those of a product
    :param arguments: good arguments
    :param channel: type and id of the channel whose method it is, where it is not the client's own
    """

    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    channel: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One operation of Stream's.

    :param operation: Stream's name of it
    :param variant: tells rows of the same operation apart
    :param getstream: how ``getstream`` calls it; ``None`` if it does not
    :param stream_chat: how ``stream-chat`` calls it; ``None`` if it does not
    :param only_sync: whether only ``Stream`` has it, not ``AsyncStream``
    :param given: what must exist before the call
    :param starts: whether a Stream task is started, which GetTask shows
    :param result: what the Stream task shows when it has completed
    :param file: what the file holds that the result leads to
    :param most: the argument that holds a list, and how many items of it Stream takes
    :param choice: an argument that is one of a few words
    :param request: the SDK's model of the body, where a Stream task is started
    """

    operation: str
    variant: str = ""
    getstream: Call | None = None
    stream_chat: Call | None = None
    only_sync: bool = False
    given: Given | None = None
    starts: bool = False
    result: Mapping[str, Any] | None = None
    file: str = ""
    most: tuple[str, int] | None = None
    choice: str = ""
    request: type | None = None

    @property
    def label(self) -> str:
        return f"{self.operation}-{self.variant}" if self.variant else self.operation


_BATCH = {"filter": {"cids": {"$in": ["messaging:a", "messaging:b"]}}}
_EXPORTED = {"url": ANY, "path": ANY, "s3_bucket_name": ANY}
_MEMBERS = [models.ChannelBatchMemberRequest(user_id="ann", channel_role="channel_moderator")]


class With(dict[str, Any]):
    """Equals every object that has these entries, whatever else it has."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and self.items() <= other.items()


def _batch_result(operation: str) -> dict[str, Any]:
    return {
        "operation": operation,
        "status": "completed",
        "task_id": ANY,
        "success_channels_count": 2,
        "failed_channels": [],
        "batch_created_at": ANY,
        "finished_at": ANY,
    }


TABLE = (
    Row(
        operation="DeleteChannels",
        getstream=Call("chat.delete_channels", {"cids": ["messaging:a", "messaging:b"], "hard_delete": True}),
        stream_chat=Call("delete_channels", {"cids": ["messaging:a", "messaging:b"], "hard_delete": True}),
        starts=True,
        result={"messaging:a": OK, "messaging:b": OK},
        most=("cids", 100),
        request=models.DeleteChannelsRequest,
    ),
    Row(
        operation="DeleteChannels",
        variant="soft",
        getstream=Call("chat.delete_channels", {"cids": ["messaging:a"], "skip_truncate": True}),
        stream_chat=Call("delete_channels", {"cids": ["messaging:a"]}),
        starts=True,
        result={"messaging:a": OK},
    ),
    Row(
        operation="ExportChannels",
        getstream=Call(
            "chat.export_channels",
            {
                "channels": [
                    models.ChannelExport(cid="messaging:a", messages_since=PAST),
                    models.ChannelExport(type="messaging", id="b"),
                ],
                "include_soft_deleted_channels": True,
            },
        ),
        stream_chat=Call(
            "export_channels",
            {
                "channels": [
                    {"cid": "messaging:a", "messages_since": PAST.isoformat()},
                    {"type": "messaging", "id": "b"},
                ],
                "include_truncated_messages": True,
            },
        ),
        starts=True,
        result=_EXPORTED,
        file='"cid": "messaging:b"',
        most=("channels", 100),
        choice="format",
        request=models.ExportChannelsRequest,
    ),
    Row(
        operation="ChannelBatchUpdate",
        getstream=Call(
            "chat.channel_batch_update", {"operation": "addMembers", "members": _MEMBERS, **_BATCH}
        ),
        stream_chat=Call(
            "update_channels_batch",
            {"options": {"operation": "addMembers", "members": [{"user_id": "ann"}], **_BATCH}},
        ),
        starts=True,
        result=_batch_result("addMembers"),
        choice="operation",
        request=models.ChannelBatchUpdateRequest,
    ),
    Row(
        operation="ChannelBatchUpdate",
        variant="history",
        getstream=Call(
            "chat.channel_batch_update",
            {
                "operation": "addMembersHideHistory",
                "members": _MEMBERS,
                "hide_history_before": PAST,
                **_BATCH,
            },
        ),
        starts=True,
        result=_batch_result("addMembersHideHistory"),
    ),
    Row(
        operation="ChannelBatchUpdate",
        variant="data",
        getstream=Call(
            "chat.channel_batch_update",
            {
                "operation": "updateData",
                "data": models.ChannelDataUpdate(frozen=True),
                "custom_set": {"season.name": "winter"},
                "custom_unset": ["season.old"],
                **_BATCH,
            },
        ),
        starts=True,
        result=_batch_result("updateData"),
    ),
    Row(
        operation="DeleteUsers",
        getstream=Call(
            "delete_users",
            {
                "user_ids": ["ann", "joe"],
                "user": "hard",
                "messages": "hard",
                "conversations": "hard",
                "calls": "hard",
            },
        ),
        stream_chat=Call(
            "delete_users",
            {
                "user_ids": ["ann", "joe"],
                "delete_type": "hard",
                "messages": "hard",
                "conversations": "hard",
            },
        ),
        starts=True,
        result={"ann": OK, "joe": OK},
        most=("user_ids", 100),
        choice="calls",
        request=models.DeleteUsersRequest,
    ),
    Row(
        operation="DeleteUsers",
        variant="hard",
        getstream=Call("delete_users", {"user_ids": ["ann"], "user": "hard"}),
        stream_chat=Call("delete_users", {"user_ids": ["ann"], "delete_type": "hard"}),
        starts=True,
        result={"ann": OK},
    ),
    Row(
        operation="DeactivateUsers",
        getstream=Call("deactivate_users", {"user_ids": ["ann"], "mark_messages_deleted": True}),
        stream_chat=Call("deactivate_users", {"user_ids": ["ann"], "created_by_id": "joe"}),
        starts=True,
        result={"users": [With(id="ann", name=ANY, deactivated_at=ANY, custom=ANY)]},
        most=("user_ids", 100),
        request=models.DeactivateUsersRequest,
    ),
    Row(
        operation="ReactivateUsers",
        getstream=Call("reactivate_users", {"user_ids": ["ann"], "restore_messages": True}),
        starts=True,
        result={"users": [With(id="ann", name=ANY, custom=ANY)]},
        most=("user_ids", 100),
        request=models.ReactivateUsersRequest,
    ),
    Row(
        operation="ExportUsers",
        getstream=Call("export_users", {"user_ids": ["ann"]}),
        stream_chat=Call("export_users", {"user_ids": ["ann"]}),
        starts=True,
        result=_EXPORTED,
        file='"id": "ann"',
        most=("user_ids", 25),
        request=models.ExportUsersRequest,
    ),
    Row(
        operation="DeleteCall",
        getstream=Call("video.delete_call", {"type": "default", "id": "stand up", "hard": True}),
        starts=True,
        result={"default:stand up": OK},
        request=models.DeleteCallRequest,
    ),
    Row(
        operation="DeleteCall",
        variant="soft",
        getstream=Call("video.delete_call", {"type": "default", "id": "standup"}),
    ),
    Row(
        operation="DeleteFeed",
        getstream=Call(
            "feeds.delete_feed",
            {
                "feed_group_id": "user",
                "feed_id": "ann",
                "hard_delete": True,
                "purge_user_activities": True,
            },
        ),
        only_sync=True,
        starts=True,
        result={"user:ann": OK},
    ),
    Row(
        operation="DeleteFeedsBatch",
        getstream=Call("feeds.delete_feeds_batch", {"feeds": ["user:ann", "user:joe"], "hard_delete": True}),
        only_sync=True,
        starts=True,
        result={"user:ann": OK, "user:joe": OK},
        most=("feeds", 100),
        request=models.DeleteFeedsBatchRequest,
    ),
    Row(
        operation="DeleteFeedUserData",
        getstream=Call("feeds.delete_feed_user_data", {"user_id": "ann", "hard_delete": True}),
        only_sync=True,
        starts=True,
        result={"ann": OK},
        request=models.DeleteFeedUserDataRequest,
    ),
    Row(
        operation="ExportFeedUserData",
        getstream=Call("feeds.export_feed_user_data", {"user_id": "ann"}),
        only_sync=True,
        starts=True,
        result=_EXPORTED,
        file='"id": "ann"',
    ),
    Row(
        operation="ImportBlockList",
        getstream=Call(
            "import_block_list", {"id": "swear words", "items": ["darn", "heck"], "chunk_size": 1}
        ),
        starts=True,
        result={"items_count": 2},
        request=models.ImportBlockListRequest,
    ),
    Row(
        operation="bulk_image_moderation",
        getstream=Call("moderation.bulk_image_moderation", {"csv_file": "https://example.com/images.csv"}),
        starts=True,
        result=_EXPORTED,
        file="https://example.com/images.csv,keep",
        request=models.BulkImageModerationRequest,
    ),
    # No SDK that can be called here has it; Stream's Java SDK does.
    Row(operation="export_logs", starts=True, result=_EXPORTED),
    Row(
        operation="start_policy_test_run",
        getstream=Call("moderation.start_policy_test_run", {"id": "swear words"}),
        starts=True,
        result={},
    ),
    Row(
        operation="GetExportChannelsStatus",
        stream_chat=Call("get_export_channel_status", {"task_id": GIVEN}),
        given="task",
    ),
    Row(
        operation="GetTask",
        getstream=Call("get_task", {"id": GIVEN}),
        stream_chat=Call("get_task", {"task_id": GIVEN}),
        given="task",
    ),
    Row(
        operation="GetRateLimits",
        getstream=Call("get_rate_limits", {"server_side": True, "endpoints": "GetTask,DeleteUsers"}),
        stream_chat=Call("get_rate_limits", {"server_side": True, "endpoints": ["GetTask", "DeleteUsers"]}),
    ),
    Row(
        operation="QueryChannels",
        getstream=Call(
            "chat.query_channels",
            {
                "filter_conditions": {"type": "messaging", "created_at": {"$lt": PAST.isoformat()}},
                "sort": [models.SortParamRequest(field="created_at", direction=1)],
                "limit": 5,
                "state": False,
            },
        ),
        stream_chat=Call(
            "query_channels",
            {
                "filter_conditions": {"type": "messaging"},
                "sort": [{"field": "created_at", "direction": -1}],
                "limit": 5,
            },
        ),
        given="population",
    ),
    Row(
        operation="QueryUsers",
        getstream=Call(
            "query_users",
            {
                "payload": models.QueryUsersPayload(
                    filter_conditions={"role": "user"},
                    sort=[models.SortParamRequest(field="id", direction=1)],
                    limit=5,
                )
            },
        ),
        stream_chat=Call(
            "query_users",
            {
                "filter_conditions": {"role": "user"},
                "sort": [{"field": "created_at", "direction": -1}],
                "limit": 5,
            },
        ),
        given="population",
    ),
    Row(
        operation="SendMessage",
        getstream=Call(
            "chat.send_message",
            {
                "type": "messaging",
                "id": "alerts",
                "message": models.MessageRequest(id="hello-1", text="Hello", user_id="ann"),
                "skip_enrich_url": True,
            },
        ),
        stream_chat=Call(
            "send_message",
            {"message": {"text": "Hello"}, "user_id": "ann"},
            channel=("messaging", "alerts"),
        ),
        given="population",
    ),
    Row(
        operation="CreateImportURL",
        getstream=Call("create_import_url", {"filename": "users.json"}),
        stream_chat=Call("create_import_url", {"filename": "users.json"}),
    ),
    Row(
        operation="CreateImport",
        getstream=Call("create_import", {"path": GIVEN, "mode": "upsert", "merge_custom": True}),
        stream_chat=Call("create_import", {"path": GIVEN, "mode": "insert"}),
        given="upload",
        choice="mode",
    ),
    Row(
        operation="GetImport",
        getstream=Call("get_import", {"id": GIVEN}),
        stream_chat=Call("get_import", {"id": GIVEN}),
        given="import",
    ),
    Row(
        operation="ListImports",
        getstream=Call("list_imports"),
        stream_chat=Call("list_imports", {"options": {"limit": 10, "offset": 0}}),
        given="import",
    ),
    Row(
        operation="CreateImportV2Task",
        getstream=Call(
            "create_import_v2_task",
            {
                "product": "chat",
                "settings": models.ImportV2TaskSettings(path="s3://bucket/file", mode="upsert"),
            },
        ),
        choice="product",
    ),
    Row(
        operation="GetImportV2Task",
        getstream=Call("get_import_v2_task", {"id": GIVEN}),
        given="import_v2",
    ),
    Row(
        operation="ListImportV2Tasks",
        getstream=Call("list_import_v2_tasks", {"state": 1}),
        given="import_v2",
    ),
    Row(
        operation="CancelImportV2Task",
        getstream=Call("cancel_import_v2_task", {"id": GIVEN}),
        given="import_v2",
    ),
    Row(
        operation="DeleteImportV2Task",
        getstream=Call("delete_import_v2_task", {"id": GIVEN}),
        given="import_v2",
    ),
    Row(
        operation="UpsertImporterExternalStorage",
        getstream=Call(
            "upsert_importer_external_storage",
            {
                "type": "aws_s3",
                "aws_s3": models.UpsertExternalStorageAWSS3Request(
                    bucket="imports", region="eu-west-1", role_arn="arn:aws:iam::1:role/stream"
                ),
            },
        ),
        choice="type",
    ),
    Row(
        operation="GetImporterExternalStorage",
        getstream=Call("get_importer_external_storage"),
        given="external_storage",
    ),
    Row(
        operation="ValidateImporterExternalStorage",
        getstream=Call("validate_importer_external_storage"),
        given="external_storage",
    ),
    Row(
        operation="DeleteImporterExternalStorage",
        getstream=Call("delete_importer_external_storage"),
    ),
)
