"""Deactivating and reactivating users ends in whole user objects, as stream-chat-python's suite asserts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.raw_client import RawClient

DEACTIVATE, REACTIVATE = "/api/v2/users/deactivate", "/api/v2/users/reactivate"


def result(raw: RawClient, path: str, **fate: Any) -> Any:
    raw.sandbox.control.fate(pending=0, running=0, **fate)
    task_id = raw.send("POST", path, {"user_ids": ["ann", "joe"]}).json["task_id"]
    return raw.get_task(task_id).json["result"]


@pytest.mark.parametrize("path", [DEACTIVATE, REACTIVATE])
def test_a_user_whom_nobody_added_is_made_up(raw: RawClient, path: str) -> None:
    ann, joe = result(raw, path)["users"]
    assert (ann["id"], joe["id"]) == ("ann", "joe")
    assert ann["name"] != joe["name"]
    assert ann["custom"].keys() == {"address", "phone"}
    assert ("deactivated_at" in ann) is (path == DEACTIVATE)


@pytest.mark.parametrize("path", [DEACTIVATE, REACTIVATE])
def test_a_user_who_was_added_is_as_added(raw: RawClient, path: str) -> None:
    raw.sandbox.control.add_user("ann", name="Ann Smith", custom={"shoe_size": 38})
    ann, _ = result(raw, path)["users"]
    assert (ann["name"], ann["custom"]) == ("Ann Smith", {"shoe_size": 38})


def test_where_some_failed_it_says_how_each_ended(raw: RawClient) -> None:
    assert result(raw, DEACTIVATE, failed_items={"joe": "he is an admin"}) == {
        "ann": {"status": "ok"},
        "joe": {"status": "error", "error": "he is an admin"},
    }


def test_api_v1_has_times_in_words(raw: RawClient) -> None:
    raw.sandbox.control.fate(pending=0, running=0)
    task_id = raw.send("POST", "/users/deactivate", {"user_ids": ["ann"]}).json["task_id"]
    (ann,) = raw.send("GET", f"/tasks/{task_id}").json["result"]["users"]
    assert ann["deactivated_at"].endswith("Z")
