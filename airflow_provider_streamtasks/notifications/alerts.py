"""``alert_text``: what a person needs to know at night about an Airflow task or a run."""

from __future__ import annotations

from collections.abc import Mapping, Set, Sized
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import conf
from jinja2 import pass_context

from airflow_provider_streamtasks._compat import redact
from airflow_provider_streamtasks.arguments import is_rendered
from airflow_provider_streamtasks.exceptions import StreamException, StreamTaskException
from airflow_provider_streamtasks.notifications.advice import READ_THE_LOG, advice
from airflow_provider_streamtasks.notifications.context import (
    Occasion,
    dag_id,
    earliest_retry,
    is_about_run,
    occasion,
    of,
    run_id,
    task_instance,
)
from airflow_provider_streamtasks.protocol.signatures import without_queries
from airflow_provider_streamtasks.protocol.tasks import UNKNOWN

if TYPE_CHECKING:
    from airflow.sdk import Context

NAMED = 3
"""Items, or Stream tasks, that an alert names; of the others it gives the number."""

MAX_LINE = 600
"""Characters of a line at most."""


@pass_context
def alert_text(context: Context) -> str:
    """
    Return five lines on a failure: what failed, for which items, since when, what to do, where the log is.

    It takes the context of any callback, even an incomplete one, and any exception. In a callback of a
    success, a skip, a retry or a beginning it says so. Values that Airflow masks in its logs are masked here,
    too, and URLs in errors lose their query, which may be a signature.

    A template calls it without an argument: ``{{ macros.streamtasks.alert_text() }}``.

    :param context: what Airflow passes to the callback
    """
    error = stream_error(of(context, "exception"))
    why = occasion(context)
    has_reason = why.is_failure or why in (Occasion.LATE, Occasion.UNKNOWN)
    lines = (
        _where(context, why) + (f": {_what(context, error)}" if has_reason else ""),
        f"For: {_for_which(context, error)}",
        f"Since: {_since(context, error)}",
        f"What to do: {_what_to_do(context, why, error)}",
    )
    text = [_one_line(without_queries(line)) for line in lines]
    return redact("\n".join([*text, f"Log: {_log(context)}"]))


def stream_error(exception: object) -> StreamException | None:
    """
    Return what went wrong at Stream, if that is behind an exception; ``None`` otherwise.

    :param exception: the callback's ``exception``. It may be one of Airflow's, whose cause is Stream's.
    """
    seen: set[int] = set()  # who raises an error from itself makes it its own cause
    while isinstance(exception, BaseException) and not isinstance(exception, StreamException):
        seen.add(id(exception))
        exception = None if id(exception.__cause__) in seen else exception.__cause__
    return exception if isinstance(exception, StreamException) else None


def _where(context: Context, why: Occasion) -> str:
    ti, run = task_instance(context), run_id(context)
    facts = [f"run {run}"] if run else []
    name = dag_id(context) or "An unknown DAG"
    if task_id := of(ti, "task_id"):
        map_index = of(ti, "map_index")
        mapped = isinstance(map_index, int) and map_index >= 0
        name += f".{task_id}[{map_index}]" if mapped else f".{task_id}"
        if isinstance(number := of(ti, "try_number"), int):
            most = of(ti, "max_tries")
            facts.append(f"try {number} of {most + 1}" if isinstance(most, int) else f"try {number}")
    return f"{name} {why.value}" + (f" ({', '.join(facts)})" if facts else "")


def _what(context: Context, error: StreamException | None) -> str:
    if error is None:
        exception = of(context, "exception")
        if isinstance(exception, BaseException):
            return f"{type(exception).__name__}: {exception}"
        if due := _moment(of(of(context, "deadline"), "deadline_time")):
            return f"it was due at {due}"
        return str(exception or of(context, "reason") or "Airflow does not tell the reason to this callback")
    submitter = _submitter(of(context, "task"))
    operation = submitter.stream_operation.label if submitter else ""
    if isinstance(error, StreamTaskException):
        more = f" (one of {len(error.task_ids)} Stream tasks that failed)" if len(error.task_ids) > 1 else ""
        how = "failed" if error.error_type == UNKNOWN else f"ended with {error.error_type}"
        why = error.description or "Stream gives no reason"
        return f"{operation or 'a Stream task'} {how}: {why}{more}"
    text = error.describe()
    return text if text.startswith(operation) else f"{operation}: {text}"


def _for_which(context: Context, error: StreamException | None) -> str:
    if task_instance(context) is None:
        return "the whole run"
    task, named = of(context, "task"), []
    submitter = _submitter(task)
    spec = submitter.stream_operation.items if submitter else None
    if failed := of(error, "failed_items"):
        named.append(_few("failed items", failed))
    elif spec and (items := of(submitter, spec.name)):
        # Only Stream knows which batch failed.
        among = "some of " if isinstance(items, Sized) and len(items) > spec.cap else ""
        named.append(among + _few(spec.name, items))
    named.append(_few("Stream task", of(error, "task_ids") or of(task, "stream_task_id")))
    return "; ".join(filter(None, named)) or "no items at Stream"


def _since(context: Context, error: StreamException | None) -> str:
    known = {
        "the Stream task was created": of(error, "created_at"),
        "this try began": of(task_instance(context), "start_date"),
        "the run began": of(of(context, "dag_run"), "start_date"),
    }
    dates = [f"{what} {moment}" for what, value in known.items() if (moment := _moment(value))]
    return ", ".join(dates[:2]) or "unknown"


def _what_to_do(context: Context, why: Occasion, error: StreamException | None) -> str:
    if why is Occasion.SKIPPED:
        return "Nothing, unless it should have run: the log says why it was skipped."
    if why in (Occasion.BEGAN, Occasion.SUCCEEDED):
        return "Nothing."
    if why is Occasion.LATE:
        return "See which Airflow task of the run is not finished, and what it waits for."
    if why is Occasion.RETRY:
        moment = _moment(earliest_retry(context))
        when = f", not before {moment}" if moment else ""
        return f"Wait: Airflow tries it again{when}. {of(error, 'advice') or ''}"
    if why is Occasion.FAILED_AT_LEAST_ONCE:
        return f"See in Airflow whether it is tried again. If not: {READ_THE_LOG}"
    if why is Occasion.UNKNOWN:
        return "Look at the DAG's page."
    if is_about_run(context):
        return "See which Airflow tasks of the run failed, and read their logs."
    if error is not None:
        return advice(error, submits=_submits(of(context, "task")))
    return READ_THE_LOG


def _log(context: Context) -> str:
    if url := of(task_instance(context), "log_url"):
        return str(url)
    dag, run = dag_id(context), run_id(context)
    base: str = conf.get("api", "base_url", fallback=None) or "http://localhost:8080"
    return (
        base.rstrip("/")
        + (f"/dags/{dag}" if dag else "")
        + (f"/runs/{quote(str(run))}" if dag and run else "")
    )


def _operation(task: Any) -> Any:
    """Return the operation of Stream's that an Airflow task submits; ``None`` where it submits nothing."""
    return of(task, "stream_operation")


def _submits(task: Any) -> bool | None:
    """Return whether clearing an Airflow task submits to Stream; ``None`` where that is not known."""
    if _operation(task):
        return True
    # Any other may call operators, or the hook.
    return False if of(task, "awaited_task_ids") else None


def _submitter(task: Any) -> Any:
    """Return the Airflow task that submitted: this one, or the only one right before it that did."""
    if _operation(task):
        return task
    submitters = list(filter(_operation, of(task, "upstream_list") or ()))
    return submitters[0] if len(submitters) == 1 else None


def _few(kind: str, named: Any) -> str:
    """Name the first ones and count the others; an empty string where there is none, or only a template."""
    names = list(named) if isinstance(named, list | tuple | Set | Mapping) else [named]
    first = [_name(each) for each in names[:NAMED] if each and is_rendered(each)]
    more = f" and {len(names) - len(first)} more" if len(names) > len(first) else ""
    return f"{kind} {', '.join(first)}{more}" if first else ""


def _name(item: Any) -> str:
    if isinstance(item, Mapping):
        return str(item.get("cid") or item.get("id") or dict(item))
    return str(item)


def _moment(value: Any) -> str:
    """Return a point in time in words; an empty string where there is none."""
    if isinstance(value, int | float):
        value = datetime.fromtimestamp(value, timezone.utc)
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    return str(value or "")


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_LINE else f"{line[: MAX_LINE - 1]}…"
