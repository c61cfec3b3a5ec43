"""Operations whose results are people: what of them Airflow gets to keep."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.serialization.helpers import serialize_template_field

from airflow_provider_streamtasks.exceptions import StreamTaskException
from airflow_provider_streamtasks.operators.chat import (
    StreamChannelBatchUpdateOperator,
    StreamDeleteChannelsOperator,
)
from airflow_provider_streamtasks.operators.operation import StreamOperationOperator
from airflow_provider_streamtasks.operators.users import (
    StreamDeactivateUsersOperator,
    StreamReactivateUsersOperator,
)
from airflow_provider_streamtasks.sandbox import SandboxControl
from tests.airflow_names import DagSerialization
from tests.airflow_tasks import Run
from tests.conftest import Logs

WAYS: dict[str, dict[str, Any]] = {
    "on-the-worker": {"wait_for_completion": True, "deferrable": False},
    "deferred": {"wait_for_completion": True, "deferrable": True},
}
OPERATORS = [StreamDeactivateUsersOperator, StreamReactivateUsersOperator]
IDS = ["joe", "ann"]

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture(params=WAYS)
def waiting(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A way of waiting for completion: in both the same must come out."""
    return WAYS[request.param]


@pytest.fixture(params=OPERATORS)
def operator(request: pytest.FixtureRequest) -> type[Any]:
    operator: type[Any] = request.param
    return operator


@pytest.fixture
def run(connection: None) -> Run:
    return Run()


def execute(run: Run, operator: type[Any], user_ids: Any = IDS, **arguments: Any) -> Any:
    return run.execute(
        lambda: operator(
            task_id="change", user_ids=user_ids, poll_interval=0.05, **{"wait_timeout": 20, **arguments}
        )
    )


def test_the_ids_and_their_number_are_left(
    run: Run, operator: type[Any], waiting: dict[str, Any], logs: Logs
) -> None:
    execute(run, operator, **waiting)
    assert run.xcoms["result"] == {"users": {"count": 2, "ids": IDS}}
    assert set(run.xcoms) == {"return_value", "task_ids", "result"}
    assert "There are 2 users, or objects like them, in the result" in logs.text
    assert_nothing_personal(run, logs)


def test_all_of_them_is_left_if_asked_for(run: Run, operator: type[Any], waiting: dict[str, Any]) -> None:
    execute(run, operator, push_result=True, **waiting)
    joe, ann = run.xcoms["result"]["users"]
    assert (joe["id"], ann["id"]) == ("joe", "ann")
    assert {"name", "custom"} <= joe.keys()
    assert {"address", "phone"} <= joe["custom"].keys()
    assert ("deactivated_at" in joe) is (operator is StreamDeactivateUsersOperator)


def test_many_are_a_summary(
    run: Run, operator: type[Any], waiting: dict[str, Any], control: SandboxControl, logs: Logs
) -> None:
    control.budget(operator.stream_operation.name, limit=None)
    control.budget("GetTask", limit=None)
    execute(run, operator, lambda context: map(str, range(6_000)), **waiting, max_result_size=8_000)
    assert run.xcoms["result"] == {"summary": {"users": 6_000, "results": 60}}
    assert "larger than max_result_size (8,000 bytes)" in logs.text
    assert_nothing_personal(run, logs)


@pytest.mark.parametrize("arguments", [{"push_result": False}, {"do_xcom_push": False}], ids=str)
def test_nothing_of_the_result_is_left_if_nothing_is_wanted(
    run: Run, operator: type[Any], waiting: dict[str, Any], arguments: dict[str, Any], logs: Logs
) -> None:
    execute(run, operator, **waiting, **arguments)
    assert "result" not in run.xcoms
    assert_nothing_personal(run, logs)


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        ({}, []),
        (WAYS["on-the-worker"], []),
        # Without them nobody would know what was waited for.
        (WAYS["deferred"], ["task_ids"]),
    ],
)
@pytest.mark.parametrize("fails", [False, True])
def test_without_do_xcom_push_there_is_what_coming_back_needs(
    run: Run, control: SandboxControl, arguments: dict[str, Any], keys: list[str], fails: bool
) -> None:
    if fails:
        control.fate(pending=0, running=0, failed_items={"ann": "gone"})
    execute(run, StreamDeactivateUsersOperator, do_xcom_push=False, **arguments)
    assert list(run.xcoms) == keys


def test_without_do_xcom_push_what_is_done_at_once_leaves_nothing(run: Run, control: SandboxControl) -> None:
    control.fate(task_id=False, failed_items={"messaging:b": "gone"})
    make = lambda: StreamDeleteChannelsOperator(  # noqa: E731
        task_id="delete", cids=["messaging:a", "messaging:b"], hard_delete=False, do_xcom_push=False
    )
    run.execute(make)
    assert run.xcoms == {}


# -- what else reaches Airflow's database ------------------------------------------------------------------


def rendered(user_ids: Any) -> str:
    """What Airflow stores of the argument: of the DAG, and of the Airflow task once it is rendered."""
    with DAG("dag", schedule=None) as dag:
        operator = StreamDeactivateUsersOperator(task_id="change", user_ids=user_ids)
    return json.dumps(
        [DagSerialization.to_dict(dag), serialize_template_field(operator.user_ids, "user_ids")], default=str
    )


def test_where_items_come_from_is_all_that_airflow_renders(tmp_path: Path) -> None:
    file = tmp_path / "forget.txt"
    file.write_text("\n".join(IDS))
    for source in (lambda context: IDS, file, f"file://{file}"):
        assert "joe" not in rendered(source)
    assert "joe" in rendered(IDS)


def test_of_a_long_list_airflow_stores_the_beginning() -> None:
    ids = [f"user-{number:06}" for number in range(100_000)]
    assert "user-000000" in rendered(ids)
    assert "user-001000" not in rendered(ids)


def test_an_item_file_leaves_nothing_but_its_location(
    run: Run, waiting: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "forget.txt"
    file.write_text("\n".join(IDS))
    execute(run, StreamDeactivateUsersOperator, file, push_result=False, **waiting)
    assert "joe" not in json.dumps([run.xcoms, run.store.values, run.events])


def test_the_task_state_holds_the_items_that_are_submitted_again(run: Run, control: SandboxControl) -> None:
    control.fate(pending=0, running=0, failed_items={"ann": "she is an admin"}, times=1)
    arguments = {**WAYS["on-the-worker"], "fail_on_partial": True}
    with pytest.raises(StreamTaskException, match="1 item failed"):
        execute(run, StreamDeactivateUsersOperator, **arguments)
    assert "she is an admin" in json.dumps(run.store.values)

    execute(run, StreamDeactivateUsersOperator, **arguments)
    stored = json.dumps(run.store.values)
    assert "ann" in stored
    assert "joe" not in stored
    assert "she is an admin" not in stored


def test_the_task_state_holds_no_item_where_all_went_well(run: Run, waiting: dict[str, Any]) -> None:
    execute(run, StreamDeactivateUsersOperator, **waiting)
    assert not {"joe", "ann"} & set(re.findall(r"\w+", json.dumps(run.store.values)))


def assert_nothing_personal(run: Run, logs: Logs) -> None:
    left = json.dumps([run.xcoms, run.store.values, run.events]) + logs.text
    assert "Springfield" not in left
    assert "+1-555" not in left


JOE = {"id": "joe", "name": "Joe Smith", "born": datetime(1990, 1, 1)}


@pytest.mark.parametrize(
    "operator",
    [
        StreamDeactivateUsersOperator(task_id="users", user_ids=lambda context: [tuple(JOE.values())]),
        StreamDeactivateUsersOperator(task_id="users", user_ids=lambda context: [JOE]),
        StreamDeactivateUsersOperator(task_id="users", user_ids=lambda context: {"joe": JOE}),
        StreamOperationOperator(
            task_id="any", path="/api/v2/x", items=lambda context: [JOE], items_field="users"
        ),
        StreamOperationOperator(task_id="any", path="/api/v2/x", body={}),
        StreamDeactivateUsersOperator(task_id="users", user_ids=["joe"], dry_run="{{ params.body }}"),
        StreamChannelBatchUpdateOperator(
            task_id="add",
            operation="addMembers",
            filter={"types": {"$in": ["a"]}},
            members="{{ params.members }}",
        ),
    ],
)
def test_an_error_about_a_row_does_not_quote_it(operator: Any, connection: None) -> None:
    operator.body, operator.members = {"user": JOE}, [{"name": "Joe Smith"}]
    if operator.is_dry_run:
        operator.is_dry_run = {"user": JOE}
    with pytest.raises(ValueError, match=r": .* is needed|it must hold 'user_id'") as raised:
        operator.execute(Run().context)
    assert "Smith" not in str(raised.value)
