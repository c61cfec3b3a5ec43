"""``StreamTaskSensor``: an Airflow task that succeeds or fails with Stream tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException
from airflow.sdk import PokeReturnValue, XComArg
from airflow.triggers.base import StartTriggerArgs

from airflow_provider_streamtasks import _compat, configuration
from airflow_provider_streamtasks.arguments import (
    NoStreamTaskError,
    given,
    in_fixed_order,
    is_rendered,
    parse_stream_task_ids,
)
from airflow_provider_streamtasks.exceptions import StreamException, StreamTaskException, StreamTaskTimeout
from airflow_provider_streamtasks.hooks.polls import Polls
from airflow_provider_streamtasks.protocol.failures import in_words
from airflow_provider_streamtasks.protocol.fields import Flag, Seconds
from airflow_provider_streamtasks.protocol.wait import Ended, Wait, WaitTerms
from airflow_provider_streamtasks.sensors.without_workers import (
    OnlyIf,
    impossible_to_start,
    needs_worker_to_start,
)
from airflow_provider_streamtasks.triggers.sensor import ON_WORKER, StreamSensorTrigger
from airflow_provider_streamtasks.triggers.task import BACKSTOP
from airflow_provider_streamtasks.waiting import StreamTaskWaiter, StreamVerdict

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_streamtasks.progress import WorkerRecord

ERRORS_SINCE = "errors_since"
"""Key of the record that tells a poke since when there has been nothing but errors."""

LAST_MOMENT = 0.5
"""Seconds before the deadline from which a poke stays on: Airflow's own timeout knows nothing of Stream."""


class StreamTaskFailed(StreamTaskException, StreamVerdict):
    """A ``StreamTaskException`` that Airflow does not retry: a finished Stream task never changes."""


_SKIPPED_BY_SOFT_FAIL = (AirflowSensorTimeout, AirflowSkipException, StreamTaskFailed)


class StreamTaskSensor(_compat.PacedSensor, StreamTaskWaiter):
    """
    Wait until Stream tasks are finished: completed is success, failed is failure.

    The XCom ``return_value`` is Stream's ``result``; for a list of Stream tasks, the list of their results.
    If items inside a completed Stream task failed, the XCom ``failed_items`` names them. People in a result,
    and large results, are cut before they become an XCom: see ``push_result``.

    :param stream_task_id: the Stream task, or a list of them; usually the output of the Airflow task that
        submitted, or a list of such outputs. An empty list is success at once. (templated)
    :param stream_conn_id: the Airflow connection, of type ``stream`` (templated)
    :param poke_interval: seconds between two polls at least (default: ``[streamtasks] poll_interval``, 1)
    :param max_wait: seconds between two polls at most (default: ``[streamtasks] max_poll_interval``, 30).
        The longer the wait lasts, the rarer the polls, up to this.
    :param timeout: seconds to wait (default: ``[streamtasks] timeout``, 60). Exports may take hours: raise
        it. With 0 it polls once.
    :param deferrable: wait in the triggerer, which holds no worker. Default: True, unless ``mode`` is given.
    :param mode: with ``deferrable=False``, ``poke`` (default) or ``reschedule``, as on every sensor
    :param start_from_trigger: begin in the triggerer, without a worker. Default: if nothing is lost by it.
        True: even if something is lost. False: never.
    :param end_from_trigger: end in the triggerer when the Stream tasks are completed; values as for
        ``start_from_trigger``. Failures and timeouts always end on a worker.
    :param fail_on_partial: whether it is a failure when a Stream task completed but items inside it failed
    :param push_result: whether the result becomes the XCom. Default: yes, but of people (deactivated users,
        say) only their ids, and of a result larger than ``max_result_size`` only a summary. True: all of it,
        as it came. False: nothing of it.
    :param max_result_size: bytes of a result, as JSON, above which its XCom is a summary (default:
        ``[streamtasks] max_result_size``, 65,536)
    :param redact_result_urls: whether URLs in results lose their signature before they become XComs
        (default: ``[streamtasks] redact_result_urls``, False)
    :raises AirflowSensorTimeout: if the deadline passed. Stream may go on with its task.
    :raises StreamTaskTimeout: with ``soft_fail``, if the last poll before the deadline brought no status
    :raises StreamTaskFailed: if Stream says that the Stream task failed
    :raises StreamApiException: for an error that does not pass: key or secret refused, unknown Stream task
    :raises StreamException: after five minutes of nothing but errors
    :raises NoStreamTaskError: if no Airflow task that should have pushed an id has run
    """

    template_fields: Sequence[str] = ("stream_task_id", "stream_conn_id")
    ui_color = "#d6e6ff"
    start_from_trigger = OnlyIf("_starts_in_triggerer", otherwise=False)
    start_trigger_args = OnlyIf("_start_trigger_args", otherwise=None)
    ids_argument = "stream_task_id"
    """The argument that names what is waited for."""
    stream_task_id: Any
    _rendered = False
    _on_worker: str | None = None

    def __init__(
        self,
        *,
        stream_task_id: str | Sequence[str] | XComArg,
        poke_interval: timedelta | float | None = None,
        max_wait: timedelta | float | None = None,
        timeout: timedelta | float | None = None,
        deferrable: bool | None = None,
        mode: str | None = None,
        start_from_trigger: bool | None = None,
        **kwargs: Any,
    ) -> None:
        # Not under the name of the argument, which Airflow reads itself.
        self._may_start_in_triggerer = given("start_from_trigger", start_from_trigger, Flag(), None)
        super().__init__(
            poke_interval=given("poke_interval", poke_interval, Seconds(), configuration.poll_interval()),
            max_wait=given("max_wait", max_wait, Seconds(), configuration.max_poll_interval()),
            timeout=given("timeout", timeout, Seconds(), configuration.timeout()),
            mode=mode or "poke",
            **kwargs,
        )
        if is_rendered(stream_task_id):
            parse_stream_task_ids(stream_task_id, self.ids_argument)
        setattr(self, self.ids_argument, in_fixed_order(stream_task_id))
        self.deferrable = given("deferrable", deferrable, Flag(), mode is None)
        self._polls: Polls | None = None
        self._record: WorkerRecord | None = None
        if start_from_trigger and (reason := impossible_to_start(self)):
            raise ValueError(f"start_from_trigger is True, but {reason}")

    def wait_terms(self) -> WaitTerms:
        """Return for how long to wait, and how often to poll."""
        max_wait = self.max_wait.total_seconds() if self.max_wait else 0.0
        return WaitTerms(self.timeout, self.poke_interval, max_wait, self.silent_fail)

    def awaited_task_ids(self, context: Context) -> list[str]:
        """Return the Stream tasks, whose ids are rendered by now."""
        return parse_stream_task_ids(self.source, self.ids_argument)

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Render the templates, which only workers do, once it is known from them why there is a worker."""
        self._on_worker = self._why_on_worker()
        self._rendered = True
        super().render_template_fields(context, jinja_env)

    def execute(self, context: Context) -> Any:
        """Defer, or poke until done."""
        # A function may call it for one Stream task after another.
        self._polls = self._record = None
        task_ids = self.awaited_task_ids(context)
        if not task_ids:
            self.log.info("There is no %s to wait for.", self.pollable.noun)
            return []
        if self.outer_task_id(context) is None:
            why = self._on_worker if self._rendered else self._why_on_worker()
            if why:
                self.log.info(why)
        what = in_words(task_ids, self.pollable.noun)
        self.log.info("Waiting up to %.10g s for Stream to finish %s", self.timeout, what)
        if self.deferrable and self.may_defer(context, "Waiting on this worker"):
            self.wait_in_triggerer(task_ids)
        if self.reschedule and not self.may_defer(context, "Poking without rescheduling"):
            self.mode = "poke"
        return super().execute(context)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Take over from the trigger, on a worker."""
        if ON_WORKER in event:
            self.log.info("Starting over on a worker, because the triggerer could not: %s", event[ON_WORKER])
            return self.execute(context)
        return super().execute_complete(context, event)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Come back from the triggerer, or without it."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSkipException as skip:
            # With soft_fail, Airflow's sensors skip for any AirflowException here: even if the trigger broke,
            # and nobody knows how the Stream task stands.
            cause = skip.__cause__
            hides = self.soft_fail and not isinstance(cause, _SKIPPED_BY_SOFT_FAIL)
            if cause and (hides or isinstance(cause, NoStreamTaskError)):
                raise cause from None
            raise

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once what is due."""
        polls = self._polls = self._polls or Polls(self.hook, self._continued_wait(context))
        wait, began, seen = polls.wait, time.time(), polls.wait.errors_since
        # All that is due is polled, however long the budget takes: with reschedule, the next poke would begin
        # with the first one again. Nor would anything remember a failure that is being confirmed.
        while not wait.over and (
            wait.next_due <= began or wait.confirming or time.time() > wait.deadline - LAST_MOMENT
        ):
            polls.go_on()
        if self.reschedule and wait.errors_since != seen:
            self._remember(context, wait.errors_since)
        self._record = self._record or self.worker_record(context, resumed=self.reschedule)
        self._record.update(wait)
        if not wait.over:
            return PokeReturnValue(False)
        return PokeReturnValue(True, self.conclude(context, wait.ended))

    def conclude(self, context: Context, get_ended: Callable[[], Ended]) -> Any:
        """End the Airflow task as the Stream tasks ended."""
        try:
            return super().conclude(context, get_ended)
        except AirflowSensorTimeout as timeout:
            error = timeout.__cause__
            unknown = isinstance(error, StreamTaskTimeout) and error.last_error
            if error and unknown and self.soft_fail and not self.silent_fail:
                raise error from None  # an outage must not look like a skip
            raise
        except StreamTaskException as error:
            raise StreamTaskFailed(**error.fields()) from None
        except StreamException as error:
            if self.never_fail:
                raise AirflowSkipException(f"Skipped, because never_fail is set: {error}") from error
            raise

    @property
    def source(self) -> Any:
        """Where the ids of what is waited for come from: they themselves, or another Airflow task."""
        return getattr(self, self.ids_argument)

    @property
    def is_single(self) -> bool:
        """Whether one Stream task is waited for, and not a list of them."""
        return isinstance(self.source, str)

    def _starts_in_triggerer(self) -> bool:
        # Once a worker has begun there is nothing to decide, and templates are no longer what they were.
        return not self._rendered and self.why_starts_on_worker() is None

    def why_starts_on_worker(self) -> str | None:
        """Return why the Airflow task does not begin in the triggerer; ``None`` where it does."""
        # It is still being made, or a worker made it from a mapped one: there is nothing to decide.
        if not _compat.is_made(self):
            return "it is mapped"
        if self._may_start_in_triggerer is None:
            return needs_worker_to_start(self)
        if not self._may_start_in_triggerer:
            return "start_from_trigger is False"
        return None if _compat.RUNS_WITHOUT_WORKERS else "Airflow is older than 3.3"

    def _why_on_worker(self) -> str | None:
        """Return the line of the log that says why there is a worker at all."""
        if ends := self.deferrable and self.why_ends_on_worker():
            return f"Beginning and ending on a worker, because {ends}"
        starts = self.why_starts_on_worker()
        return f"Beginning on a worker, because {starts}" if starts else None

    def _start_trigger_args(self) -> StartTriggerArgs | None:
        if not self._starts_in_triggerer():
            return None
        source = self.source
        if _compat.is_task_output(source):
            xcom = {"task_id": source.operator.task_id, "key": source.key}
            trigger = self.make_trigger(StreamSensorTrigger, [], None, xcom=xcom)
        else:
            trigger = self.make_trigger(StreamSensorTrigger, parse_stream_task_ids(source), None)
        path, arguments = trigger.serialize()
        return StartTriggerArgs(
            trigger_cls=path,
            next_method="execute_complete",
            trigger_kwargs=arguments,
            timeout=timedelta(seconds=self.timeout + BACKSTOP),
        )

    def next_poke(self) -> float:
        """Return the seconds until the next poke, on the trigger's schedule and with Stream's pauses."""
        return self._polls.pause() if self._polls else self.poke_interval

    def _continued_wait(self, context: Context) -> Wait:
        started_at, errors_since = time.time(), None
        store = _compat.task_state_store(context) if self.reschedule else None
        if self.reschedule and (first := context["ti"].get_first_reschedule_date(context)):
            # Each poke is a process of its own, so Airflow keeps what it must know of earlier ones.
            started_at = min(started_at, first.timestamp())  # clocks differ
            errors_since = store.get(self.state_key(ERRORS_SINCE)) if store else None
        elif store:
            store.delete(self.state_key(ERRORS_SINCE))  # of an earlier try
        task_ids = self.awaited_task_ids(context)
        return Wait(task_ids, self.wait_terms(), started_at, self.pollable, errors_since=errors_since or None)

    def _remember(self, context: Context, errors_since: float | None) -> None:
        if store := _compat.task_state_store(context):
            store.set(self.state_key(ERRORS_SINCE), errors_since or 0)
