"""
Every way in which work at Stream fails, each with the alert that it brings: a rehearsal.

Everything here fails on purpose. Run it against the sandbox, which decides by the names of the channels what
becomes of them (``demo/fates.json``), and see what your people would see at night: what failed at Stream, for
which items, since when, and what to do, with the link to the log.

Copy ``ALERTS`` with ``default_args``, a message to Stream Chat and one to a mailbox, and ``deadline``,
for runs that are late.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import DAG
from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference

from airflow_provider_streamtasks.notifications.chat import StreamChatNotifier
from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.operators.operation import StreamOperationOperator
from airflow_provider_streamtasks.operators.users import StreamReactivateUsersOperator

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
    "failure_alerts",
    schedule=None,
    catchup=False,
    # The run as a whole is late.
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(seconds=5),
        callback=AsyncCallback(StreamChatNotifier, kwargs={"channel": "messaging:alerts"}),
    ),
    default_args={"on_failure_callback": ALERTS},
    tags=["stream"],
    doc_md=__doc__,
):
    # Stream says that its task failed.
    StreamDeleteChannelsOperator(
        task_id="failed_at_stream",
        cids=["messaging:unlucky-3", "messaging:unlucky-4"],
        hard_delete=True,
        wait_for_completion=True,
        deferrable=True,
    )

    # Stream did not finish in time. It goes on.
    StreamDeleteChannelsOperator(
        task_id="not_in_time",
        cids=["messaging:endless-3"],
        hard_delete=True,
        wait_for_completion=True,
        deferrable=True,
        wait_timeout=timedelta(seconds=10),
    )

    # Stream completed its task, but some channels inside it failed.
    StreamDeleteChannelsOperator(
        task_id="partly_failed",
        cids=["messaging:whole-1", "messaging:frozen-1"],
        hard_delete=True,
        wait_for_completion=True,
        deferrable=True,
        fail_on_partial=True,
    )

    # Stream refuses the request: it names no users.
    StreamOperationOperator(task_id="refused", path="/api/v2/users/delete", body={})

    # The connection broke before the answer came, so Stream may have taken the request.
    StreamReactivateUsersOperator(task_id="no_answer", user_ids=["alice"])

    # There is no such Airflow connection.
    StreamDeleteChannelsOperator(
        task_id="no_connection", cids=["messaging:general"], stream_conn_id="stream_forgotten"
    )
