"""Whatever a DAG's author writes, or a template gives, an operator takes it or says what is wrong with it."""

from __future__ import annotations

import json
import math
from collections import namedtuple
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from airflow.sdk import BaseNotifier, BaseOperator
from airflow.sdk.io.store import _STORE_CACHE
from s3fs import S3FileSystem

from airflow_provider_streamtasks.arguments import parse_stream_task_ids
from airflow_provider_streamtasks.notifications.chat import StreamChatNotifier
from airflow_provider_streamtasks.operators.base import StreamBaseOperator
from airflow_provider_streamtasks.operators.data_import import StreamImportOperator, StreamImportV2Operator
from airflow_provider_streamtasks.operators.items import ItemFile
from airflow_provider_streamtasks.operators.operation import StreamOperationOperator, _check_path
from airflow_provider_streamtasks.sensors.data_import import StreamImportSensor
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator
from tests import json_values
from tests.every_operator import ARGUMENTS
from tests.fuzzing import fuzz
from tests.json_values import Dice

Export = namedtuple("Export", ["task_id", "suffix"])
COMMON = {"stream_conn_id": "stream_default"}
WAITING = {**COMMON, "fail_on_partial": False, "redact_result_urls": None}
SUBMITTING = {
    **WAITING,
    "wait_for_completion": True,
    "deferrable": False,
    "poll_interval": 1,
    "wait_timeout": timedelta(hours=1),
    "on_ambiguous": "fail",
}
SENSING = {
    **WAITING,
    "poke_interval": 1,
    "max_wait": 30,
    "timeout": 60,
    "deferrable": True,
    "start_from_trigger": None,
    "end_from_trigger": None,
}
OTHERS: dict[Callable[..., Any], dict[str, Any]] = {
    StreamOperationOperator: {
        "path": "/api/v2/new",
        "method": "POST",
        "body": {"a": 1},
        "query": {"b": True},
        "items": ["c"],
        "items_field": "ids",
        "batch_size": 2,
        "operation_name": "New",
    },
    StreamImportV2Operator: {
        "product": "chat",
        "settings": {"mode": "upsert"},
        "user_id": "joe",
        "completed_states": [2],
        "failed_states": [3],
        "cancel_on_kill": True,
    },
    StreamImportOperator: {"file": "/data/import.json", "mode": "insert", "merge_custom": True},
    StreamTaskSensor: {"stream_task_id": ["a"]},
    StreamImportSensor: {"import_id": "a", "completed_states": [2], "failed_states": [3]},
    StreamExportToObjectStorageOperator: {
        **COMMON,
        "stream_task_id": "a",
        "destination": "/exports",
        "file_name": "{stream_task_id}{suffix}",
        "gzip": False,
        "overwrite": "skip",
        "storage_conn_id": None,
    },
    StreamChatNotifier: {**COMMON, "channel": "messaging:alerts", "text": "Alas", "user_id": "airflow"},
}


def good_arguments(kind: Callable[..., Any]) -> dict[str, Any]:
    own = ARGUMENTS.get(kind) or OTHERS[kind]  # type: ignore[call-overload]
    if kind in (StreamTaskSensor, StreamImportSensor):
        own = {**SENSING, **own}
        if kind is StreamImportSensor:
            own = {name: value for name, value in own.items() if not name.endswith("_from_trigger")}
    elif isinstance(kind, type) and issubclass(kind, StreamBaseOperator):
        own = {**SUBMITTING, **own}
    return own if kind is StreamChatNotifier else {"task_id": "anything", **own}


KINDS = tuple({**ARGUMENTS, **OTHERS})
NAIVE = datetime(2026, 1, 1)
ODDITIES: tuple[Any, ...] = (
    *(b"bytes", NAIVE, NAIVE.replace(tzinfo=timezone.utc), date(2026, 1, 1), timedelta(days=-1)),
    *(timedelta.max, Decimal("NaN"), 1j, {1, 2}, frozenset(), ("messaging:a",), range(3), iter("a")),
    *(object(), int, len, lambda context: [], PurePosixPath("/a"), UUID(int=0), {1: 2}, {None: None}),
    *([math.nan], {"a": {"b": NAIVE}}, {"a": {"$in": [{1}]}}, {"custom": math.inf}, [[]], [{}]),
    *("{{ x }}", "{% if %}", "{stream_task_id!x}", "{index:d}{index}", "{suffix:>9999999999}", "{}", "{0}"),
    *("a/b", "s3://", "://", "file://", "bogus://x", "s3://b\x00", "~", "..", "a\nb", "x:\ud800", "x" * 9000),
)  # fmt: skip


def value(dice: Dice) -> Any:
    return dice.of(ODDITIES) if dice.roll(2) else dice.value()


def written(dice: Dice) -> tuple[Callable[..., Any], dict[str, Any]]:
    """An operator, with good arguments but for one or two."""
    kind = dice.of(KINDS)
    arguments = good_arguments(kind)
    names = tuple(name for name in arguments if name != "task_id")
    return kind, {**arguments, **{dice.of(names): value(dice) for _ in range(1 + dice.roll(2))}}


def rendered(dice: Dice) -> tuple[BaseOperator | BaseNotifier, dict[str, Any]]:
    """An operator with good arguments, and what its templates give."""
    kind = dice.of(KINDS)
    made = kind(**good_arguments(kind))
    fields = tuple(made.template_fields)
    return made, {dice.of(fields): value(dice) for _ in range(1 + dice.roll(2))}


def as_it_is_sent(body: Any) -> str:
    try:
        return json.dumps(body, allow_nan=False)
    except (ValueError, TypeError) as error:
        raise AssertionError(f"{body} cannot be sent") from error


def first_request(operator: StreamBaseOperator) -> None:
    """Do all that an operator does before it first talks to Stream."""
    operation = operator.stream_operation
    options = operation.parse(operator._options())
    items: list[Any] = []
    if operation.items:
        with ItemFile(operation.items, operator._source(), {}) as file:
            items = list(file)[: operation.items.cap]
    request = operation.request(items, options)
    as_it_is_sent(request.json)
    assert request.path.startswith("/api/v2/")
    assert request.path.isascii()
    assert not {"?", "#", "\r", "\n", " "} & set(request.path)
    assert all(isinstance(text, str) for text in request.query.values())


def begin(made: Any) -> None:
    if isinstance(made, StreamImportOperator):
        made.path = "s3://stream-import/x"
    if isinstance(made, StreamOperationOperator):
        _check_path(made.path)
    if isinstance(made, StreamBaseOperator):
        first_request(made)
    elif isinstance(made, StreamTaskSensor):
        assert all(isinstance(task_id, str) for task_id in made.awaited_task_ids({}))
    elif isinstance(made, StreamExportToObjectStorageOperator):
        # What is kept for each Airflow connection would fill the memory: every example names another one.
        _STORE_CACHE.clear()
        S3FileSystem.clear_instance_cache()
        parse_stream_task_ids(made.stream_task_id)
        exports: list[Any] = [Export("../a", ".jsonl"), Export("b", "")]
        places = made._places(made._folder(), exports)
        assert {place.parent for place in places} == {made._folder()}
    elif isinstance(made, StreamChatNotifier):
        nobody: Any = {"ti": None}
        made._message(nobody)


@fuzz(json_values.rolled(written))
def test_whatever_is_written_is_taken_or_refused_with_a_reason(
    given: tuple[Callable[..., Any], dict[str, Any]],
) -> None:
    kind, arguments = given
    problem = "no problem"
    try:
        kind(**arguments)
    except ValueError as error:
        problem = str(error)
    assert problem


@fuzz(json_values.rolled(rendered))
def test_whatever_a_template_gives_is_taken_or_refused_with_a_reason(
    given: tuple[Any, dict[str, Any]],
) -> None:
    made, values = given
    for name, each in values.items():
        setattr(made, name, each)
    problem = "no problem"
    try:
        begin(made)
    except (ValueError, OSError) as error:  # a file of items may not be there
        problem = str(error)
    assert problem


def test_everything_can_begin_with_good_arguments() -> None:
    for kind in KINDS:
        made = kind(**good_arguments(kind))
        begin(made)
