"""Video calls: deleting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_streamtasks.sandbox import calls
from airflow_provider_streamtasks.sandbox.answers import invalid
from airflow_provider_streamtasks.sandbox.fields import Field
from airflow_provider_streamtasks.sandbox.operations.operation import Operation, Submission, formed


def _demand_call(submission: Submission) -> None:
    for name, value in submission.params.items():
        if len(value) > 64:
            raise invalid(f"{name} must be at most 64 characters long")


def _deleted_call(
    submission: Submission, background: bool, failures: Mapping[str, str], now: float
) -> dict[str, Any]:
    return {"call": calls.call(submission.params["type"], submission.params["id"], now)}


OPERATIONS = (
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
)
