"""``alert_text``: what a person needs to know at night about an Airflow task that failed."""

from __future__ import annotations

from collections.abc import Mapping, Set, Sized
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import conf
from jinja2 import pass_context
from jinja2.runtime import Context as JinjaContext

from airflow_provider_streamtasks._compat import redact
from airflow_provider_streamtasks.arguments import is_rendered
from airflow_provider_streamtasks.exceptions import StreamException, StreamTaskException
from airflow_provider_streamtasks.notifications.advice import READ_THE_LOG, advice
from airflow_provider_streamtasks.protocol.results import without_queries
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

    It takes the context of any callback, whatever is missing in it, and any exception. What Airflow masks in
    its logs is masked here too, and URLs in errors lose their query, which may be a signature.

    A template calls it without an argument: ``{{ macros.streamtasks.alert_text() }}``.

    :param context: what Airflow passes to the callback
    """
    error = stream_error(_of(context, "exception"))
    lines = (
        f"{_where(context)}: {_what(context, error)}",
        f"For: {_for_which(context, error)}",
        f"Since: {_since(context, error)}",
        f"What to do: {_what_to_do(context, error)}",
    )
    told = [_one_line(without_queries(line)) for line in lines]
    return redact("\n".join([*told, f"Log: {_log(context)}"]))


def stream_error(exception: object) -> StreamException | None:
    """
    Return what went wrong at Stream, if that is behind an exception; ``None`` otherwise.

    :param exception: the callback's ``exception``. It may be one of Airflow's, whose cause is Stream's.
    """
    while isinstance(exception, BaseException) and not isinstance(exception, StreamException):
        exception = exception.__cause__
    return exception if isinstance(exception, StreamException) else None


def _where(context: Context) -> str:
    ti = _task_instance(context)
    run_id = _run_id(context)
    facts = [f"run {run_id}"] if run_id else []
    name = _dag_id(context) or "An unknown DAG"
    if task_id := _of(ti, "task_id"):
        map_index = _of(ti, "map_index")
        mapped = isinstance(map_index, int) and map_index >= 0
        name += f".{task_id}[{map_index}]" if mapped else f".{task_id}"
        if isinstance(number := _of(ti, "try_number"), int):
            most = _of(ti, "max_tries")
            facts.append(f"try {number} of {most + 1}" if isinstance(most, int) else f"try {number}")
    verb = "missed its deadline" if _of(context, "deadline") else "failed"
    return f"{name} {verb}" + (f" ({', '.join(facts)})" if facts else "")


def _what(context: Context, error: StreamException | None) -> str:
    if error is None:
        exception = _of(context, "exception")
        if isinstance(exception, BaseException):
            return f"{type(exception).__name__}: {exception}"
        if due := _moment(_of(_of(context, "deadline"), "deadline_time")):
            return f"it was due at {due}"
        return str(exception or _of(context, "reason") or "Airflow does not tell the reason to this callback")
    submitter = _submitter(_of(context, "task"))
    operation = submitter.stream_operation.label if submitter else ""
    if isinstance(error, StreamTaskException):
        more = f" (one of {len(error.task_ids)} Stream tasks that failed)" if len(error.task_ids) > 1 else ""
        how = "failed" if error.error_type == UNKNOWN else f"ended with {error.error_type}"
        why = error.description or "Stream gives no reason"
        return f"{operation or 'a Stream task'} {how}: {why}{more}"
    told = error.describe()
    return told if told.startswith(operation) else f"{operation}: {told}"


def _for_which(context: Context, error: StreamException | None) -> str:
    if _task_instance(context) is None:
        return "the whole run"
    task, named = _of(context, "task"), []
    submitter = _submitter(task)
    spec = submitter.stream_operation.items if submitter else None
    if failed := _of(error, "failed_items"):
        named.append(_few("failed items", failed))
    elif spec and (items := _of(submitter, spec.name)):
        # Which batch failed is known to nobody but Stream.
        among = "some of " if isinstance(items, Sized) and len(items) > spec.cap else ""
        named.append(among + _few(spec.name, items))
    named.append(_few("Stream task", _of(error, "task_ids") or _of(task, "stream_task_id")))
    return "; ".join(filter(None, named)) or "no items at Stream"


def _since(context: Context, error: StreamException | None) -> str:
    known = {
        "the Stream task was created": _of(error, "created_at"),
        "this try began": _of(_task_instance(context), "start_date"),
        "the run began": _of(_of(context, "dag_run"), "start_date"),
    }
    told = [f"{what} {moment}" for what, value in known.items() if (moment := _moment(value))]
    return ", ".join(told[:2]) or "unknown"


def _what_to_do(context: Context, error: StreamException | None) -> str:
    if error is not None:
        return advice(error, submits=_operation(_of(context, "task")) is not None)
    if _of(context, "deadline"):
        return "See which Airflow task of the run is not finished, and what it waits for."
    if _task_instance(context) is None:
        return "See which Airflow tasks of the run failed, and read their logs."
    return READ_THE_LOG


def _log(context: Context) -> str:
    if url := _of(_task_instance(context), "log_url"):
        return str(url)
    dag_id, run_id = _dag_id(context), _run_id(context)
    run = f"/runs/{quote(str(run_id))}" if run_id else ""
    base: str = conf.get("api", "base_url", fallback=None) or "http://localhost:8080"
    return base.rstrip("/") + (f"/dags/{dag_id}{run}" if dag_id else "")


def _task_instance(context: Context) -> Any:
    # The callback of a DAG gets the Airflow task that happened to end last, which is not what it is about.
    return None if _of(context, "reason") else _of(context, "ti")


def _dag_id(context: Context) -> Any:
    return next(filter(None, (_of(_of(context, name), "dag_id") for name in ("ti", "dag_run", "dag"))), None)


def _run_id(context: Context) -> Any:
    run = _of(context, "dag_run")
    return _of(context, "run_id") or _of(_of(context, "ti"), "run_id") or _of(run, "dag_run_id")


def _operation(task: Any) -> Any:
    """Return the operation of Stream's that an Airflow task submits; ``None`` where it submits nothing."""
    return _of(task, "stream_operation")


def _submitter(task: Any) -> Any:
    """Return the Airflow task that submitted: this one, or the only one right before it that did."""
    if _operation(task):
        return task
    submitters = list(filter(_operation, _of(task, "upstream_list") or ()))
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


def _of(holder: Any, name: str) -> Any:
    """Return an entry or an attribute; ``None`` where there is none, or where it cannot be had."""
    # Nothing that only adorns an alert may keep it from being sent.
    with suppress(Exception):
        return holder.get(name) if isinstance(holder, Mapping | JinjaContext) else getattr(holder, name, None)
    return None
