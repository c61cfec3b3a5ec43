from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_streamtasks.sandbox.fates import Fates
from tests.sandbox.raw_client import RawClient

NOW = {"pending": 0, "running": 0}


def test_a_task_passes_its_stages_in_order(raw: RawClient) -> None:
    raw.sandbox.control.fate(pending=0.1, waiting=0.1, running=0.1)
    stream_task_id = raw.delete_channels().json["task_id"]
    seen: list[str] = []
    while not seen or seen[-1] != "completed":
        status = raw.get_task(stream_task_id).json["status"]
        if status not in seen[-1:]:
            seen.append(status)
        time.sleep(0.01)  # a fast machine would spend the budget of polls
    order = ["pending", "waiting", "running", "completed"]
    assert seen == [status for status in order if status in seen]


def test_by_default_a_task_completes_after_a_while(raw: RawClient) -> None:
    stream_task_id = raw.delete_channels().json["task_id"]
    while (task := raw.get_task(stream_task_id).json)["status"] != "completed":
        assert task["status"] in ("pending", "running")
        assert "result" not in task
        time.sleep(0.01)  # a fast machine would spend the budget of polls
    assert task["result"] == {"messaging:a": {"status": "ok"}}
    # 0.2 s pending and 0.5 s running, in nanoseconds.
    assert task["updated_at"] - task["created_at"] == pytest.approx(0.7e9, rel=1e-3)


@pytest.mark.parametrize("end", ["failed", "error"])
def test_a_failure_has_an_error_and_no_result(raw: RawClient, end: str) -> None:
    raw.sandbox.control.fate(**NOW, end=end)
    task = raw.get_task(raw.delete_channels().json["task_id"]).json
    assert task["status"] == end
    assert task["error"].keys() == {"type", "description", "stacktrace", "version"}
    assert "result" not in task


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        (
            {"end": "failed", "error": {"type": "t", "description": "d"}},
            {"error": {"type": "t", "description": "d"}},
        ),
        ({"end": "failed", "error": None}, {}),
        ({"end": "failed", "error": None, "result": {"x": 1}}, {"result": {"x": 1}}),
        ({"end": "completed", "result": {"url": "u"}}, {"result": {"url": "u"}}),
        ({"end": "completed", "result": []}, {"result": []}),
        ({"end": "completed", "result": None}, {}),
        ({"end": "archived"}, {}),
    ],
)
def test_result_and_error_can_be_given(raw: RawClient, rule: dict[str, Any], shown: dict[str, Any]) -> None:
    raw.sandbox.control.fate(**NOW, **rule)
    task = raw.get_task(raw.delete_channels().json["task_id"]).json
    assert task["status"] == rule["end"]
    assert {key: task[key] for key in ("result", "error") if key in task} == shown


def test_what_is_shown_before_the_end_can_be_given(raw: RawClient) -> None:
    raw.sandbox.control.fate(
        pending=0.4,
        running=0,
        before_end=[
            {"seconds": 0.6, "status": "failed"},
            {"seconds": 0.6, "status": "completed", "result": {"status": "started"}, "error": {}},
        ],
    )
    stream_task_id = raw.delete_channels().json["task_id"]
    seen: list[dict[str, Any]] = []
    while not seen or "messaging:a" not in (seen[-1].get("result") or {}):
        task = raw.get_task(stream_task_id).json
        shown = {key: task[key] for key in ("status", "result", "error") if key in task}
        if shown not in seen[-1:]:
            seen.append(shown)
        time.sleep(0.02)
    assert seen == [
        {"status": "pending"},
        {"status": "failed"},
        {"status": "completed", "result": {"status": "started"}, "error": {}},
        {"status": "completed", "result": {"messaging:a": {"status": "ok"}}},
    ]


def test_items_can_fail_inside_a_completed_task(raw: RawClient) -> None:
    raw.sandbox.control.fate(**NOW, failed_items={"*:broken-*": "shard lost"})
    task = raw.get_task(raw.delete_channels("messaging:a", "messaging:broken-1").json["task_id"]).json
    assert task["status"] == "completed"
    assert task["result"] == {
        "messaging:a": {"status": "ok"},
        "messaging:broken-1": {"status": "error", "error": "shard lost"},
    }


def test_items_can_fail_in_a_deletion_that_is_done_at_once(raw: RawClient) -> None:
    raw.sandbox.control.fate(failed_items={"*:a": "shard lost"})
    answer = raw.delete_channels("messaging:a", hard_delete=False).json
    assert answer["result"] == {"messaging:a": {"status": "error", "error": "shard lost"}}


def test_a_task_can_be_invisible_at_first(raw: RawClient) -> None:
    raw.sandbox.control.fate(**NOW, visible_after=60)
    stream_task_id = raw.delete_channels().json["task_id"]
    reply = raw.get_task(stream_task_id)
    assert (reply.status, reply.json["code"]) == (404, 16)
    raw.sandbox.control.fate(stream_task_id=stream_task_id)
    assert raw.get_task(stream_task_id).json["status"] == "completed"


def test_an_answer_can_lack_the_task_id(raw: RawClient) -> None:
    raw.sandbox.control.fate(task_id=False)
    reply = raw.send("POST", "/api/v2/users/delete", {"user_ids": ["a"]})
    assert reply.status == 201
    assert reply.json.keys() == {"duration"}
    assert raw.sandbox.control.tasks() == []


@pytest.mark.parametrize(
    ("fate", "hard", "keys"),
    [
        ({}, False, {"task_id", "result"}),
        ({"task_id": False}, False, {"result"}),
        ({"result_at_once": False}, False, {"task_id"}),
        ({"task_id": False, "result_at_once": False}, False, set()),
        ({}, True, {"task_id"}),
        ({"result_at_once": True}, True, {"task_id", "result"}),
        ({"task_id": False}, True, {"result"}),
    ],
)
def test_a_deletion_of_channels_can_be_answered_with_a_task_a_result_or_both(
    raw: RawClient, fate: dict[str, bool], hard: bool, keys: set[str]
) -> None:
    raw.sandbox.control.fate(failed_items={"*:b": "locked"}, **fate)
    answer = raw.delete_channels("messaging:a", "messaging:b", hard_delete=hard).json
    assert answer.keys() == {*keys, "duration"}
    assert len(raw.sandbox.control.tasks()) == ("task_id" in keys)
    if "result" in keys:
        assert answer["result"] == {
            "messaging:a": {"status": "ok"},
            "messaging:b": {"status": "error", "error": "locked"},
        }


def test_a_waiting_task_can_be_ended_now(raw: RawClient) -> None:
    raw.sandbox.control.fate(pending=0, waiting=60)
    stream_task_id = raw.delete_channels().json["task_id"]
    assert raw.get_task(stream_task_id).json["status"] == "waiting"
    raw.sandbox.control.fate(stream_task_id=stream_task_id, running=60)
    assert raw.get_task(stream_task_id).json["status"] == "running"
    raw.sandbox.control.fate(
        stream_task_id=stream_task_id, end="failed", error={"type": "t", "description": "d"}
    )
    task = raw.get_task(stream_task_id).json
    assert (task["status"], task["error"]["type"]) == ("failed", "t")
    assert task["created_at"] < task["updated_at"]


def test_a_fate_of_a_task_that_does_not_exist(raw: RawClient) -> None:
    with pytest.raises(ValueError, match="there is no Stream task nowhere"):
        raw.sandbox.control.fate(stream_task_id="nowhere")


def ends(fates: Fates, *submissions: tuple[str, list[str]]) -> list[str]:
    return [fates.choose(operation, items).end for operation, items in submissions]


class TestWhichFate:
    def test_the_latest_that_matches_wins(self) -> None:
        fates = Fates()
        fates.add({"end": "first"})
        fates.add({"operation": "DeleteUsers", "end": "second"})
        assert ends(fates, ("DeleteUsers", ["a"]), ("ExportUsers", ["a"])) == ["second", "first"]

    def test_one_matching_item_is_enough(self) -> None:
        fates = Fates()
        fates.add({"item": "messaging:broken-*", "end": "failed"})
        assert ends(
            fates,
            ("DeleteChannels", ["messaging:a", "messaging:broken-1"]),
            ("DeleteChannels", ["messaging:a"]),
        ) == ["failed", "completed"]

    def test_it_can_be_used_up(self) -> None:
        fates = Fates()
        fates.add({"end": "error"})
        fates.add({"end": "failed", "times": 2})
        assert ends(fates, *[("DeleteUsers", ["a"])] * 3) == ["failed", "failed", "error"]

    def test_a_reset_returns_to_the_default(self) -> None:
        fates = Fates()
        fates.add({"end": "failed"})
        fates.reset()
        assert ends(fates, ("DeleteUsers", ["a"])) == ["completed"]


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"ends": "failed"}, "no key 'ends'"),
        ({"pending": -1}, "'pending' of a fate must be a number of seconds"),
        ({"pending": True}, "'pending' of a fate must be a number of seconds"),
        ({"error": {"type": 1}}, "'error' of a fate must be an object whose values are strings, or null"),
        ({"before_end": {}}, "'before_end' of a fate must be a list of objects"),
        ({"before_end": [{"seconds": 1}]}, "needs seconds and a status"),
        ({"before_end": [{"seconds": 0, "status": "failed"}]}, "a number of seconds above 0"),
        ({"before_end": [{"seconds": 1, "status": "failed"}], "end": "never"}, "never ends"),
        ({"times": 1.5}, "'times' of a fate must be a whole number"),
        ({"operation": "DeleteChanels"}, "there is no operation 'DeleteChanels' here"),
        ({"operation": "GetTask"}, "there is no operation 'GetTask' here"),
        ({"stream_task_id": "x", "times": 1}, "no key 'times'"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(raw: RawClient, rule: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        raw.sandbox.control.fate(**rule)
