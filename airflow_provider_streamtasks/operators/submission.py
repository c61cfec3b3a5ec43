"""Submitting all batches of one Airflow task: each once, within the budget, recorded before and after."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_streamtasks.exceptions import StreamException, StreamRateLimitException
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.operators.items import ItemFile
from airflow_provider_streamtasks.operators.stored_ledger import StoredLedger
from airflow_provider_streamtasks.protocol import errors
from airflow_provider_streamtasks.protocol.fields import Anything, Items
from airflow_provider_streamtasks.protocol.ledger import Batch, State
from airflow_provider_streamtasks.protocol.operations import Operation, Submission
from airflow_provider_streamtasks.protocol.rate_limits import WINDOW, RateLimit
from airflow_provider_streamtasks.protocol.results import failed_items

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

ONE_REQUEST = Items("request", 1, Anything())
"""The items of an operation that works on no list: its one request."""

SPREAD = 0.5
"""Seconds over which operators that waited for the same window come back."""


@dataclass(kw_only=True, eq=False, repr=False)
class Submitter:
    """
    Submits what the ledger does not have yet.

    :param hook: sends the requests
    :param operation: what to submit
    :param options: the fields of every request besides the items
    :param stored: the ledger, and where it is kept
    :param noun: what Stream starts, in the log
    :param resubmit_uncertain: send again what Stream may have accepted
    :param pause: stays away for some seconds; it may leave the worker by raising ``TaskDeferred``
    :param log: gets a line for each batch
    """

    hook: StreamHook
    operation: Operation
    options: Mapping[str, Any]
    stored: StoredLedger
    noun: str
    resubmit_uncertain: bool
    pause: Callable[[float], None]
    log: Logger
    _budget: RateLimit | None = field(default=None, init=False)
    _budget_read: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        # Without a connection, nothing is recorded as sent.
        self._share = self.hook.get_conn().connection.rate_limit_share

    def submit(self, items: ItemFile) -> Mapping[str, Any] | None:
        """
        Submit every batch that is still to be sent.

        :return: what Stream answered of the result, where there is one batch and it did so
        :raises StreamSubmissionException: if an earlier try submitted other items
        :raises StreamException: if Stream did not accept a batch, or did not say; later ones were not sent
        """
        ledger = self.stored.ledger
        if ledger.entries:
            self.log.info("Resuming after %d batches that were submitted before", len(ledger.entries))
        self._ask_for_budget()
        cap = self.operation.cap
        batches = -(-len(items) // cap)
        began, sent, result = time.monotonic(), 0, None
        for batch in ledger.to_send(iter(items), cap, resubmit_uncertain=self.resubmit_uncertain):
            submission = self._submit(batch, f"batch {batch.index + 1} of {batches}")
            result = submission.result if batches == 1 else None
            sent += len(batch.items)
            what = f"{self.noun} {submission.task_id}" if submission.task_id else "done at once"
            if not self.operation.items:
                self.log.info("%s: %s", self.operation.label, what)
                continue
            rate = sent / (time.monotonic() - began)
            left = max(0, len(items) - batch.index * cap - batch.size)
            self.log.info(
                "%s, batch %d of %d: %d items, %s (%.0f items/s, %d left, %.0f s at this rate)",
                self.operation.label,
                batch.index + 1,
                batches,
                len(batch.items),
                what,
                rate,
                left,
                left / rate,
            )
        return result

    def _submit(self, batch: Batch, name: str) -> Submission:
        ledger = self.stored.ledger
        refusals = 0
        if (pause := batch.not_before - time.time()) > 0.0:
            self.log.info("Stream's own rate limit failed %s; pausing for %.1f s", name, pause)
            self._pause_spread(pause)
        while True:
            self._keep_to_budget()
            before = ledger.sending(batch)
            if before and before.state is State.UNCERTAIN:
                self.log.warning("Stream may have accepted %s, which is submitted again", name)
            self.stored.save(batch.index)
            try:
                submission = self.hook.submit(
                    self.operation,
                    batch.items if self.operation.items else (),
                    again_if=self._is_sent_again,
                    **self.options,
                )
            except StreamException as error:
                if errors.is_ambiguous(error):
                    ledger.doubtful(batch)
                    error.batch = self._describe(batch, name)
                else:
                    ledger.refused(batch, before)
                self.stored.save(batch.index)
                if not isinstance(error, StreamRateLimitException) or error.unrecoverable:
                    raise
                self._budget = None
                # Refused requests count, so a submission that always returns too early never gets through.
                self._pause_spread(max(errors.asked_pause(error) or 0.0, min(2.0**refusals, WINDOW)))
                refusals += 1
            else:
                ledger.accepted(batch, submission.task_id, failed_items(submission.result))
                self.stored.save(batch.index)
                self._budget, self._budget_read = submission.budget, time.monotonic()
                return submission

    def _describe(self, batch: Batch, name: str) -> str:
        """Name a batch for an error, and so for logs and alerts: with ids, not with what may say more."""
        if not self.operation.items:
            return ""
        return name if self.operation.items.free_text else f"{name}, {batch.describe()}"

    @staticmethod
    def _passes_at_once(error: StreamException) -> bool:
        return errors.is_passing(error) and not isinstance(error, StreamRateLimitException)

    def _is_sent_again(self, error: StreamException) -> bool:
        # Not after a 429: its pause may be long, and need not hold the worker.
        if isinstance(error, StreamRateLimitException):
            return False
        return errors.is_not_taken(error) or (self.resubmit_uncertain and errors.is_ambiguous(error))

    def _ask_for_budget(self) -> None:
        # Others may have used up this window's budget, and a refused submission counts, too.
        if self.operation.name:
            try:
                # After a 429, the answer to the submission will say what is left.
                self._budget = self.hook.get_budget(self.operation.name, again_if=self._passes_at_once)
            except StreamException as error:
                self.log.warning("Stream does not say what is left of the budget: %s", error)
            self._budget_read = time.monotonic()

    def _keep_to_budget(self) -> None:
        if self._budget:
            seconds = self._budget.pause(self._share, age=time.monotonic() - self._budget_read)
            if seconds:
                self._budget = None
                self.log.info("Our share of this minute's budget is used up; pausing for %.1f s", seconds)
                self._pause_spread(seconds)

    def _pause_spread(self, seconds: float) -> None:
        self.pause(seconds + random.uniform(0.05, SPREAD))  # noqa: S311 - spreads load, guards nothing
