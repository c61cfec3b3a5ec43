from __future__ import annotations

import pytest

from tests.touched import ALWAYS, chosen, nearest_to


@pytest.mark.parametrize(
    ("path", "tests"),
    [
        ("airflow_provider_streamtasks/operators/chat.py", ("tests/operators",)),
        ("airflow_provider_streamtasks/protocol/wait.py", ("tests/protocol", "tests/hooks")),
        ("airflow_provider_streamtasks/spans.py", ("tests/test_spans.py",)),
        ("tests/operators/test_people.py", ("tests/operators/test_people.py",)),
        ("tests/transfers/stores.py", ("tests/transfers",)),
        ("docs/hook.rst", ("tests/docs",)),
        ("local_stack/airflow.py", ("tests/local_stack", "tests/demo")),
        ("tests/conftest.py", ()),
        ("LICENSE", ()),
    ],
)
def test_the_nearest_to_a_file(path: str, tests: tuple[str, ...]) -> None:
    assert nearest_to(path) == tests


def test_what_a_change_touches_comes_first_and_once() -> None:
    changed = ["tests/operators/test_people.py", "airflow_provider_streamtasks/operators/chat.py"]
    assert chosen(changed) == ["tests/operators", *ALWAYS]
