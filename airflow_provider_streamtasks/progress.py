"""Where a wait records how far it has come: in an XCom or, on a worker, in the task state store."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_streamtasks import _compat, configuration
from airflow_provider_streamtasks.protocol.progress import PROGRESS, Progress, worth_recording
from airflow_provider_streamtasks.protocol.wait import Wait

if TYPE_CHECKING:
    from airflow.sdk import Context

NOT_RECORDED = "How far the wait has come is not recorded from here on: %s: %s"

log = logging.getLogger(__name__)


def write_xcom(ti: Any, progress: Progress) -> None:
    """Write a record into an XCom of a task instance."""
    from airflow.sdk.bases.xcom import BaseXCom

    where = {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id, "map_index": ti.map_index}
    # Not through an XCom backend, which might keep a file for each.
    BaseXCom.set(key=PROGRESS, value=progress.to_dict(), **where)


class WorkerRecord:
    """
    The record of a wait that holds a worker, in the task state store; before Airflow 3.3, in the XCom.

    A record that cannot be made never harms the wait.

    :param context: the context of the running Airflow task
    :param key: its key in the task state store
    :param wanted: whether there is to be one
    :param resumed: whether another process may have recorded the same wait
    """

    def __init__(self, context: Context, key: str, *, wanted: bool, resumed: bool = False) -> None:
        self._ti = context["ti"]
        self._key = key
        self._store = _compat.task_state_store(context)
        # Only the store shows what another process has recorded.
        self._wanted = wanted and configuration.record_progress() and not (resumed and self._store is None)
        self._last: Any = None
        # A try that was killed may have left a record.
        self._is_known = not resumed and self._ti.try_number == 1

    def update(self, wait: Wait) -> None:
        """Record how far the wait has come, if that is worth it; forget the record when the wait is over."""
        if not self._wanted:
            return
        try:
            if wait.over:
                if self._store and (self._last or not self._is_known):
                    self._store.delete(self._key)
                return
            now = time.time()
            progress = worth_recording(wait, self._last, now)
            if progress and self._store and not self._is_known:
                self._last, self._is_known = self._store.get(self._key), True
                progress = worth_recording(wait, self._last, now)
            if progress:
                self._write(progress)
                self._last = progress.to_dict()
        except Exception as error:
            log.warning(NOT_RECORDED, type(error).__name__, error)
            self._wanted = False

    def _write(self, progress: Progress) -> None:
        if self._store:
            self._store.set(self._key, progress.to_dict())
        else:
            write_xcom(self._ti, progress)
