from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_streamtasks.exceptions import StreamApiException, StreamException
from airflow_provider_streamtasks.protocol.queries import ChannelListing, Listing, UserListing
from airflow_provider_streamtasks.protocol.wire import Request, Response
from tests import json_values
from tests.fuzzing import fuzz

NOW = 1_800_000_000.0
SECOND = 10**9


def channel(number: int, created_at: Any) -> dict[str, Any]:
    return {"cid": f"messaging:{number}", "created_at": created_at}


def answer(*channels: dict[str, Any]) -> Response:
    return Response(201, {}, json.dumps({"channels": [{"channel": each} for each in channels]}).encode())


def created_at(text: str) -> int:
    moment = datetime.fromisoformat(text[:19] + "+00:00")
    return int(moment.timestamp()) * SECOND + int(text[20:29])


def page_of(dice: json_values.Dice) -> bytes:
    """Something that polls much like a page."""
    times = (0, 1.7e18, dice.value(), dice.number())
    entries = [
        {"cid": dice.text(), "id": dice.text(), "created_at": dice.of(times)} for _ in range(dice.roll(4))
    ]
    channels = [{"channel": entry} if dice.roll(9) else dice.value() for entry in entries]
    return json.dumps({"channels": channels, "users": entries}).encode()


class Server:
    """Stream's rules for channels on a list of them: filter by ``created_at``, sort, offset, limit."""

    def __init__(self, channels: list[dict[str, Any]]) -> None:
        self.channels = channels

    def answer(self, request: Request) -> Response:
        assert request.json is not None
        query = request.json
        [sort] = query["sort"]
        bound = query["filter_conditions"].get("created_at", {})
        matching = [
            each
            for each in self.channels
            if ("$gte" not in bound or each["created_at"] >= created_at(bound["$gte"]))
            and ("$lte" not in bound or each["created_at"] <= created_at(bound["$lte"]))
        ]
        matching.sort(key=lambda each: each[sort["field"]], reverse=sort["direction"] < 0)
        assert query["offset"] <= 1000
        return answer(*matching[query["offset"] : query["offset"] + query["limit"]])

    def list(self, listing: Listing) -> Iterator[str]:
        while not listing.over:
            for each in listing.read(self.answer(listing.request()), NOW):
                yield each["cid"]


# -- what is asked for -------------------------------------------------------------------------------------


def test_the_first_page_of_channels() -> None:
    assert ChannelListing({"type": "messaging"}).request() == Request(
        "QueryChannels",
        "POST",
        "/api/v2/chat/channels",
        json={
            "filter_conditions": {"type": "messaging"},
            "state": False,
            "sort": [{"field": "created_at", "direction": 1}],
            "limit": 30,
            "offset": 0,
        },
    )


def test_the_first_page_of_users() -> None:
    request = UserListing().request()
    assert (request.operation, request.method, request.path) == ("QueryUsers", "GET", "/api/v2/users")
    assert request.json is None
    assert json.loads(request.query["payload"]) == {
        "filter_conditions": {},
        "presence": False,
        "sort": [{"field": "id", "direction": 1}],
        "limit": 100,
        "offset": 0,
    }


def test_deactivated_users_are_asked_for_on_demand() -> None:
    request = UserListing(include_deactivated_users=True).request()
    assert json.loads(request.query["payload"])["include_deactivated_users"] is True


@pytest.mark.parametrize(("direction", "parameter"), [(1, "id_gte"), (-1, "id_lte")])
def test_the_next_page_of_users_begins_with_the_last_user(direction: int, parameter: str) -> None:
    listing = UserListing(sort={"id": direction}, page_size=2)
    listing.read(Response(200, {}, b'{"users": [{"id": "a"}, {"id": "b"}]}'), NOW)
    assert json.loads(listing.request().query["payload"])[parameter] == "b"


@pytest.mark.parametrize(
    ("last", "ascending", "bound"),
    [
        (1_700_000_000_123_456_789, True, {"$gte": "2023-11-14T22:13:20.123456789Z"}),
        (1_700_000_000_000_000_000, False, {"$lte": "2023-11-14T22:13:20.000000000Z"}),
        ("2023-11-14T22:13:20.12Z", True, {"$gte": "2023-11-14T22:13:20.12Z"}),
        (-1, True, {"$gte": "1969-12-31T23:59:59.999999999Z"}),
        # As a float it is not exact: a microsecond more is asked for.
        (1.7e18, True, {"$gte": "2023-11-14T22:13:19.999999000Z"}),
        (1.7e18, False, {"$lte": "2023-11-14T22:13:20.000001000Z"}),
    ],
)
def test_the_next_page_of_channels_begins_with_the_last_moment(
    last: Any, ascending: bool, bound: dict[str, str]
) -> None:
    listing = ChannelListing({"type": "team"}, {"created_at": 1 if ascending else -1}, page_size=1)
    listing.read(answer(channel(1, last)), NOW)
    request = listing.request()
    assert request.json is not None
    assert request.json["filter_conditions"] == {"type": "team", "created_at": bound}


def test_a_filter_of_the_users_own_on_the_key_stays() -> None:
    own = {"created_at": {"$lt": datetime(2026, 1, 1, tzinfo=timezone.utc)}}
    listing = ChannelListing(own, page_size=1)
    listing.read(answer(channel(1, 0)), NOW)
    request = listing.request()
    assert request.json is not None
    assert request.json["filter_conditions"] == {
        "$and": [
            {"created_at": {"$lt": "2026-01-01T00:00:00+00:00"}},
            {"created_at": {"$gte": "1970-01-01T00:00:00.000000000Z"}},
        ]
    }


# -- what comes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", [1, -1])
@given(
    moments=st.lists(st.integers(0, 12).map(lambda number: number * SECOND // 7), max_size=60),
    page_size=st.integers(1, 7),
)
def test_every_channel_comes_exactly_once_in_order(
    direction: int, moments: list[int], page_size: int
) -> None:
    server = Server([channel(number, moment) for number, moment in enumerate(moments)])
    cids = list(server.list(ChannelListing(sort={"created_at": direction}, page_size=page_size)))
    assert sorted(cids) == sorted(each["cid"] for each in server.channels)
    created = {each["cid"]: each["created_at"] for each in server.channels}
    told = [created[cid] * direction for cid in cids]
    assert told == sorted(told)


def test_more_than_an_offset_reaches() -> None:
    server = Server([channel(number, number // 40 * SECOND) for number in range(2500)])
    assert len(set(server.list(ChannelListing()))) == 2500


@given(st.sets(st.integers(0, 40), max_size=30), st.integers(1, 7), st.data())
def test_what_is_deleted_on_the_way_hides_nothing_else(
    moments: set[int], page_size: int, data: st.DataObject
) -> None:
    server = Server([channel(number, moment) for number, moment in enumerate(sorted(moments))])
    listing, cids = ChannelListing(page_size=page_size), []
    while not listing.over:
        page = [each["cid"] for each in listing.read(server.answer(listing.request()), NOW)]
        cids += page
        gone = data.draw(st.sets(st.sampled_from(page))) if page else set()
        server.channels = [each for each in server.channels if each["cid"] not in gone]
    assert cids == [f"messaging:{number}" for number in range(len(moments))]


def test_the_last_page_need_not_be_full_to_be_followed() -> None:
    listing = ChannelListing(page_size=3)
    listing.read(answer(channel(1, 1), channel(2, 2)), NOW)  # Stream hid one that matched
    assert not listing.over
    listing.read(answer(channel(2, 2)), NOW)
    assert listing.over


def test_no_channels_at_all() -> None:
    listing = ChannelListing()
    assert listing.read(answer(), NOW) == []
    assert listing.over


def test_too_many_channels_of_one_moment() -> None:
    server = Server([channel(number, SECOND) for number in range(1031)])
    with pytest.raises(StreamException, match="more channels than Stream lists") as caught:
        list(server.list(ChannelListing()))
    assert "by a filter" in caught.value.hint


@pytest.mark.parametrize("count", [0, 1, 999, 1001, 1019])
def test_another_order_goes_as_far_as_the_offset(count: int) -> None:
    server = Server([channel(number, number) for number in range(count)])
    listing = ChannelListing(sort={"cid": 1})
    assert len(set(server.list(listing))) == count


def test_another_order_does_not_end_silently() -> None:
    server = Server([channel(number, number) for number in range(1021)])
    cids = server.list(ChannelListing(sort={"cid": 1}))
    assert len(set(islice(cids, 1020))) == 1020
    with pytest.raises(StreamException, match="more channels") as caught:
        next(cids)
    assert "created_at alone" in caught.value.hint


def test_a_server_that_repeats_itself_is_not_asked_for_ever() -> None:
    # Stream once did so past its offset: GetStream/stream-chat-python#151.
    listing, page = ChannelListing(), answer(*(channel(number, number) for number in range(30)))
    told = [each for _ in range(35) for each in listing.read(page, NOW)]
    assert len(told) == 30
    with pytest.raises(StreamException, match="more channels"):
        listing.request()


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"channels": null}',
        b'{"channels": {}}',
        b'{"channels": [7]}',
        b'{"channels": [{"channel": null}]}',
        b'{"channels": [{"channel": {"cid": 7, "created_at": 1}}]}',
        b'{"channels": [{"channel": {"cid": "a:b"}}]}',
        b'{"channels": [{"channel": {"cid": "a:b", "created_at": true}}]}',
        b'{"channels": [{"channel": {"cid": "a:b", "created_at": 1e999}}]}',
        b'{"channels": [{"channel": {"cid": "a:b", "created_at": 99999999999999999999999999999999}}]}',
    ],
)
def test_an_answer_that_is_no_page(body: bytes) -> None:
    with pytest.raises(StreamApiException, match="does not list channels"):
        ChannelListing().read(Response(201, {}, body), NOW)


# -- what is not allowed -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page_size", [0, 31, -1, True, 2.0, "3"])
def test_a_page_size_that_stream_does_not_allow(page_size: Any) -> None:
    with pytest.raises(ValueError, match=r"page_size is .*: 1 to 30 channels are allowed"):
        ChannelListing(page_size=page_size)


@pytest.mark.parametrize("sort", ["created_at", [{"created_at": 1}], {"": 1}, {"a": 0}, {"a": True}, {1: 1}])
def test_a_sort_that_makes_no_sense(sort: Any) -> None:
    with pytest.raises(ValueError, match=r"sort is .*: a dictionary like"):
        ChannelListing(sort=sort)


@pytest.mark.parametrize(
    "conditions",
    [
        "messaging",
        {"a": float("nan")},
        {"a": {1, object()}},
        {("a", "b"): 1},
        {"created_at": {"$gt": datetime(2026, 1, 1)}},
        {"a": timedelta(days=1)},
    ],
)
def test_a_filter_that_cannot_be_sent(conditions: Any) -> None:
    with pytest.raises(ValueError, match="filter_conditions"):
        UserListing(conditions)


# -- whatever comes ----------------------------------------------------------------------------------------


@fuzz(
    kind=st.sampled_from([ChannelListing, UserListing]),
    sort=st.sampled_from([None, {"created_at": -1}, {"id": -1}, {"a": 1}]),
    pages=st.lists(
        st.tuples(json_values.statuses, json_values.bodies)
        | st.tuples(st.just(200), json_values.rolled(page_of)),
        min_size=1,
        max_size=3,
    ),
)
def test_whatever_comes_is_a_page_or_an_exception_of_ours(
    kind: type[Listing], sort: dict[str, int] | None, pages: list[tuple[int, bytes]]
) -> None:
    listing = kind(sort=sort, page_size=2)
    for status, body in pages:
        try:
            entries = listing.read(Response(status, {}, body), NOW)
            request = listing.request()
        except StreamException:
            continue
        assert all(isinstance(entry[listing.id], str) for entry in entries)
        assert json.dumps([request.json, dict(request.query)])


@fuzz(
    kind=st.sampled_from([ChannelListing, UserListing]),
    filter_conditions=json_values.anything | json_values.documents,
    sort=json_values.rolled(lambda dice: dice.value() if dice.roll(2) else {dice.name(): dice.of((1, -1))}),
    page_size=json_values.anything | st.integers(1, 30),
)
def test_whatever_is_asked_for_is_a_request_or_a_value_error(
    kind: type[Listing], filter_conditions: Any, sort: Any, page_size: Any
) -> None:
    problem = ""
    try:
        request = kind(filter_conditions, sort, page_size).request()
        assert json.dumps([request.json, dict(request.query)], allow_nan=False)
    except ValueError as error:
        problem = str(error)
    assert re.match("filter_conditions |sort |page_size |$", problem)
