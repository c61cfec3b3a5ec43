from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import strategies as st

from airflow_provider_streamtasks.exceptions import StreamApiException, StreamException
from airflow_provider_streamtasks.protocol.data_import import MOST, Import, in_short
from airflow_provider_streamtasks.protocol.delivery import FAILED_ITEMS, XComPolicy, decide
from airflow_provider_streamtasks.protocol.ledger import Ledger, State
from airflow_provider_streamtasks.protocol.wait import Ended
from airflow_provider_streamtasks.protocol.wire import Response
from tests.fuzzing import fuzz
from tests.json_values import anything, documents

FIRST, SECOND = Import(), Import(completed_states=(2,), failed_states=(3, 4))


def answer(body: Any) -> Response:
    return Response(200, {}, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("uploaded", "pending"),
        ("analyzing", "running"),
        ("analyze_failed", "failed"),
        ("waiting_confirmation", "waiting_confirmation"),
        ("completed", "completed"),
        ("Completed", "completed"),
        ("ANALYZING", "running"),
        ("something_new", "something_new"),
    ],
)
def test_states_of_the_first_generation(state: str, status: str) -> None:
    assert FIRST.read("id", answer({"import_task": {"state": state}}), 0).status == status


@pytest.mark.parametrize(
    ("state", "status"), [(0, "running"), (2, "completed"), (3, "failed"), (99, "running")]
)
def test_states_of_the_second_generation_mean_what_the_user_says(state: int, status: str) -> None:
    assert SECOND.read("id", answer({"state": state}), 0).status == status


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (FIRST, {}),
        (FIRST, {"import_task": None}),
        (FIRST, {"import_task": {"state": 2}}),
        (SECOND, {"state": "2"}),
        (Import((1,)), {"state": True}),
        (SECOND, {"state": 2.0}),
    ],
)
def test_an_answer_without_a_state_is_an_error(kind: Import, body: Any) -> None:
    with pytest.raises(StreamApiException, match="no state of an import"):
        kind.read("id", answer(body), 0)


PERSON = {"id": "ann", "name": "Ann Smith", "email": "ann@example.com"}


@pytest.mark.parametrize(
    ("report", "short"),
    [
        (None, ""),
        ({}, ""),
        ("", ""),
        ([], ""),
        ("line 7 is no JSON", "line 7 is no JSON"),
        ({"errors": ["a", "b"]}, "a; b"),
        ({"Errors": ["a", "b", "c", "d", "e"]}, "a; b; c and 2 more"),
        ({"errors": "line 7 is no JSON"}, "line 7 is no JSON"),
        ({"errors": None, "description": "the file is empty"}, "the file is empty"),
        ({"errors": [{"line": 7}]}, '{"line": 7}'),
        ({"stats": {"users": 1}}, '{"stats": {"users": 1}}'),
        (["a", "b"], "a; b"),
        ("x" * 300, "x" * 199 + "…"),
        ("see https://x.example/y?Signature=z", "see https://x.example/y"),
        ({"Errors": [{"error": "bad", "item": PERSON}]}, '{"error": "bad", "item": {"id": "ann"}}'),
        ({"errors": PERSON}, '{"id": "ann"}'),
        ([PERSON], '{"id": "ann"}'),
        ({"users": [PERSON]}, '{"users": {"count": 1, "ids": ["ann"]}}'),
        (5, "5"),
    ],
)
def test_a_report_has_a_short_form(report: Any, short: str) -> None:
    assert in_short(report) == short
    task = FIRST.read("id", answer({"import_task": {"state": "analyze_failed", "result": report}}), 0)
    assert task.report == report
    assert task.failure.description == "the import ended as analyze_failed" + (f": {short}" if short else "")
    assert not task.may_pass


@pytest.mark.parametrize("state", [2, 3])
def test_faults_in_a_report_are_no_items_that_failed(state: int) -> None:
    """They quote the user's file, which the XCom of failed items must not."""
    report = {"Errors": [{"id": "joe", "email": "joe@example.com", "error": "no role"}], "failed_count": 1}
    task = SECOND.read("id", answer({"state": state, "result": report}), 0)
    assert task.failed_items == {}
    delivery = decide(Ended([task], [], 60.0), XComPolicy())
    assert FAILED_ITEMS not in delivery.xcoms
    assert not delivery.warnings
    ledger = Ledger([{"digest": "x", "size": 1, "state": State.ACCEPTED, "task_id": "id"}])
    assert ledger.failed([task]) == [0]
    assert ledger.entries[0].failed_items == {}


@fuzz(anything | documents)
def test_whatever_a_report_is_it_has_a_short_form(report: Any) -> None:
    assert len(in_short(report)) < 3 * MOST + 200


@fuzz(st.sampled_from([FIRST, SECOND]), documents | anything)
def test_whatever_the_answer_holds_only_documented_exceptions_come(kind: Import, body: Any) -> None:
    with suppress(StreamException):
        assert kind.read("id", answer(body), 0).task_id == "id"
