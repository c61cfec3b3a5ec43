"""The page, the link, the connection form and the tab in a real browser, on a real Airflow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_streamtasks._compat import KEEPS_TABS_OFF_OTHERS
from tests.browser import Reader, chromium
from tests.system.real_stream import RealStream
from tests.system.test_user_interface import token_of, waiting  # noqa: F401 - a fixture

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def reader(browser: Any, real: RealStream, request: pytest.FixtureRequest) -> Iterator[Any]:
    made: list[Reader] = []

    def reader(user: str = "admin") -> Reader:
        # Not as the cookie: where everyone is an admin, Airflow takes who has no header for one.
        token = token_of(real, user, "ADMIN" if user == "admin" else "VIEWER")
        headers = {"Authorization": f"Bearer {token}"}
        made.append(Reader(browser, real.airflow.base_url, extra_http_headers=headers))
        return made[-1]

    yield reader
    for each in made:
        each.close(request.node)


def test_the_page_lists_the_waits(reader: Any, waiting: dict[str, str]) -> None:  # noqa: F811
    page = reader().open("plugin/stream-tasks")
    rows = page.get_by_test_id("wait")
    page.get_by_text("as of").wait_for()
    rows.first.wait_for()
    assert rows.count() >= 6
    row = rows.filter(has_text=waiting["secret_ui_waits"]).filter(has_text="delete_many")
    assert re.search(r"2: [0-9a-f-]{36}, [0-9a-f-]{36}", row.inner_text())
    assert "in 1" in row.inner_text()
    assert page.get_by_text("as the XCom return_value of delete names them").count() >= 2


def test_a_user_sees_no_wait_of_a_dag_that_may_not_be_read(
    reader: Any,
    waiting: dict[str, str],  # noqa: F811
) -> None:
    page = reader("viewer").open("plugin/stream-tasks")
    page.get_by_test_id("wait").first.wait_for()
    assert "ui_waits" in page.content()
    assert "secret_ui_waits" not in page.content()


def test_the_link_shows_while_deferred_and_leads_to_the_task_instance(
    reader: Any,
    waiting: dict[str, str],  # noqa: F811
) -> None:
    page = reader().open(f"dags/ui_waits/runs/{waiting['ui_waits']}/tasks/delete_many/details")
    page.get_by_role("link", name="Stream tasks").first.wait_for()
    href = page.get_by_role("link", name="Stream tasks").first.get_attribute("href")
    page = reader().open(href)
    page.get_by_test_id("batches-accepted").wait_for()
    assert re.search(r"2\s+150", page.get_by_test_id("batches-accepted").inner_text())
    assert page.get_by_test_id("wait").count() == 1
    assert "2 Stream tasks" in page.get_by_test_id("stream-task-ids").inner_text()


def test_the_link_shows_after_an_end_without_a_worker(reader: Any, real: RealStream) -> None:
    run_id = real.airflow.trigger("ww_one")
    assert real.airflow.wait_for_run("ww_one", run_id, timeout=240) == "success"
    assert real.airflow.worker_starts("ww_one", run_id, "wait") == 0

    page = reader().open(f"dags/ww_one/runs/{run_id}/tasks/wait/details")
    link = page.get_by_role("link", name="Stream tasks").first
    link.wait_for()
    page = reader().open(link.get_attribute("href"))
    page.get_by_text("It is not waiting for Stream in the triggerer now.").wait_for()


@pytest.mark.picture("connection")
def test_the_connection_form_speaks_streams_words(reader: Any, real: RealStream) -> None:
    page = reader().open("connections")
    page.get_by_role("button", name="Add Connection").first.click()
    page.get_by_role("combobox").last.click()
    page.keyboard.type("stream")
    page.get_by_role("option", name="stream").first.click()
    page.get_by_text("API key").first.wait_for()
    page.get_by_text("API secret").first.wait_for()
    page.get_by_text("Base URL").first.wait_for()


if KEEPS_TABS_OFF_OTHERS:

    def test_a_task_instance_has_the_tab(reader: Any, waiting: dict[str, str]) -> None:
        page = reader().open(f"dags/ui_waits/runs/{waiting['ui_waits']}/tasks/delete_many")
        page.get_by_role("link", name="Stream", exact=True).click()
        page.get_by_test_id("batches-accepted").wait_for()
        # Airflow's graph beside it calls its node of the Airflow task "wait" so, too.
        assert page.locator("tr[data-testid=wait]").count() == 1
