"""What Airflow does around an Airflow task, as far as tests without an Airflow need it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import datetime, timezone
from importlib import import_module
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.triggers.base import TaskSuccessEvent

if TYPE_CHECKING:
    from tests.triggerer import Triggerer


class TaskInstance:
    """Keeps XComs as JSON, as Airflow does."""

    dag_id = "dag"
    task_id = "airflow_task"
    run_id = "run"
    map_index = -1
    try_number = 1
    max_tries = 0

    def __init__(self) -> None:
        self.id = uuid4()
        self.xcoms: dict[str, Any] = {}
        self.first_reschedule: datetime | None = None

    def xcom_push(self, key: str, value: Any, **_: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: Any = None, key: str = "return_value", **_: Any) -> Any:
        return self.xcoms.get(key)

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        return self.first_reschedule


class TaskStateStore:
    """Survives the tries of an Airflow task."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: Any, **_: Any) -> None:
        self.values[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        self.values.pop(key, None)

    def clear(self, **_: Any) -> None:
        self.values.clear()


class Run:
    """
    One Airflow task in one DAG run: what outlives the processes that carry it out.

    :ivar task: the operator that Airflow carries out, where a test says so
    """

    def __init__(self, **state: Any) -> None:
        self.ti = TaskInstance()
        self.task: Any = None
        self.store = TaskStateStore(**state)
        self.deferrals: list[TaskDeferred] = []
        self.events: list[Any] = []
        self.reschedules = 0

    @property
    def context(self) -> Any:
        """What Airflow passes to the operator."""
        context = {"ti": self.ti, "task_instance": self.ti, "task_state_store": self.store}
        return context if self.task is None else {**context, "task": self.task}

    @property
    def xcoms(self) -> dict[str, Any]:
        return self.ti.xcoms

    def execute(self, make: Callable[[], Any], triggerer: Triggerer | None = None) -> Any:
        """Carry out one try to its end, through deferrals and reschedules; return what it returns.

        :param make: makes the operator. Each leg is a process of its own at Airflow, so each gets a new one.
        :param triggerer: runs the triggers, which may end the Airflow task there; without one, they run as
            ``dag.test()`` runs them.
        """
        started = datetime.now(timezone.utc)
        self.ti.id = uuid4()
        leg: Callable[[], Any] = lambda: make().execute(self.context)  # noqa: E731
        while True:
            try:
                value = leg()
            except TaskDeferred as deferred:
                self.deferrals.append(deferred)
                if triggerer is None:
                    event = asyncio.run(fire(deferred))
                else:
                    fired = triggerer.fire(revived(deferred.trigger), self.ti)
                    self.xcoms.update(triggerer.xcoms)
                    triggerer.xcoms.clear()
                    if isinstance(fired, TaskSuccessEvent):
                        return None
                    event = as_another_process_sees_it(fired.payload)
                self.events.append(event)
                method = deferred.method_name
                leg = lambda: self.resume(make(), method, event=event)  # noqa: B023, E731
            except AirflowRescheduleException as rescheduled:
                self.reschedules += 1
                self.ti.first_reschedule = self.ti.first_reschedule or started
                time.sleep(max(0.0, rescheduled.reschedule_date.timestamp() - time.time()))
                leg = lambda: make().execute(self.context)  # noqa: E731
            else:
                if value is not None and make().do_xcom_push:
                    self.ti.xcom_push("return_value", value)
                return value

    def resume(self, operator: Any, method: str, **kwargs: Any) -> Any:
        """Go on with a deferred Airflow task on a worker."""
        return operator.resume_execution(method, kwargs, self.context)


class WithoutStore(Run):
    """An Airflow task before Airflow 3.3."""

    @property
    def context(self) -> Any:
        return {name: value for name, value in super().context.items() if name != "task_state_store"}


async def fire(deferred: TaskDeferred) -> Any:
    """Run the trigger as another process would, made anew; return the event's payload as it comes back."""
    event = await anext(aiter(revived(deferred.trigger).run()))
    return as_another_process_sees_it(event.payload)


def revived(trigger: Any) -> Any:
    """Return the trigger as another process makes it again."""
    path, kwargs = trigger.serialize()
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)(**as_another_process_sees_it(kwargs))


def as_another_process_sees_it(value: Any) -> Any:
    """Write a value down as Airflow does, and read it again."""
    # A quarter of what a process imports that only carries out an operator, as many that tests start do.
    from tests.airflow_names import deserialize, serialize

    return deserialize(json.loads(json.dumps(serialize(value))))
