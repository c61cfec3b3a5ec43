"""What DAG authors give, in every shape in which it comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG, BaseOperator, task

from airflow_provider_streamtasks.arguments import NoStreamTaskError, parse_stream_task_ids
from airflow_provider_streamtasks.operators.data_import import StreamImportOperator, StreamImportV2Operator
from airflow_provider_streamtasks.operators.operation import StreamOperationOperator
from airflow_provider_streamtasks.sensors.data_import import StreamImportSensor
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator
from tests import every_operator


class Mapped(Sequence[Any]):
    """The output of a mapped Airflow task, as Airflow hands it out: a sequence, but no list."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> Any:
        return self.values[index]


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("a", ["a"]),
        (["b", "a"], ["b", "a"]),
        (("b", "a"), ["b", "a"]),
        ({"b", "c", "a"}, ["a", "b", "c"]),
        ([], []),
        (["a", ["b", "c"]], ["a", "b", "c"]),
        (["a", None], ["a"]),
        ([None, ["a", "b"], None], ["a", "b"]),
        (["a", []], ["a"]),
        ([None, []], []),
        (Mapped("a", "b"), ["a", "b"]),
        (Mapped("a", ["b", "c"]), ["a", "b", "c"]),
        ([Mapped("a", None), None], ["a"]),
        (["a", Mapped()], ["a"]),
        (Mapped([]), []),
    ],
)
def test_ids_are_found_in_outputs_and_lists_of_outputs(value: Any, ids: list[str]) -> None:
    assert parse_stream_task_ids(value) == ids


@pytest.mark.parametrize(
    "value", [None, [None], [None, None], Mapped(), [Mapped()], [None, Mapped()], Mapped(None)]
)
def test_where_no_airflow_task_has_pushed_anything_no_retry_helps(value: Any) -> None:
    with pytest.raises(NoStreamTaskError, match="no retry changes that") as raised:
        parse_stream_task_ids(value)
    assert isinstance(raised.value, AirflowFailException)


def test_an_airflow_task_in_place_of_its_output_is_refused() -> None:
    @task
    def submit() -> str:
        return "a"

    with DAG("dag", schedule=None):
        other = BaseOperator(task_id="other")
    for value in (submit, [submit]):
        with pytest.raises(ValueError, match=r"a list of ids, is needed\. 'submit' is a function with @task"):
            parse_stream_task_ids(value)
    for each in (other, ["a", other]):
        with pytest.raises(ValueError, match=r"is needed\. It is an Airflow task: give its \.output$"):
            parse_stream_task_ids(each)


@pytest.mark.parametrize("value", ["{{ params.id }}", ["a", "{% if x %}b{% endif %}"]])
def test_a_template_that_nobody_renders_is_no_id(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^stream_task_id holds '{.*: Airflow has not rendered"):
        parse_stream_task_ids(value)


OTHERS: list[tuple[type[BaseOperator], dict[str, Any]]] = [
    (StreamOperationOperator, {"path": "/api/v2/users/delete", "items": ["joe"], "items_field": "user_ids"}),
    (StreamImportOperator, {"file": "file:///data/import.json", "mode": "insert"}),
    (StreamImportV2Operator, {"product": "chat", "settings": {"mode": "insert"}}),
    (StreamTaskSensor, {"stream_task_id": "0000"}),
    (StreamImportSensor, {"import_id": "0000"}),
    (StreamExportToObjectStorageOperator, {"stream_task_id": "0000", "destination": "file:///data"}),
]
NO_LISTS = {
    *(each for each in every_operator.OPERATORS if not each.stream_operation.items),
    StreamImportOperator,
    StreamImportV2Operator,
}
TEMPLATED = [
    (operator, arguments, {"is_dry_run": "dry_run"}.get(name, name))
    for operator, arguments in [*every_operator.ARGUMENTS.items(), *OTHERS]
    for name in operator.template_fields
    if not (name == "max_items" and operator in NO_LISTS)
]


@pytest.mark.parametrize(
    ("operator", "arguments", "name"), TEMPLATED, ids=[f"{each[0].__name__}-{each[2]}" for each in TEMPLATED]
)
def test_the_output_of_another_airflow_task_can_be_given_anywhere(
    operator: type[BaseOperator], arguments: dict[str, Any], name: str
) -> None:
    with DAG("dag", schedule=None):
        output = BaseOperator(task_id="other").output
        made = operator(task_id="stream", **{**arguments, name: output})
    assert made.upstream_task_ids == {"other"}
