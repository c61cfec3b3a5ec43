"""What the commands do: they read, and change nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from functools import wraps
from typing import Any

from airflow.cli.simple_table import AirflowConsole
from airflow.providers.common.compat.sdk import AirflowException
from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

from airflow_provider_streamtasks import configuration
from airflow_provider_streamtasks.arguments import given, parse_stream_task_ids
from airflow_provider_streamtasks.exceptions import StreamException
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol.fields import Seconds
from airflow_provider_streamtasks.protocol.tasks import StreamTask
from airflow_provider_streamtasks.protocol.wait import Outcome, Wait, WaitTerms

FAILED, TIMED_OUT = 3, 4
"""Exit statuses of ``task wait``; 1 and 2 mean an error and a mistake in the arguments, as everywhere."""

_Command = Callable[[Any], None]


def _command(command: _Command) -> _Command:
    """Make a command end in a sentence and exit status 1 where there would be a traceback."""

    @wraps(command)
    def ends_well(args: Any) -> None:
        try:
            command(args)
        except (AirflowException, StreamException, ValueError) as error:
            raise SystemExit(str(error)) from None

    wrapped: _Command = suppress_logs_and_warning(providers_configuration_loaded(ends_well))
    return wrapped


@_command
def get_task(args: Any) -> None:
    """Show a Stream task."""
    _print([_row(StreamHook(args.conn_id).get_task(args.stream_task_id))], args)


@_command
def wait_for_tasks(args: Any) -> None:
    """Wait for Stream tasks, and end with an exit status that says how they ended."""
    timeout = given("--timeout", args.timeout, Seconds(), configuration.timeout())
    hook = StreamHook(args.conn_id)
    terms = WaitTerms(timeout, configuration.poll_interval(), configuration.max_poll_interval())
    wait = Wait(parse_stream_task_ids(args.stream_task_id), terms, time.time())
    try:
        hook.carry_out(wait)
    except KeyboardInterrupt:
        print("Interrupted. Stream goes on with its tasks.", file=sys.stderr)
        raise SystemExit(130) from None
    if wait.error:
        raise wait.error
    ended = wait.ended()
    rows = [_row(task) for task in ended.finished]
    _print([*rows, *(_row(StreamTask(each, "not finished")) for each in ended.open_task_ids)], args)
    if wait.outcome is Outcome.FAILED:
        raise SystemExit(FAILED)
    if wait.outcome is Outcome.TIMED_OUT:
        raise SystemExit(TIMED_OUT)


@_command
def test_connection(args: Any) -> None:
    """Ask Stream whether key and secret are right."""
    is_good, message = StreamHook(args.conn_id).test_connection()
    if not is_good:
        raise SystemExit(message)
    print(message)


@_command
def list_waits(args: Any) -> None:
    """List the Airflow tasks that wait for Stream."""
    from airflow.utils.session import create_session

    from airflow_provider_streamtasks.ui import waits

    if args.limit < 1:
        raise ValueError(f"--limit is {args.limit}: 1 or more is needed")
    where = waits.Where(dag_id=args.dag_id)
    with create_session() as session:
        # A user of airflow's commands may read the whole database.
        found = waits.waits(where, waits.dag_ids(where, session), args.limit, session)
    flat = args.output in ("table", "plain")
    _print([_flat(each) if flat else each for each in found], args)


def _row(task: StreamTask) -> dict[str, Any]:
    """Return what is shown of a Stream task: no result, which may hold people and signed URLs."""
    return {
        "task_id": task.task_id,
        "status": task.status,
        "created_at": _moment(task.created_at),
        "updated_at": _moment(task.updated_at),
        "failed_items": len(task.failed_items),
        "error_type": task.failure.type if task.failed else None,
        "error": task.failure.description if task.failed else None,
    }


def _flat(wait: dict[str, Any]) -> dict[str, Any]:
    """Return a wait as a row of a table."""
    source = wait["ids_from"]
    ids = f"XCom {source['key']} of {source['task_id']}" if source else ", ".join(wait["stream_task_ids"])
    more = (wait["stream_task_count"] or 0) - len(wait["stream_task_ids"])
    return {
        "dag_id": wait["dag_id"],
        "run_id": wait["run_id"],
        "task_id": wait["task_id"],
        "map_index": wait["map_index"],
        "stream_tasks": f"{ids} and {more} more" if more > 0 else ids,
        "progress": _progress(wait["progress"]),
        "since": wait["since"],
        "deadline": wait["deadline"],
        "conn_id": wait["stream_conn_id"],
    }


def _progress(progress: dict[str, Any] | None) -> str | None:
    if progress is None:
        return None
    finished = f"{progress['finished']} of {progress['stream_tasks']} finished"
    return f"{finished}, {progress['status']} at {progress['said_at']}" if progress["said_at"] else finished


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc).isoformat()


def _print(rows: list[dict[str, Any]], args: Any) -> None:
    AirflowConsole().print_as(rows, output=args.output)
