from __future__ import annotations

import random
from math import sqrt

import pytest

from airflow_provider_streamtasks.protocol.poll_schedule import GROWTH, TRUST, PollSchedule, usual_interval
from tests.protocol.simulation import MIXTURE_K, mixture, simulate
from tests.wait_terms import wait_terms


def taught(*durations: float, times: int = 300) -> PollSchedule:
    """A schedule that has seen Stream tasks of these durations, each polled once before its end."""
    schedule = PollSchedule()
    for _ in range(times):
        for duration in durations:
            schedule.saw_open(0.0, 0.9 * duration)
            schedule.saw_finish(0.9 * duration, duration)
    return schedule


@pytest.mark.parametrize("age", [0, 1, 4, 10, 100, 1000, 10_000, 50_000])
def test_while_nothing_is_known_the_square_root_of_the_age_decides(age: float) -> None:
    assert PollSchedule().interval(age) == pytest.approx(max(1.0, usual_interval(age)), rel=0.2)


def test_nothing_is_learned_while_a_clock_steps_back() -> None:
    schedule = PollSchedule()
    for _ in range(100):
        schedule.saw_open(1000.0, 10.0)
        schedule.saw_finish(1000.0, 10.0)
    assert schedule.interval(1000.0) == pytest.approx(PollSchedule().interval(1000.0))


def test_an_age_below_zero_is_none() -> None:
    assert PollSchedule().interval(-5) == PollSchedule().interval(0)


def test_looks_are_more_frequent_where_stream_tasks_finish() -> None:
    schedule = taught(100.0)
    assert schedule.interval(90) < usual_interval(90) / 2


def test_looks_are_rarer_where_none_finish() -> None:
    schedule = taught(100.0)
    assert schedule.interval(20) > 1.5 * PollSchedule().interval(20)


@pytest.mark.parametrize("age", [0, 1, 5, 20, 50])
def test_looks_become_rarer_only_so_much_in_case_everything_changes(age: float) -> None:
    assert taught(100_000.0, times=3000).interval(age) <= 1.1 * TRUST * PollSchedule().interval(age)


def in_a_row(schedule: PollSchedule, age: float, polls: int) -> float:
    began = age
    for _ in range(polls):
        age += schedule.interval(age)
    return age - began


def test_a_stretched_interval_is_as_many_intervals_in_a_row() -> None:
    schedule = PollSchedule()
    assert schedule.interval(1.0, stretch=5.0) == pytest.approx(in_a_row(schedule, 1.0, 5))


def test_a_stretched_interval_may_pass_over_more_of_what_is_idle() -> None:
    schedule = taught(300.0)
    assert 300 > schedule.interval(1.0, stretch=5.0) > 1.5 * in_a_row(schedule, 1.0, 5)


def test_new_durations_are_learned_and_old_ones_forgotten() -> None:
    schedule = taught(1000.0, times=3000)
    before = schedule.interval(3.0)
    for _ in range(3000):
        schedule.saw_finish(3.0, 4.0)
    assert schedule.interval(3.0) < before / 1.5


@pytest.mark.parametrize("seed", range(20))
def test_whatever_was_seen_there_is_always_a_next_poll(seed: int) -> None:
    dice = random.Random(seed)
    schedule = PollSchedule()
    for _ in range(dice.randrange(300)):
        age = dice.choice([0.0, 10 ** dice.uniform(-3, 7)])
        schedule.saw_finish(age, age + dice.choice([0.0, 10 ** dice.uniform(-3, 7)]))
    for age in (0.0, 0.3, 7.0, 1e3, 1e6):
        for stretch in (1.0, 3.0, 1e3):
            assert 0 < schedule.interval(age, stretch) < 1e9


def test_growth_is_what_the_documentation_says() -> None:
    assert GROWTH == 0.45
    assert wait_terms(60, 1, 30).delay(100) == GROWTH * sqrt(100)


# -- how well it does --------------------------------------------------------------------------------------


def fixed_polls(durations: list[float]) -> float:
    """Polls per Stream task at a fixed second: at 0 s, 1 s, ... until the first after the end."""
    return sum(int(duration) + 2 for duration in durations) / len(durations)


def test_short_and_long_stream_tasks_cost_half_the_polls_of_a_fixed_second() -> None:
    result = simulate(4000, mixture, spread=800)
    dice = random.Random(2)
    fixed = fixed_polls([mixture(dice) for _ in range(4000)])

    assert result.polls_per_task <= 0.6 * fixed
    assert result.mean_delay <= 1.0
    assert result.p99_delay <= 5.5
    assert MIXTURE_K / (result.polls_per_task * result.mean_delay) >= 0.53


def test_so_it_does_for_a_thousand_of_whatever_durations() -> None:
    results = [simulate(1000, mixture, spread=30, seed=seed) for seed in range(5)]
    assert max(result.mean_delay for result in results) <= 1.0
    assert max(result.p99_delay for result in results) <= 5.5


def test_hours_cost_a_twelfth_of_the_polls_of_a_fixed_second() -> None:
    result = simulate(60, lambda dice: dice.uniform(3400, 3800), spread=100)

    assert result.polls_per_task <= 0.08 * 3600
    assert max(result.delays) <= 30
    assert result.mean_delay <= 30


def test_what_follows_hours_is_seen_soon_all_the_same() -> None:
    hours = [3600.0] * 60

    def first_hours(dice: random.Random) -> float:
        return hours.pop() if hours else mixture(dice)

    result = simulate(700, first_hours, spread=8000)
    assert result.mean_delay <= 2.5
