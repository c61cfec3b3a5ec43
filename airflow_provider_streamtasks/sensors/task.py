"""``StreamTaskSensor``: an Airflow task that ends as a Stream task ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue, XComArg
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_provider_streamtasks import _compat, configuration
from airflow_provider_streamtasks.arguments import (
    check_flag,
    check_seconds,
    check_stream_task_ids,
    is_rendered,
)
from airflow_provider_streamtasks.exceptions import StreamException, StreamTaskException
from airflow_provider_streamtasks.protocol.polling import Wait, WaitTerms, in_words
from airflow_provider_streamtasks.protocol.tasks import StreamTask
from airflow_provider_streamtasks.results import results_of
from airflow_provider_streamtasks.waiting import StreamTaskWaiter

if TYPE_CHECKING:
    from airflow.sdk import Context

ERRORS_SINCE_KEY = "stream_errors_since"


class StreamTaskFailed(StreamTaskException, AirflowFailException):
    """
    The sensor's verdict on a failed Stream task.

    Airflow does not retry it: a finished Stream task never changes.
    """

    def serialize(self) -> tuple[str, tuple[()], dict[str, Any]]:
        """Return class path and arguments, as Airflow serializes its exceptions."""
        return f"{type(self).__module__}.{type(self).__name__}", (), self.fields()


class StreamTaskSensor(BaseSensorOperator, StreamTaskWaiter):
    """
    Wait until Stream tasks are finished: completed is success, failed is failure.

    The XCom ``return_value`` is Stream's ``result``; for a list of Stream tasks, the list of their results.
    If items inside a completed Stream task failed, the XCom ``failed_items`` names them.

    :param stream_task_id: the Stream task, or a list of them; usually the output of the Airflow task that
        submitted. An empty list is success at once. (templated)
    :param stream_conn_id: the Airflow connection, of type ``stream`` (templated)
    :param poke_interval: seconds between two looks at least (default: ``[streamtasks] poll_interval``, 1)
    :param max_wait: seconds between two looks at most (default: ``[streamtasks] max_wait``, 30). The longer
        the wait lasts, the rarer the looks, up to this.
    :param timeout: seconds to wait (default: ``[streamtasks] timeout``, 60). Exports may take hours: raise
        it.
    :param deferrable: wait in the triggerer, which holds no worker. Default: True, unless ``mode`` is given.
    :param mode: with ``deferrable=False``, ``poke`` (default) or ``reschedule``, as on every sensor
    :param fail_on_partial: whether it is a failure when a Stream task completed but items inside it failed
    :param redact_result_urls: whether URLs in results lose their signature before they become XComs
        (default: ``[streamtasks] redact_result_urls``, False)
    :raises AirflowSensorTimeout: if the deadline passed. Stream goes on with its task.
    :raises StreamTaskFailed: if Stream says that the Stream task failed
    :raises StreamApiException: for an error that does not pass: key or secret refused, unknown Stream task
    :raises StreamException: after five minutes of nothing but errors
    """

    template_fields: Sequence[str] = ("stream_task_id", "stream_conn_id")
    ui_color = "#d6e6ff"

    def __init__(
        self,
        *,
        stream_task_id: str | Sequence[str] | XComArg,
        poke_interval: timedelta | float | None = None,
        max_wait: timedelta | float | None = None,
        timeout: timedelta | float | None = None,
        deferrable: bool | None = None,
        mode: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            poke_interval=check_seconds(
                "poke_interval", configuration.poll_interval() if poke_interval is None else poke_interval
            ),
            max_wait=check_seconds("max_wait", configuration.max_wait() if max_wait is None else max_wait),
            timeout=check_seconds("timeout", configuration.timeout() if timeout is None else timeout),
            mode=mode or "poke",
            **kwargs,
        )
        if is_rendered(stream_task_id):
            check_stream_task_ids(stream_task_id)
        self.stream_task_id = stream_task_id
        self.deferrable = mode is None if deferrable is None else check_flag("deferrable", deferrable)
        self._wait: Wait | None = None

    def wait_terms(self) -> WaitTerms:
        """Return for how long to wait, and how often to look."""
        max_wait = self.max_wait.total_seconds() if self.max_wait else 0.0
        return WaitTerms(self.timeout, self.poke_interval, max_wait, self.silent_fail)

    def awaited_task_ids(self, context: Context) -> list[str]:
        """Return the Stream tasks, whose ids are rendered by now."""
        return check_stream_task_ids(self.stream_task_id)

    def execute(self, context: Context) -> Any:
        """Defer, or poke until done."""
        task_ids = self.awaited_task_ids(context)
        if not task_ids:
            self.log.info("There is no Stream task to wait for.")
            return []
        self.log.info("Waiting up to %.10g s for Stream to finish %s", self.timeout, in_words(task_ids))
        if self.deferrable:
            self.wait_in_triggerer(task_ids)
        return super().execute(context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once at what is due."""
        wait = self._wait = self._wait or self._continued_wait(context)
        seen = wait.errors_since
        self.hook.look_at_due(wait)
        if self.reschedule and wait.errors_since != seen:
            self._remember(context, wait.errors_since)
        if not wait.over:
            return PokeReturnValue(False)
        return PokeReturnValue(True, self.conclude(context, wait.result))

    def conclude(self, context: Context, get_tasks: Callable[[], list[StreamTask]]) -> Any:
        """End the Airflow task as the Stream tasks ended."""
        try:
            return super().conclude(context, get_tasks)
        except StreamTaskException as error:
            raise StreamTaskFailed(**error.fields()) from None
        except StreamException as error:
            if self.never_fail:
                raise AirflowSkipException(f"Skipped, because never_fail is set: {error}") from error
            raise

    def deliver(self, context: Context, tasks: list[StreamTask]) -> Any:
        """Return the result, or the list of results where a list of Stream tasks was waited for."""
        results = results_of(tasks, redact_urls=self.redact_result_urls)
        return results[0] if isinstance(self.stream_task_id, str) else results

    def _get_next_poke_interval(self, *args: Any, **kwargs: Any) -> float:
        # Pokes keep the same schedule as the trigger, and the pauses that Stream asks for.
        return self._wait.pause(time.time()) if self._wait else self.poke_interval

    def _continued_wait(self, context: Context) -> Wait:
        started_at, errors_since = time.time(), None
        if self.reschedule and (first := context["ti"].get_first_reschedule_date(context)):
            # Each poke is a process of its own: what it must know of those before is kept by Airflow.
            started_at = first.timestamp()
            if store := _compat.task_state_store(context):
                errors_since = store.get(ERRORS_SINCE_KEY)
        return Wait(
            self.awaited_task_ids(context), self.wait_terms(), started_at, errors_since=errors_since or None
        )

    def _remember(self, context: Context, errors_since: float | None) -> None:
        if store := _compat.task_state_store(context):
            store.set(ERRORS_SINCE_KEY, errors_since or 0)
