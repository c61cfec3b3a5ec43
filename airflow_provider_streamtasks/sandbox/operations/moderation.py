"""Moderation: block lists, images, tests of a policy."""

from __future__ import annotations

import json
import uuid
from typing import Any

from airflow_provider_streamtasks.sandbox import files
from airflow_provider_streamtasks.sandbox.answers import nanoseconds
from airflow_provider_streamtasks.sandbox.fields import Field
from airflow_provider_streamtasks.sandbox.jobs import StreamTask
from airflow_provider_streamtasks.sandbox.operations.operation import Export, Operation, formed, listed


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


OPERATIONS = (
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
    # Stream's OpenAPI document had it until v167. The fields are those of stream-chat-java 1.46.1.
    Operation(
        "export_logs",
        "POST",
        "/api/v2/moderation/logs/export",
        items=lambda submission: (json.dumps(submission.body.get("filter") or {}),),
        body=(Field("filter", "object"), Field("format")),
        export=Export(
            "moderation_logs",
            name=lambda submission: "logs.csv",
            write=lambda submission, items, size: files.moderation_logs(items, size),
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
)
