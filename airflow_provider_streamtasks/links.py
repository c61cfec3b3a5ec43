"""The link "Stream tasks" on every operator and sensor, and which classes these are."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from inspect import getmembers, isclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from airflow.providers.common.compat.sdk import BaseOperatorLink, conf

from airflow_provider_streamtasks.ending import is_mapped
from airflow_provider_streamtasks.provider_info import get_provider_info

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

PAGE = "stream-tasks"
"""The last part of the page's address."""


def root() -> str:
    """Return the path at which Airflow's UI is served, without a slash at its end: mostly an empty text."""
    return urlsplit(conf.get("api", "base_url", fallback=None) or "").path.rstrip("/")


def task_classes() -> list[type[BaseOperator]]:
    """Return every operator and sensor that the provider describes to Airflow."""
    from airflow.sdk import BaseOperator

    return [
        each
        for module in _modules()
        for name, each in getmembers(import_module(module), isclass)
        if issubclass(each, BaseOperator) and each.__module__ == module and not name.startswith("_")
    ]


def _modules() -> Iterator[str]:
    info = get_provider_info()
    for kind in ("operators", "sensors"):
        for group in info[kind]:
            yield from group["python-modules"]
    for transfer in info["transfers"]:
        yield transfer["python-module"]


class StreamTasksLink(BaseOperatorLink):
    """
    Leads from a task instance to the page that says what it waits for at Stream.

    The plugin registers it, so that Airflow's API server makes it when it is shown: it needs neither a worker
    nor an XCom, and is there while the Airflow task is deferred.
    """

    name = "Stream tasks"

    @cached_property
    def operators(self) -> list[type[BaseOperator]]:  # type: ignore[override]
        """The classes whose task instances have it: exactly these, not what users derive from them."""
        return task_classes()

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the address of the page, for this task instance alone."""
        asked: dict[str, Any] = {"dag_id": ti_key.dag_id, "run_id": ti_key.run_id, "task_id": ti_key.task_id}
        # In a loop (3.4) the key has the iteration in place of the map index: there the page shows them all.
        if ti_key.map_index >= 0 and is_mapped(operator):
            asked["map_index"] = ti_key.map_index
        return f"{root()}/plugin/{PAGE}?{urlencode(asked)}"
