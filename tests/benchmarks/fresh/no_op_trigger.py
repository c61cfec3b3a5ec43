"""The least that an Airflow task in the triggerer can be: it ends when a file appears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent


class NoOpTrigger(BaseTrigger):
    """
    End the Airflow task in success when a file is there.

    :param path: the file
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the argument."""
        return "no_op_trigger.NoOpTrigger", {"path": self.path}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the file."""
        while not Path(self.path).exists():  # noqa: ASYNC110, ASYNC240 - a benchmark on a local disk
            await asyncio.sleep(0.5)
        yield TaskSuccessEvent()
