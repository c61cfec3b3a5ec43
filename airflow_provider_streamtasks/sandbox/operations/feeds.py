"""Feeds and the data of their users: deleting, exporting."""

from __future__ import annotations

from airflow_provider_streamtasks.sandbox import files
from airflow_provider_streamtasks.sandbox.answers import invalid
from airflow_provider_streamtasks.sandbox.fields import Field
from airflow_provider_streamtasks.sandbox.operations.operation import (
    Export,
    Operation,
    Submission,
    formed,
    listed,
)

_HARD_DELETE = Field("hard_delete", "boolean")
_PURGE = Field("purge_user_activities", "boolean")


def _demand_purge(submission: Submission) -> None:
    given = {**submission.query, **submission.body}
    if given.get("purge_user_activities") and not given.get("hard_delete"):
        raise invalid("purge_user_activities requires hard_delete")


OPERATIONS = (
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
