"""Checks of what DAG authors write: each error names the argument, what was given, and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from itertools import pairwise
from reprlib import repr as shortened
from typing import Any, TypeVar

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.protocol.fields import Field, quoted
from airflow_provider_streamtasks.protocol.wire import is_segment

T = TypeVar("T")
D = TypeVar("D")

_TEMPLATE = re.compile(r"{[{%#]")
_EXPRESSION = re.compile(r"(?:\s*{{-|{{).*?(?:-}}\s*|}})", re.DOTALL)
_NOT_RENDERED = (
    "Airflow has not rendered this template. It renders only those of the Airflow task that runs: for an "
    "operator inside it, call render_template_fields(context) before execute(context)"
)


class NoStreamTaskError(AirflowFailException, ValueError):
    """
    No Airflow task that should have named a Stream task has run.

    Airflow does not retry it: no retry makes them run.
    """


def in_fixed_order(value: Any) -> Any:
    """
    Return an argument without sets, whose order is another one in each process.

    A stored DAG must not change from parse to parse: each change is a new version of the DAG.
    """
    if isinstance(value, dict):
        return {key: in_fixed_order(each) for key, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(in_fixed_order, value))
    if isinstance(value, set | frozenset):
        return sorted(map(in_fixed_order, value), key=repr)
    return value


def in_lists(value: Any) -> Any:
    """Return a rendered argument as JSON knows it: the output of a mapped Airflow task is no list proper."""
    if isinstance(value, Mapping):
        return {key: in_lists(each) for key, each in value.items()}
    return [in_lists(each) for each in in_fixed_order(value)] if _is_list(value) else value


def is_rendered(value: Any) -> bool:
    """Return whether a templated argument has its value already, or gets it when the Airflow task runs."""
    if isinstance(value, Mapping):
        return all(map(is_rendered, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(is_rendered, value))
    return not _compat.is_resolvable(value) and not (isinstance(value, str) and "{" in value)


def check_rendered(name: str, given: Any, value: Any) -> None:
    """
    Check that Airflow has put a value in the place of every template in an argument.

    :param given: what the DAG's author gave
    :param value: what is there when the Airflow task runs
    :raises ValueError: where it put none, or the template gave none: without a filter or a new owner that was
        asked for, more would be done than was meant
    """
    if isinstance(given, Mapping) and isinstance(value, Mapping):
        for key in given.keys() & value.keys():
            check_rendered(f"{name}[{key!r}]", given[key], value[key])
    elif isinstance(given, list | tuple) and isinstance(value, list | tuple):
        for place, (one, other) in enumerate(zip(given, value, strict=False)):
            check_rendered(f"{name}[{place}]", one, other)
    elif not is_rendered(given):
        if value is None or (isinstance(value, str) and _holds_none(given, value)):
            why = "its template, or the Airflow task whose output it is, gave None"
            raise ValueError(f"{name} is {quoted(value)}: {why}")
        as_given = isinstance(value, str) and value == given and _TEMPLATE.search(value)
        if as_given or _compat.is_resolvable(value):
            raise ValueError(f"{name} is {shortened(value)}: {_NOT_RENDERED}")


def _holds_none(given: Any, value: str) -> bool:
    """Return whether a text has None where an expression stood: Jinja writes it, and it is somebody's id."""
    template = str(given).replace("\r\n", "\n").removesuffix("\n")  # as Jinja reads it
    texts = pairwise(_EXPRESSION.split(f"\0{template}\0"))
    # Between expressions without a text, nobody can tell whose the None is.
    holes = [f"{before}None{after}" for before, after in texts if before and after]
    return value == "None" or any(hole in f"\0{value}\0" for hole in holes)


def given(name: str, value: Any, field: Field[T], default: D) -> T | D:
    """
    Return what an argument says, or its default where it is ``None``.

    :raises ValueError: naming the argument, what was given and what is allowed
    """
    value = default if value is None else value
    return default if value is None else field.parse(name, value)


def known(name: str, value: Any, field: Field[T]) -> T:
    """
    Return a templated argument, checked if it has its value already.

    :raises ValueError: naming the argument, what was given and what is allowed
    """
    return field.parse(name, value) if is_rendered(value) else value


def in_place_of_output(value: Any) -> str:
    """Return how to give an output, of what was given in its place; an empty string for anything else."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "("):
        return (
            ". It is a list that became text in a template: pass the output of the Airflow task, or set "
            "render_template_as_native_obj=True on the DAG"
        )
    if hasattr(value, "expand") and hasattr(value, "override"):
        return f". {value.__name__!r} is a function with @task: call it"
    is_task = hasattr(value, "task_id") and hasattr(value, "output")
    return ". It is an Airflow task: give its .output" if is_task else ""


def parse_states(completed: Any, failed: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the states of imports that mean success, and those that mean failure. They are numbers."""
    for name, value in (("completed_states", completed), ("failed_states", failed)):
        if not (isinstance(value, list | tuple | set | frozenset) and {*map(type, value)} <= {int}):
            raise ValueError(f"{name} is {quoted(value)}: a list of whole numbers is needed")
    if both := set(completed) & set(failed):
        raise ValueError(f"failed_states holds {min(both)}, and so does completed_states: it means one thing")
    return tuple(sorted(completed)), tuple(sorted(failed))


def parse_stream_task_ids(value: Any, name: str = "stream_task_id") -> list[str]:
    """
    Return the Stream tasks that an argument names: one id, or a list of them.

    Lists inside the list are joined, because an operator's output may be one. ``None`` inside the list is the
    output of an Airflow task that did not run, and is left out where there is anything else.

    :raises NoStreamTaskError: if there is nothing but ``None``
    :raises ValueError: for anything else that is not an id
    """
    allowed = "an id that Stream gave out, or a list of ids, is needed"
    hint = in_place_of_output(value)
    if hint or not (value is None or isinstance(value, str) or _is_list(value)):
        raise ValueError(f"{name} is {quoted(value)}: {allowed}{hint}")
    ids: list[Any] = []
    if not _collect(value, ids):
        raise NoStreamTaskError(
            f"{name} is {shortened(value)}: no Airflow task that it comes from has pushed an id. Each was "
            "skipped, or returned nothing, and no retry changes that. With "
            "trigger_rule='none_failed_min_one_success' this Airflow task is skipped if all of them are. "
            "An Airflow task with nothing to wait for can return an empty list."
        )
    for task_id in ids:
        text = task_id.strip() if isinstance(task_id, str) else ""
        if text == "None" or not is_segment(text):
            raise ValueError(f"{name} holds {quoted(task_id)}: {allowed}{in_place_of_output(task_id)}")
        if _TEMPLATE.search(task_id):
            raise ValueError(f"{name} holds {shortened(task_id)}: {_NOT_RENDERED}")
    return ids


def _collect(value: Any, ids: list[Any]) -> bool:
    """Add the ids of an argument to a list, and return whether any Airflow task has given some, or none."""
    if value is None:
        return False
    if not _is_list(value):
        ids.append(value)
        return True
    given = [_collect(each, ids) for each in in_fixed_order(value)]
    # The output of a mapped Airflow task is no plain list. If it is empty, nobody has pushed anything.
    return any(given) if given else isinstance(value, list | tuple | Set)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence | Set) and not isinstance(value, str | bytes | bytearray)
