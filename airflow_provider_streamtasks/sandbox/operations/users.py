"""Users: deleting, deactivating, reactivating, exporting."""

from __future__ import annotations

from functools import partial
from typing import Any

from airflow_provider_streamtasks.sandbox import files
from airflow_provider_streamtasks.sandbox.answers import invalid
from airflow_provider_streamtasks.sandbox.fields import Field
from airflow_provider_streamtasks.sandbox.operations.operation import (
    Export,
    Operation,
    Scene,
    Submission,
    listed,
    verdicts,
)

_USER_IDS = Field("user_ids", "strings", required=True, least=1, most=100)


def _demand_hard(submission: Submission) -> None:
    for name in ("messages", "conversations"):
        if submission.body.get("user") == "hard" and (submission.body.get(name) or "hard") != "hard":
            raise invalid(f"user hard deletion cannot be combined with {name} {submission.body[name]}")


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


OPERATIONS = (
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
)
