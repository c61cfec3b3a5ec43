"""Ten thousand channels through a small budget."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator

with DAG("ten_thousand_channels", schedule=None):
    StreamDeleteChannelsOperator(
        task_id="delete",
        stream_conn_id="small_budget",
        cids=lambda context: (f"messaging:old-{number}" for number in range(10_000)),
        hard_delete=True,
        retries=10,
        retry_delay=timedelta(seconds=1),
    )
