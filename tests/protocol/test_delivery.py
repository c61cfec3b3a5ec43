from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st

from airflow_provider_streamtasks.exceptions import StreamTaskException, StreamTaskTimeout
from airflow_provider_streamtasks.protocol.data_import import Import
from airflow_provider_streamtasks.protocol.delivery import (
    MAX_RESULT_SIZE,
    Delivery,
    XComPolicy,
    decide,
    decide_at_once,
    limited,
)
from airflow_provider_streamtasks.protocol.tasks import StreamTask, TaskError
from airflow_provider_streamtasks.protocol.wait import Ended
from tests import json_values
from tests.fuzzing import fuzz

URL = "https://storage.example/export.json"
SIGNED = f"{URL}?Expires=1&Signature=abc"
USER = {
    "id": "ann",
    "name": "Ann Smith",
    "role": "user",
    "deactivated_at": 1_700_000_000_000_000_000,
    "custom": {"address": "1 High Street", "phone": "+1-555-0100"},
}


def delivered(*results: Any, **policy: Any) -> Delivery:
    tasks = [StreamTask(f"id-{number}", "completed", result) for number, result in enumerate(results)]
    return decide(Ended(tasks, [], 60.0), XComPolicy(**policy))


def xcom(*results: Any, **policy: Any) -> Any:
    return delivered(*results, **policy).xcoms.get("return_value")


def size(value: Any) -> int:
    return len(json.dumps(value))


# -- what stays as it came ---------------------------------------------------------------------------------

BATCH_UPDATE = {
    "operation": "addMembers",
    "status": "completed",
    "task_id": "id-0",
    "success_channels_count": 2,
    "failed_channels": [{"reason": "frozen", "cids": ["messaging:a"]}],
    "batch_created_at": "2026-01-01T00:00:00Z",
    "finished_at": "2026-01-01T00:00:01Z",
}
PLAIN = [
    {"messaging:a": {"status": "ok"}, "messaging:b": {"status": "error", "error": "gone"}},
    {"url": SIGNED, "path": "exports/users/id-0/users.jsonl", "s3_bucket_name": "stream-exports"},
    {"items_count": 5000},
    BATCH_UPDATE,
    {"users": 100, "messages": 2_000, "channels": 3},
    {"users": {"total": 100, "errors": []}},
    {"precision": 0.9, "recall": 0.8, "report": "all is well"},
    {"users": ["ann", "bob"]},
    {},
    [],
    [{"item": "ann", "error": "not found"}],
    "done",
    5,
    # Items whose ids are words of Stream's, or sound like people.
    {"users": {"status": "ok"}, "id": {"status": "ok"}, "name": {"status": "error", "error": "gone"}},
    {"id": "ok", "name": "ok", "phone": "failed"},
    {"status": {"status": "ok"}, "mailman:3": {"status": "ok"}, "user": {"status": "ok"}},
]


@pytest.mark.parametrize("result", PLAIN, ids=str)
def test_a_result_without_people_stays_as_it_came(result: Any) -> None:
    delivery = delivered(result)
    assert delivery.xcoms["return_value"] == result
    assert list(delivery.log_lines) == []


@pytest.mark.parametrize(
    ("results", "single", "expected"),
    [
        ((1,), None, 1),
        ((1, 2), None, [1, 2]),
        ((), None, []),
        ((1,), False, [1]),
        ((1,), True, 1),
        ((None, 1), None, [None, 1]),
    ],
)
def test_one_result_or_a_list(results: tuple[Any, ...], single: bool | None, expected: Any) -> None:
    assert delivered(*results, single=single).xcoms == {"return_value": expected}


def test_no_result_is_no_xcom() -> None:
    assert delivered(None).xcoms == {}


# -- people ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"users": [USER, {**USER, "id": "bob"}]}, {"users": {"count": 2, "ids": ["ann", "bob"]}}),
        ({"users": [USER], "duration": "3ms"}, {"users": {"count": 1, "ids": ["ann"]}, "duration": "3ms"}),
        ({"users": [{"id": "ann"}]}, {"users": {"count": 1, "ids": ["ann"]}}),
        ({"users": [{"id": "ann", "deactivated_at": 1}]}, {"users": {"count": 1, "ids": ["ann"]}}),
        ({"users": []}, {"users": []}),
        ({"users": [{"name": "Ann Smith"}, USER]}, {"users": {"count": 2, "ids": ["ann"]}}),
        ({"users": ["Ann Smith", USER]}, {"users": {"count": 2, "ids": ["ann"]}}),
        ({"users": {"ann": USER}}, {"users": {"ann": {"id": "ann"}}}),
        ({"users": {"ann": {"nick": "Annie"}}}, {"users": {"ann": {}}}),
        ({"ann": USER, "bob": {"name": "Bob"}}, {"ann": {"id": "ann"}, "bob": {}}),
        ({"user": USER}, {"user": {"id": "ann"}}),
        (USER, {"id": "ann"}),
        ([USER], {"count": 1, "ids": ["ann"]}),
        ({"members": [{"user_id": "ann", "user": USER}]}, {"members": {"count": 1, "ids": ["ann"]}}),
        ({"created_by": {"id": "root"}, "url": SIGNED}, {"created_by": {"id": "root"}, "url": SIGNED}),
        ({"ann": {"status": "ok", "user": USER}}, {"ann": {"status": "ok", "user": {"id": "ann"}}}),
        ({"errors": [{"error": "bad", "item": USER}]}, {"errors": [{"error": "bad", "item": {"id": "ann"}}]}),
        ({"ann": {"status": "error", "error": USER}}, {"ann": {"status": "error", "error": {"id": "ann"}}}),
        ({"work_email": "ann@example.com"}, {}),
        ({"a": {"Home-Address": "1 High Street"}}, {"a": {}}),
        ({"telephone": 15550100}, {}),
        # Better that a channel is cut than that a person is not.
        ({"channel": {"id": "a", "cid": "m:a", "frozen": True}}, {"channel": {"id": "a"}}),
        ({"id": 7, "anything": "at all"}, {"id": 7}),
    ],
)
def test_of_people_the_ids_stay(result: Any, expected: Any) -> None:
    delivery = delivered(result)
    assert delivery.xcoms["return_value"] == expected
    if expected != result:
        (line,) = delivery.log_lines
        assert "in the result: the XCom 'return_value' has their ids alone" in line
        assert "hook.get_task(stream_task_id).result" in line
        assert "push_result=True" in line


def test_people_do_not_take_the_other_results_of_a_list_with_them() -> None:
    assert xcom({"users": [USER]}, {"url": SIGNED}) == [
        {"users": {"count": 1, "ids": ["ann"]}},
        {"url": SIGNED},
    ]


def test_people_come_whole_if_asked_for() -> None:
    delivery = delivered({"users": [USER]}, push_result=True)
    assert delivery.xcoms == {"return_value": {"users": [USER]}}
    assert (list(delivery.log_lines), list(delivery.warnings)) == ([], [])


def test_a_result_itself_is_left_alone() -> None:
    result = {"users": [dict(USER)]}
    xcom(result)
    assert result == {"users": [USER]}


MARK = "Mrs Secret, 1 High Street"


def with_a_person(dice: json_values.Dice) -> Any:
    """A result with a person anywhere in it."""
    further = {
        "id": dice.of(("ann", "messaging:a", 7, "failed")),
        "role": "user",
        "created_at": 1,
        "status": dice.of(("ok", "error", "online")),
        "custom": dice.of(({"x": MARK}, {"a": [{"b": MARK}]})),
        "devices": [{"id": MARK}],
    }
    found: Any = {"name": MARK, **{name: value for name, value in further.items() if dice.roll(2)}}
    for _ in range(dice.roll(5)):
        found = [dice.value(5), found] if dice.roll(3) < 1 else {**dice.object(5), dice.name(): found}
    return found


results = json_values.rolled(with_a_person) | json_values.anything


@fuzz(st.lists(results, max_size=3), st.sampled_from([0, 50, MAX_RESULT_SIZE]))
def test_wherever_a_person_stands_nothing_about_them_gets_out(found: list[Any], limit: int) -> None:
    delivery = delivered(*found, max_result_size=limit)
    assert MARK not in json.dumps([delivery.xcoms, [*delivery.log_lines, *delivery.warnings]])


# -- size --------------------------------------------------------------------------------------------------


def test_what_is_too_large_is_a_summary_with_a_warning() -> None:
    result = {f"messaging:{number}": {"status": "ok"} for number in range(5_000)}
    delivery = delivered(result)
    assert delivery.xcoms == {"return_value": {"summary": {"items": 5_000, "results": 1}}}
    (warning,) = delivery.warnings
    assert warning == (
        "The XCom 'return_value' is a summary, because the whole is larger than max_result_size "
        "(65,536 bytes). With push_result=True the XCom is the whole. "
        "So is hook.get_task(stream_task_id).result."
    )


def test_the_limit_holds_for_the_whole_list() -> None:
    results = [{f"messaging:{batch}-{n}": {"status": "ok"} for n in range(100)} for batch in range(1_000)]
    assert xcom(*results) == {"summary": {"items": 100_000, "results": 1_000}}
    assert xcom(*results[:3]) == results[:3]


def test_a_hundred_thousand_people_are_a_summary() -> None:
    results = [{"users": [{**USER, "id": f"{batch}-{n}"} for n in range(100)]} for batch in range(1_000)]
    assert xcom(*results) == {"summary": {"users": 100_000, "results": 1_000}}


def test_the_limit_is_exact_and_counts_what_airflow_stores() -> None:
    result = {"report": "ä" * 100}
    written = size(result)
    assert xcom(result, max_result_size=written) == result
    assert xcom(result, max_result_size=written - 1) == {"summary": {"results": 1}}


def test_a_large_result_comes_whole_if_asked_for() -> None:
    result = {"report": "x" * 100_000}
    delivery = delivered(result, push_result=True)
    assert delivery.xcoms == {"return_value": result}
    assert list(delivery.warnings) == []


@pytest.mark.parametrize(
    ("results", "summary"),
    [
        ([BATCH_UPDATE, BATCH_UPDATE], {"success_channels_count": 4, "failed_channels": 2, "results": 2}),
        ([{"url": SIGNED}] * 3, {"results": 3}),
        ([{"Ann Smith": [1]}, {"messaging:a": [1]}, {"a" * 41: [1]}], {"items": 3, "results": 3}),
        ([{f"a{n}": [1, 2]} for n in range(30)], {"items": 60, "results": 30}),
        ([["a", "b"], None, "text", 5], {"items": 2, "results": 4}),
        ([{"results": [1, 2, 3]}, {}], {"results": 2}),
    ],
)
def test_a_summary_says_nothing_but_numbers(results: list[Any], summary: dict[str, int]) -> None:
    assert xcom(*results, max_result_size=0) == {"summary": summary}


@fuzz(st.lists(results, max_size=6), st.sampled_from([0, 100, 1000]))
def test_whatever_the_results_are_the_xcoms_are_not_larger(found: list[Any], limit: int) -> None:
    delivery = delivered(*found, max_result_size=limit)
    assert all(size(value) <= max(limit, 3_000) for value in delivery.xcoms.values())


def test_too_many_failed_items_are_their_number() -> None:
    """Neither a part of them, which would pass for all, nor an object that names something else."""
    result = {f"messaging:{number}": {"status": "error", "error": "gone"} for number in range(5_000)}
    delivery = delivered(result)
    assert delivery.xcoms["failed_items"] == 5_000
    first, second, _ = delivery.warnings
    assert "5000 items failed: messaging:0 (gone)" in first
    assert "The XCom 'failed_items' is the number of items that failed, because the whole is larger" in second
    assert len(delivered(result, push_result=True).xcoms["failed_items"]) == 5_000
    assert len(delivered(result, push_result=False, max_result_size=10**6).xcoms["failed_items"]) == 5_000


# -- what is asked for -------------------------------------------------------------------------------------

PARTIAL = {"messaging:a": {"status": "error", "error": "gone"}, "messaging:b": {"status": "ok"}}
FAILED = {"messaging:a": "gone"}


def test_items_that_failed_inside_are_a_warning_and_an_xcom() -> None:
    delivery = delivered(PARTIAL, {"messaging:c": {"status": "ok"}})
    assert delivery.xcoms["failed_items"] == FAILED
    assert delivery.failure is None
    (warning,) = delivery.warnings
    assert warning == "Stream completed the Stream task id-0, but 1 item failed: messaging:a (gone)"


def test_items_that_failed_inside_are_a_failure_if_asked_for() -> None:
    delivery = delivered(PARTIAL, {"url": SIGNED}, fail_on_partial=True)
    assert delivery.xcoms == {"failed_items": FAILED}
    assert isinstance(delivery.failure, StreamTaskException)
    assert delivery.failure.failed_items == FAILED
    assert delivery.failure.task_ids == ["id-0"]
    assert list(delivery.warnings) == []
    assert list(delivery.secrets) == ["Expires=1&Signature=abc"]


def test_an_import_of_which_items_failed_is_called_an_import() -> None:
    ended = Ended([StreamTask("id-0", "completed", PARTIAL)], [], 60.0, Import.noun)
    for policy in (XComPolicy(), XComPolicy(fail_on_partial=True)):
        delivery = decide(ended, policy)
        assert "Stream completed the import id-0, but" in f"{delivery.failure}{delivery.warnings}"


@pytest.mark.parametrize(
    ("policy", "keys"),
    [
        ({}, {"return_value", "failed_items"}),
        ({"push_result": True}, {"return_value", "failed_items"}),
        ({"push_result": False}, {"failed_items"}),
        ({"do_xcom_push": False}, set()),
        ({"do_xcom_push": False, "push_result": True}, set()),
        ({"do_xcom_push": False, "fail_on_partial": True}, set()),
    ],
)
def test_only_what_is_wanted_is_pushed(policy: dict[str, Any], keys: set[str]) -> None:
    delivery = delivered(PARTIAL, **policy)
    assert set(delivery.xcoms) == keys
    assert bool(delivery.failure) is policy.get("fail_on_partial", False)


@pytest.mark.parametrize(
    "policy", [{}, {"push_result": True}, {"push_result": False}, {"do_xcom_push": False}]
)
def test_signatures_are_always_masked(policy: dict[str, Any]) -> None:
    delivery = delivered({"url": SIGNED}, {"url": SIGNED}, **policy)
    assert list(delivery.secrets) == ["Expires=1&Signature=abc"]
    assert "Signature" not in repr(delivery)


@pytest.mark.parametrize("push_result", [None, True])
def test_signatures_are_cut_off_if_asked_for(push_result: bool | None) -> None:
    assert xcom({"url": SIGNED}, push_result=push_result, redact_result_urls=True) == {"url": URL}


# -- where the results are not what is returned ------------------------------------------------------------


def test_the_ids_are_returned_where_the_results_have_a_key_of_their_own() -> None:
    assert delivered({"a": "ok"}, result_key="result").xcoms == {
        "result": {"a": "ok"},
        "return_value": "id-0",
    }
    assert delivered({"a": "ok"}, None, result_key="result").xcoms == {
        "result": [{"a": "ok"}, None],
        "return_value": ["id-0", "id-1"],
    }
    assert delivered(None, result_key="result", push_result=False).xcoms == {"return_value": "id-0"}
    assert delivered(None, result_key="result", do_xcom_push=False).xcoms == {}


def test_no_ids_are_returned_of_what_is_a_failure_after_all() -> None:
    assert delivered(PARTIAL, result_key="result", fail_on_partial=True).xcoms == {"failed_items": FAILED}


# -- failures ----------------------------------------------------------------------------------------------

BROKEN = StreamTask("id-1", "failed", PARTIAL, TaskError("storage", "down"))


def test_a_stream_task_that_failed_is_a_failure_with_what_is_known_of_it() -> None:
    done = StreamTask("id-0", "completed", {"url": SIGNED})
    delivery = decide(Ended([done, BROKEN], ["id-2"], 60.0), XComPolicy())
    assert delivery.xcoms == {"failed_items": FAILED}
    assert isinstance(delivery.failure, StreamTaskException)
    assert str(delivery.failure) == (
        "Stream task id-1 failed: storage: down\nNot finished when the wait ended: the Stream task id-2"
    )


def test_of_an_import_that_failed_there_is_the_report_and_no_items() -> None:
    report = {"Errors": ["bad"]}
    failed = StreamTask("id-1", "failed", report, TaskError("import_failed", "bad"), report=report)
    delivery = decide(Ended([failed], [], 60.0), XComPolicy())
    assert delivery.xcoms == {"validation_report": {"id-1": report}}


def test_what_was_not_finished_is_a_timeout_without_xcoms() -> None:
    done = StreamTask("id-0", "completed", PARTIAL)
    delivery = decide(Ended([done], ["id-2"], 60.0), XComPolicy())
    assert delivery.xcoms == {}
    assert isinstance(delivery.failure, StreamTaskTimeout)
    assert delivery.failure.task_ids == ["id-2"]


def test_of_a_failure_nothing_is_an_xcom_if_nothing_may_be() -> None:
    delivery = decide(Ended([BROKEN], [], 60.0), XComPolicy(do_xcom_push=False))
    assert delivery.xcoms == {}
    assert isinstance(delivery.failure, StreamTaskException)


# -- other sources of the same -----------------------------------------------------------------------------


def test_how_to_get_the_whole_fits_what_was_awaited() -> None:
    task = StreamTask("id", "completed", {"users": [USER]})
    imports = Import((2,))
    (line,) = decide(Ended([task], [], 60.0), XComPolicy(), whole=imports.whole).log_lines
    assert "push_result=True" in line
    call = "hook.get_task(import_id, Import(completed_states=(2,), failed_states=())).result"
    assert line.endswith(f"So is {call}.")
    failed = replace(task, status="failed", report={"a": "x" * MAX_RESULT_SIZE})
    (warning,) = decide(Ended([failed], [], 60.0), XComPolicy(), whole=imports.whole).warnings
    assert warning.endswith(f"So is {call}.")
    # There is no Stream task to ask.
    (line,) = decide_at_once(task.result, {}, XComPolicy()).log_lines
    assert line.endswith("With push_result=True the XCom is the whole.")


def test_what_stream_did_at_once_is_delivered_alike() -> None:
    delivery = decide_at_once({"users": [USER]}, FAILED, XComPolicy())
    assert delivery.xcoms == {"failed_items": FAILED, "return_value": {"users": {"count": 1, "ids": ["ann"]}}}
    assert list(delivery.warnings) == ["Stream completed the request, but 1 item failed: messaging:a (gone)"]
    assert decide_at_once(None, {}, XComPolicy()).xcoms == {}


def test_other_values_are_held_to_the_same_limits() -> None:
    values = {"failed_items": FAILED, "report": {"errors": [{"item": USER, "url": SIGNED}]}, "empty": None}
    delivery = limited(values, XComPolicy(redact_result_urls=True))
    assert delivery.xcoms == {
        "failed_items": FAILED,
        "report": {"errors": [{"item": {"id": "ann"}, "url": URL}]},
    }
    assert list(delivery.secrets) == ["Expires=1&Signature=abc"]
    assert limited(values, XComPolicy(max_result_size=5)).xcoms == {
        "failed_items": 1,
        "report": {"summary": {"errors": 1, "results": 1}},
    }
    assert limited({"failed_items": {}}, XComPolicy()).xcoms == {}
