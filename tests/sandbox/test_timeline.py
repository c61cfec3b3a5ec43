from __future__ import annotations

import pytest

from airflow_provider_streamtasks.sandbox.data_import import ImportV1, ImportV2
from airflow_provider_streamtasks.sandbox.timeline import Moment, Stages, Timeline


def plan(pending: float, waiting: float, running: float, end: str = "completed") -> list[tuple[float, str]]:
    seconds = {"pending": pending, "waiting": waiting, "running": running}
    return [(at, status) for at, status in Stages().plan(100.0, seconds, end)]


@pytest.mark.parametrize(
    ("seconds", "end", "moments"),
    [
        ((1, 2, 3), "completed", [(100, "pending"), (101, "waiting"), (103, "running"), (106, "completed")]),
        ((1, 0, 3), "failed", [(100, "pending"), (101, "running"), (104, "failed")]),
        ((0, 0, 0), "completed", [(100, "completed")]),
        ((1, 0, 3), "never", [(100, "pending"), (101, "running")]),
        ((1, 2, 0), "never", [(100, "pending"), (101, "waiting")]),
        ((0, 0, 0), "never", [(100, "running")]),
        ((0, 0, 1), "archived", [(100, "running"), (101, "archived")]),
    ],
)
def test_a_plan(seconds: tuple[float, float, float], end: str, moments: list[tuple[float, str]]) -> None:
    assert plan(*seconds, end) == moments


@pytest.mark.parametrize(
    ("stages", "end", "states"),
    [
        (ImportV1.STAGES, "failed", ["uploaded", "analyzing", "waiting_confirmation", "analyze_failed"]),
        (ImportV1.STAGES, "completed", ["uploaded", "analyzing", "waiting_confirmation", "completed"]),
        (ImportV2.STAGES, "error", ["queued", "queued", "processing", "failed"]),
    ],
)
def test_imports_have_stages_of_their_own(stages: Stages, end: str, states: list[str]) -> None:
    moments = stages.plan(0.0, {"pending": 1, "waiting": 1, "running": 1}, end)
    assert [state for _, state in moments] == states


@pytest.mark.parametrize(
    ("time", "state"),
    [(99, "pending"), (100, "pending"), (101, "running"), (103.9, "running"), (104, "failed")],
)
def test_the_state_at_a_time(time: float, state: str) -> None:
    timeline = Timeline([Moment(100, "pending"), Moment(101, "running"), Moment(104, "failed")])
    assert timeline.now(time).state == state


def test_another_plan_leaves_the_past_alone() -> None:
    timeline = Timeline([Moment(100, "pending"), Moment(101, "running"), Moment(104, "failed")])
    timeline.replan(102, [Moment(102, "completed")])
    assert timeline.moments == [Moment(100, "pending"), Moment(101, "running"), Moment(102, "completed")]
