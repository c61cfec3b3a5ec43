from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_streamtasks.protocol.fields import (
    Anything,
    Channel,
    Choice,
    Field,
    Flag,
    Items,
    ListOf,
    Moment,
    Object,
    Plain,
    Seconds,
    Segment,
    Text,
    Whole,
)
from tests import json_values
from tests.fuzzing import fuzz

CID = Text(form=r"(?a)[\w-]+:[\w!-]+", example="messaging:general")
MEMBER = Object({"user_id": Text(), "channel_role": Text()}, required=("user_id",))
NOON = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
FIELDS: list[Field[Any]] = [
    Flag(),
    CID,
    Text(3),
    Segment(Text(3)),
    Choice(("soft", "hard")),
    Whole(),
    Seconds(),
    Moment(),
    Object(),
    MEMBER,
    ListOf(MEMBER, cap=2),
    Channel(CID),
    Anything(),
    Plain(),
]

ALLOWED: list[tuple[Field[Any], Any, Any]] = [
    (Flag(), True, True),
    (Flag(), False, False),
    (Text(), "a", "a"),
    (Text(), " a\n", " a\n"),
    (Whole(0), 0, 0),
    (Seconds(), 5, 5.0),
    (Seconds(), timedelta(minutes=1), 60.0),
    (Text(), " a\nb ", " a\nb "),
    (Text(3), "äöü", "äöü"),
    (CID, "messaging:general", "messaging:general"),
    (CID, "livestream:!members-x_1", "livestream:!members-x_1"),
    (Segment(), "a/../b?c", "a/../b?c"),
    (Segment(), "...", "..."),
    (Choice(("soft", "hard")), "hard", "hard"),
    (Whole(), 1, 1),
    (Moment(), NOON, "2026-01-31T12:00:00+00:00"),
    (Moment(), NOON.astimezone(timezone(timedelta(hours=2))), "2026-01-31T14:00:00+02:00"),
    (Moment(), NOON.replace(microsecond=5), "2026-01-31T12:00:00.000005+00:00"),
    (Moment(), "2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
    (Moment(), "2026-01-31T12:00:00+01:00", "2026-01-31T12:00:00+01:00"),
    (Moment(), "2026-01-31T12:00:00.123456789Z", "2026-01-31T12:00:00.123456789Z"),
    (Moment(), "2026-01-31 12:00:00.5+00:00", "2026-01-31T12:00:00.5+00:00"),  # what a template makes of one
    (Moment(), "2026-01-31t12:00:00z", "2026-01-31T12:00:00Z"),
    (Object(), {}, {}),
    (Object(), {"a": {"b": None}}, {"a": {"b": None}}),
    (MEMBER, {"user_id": "joe", "channel_role": None}, {"user_id": "joe"}),
    (ListOf(Text()), ("a", "b"), ["a", "b"]),
    (ListOf(MEMBER), [{"user_id": "joe"}], [{"user_id": "joe"}]),
    (Channel(CID), "messaging:a", {"cid": "messaging:a"}),
    (Channel(CID), {"cid": "messaging:a"}, {"cid": "messaging:a"}),
    (Channel(CID), {"type": "messaging", "id": "a"}, {"type": "messaging", "id": "a"}),
    (
        Channel(CID),
        {"cid": "messaging:a", "messages_since": NOON, "messages_until": None},
        {"cid": "messaging:a", "messages_since": "2026-01-31T12:00:00+00:00"},
    ),
    (Anything(), {"a": [1, None, "b"]}, {"a": [1, None, "b"]}),
    *((Plain(), value, value) for value in ("", "a", 5, 0.5, False)),
]


@pytest.mark.parametrize(("field", "value", "on_the_wire"), ALLOWED)
def test_what_is_allowed_goes_on_the_wire(field: Field[Any], value: Any, on_the_wire: Any) -> None:
    assert field.parse("name", value) == on_the_wire


NO_ITEMS: list[str] = []
REFUSED: list[tuple[Field[Any], Any, str]] = [
    *((Flag(), value, "True or False is needed") for value in ("True", "", 1, 0, None, NO_ITEMS)),
    *(
        (Text(), value, "a non-empty string is needed")
        for value in ("", " \n", "\u00a0", None, 5, b"a", ["a"])
    ),
    (Text(3), "abcd", "name has 4 characters: 3 are allowed"),
    *(
        (CID, value, "a non-empty string like 'messaging:general' is needed")
        for value in (
            "",
            "general",
            ":",
            "a:",
            ":b",
            "a:b:c",
            "a b:c",
            "a:b\n",
            "a/b:c",
            "a:b?",
            "tâche:a",
            5,
        )
    ),
    *((Segment(), value, "a string that can stand in a URL is needed") for value in (".", "..", "\ud800")),
    *((Segment(), value, "a non-empty string is needed") for value in ("", None, 5)),
    (Segment(Text(3)), "abcd", "3 are allowed"),
    *(
        (Choice(("soft", "hard")), value, "one of soft, hard is needed")
        for value in ("Hard", "", None, 1, NO_ITEMS)
    ),
    *((Whole(0), value, "a whole number, 0 or more, is needed") for value in (-1, True, "1k")),
    *(
        (Seconds(), value, "a number of seconds, 0 or more, or a timedelta is needed")
        for value in (-1, True, "60", float("nan"), float("inf"), 1e9 + 1, timedelta(-1), None)
    ),
    *((Whole(), value, "a whole number, 1 or more, is needed") for value in (0, -1, 1.0, True, "1", None)),
    *(
        (Moment(), value, "a datetime with a time zone")
        for value in ("yesterday", "", "2026-01-31", "2026-01-31T12:00:00", datetime(2026, 1, 31), 5, None)
    ),
    # ISO 8601, but not RFC 3339.
    *(
        (Moment(), value, "a datetime with a time zone")
        for value in ("20260131T120000Z", "2026-W05-6T12:00:00Z", "2026-01-31T12:00Z", "2026-01-31T12Z")
    ),
    *(
        (Object(), value, "a dictionary with string keys is needed")
        for value in (NO_ITEMS, "a", None, {1: 2})
    ),
    *((Object(), {"a": value}, "a JSON value is needed") for value in (NOON, {1}, b"a", float("nan"))),
    *((Anything(), value, "a JSON value is needed") for value in (NOON, [object()], float("inf"))),
    (MEMBER, {}, "it must hold 'user_id'"),
    (MEMBER, {"user_id": None}, "it must hold 'user_id'"),
    (MEMBER, {"user_id": "joe", "role": "x"}, "name holds 'role': only user_id, channel_role are allowed"),
    (MEMBER, {"user_id": 5}, "name['user_id'] is 5"),
    *((ListOf(Text()), value, "a non-empty list is needed") for value in (NO_ITEMS, (), "a", {"a": 1}, None)),
    (ListOf(Text(), cap=2), ["a"] * 3, "name has 3 entries: 2 are allowed"),
    (ListOf(Text()), ["a", ""], "name[1] is ''"),
    (Channel(CID), "general", "like 'messaging:general'"),
    (Channel(CID), {"type": "messaging"}, "it must hold 'cid', or 'type' and 'id'"),
    (Channel(CID), {}, "it must hold 'cid', or 'type' and 'id'"),
    (Channel(CID), {"cid": "general"}, "name['cid'] is 'general'"),
    (Channel(CID), {"cid": "messaging:a", "since": 1}, "name holds 'since'"),
    (Channel(CID), {"cid": "messaging:a", "messages_since": "x"}, "name['messages_since'] is 'x'"),
    (Channel(CID), None, "a dictionary with string keys is needed"),
]


@pytest.mark.parametrize(("field", "value", "words"), REFUSED)
def test_what_is_not_allowed_is_refused_with_words_that_help(
    field: Field[Any], value: Any, words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as raised:
        field.parse("name", value)
    assert str(raised.value).startswith("name")


@fuzz(field=st.sampled_from(FIELDS), value=json_values.anything | st.binary() | st.datetimes())
def test_whatever_is_given_a_field_takes_it_or_refuses_it_by_name(field: Field[Any], value: Any) -> None:
    problem = "name"
    try:
        field.parse("name", value)
    except ValueError as error:
        problem = str(error)
    assert problem.startswith("name")


def test_a_long_value_is_shortened_in_the_error() -> None:
    with pytest.raises(ValueError, match="name is ") as raised:
        CID.parse("name", "x" * 10_000)
    assert len(str(raised.value)) < 200


# -- the items of an operation -----------------------------------------------------------------------------

CIDS = Items("cids", 100, CID)
CHANNELS = Items("channels", 25, Channel(CID))


def test_items_keep_their_order_and_lose_their_duplicates() -> None:
    assert list(CIDS.parse(["a:2", "a:1", "a:2", "a:3", "a:1"])) == ["a:2", "a:1", "a:3"]


def test_two_ways_to_name_a_channel_are_one_channel() -> None:
    channels = ["a:1", {"cid": "a:1"}, {"messages_since": NOON, "cid": "a:1"}]
    again = {"cid": "a:1", "messages_since": NOON}
    assert list(CHANNELS.parse([*channels, again])) == [
        {"cid": "a:1"},
        {"cid": "a:1", "messages_since": "2026-01-31T12:00:00+00:00"},
    ]


@pytest.mark.parametrize("items", [[], (), set(), iter([])])
def test_no_items_are_refused(items: Any) -> None:
    with pytest.raises(ValueError, match="cids is empty: at least one item is needed"):
        list(CIDS.parse(items))


def test_a_bad_item_is_named() -> None:
    with pytest.raises(ValueError, match="an item of cids is 'general': a non-empty string like"):
        list(CIDS.parse(["a:1", "general", "a:2"]))


def test_items_are_parsed_one_by_one() -> None:
    def endless() -> Iterator[str]:
        number = 0
        while True:
            yield f"a:{number}"
            number += 1

    checked = CIDS.parse(endless())
    assert [next(checked) for _ in range(3)] == ["a:0", "a:1", "a:2"]


@given(st.lists(st.integers(0, 30).map(lambda number: f"a:{number}"), min_size=1))
def test_checking_twice_changes_nothing(items: list[str]) -> None:
    once = list(CIDS.parse(items))
    assert list(CIDS.parse(once)) == once == list(dict.fromkeys(items))
