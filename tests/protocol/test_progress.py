from __future__ import annotations

import json
from math import inf
from typing import Any

import pytest

from airflow_provider_streamtasks.exceptions import StreamTransportException
from airflow_provider_streamtasks.protocol.progress import (
    APART,
    INTERVAL,
    SETTLING,
    Progress,
    RecordPlan,
    read_progress,
    worth_recording,
)
from airflow_provider_streamtasks.protocol.tasks import StreamTask
from airflow_provider_streamtasks.protocol.wait import Wait
from tests.wait_terms import wait_terms

START = 1_800_000_000.0
HOURS = wait_terms(timeout=36_000.0)


def wait_of(*task_ids: str, status: str | None = "running", at: float = START) -> Wait:
    """Return a wait that began at the start, and of which Stream has said something."""
    wait = Wait(task_ids or ("a",), HOURS, START)
    if status:
        wait.observe(wait.task_ids[0], StreamTask(wait.task_ids[0], status), at)
    return wait


def recorded(plan: RecordPlan, until: float, *, says: Wait | None = None) -> list[tuple[float, Wait]]:
    """Carry a plan out; return when what was recorded, in seconds after the start.

    :param says: a wait of which Stream says something at every moment
    """
    taken: list[tuple[float, Wait]] = []
    now = START
    while (now := now + max(plan.pause(now), 0.001)) <= START + until:
        if says:
            says.observe(says.task_ids[0], StreamTask(says.task_ids[0], "running"), now)
        if found := plan.take(now):
            taken.append((round(now - START), found[0]))
    return taken


class TestHowFar:
    def test_one_that_runs(self) -> None:
        assert Progress.of(wait_of(at=START + 42)).to_dict() == {
            "status": "running",
            "said_at": "2027-01-15T08:00:42+00:00",
            "stream_tasks": 1,
            "finished": 0,
            "failed": 0,
            "errors_since": None,
        }

    def test_one_of_which_nothing_is_known_yet(self) -> None:
        progress = Progress.of(wait_of(status=None))
        assert (progress.status, progress.said_at, progress.finished) == (None, None, 0)

    def test_failed_ones_are_finished(self) -> None:
        wait = wait_of("c", "a", "b")
        wait.observe("a", StreamTask("a", "completed"), START + 2)
        wait.observe("b", StreamTask("b", "failed", {"description": "no store"}), START + 3)
        progress = Progress.of(wait)
        assert (progress.stream_tasks, progress.finished, progress.failed) == (3, 2, 1)
        assert (progress.status, progress.said_at) == ("running", START)

    def test_errors_leave_the_last_status(self) -> None:
        wait = wait_of(at=START + 10)
        wait.observe("a", StreamTransportException("no answer", error_type="timeout"), START + 20)
        progress = Progress.of(wait)
        assert (progress.status, progress.said_at, progress.errors_since) == (
            "running",
            START + 10,
            START + 20,
        )

    def test_a_status_of_any_length_is_cut(self) -> None:
        assert read_progress(Progress.of(wait_of(status="x" * 10_000)).to_dict()) is not None


class TestReading:
    def test_what_was_written_comes_back(self) -> None:
        written = Progress.of(wait_of("a", "b")).to_dict()
        assert read_progress(json.loads(json.dumps({**written, "more": "of a later release"}))) == written

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "running",
            [],
            {},
            {"status": ["a"], "stream_tasks": 1, "finished": 0, "failed": 0},
            {"status": "x" * 61, "stream_tasks": 1, "finished": 0, "failed": 0},
            {"status": "running", "stream_tasks": True, "finished": 0, "failed": 0},
            {"status": "running", "stream_tasks": -1, "finished": 0, "failed": 0},
            {"status": "running", "stream_tasks": 1, "finished": "0", "failed": 0},
            {"status": "running", "said_at": "soon", "stream_tasks": 1, "finished": 0, "failed": 0},
            {"status": "running", "said_at": "0001-01-01", "stream_tasks": 1, "finished": 0, "failed": 0},
        ],
    )
    def test_what_somebody_else_wrote_is_none(self, value: Any) -> None:
        assert read_progress(value) is None


class TestWhen:
    def test_at_a_minute_and_then_once_a_minute(self) -> None:
        plan, wait = RecordPlan(), wait_of()
        plan.join(wait, START)
        assert [at for at, _ in recorded(plan, 250, says=wait)] == [60, 120, 180, 240]

    def test_not_where_there_is_nothing_new(self) -> None:
        plan, wait = RecordPlan(), wait_of()
        plan.join(wait, START)
        assert [at for at, _ in recorded(plan, 600)] == [60]

    def test_nothing_is_recorded_before_the_first_answer(self) -> None:
        plan, wait = RecordPlan(), wait_of(status=None)
        plan.join(wait, START)
        assert recorded(plan, 600) == []

    def test_soon_where_it_began_in_another_process(self) -> None:
        plan = RecordPlan()
        plan.join(wait_of(), START + 3600)
        assert plan.pause(START + 3600) == SETTLING

    def test_never_where_it_left_before(self) -> None:
        plan, wait, other = RecordPlan(), wait_of(), wait_of()
        plan.join(wait, START)
        plan.join(other, START)
        plan.leave(wait)
        plan.leave(wait)
        assert [each for _, each in recorded(plan, 100)] == [other]
        assert len(plan) == 1

    def test_nobody_is_an_endless_pause(self) -> None:
        assert RecordPlan().pause(START) == inf
        assert RecordPlan().take(START) is None

    def test_thousands_take_turns_a_second_apart(self) -> None:
        plan, waits = RecordPlan(), [wait_of(f"{number}") for number in range(1000)]
        for wait in waits:
            plan.join(wait, START)
        taken = recorded(plan, INTERVAL + 1000 * APART)
        assert [wait for _, wait in taken] == waits
        moments = [at for at, _ in taken]
        assert moments == [INTERVAL + number * APART for number in range(1000)]


class TestOnAWorker:
    """Where each poll may be in another process, which knows the record and nothing else."""

    def test_at_a_minute_and_then_once_a_minute(self) -> None:
        wait, last, times = wait_of(), None, []
        for age in range(10, 310, 10):
            wait.observe("a", StreamTask("a", "running"), START + age)
            if progress := worth_recording(wait, last, START + age):
                last = json.loads(json.dumps(progress.to_dict()))
                times.append(age)
        assert times == [60, 120, 180, 240, 300]

    def test_errors_are_recorded_once(self) -> None:
        wait, last, times = wait_of(), None, []
        for age in range(10, 290, 10):
            wait.observe("a", StreamTransportException("no answer", error_type="timeout"), START + age)
            if progress := worth_recording(wait, last, START + age):
                last = json.loads(json.dumps(progress.to_dict()))
                times.append(age)
        assert times == [60]

    def test_not_before_this_process_has_polled(self) -> None:
        assert worth_recording(wait_of(status=None), None, START + 100) is None

    def test_not_once_it_is_over(self) -> None:
        wait = wait_of()
        wait.observe("a", StreamTask("a", "completed"), START + 100)
        assert worth_recording(wait, None, START + 100) is None

    @pytest.mark.parametrize("recorded", [None, "rubbish", {"said_at": "soon"}])
    def test_what_is_no_record_is_replaced(self, recorded: Any) -> None:
        assert worth_recording(wait_of(at=START + 100), recorded, START + 100) is not None
