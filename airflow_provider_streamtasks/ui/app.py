"""
The FastAPI app behind the page: one route, which asks Airflow who may read what.

It has no documentation pages of its own, because those would be shown without a login.
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, FastAPI, Query
from fastapi.staticfiles import StaticFiles

from airflow_provider_streamtasks.ui import models, waits
from airflow_provider_streamtasks.ui.waits import Where

MOST = 1000
"""Waits in one answer at most."""

app = FastAPI(title="Stream tasks", docs_url=None, redoc_url=None, openapi_url=None)
app.mount("/static", StaticFiles(directory=Path(__file__).parent / "www"), name="static")

Name = Annotated[str | None, Query(min_length=1, max_length=250)]


# The dependency refuses users who may not read the DAG of dag_id or, without one, any DAG.
@app.get("/waits", dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.TASK_INSTANCE))])
def get_waits(
    user: GetUserDep,
    session: SessionDep,
    dag_id: Name = None,
    run_id: Name = None,
    task_id: Name = None,
    map_index: Annotated[int | None, Query(ge=-1, lt=2**31)] = None,
    text: Annotated[str, Query(max_length=250)] = "",
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> dict[str, Any]:
    """
    Return the waits in DAGs that the user may read.

    :return: ``waits``; ``total``, of which they may be a part; ``as_of``, the server's time
    """
    where = Where(dag_id, run_id, task_id, map_index, text.strip())
    # Asking for these DAGs only: asking about every DAG of a deployment may cost a call each.
    readable = models.readable_dag_ids(get_auth_manager(), waits.dag_ids(where, session), user, session)
    found = waits.waits(where, readable, limit, session)
    total = len(found) if len(found) < limit else waits.count(where, readable, session)
    return {"waits": found, "total": total, "as_of": datetime.now(timezone.utc).isoformat()}
