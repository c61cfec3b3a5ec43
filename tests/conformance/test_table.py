"""The table is complete: whoever adds an operation adds a row."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from getstream import AsyncStream

from airflow_provider_streamtasks.protocol.catalogue import CATALOGUE
from airflow_provider_streamtasks.sandbox.api import StreamApi
from airflow_provider_streamtasks.sandbox.fields import Field
from airflow_provider_streamtasks.sandbox.operations import OPERATIONS
from tests.conformance.__main__ import pages
from tests.conformance.calls import TABLE, Row
from tests.conformance.shapes import wire_name

MODELLED = [row for row in TABLE if row.request]


def test_every_operation_of_the_catalogue_has_a_row() -> None:
    assert CATALOGUE.keys() <= {row.operation for row in TABLE}


def test_every_endpoint_of_the_sandbox_has_a_row() -> None:
    of_the_storage = {"Upload", "Download"}
    endpoints = set(StreamApi("key", "secret").operations)
    assert endpoints - of_the_storage == {row.operation for row in TABLE}


@pytest.mark.parametrize("row", MODELLED, ids=lambda row: row.operation)
def test_the_sandbox_knows_every_field_that_the_sdk_has(row: Row) -> None:
    [operation] = (operation for operation in OPERATIONS if operation.name == row.operation)
    assert_known(row.request, operation.body or ())


def assert_known(model: Any, known: Iterable[Field] | None) -> None:
    by_name = {field.name: field for field in known or ()}
    hints = typing.get_type_hints(model)
    for field in fields(model):
        assert wire_name(field) in by_name
        nested = by_name[wire_name(field)].fields
        for each in dataclasses_in(hints[field.name]) if nested else ():
            assert_known(each, nested)


def dataclasses_in(hint: Any) -> list[Any]:
    if is_dataclass(hint):
        return [hint]
    return [each for inner in typing.get_args(hint) for each in dataclasses_in(inner)]


def test_only_feeds_are_missing_from_the_asynchronous_client() -> None:
    assert all(row.getstream.method.startswith("feeds.") == row.only_sync for row in TABLE if row.getstream)
    with pytest.raises(NotImplementedError):
        _ = AsyncStream(api_key="key", api_secret="s" * 32).feeds


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_the_docs_list_what_the_tables_hold(page: Path) -> None:
    """Printed by: python -m tests.conformance."""
    assert (Path(__file__).parents[2] / page).read_text(encoding="utf-8") == pages()[page]
