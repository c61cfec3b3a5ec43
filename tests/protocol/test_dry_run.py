"""How much may be sent, and what a dry run says of it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from airflow_provider_streamtasks.protocol.catalogue import CATALOGUE
from airflow_provider_streamtasks.protocol.fields import Anything, Channel, Items, Text
from airflow_provider_streamtasks.protocol.rails import (
    DryRun,
    minimum_seconds,
    parse_dry_run,
    parse_max_items,
    sample,
)
from airflow_provider_streamtasks.protocol.rate_limits import RateLimit

IDS = Items("user_ids", 100, Text())


@pytest.mark.parametrize(
    ("given", "limit"), [(1, 1), (1000, 1000), ("1000", 1000), ("unlimited", math.inf)], ids=repr
)
def test_a_limit_is_a_number_or_what_a_template_made_of_it(given: Any, limit: float) -> None:
    assert parse_max_items("max_items", given) == limit


@pytest.mark.parametrize(
    "given", [0, -1, True, 1.5, math.inf, "", "None", "0", "1,000", "-1", "1e6", "٣", "9" * 5000, [], None]
)
def test_nothing_else_is_a_limit(given: Any) -> None:
    with pytest.raises(ValueError, match=r"^max_items is .*: a whole number, 1 or more, or 'unlimited' is"):
        parse_max_items("max_items", given)


@pytest.mark.parametrize(
    ("given", "flag"),
    [(True, True), (False, False), ("True", True), ("False", False), ("true", True), (" false\n", False)],
    ids=repr,
)
def test_a_dry_run_is_a_flag_or_what_a_template_made_of_it(given: Any, flag: bool) -> None:
    assert parse_dry_run(given) is flag


@pytest.mark.parametrize("given", [None, "", "None", "yes", "no", "1", 0, 1, "{{ params.dry_run }}", [], {}])
def test_nothing_else_switches_a_dry_run(given: Any) -> None:
    with pytest.raises(ValueError, match=r"^dry_run is .*: True or False is needed$"):
        parse_dry_run(given)


@pytest.mark.parametrize(
    ("remaining", "requests", "seconds"),
    [
        (10, 8, 0.0),  # what is left of this window is enough
        (10, 9, 20.0),  # one has to wait for the next
        (10, 16, 20.0),
        (10, 17, 80.0),
        (4, 2, 0.0),  # six are used, by whomever, and eight are ours
        (4, 3, 20.0),
        (0, 1, 20.0),
        (0, 800, 20.0 + 99 * 60.0),
    ],
)
def test_the_budget_alone_takes_so_long(remaining: int, requests: int, seconds: float) -> None:
    assert minimum_seconds(RateLimit(10, remaining, 20.0), 0.8, requests) == seconds


def test_a_reset_of_a_wrong_clock_does_not_count() -> None:
    assert minimum_seconds(RateLimit(10, 0, 9999.0), 0.8, 1) == 60.0


def test_a_sample_is_spread_over_all() -> None:
    everybody = [f"user-{number}" for number in range(1001)]
    assert sample(IDS, everybody, 1001) == ["user-0", "user-250", "user-500", "user-750", "user-1000"]


@pytest.mark.parametrize("count", range(8))
def test_a_sample_of_a_few_is_all_of_them_or_five(count: int) -> None:
    few = [f"user-{number}" for number in range(count)]
    found = sample(IDS, few, count)
    assert len(found) == min(count, 5)
    assert found == sorted(set(found))
    assert found[:1] + found[-1:] == few[:1] + few[-1:]


def test_a_sample_has_ids_alone() -> None:
    channels = [
        {"cid": "messaging:a", "messages_since": "2026-01-31T00:00:00Z"},
        {"type": "livestream", "id": "b"},
    ]
    assert sample(Items("channels", 25, Channel(Text())), channels, 2) == ["messaging:a", "livestream:b"]


def test_there_is_no_sample_of_free_text() -> None:
    spec = Items("people", 100, Anything(), free_text=True)
    assert sample(spec, [{"name": "Erasmus"}, "erasmus@example.com"], 2) == []


@pytest.mark.parametrize("name", [name for name, row in CATALOGUE.items() if row.items])
def test_every_item_of_the_catalogue_has_an_id_or_is_free_text(name: str) -> None:
    spec = CATALOGUE[name].items
    assert spec
    (item,) = spec.parse(["messaging:a"])
    assert sample(spec, [item], 1) == ([] if spec.free_text else ["messaging:a"])


def test_it_is_one_line() -> None:
    found = DryRun(operation="DeleteUsers", items=1250, batches=13, minimum_seconds=60.0, sample=["a", "b"])
    assert found.describe() == (
        "Dry run of DeleteUsers: 1,250 items in 13 batches, 60 s at least. "
        "Nothing was sent. Among them: a, b."
    )
    found = DryRun(operation="DeleteCall", items=None, batches=1, minimum_seconds=None, sample=[])
    assert found.describe() == "Dry run of DeleteCall: 1 request. Nothing was sent."
