"""Polling on a worker, one poll after the other, by the plan that triggers share in the triggerer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_provider_streamtasks import spans
from airflow_provider_streamtasks.protocol.poll_budget import PollBudget
from airflow_provider_streamtasks.protocol.poll_plan import PollPlan
from airflow_provider_streamtasks.protocol.poll_schedule import PollSchedule, usual_interval
from airflow_provider_streamtasks.protocol.wait import Wait

if TYPE_CHECKING:
    from airflow_provider_streamtasks.hooks.stream import StreamHook


class Polls:
    """
    The polls of one wait on a worker.

    :param hook: sends them
    :param wait: what they are for
    """

    def __init__(self, hook: StreamHook, wait: Wait) -> None:
        self.wait = wait
        self._hook = hook
        self._budget = PollBudget(share=1.0)
        self._plan = PollPlan(self._budget, PollSchedule(), patient=True)
        self._plan.join(wait, time.time())
        wait.interval = usual_interval  # one wait is too little to learn from

    def pause(self) -> float:
        """Return the seconds until a poll may be made; 0 when the wait is over."""
        return 0.0 if self.wait.over else self._plan.pause(time.time())

    def go_on(self) -> None:
        """Make the next poll, if it is due; otherwise pause until it may be."""
        now = time.time()
        self._plan.expire(now)
        if not self.wait.over and (poll := self._plan.take(now)) is not None:
            answer, limit = self._hook.poll(*poll)
            if limit is not None:
                self._budget.share = self._hook.get_conn().connection.rate_limit_share
            for _, line in self._plan.saw(poll, answer, limit, time.time()).lines:
                if line:
                    self._hook.log.warning(line)
        else:
            time.sleep(self.pause())
        if self.wait.over:
            spans.record(self.wait, self._hook.stream_conn_id)
