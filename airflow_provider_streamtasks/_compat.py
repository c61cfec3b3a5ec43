"""
What differs between the releases of Airflow, from the oldest supported one (3.1) to the newest.

What other packages do not promise to keep stands here too, each a :class:`Private` name. Where one is gone,
the provider takes the safe way and says so in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf, get_listener_manager
from airflow.sdk import BaseSensorOperator
from airflow.sdk import log as _log
from airflow.triggers.base import BaseTrigger

try:
    from airflow.sdk.exceptions import TaskDeferralTimeout as TaskDeferralTimeout
except ImportError:  # before Airflow 3.2
    from airflow.exceptions import TaskDeferralTimeout  # type: ignore[no-redef]  # noqa: F401

if TYPE_CHECKING:
    from typing import TypeGuard

    from airflow.sdk import Context
    from airflow.sdk.definitions.xcom_arg import PlainXComArg

log = logging.getLogger(__name__)

RUNS_WITHOUT_WORKERS = hasattr(BaseTrigger, "on_kill")
"""Whether an Airflow task may begin and end in the triggerer: since 3.3."""


def _release() -> tuple[int, ...]:
    from airflow import __version__

    return tuple(int(part) for part in __version__.split(".")[:2])


KEEPS_TABS_OFF_OTHERS = _release() >= (3, 4)
"""Whether a tab may be kept to some operators. Before 3.4 the key for it is ignored without a word."""


@dataclass(eq=False)
class Private:
    """
    A name that its package does not promise to keep.

    :param place: ``module:name``, where the name may be ``Class.attribute``
    :param otherwise: what the provider does where it is gone
    """

    place: str
    otherwise: str

    @cached_property
    def _found(self) -> list[Any]:
        module, _, name = self.place.partition(":")
        try:
            return [attrgetter(name)(import_module(module))]
        except (ImportError, AttributeError):
            log.warning("%s is not in this installation: %s", self.place, self.otherwise)
            return []

    @property
    def is_there(self) -> bool:
        """Whether it is still there. If not, the log says so, once."""
        return bool(self._found)

    @property
    def value(self) -> Any:
        """What it stands for; ``None`` where it is gone."""
        return self._found[0] if self._found else None


_ON_WORKER = "sensors begin and end on a worker"

RESOLVABLE = Private(
    "airflow.sdk.definitions._internal.mixins:ResolveMixin",
    "what has a method resolve() counts as a template",
)
TASK_OUTPUT = Private("airflow.sdk.definitions.xcom_arg:PlainXComArg", _ON_WORKER)
OPERATOR_IS_MADE = Private("airflow.sdk:BaseOperator._BaseOperator__instantiated", _ON_WORKER)
PRE_EXECUTE = Private("airflow.sdk:BaseOperator._pre_execute_hook", _ON_WORKER)
POST_EXECUTE = Private("airflow.sdk:BaseOperator._post_execute_hook", _ON_WORKER)
NEXT_POKE = Private(
    "airflow.sdk:BaseSensorOperator._get_next_poke_interval",
    "sensors that poke wake up every poke_interval. Stream is asked no more often for it.",
)
REDACT = Private(
    "airflow.providers.common.compat.sdk:redact",
    "alerts do not say what happened, because it could hold a secret",
)
TASK_STATES = Private(
    "airflow.sdk.execution_time.task_runner:RuntimeTaskInstance.get_task_states",
    "imports go on when their Airflow tasks are killed while they are deferred",
)

_ONLY_TIMEOUTS = (
    "on workers, a request may take longer than its request_timeout: each wait for some bytes restarts it"
)
NEW_CONNECTION = Private("urllib3.connection:HTTPConnection._new_conn", _ONLY_TIMEOUTS)
RESPONSE_CLASS = Private("http.client:HTTPConnection.response_class", _ONLY_TIMEOUTS)
DELETE_XCOM = Private(
    "airflow.sdk.execution_time.comms:DeleteXCom",
    "where there is no XCom to delete, the log of the triggerer has an error that is none",
)

WITHHELD = (
    "What happened is not told here, because this release of Airflow offers no way to mask secrets: "
    "read the log of the Airflow task."
)
"""Stands for a text in which there may be a secret."""


def keeps_deadlines() -> bool:
    """Return whether a request over ``requests`` can be limited as a whole."""
    return all(name.is_there for name in (NEW_CONNECTION, RESPONSE_CLASS))


def gone_from_operators() -> str | None:
    """Return the first name that is gone of those needed to do without workers; ``None`` if none is gone."""
    names = (OPERATOR_IS_MADE, PRE_EXECUTE, POST_EXECUTE, TASK_OUTPUT)
    return next((name.place for name in names if not name.is_there), None)


def is_made(operator: Any) -> bool:
    """Return whether the ``__init__`` of an operator has run to its end; False where that cannot be told."""
    return bool(getattr(operator, "_BaseOperator__instantiated", False))


def has_hook(operator: Any, hook: Private) -> bool:
    """Return whether an operator was given :data:`PRE_EXECUTE` or :data:`POST_EXECUTE`."""
    return getattr(operator, hook.place.rpartition(".")[2], None) is not None


def returns_dag_result(operator: Any) -> bool:
    """Return whether the XCom of an operator is the result of its DAG, which may be named since 3.3."""
    return bool(getattr(operator, "returns_dag_result", False))


def is_task_output(value: Any) -> TypeGuard[PlainXComArg]:
    """Return whether a value is one whole XCom of another Airflow task."""
    return TASK_OUTPUT.is_there and isinstance(value, TASK_OUTPUT.value)


def is_resolvable(value: Any) -> bool:
    """Return whether Airflow puts another value in the place of this one when the Airflow task runs."""
    return isinstance(value, RESOLVABLE.value) if RESOLVABLE.is_there else hasattr(value, "resolve")


def redact(text: str) -> str:
    """Return a text without what Airflow masks in its logs."""
    return str(REDACT.value(text)) if REDACT.is_there else WITHHELD


class PacedSensor(BaseSensorOperator):
    """A sensor that says itself when it pokes next."""

    def next_poke(self) -> float:
        """Return the seconds until then."""
        return self.poke_interval

    def _get_next_poke_interval(self, *args: Any, **kwargs: Any) -> float:
        return self.next_poke()

    def execute(self, context: Context) -> Any:
        """Poke until done."""
        _ = NEXT_POKE.is_there  # if not, the log says so
        return super().execute(context)


async def amask_secret(secret: str) -> None:
    """Mask a secret in the logs of a process that runs an event loop."""
    mask = getattr(_log, "amask_secret", None)  # 3.3.2
    if mask is not None:
        await mask(secret)
    else:
        _log.mask_secret(secret)


def life(context: Mapping[str, Any]) -> int | None:
    """
    Return a number that stays the same for the retries of an Airflow task, and changes when it is cleared.

    :return: ``max_tries``, which a clear raises and a retry keeps; ``None`` where there is none
    """
    number: int | None = getattr(context["ti"], "max_tries", None)
    return number


def task_state_store(context: Mapping[str, Any]) -> Any | None:
    """Return the store that survives retries of the Airflow task; ``None`` before Airflow 3.3."""
    store = context.get("task_state_store")
    if store is not None and life(context) is None:
        log.warning("Airflow does not say which try this is: nothing is kept for a retry, as before 3.3")
        return None
    return store


def clears_state_on_success() -> bool:
    """Return whether Airflow forgets the state of an Airflow task that succeeds on a worker (from 3.3 on)."""
    return bool(conf.getboolean("state_store", "clear_on_success", fallback=False))


def trigger_timeout(trigger: BaseTrigger) -> float | None:
    """
    Return the Unix time at which Airflow itself ends a trigger's wait; ``None`` where it does not.

    It is kept in Airflow's database, so it stays the same when the trigger moves to another triggerer.
    """
    ends: datetime | None = getattr(trigger, "timeout_after", None)
    if ends is None:
        if not hasattr(trigger, "timeout_after") and trigger.trigger_id is not None:
            log.warning("Airflow does not say when this wait ends: its timeout is counted from now")
        return None
    # SQLite gives it back without its zone.
    return (ends if ends.tzinfo else ends.replace(tzinfo=timezone.utc)).timestamp()


def drop_dag(ti: Any) -> bool:
    """
    Let a trigger's task instance go of its copy of the DAG.

    Airflow makes one for each trigger that it starts without a worker, to render templates before the trigger
    runs, and keeps it as long as the trigger (3.3.2). The task instance gets an operator without a DAG
    instead. The DAG itself stays as it is, should anybody else have it. If Airflow's objects are not as
    expected, nothing is touched.

    :return: whether it was dropped
    """
    task: Any = getattr(ti, "task", None)
    dag: Any = getattr(task, "dag", None)
    context = getattr(ti, "_cached_template_context", None)
    if (
        type(dag).__name__ != "SerializedDAG"
        or type(context) is not dict
        or context.get("dag") is not dag
        or context.get("task") is not task
        or not hasattr(task, "task_group")
    ):
        return False
    alone: Any = copy(task)
    alone.dag = alone.task_group = None
    ti.task = context["task"] = alone
    del context["dag"]
    return True


async def may_be_deferred(ti: Any) -> bool:
    """Return whether Airflow's database says that an Airflow task is deferred; True if that is not known."""
    if not TASK_STATES.is_there:
        return True
    from asgiref.sync import sync_to_async

    states = await sync_to_async(TASK_STATES.value)(
        dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
    )
    return any(state == "deferred" for tasks in states.values() for state in tasks.values())


def drop_upload(file: Any) -> bool:
    """
    Give up the upload of an open file of fsspec's, which closing it would complete.

    :return: whether it was an upload; any other file must be closed
    """
    from fsspec.spec import AbstractBufferedFile

    if not isinstance(file, AbstractBufferedFile):
        return False
    file.forced = True
    try:
        file.discard()
    except Exception as error:
        log.warning("What was uploaded could not be removed: %s", type(error).__name__)
    file.closed = True
    return True


def storage_conn_id(path: Any) -> str | None:
    """Return the Airflow connection of an ``ObjectStoragePath``; ``None`` where it has none."""
    if hasattr(type(path), "conn_id"):
        found: str | None = path.conn_id
    else:  # before Airflow 3.2
        found = path.storage_options.get("conn_id")
    return found


def delete_xcom(key: str, **where: Any) -> None:
    """
    Delete an XCom, if there is one.

    Airflow itself reads it first, for XCom backends that keep values elsewhere, and logs an error where there
    is none (3.3.2).

    :param where: ``dag_id``, ``task_id``, ``run_id`` and ``map_index``
    """
    from airflow.sdk.bases.xcom import BaseXCom
    from airflow.sdk.execution_time import task_runner  # only where tasks run
    from airflow.sdk.execution_time.xcom import XCom

    comms = getattr(task_runner, "SUPERVISOR_COMMS", None)
    is_elsewhere = XCom.purge.__func__ is not BaseXCom.purge.__func__  # type: ignore[attr-defined]
    if is_elsewhere or comms is None or not DELETE_XCOM.is_there:
        XCom.delete(key=key, **where)
    else:
        comms.send(DELETE_XCOM.value(key=key, **where))


def listeners() -> list[str]:
    """
    Return the names of what listens to Airflow tasks, such as OpenLineage.

    The listener among Airflow's example DAGs, which are loaded unless somebody says no, only prints.
    """
    manager = get_listener_manager()
    try:
        found = [getattr(each, "__name__", type(each).__module__) for each in manager.pm.get_plugins()]
    except AttributeError:
        return ["one that this Airflow does not name"] if manager.has_listeners else []
    return sorted(name for name in found if not name.startswith("airflow.example_dags."))


def loses_queues() -> bool:
    """
    Return whether a trigger that the scheduler starts loses the queue of its Airflow task.

    It does wherever triggerers have queues (3.3.2, 3.4.0b2): those that serve one pass it by.
    """
    return bool(conf.getboolean("triggerer", "queues_enabled", fallback=False))


def triggers_have_no_team() -> bool:
    """Return whether triggers find only connections that belong to no team: with several teams (3.3.2)."""
    return bool(conf.getboolean("core", "multi_team", fallback=False))


def form_fields(described: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return fields of a connection's form as Airflow before 3.2 takes them from the hook.

    :param described: the same as provider info describes it, which later releases read
    """
    from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
    from flask_babel import lazy_gettext
    from wtforms import StringField

    return {
        name: StringField(
            lazy_gettext(field["label"]),
            description=field["description"],
            default=str(field["schema"]["default"]),
            widget=BS3TextFieldWidget(),
        )
        for name, field in described.items()
    }


def form_behaviour(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return what becomes of a form's standard fields: the twin of :func:`form_fields`."""
    return {name.replace("-", "_"): value for name, value in described.items()}
