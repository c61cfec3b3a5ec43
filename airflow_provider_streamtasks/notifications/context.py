"""What the context of a callback says, even an incomplete one, in each process that runs callbacks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf
from jinja2.runtime import Context as JinjaContext

if TYPE_CHECKING:
    from airflow.sdk import Context


class Occasion(Enum):
    """Why Airflow runs a callback, in the words of an alert."""

    BEGAN = "began"
    SUCCEEDED = "succeeded"
    SKIPPED = "was skipped"
    RETRY = "failed and will be tried again"
    FAILED = "failed"
    LATE = "missed its deadline"
    FAILED_AT_LEAST_ONCE = "failed, and may be tried again"
    UNKNOWN = "ran a callback"

    @property
    def is_failure(self) -> bool:
        """Whether something failed, for good or not."""
        return self in (Occasion.RETRY, Occasion.FAILED, Occasion.FAILED_AT_LEAST_ONCE)


_BY_STATE = {
    "success": Occasion.SUCCEEDED,
    "skipped": Occasion.SKIPPED,
    "up_for_retry": Occasion.RETRY,
    "failed": Occasion.FAILED,
    "running": Occasion.BEGAN,
}


def of(holder: Any, name: str) -> Any:
    """Return an entry or an attribute; ``None`` where there is none, or where it cannot be had."""
    # A missing detail must not keep an alert from being sent.
    with suppress(Exception):
        return holder.get(name) if isinstance(holder, Mapping | JinjaContext) else getattr(holder, name, None)
    return None


def occasion(context: Context) -> Occasion:
    """Return why Airflow runs the callback; :attr:`Occasion.UNKNOWN` where the context does not tell."""
    if of(context, "deadline"):
        return Occasion.LATE
    if is_about_run(context):
        # The DAG processor passes a reason; only the run's state says which callback it is.
        ended = _BY_STATE.get(of(of(context, "dag_run"), "state"))
        if ended in (Occasion.SUCCEEDED, Occasion.FAILED):
            return ended
        return Occasion.SUCCEEDED if of(context, "reason") == "success" else Occasion.FAILED
    ti = of(context, "ti")
    by_state = _BY_STATE.get(of(ti, "state"), Occasion.UNKNOWN)
    if of(context, "exception") and by_state in (Occasion.BEGAN, Occasion.UNKNOWN):
        return Occasion.FAILED
    if ti is not None and by_state is Occasion.UNKNOWN:
        return _ended_by_the_scheduler(ti, of(context, "task"))
    return by_state


def _ended_by_the_scheduler(ti: Any, task: Any) -> Occasion:
    """Tell what became of an Airflow task whose process died."""
    # Airflow 3.1 to 3.3: only then there is a task instance without a state. The DAG processor runs
    # on_retry_callback or on_failure_callback and does not say which.
    number, most = of(ti, "try_number"), of(ti, "max_tries")
    if isinstance(number, int) and isinstance(most, int) and number > most:
        return Occasion.FAILED
    on_retry, on_failure = bool(of(task, "on_retry_callback")), bool(of(task, "on_failure_callback"))
    if on_retry is on_failure:
        return Occasion.FAILED_AT_LEAST_ONCE
    return Occasion.RETRY if on_retry else Occasion.FAILED


def identity(context: Context) -> tuple[Any, ...]:
    """Return what tells this event from others, and is the same however often its callback runs."""
    why, ti = occasion(context), of(context, "ti")
    place = [of(ti, name) for name in ("task_id", "map_index", "try_number")]
    run = of(context, "dag_run")
    return (
        # Two processes may tell of one failure, and one of them may not know whether it is final.
        Occasion.FAILED.name if why.is_failure else why.name,
        dag_id(context),
        run_id(context),
        *place,
        # A run that was cleared may end the same way once more.
        of(run, "clear_number") if is_about_run(context) else None,
        of(of(context, "deadline"), "id"),
    )


def is_about_run(context: Context) -> bool:
    """Return whether it is a callback of the DAG, not of one of its Airflow tasks."""
    # Its context names the Airflow task that happened to end last.
    return bool(of(context, "reason"))


def task_instance(context: Context) -> Any:
    """Return the instance of the Airflow task that the callback is about; ``None`` if it is about the run."""
    return None if is_about_run(context) else of(context, "ti")


def dag_id(context: Context) -> Any:
    """Return the DAG's id."""
    return next(filter(None, (of(of(context, name), "dag_id") for name in ("ti", "dag_run", "dag"))), None)


def run_id(context: Context) -> Any:
    """Return the run's id."""
    run = of(context, "dag_run")
    return of(context, "run_id") or of(of(context, "ti"), "run_id") or of(run, "dag_run_id")


def earliest_retry(context: Context) -> datetime | None:
    """Return when Airflow tries again at the earliest; ``None`` where only its scheduler can tell."""
    ti, task = of(context, "ti"), of(context, "task")
    ended, delay = of(ti, "end_date"), of(task, "retry_delay")
    # Airflow 3.3 does not tell callbacks what a retry policy has decided.
    if not isinstance(ended, datetime) or not isinstance(delay, timedelta) or of(task, "retry_policy"):
        return None
    longest = timedelta(seconds=conf.getint("core", "max_task_retry_delay", fallback=24 * 60 * 60))
    growth = of(task, "retry_exponential_backoff")
    growth = 2.0 if growth is True else float(growth or 1)  # a bool before Airflow 3.2
    if growth != 1:
        # Airflow waits for this long, and up to twice of it.
        try:
            delay = timedelta(seconds=math.ceil(delay.total_seconds() * growth ** (ti.try_number - 1)))
        except OverflowError:
            delay = longest
        most = of(task, "max_retry_delay")
        delay = min(delay, longest, most if isinstance(most, timedelta) else longest)
    return ended + delay
