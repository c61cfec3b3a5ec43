"""An operator that ends in the triggerer leaves behind what it leaves behind when it ends on a worker."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.listeners import hookimpl
from airflow.providers.common.compat.sdk import get_listener_manager
from airflow.sdk import DAG, Asset, task, task_group

from airflow_provider_streamtasks.exceptions import StreamTaskException, StreamTransportException
from airflow_provider_streamtasks.operators.base import StreamSubmissionFailed
from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.operators.operation import StreamOperationOperator
from airflow_provider_streamtasks.sandbox import SandboxControl
from tests.airflow_tasks import Run
from tests.conftest import Logs
from tests.triggerer import Triggerer

CIDS = [f"messaging:{number}" for number in range(150)]
FIRST, SECOND = CIDS[0], CIDS[100]
SIGNED = "https://storage.example/export.json?Signature=abcdef"
PEOPLE = {"users": [{"id": "ann", "name": "Ann Smith", "custom": {"phone": "+1-555-0100"}}]}
LARGE = {f"messaging:{number}": {"status": "ok"} for number in range(5_000)}
DOWN = {"end": "failed", "error": {"type": "storage", "description": "down", "stacktrace": "at shard 7"}}

Fates = dict[str, dict[str, Any]]

COMPLETED: dict[str, Fates] = {
    "two batches": {},
    "no result": {FIRST: {"result": None}},
    "items failed": {SECOND: {"failed_items": {SECOND: "frozen", CIDS[101]: "gone"}}},
    "people": {FIRST: {"result": PEOPLE}},
    "signed": {FIRST: {"result": {"url": SIGNED}}, SECOND: {"result": {"url": f"{SIGNED}2"}}},
    "large": {FIRST: {"result": LARGE}},
    "at last": {FIRST: {"running": 0.3}},
}
POLICIES: list[dict[str, Any]] = [
    {},
    {"push_result": True},
    {"push_result": False},
    {"do_xcom_push": False},
    {"max_result_size": 10},
    {"redact_result_urls": True},
]
OTHERWISE: dict[str, tuple[Fates, dict[str, Any]]] = {
    "one failed": ({SECOND: DOWN}, {}),
    "both failed": ({FIRST: DOWN, SECOND: DOWN}, {}),
    "failed, with items": ({FIRST: {**DOWN, "result": {FIRST: {"status": "error", "error": "frozen"}}}}, {}),
    "failed, without XComs": ({SECOND: DOWN}, {"do_xcom_push": False}),
    "items failed": ({SECOND: {"failed_items": {SECOND: "frozen"}}}, {"fail_on_partial": True}),
    "items failed, and a URL": (
        {FIRST: {"result": {"url": SIGNED}}, SECOND: {"failed_items": {SECOND: "frozen"}}},
        {"fail_on_partial": True, "redact_result_urls": True},
    ),
    "timeout": ({FIRST: {"end": "never"}}, {"wait_timeout": 0.5}),
    "timeout, one failed": ({FIRST: {"end": "never"}, SECOND: DOWN}, {"wait_timeout": 0.5}),
    "refused at once": ({SECOND: {"failed_items": {SECOND: "frozen"}}}, {"hard_delete": False}),
    "refused at once, a failure": (
        {SECOND: {"failed_items": {SECOND: "frozen"}}},
        {"hard_delete": False, "fail_on_partial": True},
    ),
}
WAYS: dict[str, dict[str, Any]] = {
    "on a worker": {"deferrable": False},
    "back to a worker": {"deferrable": True, "end_from_trigger": False},
    "in the triggerer": {"deferrable": True},
}


def delete(cids: Any = CIDS, **arguments: Any) -> StreamDeleteChannelsOperator:
    return StreamDeleteChannelsOperator(
        **{
            "task_id": "delete",
            "cids": cids,
            "hard_delete": True,
            "wait_for_completion": True,
            "deferrable": True,
            "poll_interval": 0.05,
            "wait_timeout": 20,
            **arguments,
        }
    )


def begin(control: SandboxControl, fates: Fates) -> None:
    control.reset()
    control.fate(pending=0, running=0)
    for item, fate in fates.items():
        control.fate(**{"pending": 0, "running": 0, "item": item, **fate})


def left_behind(run: Run, error: Exception | None, control: SandboxControl) -> Any:
    """Everything that a finished Airflow task left, with the same ids for the same batches."""
    told = {name: value for name, value in vars(error).items() if name != "created_at"} if error else None
    text = json.dumps(
        {
            "error": [type(error).__name__, str(error), told],
            "xcoms": run.xcoms,
            "store": run.store.values,
        },
        default=str,
    )
    for place, request in enumerate(control.journal("DeleteChannels")):
        text = text.replace(request["stream_task_id"], f"id-{place}")
    return json.loads(text)


def outcomes(
    control: SandboxControl, triggerer: Triggerer, fates: Fates, **arguments: Any
) -> Iterator[tuple[Run, Any]]:
    """Each way of waiting in turn, as in :data:`WAYS`."""
    for way in WAYS.values():
        begin(control, fates)
        run, error = Run(), None
        try:
            run.execute(lambda: delete(**arguments, **way), triggerer)  # noqa: B023
        except Exception as raised:
            error = raised
        if not arguments.get("do_xcom_push", True):
            run.xcoms.pop("task_ids", None)  # what comes back from the triggerer reads them there
        yield run, left_behind(run, error, control)


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("fates", COMPLETED.values(), ids=COMPLETED)
def test_a_completed_wait_ends_in_the_triggerer_as_on_a_worker(
    fates: Fates,
    policy: dict[str, Any],
    connection: None,
    control: SandboxControl,
    triggerer: Triggerer,
    logs: Logs,
) -> None:
    (_, expected), (back, other), (there, found) = outcomes(control, triggerer, fates, **policy)
    assert expected["error"] == ["NoneType", "None", None]
    assert other == found == expected
    assert [event["outcome"] for event in back.events] == ["completed"]
    assert (len(there.deferrals), there.events) == (1, [])
    assert "abcdef" not in logs.text


@pytest.mark.parametrize(("fates", "arguments"), OTHERWISE.values(), ids=OTHERWISE)
def test_everything_else_ends_on_a_worker_as_ever(
    fates: Fates,
    arguments: dict[str, Any],
    connection: None,
    control: SandboxControl,
    triggerer: Triggerer,
    logs: Logs,
) -> None:
    (_, expected), (_, other), (there, found) = outcomes(control, triggerer, fates, **arguments)
    assert other == found == expected
    # What is a failure before anything is awaited never leaves the worker.
    assert len(there.events) == len(there.deferrals)
    assert ("Ending on a worker, because " in logs.text) is bool(there.deferrals)


def test_an_error_that_ends_the_wait_ends_on_a_worker(
    connection: None, control: SandboxControl, triggerer: Triggerer, logs: Logs
) -> None:
    begin(control, {})
    control.fault("api_error", operation="GetTask", status=403, code=17)
    run = Run()
    with pytest.raises(Exception, match="let a StreamTaskSensor wait for it"):
        run.execute(delete, triggerer)
    assert len(run.events) == 1
    assert "Ending on a worker, because the wait ended as error" in logs.text


def test_a_retry_waits_in_the_triggerer_for_what_it_submitted_again(
    connection: None, control: SandboxControl, triggerer: Triggerer
) -> None:
    begin(control, {SECOND: {**DOWN, "times": 1}})
    run = Run()
    with pytest.raises(StreamTaskException):
        run.execute(delete, triggerer)
    run.events.clear()
    run.execute(delete, triggerer)
    sent = [request["body"]["cids"] for request in control.journal("DeleteChannels")]
    assert sent == [CIDS[:100], CIDS[100:], CIDS[100:]]
    assert run.events == []
    assert run.xcoms["return_value"] == run.xcoms["task_ids"]
    assert len(run.xcoms["result"]) == 2


def test_one_batch_is_one_id_and_one_result(
    connection: None, control: SandboxControl, triggerer: Triggerer
) -> None:
    begin(control, {})
    run = Run()
    run.execute(lambda: delete([FIRST]), triggerer)
    (task_id,) = run.xcoms["task_ids"]
    assert run.xcoms == {
        "return_value": task_id,
        "task_ids": [task_id],
        "result": {FIRST: {"status": "ok"}},
    }


def test_any_operation_ends_there(connection: None, control: SandboxControl, triggerer: Triggerer) -> None:
    begin(control, {})
    run = Run()
    run.execute(
        lambda: StreamOperationOperator(
            task_id="delete",
            path="/api/v2/chat/channels/delete",
            body={"hard_delete": True},
            items=[FIRST],
            items_field="cids",
            wait_for_completion=True,
            deferrable=True,
        ),
        triggerer,
    )
    assert (run.events, run.xcoms["result"]) == ([], {FIRST: {"status": "ok"}})


# -- the ledger --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end_from_trigger", [None, True])
def test_whatever_is_uncertain_is_reported_on_a_worker(
    end_from_trigger: bool | None,
    connection: None,
    control: SandboxControl,
    triggerer: Triggerer,
    logs: Logs,
) -> None:
    begin(control, {})
    control.fault("reset_after", operation="DeleteChannels", after=1, times=1)
    run = Run()
    with pytest.raises(StreamTransportException):
        run.execute(lambda: delete(end_from_trigger=end_from_trigger), triggerer)
    with pytest.raises(StreamSubmissionFailed, match=r"batch 2 \(items 101 to 150\)"):
        run.execute(lambda: delete(end_from_trigger=end_from_trigger), triggerer)
    line = "Ending on a worker, because Stream may or may not have accepted batch 2 (items 101 to 150)"
    assert logs.text.count(line) == 1


@pytest.mark.parametrize("end_from_trigger", [None, True])
def test_items_that_failed_at_once_are_counted_on_a_worker(
    end_from_trigger: bool | None,
    connection: None,
    control: SandboxControl,
    triggerer: Triggerer,
    logs: Logs,
) -> None:
    begin(control, {FIRST: {"failed_items": {FIRST: "frozen"}}})
    run = Run()
    run.execute(lambda: delete(hard_delete=False, end_from_trigger=end_from_trigger), triggerer)
    assert len(run.events) == 1
    assert run.xcoms["failed_items"] == {FIRST: "frozen"}
    assert "Ending on a worker, because items failed already when they were submitted" in logs.text


def test_where_airflow_forgets_the_ledger_on_success_it_is_a_worker_that_succeeds(
    connection: None,
    control: SandboxControl,
    triggerer: Triggerer,
    logs: Logs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", "True")
    begin(control, {})
    run = Run()
    run.execute(delete, triggerer)
    assert len(run.events) == 1
    assert "Ending on a worker, because [state_store] clear_on_success would not be kept" in logs.text
    again = Run()
    again.execute(lambda: delete(end_from_trigger=True), triggerer)
    assert again.events == []


# -- what would be lost ------------------------------------------------------------------------------------


def nothing(*_: Any) -> None:
    pass


class Quiet(StreamDeleteChannelsOperator):
    """Changes nothing about the wait."""

    template_fields = ("cids",)
    ui_color = "#ffffff"

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)

    def of_its_own(self) -> None:
        pass


class After(StreamDeleteChannelsOperator):
    def post_execute(self, context: Any, result: Any = None) -> None:
        pass


class Mixin:
    def execute_complete(self, context: Any, event: Any) -> Any:
        return "mine"


class Mixed(Mixin, StreamDeleteChannelsOperator):
    pass


class Later(Quiet):
    def _ended(self, context: Any, task_ids: Any) -> Any:
        return "mine"

    @property
    def hook(self) -> Any:
        return super().hook


REASONS: list[tuple[dict[str, Any], str]] = [
    ({"on_success_callback": nothing}, "on_success_callback would not be called"),
    ({"outlets": [Asset("x")]}, "outlets would not be updated"),
    ({"post_execute": nothing}, "post_execute would not be called"),
    ({"multiple_outputs": True}, "multiple_outputs would not be pushed"),
    ({"map_index_template": "{{ task.cids }}"}, "map_index_template would not be rendered again"),
    ({"end_from_trigger": False}, "end_from_trigger is False"),
]


def line_of(operator: Any, triggerer: Triggerer, logs: Logs, connected: Run) -> str | None:
    """Let an operator submit and wait; return what the log says of its end on a worker."""
    connected.execute(lambda: operator, triggerer)
    lines = {line for line in logs.lines if line.startswith("Ending on a worker, because ")}
    assert len(lines) == len(connected.events) <= 1
    return lines.pop().removeprefix("Ending on a worker, because ") if lines else None


@pytest.fixture
def run(connection: None, at_once: None) -> Run:
    return Run()


@pytest.mark.parametrize(("arguments", "reason"), REASONS, ids=lambda value: " ".join(value)[:40])
def test_where_something_would_be_lost_the_log_says_why_there_is_a_worker(
    arguments: dict[str, Any], reason: str, run: Run, triggerer: Triggerer, logs: Logs
) -> None:
    found = line_of(_made(lambda: delete([FIRST], **arguments)), triggerer, logs, run)
    assert found == reason


@pytest.mark.parametrize(("arguments", "reason"), REASONS, ids=lambda value: " ".join(value)[:40])
def test_it_can_be_wanted_all_the_same(
    arguments: dict[str, Any], reason: str, run: Run, triggerer: Triggerer, logs: Logs
) -> None:
    wanted = {**arguments, "end_from_trigger": True}
    assert line_of(_made(lambda: delete([FIRST], **wanted)), triggerer, logs, run) is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"on_failure_callback": nothing},
        {"on_execute_callback": nothing},
        {"pre_execute": nothing},
        {"pool": "few"},
        {"queue": "isolated"},
        {"retries": 3},
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_what_a_worker_has_done_by_then_needs_no_second_one(
    arguments: dict[str, Any], run: Run, triggerer: Triggerer, logs: Logs
) -> None:
    assert line_of(_made(lambda: delete([FIRST], **arguments)), triggerer, logs, run) is None


@pytest.mark.parametrize(
    ("operator", "reason"),
    [
        (Quiet, None),
        (After, "After changes post_execute"),
        (Mixed, "Mixed changes execute_complete"),
        (Later, "Later changes _ended, hook"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_subclass_that_does_something_else_keeps_its_worker(
    operator: type[Any], reason: str | None, run: Run, triggerer: Triggerer, logs: Logs
) -> None:
    arguments = {"wait_for_completion": True, "deferrable": True, "poll_interval": 0.05}
    mine = _made(lambda: operator(task_id="delete", cids=[FIRST], hard_delete=True, **arguments))
    assert line_of(mine, triggerer, logs, run) == reason


def test_a_listener_keeps_its_worker(run: Run, triggerer: Triggerer, logs: Logs) -> None:
    class Told:
        @hookimpl
        def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:
            pass

    manager, listener = get_listener_manager(), Told()
    manager.add_listener(listener)
    try:
        found = line_of(_made(lambda: delete([FIRST])), triggerer, logs, run)
    finally:
        manager.pm.unregister(listener)
    assert found == f"listeners would not be told: {__name__}"


def test_what_others_map_over_ends_on_a_worker(run: Run, triggerer: Triggerer, logs: Logs) -> None:
    with DAG("d", schedule=None):
        operator = delete([FIRST])

        @task
        def use(value: Any) -> None:
            pass

        use.expand(value=operator.output)
    assert line_of(operator, triggerer, logs, run) == "mapped tasks depend on its XCom"


def test_the_result_of_the_dag_comes_from_a_worker(run: Run, triggerer: Triggerer, logs: Logs) -> None:
    with DAG("d", schedule=None) as dag:
        operator = delete([FIRST])
        dag.add_result(operator.output)
    found = line_of(operator, triggerer, logs, run)
    assert found == "its XCom would not become the result of the DAG run"


def test_a_mapped_operator_ends_there(run: Run, triggerer: Triggerer, logs: Logs) -> None:
    with DAG("d", schedule=None) as dag:
        StreamDeleteChannelsOperator.partial(
            task_id="delete", hard_delete=True, wait_for_completion=True, deferrable=True
        ).expand(cids=[[FIRST], [SECOND]])
    mapped: Any = dag.get_task("delete")
    assert line_of(mapped.unmap({"cids": [FIRST]}), triggerer, logs, run) is None


def test_an_operator_in_a_mapped_group_ends_there(run: Run, triggerer: Triggerer, logs: Logs) -> None:
    with DAG("d", schedule=None) as dag:

        @task_group
        def group(name: str) -> None:
            delete([FIRST])

        group.expand(name=["x", "y"])
    assert line_of(dag.get_task("group.delete"), triggerer, logs, run) is None


@pytest.mark.parametrize("value", ["yes", 1])
def test_neither_yes_nor_no_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="end_from_trigger is"):
        delete(end_from_trigger=value)


def _made(operator: Callable[[], Any]) -> Any:
    with DAG("d", schedule=None):
        return operator()
