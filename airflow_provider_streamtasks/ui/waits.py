"""Which Airflow tasks wait for Stream in the triggerer right now, by Airflow's own database."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.utils.state import TaskInstanceState
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session, joinedload, lazyload

from airflow_provider_streamtasks.protocol.progress import PROGRESS, read_progress
from airflow_provider_streamtasks.triggers.task import BACKSTOP
from airflow_provider_streamtasks.ui import models

TRIGGERS = "airflow_provider_streamtasks.triggers."
"""How the class path of each of our triggers begins."""

NAMED = 3
"""Stream tasks that a wait names; of the others it gives the number."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Where:
    """
    Which waits are asked for; ``None`` and an empty text stand for all.

    :param dag_id: the DAG
    :param run_id: the run
    :param task_id: the Airflow task
    :param map_index: its map index; -1 for an Airflow task that is not mapped
    :param text: a part of the id of the DAG, of the run or of the Airflow task
    """

    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None
    text: str = ""

    def clauses(self) -> list[ColumnElement[bool]]:
        """Return the conditions of the query, with those that make a task instance a wait."""
        given = [
            (TaskInstance.dag_id, self.dag_id),
            (TaskInstance.run_id, self.run_id),
            (TaskInstance.task_id, self.task_id),
            (models.public_map_index(TaskInstance), self.map_index),
        ]
        clauses = [
            TaskInstance.state == TaskInstanceState.DEFERRED,
            Trigger.classpath.startswith(TRIGGERS, autoescape=True),
            *(column == value for column, value in given if value is not None),
        ]
        if self.text:
            named = (TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id)
            clauses.append(or_(*(column.icontains(self.text, autoescape=True) for column in named)))
        return clauses


def dag_ids(where: Where, session: Session) -> set[str]:
    """Return the DAGs that have waits."""
    return set(session.scalars(_of_waits(select(TaskInstance.dag_id).distinct(), where)))


def count(where: Where, readable: Collection[str], session: Session) -> int:
    """
    Return how many waits there are.

    :param readable: the DAGs that count
    """
    query = _of_waits(select(func.count()).select_from(TaskInstance), where)
    return session.scalar(query.where(TaskInstance.dag_id.in_(readable))) or 0


def waits(where: Where, readable: Collection[str], limit: int, session: Session) -> list[dict[str, Any]]:
    """
    Return the waits as plain values, those whose deadline comes first before the others.

    :param readable: the DAGs whose waits may be shown
    :param limit: how many at most
    """
    map_index = models.public_map_index(TaskInstance)
    query = (
        _of_waits(select(TaskInstance, Trigger, map_index), where)
        .where(TaskInstance.dag_id.in_(readable))
        .order_by(TaskInstance.trigger_timeout.is_(None), TaskInstance.trigger_timeout, TaskInstance.id)
        .limit(limit)
        # Nobody reads what the relationships of these would load.
        .options(lazyload("*"), joinedload(Trigger.triggerer_job))
    )
    rows = session.execute(query).all()
    records = models.xcom_values(PROGRESS, [ti.id for ti, _, _ in rows], session)
    return [{**_wait(*row), "progress": read_progress(records.get(row[0].id))} for row in rows]


def _of_waits(query: Any, where: Where) -> Any:
    return query.join(Trigger, TaskInstance.trigger_id == Trigger.id).where(*where.clauses())


def _wait(ti: Any, trigger: Any, map_index: int) -> dict[str, Any]:
    """Return the fields that the page shows: never all that a trigger was given."""
    try:
        return _fields(ti, trigger, map_index, trigger.kwargs)
    except Exception as error:
        # The Fernet key may have been rotated away, or somebody made the trigger by hand. The other waits are
        # shown all the same.
        log.warning("The arguments of the trigger %s cannot be read: %s", trigger.id, type(error).__name__)
        return _fields(ti, trigger, map_index, {})


def _fields(ti: Any, trigger: Any, map_index: int, given: Mapping[str, Any]) -> dict[str, Any]:
    since, deadline = _times(given, trigger.created_date, ti.trigger_timeout)
    ids = [str(each) for each in given.get("stream_task_ids") or ()]
    xcom = given.get("xcom") or None
    job = trigger.triggerer_job
    return {
        "dag_id": ti.dag_id,
        "run_id": ti.run_id,
        "task_id": ti.task_id,
        "map_index": map_index,
        **models.loop_position(ti, map_index),
        "try_number": ti.try_number,
        "operator": ti.operator,
        "stream_conn_id": str(given["stream_conn_id"]) if given else None,
        "stream_task_count": None if xcom or not given else len(ids),
        "stream_task_ids": ids[:NAMED],
        "ids_from": {name: str(xcom[name]) for name in ("task_id", "key")} if xcom else None,
        "since": since.isoformat(),
        "deadline": deadline.isoformat() if deadline else None,
        "triggerer": {"id": trigger.triggerer_id, "hostname": job.hostname if job else None}
        if trigger.triggerer_id
        else None,
    }


def _times(
    given: Mapping[str, Any], created: datetime, ends: datetime | None
) -> tuple[datetime, datetime | None]:
    """Return since when Stream is waited for, and until when."""
    timeout = given.get("timeout")
    if (started := given.get("started_at")) and timeout is not None:
        since = datetime.fromtimestamp(started, timezone.utc)
        return since, since + timedelta(seconds=timeout)
    # A wait that began in the triggerer has its deadline in Airflow's database alone.
    deadline = ends - timedelta(seconds=BACKSTOP) if ends else None
    if deadline and timeout is not None:
        return deadline - timedelta(seconds=timeout), deadline
    return created, deadline
