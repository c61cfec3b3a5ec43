"""
The ledger of a submission: which batches Stream has accepted, which it may have, which must be sent again.

It is written before a request leaves and after its answer came, so after a crash it says what is certain and
what is not. It only decides; another module stores it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b
from itertools import islice
from reprlib import repr as shortened
from types import MappingProxyType
from typing import Any

from airflow_provider_streamtasks.exceptions import StreamSubmissionException
from airflow_provider_streamtasks.protocol.fields import Item
from airflow_provider_streamtasks.protocol.results import failed_items, verdicts
from airflow_provider_streamtasks.protocol.tasks import StreamTask


class State(str, Enum):
    """Where a batch stands."""

    SENDING = "sending"
    """The request was about to leave. Read after a crash: nobody knows whether it arrived."""
    UNCERTAIN = "uncertain"
    """The request may have been accepted, and is not sent again."""
    ACCEPTED = "accepted"
    FAILED = "failed"
    """Stream accepted it, but its Stream task failed, or items inside it."""


@dataclass(slots=True)
class Entry:
    """
    What is known of one batch.

    :param digest: of the items, to notice when an earlier try had other items
    :param size: items in the batch
    :param state: where it stands
    :param task_id: the Stream task; ``None`` where there is none, or it is not known
    :param failed_items: item -> reason, of those that failed inside
    :param part: what the latest request carried, where that was not the whole batch: the rest is done
    :param not_before: Unix time before which it is not sent again; 0 where it may be sent at once
    """

    digest: str
    size: int
    state: State = State.SENDING
    task_id: str | None = None
    failed_items: dict[str, str] = field(default_factory=dict)
    part: list[Item] = field(default_factory=list)
    not_before: float = 0.0

    @property
    def partly_refused(self) -> bool:
        """Whether Stream accepted it, and said already that items of it failed."""
        return self.state is State.ACCEPTED and bool(self.failed_items)


@dataclass(frozen=True, slots=True)
class Batch:
    """
    What one request carries.

    :param index: its place in the ledger, from 0
    :param items: the items to send
    :param digest: of the whole batch, of which a repetition may send a part
    :param size: items in the whole batch
    :param not_before: Unix time before which it is not to be sent; 0 where it may be sent at once
    """

    index: int
    items: Sequence[Item]
    digest: str
    size: int
    not_before: float = 0.0

    def describe(self) -> str:
        """Name the batch by its first and its last item."""
        first, last = (shortened(item) for item in (self.items[0], self.items[-1]))
        return first if len(self.items) == 1 else f"{len(self.items)} items from {first} to {last}"


class Ledger:
    """
    The entries of one Airflow task, in the order of its batches.

    :param entries: what an earlier try left behind, as :meth:`dump` wrote it
    """

    def __init__(self, entries: Iterable[Mapping[str, Any]] = ()) -> None:
        self.entries = [Entry(**{**entry, "state": State(entry["state"])}) for entry in entries]
        for entry in self.entries:
            if entry.state is State.SENDING:
                entry.state = State.UNCERTAIN

    def dump(self, start: int, stop: int) -> list[dict[str, Any]]:
        """Return some entries as plain JSON values."""
        # Not asdict(): it copies, which takes most of the time of recording a batch.
        return [
            {**{name: getattr(entry, name) for name in Entry.__slots__}, "state": entry.state.value}
            for entry in self.entries[start:stop]
        ]

    @property
    def task_ids(self) -> list[str]:
        """The Stream tasks of the accepted batches, in order."""
        return [e.task_id for e in self.entries if e.task_id and e.state is State.ACCEPTED]

    @property
    def refused_items(self) -> dict[str, str]:
        """The items that failed already when Stream accepted their batches: item -> reason."""
        refused = (entry.failed_items for entry in self.entries if entry.partly_refused)
        return {item: reason for failed in refused for item, reason in failed.items()}

    @property
    def refused_of_tasks(self) -> dict[str, dict[str, str]]:
        """Those of them whose batch has a Stream task all the same: Stream task -> item -> reason."""
        return {e.task_id: e.failed_items for e in self.entries if e.partly_refused and e.task_id}

    @property
    def uncertain(self) -> list[int]:
        """The places of the batches that Stream may have accepted."""
        return [i for i, entry in enumerate(self.entries) if entry.state is State.UNCERTAIN]

    def to_send(self, items: Iterator[Item], cap: int, *, resubmit_uncertain: bool) -> Iterator[Batch]:
        """
        Yield the batches that are still to be sent.

        :param items: all items, from the first one on
        :param cap: items that one request may carry
        :param resubmit_uncertain: send again what Stream may have accepted
        :raises StreamSubmissionException: if an earlier try submitted other items
        """
        index = -1
        for index, batch in enumerate(_cut(items, cap)):
            digest = _digest(batch)
            if index >= len(self.entries):
                yield Batch(index, batch, digest, len(batch))
                continue
            entry = self.entries[index]
            if entry.digest != digest:
                raise _changed(index)
            if entry.state is State.FAILED or (entry.state is State.UNCERTAIN and resubmit_uncertain):
                yield Batch(index, _again(entry, batch), digest, len(batch), entry.not_before)
        if index + 1 < len(self.entries):
            raise _changed(index + 1)

    def sending(self, batch: Batch) -> Entry | None:
        """Record that the request of a batch is about to leave, and return what was known of it before."""
        before = self.entries[batch.index] if batch.index < len(self.entries) else None
        self._put(batch, State.SENDING)
        return before

    def accepted(self, batch: Batch, task_id: str | None, failed_items: Mapping[str, str]) -> None:
        """Record that Stream accepted a batch."""
        self._put(batch, State.ACCEPTED, task_id, failed_items)

    def refused(self, batch: Batch, before: Entry | None) -> None:
        """Record that Stream certainly did not accept a batch, which leaves things as they were before."""
        if before is None:
            del self.entries[batch.index]
        else:
            self.entries[batch.index] = before

    def doubtful(self, batch: Batch) -> None:
        """Record that nobody knows whether Stream accepted a batch."""
        self.entries[batch.index].state = State.UNCERTAIN

    def failed(self, tasks: Iterable[StreamTask], *, pause_until: float = 0.0) -> list[int]:
        """
        Record that Stream tasks failed, or items inside them.

        :param tasks: the finished Stream tasks in question
        :param pause_until: Unix time before which a batch is not sent again that failed of Stream's own rate
            limit
        :return: the places of the batches that a further try sends again
        """
        by_id = {task.task_id: task for task in tasks}
        places = []
        for index, entry in enumerate(self.entries):
            if task := by_id.get(entry.task_id or ""):
                refused = entry.failed_items if entry.partly_refused else {}
                # What a failed Stream task does not mention may not be done.
                sent = len(entry.part) or entry.size
                is_complete = task.completed or len(verdicts(task.inside).keys() | refused.keys()) >= sent
                entry.state = State.FAILED
                entry.failed_items = failed_items(task.inside, refused) if is_complete else {}
                entry.not_before = pause_until if task.rate_limited else 0.0
                places.append(index)
        return places

    def failed_at_once(self) -> list[int]:
        """
        Record that what was refused when Stream accepted a batch counts as failed.

        :return: the places of the batches that a further try sends again
        """
        places = [index for index, entry in enumerate(self.entries) if entry.partly_refused]
        for place in places:
            self.entries[place].state = State.FAILED
        return places

    def _put(
        self,
        batch: Batch,
        state: State,
        task_id: str | None = None,
        failed_items: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        part = [] if len(batch.items) == batch.size else list(batch.items)
        entry = Entry(batch.digest, batch.size, state, task_id, dict(failed_items), part)
        self.entries[batch.index : batch.index + 1] = [entry]


def _again(entry: Entry, batch: list[Item]) -> list[Item]:
    """Return what is sent again of a batch: the failed items, if all of them are known by name."""
    failed: list[Item] = [item for item in batch if isinstance(item, str) and item in entry.failed_items]
    if failed and len(failed) == len(entry.failed_items):
        return failed
    return [item for item in batch if item in entry.part] or batch


def _changed(index: int) -> StreamSubmissionException:
    return StreamSubmissionException(
        f"Batch {index + 1} is not the one that an earlier try of this Airflow task submitted: "
        "the items have changed since (or the arguments, if there are no items). "
        "So it is not known any more which of them Stream has accepted, and nothing is submitted twice.",
        hint="Clear the Airflow task to start over with what is there now.",
        batches=[index],
    )


def _cut(items: Iterator[Item], cap: int) -> Iterator[list[Item]]:
    while batch := list(islice(items, cap)):
        yield batch


def _digest(batch: Sequence[Item]) -> str:
    return blake2b(json.dumps(batch, sort_keys=True).encode(), digest_size=8).hexdigest()
