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

CHUNK = 50
"""Entries that one key of the store holds, so that noting one of a million stays cheap."""

log = logging.getLogger(__name__)


class StoredLedger:
    """
    The ledger of an Airflow task: what its earlier tries left behind, if they belong to the same life.

    A retry goes on with the ledger; clearing the Airflow task begins a new one. Without a store (before
    Airflow 3.3) the ledger ends with the worker.

    :param context: the context of the running Airflow task
    """

    def __init__(self, context: Context) -> None:
        self._store = _compat.task_state_store(context)
        # A retry keeps max_tries, a clear raises it.
        self._prefix = f"stream_submission_{_compat.life(context)}"
        if self._store is None:
            log.warning("This Airflow keeps no state of tasks: a retry after a crash may submit again.")
        self.ledger = Ledger(self._load())

    @property
    def kept(self) -> bool:
        """Whether what is noted outlives this process."""
        return self._store is not None

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
