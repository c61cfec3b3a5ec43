from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import strategies as st

from airflow_provider_streamtasks.exceptions import StreamApiException, StreamException
from airflow_provider_streamtasks.protocol.imports import Import
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
    ],
)
def test_an_answer_without_a_state_is_an_error(kind: Import, body: Any) -> None:
    with pytest.raises(StreamApiException, match="no state of an import"):
        kind.read("id", answer(body), 0)


@fuzz(st.sampled_from([FIRST, SECOND]), documents | anything)
def test_whatever_the_answer_holds_only_documented_exceptions_come(kind: Import, body: Any) -> None:
    with suppress(StreamException):
        assert kind.read("id", answer(body), 0).task_id == "id"
