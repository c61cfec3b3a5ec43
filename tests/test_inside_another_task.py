"""Operators and sensors whose ``execute`` is called inside another Airflow task: nothing may end that one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import Context

from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.operators.data_import import StreamImportOperator, StreamImportV2Operator
from airflow_provider_streamtasks.operators.operation import StreamOperationOperator
from airflow_provider_streamtasks.operators.users import (
    StreamDeactivateUsersOperator,
    StreamDeleteUsersOperator,
)
from airflow_provider_streamtasks.sandbox import SandboxControl
from airflow_provider_streamtasks.sensors.task import StreamTaskFailed, StreamTaskSensor
from tests.airflow_tasks import Run
from tests.conftest import Logs, SetConnection, StartTask

OK = {"messaging:a": {"status": "ok"}}
WAITS: dict[str, Any] = {"wait_for_completion": True, "deferrable": True, "poll_interval": 0.05}


@pytest.fixture
def run(connection: None) -> Run:
    """A run of an Airflow task ``outer``, whose function calls ``execute`` of others."""
    run = Run()
    run.task = EmptyOperator(task_id="outer")
    return run


def delete(cid: str = "messaging:a", task_id: str = "delete", **arguments: Any) -> Any:
    return StreamDeleteChannelsOperator(task_id=task_id, cids=[cid], hard_delete=True, **arguments)


def sensor(stream_task_id: Any, **arguments: Any) -> StreamTaskSensor:
    return StreamTaskSensor(
        **{"task_id": "wait", "stream_task_id": stream_task_id, "poke_interval": 0.05, **arguments}
    )


@pytest.mark.parametrize("arguments", [{}, {"deferrable": True}, {"mode": "reschedule"}, {"mode": "poke"}])
def test_a_sensor_waits_where_it_is(start_task: StartTask, run: Run, arguments: dict[str, Any]) -> None:
    assert sensor(start_task(running=0.3), **arguments).execute(run.context) == OK


def test_a_sensor_may_wait_for_one_stream_task_after_another(start_task: StartTask, run: Run) -> None:
    waiting = sensor(start_task())
    assert waiting.execute(run.context) == OK
    waiting.stream_task_id = start_task("messaging:b", running=0.1)
    assert waiting.execute(run.context) == {"messaging:b": {"status": "ok"}}


def test_its_failure_can_be_caught(start_task: StartTask, run: Run) -> None:
    with pytest.raises(StreamTaskFailed):
        sensor(start_task(end="failed")).execute(run.context)


def test_its_skip_can_be_caught(start_task: StartTask, run: Run) -> None:
    with pytest.raises(AirflowSkipException):
        sensor(start_task(end="never"), timeout=0.2, soft_fail=True).execute(run.context)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({}, "Waiting on this worker, because deferring would end the Airflow task 'outer' around it"),
        (
            {"mode": "reschedule"},
            "Poking without rescheduling, because deferring would end the Airflow task 'outer' around it",
        ),
    ],
)
def test_one_line_of_the_log_says_so(
    start_task: StartTask, run: Run, logs: Logs, arguments: dict[str, Any], line: str
) -> None:
    sensor(start_task(), **arguments).execute(run.context)
    assert [said for said in logs.lines if "worker" in said or "outer" in said] == [line]


def test_an_operator_waits_where_it_is(run: Run, at_once: None) -> None:
    task_id = delete(**WAITS).execute(run.context)
    assert run.xcoms == {"task_ids": [task_id], "result": OK}


@pytest.mark.usefixtures("at_once")
def test_an_import_is_waited_for_where_it_is(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "users.json"
    file.write_text("{}")
    importing = StreamImportOperator(task_id="import", file=str(file), mode="insert", **WAITS)
    assert isinstance(importing.execute(run.context), str)


@pytest.mark.usefixtures("at_once")
def test_an_import_of_the_second_generation_is_waited_for_where_it_is(run: Run) -> None:
    importing = StreamImportV2Operator(
        task_id="import",
        product="chat",
        settings={"path": "s3://bucket/users.json", "mode": "upsert"},
        completed_states=[3],
        **WAITS,
    )
    assert isinstance(importing.execute(run.context), str)


def test_a_pause_for_the_budget_is_spent_where_it_is(
    run: Run,
    control: SandboxControl,
    set_connection: SetConnection,
    monkeypatch: pytest.MonkeyPatch,
    logs: Logs,
) -> None:
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")
    monkeypatch.setenv("AIRFLOW__STREAMTASKS__SCHEDULER_LAG", "0.2")
    set_connection(extra={"rate_limit_share": 1})
    control.budget("DeleteChannels", limit=1, window=2)
    cids = [f"messaging:{number}" for number in range(101)]
    deleting = StreamDeleteChannelsOperator(task_id="delete", cids=cids, hard_delete=True)
    assert len(deleting.execute(run.context)) == 2
    assert "Pausing on this worker for " in logs.text


def test_the_airflow_task_itself_defers(start_task: StartTask, run: Run) -> None:
    run.task = sensor(start_task())
    run.execute(lambda: run.task)
    assert len(run.deferrals) == 1


# -- several operators in one ------------------------------------------------------------------------------


def test_each_has_a_ledger_of_its_own(run: Run, control: SandboxControl) -> None:
    def function() -> list[str]:
        return [
            delete("messaging:a", "one").execute(run.context),
            delete("messaging:b", "two").execute(run.context),
        ]

    first = function()
    run.ti.id = uuid4()  # as each try has
    assert function() == first
    assert len(control.journal("DeleteChannels")) == 2


def test_the_last_one_leaves_its_xcoms(run: Run) -> None:
    delete("messaging:a", "one").execute(run.context)
    task_id = delete("messaging:b", "two").execute(run.context)
    assert run.xcoms == {"task_ids": [task_id]}


def test_an_import_may_be_tried_again_after_a_failure(
    run: Run, tmp_path: Path, control: SandboxControl
) -> None:
    control.fault("api_error", operation="CreateImport", status=400, code=4, times=1)
    file = tmp_path / "users.json"
    file.write_text("{}")
    importing = StreamImportOperator(task_id="import", file=str(file), mode="insert")
    with pytest.raises(Exception, match="400"):
        importing.execute(run.context)
    assert importing.execute(run.context)


def test_imports_do_not_share_their_files(run: Run, tmp_path: Path, control: SandboxControl) -> None:
    for name in ("one", "two"):
        file = tmp_path / f"{name}.json"
        file.write_text("{}")
        StreamImportOperator(task_id=name, file=str(file), mode="insert").execute(run.context)
    first, second = (entry["body"]["path"] for entry in control.journal("CreateImport"))
    assert first != second


def test_another_one_with_the_same_id_is_refused(run: Run, control: SandboxControl) -> None:
    # With the same items it would take the other's submission for its own, and do nothing.
    users = ["joe"]
    StreamDeactivateUsersOperator(task_id="users", user_ids=users).execute(run.context)
    again = StreamDeactivateUsersOperator(task_id="users", user_ids=users, mark_messages_deleted=True)
    with pytest.raises(
        ValueError, match=r"^task_id is 'users', .*: each that it executes needs one of its own"
    ):
        again.execute(run.context)
    assert len(control.journal("DeactivateUsers")) == 1


def test_the_same_one_is_not_executed_twice(run: Run, control: SandboxControl) -> None:
    # With another option, too, it would take the first submission for the second.
    deleting = delete()
    deleting.execute(run.context)
    deleting.hard_delete = False
    with pytest.raises(
        ValueError, match=r"^task_id is 'delete', .*: each that it executes needs one of its own"
    ):
        deleting.execute(run.context)
    assert len(control.journal("DeleteChannels")) == 1


def test_not_even_after_a_failure(run: Run, control: SandboxControl) -> None:
    control.fate(pending=0, running=0, end="failed")
    with pytest.raises(Exception, match="failed"):
        StreamDeactivateUsersOperator(task_id="u", user_ids=["joe"], **WAITS).execute(run.context)
    for other in (
        StreamDeleteUsersOperator(task_id="u", user_ids=["joe"], user="hard"),
        StreamDeactivateUsersOperator(task_id="u", user_ids=["joe"], mark_messages_deleted=True),
    ):
        with pytest.raises(ValueError, match=r"^task_id is 'u', .*: each that it executes needs one"):
            other.execute(run.context)
    assert [each["operation"] for each in control.journal() if each["items"]] == ["DeactivateUsers"]


def test_nor_with_another_path_or_connection(run: Run, control: SandboxControl, monkeypatch: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", os.environ["AIRFLOW_CONN_STREAM_DEFAULT"])
    control.fate(end="never")
    late: dict[str, Any] = {"task_id": "u", "items": ["joe"], "items_field": "user_ids", "poll_interval": 0}
    late |= {"wait_for_completion": True, "wait_timeout": 0}
    with pytest.raises(AirflowSensorTimeout):
        StreamOperationOperator(path="/api/v2/users/deactivate", **late).execute(run.context)
    for other in ({"path": "/api/v2/users/delete"}, {"stream_conn_id": "other"}):
        again = StreamOperationOperator(**{"path": "/api/v2/users/deactivate", **late, **other})
        with pytest.raises(ValueError, match=r"^task_id is 'u', .*: each that it executes needs one"):
            again.execute(run.context)
    assert [each["operation"] for each in control.journal() if each["items"]] == ["DeactivateUsers"]


def test_nor_with_another_file(run: Run, tmp_path: Path, control: SandboxControl) -> None:
    control.fault("api_error", operation="CreateImport", status=400, code=4, times=1)
    for name, words in (("one", "400"), ("two", "^task_id is 'import', ")):
        (tmp_path / name).write_text("{}")
        importing = StreamImportOperator(task_id="import", file=str(tmp_path / name), mode="insert")
        with pytest.raises(Exception, match=words):
            importing.execute(run.context)
    assert len(control.journal("CreateImport")) == 1


def test_what_sent_nothing_was_not_executed(run: Run, control: SandboxControl) -> None:
    flag: Any = "{{bad"
    wrong = StreamDeactivateUsersOperator(task_id="u", user_ids=["joe"], mark_messages_deleted=flag)
    with pytest.raises(ValueError, match="mark_messages_deleted"):
        wrong.execute(run.context)
    right = StreamDeactivateUsersOperator(task_id="u", user_ids=["joe"], mark_messages_deleted=True)
    assert right.execute(run.context)


class HidesThenDestroys(StreamDeleteChannelsOperator):
    def execute(self, context: Context) -> Any:
        super().execute(context)
        self.hard_delete = True
        return super().execute(context)


class DeactivatesFirst(StreamDeleteUsersOperator):
    def execute(self, context: Context) -> Any:
        StreamDeactivateUsersOperator(task_id=self.task_id, user_ids=["joe"]).execute(context)
        return super().execute(context)


@pytest.mark.parametrize(
    ("operator", "sent"),
    [
        (HidesThenDestroys(task_id="twice", cids=["messaging:a"]), "DeleteChannels"),
        (DeactivatesFirst(task_id="twice", user_ids=["joe"]), "DeactivateUsers"),
    ],
    ids=["itself", "another"],
)
def test_an_operator_executes_none_of_its_id_besides(
    operator: Any, sent: str, run: Run, control: SandboxControl
) -> None:
    run.task = operator
    with pytest.raises(
        ValueError, match=r"^task_id is 'twice', .*: each that it executes needs one of its own"
    ):
        run.execute(lambda: operator)
    assert [each["operation"] for each in control.journal() if each["items"]] == [sent]


def test_the_same_one_may_be_tried_again_after_a_failure(run: Run, control: SandboxControl) -> None:
    control.fate(pending=0, running=0)
    control.fate(pending=0, running=0, end="failed", times=1)
    with pytest.raises(Exception, match="failed"):
        delete(**WAITS).execute(run.context)
    assert delete(**WAITS).execute(run.context)
    assert len(control.journal("DeleteChannels")) == 2
