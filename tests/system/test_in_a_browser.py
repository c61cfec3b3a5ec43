"""The page, the link, the connection form and the tab in a real browser, on a real Airflow."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_streamtasks._compat import KEEPS_TABS_OFF_OTHERS
from tests.system.real_stream import RealStream
from tests.system.test_user_interface import token_of, waiting  # noqa: F401 - a fixture

pytestmark = pytest.mark.browser

PATIENCE = 60_000  # milliseconds


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or None, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


class Reader:
    """A browser in which somebody is logged in."""

    def __init__(self, chromium: Any, real: RealStream, token: str | None, scheme: str = "light") -> None:
        self._url = real.airflow.base_url
        self.context = chromium.new_context(
            color_scheme=scheme, viewport={"width": 1500, "height": 800}, locale="en-US"
        )
        if token:
            self.context.add_cookies([{"name": "_token", "value": token, "url": self._url}])
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, path: str) -> Any:
        self.page.goto(f"{self._url}/{path.lstrip('/')}")
        return self.page


@pytest.fixture
def reader(chromium: Any, real: RealStream, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Makes readers, and leaves a picture of what each of them saw last."""
    made: list[Reader] = []

    def reader(user: str = "admin", **how: Any) -> Reader:
        role = "ADMIN" if user == "admin" else "VIEWER"
        made.append(Reader(chromium, real, token_of(real, user, role) if user else None, **how))
        return made[-1]

    yield reader
    pictures = Path(os.environ.get("PICTURES") or real.folder / "pictures")
    pictures.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"\W+", "_", request.node.name)
    for number, each in enumerate(made):
        each.page.screenshot(path=pictures / f"{name}-{number}.png")
        each.context.close()
    for each in made:
        assert each.errors == []


def test_the_page_lists_the_waits(reader: Any, waiting: dict[str, str]) -> None:  # noqa: F811
    page = reader().open("plugin/stream-tasks")
    rows = page.get_by_test_id("wait")
    page.get_by_text("as of").wait_for()
    rows.first.wait_for()
    assert rows.count() >= 6
    row = rows.filter(has_text="secret_ui_waits").filter(has_text="delete_many")
    assert re.search(r"2: [0-9a-f-]{36}, [0-9a-f-]{36}", row.inner_text())
    assert "in 1" in row.inner_text()
    assert page.get_by_text("as the XCom return_value of delete names them").count() >= 2


def test_the_menu_browse_leads_to_it(reader: Any, waiting: dict[str, str]) -> None:  # noqa: F811
    page = reader().open("")
    page.get_by_role("button", name="Browse").click()
    page.get_by_text("Stream tasks").click()
    page.wait_for_url("**/plugin/stream-tasks")
    page.get_by_test_id("wait").first.wait_for()


def test_the_dark_theme_is_dark(reader: Any, waiting: dict[str, str]) -> None:  # noqa: F811
    page = reader(scheme="dark").open("plugin/stream-tasks")
    cell = page.get_by_test_id("wait").first.locator("td").nth(1)
    cell.wait_for()
    light = cell.evaluate("e => getComputedStyle(e).color.match(/[0-9.]+/g).slice(0, 3).map(Number)")
    assert min(light) > 0.6 * 255 or all(each <= 1 and each > 0.6 for each in light)


def test_a_user_sees_no_wait_of_a_dag_that_may_not_be_read(
    reader: Any,
    waiting: dict[str, str],  # noqa: F811
) -> None:
    page = reader("viewer").open("plugin/stream-tasks")
    page.get_by_test_id("wait").first.wait_for()
    assert "ui_waits" in page.content()
    assert "secret_ui_waits" not in page.content()


def test_of_one_task_instance_that_may_not_be_read_there_is_a_sentence(
    reader: Any,
    waiting: dict[str, str],  # noqa: F811
) -> None:
    page = reader("viewer").open("plugin/stream-tasks?dag_id=secret_ui_waits&run_id=x&task_id=wait")
    page.get_by_text("You may not read this.").wait_for()
    assert page.get_by_test_id("wait").count() == 0


def test_nobody_sees_it_without_a_login(reader: Any, waiting: dict[str, str]) -> None:  # noqa: F811
    one = reader("")
    one.context.route("**/auth/login*", lambda route: route.abort())  # where everyone is an admin, it logs in
    page = one.page
    page.goto(f"{one._url}/plugin/stream-tasks", wait_until="commit")
    page.wait_for_timeout(3000)
    assert page.get_by_test_id("wait").count() == 0


def test_the_search_narrows_the_list(reader: Any, waiting: dict[str, str]) -> None:  # noqa: F811
    page = reader().open("plugin/stream-tasks")
    page.get_by_test_id("wait").first.wait_for()
    page.get_by_placeholder("Part of a DAG, run or task id").press_sequentially("wait_mapped")
    page.get_by_text("2 waits").wait_for()
    page.get_by_placeholder("Part of a DAG, run or task id").press_sequentially("-nothing")
    page.get_by_text("No wait matches.").wait_for()


def test_a_server_that_does_not_answer_is_told_of_and_what_was_seen_stays(
    reader: Any,
    waiting: dict[str, str],  # noqa: F811
) -> None:
    one = reader()
    page = one.open("plugin/stream-tasks")
    page.get_by_test_id("wait").first.wait_for()
    one.context.route("**/streamtasks/waits*", lambda route: route.abort())
    page.get_by_text("The API server does not answer.").wait_for()
    assert page.get_by_test_id("wait").count() >= 6
    one.context.unroute("**/streamtasks/waits*")
    page.get_by_text("The API server does not answer.").wait_for(state="detached")


def test_thousands_of_waits_do_not_hang_the_page(reader: Any, waiting: dict[str, str]) -> None:  # noqa: F811
    one = reader()

    def many(route: Any) -> None:
        answer = route.fetch().json()
        limit = int(re.search(r"limit=(\d+)", route.request.url)[1])  # type: ignore[index]
        first = answer["waits"][0]
        rows = [{**first, "task_id": f"t{number}"} for number in range(limit)]
        route.fulfill(json={**answer, "waits": rows, "total": 5000})

    one.context.route("**/streamtasks/waits*", many)
    page = one.open("plugin/stream-tasks")
    page.get_by_text("and 4,900 more").wait_for()
    assert page.get_by_test_id("wait").count() == 100
    page.get_by_role("button", name="Show more").click()
    page.get_by_text("and 4,000 more").wait_for()
    assert page.get_by_test_id("wait").count() == 1000


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
    page.get_by_text("It is not waiting for Stream now.").wait_for()


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

    def test_a_task_instance_has_the_tab(reader: Any, waiting: dict[str, str]) -> None:  # noqa: F811
        page = reader().open(f"dags/ui_waits/runs/{waiting['ui_waits']}/tasks/delete_many")
        page.get_by_role("link", name="Stream", exact=True).click()
        page.get_by_test_id("batches-accepted").wait_for()
        assert page.get_by_test_id("wait").count() == 1
