"""What differs between the releases of Airflow, from the oldest supported one (3.1) to the newest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from airflow.providers.common.compat.sdk import get_listener_manager
from airflow.sdk import log as _log
from airflow.triggers.base import BaseTrigger

try:
    from airflow.sdk.exceptions import TaskDeferralTimeout as TaskDeferralTimeout
except ImportError:  # before Airflow 3.2
    from airflow.exceptions import TaskDeferralTimeout  # type: ignore[no-redef]  # noqa: F401

RUNS_WITHOUT_WORKERS = hasattr(BaseTrigger, "on_kill")
"""Whether an Airflow task may begin and end in the triggerer: since 3.3."""


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


def trigger_timeout(trigger: BaseTrigger) -> float | None:
    """
    Return the Unix time at which Airflow itself ends a trigger's wait; ``None`` where it does not.

    It is kept in Airflow's database, so it stays the same when the trigger moves to another triggerer.
    """
    ends: datetime | None = getattr(trigger, "timeout_after", None)
    if ends is None:
        return None
    # SQLite gives it back without its zone.
    return (ends if ends.tzinfo else ends.replace(tzinfo=timezone.utc)).timestamp()


def has_listeners() -> bool:
    """Tell whether a plugin listens to Airflow tasks, such as OpenLineage."""
    return bool(get_listener_manager().has_listeners)
