from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_streamtasks.exceptions import StreamApiException
from airflow_provider_streamtasks.protocol.catalogue import (
    BULK_IMAGE_MODERATION,
    CATALOGUE,
    CHANNEL_BATCH_UPDATE,
    DELETE_CALL,
    DELETE_CHANNELS,
    DELETE_FEED,
    DELETE_FEEDS,
    DELETE_USERS,
    EXPORT_CHANNELS,
    EXPORT_FEED_USER_DATA,
    EXPORT_MODERATION_LOGS,
    EXPORT_USERS,
    IMPORT_BLOCK_LIST,
)
from airflow_provider_streamtasks.protocol.errors import is_ambiguous
from airflow_provider_streamtasks.protocol.fields import Anything, Items
from airflow_provider_streamtasks.protocol.operations import Operation, Submission, any_operation
from airflow_provider_streamtasks.protocol.rate_limits import RateLimit
from airflow_provider_streamtasks.protocol.wire import Request
from tests import json_values
from tests.fuzzing import fuzz

BATCH_UPDATE = {"operation": "hide", "filter": {"cids": {"$in": ["messaging:a"]}}}
UPDATE_DATA = {**BATCH_UPDATE, "operation": "updateData"}


# -- the table ---------------------------------------------------------------------------------------------


def test_the_catalogue_names_each_row_as_stream_does() -> None:
    assert len(CATALOGUE) == 17
    assert all(name == row.name == row.label for name, row in CATALOGUE.items())


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE)
def test_every_row_is_whole(row: Operation) -> None:
    assert row.path.startswith("/api/v2/")
    assert re.findall(r"{(\w+)}", row.path) == list(row.parameters)
    assert set(row.required) <= set(row.body)
    assert len(row.arguments) == len(set(row.arguments))
    assert row.sends_body or not (row.body or row.items)
    assert not (row.body and row.query)


@pytest.mark.parametrize(
    ("name", "cap"),
    [
        ("DeleteChannels", 100),
        ("ExportChannels", 25),
        ("DeleteUsers", 100),
        ("DeactivateUsers", 100),
        ("ReactivateUsers", 100),
        ("ExportUsers", 25),
        ("DeleteFeedsBatch", 100),
        ("ImportBlockList", 5000),
    ],
)
def test_one_request_carries_as_much_as_stream_allows(name: str, cap: int) -> None:
    items = CATALOGUE[name].items
    assert items is not None
    assert items.cap == cap


def test_the_other_operations_work_on_no_list() -> None:
    assert {name for name, row in CATALOGUE.items() if row.items is None} == {
        "ChannelBatchUpdate",
        "CreateImport",
        "CreateImportV2Task",
        "DeleteCall",
        "DeleteFeed",
        "DeleteFeedUserData",
        "ExportFeedUserData",
        "bulk_image_moderation",
        "export_logs",
    }


# -- requests ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "items", "options", "request_"),
    [
        (
            DELETE_CHANNELS,
            ["messaging:a", "messaging:a", "messaging:b"],
            {"hard_delete": True},
            Request(
                "DeleteChannels",
                "POST",
                "/api/v2/chat/channels/delete",
                {"cids": ["messaging:a", "messaging:b"], "hard_delete": True},
            ),
        ),
        (
            DELETE_CHANNELS,
            ["messaging:a"],
            {"hard_delete": None},
            Request("DeleteChannels", "POST", "/api/v2/chat/channels/delete", {"cids": ["messaging:a"]}),
        ),
        (
            CHANNEL_BATCH_UPDATE,
            [],
            BATCH_UPDATE,
            Request("ChannelBatchUpdate", "PUT", "/api/v2/chat/channels/batch", BATCH_UPDATE),
        ),
        (
            DELETE_CALL,
            (),
            {"call_type": "de/fault", "call_id": "a/b?"},
            Request("DeleteCall", "POST", "/api/v2/video/call/de%2Ffault/a%2Fb%3F/delete", {}),
        ),
        (
            DELETE_FEED,
            [],
            {"feed_group_id": "user", "feed_id": "joe", "hard_delete": True, "purge_user_activities": False},
            Request(
                "DeleteFeed",
                "DELETE",
                "/api/v2/feeds/feed_groups/user/feeds/joe",
                None,
                {"hard_delete": "true", "purge_user_activities": "false"},
            ),
        ),
        (
            EXPORT_FEED_USER_DATA,
            [],
            {"user_id": "joe"},
            Request("ExportFeedUserData", "POST", "/api/v2/feeds/users/joe/export"),
        ),
    ],
)
def test_the_request_is_the_one_that_stream_documents(
    operation: Operation, items: Any, options: dict[str, Any], request_: Request
) -> None:
    assert operation.request(items, options) == request_


@given(st.text(min_size=1, max_size=64).filter(lambda text: text not in (".", "..")))
def test_no_parameter_changes_the_endpoint(name: str) -> None:
    with suppress(ValueError):  # what is blank
        path = IMPORT_BLOCK_LIST.request(["word"], {"blocklist_id": name}).path
        assert re.fullmatch(r"/api/v2/blocklists/[\w.~%-]+/import", path, re.ASCII)


@pytest.mark.parametrize("count", [1, 99, 100])
def test_as_many_as_one_request_may_carry_are_taken(count: int) -> None:
    cids = [f"messaging:{number}" for number in range(count)]
    assert DELETE_CHANNELS.request(cids, {}).json == {"cids": cids}


@pytest.mark.parametrize(
    ("operation", "items", "words"),
    [
        (DELETE_CHANNELS, [f"messaging:{n}" for n in range(101)], "cids holds 101 items: one request"),
        (EXPORT_CHANNELS, [f"messaging:{n}" for n in range(26)], "channels holds 26 items"),
        (DELETE_CHANNELS, [], "cids is empty"),
        (DELETE_CHANNELS, ["general"], "an item of cids is 'general'"),
        # A string is iterable: without a check these would be users named by one letter each.
        (EXPORT_USERS, "joe", "user_ids is 'joe': a list is needed"),
        (EXPORT_USERS, None, "user_ids is None: a list is needed"),
        (EXPORT_USERS, 5, "user_ids is 5: a list is needed"),
        (EXPORT_USERS, b"joe", "user_ids is b'joe': a list is needed"),
        (EXPORT_USERS, {"joe": 1}, "user_ids is a dict: a list is needed"),
        (EXPORT_USERS, [""], "an item of user_ids is ''"),
        (IMPORT_BLOCK_LIST, ["a" * 4097], "an item of items has 4097 characters"),
        (DELETE_CHANNELS, ["messaging:"], "an item of cids is 'messaging:'"),
        (DELETE_CHANNELS, [" :a"], "an item of cids is ' :a'"),
        (DELETE_CHANNELS, ["messaging:a:b"], "an item of cids is 'messaging:a:b'"),
        (DELETE_CHANNELS, ["messaging:a,messaging:b"], "an item of cids is 'messaging:a,messaging:b'"),
        (DELETE_FEEDS, ["user"], "an item of feeds is 'user': a non-empty string like 'user:john'"),
    ],
)
def test_bad_items_are_refused(operation: Operation, items: Any, words: str) -> None:
    options = {"blocklist_id": "a"} if operation is IMPORT_BLOCK_LIST else {}
    with pytest.raises(ValueError, match=re.escape(words)):
        operation.request(items, options)


@pytest.mark.parametrize(
    ("operation", "item"),
    [
        (DELETE_CHANNELS, "messaging:general"),
        (DELETE_CHANNELS, "messaging:id.with.dots"),
        (DELETE_CHANNELS, "messaging:!members-vH3T"),
        (DELETE_CHANNELS, "my.type:José"),
        (DELETE_FEEDS, "user:john"),
        (DELETE_FEEDS, "user:a/b"),
        (DELETE_FEEDS, "user:tenant:john"),
    ],
)
def test_which_characters_an_id_may_have_is_left_to_stream(operation: Operation, item: str) -> None:
    body = operation.request([item], {}).json
    assert body is not None
    assert list(body.values()) == [[item]]


def test_items_for_an_operation_that_takes_none_are_refused() -> None:
    with pytest.raises(ValueError, match="items is a list: ExportFeedUserData takes none"):
        EXPORT_FEED_USER_DATA.request(["a"], {"user_id": "joe"})


# -- options -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "options", "words"),
    [
        (DELETE_CHANNELS, {"hard": True}, "DeleteChannels has no option 'hard': it has hard_delete"),
        (EXPORT_USERS, {"hard": True}, "ExportUsers has no option 'hard': it has none"),
        (DELETE_CHANNELS, {"hard_delete": "true"}, "hard_delete is 'true': True or False is needed"),
        (DELETE_CALL, {"call_id": "a"}, "call_type is missing: DeleteCall needs it"),
        (DELETE_CALL, {"call_type": None, "call_id": "a"}, "call_type is missing"),
        (DELETE_CALL, {"call_type": "a", "call_id": ".."}, "call_id is '..'"),
        (DELETE_CALL, {"call_type": "a" * 65, "call_id": "a"}, "call_type has 65 characters: 64 are allowed"),
        (BULK_IMAGE_MODERATION, {}, "csv_file is missing"),
        (BULK_IMAGE_MODERATION, {"csv_file": "images.csv"}, "csv_file is 'images.csv': a non-empty string"),
        (CHANNEL_BATCH_UPDATE, {"operation": "hide"}, "filter is missing"),
        (CHANNEL_BATCH_UPDATE, {**BATCH_UPDATE, "operation": "rename"}, "operation is 'rename': one of add"),
        (CHANNEL_BATCH_UPDATE, {**BATCH_UPDATE, "filter": {}}, "filter is empty: cids or types are needed"),
        (CHANNEL_BATCH_UPDATE, {**BATCH_UPDATE, "members": [{}]}, "members[0] is {}: it must hold 'user_id'"),
        (DELETE_USERS, {"user": "gone"}, "user is 'gone': one of soft, pruning, hard is needed"),
        (DELETE_USERS, {"conversations": "pruning"}, "conversations is 'pruning': one of soft, hard"),
        (DELETE_USERS, {"calls": "pruning"}, "calls is 'pruning': one of soft, hard"),
        (DELETE_USERS, {"user": ""}, "user is '': one of soft, pruning, hard"),
        (CHANNEL_BATCH_UPDATE, {**BATCH_UPDATE, "members": [5]}, "members[0] is 5: a user's id, or a dict"),
        (CHANNEL_BATCH_UPDATE, {**BATCH_UPDATE, "members": [""]}, "members[0] is '': a non-empty string"),
        (
            CHANNEL_BATCH_UPDATE,
            {**BATCH_UPDATE, "members": [{"user_id": "joe", "channel_role": 5}]},
            "members[0]['channel_role'] is 5: a non-empty string",
        ),
    ],
)
def test_bad_options_are_refused(operation: Operation, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        operation.parse(options)


@pytest.mark.parametrize(
    "condition",
    [
        {},
        [],
        "messaging:a",
        ["messaging:a"],
        {"$ne": "messaging:a"},
        {"$eq": "messaging:a", "$ne": "messaging:b"},
        {"$eq": ["messaging:a"]},
        {"$in": "messaging:a"},
        {"$in": []},
        {"$in": [5]},
    ],
)
def test_a_condition_that_stream_does_not_know_is_refused(condition: Any) -> None:
    with pytest.raises(ValueError, match=r"filter\['cids'\] is .*'\$eq': 'text'"):
        CHANNEL_BATCH_UPDATE.parse({"operation": "hide", "filter": {"cids": condition}})


@pytest.mark.parametrize(
    "filter_",
    [
        {"cids": {"$eq": "messaging:a"}},
        {"types": {"$in": ["messaging"]}},
        {"cids": {"$in": ("messaging:a",)}, "types": {"$eq": "messaging"}},
        {"cids": {"$eq": "messaging:a", "$in": ["messaging:b"]}},
    ],
)
def test_a_condition_that_stream_knows_is_taken(filter_: dict[str, Any]) -> None:
    assert CHANNEL_BATCH_UPDATE.parse({"operation": "hide", "filter": filter_})["filter"] == filter_


PURGE = "purge_user_activities is True, but hard_delete is not: Stream refuses that."
HISTORY = "hide_history_before must be given with 'addMembersHideHistory', and with nothing else"
TOGETHER: list[tuple[Operation, dict[str, Any], str | None]] = [
    (DELETE_USERS, {"user": "hard"}, None),
    (DELETE_USERS, {"user": "hard", "messages": "hard"}, None),
    (DELETE_USERS, {"user": "hard", "messages": "", "conversations": "", "calls": "soft"}, None),
    (DELETE_USERS, {"user": "hard", "messages": "soft"}, "user is 'hard' and messages is 'soft'"),
    (DELETE_USERS, {"user": "hard", "messages": "pruning"}, "user is 'hard' and messages is 'pruning'"),
    (
        DELETE_USERS,
        {"user": "hard", "messages": "hard", "conversations": "soft"},
        "user is 'hard' and conversations is 'soft': Stream refuses the two together. user='soft' and "
        "user='pruning' go with any conversations; user='hard' goes without conversations, or with 'hard', "
        "which destroys them",
    ),
    (DELETE_USERS, {"user": "hard", "messages": "hard", "conversations": "hard"}, None),
    (DELETE_USERS, {"user": "soft", "messages": "hard"}, None),
    (DELETE_USERS, {"messages": "hard"}, None),
    (DELETE_FEEDS, {"purge_user_activities": True}, PURGE),
    (DELETE_FEEDS, {"purge_user_activities": True, "hard_delete": False}, PURGE),
    (DELETE_FEEDS, {"purge_user_activities": True, "hard_delete": True}, None),
    (DELETE_FEEDS, {"purge_user_activities": False}, None),
    (EXPORT_CHANNELS, {"format": "csv"}, "format is 'csv': version must be 'v2'"),
    (EXPORT_CHANNELS, {"format": "csv", "version": "v1"}, "format is 'csv': version must be 'v2'"),
    (
        EXPORT_CHANNELS,
        {"format": "csv", "version": "v2", "export_users": True},
        "format is 'csv': export_users must not be True",
    ),
    (EXPORT_CHANNELS, {"include_fields": ["cid"]}, None),
    (EXPORT_CHANNELS, {"format": "csv", "version": "v2", "include_fields": ["cid"]}, None),
    (EXPORT_CHANNELS, {"format": "json", "export_users": True}, None),
    (DELETE_CHANNELS, {"skip_truncate": True}, None),
    (DELETE_CHANNELS, {"skip_truncate": False, "hard_delete": True}, None),
    (
        DELETE_CHANNELS,
        {"skip_truncate": True, "hard_delete": True},
        "skip_truncate is True: hard_delete must not be True",
    ),
    (CHANNEL_BATCH_UPDATE, {**BATCH_UPDATE, "operation": "addMembersHideHistory"}, HISTORY),
    (CHANNEL_BATCH_UPDATE, {**BATCH_UPDATE, "hide_history_before": "2026-01-01T00:00:00Z"}, HISTORY),
    (
        CHANNEL_BATCH_UPDATE,
        {
            **BATCH_UPDATE,
            "operation": "addMembersHideHistory",
            "hide_history_before": "2026-01-01T00:00:00Z",
        },
        None,
    ),
    (
        CHANNEL_BATCH_UPDATE,
        {**BATCH_UPDATE, "custom_set": {"a": 1}},
        "custom_set is given: operation must be 'updateData'",
    ),
    (CHANNEL_BATCH_UPDATE, {**UPDATE_DATA, "custom_set": {"a.b": 1}, "custom_unset": ["c"]}, None),
    (
        CHANNEL_BATCH_UPDATE,
        {**UPDATE_DATA, "custom_unset": ["c"], "data": {"custom": {}}},
        "custom_unset is given: data must not hold 'custom'",
    ),
    (CHANNEL_BATCH_UPDATE, {**UPDATE_DATA, "custom_unset": ["c"], "data": {"frozen": True}}, None),
    (CHANNEL_BATCH_UPDATE, {**UPDATE_DATA, "custom_unset": ["c"], "data": {"custom": None}}, None),
]


@pytest.mark.parametrize(("operation", "options", "problem"), TOGETHER)
def test_options_must_go_together(operation: Operation, options: dict[str, Any], problem: str | None) -> None:
    if problem is None:
        assert operation.parse(options) == options
        return
    with pytest.raises(ValueError, match=re.escape(problem)):
        operation.parse(options)


@pytest.mark.parametrize(("operation", "options", "problem"), TOGETHER)
def test_what_a_template_will_give_is_not_judged_yet(
    operation: Operation, options: dict[str, Any], problem: str | None
) -> None:
    templated = dict.fromkeys(options, "{{ params.x }}")
    assert operation.parse(templated, unknown=list(templated)) == {}


def test_members_may_be_plain_ids() -> None:
    members = ["joe", {"user_id": "ann", "channel_role": None, "color": "blue"}]
    checked = CHANNEL_BATCH_UPDATE.parse({**BATCH_UPDATE, "members": members})
    assert checked["members"] == [{"user_id": "joe"}, {"user_id": "ann", "color": "blue"}]


def test_what_no_template_will_give_is_judged_beside_what_one_will() -> None:
    with pytest.raises(ValueError, match="user is 'gone'"):
        DELETE_USERS.parse({"user": "gone", "messages": "{{ params.x }}"}, unknown=["messages"])


ANY = any_operation("New", "POST", "/api/v2/new", body=(), query=(), items=None)
RUN = any_operation("New", "POST", "/api/v2/new", body=(), query=(), items=None, id_at=("run", "task_id"))

GOOD = (True, "hard", "soft", "messaging:a", "v2", "csv", "hide", ["a"], {"types": {"$in": ["a"]}}, 1)


def something_like_a_submission(dice: json_values.Dice) -> tuple[Operation, dict[str, Any], list[Any]]:
    row = dice.of(tuple(CATALOGUE.values()))
    names = (*row.options, "other")
    options = {dice.of(names): dice.of(GOOD) if dice.roll(2) else dice.value() for _ in range(dice.roll(5))}
    return row, options, [dice.of(GOOD) if dice.roll(3) else dice.value() for _ in range(dice.roll(4))]


@fuzz(json_values.rolled(something_like_a_submission))
def test_whatever_is_given_is_a_request_or_refused(
    submission: tuple[Operation, dict[str, Any], list[Any]],
) -> None:
    row, options, items = submission
    with suppress(ValueError):
        request = row.request(items, options)
        assert as_it_is_sent(request.json)
        assert request.path.isascii()
        assert all(isinstance(text, str) for text in request.query.values())


def as_it_is_sent(body: Any) -> str:
    try:
        return json.dumps(body, allow_nan=False)
    except ValueError as error:
        raise AssertionError(f"{body} cannot be sent") from error


@fuzz(json_values.rolled(lambda dice: (dice.of(tuple(CATALOGUE.values())), dice.object())))
def test_whatever_is_answered_to_a_submission_is_read(answer: tuple[Operation, dict[str, Any]]) -> None:
    row, body = answer
    with suppress(StreamApiException):
        submission = row.read(body, None, 201)
        assert submission.task_id or body[row.at_once]
        assert submission.result is None or isinstance(submission.result, dict)


# -- operations that the catalogue does not have -----------------------------------------------------------


def test_an_operation_that_the_catalogue_does_not_have() -> None:
    operation = any_operation(
        "", "POST", "/api/v2/new/a%20b", body=["a"], query=["b"], items=Items("ids", 2, Anything())
    )
    assert operation.label == "POST /api/v2/new/a%20b"
    assert operation.request([1, {"k": None}], {"a": [None], "b": True}) == Request(
        operation.label, "POST", "/api/v2/new/a%20b", {"ids": [1, {"k": None}], "a": [None]}, {"b": "true"}
    )


@pytest.mark.parametrize("value", [["a", "b"], {"a": 1}, None])
def test_a_query_parameter_is_one_value(value: Any) -> None:
    operation = any_operation("", "POST", "/api/v2/new", body=(), query=["b"], items=None)
    with pytest.raises(ValueError, match=r"^b is .*: text, a number, True or False is needed"):
        operation.parse({"b": value}, given=["b"])


@pytest.mark.parametrize(
    ("body", "query", "words"),
    [
        (["a", "ids"], ["b"], "body holds 'ids', which items_field fills with the items"),
        (["a", "b"], ["b"], "query holds 'b', and so does body"),
        (["a"], ["api_key"], "query holds 'api_key', which comes from the Airflow connection: leave it out"),
    ],
)
def test_nothing_takes_the_place_of_another(body: list[str], query: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}"):
        any_operation("", "POST", "/api/v2/new", body=body, query=query, items=Items("ids", 2, Anything()))


def test_braces_in_its_path_are_no_parameters() -> None:
    operation = any_operation("New", "POST", "/api/v2/new/{x}", body=(), query=(), items=None)
    assert operation.request([], {}).path == "/api/v2/new/{x}"


@pytest.mark.parametrize(
    ("method", "body"), [("POST", {}), ("PUT", {}), ("PATCH", {}), ("DELETE", None), ("GET", None)]
)
def test_only_requests_that_usually_have_a_body_get_an_empty_one(method: str, body: Any) -> None:
    operation = any_operation("New", method, "/api/v2/new", body=(), query=(), items=None)
    assert operation.request([], {}).json == body


def test_a_body_that_is_given_is_sent_with_any_method() -> None:
    operation = any_operation("New", "DELETE", "/api/v2/new", body=["a"], query=(), items=None)
    assert operation.request([], {"a": 1}).json == {"a": 1}


# -- answers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "task_id", "result"),
    [
        ({"task_id": "a", "result": {}}, "a", {}),
        ({"task_id": "", "result": {"messaging:a": {}}}, None, {"messaging:a": {}}),
        ({"result": {"messaging:a": {}}}, None, {"messaging:a": {}}),
        ({"task_id": "a", "result": []}, "a", None),
        ({"task_id": "a"}, "a", None),
    ],
)
def test_what_stream_answers_to_a_submission(
    body: dict[str, Any], task_id: str | None, result: dict[str, Any] | None
) -> None:
    budget = RateLimit(60, 59, 20)
    assert DELETE_CHANNELS.read(body, budget, 201) == Submission(task_id, result, budget)


@pytest.mark.parametrize(
    ("operation", "body", "words"),
    [
        (DELETE_CHANNELS, {}, "DeleteChannels: the answer holds no id at 'task_id', but nothing"),
        (DELETE_CHANNELS, {"duration": "1ms"}, "the answer holds no id at 'task_id', but 'duration'"),
        (DELETE_CHANNELS, {"task_id": 5, "result": []}, "no id at 'task_id', but 'task_id', 'result'"),
        (DELETE_CHANNELS, {"task_id": None, "result": {}}, "no id at 'task_id'"),
        (DELETE_CALL, {"result": {"a:b": {}}}, "DeleteCall: the answer holds no id at 'task_id'"),
        (EXPORT_USERS, {"result": {"joe": {}}}, "ExportUsers: the answer holds no id at 'task_id'"),
        (
            EXPORT_MODERATION_LOGS,
            {"export_url": "https://x.example/logs.csv?Signature=a", "status": "completed"},
            "export_logs: the answer holds no id at 'task_id', but 'export_url', 'status'",
        ),
        (RUN, {"run": {"id": "a"}}, "New: the answer holds no id at 'run.task_id', but 'run'"),
        (RUN, {"task_id": "a", "run": "b"}, "no id at 'run.task_id', but 'task_id', 'run'"),
    ],
)
def test_an_answer_without_an_id_is_an_error(operation: Operation, body: dict[str, Any], words: str) -> None:
    with pytest.raises(StreamApiException, match=re.escape(words)) as caught:
        operation.read(body, None, 201)
    # Stream has accepted something, so it must not be sent again.
    assert is_ambiguous(caught.value)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"status": "failed", "description": "frozen"}, "the result in the answer is 'failed': frozen"),
        ({"status": "Error"}, "is 'error': Stream gives no reason"),
        ({"status": "running"}, "is 'running'"),
    ],
)
@pytest.mark.parametrize("operation", [DELETE_CHANNELS, ANY])
def test_a_result_at_once_that_failed_is_no_success(
    operation: Operation, result: dict[str, Any], words: str
) -> None:
    with pytest.raises(StreamApiException, match=re.escape(words)) as caught:
        operation.read({"result": result}, None, 201)
    assert is_ambiguous(caught.value)
    # Where there is a Stream task, it tells how the work ended.
    assert operation.read({"result": result, "task_id": "a"}, None, 201).task_id == "a"
    assert operation.read({"result": {"status": "ok"}}, None, 201).task_id is None


@pytest.mark.parametrize(
    ("operation", "body", "task_id"),
    [
        (DELETE_CALL, {"call": {"cid": "default:a"}}, None),
        (DELETE_CALL, {"call": {"cid": "default:a"}, "task_id": "a"}, "a"),
        (RUN, {"run": {"task_id": "a"}, "task_id": "b"}, "a"),
    ],
)
def test_each_operation_has_its_own_sign_of_what_was_done(
    operation: Operation, body: dict[str, Any], task_id: str | None
) -> None:
    assert operation.read(body, None, 201).task_id == task_id
