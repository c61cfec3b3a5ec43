"""Stream's asynchronous operations, one row each, written from Stream's OpenAPI document."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from airflow_provider_streamtasks.sandbox import calls, files
from airflow_provider_streamtasks.sandbox.answers import invalid, nanoseconds, rfc3339
from airflow_provider_streamtasks.sandbox.content import Content
from airflow_provider_streamtasks.sandbox.directory import Directory
from airflow_provider_streamtasks.sandbox.fields import Field
from airflow_provider_streamtasks.sandbox.jobs import StreamTask
from airflow_provider_streamtasks.sandbox.storage import EXPORTS, Storage

BUCKET = "stream-sandbox"
"""Where exports say that their files are. The sandbox has no S3: only their URLs lead anywhere."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A request of an operation, checked against the operation's fields.

    :param params: the variable parts of the path.
    :param query: the query, booleans read.
    :param body: the JSON body; empty if the operation has none.
    """

    params: Mapping[str, str]
    query: Mapping[str, Any]
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scene:
    """What a result is built from.

    :param task: the Stream task that has completed.
    :param submission: the request that started it.
    :param storage: where exported files lie.
    :param now: Unix time in seconds.
    :param directory: the channels and users that there are.
    """

    task: StreamTask
    submission: Submission
    storage: Storage
    now: float
    directory: Directory

    @property
    def failures(self) -> dict[str, str]:
        """The items that failed, with the reasons."""
        return self.task.fate.failures(self.task.items)


@dataclass(frozen=True, slots=True)
class Export:
    """The file that an operation leaves in the storage.

    :param folder: where it lies.
    :param name: its name, given a submission.
    :param write: its content, given a submission, the exported items, and a size in bytes or ``None``.
    """

    folder: str
    name: Callable[[Submission], str]
    write: Callable[[Submission, tuple[str, ...], int | None], Content]

    def path(self, submission: Submission, stream_task_id: str) -> str:
        """Where the file of a Stream task lies."""
        return f"{EXPORTS}/{self.folder}/{stream_task_id}/{self.name(submission)}"


@dataclass(frozen=True, slots=True)
class Operation:
    """An endpoint that starts a Stream task.

    :param name: Stream's operationId.
    :param method: HTTP method.
    :param path: path, with ``{variable}`` parts.
    :param items: what a submission is for: cids, user ids, …
    :param body: the fields of the JSON body; ``None`` if it takes none.
    :param query: the fields of the query, beside ``api_key``.
    :param demand: raises a :class:`~.answers.Refusal` where fields contradict each other.
    :param background: whether a submission starts a Stream task at all.
    :param soft: whether what a submission deletes is only hidden, and can still be exported.
    :param answer: what the answer holds beside the id of the Stream task; given the failures of the fate.
    :param named: how the answer names the Stream task.
    :param result: the ``result`` of the completed Stream task.
    :param export: the file that the Stream task writes; its URL is the result then.
    """

    name: str
    method: str
    path: str
    items: Callable[[Submission], tuple[str, ...]]
    body: tuple[Field, ...] | None = None
    query: tuple[Field, ...] = ()
    demand: Callable[[Submission], None] = lambda submission: None
    background: Callable[[Submission], bool] = lambda submission: True
    soft: Callable[[Submission], bool] = lambda submission: False
    answer: Callable[[Submission, bool, Mapping[str, str], float], dict[str, Any]] = lambda *_: {}
    named: Callable[[StreamTask], dict[str, Any]] = lambda task: {"task_id": task.id}
    result: Callable[[Scene], dict[str, Any]] = lambda scene: verdicts(scene.task.items, scene.failures)
    export: Export | None = None

    def build_result(self, scene: Scene) -> dict[str, Any]:
        """The ``result`` of a completed Stream task of this operation."""
        if self.export is None:
            return self.result(scene)
        path = self.export.path(scene.submission, scene.task.id)
        return {
            "url": scene.storage.sign(path, scene.task.fate.url_lifetime),
            "path": path.removeprefix("/"),
            "s3_bucket_name": BUCKET,
        }


def verdicts(items: tuple[str, ...], failures: Mapping[str, str]) -> dict[str, Any]:
    """Stream's result where it reports on each item: ``{"messaging:a": {"status": "ok"}}``."""
    return {
        item: {"status": "error", "error": failures[item]} if item in failures else {"status": "ok"}
        for item in items
    }


def listed(name: str) -> Callable[[Submission], tuple[str, ...]]:
    """Items that stand in a list of the body."""
    return lambda submission: tuple(submission.body[name])


def formed(pattern: str) -> Callable[[Submission], tuple[str, ...]]:
    """The one item that the path names."""
    return lambda submission: (pattern.format(**submission.params),)


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


def _demand_time(name: str, value: str) -> None:
    try:
        # Python 3.10 does not read the Z.
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        raise invalid(f"{name}: {value!r} is not an RFC 3339 time") from None
    if moment.tzinfo is None:
        raise invalid(f"{name}: {value!r} lacks the offset that RFC 3339 requires")


def _export_name(submission: Submission) -> str:
    if submission.body.get("format") == "csv":
        return "channels.csv"
    return "channels.jsonl" if submission.body.get("version") == "v2" else "channels.json"


def _demand_hard(submission: Submission) -> None:
    for name in ("messages", "conversations"):
        if submission.body.get("user") == "hard" and (submission.body.get(name) or "hard") != "hard":
            raise invalid(f"user hard deletion cannot be combined with {name} {submission.body[name]}")


def _demand_purge(submission: Submission) -> None:
    given = {**submission.query, **submission.body}
    if given.get("purge_user_activities") and not given.get("hard_delete"):
        raise invalid("purge_user_activities requires hard_delete")


def _demand_history(submission: Submission) -> None:
    if submission.body.get("skip_truncate") and submission.body.get("hard_delete"):
        raise invalid("skip_truncate cannot be combined with hard_delete")


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


def _demand_call(submission: Submission) -> None:
    for name, value in submission.params.items():
        if len(value) > 64:
            raise invalid(f"{name} must be at most 64 characters long")


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


def _whole_users(scene: Scene, *, deactivated: bool) -> dict[str, Any]:
    """Whole user objects, as Stream gives them, unless some failed: then a verdict on each."""
    if scene.failures:
        return verdicts(scene.task.items, scene.failures)
    moment = scene.task.timeline.now(scene.now).time
    return {
        "users": [
            scene.directory.as_left_by(user_id, moment, deactivated=deactivated)
            for user_id in scene.task.items
        ]
    }


def _deleted_channels(
    submission: Submission, background: bool, failures: Mapping[str, str], now: float
) -> dict[str, Any]:
    if background and submission.body.get("hard_delete"):
        return {}
    return {"result": verdicts(tuple(submission.body["cids"]), failures)}


def _deleted_call(
    submission: Submission, background: bool, failures: Mapping[str, str], now: float
) -> dict[str, Any]:
    return {"call": calls.call(submission.params["type"], submission.params["id"], now)}


def _policy_test_run(task: StreamTask) -> dict[str, Any]:
    run = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, task.id)),
        "set_id": task.items[0],
        "task_id": task.id,
        "config_key": "chat:messaging",
        "status": "pending",
        "rows_total": 1,
        "rows_completed": 0,
        "triggered_by": "sandbox",
        "created_at": nanoseconds(task.created),
    }
    return {"run": run}


_HARD_DELETE = Field("hard_delete", "boolean")
_PURGE = Field("purge_user_activities", "boolean")
_USER_IDS = Field("user_ids", "strings", required=True, least=1, most=100)

OPERATIONS = (
    Operation(
        "DeleteChannels",
        "POST",
        "/api/v2/chat/channels/delete",
        items=listed("cids"),
        body=(
            Field("cids", "strings", required=True, least=1, most=100, shape="type:id"),
            _HARD_DELETE,
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
        "ExportUsers",
        "POST",
        "/api/v2/export/users",
        items=listed("user_ids"),
        body=(Field("user_ids", "strings", required=True, least=1, most=25),),
        export=Export(
            "users",
            name=lambda submission: "users.jsonl",
            write=lambda submission, items, size: files.users(items, size),
        ),
    ),
    Operation(
        "DeleteUsers",
        "POST",
        "/api/v2/users/delete",
        items=listed("user_ids"),
        body=(
            _USER_IDS,
            Field("user", choices=("soft", "pruning", "hard")),
            Field("messages", choices=("soft", "pruning", "hard"), may_be_empty=True),
            Field("conversations", choices=("soft", "hard"), may_be_empty=True),
            Field("calls", choices=("soft", "hard"), may_be_empty=True),
            Field("files", "boolean"),
            Field("new_channel_owner_id"),
            Field("new_call_owner_id"),
        ),
        demand=_demand_hard,
    ),
    Operation(
        "DeactivateUsers",
        "POST",
        "/api/v2/users/deactivate",
        items=listed("user_ids"),
        body=(
            _USER_IDS,
            Field("created_by_id"),
            Field("mark_messages_deleted", "boolean"),
            Field("mark_channels_deleted", "boolean"),
        ),
        result=partial(_whole_users, deactivated=True),
    ),
    Operation(
        "ReactivateUsers",
        "POST",
        "/api/v2/users/reactivate",
        items=listed("user_ids"),
        body=(
            _USER_IDS,
            Field("created_by_id"),
            Field("restore_messages", "boolean"),
            Field("restore_channels", "boolean"),
        ),
        result=partial(_whole_users, deactivated=False),
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
    Operation(
        "ImportBlockList",
        "POST",
        "/api/v2/blocklists/{id}/import",
        items=listed("items"),
        body=(
            Field("items", "strings", required=True, least=1),
            Field("chunk_size", "integer", least=1),
        ),
        result=lambda scene: {"items_count": len(scene.task.items) - len(scene.failures)},
    ),
    Operation(
        "bulk_image_moderation",
        "POST",
        "/api/v2/moderation/bulk_image_moderation",
        items=lambda submission: (submission.body["csv_file"],),
        body=(Field("csv_file", required=True),),
        export=Export(
            "bulk_image_moderation",
            name=lambda submission: "results.csv",
            write=lambda submission, items, size: files.moderated_images(items, size),
        ),
    ),
    Operation(
        "start_policy_test_run",
        "POST",
        "/api/v2/moderation/policy_tests/sets/{id}/runs",
        items=formed("{id}"),
        named=_policy_test_run,
        result=lambda scene: {},
    ),
    Operation(
        "DeleteCall",
        "POST",
        "/api/v2/video/call/{type}/{id}/delete",
        items=formed("{type}:{id}"),
        body=(Field("hard", "boolean"),),
        demand=_demand_call,
        background=lambda submission: bool(submission.body.get("hard")),
        answer=_deleted_call,
    ),
    Operation(
        "DeleteFeed",
        "DELETE",
        "/api/v2/feeds/feed_groups/{feed_group_id}/feeds/{feed_id}",
        items=formed("{feed_group_id}:{feed_id}"),
        query=(_HARD_DELETE, _PURGE),
        demand=_demand_purge,
    ),
    Operation(
        "DeleteFeedsBatch",
        "POST",
        "/api/v2/feeds/feeds/delete",
        items=listed("feeds"),
        body=(
            Field("feeds", "strings", required=True, least=1, most=100, shape="group:id"),
            _HARD_DELETE,
            _PURGE,
        ),
        demand=_demand_purge,
    ),
    Operation(
        "DeleteFeedUserData",
        "POST",
        "/api/v2/feeds/users/{user_id}/delete",
        items=formed("{user_id}"),
        body=(_HARD_DELETE,),
    ),
    Operation(
        "ExportFeedUserData",
        "POST",
        "/api/v2/feeds/users/{user_id}/export",
        items=formed("{user_id}"),
        export=Export(
            "feeds",
            name=lambda submission: "feeds.json",
            write=lambda submission, items, size: files.feed_user_data(items, size),
        ),
    ),
)
