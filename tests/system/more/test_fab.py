"""The page "Stream tasks" on a real Airflow whose users and roles are those of FAB: ``make system-more``."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.plugin import PREFIX
from local_stack.airflow import LocalAirflow
from local_stack.sandbox import local_sandbox
from tests.system.more.conftest import FATES, REPOSITORY

pytestmark = pytest.mark.more

DAGS = ("ui_waits", "secret_ui_waits")
WAITS = 3  # of each
FAB = "airflow.providers.fab.auth_manager"
PASSWORD = "a-password-for-tests"
PATIENCE = 300.0

RUNS_AND_TASKS = ("can_read on DAG Runs", "can_read on Task Instances")
ROLES: dict[str, tuple[str, ...]] = {
    "OneDag": ("can_read on DAG:ui_waits", *RUNS_AND_TASKS),
    "OneDagWithoutItsTasks": ("can_read on DAG:ui_waits",),
    "TasksWithoutADag": RUNS_AND_TASKS,
    "Nothing": (),
}
"""Roles that are made here, with their permissions as Airflow's UI lists them. Each has a user of its
name."""

OF_FAB = ("Admin", "Op", "User", "Viewer", "Public")
"""Roles that FAB brings; each has a user of its name."""

MAY_READ = {
    "Admin": set(DAGS),
    "Op": set(DAGS),
    "User": set(DAGS),
    "Viewer": set(DAGS),
    "OneDag": {"ui_waits"},
}
"""Whoever is not here may read nothing."""

USERS = (*OF_FAB, *ROLES)


class AirflowWithFab(LocalAirflow):
    """A local Airflow in which a login takes a password."""

    def token(self, user: str = "Admin") -> str:
        login = {"username": user, "password": PASSWORD}
        answer = self._session.post(f"{self.base_url}/auth/token", json=login, timeout=self.patience)
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def add_users(self) -> None:
        """Add all users and roles. A DAG has a permission of its own as soon as it has been read."""
        login = ("--username", "Admin", "--password", PASSWORD, "--role", "Admin")
        person = ("--firstname", "-", "--lastname", "-", "--email", "Admin@example.com")
        made = self.cli("users", "create", *login, *person, timeout=PATIENCE)
        assert made.returncode == 0, made.stderr
        for dag_id in DAGS:
            self.wait_for_dag(dag_id, PATIENCE)
        for role, permissions in ROLES.items():
            pairs = [permission.split(" on ") for permission in permissions]
            actions = [{"action": {"name": one}, "resource": {"name": other}} for one, other in pairs]
            self._add("roles", {"name": role, "actions": actions})
        for role in set(USERS) - {"Admin"}:
            person_too = {"first_name": "-", "last_name": "-", "email": f"{role}@example.com"}
            self._add(
                "users", {"username": role, "password": PASSWORD, "roles": [{"name": role}], **person_too}
            )

    def _add(self, what: str, body: dict[str, Any]) -> None:
        answer = self._session.post(f"{self.base_url}/auth/fab/v1/{what}", json=body, timeout=self.patience)
        assert answer.ok, (body, answer.text)


@pytest.fixture(scope="module")
def fab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowWithFab]:
    folder = tmp_path_factory.mktemp("fab")
    (folder / "dags").mkdir()
    shutil.copy(REPOSITORY / "tests" / "system" / "dags" / "user_interface.py", folder / "dags")
    (folder / "fates.json").write_text(json.dumps(FATES))
    with local_sandbox(folder / "sandbox.log", folder / "fates.json") as sandbox:
        env = {
            "PYTHONPATH": str(REPOSITORY),
            "AIRFLOW__CORE__AUTH_MANAGER": f"{FAB}.fab_auth_manager.FabAuthManager",
            "AIRFLOW_CONN_STREAM_DEFAULT": sandbox.connection,
        }
        home = folder / "airflow"
        airflow = AirflowWithFab(folder / "dags", env=env, home=home, start_timeout=PATIENCE)
        with airflow:
            airflow.add_users()
            yield airflow


@pytest.fixture(scope="module")
def runs(fab: AirflowWithFab) -> dict[str, str]:
    """Return DAG -> run id of two DAGs whose Airflow tasks are deferred."""
    runs = {dag_id: fab.trigger(dag_id) for dag_id in DAGS}
    deadline = time.monotonic() + PATIENCE
    for dag_id, run_id in runs.items():
        while [each["state"] for each in fab.task_instances(dag_id, run_id)].count("deferred") < WAITS:
            assert time.monotonic() < deadline, fab.task_instances(dag_id, run_id)
            time.sleep(0.5)
    return runs


def visitor() -> requests.Session:
    """Return somebody who is not logged in."""
    session = requests.Session()
    session.trust_env = False
    return session


class Client:
    """
    Somebody who asks the API server.

    :param user: who that is; nobody who is logged in if None
    """

    def __init__(self, airflow: AirflowWithFab, user: str | None) -> None:
        self._url = airflow.base_url
        self._session = visitor()
        if user:
            self._session.headers["Authorization"] = f"Bearer {airflow.token(user)}"

    def get(self, path: str, **query: Any) -> requests.Response:
        return self._session.get(f"{self._url}{path}", params=query, timeout=PATIENCE)


def routes() -> list[str]:
    """Return the path of every route that returns data."""
    from airflow_provider_streamtasks.ui.app import app

    paths = [route.path for route in app.routes]  # type: ignore[attr-defined]
    paths.remove("/static")  # the file with the components, in which there are no data
    return [f"{PREFIX}{path}" for path in paths]


@pytest.mark.parametrize("path", routes())
class TestEveryRoute:
    @pytest.mark.parametrize("query", [{}, {"dag_id": "ui_waits"}, {"dag_id": "no_such_dag"}])
    def test_nobody_reads_without_a_login(
        self, fab: AirflowWithFab, runs: dict[str, str], path: str, query: dict[str, str]
    ) -> None:
        assert Client(fab, None).get(path, **query).status_code == 401

    @pytest.mark.parametrize("user", USERS)
    def test_it_lists_what_the_roles_let_the_user_read(
        self, fab: AirflowWithFab, runs: dict[str, str], path: str, user: str
    ) -> None:
        answer = Client(fab, user).get(path)
        if may_read := MAY_READ.get(user):
            assert {each["dag_id"] for each in answer.json()["waits"]} == may_read
            assert answer.json()["total"] == WAITS * len(may_read)
        else:
            assert answer.status_code == 403

    @pytest.mark.parametrize("dag_id", DAGS)
    @pytest.mark.parametrize("user", USERS)
    def test_a_dag_that_may_not_be_read_is_refused(
        self, fab: AirflowWithFab, runs: dict[str, str], path: str, user: str, dag_id: str
    ) -> None:
        answer = Client(fab, user).get(path, dag_id=dag_id)
        if dag_id in MAY_READ.get(user, ()):
            assert answer.json()["total"] == WAITS
        else:
            assert (answer.status_code, dag_id in answer.text) == (403, False)

    @pytest.mark.parametrize("query", [{"dag_id": "~"}, {"text": "secret"}, {"run_id": "secret_ui_waits"}])
    def test_no_query_finds_what_may_not_be_read(
        self, fab: AirflowWithFab, runs: dict[str, str], path: str, query: dict[str, str]
    ) -> None:
        query = {name: runs.get(value, value) for name, value in query.items()}
        answer = Client(fab, "OneDag").get(path, **query)
        assert "secret_ui_waits" not in answer.text


def test_the_cookie_of_a_login_in_the_browser_is_enough(fab: AirflowWithFab, runs: dict[str, str]) -> None:
    browser = visitor()
    form = browser.get(f"{fab.base_url}/auth/login/", timeout=PATIENCE)
    csrf = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form.text)
    assert csrf
    entered = {"username": "OneDag", "password": PASSWORD, "csrf_token": csrf[1]}
    browser.post(form.url, data=entered, headers={"Referer": form.url}, timeout=PATIENCE)
    answer = browser.get(f"{fab.base_url}{PREFIX}/waits", timeout=PATIENCE)
    assert {each["dag_id"] for each in answer.json()["waits"]} == {"ui_waits"}


class TestWhatAirflowAsksFor:
    """What the page needs besides its own route; the documentation says which permissions that takes."""

    @pytest.mark.parametrize("user", USERS)
    def test_the_menu_shows_the_page_to_whoever_may_read_plugins(
        self, fab: AirflowWithFab, user: str
    ) -> None:
        answer = Client(fab, user).get("/api/v2/plugins")
        if user not in ("Admin", "Op"):
            assert answer.status_code == 403
            return
        (ours,) = (each for each in answer.json()["plugins"] if each["name"] == "streamtasks")
        assert "Stream tasks" in [each["name"] for each in ours["react_apps"]]

    def test_a_task_instance_has_the_link_its_batches_and_not_its_xcoms(
        self, fab: AirflowWithFab, runs: dict[str, str]
    ) -> None:
        def get(user: str, what: str) -> requests.Response:
            run_id = quote(runs["ui_waits"], safe="")
            return Client(fab, user).get(
                f"/api/v2/dags/ui_waits/dagRuns/{run_id}/taskInstances/delete_many/{what}"
            )

        for user in ("OneDag", "Viewer"):
            assert "Stream tasks" in get(user, "links").json()["extra_links"]
            if _compat.RUNS_WITHOUT_WORKERS:  # the store came with the same release, 3.3
                assert get(user, "state-store").json()["total_entries"] > 0
        assert get("Viewer", "xcomEntries/task_ids").status_code == 200
        assert get("OneDag", "xcomEntries/task_ids").status_code == 403
        assert get("OneDagWithoutItsTasks", "links").status_code == 403
