from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_streamtasks.protocol.results import (
    NO_CHANNELS,
    NO_OUTCOME,
    NO_REASON,
    failed_items,
    in_words,
    own_status,
    reason,
    verdicts,
)
from tests import json_values
from tests.fuzzing import fuzz

OK: dict[str, Any] = {"status": "ok"}
GONE = {"status": "error", "error": "gone"}
SIGNED = "https://storage.example/x.json?Expires=1&Signature=abc"
BATCH: dict[str, Any] = {
    "operation": "hide",
    "status": "completed",
    "task_id": "t",
    "success_channels_count": 2,
    "failed_channels": [],
    "batch_created_at": "2026-01-31T00:00:00Z",
    "finished_at": "2026-01-31T00:00:01Z",
}


# -- how items ended ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "why"),
    [
        ({"status": "ok"}, None),
        ({"status": "OK"}, None),
        ({"status": " Ok "}, None),
        ({"status": "completed"}, None),
        ({"status": "ok", "error": None}, None),
        ({"status": "ok", "error": ""}, None),
        ({"status": "ok", "error": " "}, None),
        ({"status": "ok", "error": "gone"}, "gone"),
        ({"status": "error", "error": "gone"}, "gone"),
        ({"status": "error", "error": None}, "error"),
        ({"status": "error", "error": 5}, "5"),
        ({"status": "error", "error": {"description": "gone"}}, "gone"),
        ({"status": "error", "error": f"see {SIGNED}"}, "see https://storage.example/x.json"),
        ({"status": "not_found"}, "not_found"),
        ({"status": "pending"}, "pending"),
        ({"status": ""}, NO_OUTCOME),
        ({"status": None}, NO_OUTCOME),
        ({"status": 5}, "5"),
        ({"status": []}, NO_OUTCOME),
        ({"error": "gone"}, "gone"),
        ({"error": None}, NO_OUTCOME),
        ({"success": False}, NO_REASON),
        ({"success": False, "status": "ok"}, NO_REASON),
        ({"success": False, "reason": "gone"}, "gone"),
        ({"success": True}, None),
        ({"success": True, "error": "gone"}, "gone"),
        ({"success": "yes"}, NO_OUTCOME),
        ({}, NO_OUTCOME),
        (None, NO_OUTCOME),
        ("ok", None),
        ("OK", None),
        ("failed", "failed"),
        ("not_found", "not_found"),
        ("", NO_OUTCOME),
        (0, NO_OUTCOME),
        (5, "5"),
        (True, "True"),
        ([], NO_OUTCOME),
        (["gone"], "['gone']"),
    ],
)
def test_an_item_ended_well_only_if_stream_says_so(verdict: Any, why: str | None) -> None:
    assert verdicts({"messaging:a": verdict}) == {"messaging:a": why}
    assert verdicts({"joe": verdict, "ann": OK}) == {"joe": why, "ann": None}
    assert verdicts({"joe": verdict, "ann": "ok"}) == {"joe": why, "ann": None}


@pytest.mark.parametrize(
    ("result", "status", "why"),
    [
        ({"status": "ok", "error": "gone"}, "error", "gone"),
        ({"status": "Completed", "error": {"description": "gone"}}, "error", "gone"),
        ({**BATCH, "error": "gone"}, "error", "gone"),
        ({**BATCH, "error": "gone", "description": "more"}, "error", "more"),
        ({"status": "running", "error": "gone"}, "running", "gone"),
        ({"error": "gone"}, "error", "gone"),
        ({"error": "gone", "url": "https://storage/x"}, "error", "gone"),
        ({"success": False}, "error", ""),
        ({"success": False, "message": "gone"}, "error", "gone"),
        ({"success": False, "status": "completed", "url": "https://storage/x"}, "error", ""),
        ({"failed": True}, "error", ""),
        ({"success": True, "status": "failed"}, "failed", ""),
        ({"success": True, "failed": False}, "", ""),
        ({"success": False, "joe": OK}, "", f"1 item failed: success ({NO_OUTCOME})"),
        ({"error": ""}, "", ""),
        ({"error": OK}, "", ""),
        ({"status": "ok", "error": ""}, "ok", ""),
        ({"status": "ok", "error": None}, "ok", ""),
        # An item that is called so.
        ({"status": "ok", "error": OK}, "ok", ""),
        ({"status": "ok", "error": "ok"}, "", ""),
    ],
)
def test_a_result_with_an_error_has_failed_whatever_its_status(result: Any, status: str, why: str) -> None:
    assert (own_status(result), reason(result)) == (status, why)


@pytest.mark.parametrize(
    ("result", "failed"),
    [
        ({"id": "failed", "name": "Ann Smith"}, {"id": "failed", "name": NO_OUTCOME}),
        ({"id": "error", "email": "ann@x", "role": "user"}, dict.fromkeys(("email", "role"), NO_OUTCOME)),
        ({"name": "Ok", "nick_name": "Annie"}, {"nick_name": NO_OUTCOME}),
        # It may as well be an item that is called so, and has failed.
        ({"joe": "ok", "name": "not found"}, {"name": NO_OUTCOME}),
        ({"joe": "ok", "ann": "not found"}, {"ann": "not found"}),
        ({"joe": "ok", "name": "failed"}, {"name": "failed"}),
        ({"joe": "ok", "name": {"error": "gone"}}, {"name": "gone"}),
    ],
)
def test_what_may_be_a_name_is_no_reason(result: Any, failed: dict[str, str]) -> None:
    assert failed.items() <= failed_items(result).items()
    assert not {"Ann Smith", "Annie", "ann@x"} & set(failed_items(result).values())


@pytest.mark.parametrize(
    "result",
    [
        {"url": SIGNED},
        {"url": SIGNED, "path": "exports/1/x.json", "s3_bucket_name": "stream"},
        {"users": [{"id": "joe", "status": "away", "error": "x", "role": "user"}]},
        {"users": [{"id": "joe", "status": "failed", "state": "failed", "created_at": 1}]},
        {"users": [{"id": "failed"}, {"id": "error", "code": 5}]},
        {"items_count": 5, "failed_count": 0, "errors": [], "failed_users": {}, "failed": False},
        {"success": True, "items_count": 5},
        {"summary": {"success": True}, "failed_at": 1790000000.5, "error_url": SIGNED},
        {"items_count": 5},
        {"rows": {"read": 5}},
        {"message": "done", "count": 3, "none": None, "more": {}, "list": []},
        BATCH,
        {**BATCH, "failed_channels": None},
        {},
        [],
        None,
        "text",
        "ok",
        5,
    ],
)
def test_a_result_without_items_names_none(result: Any) -> None:
    assert verdicts(result) == {}


@pytest.mark.parametrize(
    "name",
    [
        *("status", "operation", "failed_channels", "success_channels_count", "task_id", "finished_at"),
        *("users", "url", "path", "description", "error", "reason", "message", "result", "cids", "ok"),
    ],
)
def test_an_item_may_have_any_name(name: str) -> None:
    assert verdicts({name: OK}) == {name: None}
    assert verdicts({name: GONE}) == {name: "gone"}
    assert verdicts({name: GONE, "joe": OK}) == {name: "gone", "joe": None}
    assert verdicts({name: "failed", "joe": "ok"}) == {name: "failed", "joe": None}
    assert own_status({name: GONE, "joe": OK}) == ""
    assert own_status({name: "failed", "joe": "ok"}) == ""


def test_items_of_every_name_at_once() -> None:
    names = ["status", "operation", "failed_channels", "task_id", "description", "users"]
    assert failed_items(dict.fromkeys(names, GONE)) == dict.fromkeys(names, "gone")
    assert failed_items(dict.fromkeys(names, "failed")) == dict.fromkeys(names, "failed")
    assert verdicts(dict.fromkeys(names, OK)) == dict.fromkeys(names)


def test_a_text_of_failure_is_no_reason_of_what_went_well() -> None:
    assert failed_items({**BATCH, "description": "failed"}) == {"description": "failed"}
    assert failed_items({**BATCH, "description": "done in 2 s"}) == {}
    assert failed_items({**BATCH, "status": "failed", "description": "failed"}) == {}


@pytest.mark.parametrize(
    ("entry", "failed"),
    [
        ({"id": "joe", "status": "failed"}, {"joe": "failed"}),
        ({"id": "joe", "status": "error", "error": "gone"}, {"joe": "gone"}),
        ({"id": "joe", "status": "ok", "error": "gone"}, {"joe": "gone"}),
        ({"user_id": "joe", "error": {"description": "gone"}}, {"joe": "gone"}),
        ({"user_id": "joe", "success": False}, {"joe": NO_REASON}),
        (
            {"id": "joe", "success": False, "message": f"see {SIGNED}"},
            {"joe": "see https://storage.example/x.json"},
        ),
        (
            {"cid": "messaging:a", "type": "messaging", "id": "a", "status": "not_found"},
            {"messaging:a": "not_found"},
        ),
        ({"id": "joe", "status": None}, {"joe": NO_OUTCOME}),
        ({"id": "joe", "state": "Failed", "code": 5}, {"joe": "Failed"}),
        ({"status": "failed"}, {"[1]": "failed"}),
        ({"id": "joe", "status": "ok"}, {}),
        ({"id": "joe", "success": True, "error": None}, {}),
    ],
)
def test_an_entry_of_a_list_that_says_only_how_an_item_ended_is_one(
    entry: Any, failed: dict[str, str]
) -> None:
    well = {"id": "ann", "status": "ok"}
    assert failed_items([well, entry]) == failed
    named = {f"users{item}" if item == "[1]" else item: why for item, why in failed.items()}
    assert failed_items({"users": [well, entry], "count": 2}) == named
    assert verdicts({"users": [well, entry]}).keys() >= {"ann"}


@pytest.mark.parametrize(
    ("field", "failed"),
    [
        ({"failed_users": ["joe", "ann"]}, {"joe": NO_REASON, "ann": NO_REASON}),
        ({"failed_users": [{"id": "joe", "reason": "gone", "name": "Joe"}]}, {"joe": "gone"}),
        ({"users_failed": [{"user_id": "joe", "name": "Joe"}]}, {"joe": NO_REASON}),
        ({"failed": {"joe": "gone", "ann": None}}, {"joe": "gone", "ann": NO_REASON}),
        ({"errors": [{"message": "line 3 is none"}]}, {"errors[0]": "line 3 is none"}),
        ({"errors": ["line 3 is none"]}, {"line 3 is none": NO_REASON}),
        ({"failed_count": 3}, {"failed_count": "3"}),
        (
            {"failed": {"id": "joe", "reason": "gone", "name": "Joe", "email": "joe@x.example"}},
            {"joe": "gone"},
        ),
        ({"failed_user": {"id": "joe", "name": "Joe"}}, {"joe": NO_REASON}),
        ({"failed_joe": {"id": "failed_joe", "name": "Joe"}}, {}),
        ({"errors": {"count": 0, "items": []}, "failed": {"joe": False, "ann": ""}}, {}),
        ({"failed_users": ["joe"], "failed_count": 1}, {"joe": NO_REASON}),
        ({"max_errors": 100, "failed_at_ms": 1790000000, "last_failed_at": 1790000000}, {}),
        ({"Errors": 2, "failures": 0}, {"Errors": "2"}),
    ],
)
def test_a_field_of_failures_names_what_failed_or_counts_it(field: Any, failed: dict[str, str]) -> None:
    assert failed_items({**field, "items_count": 5}) == failed
    assert own_status(field) == ""


@pytest.mark.parametrize(
    "field", [{"success": True}, {"failed": False}, {"failed_count": 0}, {"errors": []}], ids=str
)
def test_beside_items_a_field_that_says_that_nothing_failed_is_no_item(field: Any) -> None:
    assert failed_items({"messaging:a": OK, **field}) == {}


def test_beside_items_a_number_counts_only_where_they_do_not_say_which_failed() -> None:
    assert failed_items({"messaging:a": OK, "failed_count": 1}) == {"failed_count": "1"}
    assert failed_items({"messaging:a": OK, "messaging:b": GONE, "failed_count": 1}) == {
        "messaging:b": "gone"
    }


def test_an_item_may_be_called_like_a_field_of_failures() -> None:
    assert verdicts({"errors": OK, "failed": GONE, "joe": OK}) == {
        "errors": None,
        "failed": "gone",
        "joe": None,
    }
    assert verdicts({"errors": "ok", "failed": "failed"}) == {"errors": None, "failed": "failed"}


# -- batch updates -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "failed"),
    [
        ([{"reason": "frozen", "cids": ["a:1", "a:2"]}], {"a:1": "frozen", "a:2": "frozen"}),
        (
            [{"reason": "frozen", "cids": ["a:1"]}, {"reason": "busy", "cids": ["a:2"]}],
            {"a:1": "frozen", "a:2": "busy"},
        ),
        ([{"cids": ["a:1"]}], {"a:1": NO_REASON}),
        ([{"reason": None, "cids": ["a:1"]}], {"a:1": NO_REASON}),
        ([{"reason": "frozen", "cids": []}], {"frozen": NO_CHANNELS}),
        ([{"reason": "frozen", "cids": None}], {"frozen": NO_CHANNELS}),
        ([{"reason": "frozen", "cids": {}}], {"frozen": NO_CHANNELS}),
        ([{"reason": "frozen", "cids": [None, ""]}], {"frozen": NO_CHANNELS}),
        ([{"reason": "frozen", "cids": "a:1"}], {"a:1": "frozen"}),
        ([{"reason": "frozen"}], {"frozen": NO_CHANNELS}),
        ([{}], {NO_CHANNELS: NO_REASON}),
        ([None], {NO_CHANNELS: NO_REASON}),
        (["a:1"], {"a:1": NO_REASON}),
        ([5], {"5": NO_REASON}),
        ("all of them", {"all of them": NO_CHANNELS}),
        (3, {"3": NO_CHANNELS}),
        ({"reason": "frozen", "cids": ["a:1"]}, {"a:1": "frozen"}),
        ({"reason": "frozen"}, {"frozen": NO_CHANNELS}),
        ([], {}),
        (None, {}),
        (0, {}),
    ],
)
def test_channels_that_failed_are_named_or_else_their_reason_is(groups: Any, failed: dict[str, str]) -> None:
    assert failed_items({**BATCH, "failed_channels": groups}) == failed


def test_channels_that_failed_are_found_without_any_other_field() -> None:
    assert failed_items({"failed_channels": [{"reason": "frozen"}]}) == {"frozen": NO_CHANNELS}


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ({**BATCH, "status": "failed"}, "failed"),
        ({**BATCH, "status": "Started"}, "started"),
        ({**BATCH, "status": "thawing"}, "thawing"),
        ({**BATCH, "status": 5}, "5"),
        ({**BATCH, "status": ["failed"]}, '["failed"]'),
        ({**BATCH, "status": None}, ""),
        ({**BATCH, "status": ""}, ""),
        ({**BATCH, "status": "failed", "joe": "ok"}, "failed"),
        ({"operation": "hide", "status": "failed"}, "failed"),
        ({"status": "failed"}, "failed"),
        ({"status": "failed", "description": "rate limit"}, "failed"),
        ({"status": "started"}, "started"),
        ({"status": "ok"}, "ok"),
        ({"status": "failed", "joe": OK}, "failed"),
        ({"status": "ok", "joe": "failed"}, ""),
        ({"status": OK}, ""),
        ({"status": {"status": "failed"}}, ""),
        ({**BATCH, "status": OK}, ""),
        ({"status": 5}, ""),
        ("failed", "failed"),
        ("ERROR", "error"),
        ("exported", ""),
        (["failed"], ""),
        (None, ""),
    ],
)
def test_a_text_at_status_is_the_status_of_the_result_unless_it_stands_among_texts_on_items(
    result: Any, status: str
) -> None:
    assert own_status(result) == status


# -- reasons -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "why"),
    [
        ({"description": "full", "error": "x", "reason": "y"}, "full"),
        ({"description": "", "error": "full", "reason": "y"}, "full"),
        ({"description": None, "error": [], "reason": "full"}, "full"),
        ({"description": " "}, ""),
        ({"error": {"type": "storage", "description": "full"}}, "full"),
        ({"error": {"code": 5}}, "{'code': 5}"),
        ({"message": "full"}, "full"),
        ({"description": f"see {SIGNED}."}, "see https://storage.example/x.json"),
        ({"description": OK}, ""),
        ({"description": "ok"}, ""),
        ({"description": GONE, "joe": OK}, "1 item failed: description (gone)"),
        ({"joe": GONE, "ann": OK}, "1 item failed: joe (gone)"),
        ({"failed_channels": [{"reason": "busy"}]}, f"1 item failed: busy ({NO_CHANNELS})"),
        ("full", "full"),
        ("failed", ""),
        ({"url": SIGNED}, ""),
        ({}, ""),
        (None, ""),
        ([], ""),
    ],
)
def test_the_reason_is_found_wherever_stream_puts_it(result: Any, why: str) -> None:
    assert reason(result) == why


def test_a_sentence_names_ten_items_and_counts_the_others() -> None:
    text = in_words({f"a:{number}": "gone" for number in range(25)})
    assert text.startswith("25 items failed: a:0 (gone), ")
    assert text.endswith("a:9 (gone) and 15 more")
    assert in_words({}) == ""


# -- whatever comes ----------------------------------------------------------------------------------------

names = st.sampled_from(
    [*BATCH, "users", "url", "description", "error", "reason", "message", "joe", "messaging:a", "cids"]
)
good = st.sampled_from([OK, {"status": "Completed"}, {"status": "ok", "error": None}])
bad = st.sampled_from(
    [GONE, {"status": "ok", "error": "gone"}, {"error": "gone"}, {"status": "not_found"}, {"status": None}]
)


@given(st.dictionaries(names, good, max_size=5), names, bad)
def test_no_item_that_failed_passes_whatever_it_and_the_others_are_called(
    others: dict[str, Any], name: str, verdict: Any
) -> None:
    assert name in failed_items({**others, name: verdict})


@given(st.dictionaries(names, st.sampled_from(["ok", "completed", "running"]), max_size=5), names)
def test_no_text_of_failure_passes_wherever_it_stands(others: dict[str, Any], name: str) -> None:
    result = {**others, name: "failed"}
    assert own_status(result) == "failed" or name in failed_items(result)


@given(st.dictionaries(st.sampled_from(list(BATCH)), json_values.anything, max_size=6), names, bad)
def test_no_item_that_failed_passes_beside_whatever_else(
    others: dict[str, Any], name: str, verdict: Any
) -> None:
    assert name in failed_items({**others, name: verdict})


@given(
    json_values.objects(), st.sampled_from([[{"reason": "busy", "cids": []}], [{"cids": ["a:1"]}], [None]])
)
def test_no_failed_channels_pass_beside_whatever_else(others: dict[str, Any], groups: list[Any]) -> None:
    assert failed_items({**others, "failed_channels": groups})


@fuzz(json_values.anything | json_values.documents)
def test_any_result_is_described_in_text(result: Any) -> None:
    assert all(isinstance(text, str) for pair in failed_items(result).items() for text in pair)
    assert isinstance(own_status(result), str)
    assert isinstance(reason(result), str)
