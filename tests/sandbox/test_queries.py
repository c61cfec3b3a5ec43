from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from getstream import AsyncStream, Stream
from getstream.exceptions import StreamApiException, StreamRateLimitException
from getstream.models import QueryUsersPayload, SortParamRequest

from airflow_provider_streamtasks.sandbox import Sandbox
from airflow_provider_streamtasks.sandbox.answers import Refusal
from airflow_provider_streamtasks.sandbox.directory import Directory
from airflow_provider_streamtasks.sandbox.endpoints import Visit
from airflow_provider_streamtasks.sandbox.journal import Entry
from airflow_provider_streamtasks.sandbox.queries import Queries
from tests.fuzzing import fuzz
from tests.json_values import Dice, rolled
from tests.sandbox.raw_client import RawClient

DAY = 86_400.0


@pytest.fixture
def people(sandbox: Sandbox) -> None:
    add, now = sandbox.control.add_user, time.time()
    add("ada", name="Ada", role="admin", created_at=now - 3 * DAY, last_active=now - DAY, custom={"level": 3})
    add("bob", created_at=now - 2 * DAY, banned=True, teams=["red"], custom={"level": 1})
    add("eve", created_at=now - DAY, last_active=now)


@pytest.fixture
def rooms(sandbox: Sandbox) -> None:
    add, now = sandbox.control.add_channel, time.time()
    add(
        "messaging:a", created_at=now - 5 * DAY, last_message_at=now - DAY, members=["ada", "bob"], team="red"
    )
    add("messaging:b", created_at=now - 4 * DAY, members=["ada"], custom={"topic": "chess", "rank": 2})
    add("team:c", created_at=now - 3 * DAY, last_message_at=now - 2 * DAY, frozen=True, member_count=50)


def cids(stream: Stream, conditions: dict[str, Any] | None = None, **others: Any) -> list[str]:
    answer = stream.chat.query_channels(filter_conditions=conditions or {}, **others)
    return [each.channel.cid for each in answer.data.channels]


def ids(stream: Stream, conditions: dict[str, Any] | None = None, **others: Any) -> list[str]:
    payload = QueryUsersPayload(filter_conditions=conditions or {}, **others)
    return [user.id for user in stream.query_users(payload).data.users]


def ago(days: float) -> str:
    return (datetime.now(timezone.utc) - timedelta(days=days)).isoformat()


# -- what the official SDK sees ----------------------------------------------------------------------------


def test_a_channel_as_the_sdk_reads_it(stream: Stream, rooms: None) -> None:
    [found] = stream.chat.query_channels(filter_conditions={"cid": "messaging:b"}, state=False).data.channels
    channel = found.channel
    assert (channel.type, channel.id, channel.cid) == ("messaging", "b", "messaging:b")
    assert (channel.member_count, channel.frozen, channel.custom) == (1, False, {"topic": "chess", "rank": 2})
    assert channel.last_message_at is None
    age = datetime.now(timezone.utc) - channel.created_at
    assert 4 * DAY <= age.total_seconds() < 4 * DAY + 60
    assert found.members == found.messages == []


def test_a_user_as_the_sdk_reads_it(stream: Stream, people: None) -> None:
    [ada] = stream.query_users(QueryUsersPayload(filter_conditions={"id": "ada"})).data.users
    assert (ada.name, ada.role, ada.banned, ada.custom) == ("Ada", "admin", False, {"level": 3})
    assert ada.created_at < ada.last_active
    assert ada.deactivated_at is None


async def test_the_asynchronous_client_lists_as_well(sandbox: Sandbox, people: None, rooms: None) -> None:
    async with AsyncStream(
        api_key=sandbox.api_key, api_secret=sandbox.api_secret, base_url=sandbox.url
    ) as client:
        channels = await client.chat.query_channels(filter_conditions={"type": "team"})
        users = await client.query_users(QueryUsersPayload(filter_conditions={"role": "admin"}))
    assert [each.channel.cid for each in channels.data.channels] == ["team:c"]
    assert [user.id for user in users.data.users] == ["ada"]


# -- filters -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, "abc"),
        ({"type": "messaging"}, "ab"),
        ({"type": {"$eq": "team"}}, "c"),
        ({"type": {"$ne": "team"}}, "ab"),
        ({"cid": {"$in": ["messaging:a", "team:c", "x:y"]}}, "ac"),
        ({"cid": {"$nin": ["messaging:a"]}}, "bc"),
        ({"members": {"$in": ["bob", "nobody"]}}, "a"),
        ({"members": {"$nin": ["bob"]}}, "bc"),
        ({"team": "red"}, "a"),
        ({"frozen": True}, "c"),
        ({"frozen": False, "type": "messaging"}, "ab"),
        ({"member_count": {"$gt": 1}}, "ac"),
        ({"member_count": {"$gte": 2, "$lt": 50}}, "a"),
        ({"member_count": {"$lte": 1}}, "b"),
        ({"last_message_at": {"$exists": False}}, "b"),
        ({"last_message_at": {"$exists": True}}, "ac"),
        ({"topic": "chess"}, "b"),
        ({"topic": {"$exists": True}}, "b"),
        ({"rank": {"$gt": 1}}, "b"),
        ({"rank": {"$gt": "1"}}, ""),
        ({"$or": [{"topic": "chess"}, {"frozen": True}]}, "bc"),
        ({"$and": [{"type": "messaging"}, {"member_count": {"$gt": 1}}]}, "a"),
        ({"$nor": [{"topic": "chess"}, {"frozen": True}]}, "a"),
    ],
)
def test_channels_that_match(stream: Stream, rooms: None, conditions: dict[str, Any], expected: str) -> None:
    assert "".join(sorted(cid[-1] for cid in cids(stream, conditions))) == expected


def test_times_are_compared_as_times(stream: Stream, rooms: None) -> None:
    assert cids(stream, {"last_message_at": {"$lt": ago(1.5)}}) == ["team:c"]
    assert cids(stream, {"created_at": {"$gte": ago(3.5)}}) == ["team:c"]
    assert cids(stream, {"last_updated": {"$lt": ago(3.5)}}) == ["messaging:b"]
    zulu = ago(1.5).replace("+00:00", "Z")
    assert cids(stream, {"last_message_at": {"$lte": zulu}}) == ["team:c"]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, "abe"),
        ({"id": {"$gt": "ada"}}, "be"),
        ({"id": {"$in": ["ada", "eve"]}}, "ae"),
        ({"banned": True}, "b"),
        ({"role": "admin"}, "a"),
        ({"teams": {"$in": ["red"]}}, "b"),
        ({"level": {"$lte": 2}}, "b"),
        ({"level": {"$gt": ["ada"]}}, ""),
        ({"last_active": {"$exists": False}}, "b"),
    ],
)
def test_users_that_match(stream: Stream, people: None, conditions: dict[str, Any], expected: str) -> None:
    assert "".join(sorted(each[0] for each in ids(stream, conditions))) == expected


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        ({"cid": {"$gt": "a"}}, "operator \\$gt is not supported for field `cid`"),
        ({"type": {"$autocomplete": "mess"}}, "operator \\$autocomplete is not supported"),
        ({"type": 7}, "field `type` contains type number. expecting string"),
        ({"frozen": "yes"}, "field `frozen` contains type string. expecting boolean"),
        ({"created_at": {"$lt": "yesterday"}}, "expecting an RFC 3339 time"),
        ({"created_at": {"$lt": 1700000000}}, "expecting an RFC 3339 time"),
        ({"topic": {"$exists": []}}, "\\$exists operator only support boolean values"),
        ({"type": {"$in": "team"}}, "\\$in of field `type` must be a list"),
        ({"$or": {}}, "\\$or must be a list"),
        ({"$not": []}, "unsupported operator \\$not"),
    ],
)
def test_filters_that_stream_does_not_know(stream: Stream, conditions: dict[str, Any], reason: str) -> None:
    with pytest.raises(StreamApiException, match=f"QueryChannels failed with error: .*{reason}") as caught:
        cids(stream, conditions)
    assert (caught.value.status_code, caught.value.code) == (400, 4)


# -- order and pages ---------------------------------------------------------------------------------------


def test_channels_come_with_the_last_updated_first(stream: Stream, rooms: None) -> None:
    assert cids(stream) == ["messaging:a", "team:c", "messaging:b"]


def test_channels_are_sorted(stream: Stream, rooms: None) -> None:
    def by(*fields: tuple[str, int]) -> list[str]:
        sort = [SortParamRequest(field=field, direction=direction) for field, direction in fields]
        return [cid[-1] for cid in cids(stream, sort=sort)]

    assert by(("created_at", 1)) == ["a", "b", "c"]
    assert by(("created_at", -1)) == ["c", "b", "a"]
    assert by(("member_count", 1)) == ["b", "a", "c"]
    assert by(("last_message_at", 1)) == ["c", "a", "b"]


def test_users_are_sorted_by_several_fields(stream: Stream, sandbox: Sandbox) -> None:
    now = time.time()
    for user_id, role in [("a", "user"), ("b", "admin"), ("c", "user")]:
        sandbox.control.add_user(user_id, role=role, created_at=now)
    sort = [SortParamRequest(field="role", direction=1), SortParamRequest(field="id", direction=-1)]
    assert ids(stream, sort=sort) == ["b", "c", "a"]


def test_a_field_that_channels_cannot_be_sorted_by(stream: Stream) -> None:
    with pytest.raises(StreamApiException, match="sorting by field `cid` is not supported"):
        cids(stream, sort=[SortParamRequest(field="cid", direction=1)])


def test_pages_by_offset_and_limit(stream: Stream, sandbox: Sandbox) -> None:
    sandbox.control.populate(channels=25, users=35)
    assert len(cids(stream)) == 10
    assert len(cids(stream, limit=30)) == 25
    assert cids(stream, limit=5, offset=20) == cids(stream, limit=30)[20:]
    assert len(ids(stream)) == 30
    assert ids(stream, limit=100, offset=34) == ids(stream, limit=100)[34:]


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize(
    ("parameter", "expected"), [("id_gt", "c"), ("id_gte", "bc"), ("id_lt", "a"), ("id_lte", "ab")]
)
def test_pages_by_id(stream: Stream, sandbox: Sandbox, parameter: str, expected: str, direction: int) -> None:
    for user_id in "abc":
        sandbox.control.add_user(user_id)
    sort = [SortParamRequest(field="id", direction=direction)]
    page: dict[str, Any] = {parameter: "b"}
    assert ids(stream, sort=sort, **page) == list(expected)[::direction]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"limit": 31}, "limit must be 30 or less"),
        ({"limit": -1}, "limit must be 0 or greater"),
        ({"offset": 1001}, "offset must be 1000 or less"),
    ],
)
def test_caps_of_a_page_of_channels(stream: Stream, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(StreamApiException, match=reason) as caught:
        cids(stream, **options)
    assert (caught.value.status_code, caught.value.code) == (400, 4)


def test_caps_of_a_page_of_users(stream: Stream) -> None:
    assert ids(stream, limit=100, offset=1000) == []
    with pytest.raises(StreamApiException, match="limit must be 100 or less"):
        ids(stream, limit=101)


def test_users_cannot_be_listed_without_a_payload(raw: RawClient) -> None:
    reply = raw.send("GET", "/api/v2/users")
    assert (reply.status, reply.json["code"]) == (400, 4)
    assert "invalid json data" in reply.json["message"]


def test_queries_have_a_budget(stream: Stream, sandbox: Sandbox) -> None:
    sandbox.control.budget("QueryChannels", limit=1)
    cids(stream)
    with pytest.raises(StreamRateLimitException):
        cids(stream)


# -- what operations do ------------------------------------------------------------------------------------


@pytest.mark.parametrize("hard", [True, False])
def test_deleted_channels_are_gone(
    stream: Stream, sandbox: Sandbox, rooms: None, at_once: None, hard: bool
) -> None:
    stream.chat.delete_channels(cids=["messaging:a", "team:c"], hard_delete=hard)
    assert cids(stream) == ["messaging:b"]


def test_channels_are_there_until_their_deletion_has_completed(
    stream: Stream, sandbox: Sandbox, rooms: None
) -> None:
    sandbox.control.fate(running=60)
    task_id = stream.chat.delete_channels(cids=["messaging:a"], hard_delete=True).data.task_id
    assert "messaging:a" in cids(stream)
    sandbox.control.fate(stream_task_id=task_id)
    assert "messaging:a" not in cids(stream)


@pytest.mark.parametrize("fate", [{"end": "failed"}, {"failed_items": {"messaging:*": "locked"}}])
def test_what_fails_deletes_nothing(
    stream: Stream, sandbox: Sandbox, rooms: None, fate: dict[str, Any]
) -> None:
    sandbox.control.fate(pending=0, running=0, **fate)
    stream.chat.delete_channels(cids=["messaging:a"], hard_delete=True)
    assert "messaging:a" in cids(stream)


@pytest.mark.parametrize("how", [{"user": "soft"}, {}])
def test_deleted_users_are_gone(stream: Stream, people: None, at_once: None, how: dict[str, str]) -> None:
    stream.delete_users(user_ids=["ada"], **how)
    payload = QueryUsersPayload(filter_conditions={}, include_deactivated_users=True)
    assert [user.id for user in stream.query_users(payload).data.users] == ["eve", "bob"]


def test_deactivated_users_are_hidden_until_they_are_reactivated(
    stream: Stream, people: None, at_once: None
) -> None:
    stream.deactivate_users(user_ids=["ada"])
    assert "ada" not in ids(stream)
    [ada] = stream.query_users(
        QueryUsersPayload(filter_conditions={"id": "ada"}, include_deactivated_users=True)
    ).data.users
    assert ada.deactivated_at is not None
    stream.reactivate_users(user_ids=["ada"])
    assert "ada" in ids(stream)


# -- who there is ------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_population(sandbox: Sandbox, stream: Stream) -> None:
    populations = []
    for seed in (1, 1, 2):
        sandbox.control.reset()
        sandbox.control.populate(channels=20, users=5, seed=seed)
        populations.append((sorted(cids(stream, limit=30)), sorted(ids(stream))))
    assert populations[0] == populations[1] != populations[2]


def test_a_population_has_members_and_a_past(sandbox: Sandbox, stream: Stream) -> None:
    sandbox.control.populate(channels=300, users=3)
    [user_id, *_] = ids(stream)
    assert cids(stream, {"members": {"$in": [user_id]}})
    assert cids(stream, {"last_message_at": {"$lt": ago(365)}})
    assert cids(stream, {"last_message_at": {"$gt": ago(30)}})
    assert cids(stream, {"last_message_at": {"$exists": False}})


def test_a_reset_forgets_channels_and_users(sandbox: Sandbox, stream: Stream, people: None) -> None:
    sandbox.control.reset()
    assert ids(stream) == []


@pytest.mark.parametrize(
    ("path", "rule", "reason"),
    [
        ("channels", {}, "a channel needs a key 'cid'"),
        ("channels", {"cid": "general"}, "'cid' of a channel must be a cid, type:id"),
        ("channels", {"cid": "a:b", "topic": 1}, "a channel has no key 'topic'"),
        ("users", {"name": "Ada"}, "a user needs a key 'id'"),
        ("users", {"id": "ada", "teams": "red"}, "'teams' of a user must be a list of strings"),
        ("population", {"channels": 1_000_001}, "'channels' of a population must be a whole number"),
    ],
)
def test_rules_that_make_no_sense(raw: RawClient, path: str, rule: dict[str, Any], reason: str) -> None:
    reply = raw.send("POST", f"/sandbox/{path}", rule, query={}, headers={})
    assert reply.status == 400
    assert reason in reply.json["error"]


# -- whatever is asked -------------------------------------------------------------------------------------


def something_like_a_filter(dice: Dice, depth: int = 0) -> Any:
    fields = (
        "cid",
        "id",
        "type",
        "members",
        "teams",
        "created_at",
        "member_count",
        "banned",
        "topic",
        "level",
    )
    operators = ("$eq", "$ne", "$in", "$nin", "$gt", "$gte", "$lt", "$lte", "$exists", "$q")
    conditions: dict[str, Any] = {}
    for _ in range(dice.roll(4)):
        if depth < 3 and dice.roll(4) == 0:
            parts = [something_like_a_filter(dice, depth + 1) for _ in range(dice.roll(3))]
            conditions[dice.of(("$and", "$or", "$nor", "$not"))] = parts if dice.roll(9) else dice.value()
        else:
            operand = dice.of((dice.value(), dice.time(), True, ["ada"], "ada", 1))
            conditions[dice.of(fields)] = {dice.of(operators): operand} if dice.roll(4) else operand
    return conditions


def something_like_a_query(dice: Dice) -> tuple[str, dict[str, Any]]:
    query = {"filter_conditions": something_like_a_filter(dice)}
    if dice.roll(2):
        names = ("created_at", "id", "topic", "level", "odd", dice.text())
        query["sort"] = [
            {"field": dice.of(names), "direction": dice.of((1, -1, 0, None))} for _ in range(dice.roll(3))
        ]
    for name in ("limit", "offset", "id_gt", "id_lte", "state", dice.name()):
        if not dice.roll(4):
            query[name] = dice.of((dice.value(), 1, 30, "ada", True))
    return dice.of(("channels", "users")), query


@pytest.fixture(scope="module")
def queries() -> Queries:
    directory = Directory(time.time)
    directory.populate({"channels": 20, "users": 20})
    for number, odd in enumerate([1, "a", None, [1], {"a": 1}, True, 1.5]):
        directory.add_channel({"cid": f"odd:{number}", "custom": {"odd": odd, "topic": "chess"}})
        directory.add_user({"id": f"odd-{number}", "custom": {"odd": odd, "level": number}})
    return Queries(directory)


@fuzz(asked=rolled(something_like_a_query))
def test_whatever_is_asked_is_answered_or_refused(
    queries: Queries, asked: tuple[str, dict[str, Any]]
) -> None:
    what, query = asked
    text = json.dumps(query)
    entry = Entry(1, 0.0, "Query", "POST", "/", {}, None, {}, "valid")
    visit = Visit("POST", "/", {}, {"payload": text}, {}, text.encode(), entry)
    try:
        answer = getattr(queries, what)(visit)
    except Refusal as refusal:
        answer = {what: [], "refusal": (refusal.status, refusal.code)}
    assert answer.get("refusal", (400, 4)) == (400, 4)
    assert len(answer[what]) <= 100
