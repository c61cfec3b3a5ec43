"""``StreamImportTrigger``: wait for an import in the triggerer; cancel it if the Airflow task is killed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.exceptions import StreamException
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol.data_import import cancel_import
from airflow_provider_streamtasks.protocol.tasks import StreamTask
from airflow_provider_streamtasks.triggers.task import StreamTaskTrigger, finish


class StreamImportTrigger(StreamTaskTrigger):
    """
    Wait until imports are finished, and fire one event.

    :param cancel_on_kill: cancel the imports if the deferred Airflow task is killed, which only the second
        generation can
    :param kwargs: as those of :class:`~airflow_provider_streamtasks.triggers.task.StreamTaskTrigger`
    """

    def __init__(
        self, *, completed_states: Sequence[int] = (), cancel_on_kill: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(completed_states=completed_states, **kwargs)
        self.cancel_on_kill = cancel_on_kill

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments: ids and numbers, never a secret."""
        path, arguments = super().serialize()
        return path, {**arguments, "cancel_on_kill": self.cancel_on_kill}

    async def on_kill(self) -> None:
        """Cancel the imports, if a person killed the Airflow task and not the triggerer its trigger."""
        if self.cancel_on_kill:
            await finish(self._cancel())  # Airflow (3.3.2) cancels this very call after a second

    async def _cancel(self) -> None:
        # A triggerer that stalled and recovered kills triggers that moved elsewhere (3.3.2), where the wait
        # may go on, or have ended.
        over = time.time() >= self.started_at + self.terms.timeout
        if over or (self.task_instance and await _compat.may_be_deferred(self.task_instance)):
            self.log.info("The wait is over, or goes on in another triggerer: nothing is cancelled")
            return
        hook = StreamHook(self.stream_conn_id)
        try:
            for import_id in self.stream_task_ids:
                answer, _ = await hook.apoll(import_id, self.pollable)
                if isinstance(answer, StreamTask) and answer.finished:
                    continue
                try:
                    await hook.acall(cancel_import(import_id))
                    self.log.info("Cancelled the import %s", import_id)
                except StreamException as error:
                    self.log.warning("The import %s goes on, cancelling failed: %s", import_id, error)
        finally:
            await hook.aclose()
