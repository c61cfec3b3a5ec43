"""An auth manager of Airflow's that keeps some DAGs from one user, as rights for each DAG do."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class GuardedAuthManager(SimpleAuthManager):
    """Airflow's simple auth manager, by which the user ``viewer`` may read no DAG ``secret_...``."""

    def is_authorized_dag(self, *, method: Any, user: Any, details: Any = None, **more: Any) -> bool:
        """Say no to that user about those DAGs, and about others what the simple auth manager says."""
        named = getattr(details, "id", None) or ""
        if user.username == "viewer" and named.startswith("secret_"):
            return False
        return bool(super().is_authorized_dag(method=method, user=user, details=details, **more))
