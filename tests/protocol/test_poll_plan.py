from __future__ import annotations

import gc
from math import inf
from typing import Any

import pytest

from airflow_provider_streamtasks.exceptions import (
    StreamApiException,
    StreamException,
    StreamRateLimitException,
)
from airflow_provider_streamtasks.protocol.data_import import Import
from airflow_provider_streamtasks.protocol.poll_budget import PollBudget
from airflow_provider_streamtasks.protocol.poll_plan import LAST_POLL, SLACK, PollPlan, Seen
from airflow_provider_streamtasks.protocol.poll_schedule import PollSchedule
from airflow_provider_streamtasks.protocol.rate_limits import RateLimit
from airflow_provider_streamtasks.protocol.tasks import STREAM_TASKS, StreamTask
from airflow_provider_streamtasks.protocol.wait import Outcome, Wait, WaitTerms
from tests.protocol.simulation import SHARE, Server, least_delay, mixture, mixture_in_minutes, simulate
from tests.wait_terms import wait_terms

NOW = 1_800_000_000.0
HOUR = wait_terms(timeout=3600.0)


def new_plan() -> PollPlan:
    budget = PollBudget(0.8)
    budget.sent(NOW)
    budget.answered(None, NOW)  # Stream does not limit polls
    return PollPlan(budget, PollSchedule())


def joined(plan: PollPlan, *task_ids: str, terms: WaitTerms = HOUR, at: float = NOW, **more: Any) -> Wait:
    wait = Wait(task_ids, terms, more.pop("started_at", at), **more)
    plan.join(wait, at)
    return wait


def taken(plan: PollPlan, now: float) -> list[str]:
    return [task_id for task_id, _ in iter(lambda: plan.take(now), None)]


def saw(plan: PollPlan, task_id: str, answer: str | StreamException, now: float, **fields: Any) -> Seen:
    task = StreamTask(task_id, answer, **fields) if isinstance(answer, str) else answer
    return plan.saw((task_id, STREAM_TASKS), task, None, now)


def test_a_wait_that_joins_is_polled_at_once() -> None:
    plan = new_plan()
    joined(plan, "a", "b")
    joined(plan, "c")
    assert sorted(taken(plan, NOW)) == ["a", "b", "c"]
    assert plan.take(NOW) is None


def test_a_look_that_is_under_way_is_not_made_again() -> None:
    plan = new_plan()
    joined(plan, "a")
    assert taken(plan, NOW) == ["a"]
    joined(plan, "a", at=NOW + 1)
    assert taken(plan, NOW + 100) == []
    assert plan.pause(NOW + 100) > 100


@pytest.mark.parametrize("others", [0, 1])
def test_what_is_answered_between_the_deadline_and_the_last_polls_needs_none(others: int) -> None:
    plan = new_plan()
    wait = joined(plan, "a", "b", terms=wait_terms(timeout=10))
    for _ in range(others):
        joined(plan, "a")
    assert sorted(taken(plan, NOW)) == ["a", "b"]
    saw(plan, "a", "running", NOW + 10.01)
    assert wait.due_at("a") == inf
    assert plan.expire(NOW + 10.02) == []
    saw(plan, "b", "running", NOW + 10.03)
    assert wait.outcome is Outcome.TIMED_OUT
    assert taken(plan, NOW + 10.04) == []


def test_two_waits_for_the_same_stream_task_share_its_polls() -> None:
    plan = new_plan()
    first, second = joined(plan, "a"), joined(plan, "a", "b")
    polls = 0
    for second_later in range(20):
        for task_id in taken(plan, NOW + second_later):
            polls += task_id == "a"
            saw(plan, task_id, "running", NOW + second_later)
    assert 10 <= polls <= 20
    assert taken(plan, NOW + 30) != []
    seen = saw(plan, "a", "completed", NOW + 30)
    assert [wait for wait, _ in seen.lines] == [first, second]
    assert first.outcome is Outcome.COMPLETED
    assert second.outcome is None


def test_the_shorter_poll_interval_of_two_waits_counts() -> None:
    plan = new_plan()
    joined(plan, "a", terms=wait_terms(3600, poll_interval=50, max_poll_interval=50))
    joined(plan, "a", terms=wait_terms(3600, poll_interval=2, max_poll_interval=2))
    taken(plan, NOW)
    saw(plan, "a", "running", NOW)
    assert plan.pause(NOW) == pytest.approx(2, abs=0.3)


def test_the_longer_poll_interval_comes_back_when_the_other_wait_leaves() -> None:
    plan = new_plan()
    joined(plan, "a", terms=wait_terms(3600, poll_interval=50, max_poll_interval=50))
    eager = joined(plan, "a", terms=wait_terms(3600, poll_interval=2, max_poll_interval=2))
    taken(plan, NOW)
    plan.leave(eager)
    saw(plan, "a", "running", NOW)
    assert plan.pause(NOW) == pytest.approx(50, abs=5.1)


def test_each_wait_keeps_its_own_deadline() -> None:
    plan = new_plan()
    short = joined(plan, "a", terms=wait_terms(timeout=10))
    long = joined(plan, "a", terms=wait_terms(timeout=1000))
    now = NOW
    while not short.over and now < NOW + 60:
        plan.expire(now)
        for task_id in taken(plan, now):
            saw(plan, task_id, "running", now)
        now += 0.5
    assert short.outcome is Outcome.TIMED_OUT
    assert 10 <= now - NOW <= 11
    assert long.outcome is None


def test_the_last_look_is_made_at_the_deadline_whatever_the_pace() -> None:
    plan = new_plan()
    wait = joined(plan, "a", terms=wait_terms(timeout=100, poll_interval=80))
    taken(plan, NOW)
    saw(plan, "a", "running", NOW)
    assert plan.expire(NOW + 100) == []
    assert taken(plan, NOW + 100) == ["a"]
    saw(plan, "a", "completed", NOW + 100)
    assert wait.outcome is Outcome.COMPLETED


def test_a_last_look_that_cannot_be_made_ends_the_wait_all_the_same() -> None:
    plan = new_plan()
    wait = joined(plan, "a", terms=wait_terms(timeout=100))
    taken(plan, NOW)  # and no answer comes
    assert plan.expire(NOW + 100) == []
    assert plan.pause(NOW + 100) == pytest.approx(LAST_POLL)
    assert plan.expire(NOW + 100 + LAST_POLL) == [wait]
    assert wait.outcome is Outcome.TIMED_OUT


def test_a_patient_plan_polls_each_once_however_late() -> None:
    budget = PollBudget(0.8)
    budget.sent(NOW)
    budget.answered(None, NOW)
    plan = PollPlan(budget, PollSchedule(), patient=True)
    wait = joined(plan, "a", "b", "c", terms=wait_terms(timeout=10))
    plan.take(NOW)
    saw(plan, "a", "running", NOW + 1)
    late = NOW + 10 + LAST_POLL
    assert plan.expire(NOW + 10) == plan.expire(late) == []
    assert wait.open_task_ids == ["b", "c", "a"]  # and a is given up
    assert taken(plan, late) == ["b", "c"]
    saw(plan, "b", "completed", late + 60)
    saw(plan, "c", "completed", late + 60)
    assert wait.outcome is Outcome.TIMED_OUT
    assert wait.open_task_ids == ["a"]


def test_a_patient_plan_does_not_wait_for_a_budget_that_is_spent() -> None:
    budget = PollBudget(0.8)
    plan = PollPlan(budget, PollSchedule(), patient=True)
    wait = joined(plan, "a", "b", terms=wait_terms(timeout=10))
    plan.take(NOW)
    saw(plan, "a", StreamRateLimitException("no", status_code=429, retry_after=900.0), NOW + 1)
    assert plan.expire(NOW + 10) == []
    assert plan.expire(NOW + 10 + LAST_POLL) == [wait]
    assert sorted(wait.open_task_ids) == ["a", "b"]


def test_a_stream_task_that_ended_between_polls_is_polled() -> None:
    plan = new_plan()
    wait = joined(plan, "a", started_at=NOW - 1000, terms=wait_terms(timeout=60))
    assert plan.expire(NOW) == []
    assert taken(plan, NOW) == ["a"]
    saw(plan, "a", "completed", NOW)
    assert wait.outcome is Outcome.COMPLETED


def test_a_wait_that_leaves_is_not_polled_and_leaves_nothing() -> None:
    plan = new_plan()
    wait = joined(plan, "a", "b")
    taken(plan, NOW)
    plan.leave(wait)
    assert len(plan) == 0
    assert saw(plan, "a", "running", NOW).lines == []
    assert taken(plan, NOW + 100) == []
    assert plan.expire(NOW + 10_000) == []
    assert plan.pause(NOW + 10_000) == inf


def test_many_who_come_and_go_leave_nothing() -> None:
    plan = new_plan()
    for number in range(5000):
        plan.leave(joined(plan, f"t{number}", at=NOW + number))
    sizes = [len(value) for value in vars(plan).values() if hasattr(value, "__len__") and value]
    assert sum(sizes) < 500


def test_an_error_that_does_not_pass_ends_the_waits_that_it_met() -> None:
    plan = new_plan()
    wait, other = joined(plan, "a", "b"), joined(plan, "b")
    taken(plan, NOW)
    saw(plan, "a", StreamApiException("no", status_code=403), NOW)
    assert wait.outcome is Outcome.ERROR
    plan.leave(wait)
    saw(plan, "b", "running", NOW)
    assert other.outcome is None
    assert taken(plan, NOW + 5) == ["b"]


def test_after_a_429_everybody_pauses() -> None:
    plan = new_plan()
    joined(plan, *(f"t{number}" for number in range(100)))
    assert plan.take(NOW) is not None
    refusal = StreamRateLimitException("no", status_code=429, retry_after=30)
    plan.saw(("t0", STREAM_TASKS), refusal, RateLimit(60, 0, 30), NOW)
    assert taken(plan, NOW + 29) == []
    assert plan.pause(NOW + 29) == pytest.approx(1)
    assert len(taken(plan, NOW + 31)) <= 5


def test_a_loop_that_is_a_little_late_changes_nothing() -> None:
    plan = new_plan()
    joined(plan, "a", terms=wait_terms(3600, poll_interval=10, max_poll_interval=10))
    now = NOW
    for _ in range(50):
        taken(plan, now)
        saw(plan, "a", "running", now)
        now += plan.pause(now) + 0.9 * SLACK
    assert now - NOW < 50 * (10 + SLACK) + 10
    assert plan.stretch < 1.1


@pytest.mark.parametrize(
    ("updated_at", "delay"),
    [(NOW + 7, 3), (None, 5), (NOW - 100, 10), (NOW + 500, 0)],
    ids=["as Stream says", "the middle", "Stream's clock is slow", "Stream's clock is fast"],
)
def test_the_detection_delay_lies_between_two_polls(updated_at: float | None, delay: float) -> None:
    plan = new_plan()
    joined(plan, "a", terms=wait_terms(3600, 9, 9))
    taken(plan, NOW)
    assert saw(plan, "a", "running", NOW).delay is None
    taken(plan, NOW + 10)
    assert saw(plan, "a", "completed", NOW + 10, updated_at=updated_at).delay == pytest.approx(delay)


# -- more waits than the budget can serve ------------------------------------------------------------------

# A fifth of Stream's 1,000 polls a minute and 5,000 waits: the same polls a wait, in less time of a test.
LIMIT, WAITS = 200, 1000
BOUND = least_delay(WAITS, SHARE * LIMIT)


def test_a_budget_is_spent_where_it_shortens_waits_most() -> None:
    result = simulate(
        WAITS,
        mixture_in_minutes,
        server=Server(LIMIT),
        refill=True,
        lasts=12_000,
        counted_after=4_000,
    )
    assert result.server.rejected == []
    assert result.mean_delay <= 1.5 * BOUND
    assert max(result.delays) <= 20 * BOUND
    assert result.longest_open <= 20 * BOUND


def test_waits_that_begin_together_all_end() -> None:
    result = simulate(WAITS, mixture_in_minutes, server=Server(LIMIT))
    assert len(result.delays) == WAITS
    assert result.server.rejected == []
    assert result.mean_delay <= 1.5 * BOUND


def test_another_program_may_take_half_of_the_budget() -> None:
    result = simulate(
        WAITS,
        mixture_in_minutes,
        server=Server(LIMIT, others=LIMIT // 2),
        refill=True,
        lasts=16_000,
        counted_after=6_000,
    )
    assert result.server.rejected == []
    assert result.mean_delay <= 1.5 * least_delay(WAITS, SHARE * LIMIT / 2)


def test_two_triggerers_share_the_budget() -> None:
    result = simulate(
        WAITS,
        mixture_in_minutes,
        server=Server(LIMIT),
        processes=2,
        refill=True,
        lasts=12_000,
        counted_after=4_000,
    )
    assert result.server.rejected == []
    # Each learns from its own half only.
    assert result.mean_delay <= 1.6 * BOUND


def test_when_others_leave_nothing_the_429s_do_not_become_a_storm() -> None:
    result = simulate(
        300, mixture, server=Server(60, others=60), spread=60, lasts=1200, share=1.0, refill=True
    )
    assert len(result.server.rejected) <= 20 * 8


def test_with_a_budget_to_spare_nobody_notices_it() -> None:
    free = simulate(50, mixture, spread=200)
    paced = simulate(50, mixture, server=Server(10_000), spread=200)
    assert paced.mean_delay == pytest.approx(free.mean_delay, rel=0.1)


def test_the_same_import_is_polled_for_each_meaning_of_its_states() -> None:
    plan = new_plan()
    kinds = [Import((2,), (3,)), Import((3,), ()), Import((2,), (3, 4))]
    waits = [Wait(("a",), wait_terms(timeout=60.0), NOW, kind) for kind in kinds]
    for wait in (*waits, Wait(("a",), wait_terms(timeout=60.0), NOW, kinds[0])):
        plan.join(wait, NOW)
    polls = list(iter(lambda: plan.take(NOW), None))
    assert polls == [("a", kind) for kind in sorted(kinds, key=repr)]
    for poll in polls:
        plan.saw(poll, StreamTask("a", "running"), None, NOW)
    plan.expire(NOW + 60)  # all are due in the same moment
    assert list(iter(lambda: plan.take(NOW + 60), None)) == polls
    plan.saw(("a", kinds[1]), StreamTask("a", "completed"), None, NOW + 60)
    assert [wait.outcome for wait in waits] == [None, Outcome.COMPLETED, None]


def test_the_garbage_collector_passes_over_what_is_due() -> None:
    plan = new_plan()
    joined(plan, *(f"t{number}" for number in range(100)))
    gc.collect()
    assert not any(map(gc.is_tracked, plan._due))
