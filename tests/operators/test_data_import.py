from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout
from airflow.sdk import ObjectStoragePath

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.exceptions import StreamApiException, StreamTaskException
from airflow_provider_streamtasks.notifications.advice import advice
from airflow_provider_streamtasks.operators.data_import import StreamImportOperator, StreamImportV2Operator
from airflow_provider_streamtasks.sandbox import SandboxControl, running_sandbox
from airflow_provider_streamtasks.sensors.data_import import StreamImportSensor
from airflow_provider_streamtasks.sensors.task import StreamTaskFailed
from airflow_provider_streamtasks.triggers.data_import import StreamImportTrigger
from tests.airflow_tasks import Run, WithoutStore, revived
from tests.conftest import Logs, SetConnection
from tests.triggerer import Triggerer

WAYS = {"on-the-worker": False, "deferred": True}
QUEUED, PROCESSING, COMPLETED, FAILED, CANCELLED = 1, 2, 3, 4, 5  # as the sandbox numbers them
REPORT: dict[str, Any] = {
    "Stats": {"users": 3},
    "Errors": [
        "validation error: user.id required",
        {"line": 7, "error": "reference error: see https://stream.example/x?Signature=abc"},
        *(f"validation error: {number}" for number in (2, 3, 4)),
    ],
}
"""As stream-cli shows what it finds; of Stream's own report, no schema is public."""
SETTINGS = {"path": "s3://bucket/import.json", "mode": "upsert"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "users.json"
    path.write_text(json.dumps([{"type": "user", "item": {"id": "joe"}}]))
    return path


@pytest.fixture(params=WAYS)
def waiting(request: pytest.FixtureRequest, connection: None, control: SandboxControl) -> dict[str, Any]:
    """A way of waiting for an import: in both the same must come out."""
    control.fate(pending=0, running=0.1)
    return {
        "wait_for_completion": True,
        "deferrable": WAYS[request.param],
        "poll_interval": 0.05,
        "wait_timeout": 20,
    }


def first(file: Any, **arguments: Any) -> StreamImportOperator:
    return StreamImportOperator(**{"task_id": "import", "file": file, "mode": "upsert", **arguments})


def second(**arguments: Any) -> StreamImportV2Operator:
    return StreamImportV2Operator(
        **{"task_id": "import", "product": "chat", "settings": SETTINGS, "completed_states": [COMPLETED],
           "failed_states": [FAILED, CANCELLED], **arguments}
    )  # fmt: skip


def operations(control: SandboxControl) -> list[str]:
    return [entry["operation"] for entry in control.journal() if entry["method"] != "GET"]


class TestFirstGeneration:
    def test_the_file_is_uploaded_and_the_import_awaited(
        self, file: Path, waiting: dict[str, Any], control: SandboxControl, logs: Logs
    ) -> None:
        run = Run()
        import_id = run.execute(lambda: first(str(file), **waiting))

        assert f"CreateImport: import {import_id}" in logs.text

        assert operations(control) == ["CreateImportURL", "Upload", "CreateImport"]
        (task,) = control.tasks()
        assert (task["stream_task_id"], task["status"]) == (import_id, "completed")
        assert run.xcoms["task_ids"] == [import_id]

    def test_an_object_storage_path_is_a_file(
        self, file: Path, connection: None, control: SandboxControl
    ) -> None:
        Run().execute(lambda: first(ObjectStoragePath(f"file://{file}")))
        assert operations(control) == ["CreateImportURL", "Upload", "CreateImport"]

    def test_no_credentials_go_to_the_storage_host(
        self, file: Path, connection: None, control: SandboxControl
    ) -> None:
        Run().execute(lambda: first(str(file)))
        (upload,) = control.journal("Upload")
        assert upload["authorization"] == "absent"
        assert "api_key" not in upload["query"]

    def test_a_retry_uploads_nothing_again(
        self, file: Path, connection: None, control: SandboxControl, logs: Logs
    ) -> None:
        control.fault("api_error", operation="CreateImport", status=400, code=4, times=1)
        run = Run()
        with pytest.raises(StreamApiException):
            run.execute(lambda: first(str(file)))
        run.execute(lambda: first(str(file)))
        assert operations(control) == ["CreateImportURL", "Upload", "CreateImport", "CreateImport"]
        assert "An earlier try has uploaded the file, as s3://stream-import/1/" in logs.text

    def test_a_refused_upload_is_not_said_to_be_refused_every_time(
        self, file: Path, connection: None, control: SandboxControl
    ) -> None:
        control.fault("expired", operation="Upload")
        with pytest.raises(StreamApiException) as raised:
            Run().execute(lambda: first(str(file)))
        assert advice(raised.value, submits=True) == "Another try uploads it to a new URL."

    @pytest.mark.parametrize("operation", ["CreateImportURL", "Upload"])
    def test_what_breaks_before_the_submission_leaves_nothing_in_doubt_although_nothing_is_recorded(
        self, operation: str, file: Path, connection: None, control: SandboxControl
    ) -> None:
        control.fault("api_error", operation=operation, status=503)
        with pytest.raises(StreamApiException) as raised:
            WithoutStore().execute(lambda: first(str(file)))
        assert not isinstance(raised.value, AirflowFailException)

    def test_a_failed_import_fails_with_its_state(
        self, file: Path, waiting: dict[str, Any], control: SandboxControl
    ) -> None:
        control.fate(operation="CreateImport", pending=0, running=0.1, end="failed")
        with pytest.raises(StreamTaskException, match="analyze_failed") as caught:
            Run().execute(lambda: first(str(file), **waiting))
        assert caught.value.error_type == "import_failed"

    def test_a_failed_import_says_what_stream_found_in_the_file(
        self, file: Path, waiting: dict[str, Any], control: SandboxControl, logs: Logs
    ) -> None:
        control.fate(operation="CreateImport", pending=0, running=0, end="failed", result=REPORT)
        run = Run()
        with pytest.raises(StreamTaskException) as caught:
            run.execute(lambda: first(str(file), **waiting))
        assert caught.value.description == (
            "the import ended as analyze_failed: validation error: user.id required; "
            '{"line": 7, "error": "reference error: see https://stream.example/x"}; '
            "validation error: 2 and 2 more"
        )
        ((import_id, report),) = run.xcoms["validation_report"].items()
        assert [import_id] == run.xcoms["task_ids"]
        assert report == {
            **REPORT,
            "Errors": [
                REPORT["Errors"][0],
                {"line": 7, "error": "reference error: see https://stream.example/x"},
                *REPORT["Errors"][2:],
            ],
        }
        assert "Signature" not in logs.text

    def test_the_log_says_that_a_person_is_waited_for(
        self, file: Path, waiting: dict[str, Any], control: SandboxControl, logs: Logs
    ) -> None:
        control.fate(operation="CreateImport", pending=0, running=0, waiting=0.5)
        Run().execute(lambda: first(str(file), **waiting))
        assert "waits for a person at Stream (waiting_confirmation)" in logs.text

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"file": ""}, "file is ''"),
            ({"file": 5}, "file is 5"),
            ({"mode": "replace"}, "mode is 'replace': one of insert, upsert is needed"),
            ({"mode": None}, "mode is missing"),
            ({"merge_custom": "yes"}, "merge_custom is 'yes': True or False"),
        ],
    )
    def test_bad_arguments_are_refused_at_parse_time(self, arguments: dict[str, Any], words: str) -> None:
        with pytest.raises(ValueError, match=words):
            first(**{"file": "/data/import.json", **arguments})

    @pytest.mark.parametrize(
        ("name", "wrong"),
        [("mode", "replace"), ("mode", None), ("merge_custom", "False"), ("file", None), ("file", 5)],
    )
    def test_what_a_template_gives_is_checked_before_the_first_request(
        self, name: str, wrong: Any, connection: None, control: SandboxControl, file: Path
    ) -> None:
        operator = first(file, **{"mode": "{{ params.mode }}", "merge_custom": "{{ params.merge }}"})
        operator.mode, operator.merge_custom = "upsert", True
        setattr(operator, name, wrong)
        with pytest.raises(ValueError, match=rf"^{name} is "):
            Run().execute(lambda: operator)
        assert control.journal() == []

    def test_an_empty_file_is_refused_before_the_first_request(
        self, tmp_path: Path, connection: None, control: SandboxControl
    ) -> None:
        (tmp_path / "empty.json").touch()
        with pytest.raises(ValueError, match="with 0 bytes"):
            Run().execute(lambda: first(str(tmp_path / "empty.json")))
        assert control.journal() == []

    @pytest.mark.parametrize("dry_run", [False, True])
    def test_a_folder_is_refused_before_the_first_request(
        self, dry_run: bool, tmp_path: Path, connection: None, control: SandboxControl
    ) -> None:
        with pytest.raises(ValueError, match=f"file is file://{tmp_path}, a folder: a file is needed"):
            Run().execute(lambda: first(f"file://{tmp_path}", dry_run=dry_run))
        assert control.journal() == []


class TestSecondGeneration:
    def test_it_is_started_and_awaited(self, waiting: dict[str, Any], control: SandboxControl) -> None:
        import_id = Run().execute(lambda: second(**waiting))
        (task,) = control.tasks()
        assert (task["stream_task_id"], task["status"]) == (import_id, "completed")
        (sent,) = control.journal("CreateImportV2Task")
        assert sent["body"] == {"product": "chat", "settings": SETTINGS}

    def test_a_state_that_the_user_calls_failed_is_a_failure(
        self, waiting: dict[str, Any], control: SandboxControl
    ) -> None:
        control.fate(operation="CreateImportV2Task", pending=0, running=0.1, end="failed")
        with pytest.raises(StreamTaskException, match="the import ended as 4"):
            Run().execute(lambda: second(**waiting))

    def test_a_state_that_nobody_named_is_waited_on(
        self, waiting: dict[str, Any], control: SandboxControl
    ) -> None:
        control.fate(operation="CreateImportV2Task", pending=0, running=0.1, end="failed")
        with pytest.raises(AirflowSensorTimeout):
            Run().execute(lambda: second(**{**waiting, "failed_states": [], "wait_timeout": 1}))

    def test_killing_the_worker_cancels_the_import(self, connection: None, control: SandboxControl) -> None:
        control.fate(operation="CreateImportV2Task", end="never")
        operator = second(wait_for_completion=True, wait_timeout=0.2, poll_interval=0.1)
        with pytest.raises(AirflowSensorTimeout):
            Run().execute(lambda: operator)
        operator.on_kill()
        assert operations(control)[-1] == "CancelImportV2Task"

    def test_a_poll_has_the_body_without_which_stream_refuses_it(
        self, waiting: dict[str, Any], set_connection: SetConnection
    ) -> None:
        with running_sandbox(strict=True) as strict:
            set_connection(host=strict.url, login=strict.api_key, password=strict.api_secret)
            strict.control.fate(pending=0, running=0.1)
            import_id = Run().execute(lambda: second(**waiting))
            polls = strict.control.journal("GetImportV2Task")
        assert polls
        assert {entry["path"] for entry in polls} == {f"/api/v2/imports/v2/{import_id}"}
        assert all(entry["body"] == {} for entry in polls)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"product": "video"}, "product is 'video': one of chat, feeds"),
            ({"settings": "x"}, "settings is 'x': a dictionary"),
            ({"completed_states": ["2"]}, "completed_states is"),
            ({"failed_states": 3}, "failed_states is 3: a list of whole numbers"),
            ({"failed_states": [COMPLETED, FAILED]}, "failed_states holds 3, and so does completed_states"),
            ({"completed_states": [], "wait_for_completion": True}, "completed_states is empty"),
            ({"cancel_on_kill": 1}, "cancel_on_kill is 1: True or False"),
        ],
    )
    def test_bad_arguments_are_refused_at_parse_time(self, arguments: dict[str, Any], words: str) -> None:
        with pytest.raises(ValueError, match=words):
            second(**arguments)


class TestSensor:
    @pytest.mark.parametrize(
        "way", [{}, {"mode": "poke"}, {"mode": "reschedule"}, {"deferrable": False}], ids=str
    )
    def test_an_import_that_another_airflow_task_started_is_awaited(
        self, file: Path, way: dict[str, Any], connection: None, control: SandboxControl
    ) -> None:
        control.fate(pending=0, running=0.1)
        import_id = Run().execute(lambda: first(str(file)))
        run = Run()
        run.execute(
            lambda: StreamImportSensor(task_id="wait", import_id=import_id, poke_interval=0.05, **way)
        )
        assert control.tasks()[0]["status"] == "completed"
        assert control.journal("GetImport")

    def test_a_failed_import_of_the_second_generation_is_not_retried(
        self, connection: None, control: SandboxControl
    ) -> None:
        control.fate(pending=0, running=0, end="failed")
        import_id = Run().execute(second)
        run = Run()
        with pytest.raises(StreamTaskFailed, match="the import ended as 4"):
            run.execute(
                lambda: StreamImportSensor(
                    task_id="wait", import_id=import_id, completed_states=[COMPLETED], failed_states=[FAILED]
                )
            )
        assert run.xcoms == {}

    def test_a_failed_import_of_the_second_generation_has_a_report_too(
        self, connection: None, control: SandboxControl
    ) -> None:
        control.fate(pending=0, running=0, end="failed", result={"description": "no such bucket"})
        import_id = Run().execute(second)
        run = Run()
        with pytest.raises(StreamTaskFailed, match="the import ended as 4: no such bucket"):
            run.execute(
                lambda: StreamImportSensor(
                    task_id="wait", import_id=import_id, completed_states=[COMPLETED], failed_states=[FAILED]
                )
            )
        assert run.xcoms == {"validation_report": {import_id: {"description": "no such bucket"}}}

    @pytest.mark.parametrize(
        ("states", "words"),
        [
            (
                {"completed_states": [3], "failed_states": [3]},
                "failed_states holds 3, and so does completed_states",
            ),
            ({"failed_states": [4]}, "completed_states is empty: with failed_states, "),
        ],
    )
    def test_states_that_decide_nothing_are_refused(self, states: dict[str, Any], words: str) -> None:
        with pytest.raises(ValueError, match=words):
            StreamImportSensor(task_id="wait", import_id="x", **states)

    @pytest.mark.parametrize("import_id", [None, "", ["a", 5], "['a', 'b']"])
    def test_what_is_no_id_is_refused(self, import_id: Any) -> None:
        with pytest.raises(ValueError, match="import_id"):
            StreamImportSensor(task_id="wait", import_id=import_id)


class TestEndInTheTriggerer:
    """What differs by release: before Airflow 3.3 a worker ends it, with the same outcome."""

    def end(self, make: Callable[[], Any], triggerer: Triggerer, run: Run) -> None:
        run.execute(make, triggerer)
        assert bool(run.events) is not _compat.RUNS_WITHOUT_WORKERS

    @pytest.fixture
    def waits(self, connection: None, control: SandboxControl) -> dict[str, Any]:
        control.fate(pending=0, running=0.1, result={"users": [{"id": "ann", "name": "Ann Smith"}]})
        return {"wait_for_completion": True, "deferrable": True, "poll_interval": 0.05, "wait_timeout": 20}

    def test_of_the_first_generation(
        self, file: Path, waits: dict[str, Any], triggerer: Triggerer, logs: Logs
    ) -> None:
        run = Run()
        self.end(lambda: first(str(file), **waits), triggerer, run)
        (import_id,) = run.xcoms["task_ids"]
        assert run.xcoms["return_value"] == import_id
        assert run.xcoms["result"] == {"users": {"count": 1, "ids": ["ann"]}}
        assert "So is hook.get_task(import_id, Import(" in logs.text

    def test_of_the_second_generation(self, waits: dict[str, Any], triggerer: Triggerer) -> None:
        run = Run()
        self.end(lambda: second(**waits), triggerer, run)
        assert run.xcoms["return_value"] == run.xcoms["task_ids"][0]

    @pytest.mark.parametrize("many", [False, True])
    def test_of_the_sensor(self, many: bool, file: Path, waits: dict[str, Any], triggerer: Triggerer) -> None:
        import_id = Run().execute(lambda: first(str(file)))
        run = Run()
        self.end(
            lambda: StreamImportSensor(
                task_id="wait", import_id=[import_id] if many else import_id, poke_interval=0.05
            ),
            triggerer,
            run,
        )
        result = {"users": {"count": 1, "ids": ["ann"]}}
        assert run.xcoms == {"return_value": [result] if many else result}

    def test_a_failed_import_ends_on_a_worker(
        self, waits: dict[str, Any], triggerer: Triggerer, control: SandboxControl
    ) -> None:
        control.fate(operation="CreateImportV2Task", pending=0, running=0, end="failed", result=REPORT)
        run = Run()
        with pytest.raises(StreamTaskException, match="the import ended as 4"):
            run.execute(lambda: second(**waits), triggerer)
        assert len(run.events) == 1
        assert list(run.xcoms) == ["task_ids", "validation_report"]


class TestTrigger:
    def trigger(self, *import_ids: str, started_at: float = 1.0, timeout: float = 2.0) -> StreamImportTrigger:
        return StreamImportTrigger(
            stream_conn_id="stream_default",
            stream_task_ids=import_ids,
            started_at=started_at,
            timeout=timeout,
            poll_interval=3.0,
            max_poll_interval=4.0,
            completed_states=[COMPLETED],
            failed_states=[FAILED, CANCELLED],
            cancel_on_kill=True,
        )

    def test_it_survives_its_own_serialization(self) -> None:
        trigger = self.trigger("a")
        assert revived(trigger).serialize() == trigger.serialize()

    async def test_killing_it_cancels_what_still_goes_on(
        self, connection: None, control: SandboxControl
    ) -> None:
        control.fate(operation="CreateImportV2Task", end="never")
        control.fate(operation="CreateImportV2Task", pending=0, running=0, times=1)
        import_ids = [await asyncio.to_thread(Run().execute, second) for _ in range(2)]
        endless = [task["stream_task_id"] for task in control.tasks() if not task["finished"]]
        await self.trigger(*import_ids, started_at=time.time(), timeout=60).on_kill()
        cancelled = [entry["path"].split("/")[-2] for entry in control.journal("CancelImportV2Task")]
        assert len(import_ids) == 2
        assert cancelled == endless
        assert len(cancelled) == 1

    async def test_killing_it_after_its_deadline_cancels_nothing(
        self, connection: None, control: SandboxControl
    ) -> None:
        control.fate(operation="CreateImportV2Task", end="never")
        import_id = await asyncio.to_thread(Run().execute, second)
        await self.trigger(import_id, started_at=time.time() - 61, timeout=60).on_kill()
        assert control.journal("CancelImportV2Task") == []
