"""Airflow's API server in this process, and a database in which task instances wait for Stream."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import delete, insert, select

from airflow_provider_streamtasks.protocol.progress import PROGRESS
from airflow_provider_streamtasks.triggers.task import BACKSTOP

NOW = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)


@pytest.fixture(scope="session")
def database() -> None:
    """Make the tables of Airflow's database, which is an empty file so far."""
    from airflow import models, settings
    from airflow.models.base import Base

    if settings.engine is None or settings.Session is None:
        settings.configure_orm()
    models.import_all_models()
    Base.metadata.create_all(settings.engine)


class Waits:
    """Puts task instances into Airflow's database that are deferred, as its scheduler and workers do."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._dags: set[str] = set()
        self._runs: set[tuple[str, str]] = set()

    def add(
        self,
        dag_id: str = "exports",
        task_id: str = "wait",
        *,
        run_id: str = "manual__1",
        map_index: int = -1,
        classpath: str = "airflow_provider_streamtasks.triggers.task.StreamTaskTrigger",
        state: str = "deferred",
        ends: datetime | None = NOW + timedelta(seconds=600 + BACKSTOP),
        raw: str | None = None,
        operator: str = "StreamTaskSensor",
        progress: Any = None,
        **given: Any,
    ) -> None:
        """
        Add one.

        :param raw: what stands in the database in place of the trigger's arguments
        :param progress: what it has recorded of how far it has come
        :param given: those of its arguments that are not as usual
        """
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.trigger import Trigger

        self._run(dag_id, run_id)
        arguments = {
            "stream_conn_id": "stream_default",
            "stream_task_ids": ["one"],
            "started_at": NOW.timestamp(),
            "timeout": 600.0,
            "poll_interval": 1.0,
            "max_poll_interval": 30.0,
            "keep_on_errors": False,
            **given,
        }
        trigger = Trigger(classpath, arguments, created_date=NOW)
        if raw is not None:
            trigger.encrypted_kwargs = raw
        self._session.add(trigger)
        self._session.flush()
        place = "region_index" if hasattr(TaskInstance, "region_index") else "map_index"
        row = {
            # A text before Airflow 3.3.
            "id": TaskInstance.__table__.c.id.type.python_type(str(uuid4())),
            "dag_id": dag_id,
            "task_id": task_id,
            "run_id": run_id,
            place: map_index,
            "state": state,
            "operator": operator,
            "task_display_name": task_id,
            "try_number": 1,
            "max_tries": 0,
            "pool": "default_pool",
            "pool_slots": 1,
            "trigger_id": trigger.id,
            "trigger_timeout": ends,
            "dag_version_id": version.id if (version := self._version(dag_id)) else None,
        }
        self._session.execute(insert(TaskInstance.__table__).values(row))
        if progress is not None:
            self._push(row, map_index, progress)
        self._session.commit()

    def _push(self, row: dict[str, Any], map_index: int, value: Any) -> None:
        from airflow.models.dagrun import DagRun
        from airflow.models.xcom import XComModel

        if for_attempt := getattr(XComModel, "set_for_attempt", None):  # 3.4
            where = {"task_instance_id": row["id"]}
            for_attempt(key=PROGRESS, value=value, serialize=False, session=self._session, **where)
        else:
            # As the execution API writes it.
            where = {name: row[name] for name in ("dag_id", "task_id", "run_id")}
            run = self._session.scalar(
                select(DagRun.id).where(DagRun.run_id == row["run_id"], DagRun.dag_id == row["dag_id"])
            )
            self._session.add(
                XComModel(dag_run_id=run, key=PROGRESS, value=value, map_index=map_index, **where)
            )

    def serialize(self, dag: Any) -> None:
        """Store a DAG as the DAG processor does, so that the API server has its tasks."""
        from airflow.models.serialized_dag import SerializedDagModel
        from airflow.serialization.serialized_objects import LazyDeserializedDAG

        self._dag(dag.dag_id)
        self._session.commit()
        SerializedDagModel.write_dag(
            LazyDeserializedDAG.from_dag(dag), bundle_name="dags-folder", session=self._session
        )
        self._session.commit()

    def _dag(self, dag_id: str) -> None:
        from airflow.models.dag import DagModel

        if dag_id not in self._dags:
            self._dags.add(dag_id)
            self._session.add(DagModel(dag_id=dag_id, fileloc="/dags/x.py", bundle_name="dags-folder"))
            self._session.flush()

    def _version(self, dag_id: str) -> Any:
        from airflow.models.dag_version import DagVersion

        return DagVersion.get_latest_version(dag_id, session=self._session)

    def _run(self, dag_id: str, run_id: str) -> None:
        from airflow.models.dagrun import DagRun
        from airflow.utils.types import DagRunType

        self._dag(dag_id)
        if (dag_id, run_id) not in self._runs:
            self._runs.add((dag_id, run_id))
            run = DagRun(dag_id=dag_id, run_id=run_id, run_type=DagRunType.MANUAL, run_after=NOW)
            if version := self._version(dag_id):
                run.created_dag_version_id = version.id
            run.state = "running"
            self._session.add(run)
            self._session.flush()


@pytest.fixture(scope="session")
def port() -> int:
    """A free port, which the API server takes if it is to listen."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def server(database: None, port: int) -> Iterator[FastAPI]:
    """Airflow's API server with our plugin, and an auth manager that knows rights for each DAG."""
    from airflow.api_fastapi import app as airflow_app

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__AUTH_MANAGER", "tests.ui.guarded.GuardedAuthManager")
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "admin:admin,viewer:viewer")
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "for-tests" * 8)
        patch.setenv("AIRFLOW__API__BASE_URL", f"http://127.0.0.1:{port}")
        airflow_app.purge_cached_app()
        yield airflow_app.create_app(apps="core")
        airflow_app.purge_cached_app()


def token(user: str, role: str | None = None) -> str:
    """
    Return a login, as Airflow's auth manager makes one.

    :param role: that of the same name if None
    """
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return str(get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=user, role=role or user)))


@pytest.fixture
def waits(database: None) -> Iterator[Waits]:
    from airflow import settings
    from airflow.models.dag import DagModel
    from airflow.models.dag_version import DagVersion
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger

    session: Any = settings.Session()  # type: ignore[misc]

    def clear() -> None:
        for model in (TaskInstance, Trigger, DagRun, DagVersion, DagModel, DagBundleModel):
            session.execute(delete(model.__table__))
        session.commit()

    clear()
    session.execute(insert(DagBundleModel.__table__).values(name="dags-folder"))
    session.commit()
    try:
        yield Waits(session)
    finally:
        session.rollback()
        clear()
        session.close()
