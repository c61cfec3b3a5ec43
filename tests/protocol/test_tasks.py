from __future__ import annotations

import json
import re
from typing import Any

import pytest

from airflow_provider_streamtasks.exceptions import StreamApiException, StreamException
from airflow_provider_streamtasks.protocol import tasks
from airflow_provider_streamtasks.protocol.errors import is_passing
from airflow_provider_streamtasks.protocol.failures import describe_failure, failure
from airflow_provider_streamtasks.protocol.tasks import StreamTask, TaskError, parse_timestamp, read_task
from airflow_provider_streamtasks.protocol.wire import Response
from tests import json_values
from tests.fuzzing import fuzz

NOW = 1_800_000_000.0
URL = "https://storage.example/export.json"
SIGNED = f"{URL}?Expires=1&Signature=abc%2Fdef"


def read(**body: Any) -> StreamTask:
    return read_task("a", Response(200, {}, json.dumps(body).encode()), NOW)


def test_every_field_of_a_stream_task_is_read() -> None:
    task = read(
        task_id="a",
        status="completed",
        created_at=1_700_000_000_500_000_000,
        updated_at=1_700_000_001_000_000_000,
        result={"messaging:a": {"status": "ok"}},
        error=None,
        duration="0.1ms",
    )
    assert task == StreamTask(
        "a",
        "completed",
        {"messaging:a": {"status": "ok"}},
        None,
        created_at=1_700_000_000.5,
        updated_at=1_700_000_001.0,
    )


@pytest.mark.parametrize(
    ("status", "completed", "failed"),
    [
        ("completed", True, False),
        ("COMPLETED", True, False),
        ("failed", False, True),
        ("error", False, True),
        ("pending", False, False),
        ("waiting", False, False),
        ("running", False, False),
        ("defrosting", False, False),
    ],
)
def test_the_status_says_where_a_stream_task_stands(status: str, completed: bool, failed: bool) -> None:
    task = read(status=status)
    assert (task.completed, task.failed) == (completed, failed)
    assert task.finished is (completed or failed)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"status": "ok"}, "completed"),
        ({"status": "OK"}, "completed"),
        ({"status": "completed", "result": {"status": "ok"}}, "completed"),
        ({"status": "completed", "result": {"status": {"status": "failed"}}}, "completed"),
        ({"status": "completed", "result": {"status": "failed"}}, "failed"),
        ({"status": "ok", "result": {"status": "error"}}, "failed"),
        ({"status": "completed", "result": {"status": "started"}}, "open"),
        ({"status": "completed", "result": {"status": "thawing"}}, "open"),
        ({"status": "running", "result": {"status": "completed"}}, "open"),
        ({"status": "failed", "result": {"status": "completed"}}, "failed"),
    ],
)
def test_the_result_has_a_say_in_how_completed_work_ended(body: dict[str, Any], status: str) -> None:
    task = read(**body)
    assert (task.completed, task.failed) == (status == "completed", status == "failed")
    assert task.finished is (status != "open")


STORAGE = {"type": "storage"}
PERSON = {"id": "ann", "name": "Ann Smith", "email": "ann@example.com"}


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        ({"error": {**STORAGE, "description": "full"}, "result": {"error": "x"}}, ("storage", "full")),
        ({"error": STORAGE, "result": {"description": "full"}}, ("storage", "full")),
        ({"error": {**STORAGE, "description": " "}, "result": {"reason": "full"}}, ("storage", "full")),
        ({"error": {"message": "full"}}, ("unknown", "full")),
        ({"error": None, "result": {"error": "full"}}, ("unknown", "full")),
        ({"error": {}, "result": {"joe": {"error": "gone"}}}, ("unknown", "1 item failed: joe (gone)")),
        ({"error": "", "result": "full"}, ("unknown", "full")),
        ({"error": f"see {SIGNED}"}, ("unknown", f"see {URL}")),
        ({}, ("unknown", "")),
        ({"status": "completed", "result": {"status": "failed"}}, ("channel_batch_update", "")),
    ],
)
def test_why_work_failed_is_what_stream_says_wherever_it_says_so(
    body: dict[str, Any], failure: tuple[str, str]
) -> None:
    why = read(**{"status": "failed", **body}).failure
    assert (why.type, why.description) == failure


@pytest.mark.parametrize("name", ["description", "message", "reason", "error", "stacktrace", "type"])
@pytest.mark.parametrize(
    "said", [f"see {SIGNED}", {"url": SIGNED}, [PERSON], {"user": PERSON}, {"error": PERSON}, PERSON]
)
def test_an_error_names_no_person_and_shows_no_signature(name: str, said: Any) -> None:
    for error in (said, [said], {name: said}):
        task = read(status="failed", error=error)
        shown = f"{task!r} {task.failure!r} {describe_failure(task)} {failure([task]).to_dict()}"
        assert not re.search("Signature|Smith|ann@", shown)


def test_whatever_an_error_calls_its_reason_is_the_reason() -> None:
    task = read(status="failed", error={"type": "storage", "reason": "full"})
    assert (task.failure, task.may_pass) == (TaskError("storage", "full"), False)
    assert read(status="failed", error={"error": "Too Many Requests"}).may_pass


def test_a_stack_trace_shows_no_signature() -> None:
    assert read(status="failed", error={"stacktrace": f"at {SIGNED}"}).failure.stack_trace == f"at {URL}"


@pytest.mark.parametrize(
    ("body", "may_pass"),
    [
        ({"status": "failed"}, True),
        ({"status": "error", "error": {}, "result": {}}, True),
        ({"status": "failed", "error": {"type": "unknown", "description": " "}}, True),
        ({"status": "failed", "result": {"description": "Rate limit exceeded"}}, True),
        ({"status": "failed", "result": {"description": "rate-limited"}}, True),
        ({"status": "failed", "error": {"type": "rate_limit"}}, True),
        ({"status": "failed", "error": {"description": "Too Many Requests"}}, True),
        ({"status": "completed", "result": {"status": "failed"}}, True),
        ({"status": "failed", "error": STORAGE}, False),
        ({"status": "failed", "error": {"description": "full"}}, False),
        ({"status": "failed", "result": {"description": "full"}}, False),
        ({"status": "failed", "result": {"joe": {"error": "gone"}}}, False),
        ({"status": "completed", "result": {"status": "failed", "description": "full"}}, False),
        ({"status": "completed", "result": {"description": "rate limit"}}, False),
        ({"status": "running"}, False),
    ],
)
def test_a_failure_without_a_reason_or_of_a_rate_limit_may_pass(body: dict[str, Any], may_pass: bool) -> None:
    assert read(**body).may_pass is may_pass


@pytest.mark.parametrize("body", [{}, {"status": None}, {"status": ""}, {"status": 5}, {"status": ["ok"]}])
def test_an_answer_without_a_status_is_an_error_that_passes(body: dict[str, Any]) -> None:
    with pytest.raises(StreamApiException, match="the answer has no status") as raised:
        read(**body)
    assert is_passing(raised.value)
    assert raised.value.message.endswith(", ".join(map(repr, body)) or "nothing")


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"task_id": "a", "result": {"url": SIGNED, "users": [PERSON]}}),
        json.dumps({"result": {"url": SIGNED, "users": [PERSON]}})[:-3],
        json.dumps([{"url": SIGNED, "user": PERSON}]),
    ],
)
def test_an_answer_that_cannot_be_read_gets_into_no_log_and_no_event(body: str) -> None:
    with pytest.raises(StreamApiException) as raised:
        read_task("a", Response(200, {}, body.encode()), NOW)
    shown = f"{raised.value} {raised.value!r} {raised.value.to_dict()}"
    assert not re.search("Signature|Smith|ann@", shown)
    assert is_passing(raised.value)


def test_an_error_of_streams_shows_no_signature() -> None:
    body = {"code": 4, "message": f"bad {SIGNED}", "exception_fields": {"csv_file": SIGNED}}
    for text in (json.dumps(body), json.dumps({"detail": SIGNED}), f"upstream {SIGNED} failed"):
        with pytest.raises(StreamApiException) as raised:
            read_task("a", Response(400, {}, text.encode()), NOW)
        assert "Signature" not in f"{raised.value} {raised.value.to_dict()}"
        assert URL in f"{raised.value}"


def test_the_id_is_the_one_that_was_asked_for() -> None:
    assert read(status="running", task_id="another").task_id == "a"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            {"type": "storage", "description": "full", "stacktrace": "at x", "version": "v1"},
            TaskError("storage", "full", "at x", "v1"),
        ),
        ({"description": "full"}, TaskError("unknown", "full")),
        ({"type": None, "description": None}, TaskError()),
        ({"type": 5, "description": ["full"]}, TaskError("5", "['full']")),
        ("full", TaskError("unknown", "full")),
        (["full"], TaskError("unknown", "['full']")),
        (None, None),
        ({}, None),
        ("", None),
    ],
)
def test_why_a_stream_task_failed_is_read_in_any_shape(error: Any, expected: TaskError | None) -> None:
    assert read(status="failed", error=error).error == expected


def test_the_repr_does_not_show_the_result() -> None:
    assert "Signature" not in repr(read(status="completed", result={"url": SIGNED}))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1_700_000_000_500_000_000, 1_700_000_000.5),
        ("1700000000500000000", 1_700_000_000.5),
        (1.7e18, 1_700_000_000.0),
        (0, 0),
        ("2023-11-14T22:13:20Z", 1_700_000_000),
        ("2023-11-14T22:13:20.5Z", 1_700_000_000.5),
        ("2023-11-14T22:13:20.123456789Z", 1_700_000_000.123456789),
        ("2023-11-14T23:13:20.5+01:00", 1_700_000_000.5),
        ("2023-11-14t22:13:20z", 1_700_000_000),
        ("2023-11-14 22:13:20Z", 1_700_000_000),
        (None, None),
        (True, None),
        ("", None),
        ("yesterday", None),
        ("2023-11-14", None),
        ("2023-11-14T22:13:20", None),
        ("2023-13-14T22:13:20Z", None),
        ("2023-11-14T22:13:20+99:00", None),
        ("-1700000000500000000", None),
        ("9" * 31, None),
        (10**400, None),
        # What no date can be.
        (10**30, None),
        (-(10**30), None),
        ("9" * 30, None),
        (float("nan"), None),
        ("9999-12-31T23:59:59-14:00", None),
        ([], None),
        ({}, None),
    ],
)
def test_timestamps_are_nanoseconds_or_rfc_3339(value: Any, seconds: float | None) -> None:
    assert parse_timestamp(value) == (seconds if seconds is None else pytest.approx(seconds, abs=1e-6))


def test_the_request_for_a_stream_task_names_it_in_the_path() -> None:
    request = tasks.get_task("a/b?c")
    assert (request.operation, request.method, request.path) == ("GetTask", "GET", "/api/v2/tasks/a%2Fb%3Fc")


@fuzz(status=json_values.statuses, headers=json_values.headers, body=json_values.bodies)
def test_whatever_comes_is_a_stream_task_or_an_exception_of_ours(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    response = Response(status, headers, body)
    try:
        said: object = read_task("a", response, NOW).status
    except StreamException as error:
        said = str(error)
    assert isinstance(said, str)
    assert said


@fuzz(json_values.anything | json_values.numbers)
def test_whatever_a_timestamp_is_it_is_seconds_or_nothing(value: Any) -> None:
    assert isinstance(parse_timestamp(value), float | None)


@fuzz(json_values.times)
def test_whatever_looks_like_rfc_3339_is_seconds_or_nothing(text: str) -> None:
    assert isinstance(parse_timestamp(text), float | None)
