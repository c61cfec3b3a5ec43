from __future__ import annotations

from typing import Any, cast

import pytest
from airflow.sdk import DAG, BaseOperator, Context

from airflow_provider_streamtasks.exceptions import StreamException, StreamTaskException
from airflow_provider_streamtasks.operators.base import StreamSubmissionFailed
from airflow_provider_streamtasks.operators.operation import StreamOperationOperator
from airflow_provider_streamtasks.sandbox import SandboxControl
from tests.airflow_tasks import Run

DELETE = "/api/v2/chat/channels/delete"


@pytest.fixture
def run(connection: None, control: SandboxControl) -> Run:
    control.fate(pending=0, running=0)
    return Run()


def any_operation(**arguments: Any) -> StreamOperationOperator:
    return StreamOperationOperator(**{"task_id": "start", "path": DELETE, "poll_interval": 0.05, **arguments})


def test_items_go_out_in_batches_with_the_other_fields(run: Run, control: SandboxControl) -> None:
    cids = [f"messaging:{number}" for number in range(5)]
    run.execute(
        lambda: any_operation(items=cids, items_field="cids", batch_size=2, body={"hard_delete": True})
    )
    bodies = [entry["body"] for entry in control.journal("DeleteChannels")]
    assert bodies == [
        {"cids": cids[:2], "hard_delete": True},
        {"cids": cids[2:4], "hard_delete": True},
        {"cids": cids[4:], "hard_delete": True},
    ]
    assert len(run.xcoms["task_ids"]) == 3


def test_without_items_one_request_goes_out(run: Run, control: SandboxControl) -> None:
    body = {"cids": ["messaging:a"], "hard_delete": True}
    run.execute(lambda: any_operation(body=body, wait_for_completion=True))
    assert run.xcoms["result"] == {"messaging:a": {"status": "ok"}}
    assert [entry["body"] for entry in control.journal("DeleteChannels")] == [body]


@pytest.mark.parametrize("template", ["{{ params.body }}", "the output of another Airflow task"])
def test_the_body_may_be_a_template_as_a_whole(template: str, run: Run, control: SandboxControl) -> None:
    body = {"cids": ["messaging:a"], "hard_delete": True}
    run.ti.xcoms = {"return_value": body}
    with DAG("dag", schedule=None, render_template_as_native_obj=True):
        output = BaseOperator(task_id="prepare").output
        operator = any_operation(body=template if "{{" in template else output)
    context = Context(ti=cast(Any, run.ti), params={"body": body})
    operator.render_template_fields(context)
    run.execute(lambda: operator)
    assert [entry["body"] for entry in control.journal("DeleteChannels")] == [body]


@pytest.mark.parametrize("name", ["body", "query"])
@pytest.mark.parametrize("wrong", [["a"], {1: "a"}, "{'a': 1}"])
def test_a_template_that_gives_no_fields_sends_nothing(
    name: str, wrong: Any, run: Run, control: SandboxControl
) -> None:
    operator = any_operation(**{name: "{{ params.fields }}"})
    setattr(operator, name, wrong)
    with pytest.raises(ValueError, match=rf"^{name} is .*: a dictionary with string keys is needed"):
        run.execute(lambda: operator)
    assert control.journal() == []


def test_query_parameters_go_where_they_belong(run: Run, control: SandboxControl) -> None:
    path = "/api/v2/feeds/feed_groups/user/feeds/joe"
    run.execute(lambda: any_operation(method="DELETE", path=path, query={"hard_delete": True}))
    (entry,) = control.journal("DeleteFeed")
    assert entry["query"]["hard_delete"] == "true"
    assert entry["body"] is None


@pytest.mark.parametrize(("name", "asked"), [("DeleteChannels", 1), ("", 0)])
def test_the_budget_is_asked_for_where_its_name_is_known(
    run: Run, control: SandboxControl, name: str, asked: int
) -> None:
    run.execute(lambda: any_operation(body={"cids": ["messaging:a"]}, operation_name=name))
    assert len(control.journal("GetRateLimits")) == asked


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"path": ""}, "path is ''"),
        ({"path": "api/v2/x"}, "path is 'api/v2/x': a path below the base URL"),
        ({"path": "/api/v2/users/../tasks"}, "path is '/api/v2/users/../tasks'"),
        ({"path": "/api/v2/x?y=1"}, "without query"),
        ({"path": "/api/v2/a b"}, "percent-encoded"),
        ({"path": "/api/v2/{user_id}"}, "percent-encoded"),
        ({"method": "GET"}, "method is 'GET': one of POST, PUT, PATCH, DELETE"),
        ({"body": []}, "body is"),
        ({"query": {1: 2}}, "query is"),
        ({"body": {"a": 1}, "query": {"a": 2}}, "query holds 'a'"),
        ({"query": {"a": ["b"]}}, "a is a list: text, a number, True or False"),
        ({"items": ["a"], "items_field": "cids", "body": {"cids": ["b"]}}, "body holds 'cids'"),
        ({"items": ["a"]}, "items_field is None"),
        ({"items_field": "cids"}, "items_field is 'cids'"),
        ({"items": ["a"], "items_field": "cids", "batch_size": 0}, "batch_size is 0"),
        ({"items": [], "items_field": "cids"}, "cids is empty"),
        ({"task_id_at": ""}, "task_id_at is '': a non-empty string like 'run.task_id'"),
        ({"task_id_at": "run..task_id"}, "task_id_at is 'run..task_id'"),
        ({"task_id_at": ".task_id"}, "task_id_at is '.task_id'"),
        ({"task_id_at": "run task_id"}, "task_id_at is 'run task_id'"),
        ({"task_id_at": ["run", "task_id"]}, "task_id_at is a list"),
        ({"task_id_at": None}, "task_id_at is None"),
    ],
)
def test_bad_arguments_are_refused_before_the_first_request(
    run: Run, control: SandboxControl, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        run.execute(lambda: any_operation(**arguments))
    assert control.journal() == []


def test_a_path_from_a_template_is_checked_when_it_is_rendered(run: Run, control: SandboxControl) -> None:
    with DAG("dag", schedule=None, params={"user": "../../users"}):
        operator = any_operation(path="/api/v2/{{ params.user }}/delete")
    operator.path = "/api/v2/../../users/delete"
    with pytest.raises(ValueError, match="a path below the base URL"):
        operator.execute(run.context)
    assert control.journal() == []


# -- where the id is ---------------------------------------------------------------------------------------

POLICY_TEST = "/api/v2/moderation/policy_tests/sets/profanity/runs"


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_id_may_be_anywhere_in_the_answer(run: Run, control: SandboxControl, deferrable: bool) -> None:
    started = run.execute(
        lambda: any_operation(
            path=POLICY_TEST, task_id_at="run.task_id", wait_for_completion=True, deferrable=deferrable
        )
    )
    (entry,) = control.journal("start_policy_test_run")
    assert run.xcoms["task_ids"] == [started] == [entry["stream_task_id"]]
    assert run.xcoms["result"] == {}


def test_a_failed_one_fails(run: Run, control: SandboxControl) -> None:
    control.fate(operation="start_policy_test_run", pending=0, running=0, end="failed")
    with pytest.raises(StreamTaskException, match="internal_error"):
        run.execute(
            lambda: any_operation(path=POLICY_TEST, task_id_at="run.task_id", wait_for_completion=True)
        )


def test_an_answer_without_the_id_is_no_success_and_is_not_asked_for_again(
    run: Run, control: SandboxControl
) -> None:
    with pytest.raises(StreamException, match="the answer holds no id at 'task_id', but 'run', 'duration'"):
        run.execute(lambda: any_operation(path=POLICY_TEST))
    with pytest.raises(StreamSubmissionFailed, match="Stream may or may not have accepted it"):
        run.execute(lambda: any_operation(path=POLICY_TEST))
    assert len(control.journal("start_policy_test_run")) == 1
