"""``StreamBaseOperator``: submit an operation of Stream's exactly once, at any size, and wait if asked to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf
from airflow.sdk import XComArg

from airflow_provider_streamtasks import _compat, configuration
from airflow_provider_streamtasks.arguments import (
    check_rendered,
    given,
    in_fixed_order,
    in_lists,
    is_rendered,
)
from airflow_provider_streamtasks.ending import is_mapped_over
from airflow_provider_streamtasks.exceptions import (
    StreamException,
    StreamSubmissionException,
    StreamTaskException,
)
from airflow_provider_streamtasks.operators.items import ItemFile, check_known_items
from airflow_provider_streamtasks.operators.rails import refuse_too_many
from airflow_provider_streamtasks.operators.stored_ledger import StoredLedger
from airflow_provider_streamtasks.operators.submission import ONE_REQUEST, Submitter
from airflow_provider_streamtasks.protocol.delivery import decide_at_once, one_or_list
from airflow_provider_streamtasks.protocol.failures import in_words
from airflow_provider_streamtasks.protocol.fields import Choice, Flag, Seconds, Text
from airflow_provider_streamtasks.protocol.ledger import Ledger
from airflow_provider_streamtasks.protocol.operations import Operation
from airflow_provider_streamtasks.protocol.rails import (
    DryRun,
    minimum_seconds,
    parse_dry_run,
    parse_max_items,
    sample,
)
from airflow_provider_streamtasks.protocol.rate_limits import WINDOW
from airflow_provider_streamtasks.protocol.wait import Ended, WaitTerms
from airflow_provider_streamtasks.results import hand_on
from airflow_provider_streamtasks.waiting import StreamTaskWaiter, StreamVerdict

if TYPE_CHECKING:
    from airflow.sdk import Context

TASK_IDS_KEY = "task_ids"

DRY_RUN_KEY = "dry_run"
"""Key of the XCom that gets what a dry run found."""


class StreamSubmissionFailed(StreamSubmissionException, StreamVerdict):
    """A ``StreamSubmissionException`` that Airflow does not retry: no retry makes it certain."""


class StreamBaseOperator(StreamTaskWaiter):
    """
    Base of the operators that start Stream tasks.

    A subclass names the operation, and sets its arguments in ``__init__``, at whose end it calls
    :meth:`check_known`.

    More items than one request may carry become several batches, sent in order. What Stream accepted is
    recorded before the next request leaves, so a retry resumes after it (Airflow 3.3 and later).

    XComs: ``return_value`` is the id of the Stream task, or a list of ids if there is not exactly one, or if
    mapped tasks expand over it; ``task_ids`` is always the list; ``result`` is Stream's result, if the
    Airflow task learns it.

    :param wait_for_completion: whether to wait for the Stream tasks, and succeed or fail with them. A retry
        after a failure submits what failed again, and waits for the rest.
    :param deferrable: wait in the triggerer, which holds no worker, and end there if nothing is lost by it
        (default: ``[operators] default_deferrable``)
    :param poll_interval: seconds between two polls at least (default: ``[streamtasks] poll_interval``, 1)
    :param wait_timeout: seconds to wait (default: ``[streamtasks] timeout``, 60)
    :param on_ambiguous: what to do about a batch that Stream may have accepted without saying so. ``"fail"``:
        a retry submits the rest, then fails and names the batch. ``"resubmit"``: it is submitted again.
    :param max_items: how many items may be sent (templated). If there are more, none is sent, and the Airflow
        task fails without a retry. ``"unlimited"`` allows any number (default: ``[streamtasks] max_items``,
        unlimited)
    :param dry_run: check, count and log everything, send nothing (templated: ``True`` or ``False``, or text
        that says so). The XCom ``dry_run`` says what would be sent; ``return_value`` and ``task_ids`` are
        empty lists, so a sensor behind it has nothing to wait for. The attribute is ``is_dry_run``, because
        Airflow's operators have a method ``dry_run``.
    :param ids_column: where a file has the items: the column of a CSV file (``.csv``, ``.tsv``) or of a
        Parquet file (``.parquet``, needs the extra ``parquet``), or the key of JSON lines (``.jsonl``,
        ``.ndjson``, ``.json``; dots lead into nested objects). None, the default: one item per line.
    """

    stream_operation: Operation
    template_fields: Sequence[str] = ("stream_conn_id", "max_items", "is_dry_run")
    result_key = "result"

    def __init__(
        self,
        *,
        wait_for_completion: bool = False,
        deferrable: bool | None = None,
        poll_interval: timedelta | float | None = None,
        wait_timeout: timedelta | float | None = None,
        on_ambiguous: str = "fail",
        max_items: int | str | None = None,
        dry_run: bool | str = False,
        ids_column: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wait_for_completion = Flag().parse("wait_for_completion", wait_for_completion)
        by_default = conf.getboolean("operators", "default_deferrable", fallback=False)
        self.deferrable = given("deferrable", deferrable, Flag(), by_default)
        self.poll_interval = given("poll_interval", poll_interval, Seconds(), configuration.poll_interval())
        self.wait_timeout = given("wait_timeout", wait_timeout, Seconds(), configuration.timeout())
        # default_args are meant for other operators of the DAG as well.
        self._by_default = frozenset(kwargs.get("default_args") or ())
        if deferrable and not self.wait_for_completion and "deferrable" not in self._by_default:
            raise ValueError("deferrable is True: it needs wait_for_completion=True")
        self.on_ambiguous = Choice(("fail", "resubmit")).parse("on_ambiguous", on_ambiguous)
        self.max_items = max_items
        self.is_dry_run = dry_run
        self._dry_run_from = {operator.task_id for operator, _ in XComArg.iter_xcom_references(dry_run)}
        self.ids_column = given("ids_column", ids_column, Text(), None)
        self._stored: StoredLedger | None = None

    def check_known(self) -> None:
        """Check at parse time what no template will give; subclasses call it at the end of ``__init__``."""
        for name in self.template_fields:
            if hasattr(self, name):  # what a user's class adds comes after its super().__init__()
                setattr(self, name, in_fixed_order(getattr(self, name)))
        self._given = self._arguments()
        options = self._options()
        self.stream_operation.parse(options, unknown=[n for n, v in options.items() if not is_rendered(v)])
        items = self.stream_operation.items
        if items and is_rendered(source := self._source()):
            check_known_items(items, source, self.ids_column)
        if not items and self.ids_column is not None:
            raise ValueError(
                f"ids_column is {self.ids_column!r}: it needs a file of items, and there is none"
            )
        if is_rendered(self.is_dry_run):
            parse_dry_run(self.is_dry_run)
        if self.max_items is not None:
            if not items and "max_items" not in self._by_default:
                raise ValueError(
                    f"max_items is {self.max_items!r}: it needs a list of items, and there is none"
                )
            if is_rendered(self.max_items):
                parse_max_items("max_items", self.max_items)

    def execute(self, context: Context) -> Any:
        """Check the input, submit what is not submitted yet, and wait if asked to."""
        self._check_given()
        if parse_dry_run(self.is_dry_run):
            return self._rehearse(context)
        self._stored = stored = StoredLedger(context, self)
        try:
            result = self._submit(context, stored)
        except StreamSubmissionException as error:
            raise StreamSubmissionFailed(**error.fields()) from None
        except StreamException as error:
            if error.may_be_taken and not stored.kept and self.on_ambiguous == "fail":
                # Nothing would tell a retry that this batch was sent.
                raise StreamSubmissionFailed(
                    error.describe(), hint=error.advice, batches=stored.ledger.uncertain
                ) from error
            raise
        finally:
            # Also after a failure: what Stream has accepted goes on, and somebody may have to look after it.
            if self.do_xcom_push or (self.wait_for_completion and self.deferrable):
                # A worker that takes over from the triggerer reads them there.
                context["ti"].xcom_push(TASK_IDS_KEY, stored.ledger.task_ids)
        task_ids = stored.ledger.task_ids
        waits = self.wait_for_completion and bool(task_ids)
        self._deliver_at_once(context, stored, result, waits=waits)
        if waits and self.deferrable and self.may_defer(context, "Waiting on this worker"):
            if why := self.why_ends_on_worker():
                self.log.info("Ending on a worker, because %s", why)
            self.wait_in_triggerer(task_ids)
        value = (
            self.conclude(context, lambda: self.carry_out(context, task_ids, time.time()))
            if waits
            else self._ended(context, task_ids)
        )
        stored.end()
        return value

    def go_on(self, context: Context, event: Any = None) -> Any:
        """Go on submitting after a pause, on another worker."""
        return self.execute(context)

    def why_ends_on_worker(self) -> str | None:
        """Return why a completed wait does not end in the triggerer, which knows nothing of the ledger."""
        ledger = self._stored.ledger if self._stored else Ledger()
        # Even if end_from_trigger is True: only the ledger, on a worker, can decide about these.
        if named := self._uncertain_batches(ledger):
            return f"Stream may or may not have accepted batch {named}"
        if ledger.refused_items:
            return "items failed already when they were submitted"
        if self._may_end_in_triggerer is None and _compat.clears_state_on_success():
            return "[state_store] clear_on_success would not be kept"
        return super().why_ends_on_worker()

    def conclude(self, context: Context, get_ended: Callable[[], Ended]) -> Any:
        """End the Airflow task as the Stream tasks ended."""

        def ended() -> Ended:
            try:
                return get_ended()
            except StreamException as error:
                error.was_submitted = True
                error.uncertain_batches = self._uncertain_batches(self._stored_ledger(context).ledger)
                raise

        return super().conclude(context, ended)

    def end(self, context: Context, ended: Ended) -> Any:
        """Push the results, and return the ids; or record for a retry which Stream tasks failed."""
        try:
            super().end(context, ended)
        except StreamException as error:
            error.uncertain_batches = self._uncertain_batches(self._stored_ledger(context).ledger)
            if isinstance(error, StreamTaskException):
                stored = self._stored_ledger(context)
                again = [task for task in ended.finished if task.task_id in error.task_ids]
                for place in stored.ledger.failed(again, pause_until=time.time() + WINDOW):
                    stored.save(place)
            raise
        return self._ended(context, [task.task_id for task in ended.finished])

    def refused_items(self, context: Context) -> Mapping[str, Mapping[str, str]]:
        """Return the items of Stream tasks that failed already when they were submitted."""
        return self._stored_ledger(context).ledger.refused_of_tasks

    def wait_terms(self) -> WaitTerms:
        """Return for how long to wait, and how often to poll."""
        return WaitTerms(self.wait_timeout, self.poll_interval, configuration.max_poll_interval())

    def awaited_task_ids(self, context: Context) -> list[str]:
        """Return the Stream tasks that were submitted."""
        ti = context["ti"]
        return list(ti.xcom_pull(self.task_id, key=TASK_IDS_KEY, map_indexes=ti.map_index) or [])

    def on_kill(self) -> None:
        """Say what goes on although the Airflow task was killed."""
        if self._stored and (task_ids := self._stored.ledger.task_ids):
            what = in_words(task_ids, self.pollable.noun)
            self.log.warning("Nothing is cancelled at Stream: it goes on with %s", what)

    def _options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.stream_operation.options}

    def _source(self) -> Any:
        """Return what names the items."""
        return getattr(self, self.stream_operation.items.name) if self.stream_operation.items else None

    def _deliver_at_once(
        self, context: Context, stored: StoredLedger, result: Mapping[str, Any] | None, *, waits: bool
    ) -> None:
        """Hand on what Stream's answers say already, or record for a retry which items were refused."""
        ledger, policy = stored.ledger, self.xcom_policy()
        refused = ledger.refused_items
        # An awaited Stream task may say otherwise about these items, if they are still known by then.
        later = sum(map(len, ledger.refused_of_tasks.values())) if waits and stored.kept else 0
        policy = replace(policy, fail_on_partial=policy.fail_on_partial and later < len(refused))
        try:
            hand_on(context, decide_at_once(None if waits else result, refused, policy))
        except StreamTaskException:
            for place in ledger.failed_at_once():
                stored.save(place)
            raise

    def _stored_ledger(self, context: Context) -> StoredLedger:
        self._stored = self._stored or StoredLedger(context, self)
        return self._stored

    def _submit(self, context: Context, stored: StoredLedger) -> Any:
        options = self._checked_options()
        with self._read_items(context, options) as items:
            self._refuse_too_many(items)
            stored.begin(self._what())
            return Submitter(
                hook=self.hook,
                operation=self.stream_operation,
                options=options,
                stored=stored,
                noun=self.pollable.noun,
                resubmit_uncertain=self.on_ambiguous == "resubmit",
                pause=lambda seconds: self._pause(context, seconds, may_leave=stored.kept),
                log=self.log,
            ).submit(items)

    def _what(self) -> tuple[Any, ...]:
        """Return by what a submission is known: where it goes, what it does, and its options."""
        operation = self.stream_operation
        return self.stream_conn_id, operation.method, operation.path, in_lists(self._options())

    def _rehearse(self, context: Context) -> list[str]:
        """Do everything but sending, and return no ids."""
        operation = self.stream_operation
        options = self._checked_options()
        share = self.hook.get_conn().connection.rate_limit_share
        with self._read_items(context, options) as items:
            batches = -(-len(items) // operation.cap)
            budget = self.hook.get_budget(operation.name) if operation.name else None
            found = DryRun(
                operation=operation.label,
                items=len(items) if operation.items else None,
                batches=batches,
                minimum_seconds=minimum_seconds(budget, share, batches) if budget else None,
                sample=sample(operation.items, items, len(items)) if operation.items else [],
            )
            self.log.info(found.describe())
            if self.do_xcom_push:
                context["ti"].xcom_push(DRY_RUN_KEY, asdict(found))
                context["ti"].xcom_push(TASK_IDS_KEY, [])
            self._refuse_too_many(items)
        return []

    def _check_given(self) -> None:
        """Refuse to go on without what templates should have given, or if it came too late."""
        for name, value in self._given.items():
            check_rendered({"is_dry_run": "dry_run"}.get(name, name), value, getattr(self, name))
        if "max_items" in self._given:
            parse_max_items("max_items", self.max_items)
        # partial() knows arguments by their names, and this one's template has another name (3.3.2).
        before = self.get_flat_relative_ids(upstream=True) if self._dry_run_from else set()
        if unordered := self._dry_run_from - before:
            first = min(unordered)
            raise ValueError(
                f"dry_run is the output of {first!r}, and Airflow does not see that in partial(), so it may "
                f"run {first!r} too late: write {first} >> {self.task_id} in the DAG"
            )

    def _checked_options(self) -> dict[str, Any]:
        return self.stream_operation.parse(in_lists(self._options()), given=list(self._given))

    def _arguments(self) -> dict[str, Any]:
        """Return what was given for templated arguments."""
        values = {name: getattr(self, name, None) for name in self.template_fields}
        return {name: value for name, value in values.items() if value is not None}

    def _read_items(self, context: Context, options: Mapping[str, Any]) -> ItemFile:
        """Return the items, or the options as the one item of an operation that works on no list."""
        spec = self.stream_operation.items
        return ItemFile(spec or ONE_REQUEST, self._source() if spec else [options], context, self.ids_column)

    def _refuse_too_many(self, items: ItemFile) -> None:
        if spec := self.stream_operation.items:
            refuse_too_many(len(items), self.max_items, spec.name)

    def _pause(self, context: Context, seconds: float, *, may_leave: bool) -> None:
        # Coming back sooner could fail the Airflow task: "state mismatch".
        may_leave = may_leave and seconds > configuration.worker_end_seen()
        if not (may_leave and self.may_defer(context, f"Pausing on this worker for {seconds:.0f} s")):
            time.sleep(seconds)
            return
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        moment = datetime.now(timezone.utc) + timedelta(seconds=seconds)
        self.defer(trigger=DateTimeTrigger(moment=moment), method_name="go_on")

    def _ended(self, context: Context, task_ids: list[str]) -> Any:
        """Return the XCom ``return_value``, unless something about the submission is uncertain."""
        ledger = self._stored_ledger(context).ledger
        if named := self._uncertain_batches(ledger):
            raise StreamSubmissionFailed(
                f"Everything was submitted to Stream but batch {named}: an earlier try sent it and saw no "
                "answer, so Stream may or may not have accepted it",
                hint="Check at Stream whether it was done. on_ambiguous='resubmit' would send it again.",
                batches=ledger.uncertain,
            )
        # Airflow fails an Airflow task that returns anything else, after the work was submitted.
        is_list = is_mapped_over(self) and context["ti"].map_index in (None, -1)
        return task_ids if is_list else one_or_list(task_ids)

    def _uncertain_batches(self, ledger: Ledger) -> str:
        """Name the batches that Stream may have accepted by their places and items; empty if none."""
        cap = self.stream_operation.cap
        return ", ".join(
            f"{place + 1} (items {place * cap + 1} to {place * cap + ledger.entries[place].size})"
            for place in ledger.uncertain
        )
