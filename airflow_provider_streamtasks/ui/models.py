"""What the page needs of Airflow's own database, which each release of Airflow keeps in another way."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

_COORDINATES = ("dag_id", "run_id", "task_id", "map_index")


def public_map_index(task_instance: Any) -> Any:
    """
    Return the column with the map index that users see; -1 where there is none.

    :param task_instance: the model. Since 3.4 its ``map_index`` counts the iterations of loops as well.
    """
    try:
        from airflow.models.task_coordinates import (  # type: ignore[import-not-found, unused-ignore]
            public_map_index_expression,
        )
    except ImportError:  # before Airflow 3.4
        return task_instance.map_index
    return public_map_index_expression(task_instance)


def loop_position(ti: Any, map_index: int) -> dict[str, Any]:
    """
    Return where a task instance stands in a loop: ``region_id``, ``region_index``; ``None`` without a loop.

    :param ti: a row of the model
    :param map_index: its public map index
    """
    index = getattr(ti, "region_index", map_index)  # 3.4
    looped = index != map_index
    return {"region_id": str(ti.region_id) if looped else None, "region_index": index if looped else None}


def xcom_values(key: str, ti_ids: Collection[Any], session: Any) -> dict[Any, Any]:
    """
    Return an XCom of several task instances, as Airflow's database has it: id of a task instance -> value.

    :param ti_ids: ids of rows of the model
    """
    from airflow.models import xcom
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import and_, select

    those = TaskInstance.id.in_(ti_ids)
    if hasattr(xcom, "build_xcom_read_query"):  # 3.4 keeps XComs by the attempt
        query = xcom.build_xcom_read_query(producer_ids=select(TaskInstance.id).where(those), key=key)
        return {found.task_instance_id: found.value for found in session.scalars(query)}
    model = xcom.XComModel
    same = and_(*(getattr(model, name) == getattr(TaskInstance, name) for name in _COORDINATES))
    query = select(TaskInstance.id, model.value).join(model, same).where(those, model.key == key)
    return {row.id: row.value for row in session.execute(query)}


def readable_dag_ids(auth_manager: Any, dag_ids: set[str], user: Any, session: Any) -> set[str]:
    """Return those of some DAGs that a user may read."""
    from airflow.models.dag import DagModel

    teams: dict[str | None, set[str]] = {}
    # Since 3.2, DAGs may belong to teams.
    team_names = getattr(DagModel, "get_dag_id_to_team_name_mapping", None)
    of_dag = team_names(list(dag_ids), session=session) if team_names and dag_ids else {}
    for dag_id in dag_ids:
        teams.setdefault(of_dag.get(dag_id), set()).add(dag_id)
    return {
        dag_id
        for team, members in teams.items()
        for dag_id in auth_manager.filter_authorized_dag_ids(
            dag_ids=members, user=user, method="GET", **({"team_name": team} if team else {})
        )
    }
