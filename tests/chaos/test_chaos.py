"""A short storm: ``make storm``. ``make chaos`` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.audit import audit
from tests.chaos.plan import SHORT

pytestmark = pytest.mark.chaos


def test_nothing_is_lost_and_nothing_ends_wrong(tmp_path: Path) -> None:
    from tests.chaos.storm import Storm  # what it needs is not installed with the oldest Airflow

    books = Storm(27, SHORT, tmp_path).run()
    verdict = audit(books)

    assert verdict.faults == {}
    assert {whom: books.counts[f"kill {whom}"] for whom in SHORT.kills if whom != "task"} == {
        whom: times for whom, times in SHORT.kills.items() if whom != "task"
    }
    assert books.counts["database"] == 1
    assert verdict.numbers["accepted"] > 0
    assert verdict.numbers["fault_5xx"] > 0
