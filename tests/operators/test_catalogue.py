"""Operators and catalogue tell the same story."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_streamtasks.operators.base import StreamBaseOperator
from airflow_provider_streamtasks.operators.data_import import StreamImportOperator, StreamImportV2Operator
from airflow_provider_streamtasks.protocol.catalogue import CATALOGUE
from airflow_provider_streamtasks.provider_info import get_provider_info
from tests.airflow_names import DagSerialization
from tests.every_operator import ARGUMENTS, MODULES, OPERATORS, PACKAGE, make, name_of

EVERY = pytest.mark.parametrize("operator", OPERATORS, ids=name_of)


def own_arguments(operator: type[StreamBaseOperator]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(inspect.unwrap(operator.__init__)).parameters
    return {name: each for name, each in parameters.items() if name not in ("self", "kwargs")}


def test_every_operation_has_an_operator_and_every_operator_an_operation() -> None:
    defined = {
        value
        for module in MODULES
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, StreamBaseOperator)
        and value is not StreamBaseOperator
    }
    assert defined == set(ARGUMENTS)
    operators: list[type[StreamBaseOperator]] = [*OPERATORS, StreamImportOperator, StreamImportV2Operator]
    assert sorted(operator.stream_operation.name for operator in operators) == sorted(CATALOGUE)


@EVERY
def test_the_signature_is_the_row_of_the_catalogue(operator: type[StreamBaseOperator]) -> None:
    row, arguments = operator.stream_operation, own_arguments(operator)
    assert sorted(arguments) == sorted(row.arguments)
    assert all(each.kind is each.KEYWORD_ONLY for each in arguments.values())
    needed = {name for name, each in arguments.items() if each.default is each.empty}
    assert needed == {*row.parameters, *row.required, *([row.items.name] if row.items else [])}


@EVERY
def test_every_argument_is_kept_under_its_name_and_is_a_template(operator: type[StreamBaseOperator]) -> None:
    made = make(operator)
    for name in operator.stream_operation.arguments:
        assert getattr(made, name) == ARGUMENTS[operator].get(name, made._options().get(name))
        assert name in operator.template_fields
    assert "stream_conn_id" in operator.template_fields
    shared = {"stream_conn_id", "max_items", "is_dry_run"}
    assert set(operator.template_fields) == {*operator.stream_operation.arguments, *shared}


@EVERY
def test_every_argument_is_described(operator: type[StreamBaseOperator]) -> None:
    described = re.findall(r":param (\w+):", operator.__doc__ or "")
    assert described == list(own_arguments(operator))


@EVERY
def test_every_argument_may_come_from_a_template(operator: type[StreamBaseOperator]) -> None:
    templates = {name: f"{{{{ params.{name} }}}}" for name in operator.stream_operation.arguments}
    made = make(operator, **templates)
    assert {name: getattr(made, name) for name in templates} == templates


@EVERY
def test_every_argument_may_come_from_another_airflow_task(operator: type[StreamBaseOperator]) -> None:
    with DAG("dag", schedule=None):
        first = make(operator, task_id="first")
        for name in operator.stream_operation.arguments:
            second = make(operator, task_id=name, **{name: first.output})
            assert second.upstream_task_ids == {"first"}


def serialized(*operators: Any) -> Any:
    with DAG("dag", schedule=None) as dag:
        for make_operator in operators:
            make_operator()
    return DagSerialization.to_dict(dag)


def test_a_dag_with_every_operator_survives_serialization() -> None:
    encoded = serialized(*(lambda o=o: make(o, task_id=name_of(o)) for o in OPERATORS))
    dag = DagSerialization.from_dict(json.loads(json.dumps(encoded)))
    assert set(dag.task_dict) == {name_of(operator) for operator in OPERATORS}
    for operator in OPERATORS:
        task = dag.task_dict[name_of(operator)]
        assert task.task_type == operator.__name__
        for name, value in ARGUMENTS[operator].items():
            assert getattr(task, name) == value


@pytest.mark.parametrize(
    "source", [lambda context: ["messaging:a"], PACKAGE / "ids.txt"], ids=["callable", "path"]
)
def test_a_source_of_items_serializes_alike_each_time(source: Any) -> None:
    """Otherwise every parse would be a new version of the DAG."""
    operator = OPERATORS[0]
    first, second = (serialized(lambda: make(operator, cids=source)) for _ in range(2))
    assert first == second
    assert " at 0x" not in json.dumps(first)


def test_the_colours_are_of_a_kind() -> None:
    """Deleting, exporting and changing each have one."""
    colours: dict[str, set[str]] = {}
    for operator in OPERATORS:
        kind = next(
            (k for k in ("Delete", "Deactivate", "Export", "Reactivate") if k in operator.__name__), ""
        )
        colours.setdefault({"Deactivate": "Delete", "Reactivate": "Export"}.get(kind, kind), set()).add(
            operator.ui_color
        )
    assert all(len(each) == 1 for each in colours.values())


def test_airflow_knows_every_module() -> None:
    listed: Sequence[str] = get_provider_info()["operators"][0]["python-modules"]
    assert {module.__name__ for module in MODULES} <= set(listed)
