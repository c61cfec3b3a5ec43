"""What all operators do, done with each of them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from airflow.sdk import DAG, Context

from airflow_provider_streamtasks.exceptions import StreamApiException, StreamTaskException
from airflow_provider_streamtasks.operators.base import StreamBaseOperator
from airflow_provider_streamtasks.operators.chat import (
    StreamChannelBatchUpdateOperator,
    StreamDeleteChannelsOperator,
    StreamExportChannelsOperator,
)
from airflow_provider_streamtasks.operators.feeds import (
    StreamDeleteFeedOperator,
    StreamDeleteFeedsOperator,
    StreamDeleteFeedUserDataOperator,
    StreamExportFeedUserDataOperator,
)
from airflow_provider_streamtasks.operators.moderation import (
    StreamBulkImageModerationOperator,
    StreamExportModerationLogsOperator,
    StreamImportBlockListOperator,
)
from airflow_provider_streamtasks.operators.users import (
    StreamDeactivateUsersOperator,
    StreamDeleteUsersOperator,
    StreamExportUsersOperator,
    StreamReactivateUsersOperator,
)
from airflow_provider_streamtasks.operators.video import StreamDeleteCallOperator
from airflow_provider_streamtasks.sandbox import SandboxControl
from tests.airflow_tasks import Run
from tests.every_operator import OPERATORS, make, name_of

EVERY = pytest.mark.parametrize("operator", OPERATORS, ids=name_of)
WAYS: dict[str, dict[str, Any]] = {
    "on-the-worker": {"wait_for_completion": True, "deferrable": False, "wait_timeout": 20},
    "deferred": {"wait_for_completion": True, "deferrable": True, "wait_timeout": 20},
}


@pytest.fixture
def run(connection: None) -> Run:
    return Run()


# -- against the sandbox, which checks what it gets as Stream's specification says -------------------------


@EVERY
def test_it_submits(operator: type[StreamBaseOperator], run: Run, control: SandboxControl) -> None:
    task_id = run.execute(lambda: make(operator))
    (request,) = control.journal(operator.stream_operation.name)
    assert request["status"] in (200, 201)
    assert request["stream_task_id"] == task_id
    assert run.xcoms == {"return_value": task_id, "task_ids": [task_id]}
    assert control.journal("GetTask") == []


@EVERY
def test_it_asks_for_the_budget_first(
    operator: type[StreamBaseOperator], run: Run, control: SandboxControl
) -> None:
    run.execute(lambda: make(operator))
    name = operator.stream_operation.name
    assert [request["operation"] for request in control.journal()] == ["GetRateLimits", name]
    assert control.journal("GetRateLimits")[0]["query"]["endpoints"] == name


@EVERY
@pytest.mark.parametrize("way", WAYS)
def test_it_waits(operator: type[StreamBaseOperator], way: str, run: Run, control: SandboxControl) -> None:
    control.fate(pending=0, running=0)
    task_id = run.execute(lambda: make(operator, **WAYS[way]))
    (task,) = control.tasks()
    assert task["stream_task_id"] == task_id
    assert run.xcoms["return_value"] == task_id
    assert run.xcoms["result"]


@EVERY
@pytest.mark.parametrize("way", WAYS)
def test_it_fails_as_stream_does(
    operator: type[StreamBaseOperator], way: str, run: Run, control: SandboxControl
) -> None:
    control.fate(pending=0, running=0, end="failed", error={"type": "storage", "description": "full"})
    with pytest.raises(StreamTaskException, match="storage: full"):
        run.execute(lambda: make(operator, **WAYS[way]))


@EVERY
def test_a_retry_after_stream_failed_submits_again(
    operator: type[StreamBaseOperator], run: Run, control: SandboxControl
) -> None:
    control.fate(pending=0, running=0)
    control.fate(pending=0, running=0, end="failed", times=1)
    with pytest.raises(StreamTaskException):
        run.execute(lambda: make(operator, **WAYS["on-the-worker"]))
    task_id = run.execute(lambda: make(operator, **WAYS["on-the-worker"]))
    first, second = control.journal(operator.stream_operation.name)
    assert first["body"] == second["body"]
    assert second["stream_task_id"] == task_id != first["stream_task_id"]


@EVERY
def test_a_retry_after_success_submits_nothing(
    operator: type[StreamBaseOperator], run: Run, control: SandboxControl
) -> None:
    ids = [run.execute(lambda: make(operator)) for _ in range(2)]
    assert ids[0] == ids[1]
    assert len(control.journal(operator.stream_operation.name)) == 1


@EVERY
def test_what_stream_refuses_is_a_failure_with_streams_words(
    operator: type[StreamBaseOperator], run: Run, control: SandboxControl
) -> None:
    name = operator.stream_operation.name
    control.fault("api_error", operation=name, status=404, code=16, message="Can't find it")
    with pytest.raises(StreamApiException, match="Can't find it"):
        run.execute(lambda: make(operator))
    assert len(control.journal(name)) == 1
    assert run.xcoms == {"task_ids": []}


# -- bad input ---------------------------------------------------------------------------------------------

FLAG = "True or False is needed"
TEXT = "a non-empty string"
ALLOWED_USERS: list[tuple[type[StreamBaseOperator], int]] = [
    (StreamDeleteUsersOperator, 255),
    (StreamDeactivateUsersOperator, 255),
    (StreamReactivateUsersOperator, 255),
    (StreamExportUsersOperator, 255),
]
SLIPS = "without blanks, quotes, brackets, braces or commas is needed"
SLIPPED = (" joe", "joe\n", "joe\x00", "joe\x7f", "joe\u00a0", "joe,ann", "['joe', 'ann']", '"joe"')
MODES = [(mode, "soft, pruning, hard") for mode in ("user", "messages")] + [
    (mode, "soft, hard") for mode in ("conversations", "calls")
]

BAD: list[tuple[type[StreamBaseOperator], str, Any, str]] = [
    *((StreamDeleteChannelsOperator, "cids", value, TEXT) for value in (["general"], [""], [5], [None])),
    (StreamDeleteChannelsOperator, "cids", ["a:b", "a:b c"], "like 'messaging:general'"),
    (StreamDeleteChannelsOperator, "hard_delete", "True", FLAG),
    (StreamDeleteChannelsOperator, "hard_delete", 1, FLAG),
    (StreamDeleteChannelsOperator, "skip_truncate", "yes", FLAG),
    (StreamDeleteChannelsOperator, "skip_truncate", True, "hard_delete must not be True"),
    (StreamExportChannelsOperator, "channels", ["general"], "like 'messaging:general'"),
    (StreamExportChannelsOperator, "channels", [{"type": "messaging"}], "'cid', or 'type' and 'id'"),
    (StreamExportChannelsOperator, "channels", [{"cid": "a:b", "since": 1}], "only cid, type, id"),
    (
        StreamExportChannelsOperator,
        "channels",
        [{"cid": "a:b", "messages_since": "2026-01-31"}],
        "a datetime with a time zone",
    ),
    (StreamExportChannelsOperator, "version", "", TEXT),
    (StreamExportChannelsOperator, "format", "xml", "one of json, csv is needed"),
    (StreamExportChannelsOperator, "format", "csv", "version must be 'v2'"),
    (StreamExportChannelsOperator, "include_fields", "cid", "a non-empty list is needed"),
    (StreamExportChannelsOperator, "include_fields", [""], TEXT),
    *(
        (StreamExportChannelsOperator, flag, "yes", FLAG)
        for flag in (
            "clear_deleted_message_text",
            "include_truncated_messages",
            "include_soft_deleted_channels",
            "export_users",
        )
    ),
    (StreamChannelBatchUpdateOperator, "operation", "rename", "one of addMembers, addMembersHide"),
    (StreamChannelBatchUpdateOperator, "operation", None, "ChannelBatchUpdate needs it"),
    (StreamChannelBatchUpdateOperator, "filter", "cids", "a dictionary with string keys is needed"),
    (StreamChannelBatchUpdateOperator, "filter", {}, "cids or types are needed"),
    (StreamChannelBatchUpdateOperator, "filter", {"team": {"$eq": "red"}}, "only cids and types are allowed"),
    (
        StreamChannelBatchUpdateOperator,
        "filter",
        {"cids": ["messaging:a"]},
        "{'$in': ['text', ...]} is needed",
    ),
    (StreamChannelBatchUpdateOperator, "members", [], "a non-empty list is needed"),
    (StreamChannelBatchUpdateOperator, "members", [{"user_id": "joe"}] * 101, "100 are allowed"),
    (StreamChannelBatchUpdateOperator, "members", [{"role": "x"}], "it must hold 'user_id'"),
    (StreamChannelBatchUpdateOperator, "members", [5], "a user's id, or a dictionary with 'user_id'"),
    (StreamChannelBatchUpdateOperator, "members", ["x" * 256], "255 are allowed"),
    (StreamChannelBatchUpdateOperator, "data", ["frozen"], "a dictionary with string keys is needed"),
    (StreamChannelBatchUpdateOperator, "hide_history_before", "yesterday", "a datetime with a time zone"),
    (
        StreamChannelBatchUpdateOperator,
        "hide_history_before",
        "2026-01-31T00:00:00Z",
        "addMembersHideHistory",
    ),
    (StreamChannelBatchUpdateOperator, "custom_set", ["a"], "a dictionary with string keys is needed"),
    (StreamChannelBatchUpdateOperator, "custom_set", {"a": 1}, "operation must be 'updateData'"),
    (StreamChannelBatchUpdateOperator, "custom_unset", [], "a non-empty list is needed"),
    (StreamChannelBatchUpdateOperator, "custom_unset", [""], TEXT),
    *((operator, "user_ids", [""], TEXT) for operator, _ in ALLOWED_USERS),
    *((operator, "user_ids", [5], TEXT) for operator, _ in ALLOWED_USERS),
    *((operator, "user_ids", ["ann", "joe "], SLIPS) for operator, _ in ALLOWED_USERS),
    *((StreamDeleteUsersOperator, "user_ids", [slip], SLIPS) for slip in SLIPPED),
    *((StreamDeleteUsersOperator, "new_channel_owner_id", slip, SLIPS) for slip in SLIPPED),
    *((StreamDeleteChannelsOperator, "cids", [f"a:{slip}"], SLIPS) for slip in SLIPPED),
    *((StreamDeleteFeedsOperator, "feeds", [f"user:{slip}"], SLIPS) for slip in SLIPPED),
    (StreamExportChannelsOperator, "channels", [{"type": "messaging", "id": "a b"}], SLIPS),
    (StreamChannelBatchUpdateOperator, "members", ["joe "], SLIPS),
    (StreamChannelBatchUpdateOperator, "filter", {"cids": {"$in": ["a:b", "a:c "]}}, SLIPS),
    (StreamChannelBatchUpdateOperator, "filter", {"cids": {"$eq": "general"}}, "like 'messaging:general'"),
    (StreamChannelBatchUpdateOperator, "filter", {"types": {"$eq": " "}}, "like 'messaging'"),
    *((operator, "user_ids", ["x" * (most + 1)], f"{most} are allowed") for operator, most in ALLOWED_USERS),
    *((StreamDeleteUsersOperator, mode, "gone", f"one of {words} is needed") for mode, words in MODES),
    (StreamDeleteUsersOperator, "files", "no", FLAG),
    (StreamDeleteUsersOperator, "new_channel_owner_id", "", TEXT),
    (StreamDeleteUsersOperator, "new_call_owner_id", 5, TEXT),
    (StreamDeactivateUsersOperator, "created_by_id", "", TEXT),
    (StreamDeactivateUsersOperator, "mark_messages_deleted", "no", FLAG),
    (StreamDeactivateUsersOperator, "mark_channels_deleted", "no", FLAG),
    (StreamReactivateUsersOperator, "created_by_id", "", TEXT),
    (StreamReactivateUsersOperator, "restore_messages", "no", FLAG),
    (StreamReactivateUsersOperator, "restore_channels", "no", FLAG),
    *(
        (operator, name, value, words)
        for operator, name, most in (
            (StreamDeleteCallOperator, "call_type", 64),
            (StreamDeleteCallOperator, "call_id", 64),
            (StreamDeleteFeedOperator, "feed_group_id", 255),
            (StreamDeleteFeedOperator, "feed_id", 255),
            (StreamDeleteFeedUserDataOperator, "user_id", 255),
            (StreamExportFeedUserDataOperator, "user_id", 255),
            (StreamImportBlockListOperator, "blocklist_id", 4096),
        )
        for value, words in (
            ("", TEXT),
            (None, "needs it"),
            (5, TEXT),
            ("..", "can stand in a URL"),
            ("x" * (most + 1), f"{most} are allowed"),
            *([("joe ", SLIPS)] if most < 4096 else []),
        )
    ),
    (StreamDeleteCallOperator, "hard", "yes", FLAG),
    (StreamDeleteFeedOperator, "hard_delete", "yes", FLAG),
    (StreamDeleteFeedOperator, "purge_user_activities", "yes", FLAG),
    (StreamDeleteFeedsOperator, "feeds", ["joe"], "like 'user:john'"),
    (StreamDeleteFeedsOperator, "hard_delete", "yes", FLAG),
    (StreamDeleteFeedsOperator, "purge_user_activities", True, "hard_delete is not: Stream refuses"),
    (StreamDeleteFeedUserDataOperator, "hard_delete", "yes", FLAG),
    (StreamImportBlockListOperator, "items", [""], TEXT),
    (StreamImportBlockListOperator, "items", ["x" * 4097], "4096 are allowed"),
    (StreamImportBlockListOperator, "chunk_size", 0, "a whole number, 1 or more, is needed"),
    (StreamImportBlockListOperator, "chunk_size", "500", "a whole number, 1 or more, is needed"),
    (StreamBulkImageModerationOperator, "csv_file", "images.csv", "like 'https://example.com/images.csv'"),
    (StreamBulkImageModerationOperator, "csv_file", None, "needs it"),
    (StreamExportModerationLogsOperator, "filter", {}, "leave filter out to export all logs"),
    (StreamExportModerationLogsOperator, "filter", ["a"], "a dictionary with string keys is needed"),
    (StreamExportModerationLogsOperator, "format", "", TEXT),
    *(
        (operator, operator.stream_operation.items.name, value, words)
        for operator in OPERATORS
        if operator.stream_operation.items
        for value, words in (
            ([], "at least one item is needed"),
            (None, "a list, the output of another Airflow task, a callable"),
            ("messaging:a", "a list, the output of another Airflow task, a callable"),
            ("['messaging:a', 'messaging:b']", "a list, the output of another Airflow task, a callable"),
            (5, "a list, the output of another Airflow task, a callable"),
            ({"messaging:a": 1}, "a list, the output of another Airflow task, a callable"),
        )
    ),
]
EACH_BAD = pytest.mark.parametrize(
    ("operator", "argument", "value", "allowed"),
    [pytest.param(*case, id=f"{name_of(case[0])}-{case[1]}-{i}") for i, case in enumerate(BAD)],
)


@EACH_BAD
def test_a_bad_argument_is_refused_when_the_dag_is_parsed(
    operator: type[StreamBaseOperator], argument: str, value: Any, allowed: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(allowed)) as raised:
        make(operator, **{argument: value})
    assert argument in str(raised.value)


@EACH_BAD
def test_a_bad_argument_from_a_template_is_refused_before_the_first_request(
    operator: type[StreamBaseOperator],
    argument: str,
    value: Any,
    allowed: str,
    run: Run,
    control: SandboxControl,
) -> None:
    native = not isinstance(value, str)  # which would make a list of text that looks like one
    with DAG("dag", schedule=None, render_template_as_native_obj=native):
        made = make(operator, **{argument: "{{ params.given }}"})
    made.render_template_fields(Context(params={"given": value}))
    assert getattr(made, argument) == value
    words = "gave None" if value is None else allowed
    with pytest.raises(ValueError, match=re.escape(words)) as raised:
        made.execute(run.context)
    assert argument in str(raised.value)
    assert control.journal() == []


@pytest.mark.parametrize(
    ("operator", "argument"),
    [
        pytest.param(operator, argument, id=f"{name_of(operator)}-{argument}")
        for operator in OPERATORS
        for argument in operator.stream_operation.options
    ],
)
def test_an_argument_of_which_a_template_leaves_nothing_is_not_left_out(
    operator: type[StreamBaseOperator], argument: str, run: Run, control: SandboxControl
) -> None:
    with DAG("dag", schedule=None, render_template_as_native_obj=True):
        made = make(operator, **{argument: "{{ params.given }}"})
    made.render_template_fields(Context(params={"given": None}))
    assert getattr(made, argument) is None
    with pytest.raises(ValueError, match=f"^{argument} is "):
        made.execute(run.context)
    assert control.journal() == []


@EVERY
def test_who_is_to_defer_a_wait_says_that_there_is_one(operator: type[StreamBaseOperator]) -> None:
    with pytest.raises(ValueError, match=r"^deferrable is True: it needs wait_for_completion=True"):
        make(operator, deferrable=True)
    for given in ({"deferrable": False}, {"deferrable": True, "wait_for_completion": True}):
        assert make(operator, **given).deferrable is given["deferrable"]
    with DAG("dag", schedule=None, default_args={"deferrable": True}):
        assert make(operator).wait_for_completion is False


def test_every_argument_of_every_operator_has_been_given_something_bad() -> None:
    for operator in OPERATORS:
        bad = {argument for each, argument, *_ in BAD if each is operator}
        assert bad == set(operator.stream_operation.arguments)


@EVERY
@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("on_ambiguous", "ignore"),
        ("wait_for_completion", "yes"),
        ("wait_timeout", -1),
        ("poll_interval", "1"),
    ],
)
def test_what_all_operators_take_is_checked_in_each(
    operator: type[StreamBaseOperator], argument: str, value: Any
) -> None:
    with pytest.raises(ValueError, match=f"^{argument} is {value!r}: "):
        make(operator, **{argument: value})
