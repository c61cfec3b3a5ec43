"""Every call of Stream's JavaScript SDKs: the sandbox answers as Stream does."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_streamtasks.sandbox import Sandbox
from tests.conformance.calls import GIVEN, PAST
from tests.conformance.conftest import Provide
from tests.conformance.javascript_calls import JAVASCRIPT, PACKAGES, JavaScriptCall, Sdk
from tests.conformance.javascript_client import FOLDER, Answer, JavaScript, JavaScriptError, javascript_sdks
from tests.conformance.javascript_declarations import methods_with_an_id

pytestmark = pytest.mark.javascript

ERRORS: dict[Sdk, str] = {"node-sdk": "StreamError", "stream-chat": "ErrorFromResponse"}
UNKNOWN_ID = "7586fa0d-dc8d-4f6f-be2d-f952d0e26167"
DATES = ("created_at", "updated_at")


def cases(wanted: Callable[[JavaScriptCall], Any] = lambda call: True) -> pytest.MarkDecorator:
    """Each call that is wanted."""
    return pytest.mark.parametrize(
        "call",
        [
            pytest.param(call, id=f"{call.sdk}-{call.name}-{call.label}")
            for call in JAVASCRIPT
            if wanted(call)
        ],
    )


EVERY = cases()
STARTING = cases(lambda call: call.row.starts)


@pytest.fixture(scope="session")
def javascript(one_sandbox: Sandbox) -> Iterator[JavaScript]:
    with javascript_sdks(one_sandbox) as javascript:
        yield javascript


def started(javascript: JavaScript, call: JavaScriptCall) -> str:
    body = javascript.call(call).body
    stream_task_id: str = body.get("run", body)["task_id"]
    return stream_task_id


def finished(javascript: JavaScript, call: JavaScriptCall) -> Any:
    """The Stream task that a call starts, looked at until it has ended."""
    stream_task_id = started(javascript, call)
    for _ in range(200):
        task = javascript.get_task(call.sdk, stream_task_id).body
        if task["status"] not in ("pending", "waiting", "running"):
            assert task["task_id"] == stream_task_id
            return task
        time.sleep(0.01)
    raise TimeoutError(task)


def moment(call: JavaScriptCall, value: Any) -> datetime:
    """A time as an SDK gives it: node-sdk a ``Date``, stream-chat the text that came."""
    if call.sdk == "stream-chat":
        value = datetime.fromisoformat(value.replace("Z", "+00:00"))
    assert isinstance(value, datetime)
    return value


def assert_dates(call: JavaScriptCall, answer: Any) -> None:
    for key in DATES:
        if key in answer:
            assert abs(moment(call, answer[key]) - datetime.now(timezone.utc)) < timedelta(minutes=1)


@EVERY
def test_is_answered(
    call: JavaScriptCall, javascript: JavaScript, provide: Provide, sandbox: Sandbox
) -> None:
    answer: Answer = javascript.call(call, provide(call.row.given))
    entry = sandbox.control.journal()[-1]
    assert (entry["operation"], entry["status"], entry["taken"]) == (call.row.operation, answer.status, True)
    assert answer.status == (201 if entry["method"] in ("POST", "PUT") else 200)
    assert entry["path"].startswith("/api/v2/") == (call.sdk == "node-sdk")
    if call.row.starts:
        assert answer.body.get("run", answer.body)["task_id"] == entry["stream_task_id"]
    elif call.row.given != "task":
        assert "task_id" not in answer.body
    assert "x-ratelimit-remaining" in answer.headers
    assert_dates(call, answer.body)


@cases(lambda call: repr(PAST) in repr(call.arguments))
def test_sends_dates_in_words(
    call: JavaScriptCall, javascript: JavaScript, provide: Provide, sandbox: Sandbox
) -> None:
    javascript.call(call, provide(call.row.given))
    assert '"2026-01-01T00:00:00.000Z"' in json.dumps(sandbox.control.journal()[-1]["body"])


@STARTING
def test_starts_a_stream_task_that_completes(
    call: JavaScriptCall, javascript: JavaScript, sandbox: Sandbox
) -> None:
    sandbox.control.fate(pending=0.02, waiting=0.02, running=0.02)
    task = finished(javascript, call)
    assert (task["status"], task["result"]) == ("completed", call.result)
    assert "error" not in task
    assert_dates(call, task)
    worked = moment(call, task["updated_at"]) - moment(call, task["created_at"])
    assert worked == pytest.approx(timedelta(seconds=0.06), abs=timedelta(milliseconds=2))


@STARTING
def test_starts_a_stream_task_that_fails(
    call: JavaScriptCall, javascript: JavaScript, sandbox: Sandbox
) -> None:
    error = {"type": "quota", "description": "too much", "stacktrace": "a.go:1", "version": "v9"}
    sandbox.control.fate(pending=0, running=0, end="failed", error=error)
    task = finished(javascript, call)
    assert (task["status"], task["error"]) == ("failed", error)
    assert "result" not in task


@cases(lambda call: call.row.file)
@pytest.mark.usefixtures("at_once")
def test_leaves_a_file(call: JavaScriptCall, javascript: JavaScript) -> None:
    with urllib.request.urlopen(finished(javascript, call)["result"]["url"]) as response:
        assert call.row.file in response.read().decode()


@EVERY
@pytest.mark.parametrize(
    ("wrong", "code", "words"),
    [
        pytest.param({"key": "another"}, 2, "api_key not valid", id="key"),
        pytest.param(
            {"secret": "another secret, also of more than 32 bytes"},
            43,
            "signature is not valid",
            id="secret",
        ),
    ],
)
def test_is_refused_to_strangers(
    call: JavaScriptCall,
    wrong: dict[str, str],
    code: int,
    words: str,
    javascript: JavaScript,
    provide: Provide,
) -> None:
    with pytest.raises(JavaScriptError, match=f"{call.row.operation} failed with error: .*{words}") as caught:
        javascript.call(call, provide(call.row.given), **wrong)
    assert (caught.value.type, caught.value.code, caught.value.status) == (ERRORS[call.sdk], code, 401)


@EVERY
def test_may_be_called_too_often(
    call: JavaScriptCall, javascript: JavaScript, provide: Provide, sandbox: Sandbox
) -> None:
    given = provide(call.row.given)
    sandbox.control.budget(call.row.operation, limit=0)
    with pytest.raises(JavaScriptError, match="Too many requests") as caught:
        javascript.call(call, given)
    assert (caught.value.type, caught.value.code, caught.value.status) == (ERRORS[call.sdk], 9, 429)
    if call.sdk == "node-sdk":
        limit = caught.value.rate_limit
        assert (limit["rateLimit"], limit["rateLimitRemaining"]) == (0, 0)
        assert limit["rateLimitReset"] > datetime.now(timezone.utc)


@cases(lambda call: call.row.most and call.row.most[0] in call.arguments)
def test_takes_so_many_items_and_no_more(
    call: JavaScriptCall, javascript: JavaScript, sandbox: Sandbox
) -> None:
    assert call.row.most is not None
    argument, most = call.row.most
    [one, *_] = call.arguments[argument]
    javascript.call(call.with_arguments(**{argument: [one] * most}))
    assert len(sandbox.control.journal()[-1]["items"]) == most
    with pytest.raises(JavaScriptError, match="at most") as caught:
        javascript.call(call.with_arguments(**{argument: [one] * (most + 1)}))
    assert (caught.value.code, caught.value.status) == (4, 400)


@cases(lambda call: call.row.choice and call.sdk == "node-sdk")
def test_takes_only_the_words_it_knows(
    call: JavaScriptCall, javascript: JavaScript, provide: Provide
) -> None:
    with pytest.raises(JavaScriptError, match=f"{call.row.choice} must be one of") as caught:
        javascript.call(call.with_arguments(**{call.row.choice: "nonsense"}), provide(call.row.given))
    assert (caught.value.code, caught.value.status) == (4, 400)


@cases(lambda call: GIVEN in call.arguments.values())
def test_does_not_find_what_is_not_there(
    call: JavaScriptCall, javascript: JavaScript, sandbox: Sandbox
) -> None:
    with pytest.raises(JavaScriptError) as caught:
        javascript.call(call, UNKNOWN_ID)
    expected = (4, 400) if call.row.given == "upload" else (16, 404)
    assert (caught.value.code, caught.value.status) == expected


class TestTheTable:
    """Whoever takes a newer SDK adds its calls."""

    @pytest.mark.parametrize("sdk", PACKAGES)
    def test_every_method_whose_answer_has_an_id_is_in_it(self, sdk: Sdk) -> None:
        called = {call.method.rpartition(".")[2] for call in JAVASCRIPT if call.sdk == sdk}
        # It shows a run that another method starts.
        assert methods_with_an_id(sdk) - {"getPolicyTestRun"} <= called

    @pytest.mark.parametrize("sdk", PACKAGES)
    def test_every_call_that_starts_something_is_declared_so(self, sdk: Sdk) -> None:
        starting = [call for call in JAVASCRIPT if call.sdk == sdk and call.row.starts]
        assert {call.method.rpartition(".")[2] for call in starting} <= methods_with_an_id(sdk)

    def test_the_lock_names_no_host_to_download_from(self) -> None:
        lock = json.loads((FOLDER / "package-lock.json").read_text())
        assert not [name for name, package in lock["packages"].items() if "resolved" in package]

    def test_the_versions_are_pinned(self) -> None:
        pinned = json.loads((FOLDER / "package.json").read_text())["dependencies"]
        installed = FOLDER / "node_modules"
        assert pinned == {
            package: json.loads(Path(installed, package, "package.json").read_text())["version"]
            for package in PACKAGES.values()
        }
