"""Every call of Stream's JavaScript SDKs that starts, shows or steers asynchronous work.

The rows of ``tests/conformance/calls.py`` say what each operation answers. The table is printed into
``docs/generated/conformance_javascript.inc`` with ``python -m tests.conformance``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tests.conformance.calls import GIVEN, PAST, TABLE, Row

Sdk = Literal["node-sdk", "stream-chat"]
PACKAGES: dict[Sdk, str] = {"node-sdk": "@stream-io/node-sdk", "stream-chat": "stream-chat"}


@dataclass(frozen=True, kw_only=True)
class JavaScriptCall:
    """One way to call an operation.

    :param label: of the operation's row
    :param sdk: whose call
    :param method: its name on the client, with dots for those of a product
    :param arguments: good arguments
    :param positional: those that are not keys of the last argument, which is an object, but stand before it
    :param on: method and arguments that give the object whose method it is, where it is not the client
    :param updates: Stream's word for a batch update, where the row has another
    """

    label: str
    sdk: Sdk
    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    positional: tuple[str, ...] = ()
    on: tuple[str, tuple[str, ...]] | None = None
    updates: str = ""

    @property
    def row(self) -> Row:
        [row] = (row for row in TABLE if row.label == self.label)
        return row

    @property
    def result(self) -> Mapping[str, Any]:
        """What the Stream task shows when it has completed."""
        assert self.row.result is not None
        return {**self.row.result, "operation": self.updates} if self.updates else self.row.result

    @property
    def name(self) -> str:
        """As a reader of the SDK's documentation knows it."""
        return f"{self.on[0]}(...).{self.method}" if self.on else self.method

    @property
    def steps(self) -> list[tuple[str, list[Any]]]:
        """The methods to call, each on what the one before it gave."""
        placed = [self.arguments[name] for name in self.positional]
        named = {name: value for name, value in self.arguments.items() if name not in self.positional}
        last = (self.method, [*placed, *([named] if named else [])])
        return [(self.on[0], list(self.on[1])), last] if self.on else [last]

    def with_arguments(self, **others: Any) -> JavaScriptCall:
        """The call with some arguments replaced."""
        return replace(self, arguments={**self.arguments, **others})


_PAIR = {"cids": {"$in": ["messaging:a", "messaging:b"]}}
_ANN = [{"user_id": "ann"}]


def _node(
    label: str, method: str, on: tuple[str, tuple[str, ...]] | None = None, **arguments: Any
) -> JavaScriptCall:
    return JavaScriptCall(label=label, sdk="node-sdk", method=method, arguments=arguments, on=on)


def _chat(label: str, method: str, *positional: str, **arguments: Any) -> JavaScriptCall:
    return JavaScriptCall(
        label=label, sdk="stream-chat", method=method, arguments=arguments, positional=positional
    )


def _updater(method: str, **arguments: Any) -> JavaScriptCall:
    """A method of stream-chat's helper for batch updates."""
    return JavaScriptCall(
        label="ChannelBatchUpdate",
        sdk="stream-chat",
        method=method,
        arguments={"filter": _PAIR, **arguments},
        positional=("filter", *arguments),
        on=("channelBatchUpdater", ()),
        updates=method,
    )


JAVASCRIPT = (
    _node("DeleteChannels", "chat.deleteChannels", cids=["messaging:a", "messaging:b"], hard_delete=True),
    _node("DeleteChannels-soft", "chat.deleteChannels", cids=["messaging:a"]),
    _node(
        "ExportChannels",
        "chat.exportChannels",
        channels=[{"cid": "messaging:a", "messages_since": PAST}, {"type": "messaging", "id": "b"}],
        include_soft_deleted_channels=True,
    ),
    _node(
        "ChannelBatchUpdate", "chat.channelBatchUpdate", operation="addMembers", members=_ANN, filter=_PAIR
    ),
    _node(
        "ChannelBatchUpdate-data",
        "chat.channelBatchUpdate",
        operation="updateData",
        data={"frozen": True, "custom": {"season": "winter"}},
        filter=_PAIR,
    ),
    _node(
        "DeleteUsers",
        "deleteUsers",
        user_ids=["ann", "joe"],
        user="hard",
        messages="hard",
        conversations="hard",
        calls="hard",
    ),
    _node("DeleteUsers-hard", "deleteUsers", user_ids=["ann"], user="hard"),
    _node("DeactivateUsers", "deactivateUsers", user_ids=["ann"], mark_messages_deleted=True),
    _node("ReactivateUsers", "reactivateUsers", user_ids=["ann"], restore_messages=True),
    _node("ExportUsers", "exportUsers", user_ids=["ann"]),
    _node("DeleteCall", "video.deleteCall", type="default", id="stand up", hard=True),
    _node("DeleteCall", "delete", on=("video.call", ("default", "stand up")), hard=True),
    _node("DeleteCall-soft", "video.deleteCall", type="default", id="standup"),
    _node(
        "DeleteFeed",
        "feeds.deleteFeed",
        feed_group_id="user",
        feed_id="ann",
        hard_delete=True,
        purge_user_activities=True,
    ),
    _node("DeleteFeed", "delete", on=("feeds.feed", ("user", "ann")), hard_delete=True),
    _node("DeleteFeedsBatch", "feeds.deleteFeedsBatch", feeds=["user:ann", "user:joe"], hard_delete=True),
    _node("DeleteFeedUserData", "feeds.deleteFeedUserData", user_id="ann", hard_delete=True),
    _node("ExportFeedUserData", "feeds.exportFeedUserData", user_id="ann"),
    _node("ImportBlockList", "importBlockList", id="swear words", items=["darn", "heck"], chunk_size=1),
    _node(
        "bulk_image_moderation",
        "moderation.bulkImageModeration",
        csv_file="https://example.com/images.csv",
    ),
    _node("start_policy_test_run", "moderation.startPolicyTestRun", id="swear words"),
    _node("GetTask", "getTask", id=GIVEN),
    _node("GetRateLimits", "getRateLimits", server_side=True, endpoints="GetTask,DeleteUsers"),
    _node(
        "QueryChannels",
        "chat.queryChannels",
        filter_conditions={"type": "messaging", "created_at": {"$lt": PAST}},
        sort=[{"field": "created_at", "direction": 1}],
        limit=5,
        state=False,
    ),
    _node(
        "QueryUsers",
        "queryUsers",
        payload={
            "filter_conditions": {"role": "user"},
            "sort": [{"field": "id", "direction": 1}],
            "limit": 5,
        },
    ),
    _node(
        "SendMessage",
        "chat.sendMessage",
        type="messaging",
        id="alerts",
        message={"id": "hello-1", "text": "Hello", "user_id": "ann"},
        skip_enrich_url=True,
    ),
    _node("CreateImportURL", "createImportURL", filename="users.json"),
    _node("CreateImport", "createImport", path=GIVEN, mode="upsert", merge_custom=True),
    _node("GetImport", "getImport", id=GIVEN),
    _node("ListImports", "listImports"),
    _node(
        "CreateImportV2Task",
        "createImportV2Task",
        product="chat",
        settings={"path": "s3://bucket/file", "mode": "upsert"},
    ),
    _node("GetImportV2Task", "getImportV2Task", id=GIVEN),
    _node("ListImportV2Tasks", "listImportV2Tasks", state=1),
    _node("CancelImportV2Task", "cancelImportV2Task", id=GIVEN),
    _node("DeleteImportV2Task", "deleteImportV2Task", id=GIVEN),
    _node(
        "UpsertImporterExternalStorage",
        "upsertImporterExternalStorage",
        type="aws_s3",
        aws_s3={"bucket": "imports", "region": "eu-west-1", "role_arn": "arn:aws:iam::1:role/stream"},
    ),
    _node("GetImporterExternalStorage", "getImporterExternalStorage"),
    _node("ValidateImporterExternalStorage", "validateImporterExternalStorage"),
    _node("DeleteImporterExternalStorage", "deleteImporterExternalStorage"),
    _chat("DeleteChannels", "deleteChannels", "cids", cids=["messaging:a", "messaging:b"], hard_delete=True),
    _chat("DeleteChannels-soft", "deleteChannels", "cids", cids=["messaging:a"]),
    _chat(
        "ExportChannels",
        "exportChannels",
        "channels",
        channels=[{"cid": "messaging:a", "messages_since": PAST}, {"type": "messaging", "id": "b"}],
        include_truncated_messages=True,
    ),
    _chat("ExportChannels", "exportChannel", "channel", channel={"cid": "messaging:b"}),
    _chat("ChannelBatchUpdate", "updateChannelsBatch", operation="addMembers", members=_ANN, filter=_PAIR),
    _chat(
        "ChannelBatchUpdate-data",
        "updateChannelsBatch",
        operation="updateData",
        data={"frozen": True},
        custom_set={"season.name": "winter"},
        custom_unset=["season.old"],
        filter=_PAIR,
    ),
    *(_updater(method, members=_ANN) for method in ("addMembers", "inviteMembers", "assignRoles")),
    # Its types want plain ids where a member is nothing but a user.
    *(
        _updater(method, members=["ann"])
        for method in ("addMembers", "inviteMembers", "removeMembers", "addModerators", "demoteModerators")
    ),
    *(_updater(method) for method in ("hide", "show", "archive", "unarchive")),
    _updater("updateData", data={"frozen": True}),
    _chat(
        "DeleteUsers",
        "deleteUsers",
        "user_ids",
        user_ids=["ann", "joe"],
        user="hard",
        messages="hard",
        conversations="hard",
    ),
    _chat("DeleteUsers-hard", "deleteUsers", "user_ids", user_ids=["ann"], user="hard"),
    _chat("DeactivateUsers", "deactivateUsers", "user_ids", user_ids=["ann"], created_by_id="joe"),
    _chat("ReactivateUsers", "reactivateUsers", "user_ids", user_ids=["ann"], restore_messages=True),
    _chat("ExportUsers", "exportUsers", user_ids=["ann"]),
    _chat("GetExportChannelsStatus", "getExportChannelStatus", "id", id=GIVEN),
    _chat("GetTask", "getTask", "id", id=GIVEN),
    _chat("GetRateLimits", "getRateLimits", serverSide=True, endpoints=["GetTask", "DeleteUsers"]),
    _chat("CreateImportURL", "_createImportURL", "filename", filename="users.json"),
    _chat("CreateImport", "_createImport", "path", path=GIVEN, mode="insert"),
    _chat("GetImport", "_getImport", "id", id=GIVEN),
    _chat("ListImports", "_listImports", limit=10, offset=0),
)
