from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_streamtasks.protocol.rate_limits import (
    RateLimit,
    get_rate_limits,
    parse_rate_limit,
    parse_retry_after,
    read_rate_limit,
)
from airflow_provider_streamtasks.protocol.wire import Request
from tests import json_values
from tests.fuzzing import fuzz

NOW = 1_800_000_000.0
DATE = "Fri, 15 Jan 2027 08:00:00 GMT"
_NUMBERS = st.integers() | st.floats() | st.just(10**400) | st.text()


def budget(limit: str = "60", remaining: str = "59", reset: str = "1800000020", **others: str) -> object:
    values = {"limit": limit, "remaining": remaining, "reset": reset}
    headers = {f"x-ratelimit-{name}": value for name, value in values.items()}
    return parse_rate_limit({**headers, **others}, NOW)


def test_the_three_headers_are_the_budget() -> None:
    assert budget() == RateLimit(limit=60, remaining=59, reset=20)


@pytest.mark.parametrize("value", ["59, 58", "59,58", " 59 ", ", 59", "59,"])
def test_of_headers_that_a_proxy_joined_the_first_counts(value: str) -> None:
    assert budget(remaining=value) == RateLimit(60, 59, 20)


@pytest.mark.parametrize("missing", ["limit", "remaining", "reset"])
def test_without_one_of_the_headers_there_is_no_budget(missing: str) -> None:
    headers = {f"x-ratelimit-{name}": "1" for name in ("limit", "remaining", "reset") if name != missing}
    assert parse_rate_limit(headers, NOW) is None


@pytest.mark.parametrize("name", ["limit", "remaining", "reset"])
@pytest.mark.parametrize("value", ["", " ", ",", "many", "1.5", "1e3", "0x10", "½", "nan"])
def test_headers_that_make_no_sense_are_no_budget(name: str, value: str) -> None:
    assert budget(**{name: value}) is None


@pytest.mark.parametrize("name", ["limit", "remaining"])
def test_a_negative_count_is_no_budget(name: str) -> None:
    assert budget(**{name: "-1"}) is None


def test_a_reset_beyond_all_numbers_does_no_harm() -> None:
    assert budget(reset="9" * 400) is None or isinstance(budget(reset="9" * 400), RateLimit)


def test_a_reset_in_the_past_is_now() -> None:
    assert budget(reset="1799999000") == RateLimit(60, 59, 0)


@pytest.mark.parametrize("skew", [-3600.0, 0.0, 3600.0])
def test_the_reset_counts_by_streams_clock(skew: float) -> None:
    headers = {
        "x-ratelimit-limit": "60",
        "x-ratelimit-remaining": "59",
        "x-ratelimit-reset": "1800000020",
        "date": DATE,
    }
    assert parse_rate_limit(headers, NOW + skew) == RateLimit(60, 59, 20)


@pytest.mark.parametrize("date", ["", "yesterday", "Fri, 99 Jan 2027 08:00:00 GMT"])
def test_a_date_that_is_none_leaves_our_own_clock(date: str) -> None:
    assert budget(date=date) == RateLimit(60, 59, 20)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("9" * 100, 999_999_999_999),
        ("Fri, 15 Jan 2027 08:00:40 GMT", 40),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0),
        ("", None),
        ("-7", None),
        ("7.5", None),
        ("soon", None),
        ("٧", None),
    ],
)
@pytest.mark.parametrize("skew", [0.0, 3600.0])
def test_retry_after_is_a_number_or_a_date(value: str, seconds: float | None, skew: float) -> None:
    assert parse_retry_after({"retry-after": value, "date": DATE}, NOW + skew) == seconds


def test_without_retry_after_there_is_none() -> None:
    assert parse_retry_after({}, NOW) is None


@fuzz(headers=json_values.headers, now=st.floats(0, 1e11))
def test_whatever_the_headers_say_the_budget_is_sane(headers: dict[str, str], now: float) -> None:
    limit = parse_rate_limit(headers, now)
    assert limit is None or (limit.limit >= 0 and limit.remaining >= 0 and limit.reset >= 0)


@fuzz(headers=json_values.headers, now=st.floats(0, 1e11))
def test_whatever_the_headers_say_the_pause_is_sane(headers: dict[str, str], now: float) -> None:
    seconds = parse_retry_after(headers, now)
    assert seconds is None or seconds >= 0


# -- asking for a budget -----------------------------------------------------------------------------------


def test_one_endpoint_can_be_asked_for() -> None:
    query = {"server_side": "true", "endpoints": "DeleteUsers"}
    assert get_rate_limits("DeleteUsers") == Request(
        "GetRateLimits", "GET", "/api/v2/rate_limits", query=query
    )
    assert get_rate_limits().query == {"server_side": "true"}


def answer(**others: Any) -> dict[str, Any]:
    return {"server_side": {"DeleteUsers": {"limit": 6, "remaining": 2, "reset": 1800000020, **others}}}


@pytest.mark.parametrize("skew", [-3600.0, 0.0, 3600.0])
def test_the_answer_has_the_budget_by_streams_clock(skew: float) -> None:
    assert read_rate_limit("DeleteUsers", answer(), {"date": DATE}, NOW + skew) == RateLimit(6, 2, 20)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"server_side": None},
        {"server_side": {}},
        {"server_side": {"DeleteUsers": None}},
        {"server_side": {"DeleteUsers": []}},
        {"server_side": {"DeleteUsers": {}}},
        {"server_side": {"ExportUsers": answer()["server_side"]["DeleteUsers"]}},
        answer(limit=None),
        answer(limit="many"),
        answer(limit=0),
        answer(remaining=-1),
        answer(reset=float("inf")),
        answer(reset=float("nan")),
    ],
)
def test_an_answer_without_a_budget_is_none(body: dict[str, Any]) -> None:
    assert read_rate_limit("DeleteUsers", body, {}, NOW) is None


@fuzz(
    budget=json_values.anything | st.dictionaries(st.sampled_from(["limit", "remaining", "reset"]), _NUMBERS)
)
def test_whatever_the_answer_says_the_budget_is_sane(budget: Any) -> None:
    limit = read_rate_limit("X", {"server_side": {"X": budget}}, {}, NOW)
    assert limit is None or (limit.limit > 0 and limit.remaining >= 0 and limit.reset >= 0)


# -- keeping to our share ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "share", "ours"),
    [
        (60, 1.0, 60),
        (60, 0.8, 48),
        (60, 0.5, 30),
        (6, 0.8, 4),
        (6, 0.1, 1),
        (1, 0.8, 1),
        (60, 0.001, 1),
        # Floating point must not cost us a request: 0.29 * 100 is 28.999999999999996.
        (100, 0.29, 29),
    ],
)
def test_a_window_is_used_up_to_our_share(limit: int, share: float, ours: int) -> None:
    pauses = [RateLimit(limit, limit - used, 20).pause(share) for used in range(limit + 1)]
    assert pauses == [0.0] * ours + [20.0] * (limit + 1 - ours)


def test_a_pause_ends_when_the_window_does() -> None:
    spent = RateLimit(60, 0, 20)
    assert [spent.pause(1, age) for age in (0, 5, 20, 60)] == [20, 15, 0, 0]


@given(
    limit=st.integers(1, 10_000),
    used=st.floats(0, 1.5),
    share=st.floats(0.001, 1),
    age=st.floats(0, 1e6),
    reset=st.floats(0, 1e11),
)
def test_nobody_pauses_longer_than_the_window_lasts(
    limit: int, used: float, share: float, age: float, reset: float
) -> None:
    budget = RateLimit(limit, max(0, limit - int(limit * used)), reset)
    assert 0 <= budget.pause(share, age) <= 60
