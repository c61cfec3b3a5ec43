"""Checks of what DAG authors write: each error names the argument, what was given, and what is allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import timedelta
from reprlib import repr as shortened
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_streamtasks import _compat

MAX_SECONDS = 1e9
"""Seconds that an argument may ask for: 31 years, and less than what Airflow and Python can add to a date."""


class NoStreamTaskError(AirflowFailException, ValueError):
    """
    No Airflow task that should have named a Stream task has run.

    Airflow does not retry it: no retry makes them run.
    """


def in_fixed_order(value: Any) -> Any:
    """
    Return an argument without sets, whose order is another one in each process.

    What is stored of a DAG must not change from parse to parse: each change is a new version of the DAG.
    """
    if isinstance(value, dict):
        return {key: in_fixed_order(each) for key, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(in_fixed_order, value))
    if isinstance(value, set | frozenset):
        return sorted(map(in_fixed_order, value), key=repr)
    return value


def is_rendered(value: Any) -> bool:
    """Tell whether a templated argument has its value already, or gets it when the Airflow task runs."""
    if isinstance(value, Mapping):
        return all(map(is_rendered, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(is_rendered, value))
    return not _compat.is_resolvable(value) and not (isinstance(value, str) and "{" in value)


def check_flag(name: str, value: Any) -> bool:
    """Return a value that must be true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {shortened(value)}: True or False is needed")
    return value


def parse_seconds(name: str, value: Any) -> float:
    """Return seconds, given as a number or a ``timedelta``."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(
            f"{name} is {shortened(value)}: a number of seconds, 0 or more, or a timedelta is needed, "
            f"and {MAX_SECONDS:,.0f} s at most"
        )
    return float(seconds)


def check_bytes(name: str, value: Any) -> int:
    """Return a size."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} is {shortened(value)}: a number of bytes, 0 or more, is needed")
    return value


def check_text(name: str, value: Any) -> str:
    """Return a string that must not be empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is {shortened(value)}: a non-empty string is needed")
    return value


def parse_states(name: str, value: Any) -> tuple[int, ...]:
    """Return states of imports, which are numbers."""
    if isinstance(value, list | tuple | set | frozenset) and all(type(state) is int for state in value):
        return tuple(sorted(value))
    raise ValueError(f"{name} is {shortened(value)}: a list of whole numbers is needed")


def parse_stream_task_ids(value: Any, name: str = "stream_task_id") -> list[str]:
    """
    Return the Stream tasks that an argument names: one id, or a list of them.

    Lists inside the list are joined, because an operator's output may be one. ``None`` inside the list is the
    output of an Airflow task that did not run, and is left out where there is anything else.

    :raises NoStreamTaskError: if there is nothing but ``None``
    :raises ValueError: for anything else that is not an id
    """
    allowed = "an id that Stream gave out, or a list of ids, is needed"
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "("):
        raise ValueError(
            f"{name} is {shortened(value)}, a list that became text in a template: {allowed}. "
            "Pass the output of the Airflow task that submitted, or set render_template_as_native_obj=True "
            "on the DAG."
        )
    if value is not None and not isinstance(value, str) and not _is_list(value):
        raise ValueError(f"{name} is {shortened(value)}: {allowed}")
    ids: list[Any] = []
    if not _collect(value, ids):
        raise NoStreamTaskError(
            f"{name} is {shortened(value)}: no Airflow task that it comes from has pushed an id. Each was "
            "skipped, or returned nothing, and no retry changes that. With "
            "trigger_rule='none_failed_min_one_success' this Airflow task is skipped where all of them are. "
            "An Airflow task that leaves nothing to wait for can return an empty list."
        )
    for task_id in ids:
        if not isinstance(task_id, str) or task_id.strip() in ("", ".", "..", "None"):
            raise ValueError(f"{name} holds {shortened(task_id)}: {allowed}")
    return ids


def _collect(value: Any, ids: list[Any]) -> bool:
    """Add the ids of an argument to a list, and return whether any Airflow task has given some, or none."""
    if value is None:
        return False
    if not _is_list(value):
        ids.append(value)
        return True
    given = [_collect(each, ids) for each in in_fixed_order(value)]
    # The output of a mapped Airflow task is no list proper. Where it is empty, nobody has pushed anything.
    return any(given) if given else isinstance(value, list | tuple | Set)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence | Set) and not isinstance(value, str | bytes)
