"""The page in Chromium, on Airflow's own API server and UI, over a database in which task instances wait."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG
from fastapi import FastAPI

from airflow_provider_streamtasks._compat import KEEPS_TABS_OFF_OTHERS
from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.sandbox import Sandbox
from airflow_provider_streamtasks.triggers.task import BACKSTOP
from tests.browser import DRAWN, Reader, chromium
from tests.ui.conftest import Waits, token

pytestmark = pytest.mark.browser

PAGE = "plugin/stream-tasks"
TAB = pytest.mark.picture("tab") if KEEPS_TABS_OFF_OTHERS else pytest.mark.browser
FILTER = "Part of a DAG, run or task id"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def url(server: FastAPI, port: int) -> Iterator[str]:
    """Where the API server listens."""
    import uvicorn

    running = uvicorn.Server(uvicorn.Config(server, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join(timeout=20)


@pytest.fixture
def reader(browser: Any, url: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    made: list[Reader] = []

    def reader(user: str | None = "admin", role: str | None = None, **how: Any) -> Reader:
        made.append(Reader(browser, url, **how))
        if user:
            made[-1].context.add_cookies([{"name": "_token", "value": token(user, role), "url": url}])
        return made[-1]

    yield reader
    for each in made:
        each.close(request.node)


@pytest.fixture
def now() -> datetime:
    return datetime.now(timezone.utc)


def add(waits: Waits, now: datetime, dag_id: str, task_id: str = "wait", **given: Any) -> None:
    """Add a wait that began five minutes ago and has ten minutes left."""
    ends = now + timedelta(seconds=600 + BACKSTOP)
    arguments = {"started_at": now.timestamp() - 300, "timeout": 900.0, "ends": ends, **given}
    waits.add(dag_id, task_id, **arguments)


def said(now: datetime, *, ago: float, **more: Any) -> dict[str, Any]:
    """Return a record of how far a wait has come, after what Stream said some seconds ago."""
    numbers = {"stream_tasks": 5, "finished": 2, "failed": 0}
    at = (now - timedelta(seconds=ago)).isoformat()
    return {"status": "running", "said_at": at, "errors_since": None, **numbers, **more}


class TestWaits:
    @pytest.mark.picture("page")
    def test_each_has_a_row(self, reader: Any, waits: Waits, now: datetime) -> None:
        ids = ["aaa", "bbb", "ccc", "ddd", "eee"]
        add(waits, now, "exports", stream_task_ids=ids, progress=said(now, ago=20))
        add(waits, now, "imports", map_index=4)
        add(waits, now, "late", started_at=now.timestamp() - 3600)

        page = reader().open(PAGE)
        rows = page.get_by_test_id("wait")
        rows.nth(2).wait_for()
        text = rows.filter(has_text="exports").inner_text()
        assert "5: aaa, bbb, ccc and 2 more" in text
        assert re.search(r"5 min( \d+ s)?\s+in (10 min|9 min \d+ s)\s+stream_default\s+none yet", text)
        assert re.search(r"running, \d+ s ago; 2 of 5 finished", text)
        text = rows.filter(has_text="imports").inner_text()
        assert "wait [4]" in text
        assert "not recorded yet" in text
        assert "passed 45 min" in rows.filter(has_text="late").inner_text()
        assert page.get_by_text("as of").count() == 1
        assert page.get_by_text("3 waits").count() == 1

    def test_what_stream_said_last_is_shown(self, reader: Any, waits: Waits, now: datetime) -> None:
        add(waits, now, "exports", progress=said(now, ago=90, failed=1))
        silent = (now - timedelta(seconds=60)).isoformat()
        add(waits, now, "deaf", progress=said(now, ago=90, failed=1, errors_since=silent))

        rows = reader().open(PAGE).get_by_test_id("wait")
        rows.nth(1).wait_for()
        text = rows.filter(has_text="exports").inner_text()
        assert re.search(r"running, 1 min( \d+ s)? ago; 2 of 5 finished, 1 failed", text)
        assert "only errors" not in text
        assert re.search(r"only errors for 1 min", rows.filter(has_text="deaf").inner_text())

    def test_the_row_leads_to_the_task_instance(self, reader: Any, waits: Waits, now: datetime) -> None:
        add(waits, now, "exports", run_id="scheduled__2026-11-28T00:00:00+00:00", map_index=2)
        page = reader().open(PAGE)
        link = page.get_by_test_id("wait").get_by_role("link", name="wait [2]")
        assert link.get_attribute("href").endswith(
            "/dags/exports/runs/scheduled__2026-11-28T00%3A00%3A00%2B00%3A00/tasks/wait/mapped/2"
        )

    def test_a_new_wait_comes_by_itself(self, reader: Any, waits: Waits, now: datetime) -> None:
        page = reader().open(PAGE)
        page.get_by_text("No Airflow task is waiting for Stream.").wait_for()
        add(waits, now, "exports")
        page.get_by_test_id("wait").wait_for()

    def test_nothing_is_asked_while_nobody_looks(self, reader: Any, waits: Waits) -> None:
        one = reader()
        page = one.open(PAGE)
        page.get_by_text("No Airflow task is waiting for Stream.").wait_for()
        page.evaluate("Object.defineProperty(document, 'visibilityState', {value: 'hidden', writable: true})")
        page.wait_for_timeout(500)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.wait_for_timeout(7000)
        assert [each for each in asked if "streamtasks/waits" in each] == []
        page.evaluate(
            "document.visibilityState = 'visible'; document.dispatchEvent(new Event('visibilitychange'))"
        )
        page.wait_for_timeout(2000)
        assert [each for each in asked if "streamtasks/waits" in each] != []

    def test_the_menu_browse_leads_to_it(self, reader: Any, waits: Waits) -> None:
        page = reader().open("")
        page.get_by_role("button", name="Browse").click()
        page.get_by_text("Stream tasks").click()
        page.locator(DRAWN).wait_for()

    def test_the_search_narrows_the_list(self, reader: Any, waits: Waits, now: datetime) -> None:
        add(waits, now, "exports")
        add(waits, now, "imports")
        page = reader().open(PAGE)
        page.get_by_text("2 waits").wait_for()
        page.get_by_placeholder(FILTER).press_sequentially("EXP")
        page.get_by_text("1 wait", exact=True).wait_for()
        page.get_by_placeholder(FILTER).press_sequentially("-nothing")
        page.get_by_text("No wait matches.").wait_for()

    def test_thousands_do_not_hang_it(self, reader: Any, waits: Waits, now: datetime) -> None:
        add(waits, now, "exports")
        one = reader()

        page = one.open(PAGE)
        page.get_by_test_id("wait").wait_for()
        answer = page.evaluate("fetch('streamtasks/waits').then(answer => answer.json())")

        def many(route: Any) -> None:
            limit = int(re.search(r"limit=(\d+)", route.request.url)[1])  # type: ignore[index]
            rows = [{**answer["waits"][0], "task_id": f"t{number}"} for number in range(limit)]
            route.fulfill(json={**answer, "waits": rows, "total": 5000})

        one.context.route("**/streamtasks/waits*", many)
        page.get_by_text("and 4,900 more").wait_for()
        assert page.get_by_test_id("wait").count() == 100
        page.get_by_role("button", name="Show more").click()
        page.get_by_text("and 4,000 more").wait_for()
        assert page.get_by_test_id("wait").count() == 1000
        began = time.monotonic()
        page.get_by_placeholder(FILTER).fill("t1")
        assert time.monotonic() - began < 10


class TestTheme:
    @pytest.mark.parametrize(
        "scheme", ["light", pytest.param("dark", marks=pytest.mark.picture("page-dark"))]
    )
    def test_it_is_that_of_airflow(self, reader: Any, waits: Waits, now: datetime, scheme: str) -> None:
        add(waits, now, "exports")
        one = reader()
        one.context.add_init_script(f"localStorage.setItem('theme', '{scheme}')")
        page = one.open(PAGE)
        cell = page.get_by_test_id("wait").locator("td").nth(1)
        cell.wait_for()
        text, ground = (
            page.evaluate(
                """([element, name]) => {
                    const one = document.createElement('canvas').getContext('2d');
                    one.fillStyle = getComputedStyle(element)[name];
                    one.fillRect(0, 0, 1, 1);
                    return one.getImageData(0, 0, 1, 1).data[0];
                }""",
                [element, name],
            )
            for element, name in (
                (cell.element_handle(), "color"),
                (cell.element_handle(), "backgroundColor"),
            )
        )
        assert (text > ground + 100) if scheme == "dark" else (ground > text + 100)


class TestRights:
    def test_a_wait_that_may_not_be_read_is_not_there(self, reader: Any, waits: Waits, now: datetime) -> None:
        add(waits, now, "exports")
        add(waits, now, "secret_exports")
        page = reader("viewer").open(PAGE)
        page.get_by_test_id("wait").wait_for()
        assert "secret_exports" not in page.content()

    def test_asked_for_one_that_may_not_be_read_it_says_so(
        self, reader: Any, waits: Waits, now: datetime
    ) -> None:
        add(waits, now, "secret_exports")
        page = reader("viewer").open(f"{PAGE}?dag_id=secret_exports&run_id=manual__1&task_id=wait")
        page.get_by_text("You may not read this.").wait_for()
        assert page.get_by_test_id("wait").count() == 0

    def test_without_a_login_there_is_airflows_login(self, reader: Any, waits: Waits, now: datetime) -> None:
        add(waits, now, "exports")
        page = reader(None).open(PAGE)
        page.wait_for_url("**/auth/login**")
        assert page.locator(DRAWN).count() == 0


class TestOneInstance:
    """An Airflow task that has submitted three batches, and waits for two Stream tasks."""

    @pytest.fixture
    def place(self, waits: Waits, now: datetime, url: str) -> str:
        """Its address below the API."""
        with DAG("clean_up", schedule=None) as dag:
            StreamDeleteChannelsOperator(task_id="delete", cids=["messaging:a"], hard_delete=True)
            PythonOperator(task_id="foreign", python_callable=print)
        waits.serialize(dag)
        add(
            waits,
            now,
            "clean_up",
            "delete",
            stream_task_ids=["aaa", "bbb"],
            operator="StreamDeleteChannelsOperator",
        )
        place = "dags/clean_up/dagRuns/manual__1/taskInstances/delete"
        api = requests.Session()
        api.trust_env = False
        api.headers["Authorization"] = f"Bearer {token('admin')}"

        def note(life: int, states: list[str]) -> None:
            batches: list[dict[str, Any]] = [
                {"state": state, "size": 100, "task_id": None, "failed_items": {}} for state in states
            ]
            done = api.put(
                f"{url}/api/v2/{place}/state-store/stream_submission_delete_{life}_0", json={"value": batches}
            )
            assert done.ok, done.text

        note(0, ["failed", "failed", "failed"])
        note(1, ["accepted", "accepted", "uncertain"])
        for key, value in (("task_ids", ["aaa", "bbb"]), ("failed_items", {"messaging:x": "is frozen"})):
            done = api.post(f"{url}/api/v2/{place}/xcomEntries", json={"key": key, "value": value})
            assert done.ok, done.text
        return place

    def sees(self, page: Any) -> None:
        page.get_by_test_id("batches-accepted").wait_for()
        assert re.search(r"accepted\s+2\s+200", page.get_by_test_id("batches-accepted").inner_text())
        assert re.search(r"uncertain\s+1\s+100", page.get_by_test_id("batches-uncertain").inner_text())
        assert page.get_by_test_id("batches-failed").count() == 0
        assert page.get_by_test_id("wait").count() == 1
        assert "2 Stream tasks: aaa, bbb" in page.get_by_test_id("stream-task-ids").inner_text()
        page.get_by_text("1 item failed inside.").wait_for()
        page.get_by_text("is frozen").wait_for()

    @pytest.mark.picture("instance")
    def test_the_link_shows_while_it_is_deferred_and_leads_to_all_that_is_known(
        self, reader: Any, place: str
    ) -> None:
        page = reader().open("dags/clean_up/runs/manual__1/tasks/delete/details")
        link = page.get_by_role("link", name="Stream tasks").first
        link.wait_for()
        self.sees(reader().open(link.get_attribute("href")))

    def test_who_may_not_read_xcoms_sees_the_rest(self, reader: Any, place: str) -> None:
        page = reader("without_xcoms", "viewer").open(
            f"{PAGE}?dag_id=clean_up&run_id=manual__1&task_id=delete"
        )
        page.get_by_text("You may not read XComs.").wait_for()
        assert re.search(r"accepted\s+2\s+200", page.get_by_test_id("batches-accepted").inner_text())
        assert page.get_by_test_id("wait").count() == 1
        assert page.get_by_test_id("stream-task-ids").count() == 0

    def test_a_wait_on_a_worker_shows_its_record(
        self, reader: Any, url: str, waits: Waits, now: datetime
    ) -> None:
        waits.add("clean_up", "poke", state="running")
        record = {"value": said(now, ago=20)}
        path = "dags/clean_up/dagRuns/manual__1/taskInstances/poke/state-store/stream_progress_poke"
        api = requests.Session()
        api.trust_env = False
        api.headers["Authorization"] = f"Bearer {token('admin')}"
        assert api.put(f"{url}/api/v2/{path}", json=record).ok

        page = reader().open(f"{PAGE}?dag_id=clean_up&run_id=manual__1&task_id=poke")
        page.get_by_text("It waits for Stream on a worker").wait_for()
        page.get_by_text(re.compile(r"Stream said: running, \d+ s ago; 2 of 5 finished")).wait_for()

    def test_other_operators_have_neither_link_nor_tab(self, reader: Any, place: str, waits: Waits) -> None:
        waits.add("clean_up", "foreign", state="success", operator="PythonOperator")
        page = reader().open("dags/clean_up/runs/manual__1/tasks/foreign/details")
        page.get_by_text("PythonOperator").first.wait_for()
        page.wait_for_timeout(2000)
        assert page.get_by_role("link", name=re.compile("^Stream( tasks)?$")).count() == 0

    @TAB
    def test_the_tab_is_there_where_it_stays_off_others(self, reader: Any, place: str) -> None:
        page = reader().open("dags/clean_up/runs/manual__1/tasks/delete")
        page.get_by_role("link", name="Details").first.wait_for()
        tab = page.get_by_role("link", name="Stream", exact=True)
        if KEEPS_TABS_OFF_OTHERS:
            tab.click()
            self.sees(page)
        assert tab.count() == KEEPS_TABS_OFF_OTHERS


class TestTrouble:
    @pytest.mark.parametrize(
        ("trouble", "sentence"),
        [
            ("nobody listens", "The API server does not answer."),
            ("the answer breaks off", "The API server does not answer."),
            ("a proxy's own login", "What came is no answer of Airflow's."),
        ],
    )
    def test_what_was_seen_stays_while_no_answer_comes(
        self, reader: Any, waits: Waits, now: datetime, sandbox: Sandbox, trouble: str, sentence: str
    ) -> None:
        def route(route: Any) -> None:
            if trouble == "nobody listens":
                route.abort()
            elif trouble == "the answer breaks off":
                route.continue_(url=f"{sandbox.url}/api/v2/tasks/any")
            else:
                route.fulfill(body="<html>Log in</html>")

        sandbox.control.fault("truncated")
        add(waits, now, "exports")
        one = reader()
        page = one.open(PAGE)
        page.get_by_test_id("wait").wait_for()
        one.context.route("**/streamtasks/waits*", route)
        page.get_by_text(sentence).wait_for()
        assert page.get_by_test_id("wait").count() == 1
        one.context.unroute("**/streamtasks/waits*")
        page.get_by_text(sentence).wait_for(state="detached")

    @pytest.mark.parametrize(
        ("status", "sentence"),
        [
            (401, "Your login has ended."),
            (500, "The API server answered 500."),
            (404, "knows nothing of this"),
        ],
    )
    def test_each_refusal_is_a_sentence(self, reader: Any, waits: Waits, status: int, sentence: str) -> None:
        one = reader()
        one.context.route(
            "**/streamtasks/waits*", lambda route: route.fulfill(status=status, body="not JSON at all")
        )
        one.open(PAGE).get_by_text(sentence).wait_for()
