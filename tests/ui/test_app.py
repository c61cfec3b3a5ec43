"""What the page's app tells, and whom, inside Airflow's own API server."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from airflow_provider_streamtasks.plugin import PREFIX
from tests.ui.conftest import NOW, Waits, token

WAITS = f"{PREFIX}/waits"

FIELDS = {
    "dag_id",
    "run_id",
    "task_id",
    "map_index",
    "region_id",
    "region_index",
    "try_number",
    "operator",
    "stream_conn_id",
    "stream_task_count",
    "stream_task_ids",
    "ids_from",
    "since",
    "deadline",
    "triggerer",
    "progress",
}

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def client(server: FastAPI) -> TestClient:
    return TestClient(server, base_url="http://testserver")


@pytest.fixture
def ask(client: TestClient) -> Ask:
    """Ask for the waits, as the user admin unless another one is named."""

    def ask(user: str = "admin", **query: Any) -> Any:
        client.cookies.clear()
        answer = client.get(WAITS, params=query, headers={"Authorization": f"Bearer {token(user)}"})
        return answer.json() if answer.status_code == 200 else answer.status_code

    return ask


class TestWhoMayRead:
    def test_every_route_that_returns_data_asks_airflow_who_it_is(self) -> None:
        from airflow_provider_streamtasks.ui.app import app

        for route in app.routes:
            if route.path == "/static":  # type: ignore[attr-defined]
                continue  # the file with the components, in which there are no data
            dependencies = [route.dependant]  # type: ignore[attr-defined]
            called = set()
            while dependencies:
                one = dependencies.pop()
                called.add(getattr(one.call, "__qualname__", ""))
                dependencies += one.dependencies
            assert {"get_user", "requires_access_dag.<locals>.inner"} <= called, route

    @pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
    def test_it_has_no_documentation_that_needs_no_login(self, client: TestClient, path: str) -> None:
        assert client.get(f"{PREFIX}{path}").status_code == 404

    def test_nobody_reads_without_a_login(self, client: TestClient, waits: Waits) -> None:
        waits.add()
        client.cookies.clear()
        assert client.get(WAITS).status_code == 401

    def test_a_login_that_is_none_is_refused(self, client: TestClient, waits: Waits) -> None:
        client.cookies.clear()
        answer = client.get(WAITS, headers={"Authorization": "Bearer rubbish"})
        assert answer.status_code == 403

    def test_the_cookie_of_the_ui_is_enough(self, client: TestClient, waits: Waits) -> None:
        waits.add()
        client.cookies.clear()
        client.cookies.set("_token", token("viewer"))
        assert client.get(WAITS).json()["total"] == 1

    def test_waits_of_a_dag_that_may_not_be_read_are_neither_listed_nor_counted(
        self, ask: Ask, waits: Waits
    ) -> None:
        waits.add("exports")
        waits.add("secret_exports")

        assert ask("admin")["total"] == 2
        seen = ask("viewer")
        assert [each["dag_id"] for each in seen["waits"]] == ["exports"]
        assert seen["total"] == 1
        assert ask("viewer", limit=1)["total"] == 1

    def test_asking_for_a_dag_that_may_not_be_read_is_refused(self, ask: Ask, waits: Waits) -> None:
        waits.add("secret_exports")
        assert ask("viewer", dag_id="secret_exports") == 403
        assert ask("admin", dag_id="secret_exports")["total"] == 1

    def test_any_dag_is_not_the_name_of_a_dag(self, ask: Ask, waits: Waits) -> None:
        waits.add("secret_exports")
        assert ask("viewer", dag_id="~")["waits"] == []

    def test_the_search_finds_nothing_that_may_not_be_read(self, ask: Ask, waits: Waits) -> None:
        waits.add("secret_exports")
        assert ask("viewer", text="secret") | {"as_of": None} == {"waits": [], "total": 0, "as_of": None}


SAID = {
    "status": "running",
    "said_at": NOW.isoformat(),
    "stream_tasks": 3,
    "finished": 1,
    "failed": 0,
    "errors_since": None,
}


class TestWhatIsTold:
    def test_what_stream_said_last_is_reported_of_each(self, ask: Ask, waits: Waits) -> None:
        waits.add(map_index=0, progress=SAID)
        waits.add(map_index=1, progress={**SAID, "finished": 2})
        waits.add(map_index=2)
        waits.add(task_id="other", progress={**SAID, "finished": 3})
        told = {(each["task_id"], each["map_index"]): each["progress"] for each in ask()["waits"]}
        assert told == {
            ("wait", 0): SAID,
            ("wait", 1): {**SAID, "finished": 2},
            ("wait", 2): None,
            ("other", -1): {**SAID, "finished": 3},
        }

    def test_what_somebody_else_wrote_under_that_key_is_not_shown(self, ask: Ask, waits: Waits) -> None:
        waits.add(progress={"password": "a-secret-of-somebody"})
        waits.add(map_index=1, progress={**SAID, "password": "a-secret-of-somebody"})
        answer = ask()
        assert sorted(each["progress"] is None for each in answer["waits"]) == [False, True]
        assert "a-secret-of-somebody" not in json.dumps(answer)

    def test_a_wait_has_these_fields_and_no_others(self, ask: Ask, waits: Waits) -> None:
        waits.add(password="a-secret-of-somebody")
        answer = ask()
        assert set(answer["waits"][0]) == FIELDS
        assert "a-secret-of-somebody" not in json.dumps(answer)

    def test_a_wait_that_a_worker_deferred(self, ask: Ask, waits: Waits) -> None:
        waits.add(stream_task_ids=["a", "b"], map_index=3)
        (wait,) = ask()["waits"]
        assert (wait["dag_id"], wait["run_id"], wait["task_id"]) == ("exports", "manual__1", "wait")
        assert (wait["stream_task_count"], wait["stream_task_ids"]) == (2, ["a", "b"])
        assert wait["since"] == NOW.isoformat()
        assert wait["deadline"] == (NOW + timedelta(seconds=600)).isoformat()
        assert wait["stream_conn_id"] == "stream_default"
        assert wait["triggerer"] is None

    def test_a_wait_that_began_in_the_triggerer_says_where_its_ids_come_from(
        self, ask: Ask, waits: Waits
    ) -> None:
        waits.add(
            classpath="airflow_provider_streamtasks.triggers.sensor.StreamSensorTrigger",
            stream_task_ids=[],
            started_at=None,
            xcom={"task_id": "delete", "key": "return_value"},
        )
        (wait,) = ask()["waits"]
        assert wait["ids_from"] == {"task_id": "delete", "key": "return_value"}
        assert wait["stream_task_count"] is None
        assert wait["since"] == NOW.isoformat()
        assert wait["deadline"] == (NOW + timedelta(seconds=600)).isoformat()

    def test_of_many_ids_the_first_are_named_and_all_are_counted(self, ask: Ask, waits: Waits) -> None:
        waits.add(stream_task_ids=[f"task-{i}" for i in range(10_000)])
        (wait,) = ask()["waits"]
        assert wait["stream_task_count"] == 10_000
        assert wait["stream_task_ids"] == ["task-0", "task-1", "task-2"]

    def test_a_trigger_that_cannot_be_read_hides_no_other(self, ask: Ask, waits: Waits) -> None:
        waits.add(task_id="broken", raw="gAAAA-of-a-key-that-is-gone")
        waits.add(task_id="sound")
        found = {each["task_id"]: each for each in ask()["waits"]}
        assert found["broken"]["stream_task_count"] is None
        assert found["broken"]["deadline"] == (NOW + timedelta(seconds=600)).isoformat()
        assert found["sound"]["stream_task_count"] == 1

    @pytest.mark.parametrize(
        "odd",
        [{"started_at": "x"}, {"started_at": 1e30}, {"timeout": "x"}, {"xcom": "x"}, {"stream_task_ids": 5}],
    )
    def test_nor_does_one_that_somebody_made_by_hand(
        self, odd: dict[str, Any], ask: Ask, waits: Waits
    ) -> None:
        waits.add(task_id="broken", **odd)
        waits.add(task_id="sound")
        found = {each["task_id"]: each["stream_task_count"] for each in ask()["waits"]}
        assert found == {"broken": None, "sound": 1}

    def test_what_is_no_text_is_not_handed_on(self, ask: Ask, waits: Waits) -> None:
        """React refuses to show an object, and nothing of the page would be shown."""
        waits.add(stream_conn_id={"a": 1}, xcom={"task_id": ["b"], "key": {}})
        (wait,) = ask()["waits"]
        assert (wait["stream_conn_id"], wait["ids_from"]) == ("{'a': 1}", {"task_id": "['b']", "key": "{}"})

    def test_plain_json_in_the_database_is_read_as_well(self, ask: Ask, waits: Waits) -> None:
        """That is how Airflow 3.3.2 stores what a worker defers with."""
        from airflow.models.crypto import get_fernet
        from airflow.models.trigger import Trigger

        stored = Trigger.encrypt_kwargs({"stream_conn_id": "c", "stream_task_ids": ["x"]})
        waits.add(raw=get_fernet().decrypt(stored.encode()).decode())
        assert ask()["waits"][0]["stream_task_ids"] == ["x"]

    def test_what_others_wait_for_is_not_listed(self, ask: Ask, waits: Waits) -> None:
        waits.add(task_id="sleeps", classpath="airflow.providers.standard.triggers.temporal.DateTimeTrigger")
        waits.add(task_id="other", classpath="airflow_provider_streamtasksXtriggers.task.Other")
        waits.add(state="running")
        assert ask()["waits"] == []

    def test_nothing_at_all(self, ask: Ask, waits: Waits) -> None:
        answer = ask()
        assert (answer["waits"], answer["total"]) == ([], 0)
        assert answer["as_of"].endswith("+00:00")


class TestManyWaits:
    def test_the_first_deadlines_come_first_and_the_others_are_counted(self, ask: Ask, waits: Waits) -> None:
        for i in (3, 1, 2):
            waits.add(task_id=f"t{i}", ends=NOW + timedelta(minutes=i))
        waits.add(task_id="no_deadline", ends=None)

        assert [each["task_id"] for each in ask()["waits"]] == ["t1", "t2", "t3", "no_deadline"]
        answer = ask(limit=2)
        assert ([each["task_id"] for each in answer["waits"]], answer["total"]) == (["t1", "t2"], 4)

    def test_no_database_is_asked_for_an_index_that_it_cannot_hold(self, ask: Ask, waits: Waits) -> None:
        waits.add()
        assert ask(map_index=2**31 - 1)["total"] == 0
        assert [ask(map_index=index) for index in (2**31, 2**63, -2)] == [422] * 3

    @pytest.mark.parametrize("limit", [0, -1, 1001])
    def test_the_limit_has_limits(self, ask: Ask, waits: Waits, limit: int) -> None:
        assert ask(limit=limit) == 422

    def test_the_number_of_queries_does_not_grow_with_the_waits(self, ask: Ask, waits: Waits) -> None:
        from airflow import settings
        from sqlalchemy import event

        def queries() -> int:
            made: list[str] = []
            count = lambda *given: made.append(given[2])  # noqa: E731
            event.listen(settings.engine, "before_cursor_execute", count)
            try:
                assert ask()["waits"]
            finally:
                event.remove(settings.engine, "before_cursor_execute", count)
            return len(made)

        waits.add(task_id="first")
        few = queries()
        for i in range(30):
            waits.add(task_id=f"t{i}")
        assert queries() == few


class TestFilters:
    def test_of_one_task_instance(self, ask: Ask, waits: Waits) -> None:
        waits.add("exports", "wait", map_index=0)
        waits.add("exports", "wait", map_index=1)
        waits.add("exports", "other")
        waits.add("imports", "wait")
        (wait,) = ask(dag_id="exports", run_id="manual__1", task_id="wait", map_index=1)["waits"]
        assert (wait["task_id"], wait["map_index"]) == ("wait", 1)

    def test_of_one_run_whose_id_has_a_plus(self, ask: Ask, waits: Waits) -> None:
        waits.add(run_id="scheduled__2026-11-28T00:00:00+00:00")
        waits.add(run_id="manual__1")
        (wait,) = ask(run_id="scheduled__2026-11-28T00:00:00+00:00")["waits"]
        assert wait["run_id"].endswith("+00:00")

    @pytest.mark.parametrize(
        ("text", "found"), [("PORT", 2), ("_nightly", 1), ("x_w", 0), ("%", 0), (" ", 2)]
    )
    def test_by_a_part_of_an_id(self, ask: Ask, waits: Waits, text: str, found: int) -> None:
        waits.add("exports")
        waits.add("imports_nightly")
        assert len(ask(text=text)["waits"]) == found
