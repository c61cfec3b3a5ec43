"""``StreamImportTrigger``: wait for an import in the triggerer; cancel it if the Airflow task is killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.exceptions import StreamException
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol.data_import import Import, cancel_import
from airflow_provider_streamtasks.protocol.wait import Wait
from airflow_provider_streamtasks.triggers.task import StreamTaskTrigger

_cancelling: set[asyncio.Task[None]] = set()
"""Cancellations under way: nothing else keeps them from being collected."""


class StreamImportTrigger(StreamTaskTrigger):
    """
    Wait until imports are finished, and fire one event.

    :param completed_states: states of the second generation that mean success; empty for the first generation
    :param failed_states: states of the second generation that mean failure
    :param cancel_on_kill: cancel the imports if the deferred Airflow task is killed, which only the second
        generation can
    :param kwargs: as those of :class:`~airflow_provider_streamtasks.triggers.task.StreamTaskTrigger`
    """

    def __init__(
        self,
        *,
        completed_states: Sequence[int] = (),
        failed_states: Sequence[int] = (),
        cancel_on_kill: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pollable = Import(tuple(completed_states), tuple(failed_states))
        self.cancel_on_kill = cancel_on_kill

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments: ids and numbers, never a secret."""
        path, arguments = super().serialize()
        return path, {**arguments, **self.pollable.serialize(), "cancel_on_kill": self.cancel_on_kill}

    async def carry_out(self, wait: Wait) -> None:
        """Poll the imports until the wait is over."""
        hook = StreamHook(self.stream_conn_id)
        try:
            await hook.await_tasks(wait, self.pollable)
        finally:
            await hook.aclose()

    async def on_kill(self) -> None:
        """Cancel the imports, if a person killed the Airflow task and not the triggerer its trigger."""
        if self.cancel_on_kill:
            # Airflow (3.3.2) cancels this very call after a second, so the work is done in a task of its own.
            task = asyncio.create_task(self._cancel())
            _cancelling.add(task)
            task.add_done_callback(_cancelling.discard)
            await asyncio.shield(task)

    async def _cancel(self) -> None:
        # A triggerer that stalled and recovered kills triggers that moved elsewhere (3.3.2). There the wait
        # may go on, or have ended meanwhile.
        over = time.time() >= self.started_at + self.terms.timeout
        if over or (self.task_instance and await _compat.may_be_deferred(self.task_instance)):
            self.log.info("The wait is over, or goes on in another triggerer: nothing is cancelled")
            return
        hook = StreamHook(self.stream_conn_id)
        try:
            for import_id in self.stream_task_ids:
                try:
                    if (await hook.aget_task(import_id, self.pollable)).finished:
                        continue
                    await hook.acall(cancel_import(import_id))
                    self.log.info("Cancelled the import %s", import_id)
                except StreamException as error:
                    self.log.warning(
                        "The import %s goes on, because cancelling it failed: %s", import_id, error
                    )
        finally:
            await hook.aclose()
