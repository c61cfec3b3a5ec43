"""What newer releases of Airflow have and the oldest supported one (3.2) has not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import log as _log


async def amask_secret(secret: str) -> None:
    """Mask a secret in the logs of a process that runs an event loop."""
    mask = getattr(_log, "amask_secret", None)  # 3.3.2
    if mask is not None:
        await mask(secret)
    else:
        _log.mask_secret(secret)


def task_state_store(context: Mapping[str, Any]) -> Any | None:
    """Return the store that survives retries of the Airflow task; ``None`` before Airflow 3.3."""
    return context.get("task_state_store")
