"""What every Airflow operator that waits for Stream tasks shares: the way to the triggerer and back."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
)
from airflow.sdk import BaseOperator

from airflow_provider_streamtasks import _compat, configuration
from airflow_provider_streamtasks.arguments import given, known
from airflow_provider_streamtasks.ending import needs_worker_to_end
from airflow_provider_streamtasks.exceptions import StreamTaskTimeout
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.progress import WorkerRecord
from airflow_provider_streamtasks.protocol.data_import import Import
from airflow_provider_streamtasks.protocol.delivery import RETURN_VALUE, XComPolicy, decide
from airflow_provider_streamtasks.protocol.fields import Flag, Text, Whole
from airflow_provider_streamtasks.protocol.tasks import STREAM_TASKS, Pollable
from airflow_provider_streamtasks.protocol.wait import Ended, Wait, WaitTerms
from airflow_provider_streamtasks.results import hand_on
from airflow_provider_streamtasks.triggers.data_import import StreamImportTrigger
from airflow_provider_streamtasks.triggers.task import BACKSTOP, StreamTaskTrigger, read_event

if TYPE_CHECKING:
    from airflow.sdk import Context


class StreamVerdict(AirflowFailException):
    """Makes an exception about Stream one that Airflow does not retry: no retry changes what it says."""

    fields: Callable[[], dict[str, Any]]

    def serialize(self) -> tuple[str, tuple[()], dict[str, Any]]:
        """Return class path and arguments, as Airflow serializes its exceptions."""
        return f"{type(self).__module__}.{type(self).__name__}", (), self.fields()


class StreamTaskWaiter(BaseOperator):
    """
    Base of everything that waits for Stream tasks. Subclasses say for how long, how often, and for which.

    :param stream_conn_id: the Airflow connection, of type ``stream``
    :param fail_on_partial: whether it is a failure when a Stream task completed but items inside it failed.
        Otherwise that is a warning. Either way the items are in the XCom ``failed_items``: item -> reason.
    :param push_result: whether the result becomes an XCom. Default: yes, but of people (deactivated users,
        say) only their ids, and of a result larger than ``max_result_size`` only a summary. True: all of it,
        as it came. False: nothing of it.
    :param max_result_size: bytes of a result, as JSON, above which its XCom is a summary (default:
        ``[streamtasks] max_result_size``, 65,536)
    :param redact_result_urls: whether URLs in results lose their signature, and with it the right to
        download, before they become XComs (default: ``[streamtasks] redact_result_urls``, False)
    :param end_from_trigger: after a wait in the triggerer, end there when the Stream tasks are completed.
        Default: if nothing is lost by it. True: even if something is lost. False: never. Failures and
        timeouts always end on a worker.
    """

    result_key = RETURN_VALUE
    """Key of the XCom that gets the results."""

    def __init__(
        self,
        *,
        stream_conn_id: str = StreamHook.default_conn_name,
        fail_on_partial: bool = False,
        push_result: bool | None = None,
        max_result_size: int | None = None,
        redact_result_urls: bool | None = None,
        end_from_trigger: bool | None = None,
        **kwargs: Any,
    ) -> None:
        # Under a name of its own: with listeners, Airflow refuses to import a DAG that has an attribute
        # `end_from_trigger` which is true.
        self._may_end_in_triggerer = given("end_from_trigger", end_from_trigger, Flag(), None)
        super().__init__(**kwargs)
        self.stream_conn_id = known("stream_conn_id", stream_conn_id, Text())
        self.fail_on_partial = Flag().parse("fail_on_partial", fail_on_partial)
        self.push_result = given("push_result", push_result, Flag(), None)
        self.max_result_size = given(
            "max_result_size", max_result_size, Whole(0), configuration.max_result_size()
        )
        self.redact_result_urls = given(
            "redact_result_urls", redact_result_urls, Flag(), configuration.redact_result_urls()
        )

    @cached_property
    def hook(self) -> StreamHook:
        """The hook, made when the Airflow task runs."""
        return StreamHook(self.stream_conn_id)

    @abstractmethod
    def awaited_task_ids(self, context: Context) -> list[str]:
        """Return the Stream tasks to wait for, as the Airflow task knows them on a worker."""

    @property
    def pollable(self) -> Pollable:
        """What is waited for."""
        return STREAM_TASKS

    def new_trigger(self, task_ids: Sequence[str]) -> StreamTaskTrigger:
        """Return the trigger that waits, from now on."""
        return self.make_trigger(StreamTaskTrigger, task_ids, time.time())

    def make_trigger(
        self, kind: type[StreamTaskTrigger], task_ids: Sequence[str], started_at: float | None, **more: Any
    ) -> StreamTaskTrigger:
        """Return a trigger with what all of them need: the terms, and how to end the Airflow task."""
        ends = {} if self.why_ends_on_worker() else {"end": True, **asdict(self.xcom_policy())}
        return kind(
            stream_conn_id=Text().parse("stream_conn_id", self.stream_conn_id),
            stream_task_ids=task_ids,
            started_at=started_at,  # type: ignore[arg-type]
            **asdict(self.wait_terms()),
            record_progress=self.do_xcom_push,
            **self.pollable.serialize(),
            **ends,
            **more,
        )

    def why_ends_on_worker(self) -> str | None:
        """Return why a completed wait does not end in the triggerer; ``None`` where it does."""
        if self._may_end_in_triggerer is None:
            return needs_worker_to_end(self)
        if not self._may_end_in_triggerer:
            return "end_from_trigger is False"
        return None if _compat.RUNS_WITHOUT_WORKERS else "Airflow is older than 3.3"

    @abstractmethod
    def wait_terms(self) -> WaitTerms:
        """Return for how long to wait, and how often to poll."""

    def outer_task_id(self, context: Context) -> str | None:
        """
        Return the Airflow task that runs, where it is another than this operator; ``None`` where it is this.

        Others may call :meth:`execute`: a TaskFlow function, or an operator of the user's own. A deferral
        would end their Airflow task on the worker, so the code after the call would never run.
        """
        running = context.get("task")
        return running.task_id if isinstance(running, BaseOperator) and running is not self else None

    def may_defer(self, context: Context, otherwise: str) -> bool:
        """
        Return whether the Airflow task that runs is this operator, so that it may leave its worker.

        :param otherwise: what is done instead, for the log
        """
        outer = self.outer_task_id(context)
        if outer is not None:
            self.log.info("%s, because deferring would end the Airflow task %r around it", otherwise, outer)
        return outer is None

    def state_key(self, what: str) -> str:
        """
        Return the key of a record in the task state store.

        The store belongs to the Airflow task that runs, in which there may be several operators.
        """
        return f"stream_{what}_{self.task_id}"

    def xcom_policy(self) -> XComPolicy:
        """Return what becomes an XCom."""
        return XComPolicy(
            self.do_xcom_push,
            self.push_result,
            self.max_result_size,
            self.redact_result_urls,
            self.fail_on_partial,
            self.result_key,
            self.is_single,
        )

    def wait_in_triggerer(self, task_ids: Sequence[str]) -> NoReturn:
        """
        Free the worker.

        A completed wait ends the Airflow task in the triggerer, unless :meth:`why_ends_on_worker` objects.
        Everything else comes back in :meth:`execute_complete`.
        """
        self.defer(
            trigger=self.new_trigger(task_ids),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.wait_terms().timeout + BACKSTOP),
        )

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Take over from the trigger, on a worker."""
        return self.conclude(context, lambda: read_event(event, self.hook, self.pollable))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Come back from the triggerer, or without it: then poll once before calling it a timeout."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except _compat.TaskDeferralTimeout:
            # No triggerer was alive at the deadline, so nobody has seen how the Stream tasks stand.
            started_at = time.time() - self.wait_terms().timeout
            task_ids = self.awaited_task_ids(context)
        return self.conclude(context, lambda: self.carry_out(context, task_ids, started_at))

    def conclude(self, context: Context, get_ended: Callable[[], Ended]) -> Any:
        """
        End the Airflow task as the Stream tasks ended.

        :param get_ended: returns how they stand, or raises the error that ended the wait
        :return: the XCom ``return_value``
        :raises AirflowSensorTimeout: if the deadline passed
        :raises StreamTaskException: if one failed
        :raises StreamConfigurationError: if the Airflow connection is gone
        """
        try:
            return self.end(context, get_ended())
        except StreamTaskTimeout as error:
            timeout = AirflowSensorTimeout(str(error))
            # A notifier's template names the same fields for every failure, and must find them.
            vars(timeout).update(error.for_templates(), task_ids=error.task_ids)
            raise timeout from error

    def end(self, context: Context, ended: Ended) -> Any:
        """
        Carry out what is decided about a wait that is over, and return the XCom ``return_value``.

        :raises StreamTaskException: if a Stream task failed, or items inside, and ``fail_on_partial`` is true
        :raises StreamTaskTimeout: if one was not finished
        """
        delivery = decide(
            ended, self.xcom_policy(), refused=self.refused_items(context), whole=self.pollable.whole
        )
        return hand_on(context, delivery)

    def refused_items(self, context: Context) -> Mapping[str, Mapping[str, str]]:
        """Return the items that failed already when they were submitted: Stream task -> item -> reason."""
        return {}

    @property
    def is_single(self) -> bool | None:
        """Whether one result is wanted, and not a list of them; ``None``: where there is one."""
        return None

    def carry_out(self, context: Context, task_ids: Sequence[str], started_at: float) -> Ended:
        """Wait on this worker, and return how the Stream tasks stand then."""
        wait = Wait(task_ids, self.wait_terms(), started_at, self.pollable)
        self.log.info(wait.beginning(time.time()))
        self.hook.carry_out(wait, self.worker_record(context).update)
        return wait.ended()

    def worker_record(self, context: Context, *, resumed: bool = False) -> WorkerRecord:
        """Return the record of a wait on this worker."""
        key = self.state_key("progress")
        return WorkerRecord(context, key, wanted=self.do_xcom_push, resumed=resumed)


class ImportWaiter(StreamTaskWaiter):
    """Base of what waits for imports, which have endpoints and states of their own."""

    completed_states: Sequence[int] = ()
    """States of the second generation that mean success; empty for the first generation."""
    failed_states: Sequence[int] = ()
    cancel_on_kill = False

    @property
    def pollable(self) -> Import:
        """What is waited for."""
        return Import(tuple(self.completed_states), tuple(self.failed_states))

    def new_trigger(self, task_ids: Sequence[str]) -> StreamTaskTrigger:
        """Return the trigger that waits, from now on."""
        return self.make_trigger(
            StreamImportTrigger, task_ids, time.time(), cancel_on_kill=self.cancel_on_kill
        )
