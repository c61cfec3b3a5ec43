"""``StreamOperator``: submit an operation of Stream's, batch by batch, and wait if asked to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.configuration import conf

from airflow_provider_streamtasks import configuration
from airflow_provider_streamtasks.arguments import check_flag, check_seconds, is_rendered
from airflow_provider_streamtasks.protocol.operations import Operation
from airflow_provider_streamtasks.protocol.polling import WaitTerms, in_words
from airflow_provider_streamtasks.protocol.tasks import StreamTask, failed_items
from airflow_provider_streamtasks.results import report_failed_items, results_of
from airflow_provider_streamtasks.waiting import StreamTaskWaiter

if TYPE_CHECKING:
    from airflow.sdk import Context

TASK_IDS_KEY = "task_ids"
RESULT_KEY = "result"


class StreamOperator(StreamTaskWaiter):
    """
    Base of the operators that start Stream tasks. A subclass names the operation and its arguments.

    More items than one request may carry become several batches, sent in order. XComs: ``return_value`` is
    the id of the Stream task, or the list of ids where there is not exactly one; ``task_ids`` is always the
    list; ``result`` is what became of it, where the Airflow task gets to know.

    :param wait_for_completion: whether the Airflow task ends with the Stream tasks, and as they end
    :param deferrable: wait in the triggerer, which holds no worker (default: ``[operators]
        default_deferrable``)
    :param poll_interval: seconds between two looks at least (default: ``[streamtasks] poll_interval``, 1)
    :param wait_timeout: seconds to wait (default: ``[streamtasks] timeout``, 60)
    """

    operation: ClassVar[Operation]

    def __init__(
        self,
        *,
        wait_for_completion: bool = False,
        deferrable: bool | None = None,
        poll_interval: timedelta | float | None = None,
        wait_timeout: timedelta | float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wait_for_completion = check_flag("wait_for_completion", wait_for_completion)
        self.deferrable = (
            conf.getboolean("operators", "default_deferrable", fallback=False)
            if deferrable is None
            else check_flag("deferrable", deferrable)
        )
        self.poll_interval = check_seconds(
            "poll_interval", configuration.poll_interval() if poll_interval is None else poll_interval
        )
        self.wait_timeout = check_seconds(
            "wait_timeout", configuration.timeout() if wait_timeout is None else wait_timeout
        )
        self._accepted: list[str] = []

    def wait_terms(self) -> WaitTerms:
        """Return for how long to wait, and how often to look."""
        return WaitTerms(self.wait_timeout, self.poll_interval, configuration.max_wait())

    def awaited_task_ids(self, context: Context) -> list[str]:
        """Return the Stream tasks that this try of the Airflow task submitted."""
        ti = context["ti"]
        return list(ti.xcom_pull(self.task_id, key=TASK_IDS_KEY, map_indexes=ti.map_index) or [])

    def execute(self, context: Context) -> Any:
        """Check the input, submit it batch by batch, and wait if asked to."""
        items = self.operation.items.check(getattr(self, self.operation.items.name))
        options = self.operation.check({name: getattr(self, name) for name in self.operation.options})
        done_at_once: dict[str, Any] = {}
        try:
            for batch in self.operation.items.batches(items):
                done_at_once.update(self._submit(batch, options))
        finally:
            # Also after a failure: what Stream has accepted goes on, and somebody may have to look after it.
            context["ti"].xcom_push(TASK_IDS_KEY, self._accepted)
        if done_at_once:
            context["ti"].xcom_push(RESULT_KEY, done_at_once)
            report_failed_items(context, failed_items(done_at_once), [], fail=self.fail_on_partial)
        if not (self.wait_for_completion and self._accepted):
            return _one_or_list(self._accepted)
        if self.deferrable:
            self.wait_in_triggerer(self._accepted)
        return self.conclude(
            context,
            lambda: self.hook.wait_for_tasks(self._accepted, self.poll_interval, self.wait_timeout),
        )

    def deliver(self, context: Context, tasks: list[StreamTask]) -> Any:
        """Push the results, and return the ids."""
        results = results_of(tasks, redact_urls=self.redact_result_urls)
        context["ti"].xcom_push(RESULT_KEY, _one_or_list(results))
        return _one_or_list([task.task_id for task in tasks])

    def on_kill(self) -> None:
        """Say what goes on although the Airflow task was killed: Stream cannot cancel it."""
        if self._accepted:
            self.log.warning("Stream cannot cancel tasks: it goes on with %s", in_words(self._accepted))

    def _submit(self, batch: Sequence[str], options: Mapping[str, Any]) -> Mapping[str, Any]:
        submission = self.hook.submit(self.operation, batch, **options)
        if submission.task_id:
            self._accepted.append(submission.task_id)
            self.log.info(
                "%s of %d %s is Stream task %s",
                self.operation.name, len(batch), self.operation.items.name, submission.task_id,
            )  # fmt: skip
            return {}
        self.log.info("%s of %d %s is done", self.operation.name, len(batch), self.operation.items.name)
        return submission.result or {}

    def _check_what_is_known(self) -> None:
        """Check at parse time what is not left to a template; subclasses call it last."""
        if is_rendered(items := getattr(self, self.operation.items.name)):
            self.operation.items.check(items)
        self.operation.check({name: getattr(self, name) for name in self.operation.options})


def _one_or_list(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values
