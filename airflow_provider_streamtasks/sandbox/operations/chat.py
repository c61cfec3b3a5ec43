"""Channels: deleting, exporting, and updating many at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow_provider_streamtasks.sandbox import files
from airflow_provider_streamtasks.sandbox.answers import invalid, rfc3339
from airflow_provider_streamtasks.sandbox.fields import Field
from airflow_provider_streamtasks.sandbox.operations.operation import (
    Export,
    Operation,
    Scene,
    Submission,
    listed,
    verdicts,
)


def _demand_time(name: str, value: str) -> None:
    try:
        # Python 3.10 does not read the Z.
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        raise invalid(f"{name}: {value!r} is not an RFC 3339 time") from None
    if moment.tzinfo is None:
        raise invalid(f"{name}: {value!r} lacks the offset that RFC 3339 requires")


def _demand_history(submission: Submission) -> None:
    if submission.body.get("skip_truncate") and submission.body.get("hard_delete"):
        raise invalid("skip_truncate cannot be combined with hard_delete")


def _deleted_channels(
    submission: Submission, background: bool, failures: Mapping[str, str], now: float
) -> dict[str, Any]:
    if background and submission.body.get("hard_delete"):
        return {}
    return {"result": verdicts(tuple(submission.body["cids"]), failures)}


def _exported_channels(submission: Submission) -> tuple[str, ...]:
    return tuple(
        channel.get("cid") or f"{channel['type']}:{channel['id']}" for channel in submission.body["channels"]
    )


def _demand_export(submission: Submission) -> None:
    body = submission.body
    for channel in body["channels"]:
        if not channel.get("cid") and not (channel.get("type") and channel.get("id")):
            raise invalid("channels: each needs either cid, or type and id")
        for key in ("messages_since", "messages_until"):
            if isinstance(channel.get(key), str):
                _demand_time(key, channel[key])
    if body.get("format") == "csv":
        if body.get("version") != "v2":
            raise invalid("format csv requires version v2")
        if body.get("export_users"):
            raise invalid("format csv cannot be combined with export_users")


def _export_name(submission: Submission) -> str:
    if submission.body.get("format") == "csv":
        return "channels.csv"
    return "channels.jsonl" if submission.body.get("version") == "v2" else "channels.json"


def _demand_batch_update(submission: Submission) -> None:
    body = submission.body
    _demand_filter(submission)
    before = body.get("hide_history_before")
    if (body["operation"] == "addMembersHideHistory") != (before is not None):
        raise invalid("hide_history_before is required with addMembersHideHistory, and only allowed there")
    if isinstance(before, str):
        _demand_time("hide_history_before", before)
    for key in ("custom_set", "custom_unset"):
        if body.get(key) is None:
            continue
        if body["operation"] != "updateData":
            raise invalid(f"{key} is only allowed with updateData")
        if (body.get("data") or {}).get("custom") is not None:
            raise invalid(f"{key} cannot be combined with data.custom")


def _demand_filter(submission: Submission) -> None:
    conditions = submission.body["filter"]
    if not conditions:
        raise invalid("filter must not be empty")
    for key, condition in conditions.items():
        if key not in ("cids", "types"):
            raise invalid(f"filter: field {key!r} is not supported, use cids or types")
        if not isinstance(condition, dict) or not condition or condition.keys() - {"$eq", "$in"}:
            raise invalid(f"filter: {key} needs an explicit $eq or $in")
        for operator, operand in condition.items():
            values = operand if isinstance(operand, list) else [operand]
            texts = all(isinstance(value, str) for value in values)
            if isinstance(operand, list) != (operator == "$in") or not texts:
                raise invalid(f"filter: {key} takes a string with $eq, or a list of strings with $in")


def _filtered(submission: Submission) -> tuple[str, ...]:
    items: list[str] = []
    for key, condition in submission.body["filter"].items():
        first, *others = ([each] if isinstance(each, str) else each for each in condition.values())
        values = (value for value in first if all(value in other for other in others))
        items.extend(value if key == "cids" else f"{value}:*" for value in values)
    return tuple(items)


def _batch_result(scene: Scene) -> dict[str, Any]:
    failures = scene.failures
    return {
        "operation": scene.submission.body["operation"],
        "status": "completed",
        "task_id": scene.task.id,
        "success_channels_count": len(scene.task.items) - len(failures),
        "failed_channels": [
            {"reason": reason, "cids": [cid for cid, why in failures.items() if why == reason]}
            for reason in dict.fromkeys(failures.values())
        ],
        "batch_created_at": rfc3339(scene.task.created),
        "finished_at": rfc3339(scene.task.timeline.now(scene.now).time),
    }


OPERATIONS = (
    Operation(
        "DeleteChannels",
        "POST",
        "/api/v2/chat/channels/delete",
        items=listed("cids"),
        body=(
            Field("cids", "strings", required=True, least=1, most=100, shape="type:id"),
            Field("hard_delete", "boolean"),
            Field("skip_truncate", "boolean"),
        ),
        demand=_demand_history,
        soft=lambda submission: not submission.body.get("hard_delete"),
        answer=_deleted_channels,
    ),
    Operation(
        "ExportChannels",
        "POST",
        "/api/v2/chat/export_channels",
        items=_exported_channels,
        body=(
            Field(
                "channels",
                "objects",
                required=True,
                least=1,
                most=100,
                fields=(
                    Field("cid", shape="type:id"),
                    Field("type"),
                    Field("id"),
                    Field("messages_since", "time"),
                    Field("messages_until", "time"),
                ),
            ),
            Field("version"),
            Field("format", choices=("json", "csv")),
            Field("include_fields", "strings"),
            Field("clear_deleted_message_text", "boolean"),
            Field("include_truncated_messages", "boolean"),
            Field("include_soft_deleted_channels", "boolean"),
            Field("export_users", "boolean"),
        ),
        demand=_demand_export,
        export=Export(
            "channels",
            name=_export_name,
            write=lambda submission, items, size: files.channels(items, _export_name(submission), size),
        ),
    ),
    Operation(
        "ChannelBatchUpdate",
        "PUT",
        "/api/v2/chat/channels/batch",
        items=_filtered,
        body=(
            Field(
                "operation",
                required=True,
                choices=(
                    "addMembers",
                    "addMembersHideHistory",
                    "removeMembers",
                    "inviteMembers",
                    "invites",
                    "assignRoles",
                    "addModerators",
                    "demoteModerators",
                    "hide",
                    "show",
                    "archive",
                    "unarchive",
                    "updateData",
                ),
            ),
            Field("filter", "object", required=True),
            Field(
                "members",
                "members",
                most=100,
                fields=(Field("user_id", required=True), Field("channel_role")),
                open=True,
            ),
            Field("hide_history_before", "time"),
            Field("custom_set", "object"),
            Field("custom_unset", "strings"),
            Field(
                "data",
                "object",
                fields=(
                    Field("frozen", "boolean"),
                    Field("disabled", "boolean"),
                    Field("custom", "object"),
                    Field("team"),
                    Field("config_overrides", "object"),
                    Field("auto_translation_enabled", "boolean"),
                    Field("auto_translation_language"),
                ),
            ),
        ),
        demand=_demand_batch_update,
        result=_batch_result,
    ),
)
