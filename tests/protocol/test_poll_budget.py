from __future__ import annotations

from math import inf

import pytest

from airflow_provider_streamtasks.protocol.poll_budget import AT_ONCE, UNKNOWN_AT_ONCE, PollBudget
from airflow_provider_streamtasks.protocol.rate_limits import RateLimit

NOW = 1_800_000_000.0


def budget_of(
    limit: int, remaining: int, reset: float, *, share: float = 1.0, now: float = NOW
) -> PollBudget:
    """A budget after its first answer."""
    budget = PollBudget(share)
    budget.sent(now)
    budget.answered(RateLimit(limit, remaining, reset), now)
    return budget


def sent_until(budget: PollBudget, now: float, end: float) -> list[float]:
    """Send whenever it is allowed, with no answer but that the poll is over; return when."""
    moments = []
    while now < end:
        ready = budget.ready_at(now)
        if ready >= end:
            break
        now = max(now, ready)
        budget.sent(now)
        budget.under_way -= 1
        moments.append(now)
    return moments


def test_before_the_first_answer_a_few_may_go() -> None:
    budget = PollBudget(1.0)
    for _ in range(UNKNOWN_AT_ONCE):
        assert budget.ready_at(NOW) <= NOW
        budget.sent(NOW)
    assert budget.ready_at(NOW) == inf


def test_without_a_limit_only_those_under_way_count() -> None:
    budget = PollBudget(1.0)
    budget.sent(NOW)
    budget.answered(None, NOW)
    for _ in range(AT_ONCE):
        assert budget.ready_at(NOW) <= NOW
        budget.sent(NOW)
    assert budget.ready_at(NOW) == inf
    budget.answered(None, NOW)
    assert budget.ready_at(NOW) <= NOW


def test_what_is_left_is_spread_over_the_window() -> None:
    moments = sent_until(budget_of(100, 100, 60), NOW, NOW + 60)
    assert len(moments) == pytest.approx(100, abs=8)
    assert sum(moment < NOW + 30 for moment in moments) == pytest.approx(50, abs=8)


@pytest.mark.parametrize(("share", "sent"), [(1.0, 60), (0.8, 48), (0.1, 6)])
def test_no_more_than_our_share_is_used(share: float, sent: int) -> None:
    assert len(sent_until(budget_of(60, 60, 60, share=share), NOW, NOW + 59.9)) == pytest.approx(sent, abs=2)


def test_what_others_used_counts() -> None:
    # Of 100 polls, 80 are ours; others have used 50.
    assert len(sent_until(budget_of(100, 50, 60, share=0.8), NOW, NOW + 59.9)) == pytest.approx(30, abs=2)


def test_when_our_share_is_used_up_the_window_must_end() -> None:
    assert budget_of(100, 15, 42, share=0.8).ready_at(NOW) == NOW + 42


def test_the_next_window_begins_by_itself() -> None:
    budget = budget_of(100, 0, 10)
    assert budget.ready_at(NOW) == NOW + 10
    assert budget.ready_at(NOW + 10) <= NOW + 10


def test_polls_under_way_are_not_sent_again() -> None:
    budget = PollBudget(1.0)
    for _ in range(5):
        budget.sent(NOW)
    budget.answered(RateLimit(60, 4, 30), NOW)
    # The four that are left are those under way.
    assert budget.ready_at(NOW) == NOW + 30


def test_answers_that_overtook_each_other_do_not_give_budget_back() -> None:
    budget = budget_of(100, 2, 30)
    budget.sent(NOW)
    budget.answered(RateLimit(100, 50, 30), NOW)
    assert budget.ready_at(NOW + 29) >= NOW + 29 or len(sent_until(budget, NOW, NOW + 29)) <= 2


@pytest.mark.parametrize("reset", [3600, 86_400, 1e9])
def test_a_window_that_never_ends_is_a_clock_that_is_wrong(reset: float) -> None:
    assert budget_of(100, 0, reset).ready_at(NOW) == NOW + 60


def test_after_a_429_nobody_goes_until_the_window_ends() -> None:
    budget = budget_of(100, 90, 30)
    budget.refused(30, NOW)
    assert budget.ready_at(NOW) == NOW + 30
    assert budget.ready_at(NOW + 29.9) == NOW + 30


def test_after_a_429_they_come_back_spread_over_the_window() -> None:
    budget = budget_of(100, 90, 30)
    budget.refused(30, NOW)
    moments = sent_until(budget, NOW, NOW + 90)
    assert moments[0] >= NOW + 30
    assert sum(moment < NOW + 35 for moment in moments) <= 10
    assert len(moments) == pytest.approx(100, abs=8)


def test_after_a_429_that_names_no_limit_a_few_try() -> None:
    budget = PollBudget(1.0)
    budget.sent(NOW)
    budget.answered(None, NOW)
    budget.refused(20, NOW)
    assert budget.ready_at(NOW) == NOW + 20
    for _ in range(UNKNOWN_AT_ONCE):
        budget.sent(NOW + 20)
    assert budget.ready_at(NOW + 20) == inf


def test_a_share_below_one_poll_is_one_poll() -> None:
    budget = budget_of(6, 6, 60, share=0.1)
    assert len(sent_until(budget, NOW, NOW + 300)) >= 3
