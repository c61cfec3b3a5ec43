"""
What a poller reports through Airflow's own metrics: StatsD, OpenTelemetry or Datadog.

All carry the tags ``stream_conn_id`` and ``endpoint`` (``GetTask``, or that of imports):

- ``streamtasks.polls``, ``streamtasks.rate_limited``: polls, and those of them that Stream refused (429)
- ``streamtasks.outcomes``: waits that ended, with the tag ``outcome``
- ``streamtasks.waits``: waits that are going on
- ``streamtasks.stretch``: how many times rarer the polls are than they would be without a budget
- ``streamtasks.detection_delay``: from the end of a Stream task until a poll saw it
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_streamtasks.exceptions import StreamRateLimitException
from airflow_provider_streamtasks.protocol.poll_plan import PollPlan, Seen
from airflow_provider_streamtasks.protocol.tasks import Answer
from airflow_provider_streamtasks.protocol.wait import Wait

INTERVAL = 5.0
"""Seconds between two reports of what is counted: a packet for every poll would cost as much as the poll."""


class PollMetrics:
    """
    The metrics of one poller.

    :param stream_conn_id: the Airflow connection
    :param endpoint: Stream's name of the call that polls
    """

    def __init__(self, stream_conn_id: str, endpoint: str) -> None:
        self._tags = {"stream_conn_id": stream_conn_id, "endpoint": endpoint}
        self._polls = 0
        self._rate_limited = 0
        self._reported_at = 0.0

    def polled(self, answer: Answer, seen: Seen, plan: PollPlan, now: float) -> None:
        """Count a poll, and report what has been counted from time to time."""
        self._polls += 1
        self._rate_limited += isinstance(answer, StreamRateLimitException)
        if seen.delay is not None:
            Stats.timing("streamtasks.detection_delay", seen.delay * 1000.0, tags=self._tags)
        if now - self._reported_at >= INTERVAL:
            self.report(plan, now)

    def ended(self, wait: Wait) -> None:
        """Count a wait that ended."""
        Stats.incr("streamtasks.outcomes", tags={**self._tags, "outcome": str(wait.outcome)})

    def report(self, plan: PollPlan, now: float) -> None:
        """Report what was counted since the last time, and how things stand."""
        self._reported_at = now
        if self._polls:
            Stats.incr("streamtasks.polls", self._polls, tags=self._tags)
        if self._rate_limited:
            Stats.incr("streamtasks.rate_limited", self._rate_limited, tags=self._tags)
        self._polls = self._rate_limited = 0
        Stats.gauge("streamtasks.waits", len(plan), tags=self._tags)
        Stats.gauge("streamtasks.stretch", plan.stretch, tags=self._tags)
