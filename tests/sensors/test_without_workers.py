from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from airflow.example_dags.plugins import event_listener
from airflow.listeners import hookimpl
from airflow.providers.common.compat.sdk import get_listener_manager
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, Context, TaskGroup, task, task_group

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.operators.data_import import StreamImportOperator
from airflow_provider_streamtasks.protocol.data_import import Import
from airflow_provider_streamtasks.sensors.data_import import StreamImportSensor
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from airflow_provider_streamtasks.triggers.sensor import StreamSensorTrigger
from tests.airflow_names import DagSerialization
from tests.airflow_tasks import Run
from tests.conftest import Logs, StartTask


def nothing(*_: Any) -> None:
    pass


def delete() -> StreamDeleteChannelsOperator:
    return StreamDeleteChannelsOperator(task_id="delete", cids=["a:b"], hard_delete=True)


def serialized(dag: DAG, task_id: str = "wait") -> Any:
    """The Airflow task as the scheduler sees it."""
    return DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task(task_id)


def dag_with(default_args: dict[str, Any] | None = None, **arguments: Any) -> DAG:
    with DAG("d", schedule=None, default_args=default_args or {}) as dag:
        StreamTaskSensor(**{"task_id": "wait", "stream_task_id": "abc", **arguments})
    return dag


def trigger_of(task: Any) -> StreamSensorTrigger:
    """The trigger as the triggerer makes it."""
    from airflow.serialization.decoders import smart_decode_trigger_kwargs

    arguments = smart_decode_trigger_kwargs(task.start_trigger_args.trigger_kwargs)
    return StreamSensorTrigger(**arguments)


def test_a_literal_starts_in_the_triggerer() -> None:
    task = serialized(dag_with(timeout=timedelta(hours=1)))
    assert task.start_from_trigger is True
    assert task.start_trigger_args.next_method == "execute_complete"
    assert task.start_trigger_args.timeout == timedelta(hours=1, seconds=15)
    trigger = trigger_of(task)
    assert trigger.stream_task_ids == ("abc",)
    assert trigger.terms.timeout == 3600
    assert (trigger.began_here, trigger.policy.single, trigger.end) == (True, True, True)


def test_a_list_of_literals_wants_a_list_of_results() -> None:
    trigger = trigger_of(serialized(dag_with(stream_task_id=["a", "b"])))
    assert (trigger.stream_task_ids, trigger.policy.single) == (("a", "b"), False)


def test_an_output_is_pulled_by_the_trigger() -> None:
    with DAG("d", schedule=None) as dag:
        output: Any = delete().output
        StreamTaskSensor(task_id="wait", stream_task_id=output["task_ids"])
    task = serialized(dag)
    assert task.upstream_task_ids == {"delete"}
    assert trigger_of(task).xcom == {"task_id": "delete", "key": "task_ids"}


IMPORTS = [
    pytest.param({}, Import(), id="first-generation"),
    pytest.param(
        {"completed_states": [2], "failed_states": [3, 4]}, Import((2,), (3, 4)), id="second-generation"
    ),
]


@pytest.mark.parametrize(("states", "pollable"), IMPORTS)
def test_an_import_is_waited_for_in_the_same_way(states: dict[str, Any], pollable: Import) -> None:
    with DAG("d", schedule=None) as dag:
        start = StreamImportOperator(task_id="start", file="/data/users.json", mode="insert")
        StreamImportSensor(task_id="one", import_id="abc", **states)
        StreamImportSensor(task_id="several", import_id=["a", "b"], **states)
        StreamImportSensor(task_id="output", import_id=start.output, **states)
    one, several, output = (trigger_of(serialized(dag, name)) for name in ("one", "several", "output"))
    assert (one.stream_task_ids, one.policy.single, one.end) == (("abc",), True, True)
    assert (several.stream_task_ids, several.policy.single) == (("a", "b"), False)
    assert output.xcom == {"task_id": "start", "key": "return_value"}
    for trigger in (one, several, output):
        assert trigger.began_here
        assert trigger.pollable == pollable
        assert StreamSensorTrigger(**trigger.serialize()[1]).serialize() == trigger.serialize()


def test_the_argument_that_needs_a_worker_is_named() -> None:
    with pytest.raises(ValueError, match="but import_id is a template"):
        StreamImportSensor(task_id="wait", import_id="{{ params.id }}", start_from_trigger=True)


def test_the_trigger_survives_its_own_serialization() -> None:
    trigger = trigger_of(
        serialized(dag_with(fail_on_partial=True, redact_result_urls=True, silent_fail=True))
    )
    path, arguments = trigger.serialize()
    assert path.endswith(".StreamSensorTrigger")
    again = StreamSensorTrigger(**arguments)
    assert again.serialize() == (path, arguments)
    assert again.began_here
    assert again.terms.keep_on_errors


@pytest.mark.parametrize(
    "arguments",
    [
        {"stream_task_id": "{{ params.id }}"},
        {"stream_conn_id": "{{ params.conn }}"},
        {"deferrable": False},
        {"mode": "reschedule"},
        {"mode": "poke"},
        {"on_success_callback": nothing},
        {"on_execute_callback": nothing},
        {"pre_execute": nothing},
        {"post_execute": nothing},
        {"outlets": [Asset("x")]},
        {"execution_timeout": timedelta(minutes=1)},
        {"pool": "few"},
        {"max_active_tis_per_dag": 2},
        {"max_active_tis_per_dagrun": 2},
        {"multiple_outputs": True},
        {"start_from_trigger": False},
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_a_worker_starts_what_would_lose_something(arguments: dict[str, Any]) -> None:
    task = serialized(dag_with(**arguments))
    assert task.start_from_trigger is False
    assert task.start_trigger_args is None


def test_a_success_callback_of_the_default_args_needs_a_worker() -> None:
    assert serialized(dag_with({"on_success_callback": nothing})).start_from_trigger is False


def test_what_is_added_later_counts() -> None:
    dag = dag_with()
    dag.get_task("wait").outlets = [Asset("x")]
    assert serialized(dag).start_from_trigger is False


@pytest.mark.parametrize("callback", ["on_failure_callback", "on_retry_callback", "on_skipped_callback"])
def test_callbacks_that_a_worker_calls_anyway_do_not_matter(callback: str) -> None:
    arguments: dict[str, Any] = {callback: nothing}
    assert serialized(dag_with(**arguments)).start_from_trigger is True


def test_mapped_sensors_start_on_workers() -> None:
    with DAG("d", schedule=None) as dag:
        StreamTaskSensor.partial(task_id="wait").expand(stream_task_id=["a", "b"])
    task = serialized(dag)
    assert task.start_from_trigger is False
    assert task.start_trigger_args is None


def test_sensors_after_mapped_tasks_start_on_workers() -> None:
    with DAG("d", schedule=None) as dag:
        mapped = StreamDeleteChannelsOperator.partial(task_id="delete", hard_delete=True).expand(
            cids=[["a:b"], ["a:c"]]
        )
        StreamTaskSensor(task_id="wait", stream_task_id=mapped.output)
    assert serialized(dag).start_from_trigger is False


def test_sensors_in_mapped_groups_start_on_workers() -> None:
    with DAG("d", schedule=None) as dag:

        @task_group
        def group(name: str) -> None:
            StreamTaskSensor(task_id="wait", stream_task_id="abc")

        group.expand(name=["x", "y"])
    assert serialized(dag, "group.wait").start_from_trigger is False


def test_sensors_in_other_groups_start_in_the_triggerer() -> None:
    with DAG("d", schedule=None) as dag, TaskGroup("group"):
        StreamTaskSensor(task_id="wait", stream_task_id="abc")
    assert serialized(dag, "group.wait").start_from_trigger is True


def test_what_others_map_over_ends_on_a_worker() -> None:
    with DAG("d", schedule=None) as dag:

        @task
        def use(value: Any) -> None:
            pass

        use.expand(value=StreamTaskSensor(task_id="wait", stream_task_id=["a"]).output)
    assert serialized(dag).start_from_trigger is False


def test_a_subclass_that_does_something_else_keeps_its_worker() -> None:
    class Mine(StreamTaskSensor):
        def end(self, context: Any, ended: Any) -> Any:
            return "mine"

    with DAG("d", schedule=None) as dag:
        Mine(task_id="wait", stream_task_id="abc")
    assert serialized(dag).start_from_trigger is False


def test_a_subclass_that_does_the_same_needs_none() -> None:
    class Mine(StreamTaskSensor):
        pass

    with DAG("d", schedule=None) as dag:
        Mine(task_id="wait", stream_task_id="abc")
    assert serialized(dag).start_from_trigger is True


@pytest.fixture
def listen() -> Iterator[Callable[[object], None]]:
    """Adds a listener, as a plugin would."""
    manager, added = get_listener_manager(), []

    def listen(listener: object) -> None:
        manager.add_listener(listener)
        added.append(listener)

    yield listen
    for listener in added:
        manager.pm.unregister(listener)


class Told:
    @hookimpl
    def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:
        pass


def test_listeners_keep_the_worker(listen: Callable[[object], None]) -> None:
    assert serialized(dag_with()).start_from_trigger is True
    listen(Told())
    assert serialized(dag_with()).start_from_trigger is False


def test_the_listener_among_airflows_examples_is_none(listen: Callable[[object], None]) -> None:
    listen(event_listener)
    assert serialized(dag_with()).start_from_trigger is True
    listen(Told())
    assert serialized(dag_with()).start_from_trigger is False


@pytest.mark.parametrize("queue", [{}, {"queue": "isolated"}])
def test_where_triggerers_have_queues_a_worker_starts_which_can_hand_its_queue_on(
    monkeypatch: pytest.MonkeyPatch, queue: dict[str, Any]
) -> None:
    monkeypatch.setenv("AIRFLOW__TRIGGERER__QUEUES_ENABLED", "True")
    task = serialized(dag_with(**queue))
    assert task.start_from_trigger is False
    assert task.start_trigger_args is None


def wide(tasks: int, **arguments: Any) -> StreamTaskSensor:
    """A sensor in a DAG of so many tasks."""
    dag = dag_with(**arguments)
    with dag:
        for number in range(tasks - 1):
            EmptyOperator(task_id=f"other_{number}")
    sensor = dag.get_task("wait")
    assert isinstance(sensor, StreamTaskSensor)
    assert len(dag.task_dict) == tasks
    return sensor


@pytest.mark.parametrize(("tasks", "starts"), [(100, True), (101, False)])
def test_in_a_large_dag_a_worker_starts_and_the_triggerer_ends(tasks: int, starts: bool) -> None:
    sensor = wide(tasks)
    assert sensor.start_from_trigger is starts
    assert sensor.new_trigger(["abc"]).end


@pytest.mark.parametrize(("limit", "starts"), [("2", False), ("3", True), ("0", False)])
def test_how_large_is_up_to_the_configuration(
    monkeypatch: pytest.MonkeyPatch, limit: str, starts: bool
) -> None:
    monkeypatch.setenv("AIRFLOW__STREAMTASKS__START_FROM_TRIGGER_MAX_DAG_TASKS", limit)
    assert wide(3).start_from_trigger is starts
    assert wide(3, start_from_trigger=True).start_from_trigger is True


def test_the_log_says_how_large_the_dag_is(
    start_task: StartTask, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__STREAMTASKS__START_FROM_TRIGGER_MAX_DAG_TASKS", "2")
    stream_task_id = start_task()
    Run().execute(lambda: wide(3, stream_task_id=stream_task_id))
    assert (
        "Beginning on a worker, because each sensor of its DAG that begins in the triggerer gets a copy of "
        "all 3 tasks ([streamtasks] start_from_trigger_max_dag_tasks: 2)"
    ) in logs.lines


def test_airflow_refuses_no_dag_for_its_sensors() -> None:
    # With listeners, Airflow refuses a DAG that has this attribute, and true.
    assert not getattr(dag_with(end_from_trigger=True).get_task("wait"), "end_from_trigger", False)


def test_an_older_airflow_uses_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_compat, "RUNS_WITHOUT_WORKERS", False)
    assert serialized(dag_with()).start_from_trigger is False
    assert serialized(dag_with(start_from_trigger=True)).start_from_trigger is False


def test_it_can_be_forced() -> None:
    task = serialized(dag_with(on_success_callback=nothing, start_from_trigger=True, end_from_trigger=True))
    assert task.start_from_trigger is True
    assert trigger_of(task).end is True


def test_the_end_may_need_a_worker_although_the_start_does_not() -> None:
    task = serialized(dag_with(start_from_trigger=True, end_from_trigger=False))
    assert trigger_of(task).end is False


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"stream_task_id": "{{ params.id }}"}, "stream_task_id is a template"),
        ({"stream_task_id": ["{{ params.id }}"]}, "stream_task_id is made of outputs or templates"),
        ({"stream_conn_id": "{{ params.id }}"}, "stream_conn_id is a template"),
        ({"deferrable": False}, "not deferrable"),
    ],
)
def test_what_cannot_be_forced_is_refused(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=f"start_from_trigger is True, but .*{reason}"):
        dag_with(start_from_trigger=True, **arguments)


@pytest.mark.parametrize("name", ["start_from_trigger", "end_from_trigger"])
def test_neither_yes_nor_no_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is 'yes'"):
        dag_with(None, **{name: "yes"})


# -- the log says why there is a worker --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({}, None),
        ({"mode": "poke"}, "Beginning on a worker, because it is not deferrable"),
        ({"pool": "few"}, "Beginning on a worker, because the pool 'few' would not be asked"),
        ({"start_from_trigger": False}, "Beginning on a worker, because start_from_trigger is False"),
        (
            {"on_success_callback": nothing},
            "Beginning and ending on a worker, because on_success_callback would not be called",
        ),
        ({"end_from_trigger": False}, "Beginning and ending on a worker, because end_from_trigger is False"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_the_log_says_why_there_is_a_worker(
    start_task: StartTask, logs: Logs, arguments: dict[str, Any], line: str | None
) -> None:
    stream_task_id = start_task()
    Run().execute(lambda: dag_with(stream_task_id=stream_task_id, **arguments).get_task("wait"))
    assert [said for said in logs.lines if "on a worker" in said] == ([line] if line else [])


def test_the_log_says_so_of_templates_although_they_are_rendered_by_then(
    start_task: StartTask, logs: Logs
) -> None:
    run, stream_task_id = Run(), start_task()

    def rendered() -> Any:
        sensor = dag_with(stream_task_id="{{ params.id }}").get_task("wait").prepare_for_execution()
        sensor.render_template_fields(Context(params={"id": stream_task_id}))
        assert sensor.start_from_trigger is False
        return sensor

    run.execute(rendered)
    assert "Beginning on a worker, because stream_task_id is a template" in logs.text


def test_the_log_names_the_listeners(
    start_task: StartTask, logs: Logs, listen: Callable[[object], None]
) -> None:
    listen(Told())
    stream_task_id = start_task()
    Run().execute(lambda: dag_with(stream_task_id=stream_task_id).get_task("wait"))
    assert f"because listeners would not be told: {__name__}" in logs.text


def test_the_log_says_which_queue_would_be_lost(
    start_task: StartTask, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__TRIGGERER__QUEUES_ENABLED", "True")
    stream_task_id = start_task()
    Run().execute(lambda: dag_with(stream_task_id=stream_task_id, queue="isolated").get_task("wait"))
    assert "because triggerers that serve the queue 'isolated' would not see it" in logs.text
