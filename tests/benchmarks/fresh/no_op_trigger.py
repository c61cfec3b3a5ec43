"""The least that an Airflow task in the triggerer can be: it ends when a file appears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

_found: dict[str, asyncio.Event] = {}
_tasks: list[asyncio.Task[None]] = []


class NoOpTrigger(BaseTrigger):
    """
    End the Airflow task in success when a file is there.

    :param path: the file; one task looks for it, for all triggers
    :param push: whether it pushes an XCom before
    """

    def __init__(self, path: str, push: bool = False) -> None:
        super().__init__()
        self.path = path
        self.push = push

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        return "no_op_trigger.NoOpTrigger", {"path": self.path, "push": self.push}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the file."""
        if self.path not in _found:
            _found[self.path] = asyncio.Event()
            _tasks.append(asyncio.create_task(_find(self.path)))
        await _found[self.path].wait()
        if self.push:
            await asyncio.to_thread(self._push)
        yield TaskSuccessEvent()

    def _push(self) -> None:
        from airflow.sdk.execution_time.xcom import XCom

        ti: Any = self.task_instance
        XCom.set("return_value", {"a": "ok"}, dag_id=ti.dag_id, task_id=ti.task_id, run_id=ti.run_id)


async def _find(path: str) -> None:
    while not Path(path).exists():  # noqa: ASYNC110, ASYNC240 - a benchmark on a local disk
        await asyncio.sleep(0.25)
    _found[path].set()
