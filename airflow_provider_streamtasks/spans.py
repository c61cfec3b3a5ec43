"""
One OpenTelemetry span for each wait, where Airflow traces (``[traces] otel_on``).

It is a child of Airflow's own span of the trigger or of the worker, and with it of the Airflow task. The
process that ends the wait records it, from the beginning in whichever process: a wait that moved to another
triggerer has one span all the same.
"""

from __future__ import annotations

from opentelemetry import trace

from airflow_provider_streamtasks import __version__
from airflow_provider_streamtasks.protocol.wait import Outcome, Wait

SPAN = "streamtasks.wait"

NAMED = 10
"""Stream tasks that a span names; it counts all of them."""

tracer = trace.get_tracer("airflow_provider_streamtasks", __version__)


def record(wait: Wait, stream_conn_id: str) -> None:
    """
    Record a wait that is over, as a child of the current span. Nothing happens where Airflow does not trace.

    It holds ids, numbers and how the wait ended; never what Stream said, in which a signed URL may be.

    :param stream_conn_id: the Airflow connection
    """
    span = tracer.start_span(SPAN, start_time=round(wait.started_at * 1e9))
    if not span.is_recording():
        return
    span.set_attributes(
        {
            "streamtasks.stream_conn_id": stream_conn_id,
            "streamtasks.stream_tasks": len(wait.task_ids),
            "streamtasks.stream_task_ids": wait.task_ids[:NAMED],
            "streamtasks.polls": wait.polls,
            "streamtasks.outcome": str(wait.outcome),
        }
    )
    if wait.outcome is Outcome.COMPLETED:
        span.set_status(trace.StatusCode.OK)
    else:
        span.set_attribute("error.type", type(wait.error).__name__ if wait.error else str(wait.outcome))
        span.set_status(trace.StatusCode.ERROR)
    span.end()
