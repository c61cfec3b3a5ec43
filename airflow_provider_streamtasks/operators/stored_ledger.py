"""The ledger of a submission in Airflow's task state store, where it outlives the worker."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Any

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.protocol.ledger import Ledger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_streamtasks.waiting import StreamTaskWaiter

CHUNK = 50
"""Entries that one key of the store holds, so that recording one of a million stays cheap."""

log = logging.getLogger(__name__)


_begun: dict[tuple[Any, str], Any] = {}
"""Try of an Airflow task, and id of an operator in it -> what that submits; ``None`` once it has ended."""


class StoredLedger:
    """
    The ledger of an operator: what its earlier tries left behind, if they belong to the same life.

    A retry goes on with the ledger; clearing the Airflow task begins a new one. Without a store (before
    Airflow 3.3) the ledger ends with the worker.

    :param context: the context of the running Airflow task
    :param operator: whose ledger it is
    """

    def __init__(self, context: Context, operator: StreamTaskWaiter) -> None:
        self._store = _compat.task_state_store(context)
        # A retry keeps max_tries, a clear raises it.
        self._prefix = f"{operator.state_key('submission')}_{_compat.life(context)}"
        self._owner = (context["ti"].id, operator.task_id) if self._store is not None else None
        if self._store is None:
            log.warning("This Airflow keeps no state of tasks: a retry after a crash may submit again.")
        self.ledger = Ledger(self._load())

    @property
    def kept(self) -> bool:
        """Whether the record outlives this process."""
        return self._store is not None

    def begin(self, what: Any) -> None:
        """
        Say what is submitted: nothing else may take this ledger for that of its own earlier try.

        :param what: by what it is known, such as the operation and its options
        :raises ValueError: if something else was submitted under this id in the same try of the Airflow task,
            or this has ended
        """
        if self._owner is not None and _begun.setdefault(self._owner, what) != what:
            raise ValueError(
                f"task_id is {self._owner[1]!r}, which this Airflow task has executed already: each that "
                "it executes needs one of its own, by which a retry finds what was submitted"
            )

    def end(self) -> None:
        """Say that the operator has ended."""
        if self._owner is not None:
            _begun[self._owner] = None

    def save(self, index: int) -> None:
        """Store the entry at a place, before anything else happens."""
        if self._store is not None:
            start = index // CHUNK * CHUNK
            self._store.set(self._key(index), self.ledger.dump(start, start + CHUNK))

    def _load(self) -> Iterator[dict[str, Any]]:
        if self._store is not None:
            for start in count(0, CHUNK):
                chunk = self._store.get(self._key(start)) or []
                yield from chunk
                if len(chunk) < CHUNK:
                    return

    def _key(self, index: int) -> str:
        return f"{self._prefix}_{index // CHUNK}"
