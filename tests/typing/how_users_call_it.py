"""
What users write in their DAGs and programs, for mypy: it is never run.

A line that mypy refuses, or a type other than the one that stands here, breaks the types of our users.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Context, ObjectStoragePath, task
from typing_extensions import assert_type

from airflow_provider_streamtasks.exceptions import (
    StreamApiException,
    StreamException,
    StreamRateLimitException,
    StreamTaskException,
    StreamTaskTimeout,
)
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.notifications.alerts import alert_text
from airflow_provider_streamtasks.notifications.chat import StreamChatNotifier
from airflow_provider_streamtasks.operators.chat import (
    StreamChannelBatchUpdateOperator,
    StreamDeleteChannelsOperator,
    StreamExportChannelsOperator,
)
from airflow_provider_streamtasks.operators.data_import import StreamImportOperator, StreamImportV2Operator
from airflow_provider_streamtasks.operators.operation import StreamOperationOperator
from airflow_provider_streamtasks.operators.users import StreamDeleteUsersOperator, StreamExportUsersOperator
from airflow_provider_streamtasks.operators.video import StreamDeleteCallOperator
from airflow_provider_streamtasks.protocol.catalogue import DELETE_CHANNELS
from airflow_provider_streamtasks.protocol.tasks import StreamTask
from airflow_provider_streamtasks.sensors.data_import import StreamImportSensor
from airflow_provider_streamtasks.sensors.task import StreamTaskFailed, StreamTaskSensor
from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator
from airflow_provider_streamtasks.triggers.task import StreamTaskTrigger


def old_channels(context: Context) -> Iterator[str]:
    yield "messaging:old-1"


def dag() -> None:
    notifier = StreamChatNotifier(
        channel="messaging:alerts", text="{{ ti.task_id }} failed", user_id="airflow"
    )
    with DAG("typed", schedule=None, default_args={"on_failure_callback": notifier}):
        StreamDeleteChannelsOperator(task_id="list", cids=["messaging:a"], hard_delete=True)
        StreamDeleteChannelsOperator(task_id="template", cids="{{ params.cids }}", skip_truncate=True)
        StreamDeleteChannelsOperator(task_id="callable", cids=old_channels)
        delete = StreamDeleteChannelsOperator(
            task_id="and_wait",
            cids=("messaging:a", "messaging:b"),
            stream_conn_id="stream_default",
            wait_for_completion=True,
            wait_timeout=timedelta(hours=1),
            poll_interval=2.5,
            deferrable=True,
            retries=2,
        )
        StreamTaskSensor(task_id="wait", stream_task_id=delete.output, timeout=timedelta(hours=2))
        StreamTaskSensor(
            task_id="one", stream_task_id="0000", poke_interval=5, max_wait=60.0, mode="reschedule"
        )
        StreamTaskSensor(task_id="many", stream_task_id=["0000", "1111"], push_result=False)

        @task
        def ids() -> list[str]:
            return ["joe"]

        users = ids()
        StreamDeleteUsersOperator(task_id="users", user_ids=users, user="hard", messages="hard", files=True)
        StreamExportUsersOperator.partial(task_id="each").expand(user_ids=[["joe"], ["ann"]])
        StreamDeleteCallOperator(task_id="call", call_type="default", call_id="{{ params.call }}", hard=True)
        StreamChannelBatchUpdateOperator(
            task_id="members",
            operation="addMembers",
            filter={"cids": {"$in": ["messaging:a"]}},
            members=["joe", {"user_id": "ann", "channel_role": "channel_moderator"}],
            hide_history_before=datetime(2026, 1, 1, tzinfo=timezone.utc),
        )
        StreamOperationOperator(
            task_id="any", path="/api/v2/anything", body={"a": 1}, items_field="cids", items=["b"]
        )

        exported = StreamExportChannelsOperator(
            task_id="export", channels=[{"cid": "messaging:a"}], version="v2"
        )
        StreamExportToObjectStorageOperator(
            task_id="store",
            stream_task_id=exported.output,
            destination=ObjectStoragePath("s3://bucket/exports"),
            gzip=True,
        )
        imported = StreamImportOperator(task_id="import", file=Path("/tmp/users.json"), mode="upsert")
        StreamImportSensor(task_id="import_wait", import_id=imported.output)
        StreamImportV2Operator(
            task_id="v2",
            product="chat",
            settings={"path": "s3://bucket/file"},
            completed_states=[2],
            wait_for_completion=True,
            deferrable=True,
            end_from_trigger=False,
        )


def in_a_function(context: Context, delete: StreamDeleteChannelsOperator, sensor: StreamTaskSensor) -> None:
    assert_type(delete.execute(context), Any)
    assert_type(sensor.execute(context), Any)
    assert_type(alert_text(context), str)


def by_hook() -> None:
    hook = StreamHook("stream_default")
    submission = hook.submit(DELETE_CHANNELS, ["messaging:a"], hard_delete=True)
    assert submission.task_id  # None where Stream did the work at once
    found = hook.wait_for_task(submission.task_id, poll_interval=1.0, timeout=60.0)
    assert_type(found, StreamTask)
    assert_type(hook.wait_for_tasks(["0000", "1111"]), list[StreamTask])
    assert_type(hook.get_task("0000"), StreamTask)
    assert_type((found.task_id, found.status, found.completed, found.failed), tuple[str, str, bool, bool])
    assert_type(found.failed_items, dict[str, str])
    assert_type(hook.test_connection(), tuple[bool, str])
    assert_type(hook.get_rate_limits(), dict[str, dict[str, int]])
    assert_type(
        hook.iter_channels({"cid": {"$in": ["messaging:a"]}}, sort={"cid": 1}), Iterator[dict[str, Any]]
    )
    assert_type(hook.iter_users(page_size=30, include_deactivated_users=True), Iterator[dict[str, Any]])
    assert_type(hook.send_message("messaging:a", "hello", user_id="airflow"), str)
    hook.close()


async def asynchronously(hook: StreamHook) -> None:
    assert_type(await hook.asend_message("messaging:a", "hello", user_id="airflow"), str)


def errors(hook: StreamHook) -> None:
    try:
        hook.get_task("0000")
    except StreamRateLimitException as error:
        assert_type(error.retry_after, float | None)
    except StreamApiException as error:
        assert_type((error.status_code, error.code), tuple[int, int])
    except (StreamTaskFailed, StreamTaskException) as error:
        assert_type((error.task_id, error.error_type, error.description), tuple[str, str, str])
        assert_type(error.failed_items, dict[str, str])
    except StreamTaskTimeout as error:
        assert_type(error.task_ids, list[str])
    except StreamException as error:
        assert_type((error.hint, error.advice, error.may_be_taken), tuple[str, str, bool])


def trigger() -> None:
    waiting = StreamTaskTrigger(
        "stream_default", ["0000"], started_at=0.0, timeout=60.0, poll_interval=1.0, max_poll_interval=30.0
    )
    assert_type(waiting.serialize(), tuple[str, dict[str, Any]])
