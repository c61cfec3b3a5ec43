"""What Stream's public suites assert: the sandbox does so, and operators and sensors understand it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout

from airflow_provider_streamtasks.exceptions import StreamApiException, StreamTaskException
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.operators.data_import import StreamImportOperator
from airflow_provider_streamtasks.sandbox import Sandbox, running_sandbox
from airflow_provider_streamtasks.sensors.data_import import StreamImportSensor
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from tests.airflow_tasks import Run
from tests.conformance.assertions import ASSERTIONS, Assertion, Outcome, an_id, holds
from tests.conftest import SetConnection
from tests.sandbox.raw_client import RawClient, Reply

REQUESTED = [assertion for assertion in ASSERTIONS if assertion.path]
FOLLOWED = (Outcome.COMPLETED, Outcome.FAILED, Outcome.OPEN)
SUBMITTING = [assertion for assertion in REQUESTED if assertion.operator]
WAITED = [assertion for assertion in SUBMITTING if assertion.outcome in FOLLOWED]
WAYS = {"on-the-worker": False, "deferred": True}
SHORT = 1.0  # seconds: a wait that ends with a verdict at its last look, where Stream's word is no last one

pytestmark = pytest.mark.usefixtures("connection")


def each(assertions: list[Assertion]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("assertion", assertions, ids=lambda assertion: assertion.label)


def paths(assertion: Assertion) -> list[str]:
    """In API v2 and, where it has it, in API v1."""
    first = assertion.path.removeprefix("/api/v2").removeprefix("/chat")
    if assertion.only_v1:
        return [first]
    only_v2 = first.startswith("/video")
    return [assertion.path] if only_v2 else [assertion.path, first]


@pytest.fixture(scope="module")
def strict_sandbox() -> Iterator[Sandbox]:
    with running_sandbox(strict=True) as sandbox:
        yield sandbox


@pytest.fixture
def place(
    assertion: Assertion, request: pytest.FixtureRequest, sandbox: Sandbox, set_connection: SetConnection
) -> Sandbox:
    """The sandbox of an assertion, to which the Airflow connection leads, with the people that it knows."""
    if assertion.strict:
        sandbox = request.getfixturevalue("strict_sandbox")
        sandbox.control.reset()
        sandbox.control.add_channel("messaging:a")
        set_connection(host=sandbox.url, login=sandbox.api_key, password=sandbox.api_secret)
    for user_id in ("ann", "joe"):
        sandbox.control.add_user(user_id, name=user_id.title())
    sandbox.control.fate(**{"pending": 0, "running": 0, **assertion.fate})
    return sandbox


def followed(raw: RawClient, assertion: Assertion, task_id: str, path: str) -> Mapping[str, Any]:
    """The Stream task as it stands at its end, or after a while."""
    shown_at = assertion.shown_at.format(task_id)
    if not path.startswith("/api/v2"):
        shown_at = shown_at.removeprefix("/api/v2")
    for _ in range(40):
        reply: Reply = raw.send("GET", shown_at)
        assert reply.status == 200
        if reply.json["status"] not in ("pending", "waiting", "running"):
            break
        time.sleep(0.01)
    task: Mapping[str, Any] = reply.json
    return task


@each(REQUESTED)
def test_the_sandbox_does_so(assertion: Assertion, place: Sandbox) -> None:
    raw = RawClient(place)
    for path in paths(assertion):
        reply = raw.send(assertion.method, path, assertion.body)
        if assertion.outcome is Outcome.REFUSED:
            assert 400 <= reply.status < 500
            assert f'{assertion.operation} failed with error: "{assertion.refusal}' in reply.json["message"]
            continue
        assert reply.status == (200 if assertion.method == "GET" else 201)
        assert holds(reply.json, assertion.answer_holds), reply.json
        if assertion.outcome in FOLLOWED:
            task = followed(raw, assertion, reply.json["task_id"], path)
            assert holds(task, assertion.task_holds), task


@each(WAITED)
@pytest.mark.parametrize("way", WAYS)
def test_the_operator_waits_for_it(assertion: Assertion, way: str, place: Sandbox) -> None:
    run = Run()
    with ending(assertion):
        task_id = run.execute(
            lambda: operator(
                assertion, wait_for_completion=True, deferrable=WAYS[way], wait_timeout=patience(assertion)
            )
        )
    if assertion.outcome is Outcome.COMPLETED:
        assert an_id(task_id)
        assert "failed_items" not in run.xcoms


@each(WAITED)
def test_the_sensor_waits_for_it(assertion: Assertion, place: Sandbox) -> None:
    submitted, run = Run(), Run()
    task_id = submitted.execute(lambda: operator(assertion))
    assert an_id(task_id)
    with ending(assertion):
        run.execute(
            lambda: StreamTaskSensor(
                task_id="wait", stream_task_id=task_id, poke_interval=0.05, timeout=patience(assertion)
            )
        )
    if assertion.outcome is Outcome.COMPLETED:
        assert "failed_items" not in run.xcoms


@each([assertion for assertion in SUBMITTING if assertion.outcome is Outcome.DONE])
def test_the_operator_knows_that_it_is_done(assertion: Assertion, place: Sandbox) -> None:
    run = Run()
    assert run.execute(lambda: operator(assertion, wait_for_completion=True)) == []
    assert run.xcoms["task_ids"] == []
    # And so does a sensor on its output.
    run.execute(lambda: StreamTaskSensor(task_id="wait", stream_task_id=[], timeout=SHORT))


@each([assertion for assertion in SUBMITTING if assertion.outcome is Outcome.REFUSED])
def test_the_operator_submits_nothing(assertion: Assertion, place: Sandbox) -> None:
    with pytest.raises((ValueError, StreamApiException), match=assertion.refusal or None):
        Run().execute(lambda: operator(assertion))
    assert place.control.tasks() == []


def operator(assertion: Assertion, **others: Any) -> Any:
    assert assertion.operator is not None
    made, arguments = assertion.operator
    return made(**{"task_id": "submit", "poll_interval": 0.05, **arguments, **others})


def patience(assertion: Assertion) -> float:
    return 20.0 if assertion.outcome is Outcome.COMPLETED else SHORT


def ending(assertion: Assertion) -> AbstractContextManager[Any]:
    """How a wait for it ends."""
    match assertion.outcome:
        case Outcome.FAILED:
            return pytest.raises(StreamTaskException, match=assertion.refusal)
        case Outcome.OPEN:
            return pytest.raises(AirflowSensorTimeout)
        case _:
            return nullcontext()


class TestAnUnknownStreamTask:
    """The row GetTask, of an unknown id."""

    TASK_ID = "7586fa0d-dc8d-4f6f-be2d-f952d0e26167"

    def test_the_hook_says_so(self) -> None:
        with pytest.raises(StreamApiException, match=f"Can't find task with id {self.TASK_ID}"):
            StreamHook().get_task(self.TASK_ID)

    def test_the_sensor_waits_for_half_a_minute(self) -> None:
        """Stream reads its own writes late."""
        with pytest.raises(AirflowSensorTimeout):
            Run().execute(
                lambda: StreamTaskSensor(
                    task_id="wait", stream_task_id=self.TASK_ID, poke_interval=0.05, timeout=0.2
                )
            )


class TestImports:
    """The rows on imports."""

    @pytest.fixture(params=["/api/v2", ""], ids=["v2", "v1"])
    def version(self, request: pytest.FixtureRequest) -> str:
        version: str = request.param
        return version

    @pytest.fixture
    def raw(self, sandbox: Sandbox) -> RawClient:
        return RawClient(sandbox)

    @staticmethod
    def target(raw: RawClient, version: str) -> Any:
        reply = raw.send("POST", f"{version}/import_urls", {"filename": "users.json"})
        assert reply.status == 201
        return reply.json

    def imported(self, raw: RawClient, version: str) -> Any:
        target = self.target(raw, version)
        upload = urlsplit(target["upload_url"])
        headers = {"Content-Type": "application/json"}
        put = raw.send("PUT", f"{upload.path}?{upload.query}", {}, query={}, headers=headers)
        assert put.status == 200
        created = raw.send("POST", f"{version}/imports", {"path": target["path"], "mode": "upsert"})
        assert created.status == 201
        return created.json["import_task"]

    def test_a_place_for_a_file(self, raw: RawClient, version: str) -> None:
        target = self.target(raw, version)
        assert target["path"].endswith("users.json")
        assert target["upload_url"]

    def test_what_is_not_uploaded_is_not_imported(self, raw: RawClient, version: str) -> None:
        body = {"path": self.target(raw, version)["path"], "mode": "upsert"}
        assert raw.send("POST", f"{version}/imports", body).status == 400

    def test_an_uploaded_file_is_imported(self, raw: RawClient, version: str) -> None:
        created = self.imported(raw, version)
        assert an_id(created["id"])
        assert created["path"].endswith("users.json")
        shown = raw.send("GET", f"{version}/imports/{created['id']}")
        assert shown.json["import_task"]["id"] == created["id"]

    def test_a_list_has_as_many_as_asked_for(self, raw: RawClient, version: str) -> None:
        for _ in range(2):
            self.imported(raw, version)
        reply = raw.send("GET", f"{version}/imports?limit=1")
        assert len(reply.json["import_tasks"]) == 1

    @pytest.mark.parametrize("way", WAYS)
    def test_the_operator_imports_and_the_sensor_waits(
        self, way: str, tmp_path: Path, sandbox: Sandbox
    ) -> None:
        sandbox.control.fate(pending=0, running=0)
        file = tmp_path / "users.json"
        file.write_text("{}")
        arguments: dict[str, Any] = {"wait_for_completion": True, "deferrable": WAYS[way]}
        import_id = Run().execute(
            lambda: StreamImportOperator(
                task_id="import", file=str(file), mode="upsert", poll_interval=0.05, **arguments
            )
        )
        assert an_id(import_id)
        Run().execute(
            lambda: StreamImportSensor(task_id="wait", import_id=import_id, poke_interval=0.05, timeout=20)
        )


def test_every_row_without_a_request_is_written_out_above() -> None:
    assert {row.operation for row in ASSERTIONS if not row.path} == {
        "CreateImportURL",
        "CreateImport",
        "ListImports",
    }
