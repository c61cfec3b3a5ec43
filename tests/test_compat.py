"""What other packages do not promise to keep: whether it is there, and what happens where it is not."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.example_dags.plugins import event_listener
from airflow.providers.common.compat.sdk import get_listener_manager
from airflow.sdk import DAG, XComArg
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractBufferedFile

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks._compat import Private
from airflow_provider_streamtasks.arguments import is_rendered
from airflow_provider_streamtasks.ending import needs_worker_to_end
from airflow_provider_streamtasks.exceptions import StreamTransportException
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.notifications.alerts import alert_text
from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.operators.stored_ledger import StoredLedger
from airflow_provider_streamtasks.protocol.rate_limits import get_rate_limits
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from airflow_provider_streamtasks.triggers.task import StreamTaskTrigger
from tests.airflow_tasks import Run, TaskInstance, TaskStateStore
from tests.conftest import Logs, SetConnection, StartTask
from tests.servers import answering

PRIVATE = [name for name in vars(_compat).values() if isinstance(name, Private)]
OF_OPERATORS = [_compat.OPERATOR_IS_MADE, _compat.PRE_EXECUTE, _compat.POST_EXECUTE, _compat.TASK_OUTPUT]

STREAM_TASK = "11111111-2222-4333-8444-555555555555"


def named(name: Private) -> str:
    return name.place


@pytest.mark.parametrize("name", PRIVATE, ids=named)
def test_what_nobody_promises_to_keep_is_still_there(name: Private) -> None:
    assert name.is_there, f"{name.place} is gone. Find another way; until then, {name.otherwise}."


def test_a_triggerer_still_tells_a_trigger_when_its_wait_ends() -> None:
    from airflow.executors.workloads import RunTrigger  # type: ignore[attr-defined]

    assert "timeout_after" in RunTrigger.model_fields, (
        "Airflow's triggerer no longer sets BaseTrigger.timeout_after. Until another way is found, the "
        "timeout of a wait that began in the triggerer starts over when it moves to another triggerer."
    )


@pytest.mark.parametrize("name", PRIVATE, ids=named)
def test_the_documentation_has_it(name: Private) -> None:
    page = Path(__file__).parents[1] / "docs" / "compatibility.rst"
    assert name.place.replace(":", ".").rpartition(".")[2] in page.read_text()


class Gone:
    """Takes a name away, as another release of its package may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(self, name: Private) -> None:
        for cached in [key for key in vars(name) if key == "_found"]:
            self._monkeypatch.delitem(vars(name), cached)
        self._monkeypatch.setattr(name, "place", f"{name.place}_of_another_release")


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> Any:
    yield Gone(monkeypatch)
    for name in PRIVATE:
        vars(name).pop("_found", None)


@pytest.mark.parametrize("name", PRIVATE, ids=named)
def test_the_log_says_once_what_is_done_without_a_name(name: Private, gone: Gone, logs: Logs) -> None:
    gone(name)
    assert (name.is_there, name.is_there, name.value) == (False, False, None)
    assert [line for line in logs.lines if name.otherwise in line] == [
        f"{name.place} is not in this installation: {name.otherwise}"
    ]


@pytest.mark.parametrize("name", OF_OPERATORS, ids=named)
def test_a_sensor_takes_a_worker_where_too_little_is_known_of_it(
    name: Private, gone: Gone, logs: Logs
) -> None:
    with DAG("dag", schedule=None):
        sensor = StreamTaskSensor(task_id="wait", stream_task_id=STREAM_TASK)
    assert sensor.start_from_trigger is _compat.RUNS_WITHOUT_WORKERS
    gone(name)
    assert sensor.start_from_trigger is False
    reason = needs_worker_to_end(sensor)
    if not _compat.RUNS_WITHOUT_WORKERS:
        assert reason == "Airflow is older than 3.3"
        return
    assert reason == f"this release of Airflow has no {name.place}"
    assert name.otherwise in logs.text


def test_an_operator_of_which_it_cannot_be_told_whether_it_is_made_counts_as_not_made() -> None:
    assert not _compat.is_made(object())


@pytest.mark.parametrize("without", [False, True])
def test_the_output_of_an_airflow_task_is_a_template(without: bool, gone: Gone) -> None:
    with DAG("dag", schedule=None):
        output = StreamDeleteChannelsOperator(task_id="delete", cids=["messaging:a"]).output
    assert isinstance(output, XComArg)
    if without:
        gone(_compat.RESOLVABLE)
    assert not is_rendered(output)
    assert not is_rendered([output])
    assert is_rendered("messaging:a")


def test_an_alert_keeps_everything_to_itself_where_nothing_can_mask_secrets(gone: Gone) -> None:
    gone(_compat.REDACT)
    told = alert_text({"exception": ValueError("password: hunter2")})
    assert told == _compat.WITHHELD


def test_a_sensor_that_pokes_says_so_where_airflow_does_not_ask_for_its_pace(
    gone: Gone, logs: Logs, start_task: StartTask
) -> None:
    task_id = start_task()
    gone(_compat.NEXT_POKE)
    result = Run().execute(lambda: StreamTaskSensor(task_id="wait", stream_task_id=task_id, deferrable=False))
    assert result == {"messaging:a": {"status": "ok"}}
    assert _compat.NEXT_POKE.otherwise in logs.text


def test_nothing_is_kept_for_a_retry_that_cannot_be_told_from_a_clear(logs: Logs) -> None:
    context: Any = {"ti": SimpleNamespace(), "task_state_store": TaskStateStore()}
    assert _compat.life(context) is None
    operator = StreamDeleteChannelsOperator(task_id="delete", cids=["messaging:a"])
    assert not StoredLedger(context, operator).kept
    assert "Airflow does not say which try this is" in logs.text


async def test_an_import_is_not_cancelled_where_nobody_can_tell_whether_it_is_still_awaited(
    gone: Gone,
) -> None:
    gone(_compat.TASK_STATES)
    assert await _compat.may_be_deferred(TaskInstance())


@pytest.mark.parametrize(("trigger_id", "told"), [(7, True), (None, False)])
def test_the_log_says_when_airflow_does_not_report_the_end_of_a_wait(
    trigger_id: int | None, told: bool, logs: Logs
) -> None:
    trigger = StreamTaskTrigger("stream_default", [STREAM_TASK], 0.0, 60.0, 1.0, 30.0)
    trigger.trigger_id = trigger_id
    assert _compat.trigger_timeout(trigger) is None
    assert ("its timeout is counted from now" in logs.text) is told


def test_the_end_of_a_wait_is_a_point_in_time_with_a_zone_or_without() -> None:
    trigger: Any = StreamTaskTrigger("stream_default", [STREAM_TASK], 0.0, 60.0, 1.0, 30.0)
    for ends in (datetime(2026, 1, 1, tzinfo=timezone.utc), datetime(2026, 1, 1)):
        trigger.timeout_after = ends
        assert _compat.trigger_timeout(trigger) == datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp()


@pytest.mark.parametrize("name", [_compat.NEW_CONNECTION, _compat.RESPONSE_CLASS], ids=named)
def test_without_a_deadline_for_the_whole_a_request_may_always_have_arrived(
    name: Private, gone: Gone, set_connection: SetConnection, logs: Logs
) -> None:
    gone(name)
    with answering(b'{"server_side": {}}') as url:
        set_connection(host=url)
        assert StreamHook().get_rate_limits() == {}
    assert name.otherwise in logs.text
    # Nobody listens any more, but nothing here saw that not a byte was sent.
    with pytest.raises(StreamTransportException, match="refused the connection") as caught:
        StreamHook().get_conn().send(get_rate_limits())
    assert caught.value.request_sent


class Upload(AbstractBufferedFile):
    """An upload that would be complete when it is closed."""

    def __init__(self) -> None:
        super().__init__(LocalFileSystem(), "/nowhere", "wb", block_size=4)
        self.done: list[str] = []

    def _initiate_upload(self) -> None:
        self.done.append("begun")

    def _upload_chunk(self, final: bool = False) -> bool:
        self.done.append("completed" if final else "part")
        return True

    def discard(self) -> None:
        self.done.append("given up")


def test_an_upload_that_is_given_up_is_never_completed() -> None:
    upload = Upload()
    upload.write(b"five bytes and more")
    assert _compat.drop_upload(upload)
    upload.close()
    upload.__del__()
    assert upload.done == ["begun", "part", "given up"], (
        "fsspec completes an upload that was given up: half a file would appear"
    )


def test_other_files_are_just_closed(tmp_path: Any) -> None:
    with LocalFileSystem().open(str(tmp_path / "file"), "wb") as file:
        assert not _compat.drop_upload(file)


def test_airflow_still_names_its_listeners() -> None:
    assert hasattr(get_listener_manager(), "pm"), (
        "Airflow no longer says who listens. Find another way; until then, the listener among its example "
        "DAGs counts, too."
    )


def test_a_listener_that_cannot_be_named_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = get_listener_manager()
    manager.add_listener(event_listener)
    try:
        assert _compat.listeners() == []
        monkeypatch.setattr(type(manager), "has_listeners", True)
        monkeypatch.delattr(manager, "pm")
        assert _compat.listeners() == ["one that this Airflow does not name"]
    finally:
        monkeypatch.undo()
        manager.pm.unregister(event_listener)
