"""Checks of what DAG authors write: each error names the argument, what was given, and what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from reprlib import repr as shortened
from typing import Any

from airflow_provider_streamtasks import _compat

MAX_SECONDS = 1e9
"""Seconds that an argument may ask for: 31 years, and less than what Airflow and Python can add to a date."""


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


def check_seconds(name: str, value: Any) -> float:
    """Return seconds, given as a number or a ``timedelta``."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(
            f"{name} is {shortened(value)}: a number of seconds, 0 or more, or a timedelta is needed, "
            f"and {MAX_SECONDS:,.0f} s at most"
        )
    return float(seconds)


def check_text(name: str, value: Any) -> str:
    """Return a string that must not be empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is {shortened(value)}: a non-empty string is needed")
    return value


def check_states(name: str, value: Any) -> tuple[int, ...]:
    """Return states of imports, which are numbers."""
    if isinstance(value, list | tuple | set | frozenset) and all(type(state) is int for state in value):
        return tuple(sorted(value))
    raise ValueError(f"{name} is {shortened(value)}: a list of whole numbers is needed")


def check_stream_task_ids(value: Any, name: str = "stream_task_id") -> list[str]:
    """Return the Stream tasks that an argument names: one id, or a list of them."""
    allowed = "an id that Stream gave out, or a list of ids, is needed"
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "("):
        raise ValueError(
            f"{name} is {shortened(value)}, a list that became text in a template: {allowed}. "
            "Pass the output of the Airflow task that submitted, or set render_template_as_native_obj=True "
            "on the DAG."
        )
    ids = [value] if isinstance(value, str) else value
    if not isinstance(ids, list | tuple | set | frozenset):
        hint = " Did the Airflow task that it comes from push an XCom?" if value is None else ""
        raise ValueError(f"{name} is {shortened(value)}: {allowed}.{hint}")
    for task_id in ids:
        if not isinstance(task_id, str) or task_id.strip() in ("", ".", "..", "None"):
            raise ValueError(f"{name} holds {shortened(task_id)}: {allowed}")
    return list(ids)
