"""What names Stream tasks, in every shape in which it comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_streamtasks.arguments import NoStreamTaskError, parse_stream_task_ids


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
