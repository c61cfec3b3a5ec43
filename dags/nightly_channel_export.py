"""
Every night, export the channels in which somebody wrote that day, and store the files where your data lives.

Set the Airflow Variable ``stream_exports`` to the folder, such as ``s3://your-bucket/stream``: until then it
is a folder on the worker's disk. Each night has a folder of its own in it, and running a night again replaces
what is there. A day on which nobody wrote is skipped. The asset event says where the files are, so that a DAG
that is scheduled by the asset can read them.

Change what is exported in ``find_channels``, and who is alerted at the top.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import DAG, Asset, task

from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.notifications.chat import StreamChatNotifier
from airflow_provider_streamtasks.operators.chat import StreamExportChannelsOperator
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator

try:
    from airflow.sdk import CronDataIntervalTimetable
except ImportError:  # before Airflow 3.2
    from airflow.timetables.interval import CronDataIntervalTimetable  # type: ignore[assignment]

ALERTS = [
    StreamChatNotifier(channel="messaging:alerts"),
    SmtpNotifier(
        to="data-team@example.com",
        from_email="airflow@example.com",
        subject="{{ ti.dag_id }}.{{ ti.task_id }} failed",
        html_content="<pre>{{ macros.streamtasks.alert_text() | e }}</pre>",
    ),
]

with DAG(
    "nightly_channel_export",
    # With intervals, also where "@daily" alone would mean a moment: a run is about the day before it.
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
        "on_failure_callback": ALERTS,
    },
    tags=["stream"],
    doc_md=__doc__,
):

    @task
    def find_channels(data_interval_start: Any = None, data_interval_end: Any = None) -> list[dict[str, str]]:
        if not data_interval_start:
            raise AirflowFailException("The run has no logical date, so it is not known which day to export")
        # Not "last message before the end": when a night is run again, people have written since.
        active = {"last_message_at": {"$gte": data_interval_start}, "created_at": {"$lt": data_interval_end}}
        night = {
            "messages_since": data_interval_start.isoformat(),
            "messages_until": data_interval_end.isoformat(),
        }
        channels = [{"cid": channel["cid"], **night} for channel in StreamHook().iter_channels(active)]
        if not channels:
            raise AirflowSkipException("Nobody wrote that day")
        return channels

    export_channels = StreamExportChannelsOperator(
        task_id="export_channels", channels=find_channels(), version="v2"
    )

    wait_for_exports = StreamTaskSensor(
        task_id="wait_for_exports",
        stream_task_id=export_channels.output,
        timeout=timedelta(hours=6),
        redact_result_urls=True,
    )

    store_exports = StreamExportToObjectStorageOperator(
        task_id="store_exports",
        stream_task_id=export_channels.output,
        destination="{{ var.value.get('stream_exports', 'file:///tmp/stream') }}"
        "/channels/{{ data_interval_start | ds }}/",
        file_name="channels-{index:04d}{suffix}",
        overwrite="overwrite",
        outlets=[Asset("stream_nightly_channels")],
    )

    wait_for_exports >> store_exports
