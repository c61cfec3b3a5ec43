"""
Every week, delete the channels in which nobody has written for a year, for good.

If more channels are found than ``at_most`` (a parameter of the run), nothing is deleted and the run fails:
somebody should look at the list first, and may then start a run with a higher limit. A run with ``dry_run``
finds and counts, and deletes nothing. Channels that never had a message are left alone, and so are those of
other types.

Change what is deleted, and after how long, at the top.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import DAG, Param, task

from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.notifications.chat import StreamChatNotifier
from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator

CHANNEL_TYPE = "messaging"
KEPT = timedelta(days=365)

with DAG(
    "retention_cleanup",
    schedule="@weekly",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    params={
        "at_most": Param(1000, type="integer", minimum=1),
        "dry_run": Param(False, type="boolean", title="Dry run: delete nothing"),
    },
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
        "on_failure_callback": StreamChatNotifier(channel="messaging:alerts"),
    },
    tags=["stream"],
    doc_md=__doc__,
):

    @task
    def find_channels(dag_run: Any = None, params: Any = None) -> list[str]:
        # The run's own date, not the clock: run again, it never finds more.
        inactive_since = dag_run.run_after - KEPT
        inactive = {"type": CHANNEL_TYPE, "last_message_at": {"$lt": inactive_since}}
        channels = StreamHook().iter_channels(inactive)
        # One more than allowed is refused below, however many there are.
        cids = [channel["cid"] for channel in islice(channels, params["at_most"] + 1)]
        if not cids:
            raise AirflowSkipException(f"No channel is inactive since {inactive_since:%Y-%m-%d}")
        return cids

    StreamDeleteChannelsOperator(
        task_id="delete_channels",
        cids=find_channels(),
        hard_delete=True,
        max_items="{{ params.at_most }}",
        dry_run="{{ params.dry_run }}",
        wait_for_completion=True,
        deferrable=True,
        wait_timeout=timedelta(hours=6),
        fail_on_partial=True,
    )
