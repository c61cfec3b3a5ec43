"""
The catalogue: one row for each operation of Stream's that starts a Stream task.

A row refuses what Stream is known to refuse, and slips that Stream might not notice: a misspelt key, a list
or a filter that is empty and may mean nothing or everything. The rest is left to Stream. Below,
"specification" is Stream's OpenAPI document (GetStream/protocol, v236), and "SDK" is ``getstream`` 7.0.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_streamtasks.protocol.fields import (
    Channel,
    Choice,
    Flag,
    Items,
    ListOf,
    Member,
    Moment,
    Object,
    Segment,
    Text,
    Whole,
    quoted,
)
from airflow_provider_streamtasks.protocol.operations import Operation


def _whole_user(values: Mapping[str, Any]) -> str | None:
    # The specification wants hard messages and conversations. Stream's Java and Ruby suites delete users
    # with user=hard alone, and the Java one sees user=hard with messages=soft refused.
    for name in ("messages", "conversations"):
        if values.get("user") == "hard" and values.get(name, "hard") not in ("hard", ""):
            return (
                f"user is 'hard' and {name} is {values[name]!r}: Stream refuses the two together. "
                f"user='soft' and user='pruning' go with any {name}; user='hard' goes without {name}, "
                "or with 'hard', which destroys them"
            )
    return None


def _purge_is_hard(values: Mapping[str, Any]) -> str | None:
    # Specification: "Requires 'hard_delete' to be true; the request is rejected otherwise".
    if values.get("purge_user_activities") and not values.get("hard_delete"):
        return (
            "purge_user_activities is True, but hard_delete is not: Stream refuses that. Without "
            "purge_user_activities the feeds are deleted softly, and activities in other feeds stay"
        )
    return None


def _csv_export(values: Mapping[str, Any]) -> str | None:
    # Specification: "csv requires version=v2 and is incompatible with export_users".
    if values.get("format") == "csv":
        if values.get("version") != "v2":
            return "format is 'csv': version must be 'v2'"
        if values.get("export_users"):
            return "format is 'csv': export_users must not be True"
    return None


def _kept_history(values: Mapping[str, Any]) -> str | None:
    # SDK: "Cannot be combined with hard_delete".
    if values.get("skip_truncate") and values.get("hard_delete"):
        return "skip_truncate is True: hard_delete must not be True"
    return None


def _batch_update(values: Mapping[str, Any]) -> str | None:
    operation = values.get("operation")
    # SDK: "Required with the addMembersHideHistory operation, and rejected with every other operation".
    if (operation == "addMembersHideHistory") != ("hide_history_before" in values):
        return (
            f"operation is {operation!r}: hide_history_before must be given with 'addMembersHideHistory', "
            "and with nothing else"
        )
    # SDK: "updateData only", and "Cannot be combined with data.custom".
    for name in ("custom_set", "custom_unset"):
        if name in values and operation != "updateData":
            return f"{name} is given: operation must be 'updateData'"
        if name in values and values.get("data", {}).get("custom") is not None:
            return f"{name} is given: data must not hold 'custom'"
    return _filter_fields(values)


def _filter_fields(values: Mapping[str, Any]) -> str | None:
    # Stream docs: batch updates. "Must use explicit operators. Direct arrays are not supported."
    if not values.get("filter", True):
        return "filter is empty: cids or types are needed"
    for name, condition in values.get("filter", {}).items():
        if name not in ("cids", "types"):
            return f"filter holds {name!r}: only cids and types are allowed"
        if not isinstance(condition, Mapping) or not condition:
            return _no_condition(name, condition)
        for operator, operand in condition.items():
            texts: Any = {"$eq": [operand], "$in": operand}.get(operator)
            is_list = isinstance(texts, list | tuple) and bool(texts)
            if not is_list or not all(isinstance(text, str) for text in texts):
                return _no_condition(name, condition)
            for text in texts:
                (_CID if name == "cids" else _TYPE).parse(f"filter[{name!r}]", text)
    return None


def _logs_filter(values: Mapping[str, Any]) -> str | None:
    if "filter" in values and not values["filter"]:
        return "filter is empty: name what to export, or leave filter out to export all logs"
    return None


def _no_condition(name: str, given: Any) -> str:
    return f"filter[{name!r}] is {quoted(given)}: {{'$eq': 'text'}} or {{'$in': ['text', ...]}} is needed"


# Two parts and one colon, as Stream's own SDKs check it. Which characters an id may have, Stream knows: a
# list of them refused ids with dots, here as in Stream's Android SDK (stream-chat-android, pull 6495).
# Blanks, quotes, brackets, braces and commas are slips: a padded column, a list or a template as text.
# Stream refuses them: in cids (its issue 1887), in ids of users ("a-z, 0-9, @, _ and - are allowed":
# stream-chat-js, issue 1020) and of calls (stream-video-js, pull 1165).
_PART = r"[^\s\x00-\x1f\x7f:\"'\[\]{},]+"
_SLIPS = "blanks, quotes, brackets, braces or commas"
_CID = Text(form=f"{_PART}:{_PART}", example="messaging:general", without=_SLIPS)
_TYPE = Text(form=_PART, example="messaging", without=_SLIPS)
# Specification: "fully qualified feed IDs (format: group_id:feed_id)". The slips are the same.
_ID = r"[^\s\x00-\x1f\x7f\"'\[\]{},]+"
_FEED = Text(form=f"{_PART}:{_ID}", example="user:john", without=_SLIPS)
# Specification: the length of a user's id wherever it gives one, as for the members of a feed.
_USER_ID = Text(max_length=255, form=_ID, example="john", without=_SLIPS)
_FEED_PART = Text(max_length=255, form=_ID, without=_SLIPS)
_CALL_PART = Text(max_length=64, form=_ID, without=_SLIPS)
# Specification: "null or empty string" leaves messages, conversations and calls alone.
_SOFT_OR_HARD = Choice(("soft", "hard"), may_be_empty=True)

DELETE_CHANNELS = Operation(
    name="DeleteChannels",
    method="POST",
    path="/api/v2/chat/channels/delete",
    items=Items("cids", 100, _CID),
    body={"hard_delete": Flag(), "skip_truncate": Flag()},
    rule=_kept_history,
    at_once="result",
)
"""
Stream docs: deleting channels.

A soft delete is answered with what became of each channel and with a Stream task (the suites of
stream-chat-python and -java wait for it). The specification requires neither, so either alone will do.
"""

EXPORT_CHANNELS = Operation(
    name="ExportChannels",
    method="POST",
    path="/api/v2/chat/export_channels",
    # Stream's guide says 25, its specification 100: the smaller is safe.
    items=Items("channels", 25, Channel(_CID)),
    body={
        "version": Text(),
        "format": Choice(("json", "csv")),
        "include_fields": ListOf(Text()),
        "clear_deleted_message_text": Flag(),
        "include_truncated_messages": Flag(),
        "include_soft_deleted_channels": Flag(),
        "export_users": Flag(),
    },
    rule=_csv_export,
)
"""Stream docs: exporting channels."""

CHANNEL_BATCH_UPDATE = Operation(
    name="ChannelBatchUpdate",
    method="PUT",
    path="/api/v2/chat/channels/batch",
    body={
        "operation": Choice(
            (
                "addMembers", "addMembersHideHistory", "removeMembers", "inviteMembers", "invites",
                "assignRoles", "addModerators", "demoteModerators", "hide", "show", "archive", "unarchive",
                "updateData",
            )
        ),
        "filter": Object(),
        "members": ListOf(Member(_USER_ID), cap=100),
        "hide_history_before": Moment(),
        "data": Object(),
        "custom_set": Object(),
        "custom_unset": ListOf(Text()),
    },
    required=("operation", "filter"),
    rule=_batch_update,
)  # fmt: skip
"""Stream docs: batch updates of channels."""

DELETE_USERS = Operation(
    name="DeleteUsers",
    method="POST",
    path="/api/v2/users/delete",
    items=Items("user_ids", 100, _USER_ID),
    body={
        "user": Choice(("soft", "pruning", "hard")),
        "messages": Choice(("soft", "pruning", "hard"), may_be_empty=True),
        "conversations": _SOFT_OR_HARD,
        "calls": _SOFT_OR_HARD,
        "files": Flag(),
        "new_channel_owner_id": _USER_ID,
        "new_call_owner_id": _USER_ID,
    },
    rule=_whole_user,
)
"""Stream docs: deleting users."""

DEACTIVATE_USERS = Operation(
    name="DeactivateUsers",
    method="POST",
    path="/api/v2/users/deactivate",
    items=Items("user_ids", 100, _USER_ID),
    body={"created_by_id": _USER_ID, "mark_messages_deleted": Flag(), "mark_channels_deleted": Flag()},
)
"""Stream docs: deactivating users."""

REACTIVATE_USERS = Operation(
    name="ReactivateUsers",
    method="POST",
    path="/api/v2/users/reactivate",
    items=Items("user_ids", 100, _USER_ID),
    body={"created_by_id": _USER_ID, "restore_messages": Flag(), "restore_channels": Flag()},
)
"""Stream docs: reactivating users."""

EXPORT_USERS = Operation(
    name="ExportUsers",
    method="POST",
    path="/api/v2/export/users",
    items=Items("user_ids", 25, _USER_ID),
)
"""Stream docs: exporting users. Up to 10,000 messages of each."""

DELETE_CALL = Operation(
    name="DeleteCall",
    method="POST",
    path="/api/v2/video/call/{call_type}/{call_id}/delete",
    parameters={"call_type": Segment(_CALL_PART), "call_id": Segment(_CALL_PART)},
    body={"hard": Flag()},
    at_once="call",
)
"""Stream docs: deleting calls. A soft delete is done at once, without a Stream task."""

DELETE_FEED = Operation(
    name="DeleteFeed",
    method="DELETE",
    path="/api/v2/feeds/feed_groups/{feed_group_id}/feeds/{feed_id}",
    parameters={"feed_group_id": Segment(_FEED_PART), "feed_id": Segment(_FEED_PART)},
    query={"hard_delete": Flag(), "purge_user_activities": Flag()},
    rule=_purge_is_hard,
    sends_body=False,
)
"""Stream docs: deleting feeds."""

DELETE_FEEDS = Operation(
    name="DeleteFeedsBatch",
    method="POST",
    path="/api/v2/feeds/feeds/delete",
    items=Items("feeds", 100, _FEED),
    body={"hard_delete": Flag(), "purge_user_activities": Flag()},
    rule=_purge_is_hard,
)
"""Stream docs: deleting feeds. All of a batch must exist."""

DELETE_FEED_USER_DATA = Operation(
    name="DeleteFeedUserData",
    method="POST",
    path="/api/v2/feeds/users/{user_id}/delete",
    parameters={"user_id": Segment(_USER_ID)},
    body={"hard_delete": Flag()},
)
"""Stream docs: feeds and GDPR."""

EXPORT_FEED_USER_DATA = Operation(
    name="ExportFeedUserData",
    method="POST",
    path="/api/v2/feeds/users/{user_id}/export",
    parameters={"user_id": Segment(_USER_ID)},
    sends_body=False,
)
"""Stream docs: feeds and GDPR."""

IMPORT_BLOCK_LIST = Operation(
    name="ImportBlockList",
    method="POST",
    path="/api/v2/blocklists/{blocklist_id}/import",
    # Stream caps the body only, and adding an item twice does nothing.
    items=Items("items", 5000, Text(), free_text=True),
    parameters={"blocklist_id": Segment()},
    body={"chunk_size": Whole()},
)
"""Stream docs: block lists. Items that are there already are skipped."""

BULK_IMAGE_MODERATION = Operation(
    name="bulk_image_moderation",
    method="POST",
    path="/api/v2/moderation/bulk_image_moderation",
    # Specification: "URL to CSV file". Of which kinds, Stream knows.
    body={"csv_file": Text(form=r"[A-Za-z][\w+.-]*://\S+", example="https://example.com/images.csv")},
    required=("csv_file",),
)
"""Stream docs: bulk image moderation."""

EXPORT_MODERATION_LOGS = Operation(
    name="export_logs",
    method="POST",
    path="/api/v2/moderation/logs/export",
    body={"filter": Object(), "format": Text()},
    rule=_logs_filter,
)
"""
Stream docs: moderation, logs and analytics.

The specification had it until v167 (GetStream/protocol, 09c176aa), the SDK never did. Stream's SDK for Java
has it with these fields (stream-chat-java 1.46.1, ModerationService). Both answer with a ``task_id``, which
the event ``export.moderation_logs.success`` holds, too. Stream's guide shows another answer, ``export_url``
and ``status``: an answer without an id is an error here.
"""

CREATE_IMPORT = Operation(
    name="CreateImport",
    method="POST",
    path="/api/v2/imports",
    body={"path": Text(), "mode": Choice(("insert", "upsert")), "merge_custom": Flag()},
    required=("path", "mode"),
    id_at=("import_task", "id"),
)
"""Stream docs: importing data. The file must have been uploaded."""

CREATE_IMPORT_V2 = Operation(
    name="CreateImportV2Task",
    method="POST",
    path="/api/v2/imports/v2",
    body={"product": Choice(("chat", "feeds")), "settings": Object(), "user_id": _USER_ID},
    required=("product", "settings"),
    id_at=("id",),
)
"""Imports of the second generation."""

CATALOGUE: Mapping[str, Operation] = {
    row.name: row for row in list(globals().values()) if isinstance(row, Operation)
}
"""Every row, by Stream's name of the operation. The table of operators in the documentation is made of it."""
