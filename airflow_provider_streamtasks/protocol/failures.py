"""How it is worded, in an exception and in a log, that Stream tasks failed or were not finished in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_provider_streamtasks.exceptions import StreamTaskException, StreamTaskTimeout
from airflow_provider_streamtasks.protocol import results
from airflow_provider_streamtasks.protocol.tasks import STREAM_TASKS, UNKNOWN, StreamTask


def failure(
    tasks: Sequence[StreamTask], still_open: Sequence[str] = (), noun: str = STREAM_TASKS.noun
) -> StreamTaskException:
    """
    Return the exception for Stream tasks that failed.

    :param tasks: the failed ones, at least one
    :param still_open: others of the same wait that were not finished when it ended
    :param noun: what one of them is called
    """
    first, error = tasks[0], tasks[0].failure
    lines = [describe_failure(task, noun) for task in tasks]
    if still_open:
        lines.append(f"Not finished when the wait ended: {in_words(still_open, noun)}")
    return StreamTaskException(
        "\n".join(lines),
        task_id=first.task_id,
        error_type=error.type,
        description=error.description,
        stack_trace=error.stack_trace,
        version=error.version,
        task_ids=[task.task_id for task in tasks],
        failed_items={item: reason for task in tasks for item, reason in task.failed_items.items()},
        created_at=first.created_at,
    )


def partial_failure(
    failed_items: Mapping[str, str], task_ids: Sequence[str], noun: str = STREAM_TASKS.noun
) -> StreamTaskException:
    """
    Return the exception for items that failed although Stream completed the work.

    :param failed_items: item -> reason, at least one
    :param task_ids: the Stream tasks that they belong to; none where Stream did the work at once
    :param noun: what one of them is called
    """
    text = results.in_words(failed_items)
    return StreamTaskException(
        f"Stream completed {in_words(task_ids, noun) if task_ids else 'the request'}, but {text}",
        task_id=task_ids[0] if task_ids else "",
        error_type="partial_failure",
        description=text,
        task_ids=task_ids,
        failed_items=failed_items,
    )


def timed_out(
    task_ids: Sequence[str], seconds: float, noun: str = STREAM_TASKS.noun, last_error: str = ""
) -> StreamTaskTimeout:
    """
    Return the exception for Stream tasks that were not finished after ``seconds``.

    :param last_error: why the last poll of one of them brought no status, in words; empty where all did
    """
    them = "it" if len(task_ids) == 1 else "them"
    now = (
        "The last poll brought no status, so it is not known whether Stream goes on with "
        f"{them}: {last_error}"
        if last_error
        else f"Waiting ended, not the work: Stream may go on with {them}."
    )
    return StreamTaskTimeout(
        f"Stream did not finish {in_words(task_ids, noun)} within {seconds:.10g} s. {now}",
        task_ids=task_ids,
        last_error=last_error,
    )


def describe_failure(task: StreamTask, noun: str = STREAM_TASKS.noun) -> str:
    """Return one line on why the work of a Stream task failed."""
    error = task.failure
    known = [error.type] if error.type != UNKNOWN else []
    reason = ": ".join([*known, error.description or "Stream gives no reason"])
    how = task.status if task.status not in results.GOOD else f"is {task.status}, but its work failed"
    return f"{noun.capitalize()} {task.task_id} {how}: {reason}"


def in_words(task_ids: Sequence[str], noun: str = STREAM_TASKS.noun) -> str:
    """Name Stream tasks in a sentence: all of a few, the first ones of many."""
    if len(task_ids) == 1:
        return f"the {noun} {task_ids[0]}"
    more = f" and {len(task_ids) - 10} more" if len(task_ids) > 10 else ""
    return f"{len(task_ids)} {noun}s: {', '.join(task_ids[:10])}{more}"
