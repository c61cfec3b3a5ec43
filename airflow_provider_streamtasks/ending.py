"""What keeps a completed wait from ending its Airflow task in the triggerer, where Airflow does less."""

from __future__ import annotations

from functools import cached_property, lru_cache
from inspect import getattr_static, isroutine
from typing import TYPE_CHECKING, Any

from airflow_provider_streamtasks import _compat

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import Operator

_PACKAGE = __name__.partition(".")[0]


def needs_worker_to_end(operator: BaseOperator) -> str | None:
    """Return why a completed wait must not end the Airflow task in the triggerer; ``None`` if it may."""
    if not _compat.RUNS_WITHOUT_WORKERS:
        return "Airflow is older than 3.3"
    if gone := _compat.gone_from_operators():
        return f"this release of Airflow has no {gone}"
    if operator.on_success_callback:
        return "on_success_callback would not be called"
    if operator.outlets:
        return "outlets would not be updated"
    if listeners := _compat.listeners():
        return f"listeners would not be told: {', '.join(listeners)}"
    if _compat.has_hook(operator, _compat.POST_EXECUTE):
        return "post_execute would not be called"
    if operator.multiple_outputs:
        return "multiple_outputs would not be pushed"
    if _compat.returns_dag_result(operator):
        return "its XCom would not become the result of the DAG run"
    if operator.map_index_template:
        return "map_index_template would not be rendered again"
    if changed := _overridden(type(operator)):
        return f"{type(operator).__name__} changes {', '.join(changed)}"
    if is_mapped_over(operator):
        return "mapped tasks depend on its XCom"
    return None


def is_mapped(operator: Operator) -> bool:
    """Return whether an operator is mapped, or stands in a mapped task group."""
    return operator.is_mapped or operator.get_closest_mapped_task_group() is not None


def is_mapped_over(operator: BaseOperator) -> bool:
    """Return whether Airflow makes mapped tasks of what an operator returns, which must be a list then."""
    return bool(operator.downstream_task_ids) and any(True for _ in operator.iter_mapped_dependants())


@lru_cache(maxsize=256)
def _overridden(cls: type) -> tuple[str, ...]:
    """Return the methods and properties of ours that a class overrides: the triggerer runs only ours."""
    ours = next(each for each in cls.__mro__ if each.__module__.partition(".")[0] == _PACKAGE)
    return tuple(
        name
        for name in dir(ours)
        if not name.startswith("__")
        and _is_behaviour(known := getattr_static(ours, name))
        and getattr_static(cls, name) is not known
    )


def _is_behaviour(attribute: Any) -> bool:
    return isroutine(attribute) or isinstance(
        attribute, property | cached_property | classmethod | staticmethod
    )
