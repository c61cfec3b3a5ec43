"""
Every operation of Stream's, failed: a rehearsal of what the alerts say.

Everything here fails on purpose. Run it against the sandbox, which decides by the names of the items why the
work fails, and tells it where Stream might (``demo/fates.json``): in the error of the Stream task, or in its
result, of the whole or of each item. The alerts say it wherever it stands.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_streamtasks.notifications.chat import StreamChatNotifier
from airflow_provider_streamtasks.operators.chat import (
    StreamChannelBatchUpdateOperator,
    StreamDeleteChannelsOperator,
    StreamExportChannelsOperator,
)
from airflow_provider_streamtasks.operators.data_import import StreamImportOperator, StreamImportV2Operator
from airflow_provider_streamtasks.operators.feeds import (
    StreamDeleteFeedOperator,
    StreamDeleteFeedsOperator,
    StreamDeleteFeedUserDataOperator,
    StreamExportFeedUserDataOperator,
)
from airflow_provider_streamtasks.operators.moderation import (
    StreamBulkImageModerationOperator,
    StreamExportModerationLogsOperator,
    StreamImportBlockListOperator,
)
from airflow_provider_streamtasks.operators.operation import StreamOperationOperator
from airflow_provider_streamtasks.operators.users import (
    StreamDeactivateUsersOperator,
    StreamDeleteUsersOperator,
    StreamExportUsersOperator,
    StreamReactivateUsersOperator,
)
from airflow_provider_streamtasks.operators.video import StreamDeleteCallOperator

with DAG(
    "failed_operations",
    schedule=None,
    catchup=False,
    max_active_tasks=2,  # the others of the demo need workers, too
    default_args={
        "on_failure_callback": StreamChatNotifier(channel="messaging:alerts"),
        "wait_for_completion": True,
    },
    tags=["stream"],
    doc_md=__doc__,
):
    StreamDeleteChannelsOperator(task_id="delete_channels", cids=["messaging:doomed"], hard_delete=True)
    StreamExportChannelsOperator(task_id="export_channels", channels=["messaging:doomed"])
    StreamChannelBatchUpdateOperator(
        task_id="update_channels",
        operation="addMembers",
        filter={"cids": {"$in": ["messaging:doomed"]}},
        members=[{"user_id": "alice"}],
    )
    StreamDeleteUsersOperator(task_id="delete_users", user_ids=["doomed"])
    StreamDeactivateUsersOperator(task_id="deactivate_users", user_ids=["doomed"])
    # The demo loses the answer to its first request, too.
    StreamReactivateUsersOperator(
        task_id="reactivate_users",
        user_ids=["doomed"],
        on_ambiguous="resubmit",
        retries=1,
        retry_delay=timedelta(seconds=1),
    )
    StreamExportUsersOperator(task_id="export_users", user_ids=["doomed"])
    StreamDeleteCallOperator(task_id="delete_call", call_type="default", call_id="doomed", hard=True)
    StreamDeleteFeedOperator(task_id="delete_feed", feed_group_id="user", feed_id="doomed")
    StreamDeleteFeedsOperator(task_id="delete_feeds", feeds=["timeline:doomed"])
    StreamDeleteFeedUserDataOperator(task_id="delete_feed_user_data", user_id="doomed")
    StreamExportFeedUserDataOperator(task_id="export_feed_user_data", user_id="doomed")
    StreamImportBlockListOperator(
        task_id="import_block_list", blocklist_id="swear words", items=["doomed"], chunk_size=1
    )
    StreamBulkImageModerationOperator(task_id="moderate_images", csv_file="https://example.com/doomed.csv")
    StreamExportModerationLogsOperator(task_id="export_moderation_logs", filter={"entity_id": "doomed"})
    StreamImportOperator(task_id="import_file", file=str(Path(__file__)), mode="upsert")
    StreamImportV2Operator(
        task_id="import_from_bucket",
        product="chat",
        settings={"path": "s3://bucket/doomed.json", "mode": "upsert"},
        # The numbers of the sandbox; Stream does not explain its own.
        completed_states=[3],
        failed_states=[4],
    )
    # Starts any other operation, from its method, path and body.
    StreamOperationOperator(
        task_id="any_operation", path="/api/v2/users/delete", body={"user_ids": ["doomed-too"], "files": True}
    )
