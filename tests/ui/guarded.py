"""An auth manager of Airflow's that keeps some DAGs from one user, and XComs from another, as roles do."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class GuardedAuthManager(SimpleAuthManager):
    """
    Airflow's simple auth manager with two exceptions.

    The user ``viewer`` may read no DAG ``secret_...``, and the user ``without_xcoms`` no XComs.
    """

    def is_authorized_dag(self, *, method: Any, user: Any, details: Any = None, **more: Any) -> bool:
        """Say no in these cases, and otherwise what the simple auth manager says."""
        named = getattr(details, "id", None) or ""
        if user.username == "viewer" and named.startswith("secret_"):
            return False
        if user.username == "without_xcoms" and more.get("access_entity") is DagAccessEntity.XCOM:
            return False
        return bool(super().is_authorized_dag(method=method, user=user, details=details, **more))
