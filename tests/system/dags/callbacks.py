"""An Airflow task for each callback that is not about a failure, and the one of a run that succeeds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import DAG, task

from airflow_provider_streamtasks.notifications.chat import StreamChatNotifier
from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator

alert = StreamChatNotifier(channel="messaging:alerts")


@task(retries=1, retry_delay=timedelta(seconds=1), on_retry_callback=alert)
def retries(ti: Any = None) -> None:
    if ti.try_number == 1:
        raise ValueError("not yet")


@task(on_skipped_callback=alert)
def skips() -> None:
    raise AirflowSkipException("nothing to do")


with DAG("callbacks", schedule=None, on_success_callback=alert):
    StreamDeleteChannelsOperator(
        task_id="deletes",
        cids=["messaging:callbacks"],
        hard_delete=True,
        on_execute_callback=alert,
        on_success_callback=alert,
    )
    retries()
    skips()
