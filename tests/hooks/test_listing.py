from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice

import pytest

from airflow_provider_streamtasks.exceptions import StreamApiException, StreamException
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol.catalogue import DEACTIVATE_USERS, DELETE_CHANNELS
from airflow_provider_streamtasks.sandbox import Sandbox, SandboxControl, running_sandbox
from tests.conftest import SetConnection

YEAR = 365 * 86_400.0


@pytest.fixture(autouse=True)
def no_budget(control: SandboxControl, connection: None) -> None:
    control.budget(limit=None)


def test_all_channels_are_listed_from_the_oldest_on(control: SandboxControl, hook: StreamHook) -> None:
    control.populate(channels=70)
    channels = list(hook.iter_channels())
    assert len({channel["cid"] for channel in channels}) == 70
    created = [channel["created_at"] for channel in channels]
    assert created == sorted(created)
    assert channels[0].keys() >= {"cid", "type", "id", "created_at", "member_count", "custom"}


def test_all_users_are_listed_by_their_ids(control: SandboxControl, hook: StreamHook) -> None:
    control.populate(users=250)
    ids = [user["id"] for user in hook.iter_users()]
    assert len(ids) == 250
    assert ids == sorted(ids)


@pytest.mark.parametrize("direction", [1, -1])
def test_the_offset_is_no_limit(control: SandboxControl, hook: StreamHook, direction: int) -> None:
    control.populate(channels=1500, users=1500)
    cids = [channel["cid"] for channel in hook.iter_channels(sort={"created_at": direction})]
    ids = [user["id"] for user in hook.iter_users(sort={"id": direction})]
    assert (len(cids), len(set(cids))) == (1500, 1500)
    assert (len(ids), len(set(ids))) == (1500, 1500)


def test_many_channels_of_one_moment_are_all_listed(control: SandboxControl, hook: StreamHook) -> None:
    now = time.time()
    for number in range(40):
        control.add_channel(f"messaging:imported-{number}", created_at=now)
    control.add_channel("messaging:before", created_at=now - 1)
    control.add_channel("messaging:after", created_at=now + 1)
    cids = [channel["cid"] for channel in hook.iter_channels(page_size=7)]
    assert (len(cids), len(set(cids))) == (42, 42)
    assert (cids[0], cids[-1]) == ("messaging:before", "messaging:after")


def test_only_what_the_filter_matches(control: SandboxControl, hook: StreamHook) -> None:
    now = time.time()
    control.add_channel("messaging:quiet", created_at=now - 3 * YEAR, last_message_at=now - 2 * YEAR)
    control.add_channel("messaging:busy", created_at=now - 3 * YEAR, last_message_at=now)
    control.add_channel("team:quiet", created_at=now - 3 * YEAR, last_message_at=now - 2 * YEAR)
    control.add_channel("messaging:new", created_at=now)
    long_ago = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - YEAR))
    inactive = {"type": "messaging", "last_message_at": {"$lt": long_ago}}
    assert [channel["cid"] for channel in hook.iter_channels(inactive)] == ["messaging:quiet"]


def test_pages_are_asked_for_when_they_are_needed(control: SandboxControl, hook: StreamHook) -> None:
    control.populate(channels=30)
    channels = hook.iter_channels(page_size=10)
    assert control.journal("QueryChannels") == []
    for _ in range(10):
        next(channels)
    assert len(control.journal("QueryChannels")) == 1
    next(channels)
    assert len(control.journal("QueryChannels")) == 2


def test_nothing_heavy_is_asked_for(control: SandboxControl, hook: StreamHook) -> None:
    list(hook.iter_channels())
    (request,) = control.journal("QueryChannels")
    assert request["body"]["state"] is False


def test_what_is_deleted_between_pages_hides_nothing(control: SandboxControl, hook: StreamHook) -> None:
    control.populate(channels=50)
    cids = []
    for channel in hook.iter_channels(page_size=5):
        cids.append(channel["cid"])
        hook.submit(DELETE_CHANNELS, [channel["cid"]])
    assert len(set(cids)) == 50
    assert list(hook.iter_channels()) == []


def test_deactivated_users_are_listed_on_demand(control: SandboxControl, hook: StreamHook) -> None:
    control.fate(pending=0, running=0)
    control.add_user("alice")
    control.add_user("bob")
    hook.submit(DEACTIVATE_USERS, ["bob"])
    assert [user["id"] for user in hook.iter_users()] == ["alice"]
    assert [user["id"] for user in hook.iter_users(include_deactivated_users=True)] == ["alice", "bob"]


def test_another_order_lists_a_thousand_and_says_so(control: SandboxControl, hook: StreamHook) -> None:
    control.populate(channels=1100)
    channels = hook.iter_channels(sort={"last_message_at": -1})
    assert len({channel["cid"] for channel in islice(channels, 1020)}) == 1020
    with pytest.raises(StreamException, match="sort by created_at alone"):
        next(channels)


@pytest.mark.parametrize("kind", ["unavailable", "reset_after", "truncated", "broken_json"])
def test_an_outage_that_passes_loses_and_doubles_nothing(
    control: SandboxControl, hook: StreamHook, kind: str
) -> None:
    control.populate(channels=25)
    control.fault(kind, operation="QueryChannels", after=1, times=1)
    cids = [channel["cid"] for channel in hook.iter_channels(page_size=10)]
    assert (len(cids), len(set(cids))) == (25, 25)


def test_what_stream_refuses_is_raised_at_once(control: SandboxControl, hook: StreamHook) -> None:
    with pytest.raises(StreamApiException, match="operator \\$gt is not supported for field `cid`"):
        list(hook.iter_channels({"cid": {"$gt": "messaging:a"}}))
    assert len(control.journal("QueryChannels")) == 1


def test_a_wrong_argument_is_reported_before_anything_is_asked(hook: StreamHook) -> None:
    with pytest.raises(ValueError, match="page_size is 31"):
        hook.iter_channels(page_size=31)
    with pytest.raises(ValueError, match="page_size is 101"):
        hook.iter_users(page_size=101)


@pytest.fixture
def short_windows() -> Iterator[Sandbox]:
    with running_sandbox(window=2.0) as sandbox:
        yield sandbox


def test_a_listing_stays_within_its_share_of_the_budget(
    short_windows: Sandbox, set_connection: SetConnection, hook: StreamHook
) -> None:
    control = short_windows.control
    set_connection(host=short_windows.url)
    control.populate(channels=60)
    control.budget("QueryChannels", limit=5)
    assert len(list(hook.iter_channels(page_size=10))) == 60
    assert {request["status"] for request in control.journal("QueryChannels")} == {201}
    windows = [int(request["time"] // 2) for request in control.journal("QueryChannels")]
    assert max(windows.count(window) for window in windows) <= 4


def test_a_refusal_for_the_budget_is_waited_out(
    short_windows: Sandbox, set_connection: SetConnection, hook: StreamHook
) -> None:
    control = short_windows.control
    set_connection(host=short_windows.url)
    control.populate(channels=15)
    control.fault("rate_limit", operation="QueryChannels", after=1, times=2, retry_after=1)
    assert len(list(hook.iter_channels(page_size=10))) == 15
    statuses = [request["status"] for request in control.journal("QueryChannels")]
    assert statuses == [201, 429, 429, 201, 201]
