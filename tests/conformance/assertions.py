"""The table: what Stream's own public test suites assert of asynchronous operations.

Those suites run against Stream itself, so what they assert is what Stream does. Each row is a test against
the sandbox and one through an operator and a sensor. ``python -m tests.conformance`` prints
``docs/generated/conformance_suites.inc`` from it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from airflow_provider_streamtasks.operators.base import StreamBaseOperator
from airflow_provider_streamtasks.operators.chat import (
    StreamChannelBatchUpdateOperator,
    StreamDeleteChannelsOperator,
    StreamExportChannelsOperator,
)
from airflow_provider_streamtasks.operators.users import (
    StreamDeactivateUsersOperator,
    StreamDeleteUsersOperator,
    StreamExportUsersOperator,
    StreamReactivateUsersOperator,
)
from airflow_provider_streamtasks.operators.video import StreamDeleteCallOperator

COMMITS = {
    "getstream-go": "1e15fa44ad2ecfd5bdf200e88929c69c46cb2bf7",
    "getstream-net": "2c93718bce6725e32660c1f524cef75cffd16650",
    "getstream-php": "8e813bd3fbe1037180fe51892e7b20f3f682faf5",
    "getstream-ruby": "d41444d3f434713fa87e3125c4ad41a821e5af3e",
    "stream-chat-go": "8b205703dd11720abcaffb7998da115c622e4d5c",
    "stream-chat-java": "71d57b17395d37b903a2cf6d7d3ecea985b7937c",
    "stream-chat-net": "91cb1093522057e1a89ef7a9915739d646d0eac8",
    "stream-chat-php": "b2b48edcddba41ed836bcada9f6e112f469788d9",
    "stream-chat-python": "02f694fd4c4012548acb29a986f598fcc4d58bb8",
    "stream-chat-ruby": "9b36cfbd0964db2f45cc450facc64c5d93d6cf71",
    "stream-cli": "f6d466ac773fc08d611ae62f17534d9fcb1bba24",
    "stream-node": "7288528b2d10b1c1202b00ae937ba566f6b3eb0c",
    "stream-py": "dfbfaf8864e8ac4ee508c1360d38a2d9ce675af7",
    "stream-sdk-java": "516d0dc1702a7565f5adaa2057ade52ea5d24e06",
}
"""Repository of Stream's on GitHub -> the commit that was read."""

_JAVA_CHAT = "src/test/java/io/getstream/chat/java/"
_JAVA = "src/test/java/io/getstream/"
_PYTHON_CHAT = "stream_chat/tests/"


@dataclass(frozen=True)
class Suite:
    """Where something is asserted.

    :param repository: of Stream's on GitHub
    :param file: path in it
    :param test: the test, or the helper that its tests share
    """

    repository: str
    file: str
    test: str

    @property
    def url(self) -> str:
        return f"https://github.com/GetStream/{self.repository}/blob/{COMMITS[self.repository]}/{self.file}"


class Outcome(Enum):
    """What becomes of the work, to an operator that waits and to a sensor."""

    ANSWERED = "answered"
    COMPLETED = "completed"
    DONE = "done at once, without a Stream task"
    FAILED = "failed"
    OPEN = "waited for"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Assertion:
    """One thing that Stream's suites assert.

    :param operation: Stream's name of the operation
    :param case: tells rows of the same operation apart
    :param answer: of the answer, in words
    :param task: of the Stream task in the end, in words
    :param by: who asserts it: repository, file and test, with blanks between
    :param outcome: what becomes of it here
    :param method: of the request
    :param path: of API v2; API v1 has it without ``/api/v2`` and ``/chat``. Empty where the test is written
        out
    :param only_v1: whether only API v1 has it
    :param body: of the request
    :param fate: what the sandbox lets become of the Stream task
    :param answer_holds: what the answer must hold, as :func:`holds` reads it
    :param task_holds: what the Stream task must hold in the end
    :param refusal: what Stream's refusal says, or why Stream's work failed
    :param shown_at: the path of the Stream task, where it is not that of ``GetTask``
    :param strict: whether it needs a sandbox that only has the channel ``messaging:a``
    :param operator: the operator that does the same, with its arguments; ``None`` where only the sensor does
    """

    operation: str
    case: str
    answer: str
    task: str = ""
    by: Sequence[str]
    outcome: Outcome
    method: str = "POST"
    path: str = ""
    only_v1: bool = False
    body: Mapping[str, Any] | None = None
    fate: Mapping[str, Any] = field(default_factory=dict)
    answer_holds: Mapping[str, Any] = field(default_factory=dict)
    task_holds: Mapping[str, Any] = field(default_factory=dict)
    refusal: str = ""
    shown_at: str = "/api/v2/tasks/{}"
    strict: bool = False
    operator: tuple[type[StreamBaseOperator], Mapping[str, Any]] | None = None

    @property
    def label(self) -> str:
        return f"{self.operation}-{self.case}"

    @property
    def suites(self) -> list[Suite]:
        return [Suite(*each.split(" ", 2)) for each in self.by]


def holds(value: Any, expected: Any) -> bool:
    """Whether a value is as expected: objects may hold more, functions judge by themselves."""
    if callable(expected):
        return bool(expected(value))
    if isinstance(expected, Mapping):
        return isinstance(value, Mapping) and all(
            holds(value.get(name, ABSENT), each) for name, each in expected.items()
        )
    if isinstance(expected, list):
        return isinstance(value, list) and len(value) == len(expected) and all(map(holds, value, expected))
    return bool(value == expected)


ABSENT = object()


def absent(value: Any) -> bool:
    return value in (ABSENT, None)


def some(value: Any) -> bool:
    return bool(value) and value is not ABSENT


def an_id(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 36 and bool(uuid.UUID(value))


def a_time(value: Any) -> bool:
    return isinstance(value, str) and bool(datetime.fromisoformat(value.replace("Z", "+00:00")))


def containing(part: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and part in value


def budgets_of(*names: str, used: Sequence[str] = ()) -> Callable[[Any], bool]:
    """Whether these endpoints have budgets, no others do, and which of them are begun."""
    return lambda budgets: (
        budgets.keys() == set(names)
        and {name for name, budget in budgets.items() if budget["remaining"] < budget["limit"]} == set(used)
    )


OK = {"status": "ok"}
_ID = {"task_id": an_id}
_PAIR = {"cids": {"$in": ["messaging:a", "messaging:b"]}}
_ANN = [{"user_id": "ann"}]
_UPDATE = "/api/v2/chat/channels/batch"
_DELETE_CHANNELS = "/api/v2/chat/channels/delete"
_DELETE_USERS = "/api/v2/users/delete"
_EXPORT = "/api/v2/chat/export_channels"
_UNKNOWN_ID = "7586fa0d-dc8d-4f6f-be2d-f952d0e26167"


_UPDATERS = (
    f"stream-chat-python {_PYTHON_CHAT}test_channel_batch_updater.py test_channel_batch_updater_add_members",
    "stream-chat-go channel_batch_updater_test.go TestChannelBatchUpdater_AddMembers",
    "stream-chat-ruby spec/channel_batch_updater_spec.rb wait_for_task",
)
_JAVA_WAIT = f"stream-chat-java {_JAVA_CHAT}BasicTest.java waitForTaskCompletion"


def _update(case: str, operation: str, *by: str, **others: Any) -> Assertion:
    return Assertion(
        **{
            "operation": "ChannelBatchUpdate",
            "case": case,
            "answer": "``task_id``",
            "task": "``completed``",
            "by": by,
            "outcome": Outcome.COMPLETED,
            "method": "PUT",
            "path": _UPDATE,
            "body": {"operation": operation, "filter": _PAIR, "members": _ANN},
            "answer_holds": _ID,
            "task_holds": {"status": "completed"},
            "operator": (
                StreamChannelBatchUpdateOperator,
                {"operation": operation, "filter": _PAIR, "members": _ANN},
            ),
            **others,
        }
    )


def _delete_users(case: str, options: Mapping[str, str], *by: str, **others: Any) -> Assertion:
    return Assertion(
        **{
            "operation": "DeleteUsers",
            "case": case,
            "answer": "``task_id``",
            "by": by,
            "outcome": Outcome.COMPLETED,
            "path": _DELETE_USERS,
            "body": {"user_ids": ["ann"], **options},
            "answer_holds": _ID,
            "operator": (StreamDeleteUsersOperator, {"user_ids": ["ann"], **options}),
            **others,
        }
    )


ASSERTIONS = (
    Assertion(
        operation="DeleteChannels",
        case="hard",
        answer="``task_id``",
        task="``completed``, and of each channel ``status`` is ``ok``",
        by=(
            "stream-chat-go async_tasks_test.go TestClient_DeleteChannels",
            "stream-chat-ruby spec/client_spec.rb request delete channels",
            "stream-chat-php tests/integration/IntegrationTest.php testDeleteChannels",
            "stream-py tests/test_chat_channel.py test_delete_channels",
            "getstream-go chat_channel_integration_test.go HardDeleteChannels",
            "getstream-ruby spec/integration/chat_channel_integration_spec.rb "
            "hard deletes 2 channels via batch and polls task",
            "getstream-php tests/Integration/ChatChannelIntegrationTest.php testHardDeleteChannels",
            "getstream-net tests/ChatChannelIntegrationTests.cs HardDeleteChannels",
            f"stream-sdk-java {_JAVA}ChatChannelIntegrationTest.java testHardDeleteChannels",
        ),
        outcome=Outcome.COMPLETED,
        path=_DELETE_CHANNELS,
        body={"cids": ["messaging:a", "messaging:b"], "hard_delete": True},
        answer_holds=_ID,
        task_holds={"status": "completed", "result": {"messaging:a": OK, "messaging:b": OK}},
        operator=(
            StreamDeleteChannelsOperator,
            {"cids": ["messaging:a", "messaging:b"], "hard_delete": True},
        ),
    ),
    Assertion(
        operation="DeleteChannels",
        case="soft",
        answer="``task_id``, as for a hard deletion",
        task="``completed``, and of each channel ``status`` is ``ok``",
        by=(
            f"stream-chat-python {_PYTHON_CHAT}test_client.py test_delete_channels",
            f"stream-chat-python {_PYTHON_CHAT}async_chat/test_client.py test_delete_channels",
            f"stream-chat-java {_JAVA_CHAT}ChannelTest.java whenDeletingManyChannels_thenTaskIdIsReturned",
            f"stream-chat-java {_JAVA_CHAT}TaskStatusTest.java whenTaskHasBeenExecuted_thenGetItById",
        ),
        outcome=Outcome.COMPLETED,
        path=_DELETE_CHANNELS,
        body={"cids": ["messaging:a"]},
        answer_holds=_ID,
        task_holds={"status": "completed", "result": {"messaging:a": OK}},
        operator=(StreamDeleteChannelsOperator, {"cids": ["messaging:a"]}),
    ),
    Assertion(
        operation="DeleteChannels",
        case="of none",
        answer="an error",
        by=("stream-chat-go async_tasks_test.go TestClient_DeleteChannels",),
        outcome=Outcome.REFUSED,
        path=_DELETE_CHANNELS,
        body={"cids": [], "hard_delete": True},
        operator=(StreamDeleteChannelsOperator, {"cids": [], "hard_delete": True}),
    ),
    Assertion(
        operation="ExportChannels",
        case="by type and id",
        answer="``task_id``",
        task="``completed``; ``result.url`` is there, ``error`` is not",
        by=(
            f"stream-chat-python {_PYTHON_CHAT}test_channel.py test_export_channel",
            f"stream-chat-python {_PYTHON_CHAT}async_chat/test_channel.py test_export_channel",
            "stream-chat-ruby spec/client_spec.rb request the channel export",
            "stream-chat-net tests/ChannelClientTests.cs TestGetExportChannelAsync",
            f"stream-chat-java {_JAVA_CHAT}ChannelTest.java whenExportingChannel_thenNoException",
            "stream-py tests/test_chat_channel.py test_export_channel",
            "stream-node __tests__/channel.test.ts export",
            "getstream-go chat_misc_integration_test.go TestChatExportChannelsIntegration",
            "getstream-ruby spec/integration/chat_misc_integration_spec.rb "
            "exports channel messages and polls task until completed",
            "getstream-php tests/Integration/ChatMiscIntegrationTest.php exportsChannels",
            "getstream-net tests/ChatMiscIntegrationTests.cs ExportChannels",
            f"stream-sdk-java {_JAVA}ChatMiscIntegrationTest.java testExportChannels",
        ),
        outcome=Outcome.COMPLETED,
        path=_EXPORT,
        body={"channels": [{"type": "messaging", "id": "a"}], "include_truncated_messages": True},
        answer_holds=_ID,
        task_holds={"status": "completed", "result": {"url": some}, "error": absent},
        operator=(
            StreamExportChannelsOperator,
            {"channels": [{"type": "messaging", "id": "a"}], "include_truncated_messages": True},
        ),
    ),
    Assertion(
        operation="ExportChannels",
        case="shown by GetExportChannelsStatus",
        answer="``task_id``",
        task="``GET /export_channels/{task_id}`` shows the same; its times are texts",
        by=(
            f"stream-chat-python {_PYTHON_CHAT}test_channel.py test_export_channel",
            "stream-chat-go async_tasks_test.go TestClient_ExportChannels",
            "stream-chat-ruby spec/client_spec.rb request the channel export",
            f"stream-chat-java {_JAVA_CHAT}ChannelTest.java whenQueryingExportChannelStatus_thenNoException",
        ),
        outcome=Outcome.COMPLETED,
        path=_EXPORT,
        only_v1=True,
        body={"channels": [{"type": "messaging", "id": "a"}, {"type": "messaging", "id": "b"}]},
        answer_holds=_ID,
        task_holds={
            "task_id": an_id,
            "status": "completed",
            "created_at": a_time,
            "updated_at": a_time,
            "result": {"url": some},
            "error": absent,
        },
        shown_at="/export_channels/{}",
        operator=(StreamExportChannelsOperator, {"channels": ["messaging:a", "messaging:b"]}),
    ),
    Assertion(
        operation="ExportChannels",
        case="of an unknown channel",
        answer="an error that begins with ``Can't find channel``, at once",
        by=(
            f"stream-chat-python {_PYTHON_CHAT}test_channel.py test_export_channel_status",
            "stream-chat-ruby spec/client_spec.rb request the export for a channel that does not exist",
        ),
        outcome=Outcome.REFUSED,
        path=_EXPORT,
        body={"channels": [{"type": "messaging", "id": "nobody-made-it"}]},
        refusal="Can't find channel",
        strict=True,
        operator=(StreamExportChannelsOperator, {"channels": ["messaging:nobody-made-it"]}),
    ),
    Assertion(
        operation="ExportChannels",
        case="of none",
        answer="an error",
        by=("stream-chat-go async_tasks_test.go TestClient_ExportChannels",),
        outcome=Outcome.REFUSED,
        path=_EXPORT,
        body={"channels": []},
        operator=(StreamExportChannelsOperator, {"channels": []}),
    ),
    Assertion(
        operation="ExportChannels",
        case="without a type",
        answer="an error",
        by=("stream-chat-go async_tasks_test.go TestClient_ExportChannels",),
        outcome=Outcome.REFUSED,
        path=_EXPORT,
        body={"channels": [{"type": "", "id": "a"}]},
        operator=(StreamExportChannelsOperator, {"channels": [{"type": "", "id": "a"}]}),
    ),
    _update(
        "addMembers",
        "addMembers",
        *_UPDATERS,
        "stream-chat-php tests/integration/IntegrationTest.php testChannelBatchUpdaterAddMembers",
        "stream-chat-net tests/ChannelBatchUpdaterTests.cs TestChannelBatchUpdaterAddMembersAsync",
        f"stream-chat-java {_JAVA_CHAT}ChannelBatchUpdaterTest.java whenAddingMembers_thenNoException",
    ),
    _update(
        "removeMembers",
        "removeMembers",
        f"stream-chat-python {_PYTHON_CHAT}test_channel_batch_updater.py "
        "test_channel_batch_updater_remove_members",
        "stream-chat-go channel_batch_updater_test.go TestChannelBatchUpdater_RemoveMembers",
        "stream-chat-ruby spec/channel_batch_updater_spec.rb removes members from channels matching filter",
        "stream-chat-php tests/integration/IntegrationTest.php testChannelBatchUpdaterRemoveMembers",
        f"stream-chat-java {_JAVA_CHAT}ChannelBatchUpdaterTest.java whenRemovingMembers_thenNoException",
    ),
    _update(
        "archive",
        "archive",
        f"stream-chat-python {_PYTHON_CHAT}test_channel_batch_updater.py test_channel_batch_updater_archive",
        "stream-chat-go channel_batch_updater_test.go TestChannelBatchUpdater_Archive",
        "stream-chat-ruby spec/channel_batch_updater_spec.rb archives channels for specified members",
        "stream-chat-php tests/integration/IntegrationTest.php testChannelBatchUpdaterArchive",
        f"stream-chat-java {_JAVA_CHAT}ChannelBatchUpdaterTest.java whenArchivingChannels_thenNoException",
    ),
    _update(
        "without an operation",
        "",
        "stream-chat-ruby spec/channel_batch_updater_spec.rb returns error if options is empty",
        answer="an error",
        task="",
        outcome=Outcome.REFUSED,
        body={},
        answer_holds={},
        operator=(StreamChannelBatchUpdateOperator, {"operation": "", "filter": {}}),
    ),
    _update(
        "started inside",
        "addMembers",
        _JAVA_WAIT,
        task="``completed`` outside with ``result.status`` ``started`` or ``pending`` is not finished",
        outcome=Outcome.OPEN,
        fate={"result": {"operation": "addMembers", "status": "started"}},
    ),
    _update(
        "failed inside",
        "addMembers",
        _JAVA_WAIT,
        task="``completed`` outside with ``result.status`` ``failed`` or ``error`` has failed",
        outcome=Outcome.FAILED,
        fate={
            "result": {
                "operation": "addMembers",
                "status": "failed",
                "failed_channels": [{"reason": "too many members", "cids": ["messaging:a", "messaging:b"]}],
            }
        },
        refusal="too many members",
    ),
    _update(
        "failed with a reason",
        "addMembers",
        *_UPDATERS,
        task="``failed``; the reason is ``result.description``, not ``error``",
        outcome=Outcome.FAILED,
        fate={"end": "failed", "error": None, "result": {"description": "member limit reached"}},
        task_holds={
            "status": "failed",
            "result": {"description": "member limit reached"},
            "error": absent,
        },
        refusal="member limit reached",
    ),
    _update(
        "failed of a rate limit",
        "addMembers",
        *_UPDATERS,
        task="``failed`` with ``rate limit`` in ``result.description`` is asked for again: it may pass",
        outcome=Outcome.FAILED,
        fate={"end": "failed", "error": None, "result": {"description": "internal rate limit exceeded"}},
        task_holds={"status": "failed"},
        refusal="internal rate limit exceeded",
    ),
    _update(
        "failed with nothing",
        "addMembers",
        *_UPDATERS,
        task="``failed`` with an empty ``result`` is asked for again: it may pass",
        outcome=Outcome.FAILED,
        fate={"end": "failed", "error": None, "result": {}},
        task_holds={"status": "failed"},
        refusal="Stream gives no reason",
    ),
    _update(
        "ok",
        "addMembers",
        _JAVA_WAIT,
        f"stream-sdk-java {_JAVA}BasicTest.java cleanChannels",
        task="``ok`` is ``completed``",
        fate={"end": "ok", "result": {"operation": "addMembers", "status": "completed"}},
        task_holds={"status": "ok"},
    ),
    _update(
        "error",
        "addMembers",
        _JAVA_WAIT,
        f"stream-sdk-java {_JAVA}BasicTest.java cleanChannels",
        task="``error`` is ``failed``",
        outcome=Outcome.FAILED,
        fate={"end": "error", "error": None, "result": {"reason": "no such user"}},
        task_holds={"status": "error"},
        refusal="no such user",
    ),
    _delete_users(
        "hard",
        {"user": "hard", "messages": "hard", "conversations": "hard"},
        f"stream-chat-python {_PYTHON_CHAT}test_client.py test_delete_users",
        f"stream-chat-python {_PYTHON_CHAT}async_chat/test_client.py test_delete_users",
        "stream-cli pkg/cmd/chat/user/user_test.go TestDeleteMultipleUsers",
        "getstream-php tests/Integration/ChatUserIntegrationTest.php testDeleteUsers",
        f"stream-sdk-java {_JAVA}ChatUserIntegrationTest.java testDeleteUsers",
        task='``completed``, and ``result`` holds ``{"<user id>": {"status": "ok"}}``',
        task_holds={"status": "completed", "result": {"ann": OK}},
    ),
    _delete_users(
        "hard alone",
        {"user": "hard"},
        f"stream-chat-java {_JAVA_CHAT}UserTest.java whenDeleteManyUsers_thenTaskIdIsReturned",
        "stream-chat-ruby spec/client_spec.rb request delete users",
        answer="``task_id``: neither messages nor conversations need be given",
        task="``status`` is there",
        task_holds={"status": some},
    ),
    _delete_users(
        "hard with hard messages",
        {"user": "hard", "messages": "hard"},
        "stream-chat-php tests/integration/IntegrationTest.php testDeleteUsers",
        answer="``task_id``: conversations need not be given",
        task="``status`` is there",
        task_holds={"status": some},
    ),
    _delete_users(
        "hard with soft messages",
        {"user": "hard", "messages": "soft"},
        f"stream-chat-java {_JAVA_CHAT}UserTest.java whenDeleteManyUsersWithIllegalCondition_thenItFails",
        answer="an error",
        outcome=Outcome.REFUSED,
        answer_holds={},
    ),
    _delete_users(
        "soft with hard messages",
        {"user": "soft", "messages": "hard"},
        "stream-chat-go async_tasks_test.go TestClient_DeleteUsers",
        task='``completed``, and ``result`` holds ``{"<user id>": {"status": "ok"}}``',
        task_holds={"status": "completed", "result": {"ann": OK}},
    ),
    _delete_users(
        "soft",
        {"user": "soft"},
        f"stream-chat-java {_JAVA_CHAT}UserTest.java whenDeleteManyUsers_thenTaskIdIsReturned",
        "getstream-go chat_misc_integration_test.go TestChatRestoreUsersIntegration",
        task="``completed``",
        task_holds={"status": "completed"},
    ),
    _delete_users(
        "without options",
        {},
        "stream-py tests/test_chat_user.py test_delete_user",
        "getstream-go chat_user_integration_test.go DeleteUsers",
        "getstream-net tests/ChatUserIntegrationTests.cs DeleteUsers",
        f"stream-sdk-java {_JAVA}DocTest.java authentication",
        task="``completed`` (``ok`` would do)",
        task_holds={"status": "completed"},
    ),
    _delete_users(
        "of none",
        {"user": "soft", "messages": "hard"},
        "stream-chat-go async_tasks_test.go TestClient_DeleteUsers",
        answer="an error",
        outcome=Outcome.REFUSED,
        body={"user_ids": [], "user": "soft", "messages": "hard"},
        answer_holds={},
        operator=(StreamDeleteUsersOperator, {"user_ids": [], "user": "soft", "messages": "hard"}),
    ),
    Assertion(
        operation="DeactivateUsers",
        case="several",
        answer="``task_id`` of 36 characters",
        task="``completed``; ``result.users`` holds the users whole, each with ``deactivated_at``",
        by=(
            f"stream-chat-python {_PYTHON_CHAT}test_client.py test_deactivate_users",
            f"stream-chat-python {_PYTHON_CHAT}async_chat/test_client.py test_deactivate_users",
            "stream-chat-ruby spec/client_spec.rb deactivates multiple users",
            "stream-chat-php tests/integration/IntegrationTest.php testDeactivateReactivateUsers",
            "stream-py tests/test_chat_user.py test_deactivate_users",
            "getstream-go chat_user_integration_test.go DeactivateUsersPlural",
            "getstream-ruby spec/integration/chat_user_integration_spec.rb "
            "deactivates multiple users at once via async task",
            "getstream-php tests/Integration/ChatUserIntegrationTest.php testDeactivateUsersPlural",
            "getstream-net tests/ChatUserIntegrationTests.cs DeactivateUsersPlural",
            f"stream-sdk-java {_JAVA}ChatUserIntegrationTest.java testDeactivateUsersPlural",
        ),
        outcome=Outcome.COMPLETED,
        path="/api/v2/users/deactivate",
        body={"user_ids": ["ann", "joe"]},
        answer_holds=_ID,
        task_holds={
            "status": "completed",
            "result": {
                "users": [{"id": "ann", "deactivated_at": some}, {"id": "joe", "deactivated_at": some}]
            },
        },
        operator=(StreamDeactivateUsersOperator, {"user_ids": ["ann", "joe"]}),
    ),
    Assertion(
        operation="ReactivateUsers",
        case="several",
        answer="``task_id``",
        task="``completed`` (``ok`` would do)",
        by=(
            "stream-chat-php tests/integration/IntegrationTest.php testDeactivateReactivateUsers",
            "stream-py tests/test_chat_integration.py test_deactivate_and_reactivate_users",
            "stream-node __tests__/users.test.ts deactivate and reactivate",
            f"stream-sdk-java {_JAVA}DocTest.java authentication",
        ),
        outcome=Outcome.COMPLETED,
        path="/api/v2/users/reactivate",
        body={"user_ids": ["ann"]},
        answer_holds=_ID,
        task_holds={"status": "completed"},
        operator=(StreamReactivateUsersOperator, {"user_ids": ["ann"]}),
    ),
    Assertion(
        operation="ExportUsers",
        case="several",
        answer="``task_id`` of 36 characters",
        task="``completed``; ``result.url`` has ``/exports/users/`` in it, ``error`` is not there; "
        "the file behind it names each user",
        by=(
            f"stream-chat-python {_PYTHON_CHAT}test_client.py test_export_users",
            f"stream-chat-python {_PYTHON_CHAT}async_chat/test_client.py test_export_users",
            "stream-chat-go async_tasks_test.go TestClient_ExportUsers",
            "stream-chat-ruby spec/client_spec.rb request users export",
            "stream-chat-php tests/integration/IntegrationTest.php testExportUsers",
            "stream-chat-net tests/UserClientTests.cs TestExportUsersAsync",
            f"stream-chat-java {_JAVA_CHAT}ExportUsersTest.java exportUsersTest",
            "stream-py tests/test_chat_user.py test_export_users",
            "getstream-go chat_misc_integration_test.go TestChatExportUsersIntegration",
        ),
        outcome=Outcome.COMPLETED,
        path="/api/v2/export/users",
        body={"user_ids": ["ann", "joe"]},
        answer_holds=_ID,
        task_holds={
            "status": "completed",
            "created_at": some,
            "result": {"url": containing("/exports/users/")},
            "error": absent,
        },
        operator=(StreamExportUsersOperator, {"user_ids": ["ann", "joe"]}),
    ),
    Assertion(
        operation="ExportUsers",
        case="of none",
        answer="an error",
        by=("stream-chat-go async_tasks_test.go TestClient_ExportUsers",),
        outcome=Outcome.REFUSED,
        path="/api/v2/export/users",
        body={"user_ids": []},
        operator=(StreamExportUsersOperator, {"user_ids": []}),
    ),
    Assertion(
        operation="DeleteCall",
        case="hard",
        answer="``call`` and ``task_id``",
        task='``completed``, and ``result`` holds ``{"<type>:<id>": {"status": "ok"}}``',
        by=(
            "stream-py tests/test_video_integration.py test_hard_delete",
            "getstream-go client_test.go TestHardDeleteCall",
            "getstream-ruby spec/integration/video_integration_spec.rb hard deletes a call with task polling",
            "getstream-php tests/Integration/VideoIntegrationTest.php hardDeleteCall",
            "getstream-net tests/VideoIntegrationTests.cs HardDeleteCall",
            f"stream-sdk-java {_JAVA}VideoIntegrationTest.java testHardDeleteCall",
        ),
        outcome=Outcome.COMPLETED,
        path="/api/v2/video/call/default/standup/delete",
        body={"hard": True},
        answer_holds={**_ID, "call": some},
        task_holds={"status": "completed", "result": {"default:standup": OK}},
        operator=(StreamDeleteCallOperator, {"call_type": "default", "call_id": "standup", "hard": True}),
    ),
    Assertion(
        operation="DeleteCall",
        case="soft",
        answer="``call``, and no ``task_id``",
        by=(
            "stream-py tests/test_video_integration.py test_soft_delete",
            "getstream-go client_test.go TestDeleteCall",
            "getstream-ruby spec/integration/video_integration_spec.rb "
            "soft deletes a call and verifies not found",
            "getstream-php tests/Integration/VideoIntegrationTest.php deleteCallSoft",
            "getstream-net tests/VideoIntegrationTests.cs DeleteCall",
            f"stream-sdk-java {_JAVA}VideoIntegrationTest.java testDeleteCall",
        ),
        outcome=Outcome.DONE,
        path="/api/v2/video/call/default/standup/delete",
        body={},
        answer_holds={"call": some, "task_id": absent},
        operator=(StreamDeleteCallOperator, {"call_type": "default", "call_id": "standup"}),
    ),
    Assertion(
        operation="GetTask",
        case="failed",
        answer="``error`` tells type, description, stack trace and version",
        task="``failed``; the SDKs' helpers raise an error with these four and the id",
        by=(
            "stream-py tests/test_exceptions.py test_wait_for_task_sync_raises_on_failed",
            "getstream-go tasks_test.go TestWaitForTask_Failed_ReturnsErrTaskFailed",
            "getstream-ruby spec/errors_spec.rb raises TaskError populated from the ErrorResult",
            "getstream-php tests/WaitForTaskTest.php waitForTaskThrowsStreamTaskExceptionOnFailedStatus",
            f"stream-sdk-java {_JAVA}StreamWaitForTaskTest.java failed_throwsStreamTaskException",
        ),
        outcome=Outcome.FAILED,
        path=_DELETE_CHANNELS,
        body={"cids": ["messaging:a"], "hard_delete": True},
        fate={
            "end": "failed",
            "error": {
                "type": "OperationFailed",
                "description": "the channel is gone",
                "stacktrace": "goroutine 1",
                "version": "v1",
            },
        },
        answer_holds=_ID,
        task_holds={
            "status": "failed",
            "error": {
                "type": "OperationFailed",
                "description": "the channel is gone",
                "stacktrace": "goroutine 1",
                "version": "v1",
            },
        },
        refusal="OperationFailed: the channel is gone",
        operator=(StreamDeleteChannelsOperator, {"cids": ["messaging:a"], "hard_delete": True}),
    ),
    Assertion(
        operation="GetTask",
        case="failed without an error",
        answer="``error`` may be missing",
        task="``failed`` all the same",
        by=(
            f"stream-sdk-java {_JAVA}StreamWaitForTaskTest.java "
            "failed_missingErrorResult_stillThrowsWithEmptyFields",
        ),
        outcome=Outcome.FAILED,
        path=_DELETE_CHANNELS,
        body={"cids": ["messaging:a"], "hard_delete": True},
        fate={"end": "failed", "error": None},
        answer_holds=_ID,
        task_holds={"status": "failed", "error": absent},
        refusal="Stream gives no reason",
        operator=(StreamDeleteChannelsOperator, {"cids": ["messaging:a"], "hard_delete": True}),
    ),
    Assertion(
        operation="GetTask",
        case="waiting",
        answer="``waiting`` is looked at again",
        task="``completed``",
        by=(
            "stream-py tests/test_exceptions.py test_wait_for_task_sync_returns_on_completed",
            *_UPDATERS,
        ),
        outcome=Outcome.COMPLETED,
        path=_DELETE_CHANNELS,
        body={"cids": ["messaging:a"], "hard_delete": True},
        fate={"waiting": 0.2},
        answer_holds=_ID,
        task_holds={"status": "completed"},
        operator=(StreamDeleteChannelsOperator, {"cids": ["messaging:a"], "hard_delete": True}),
    ),
    Assertion(
        operation="GetTask",
        case="not finished in time",
        answer="``waiting``, ``pending`` and ``running`` are no ends",
        task="the SDKs' helpers end with a timeout that names the Stream task",
        by=(
            "stream-py tests/test_exceptions.py test_wait_for_task_sync_times_out_raises_transport_exception",
            "getstream-go tasks_test.go TestWaitForTask_Timeout_ReturnsTransportErrorTimeout",
            "getstream-php tests/WaitForTaskTest.php waitForTaskTimeoutThrowsTransportException",
            f"stream-sdk-java {_JAVA}StreamWaitForTaskTest.java "
            "timeout_throwsStreamTransportExceptionTimeout",
        ),
        outcome=Outcome.OPEN,
        path=_DELETE_CHANNELS,
        body={"cids": ["messaging:a"], "hard_delete": True},
        fate={"waiting": 60},
        answer_holds=_ID,
        task_holds={"status": "waiting"},
        operator=(StreamDeleteChannelsOperator, {"cids": ["messaging:a"], "hard_delete": True}),
    ),
    Assertion(
        operation="GetTask",
        case="of an unknown id",
        answer="an error that begins with ``Can't find task with id``",
        by=(
            "stream-chat-ruby spec/client_spec.rb check status for a task that does not exist",
            "stream-py tests/test_chat_channel.py test_export_channel_status",
        ),
        outcome=Outcome.REFUSED,
        method="GET",
        path=f"/api/v2/tasks/{_UNKNOWN_ID}",
        refusal=f"Can't find task with id {_UNKNOWN_ID}",
    ),
    Assertion(
        operation="GetRateLimits",
        case="of two endpoints and platforms",
        answer="the budgets of those, and no others; this call counts against the server side's own "
        "``GetRateLimits``",
        by=(
            f"stream-chat-python {_PYTHON_CHAT}test_client.py test_get_rate_limits",
            f"stream-chat-python {_PYTHON_CHAT}async_chat/test_client.py test_get_rate_limits",
            "stream-chat-go rate_limits_test.go TestClient_GetRateLimits",
            "stream-chat-ruby spec/client_spec.rb lists limits for a few endpoints",
            "stream-chat-php tests/integration/IntegrationTest.php testGetRateLimits",
            "getstream-go chat_misc_integration_test.go TestChatGetRateLimitsIntegration",
        ),
        outcome=Outcome.ANSWERED,
        method="GET",
        path="/api/v2/rate_limits?server_side=true&android=true&endpoints=GetRateLimits,SendMessage",
        answer_holds={
            "server_side": budgets_of("GetRateLimits", "SendMessage", used=["GetRateLimits"]),
            "android": budgets_of("GetRateLimits", "SendMessage"),
            "ios": absent,
            "web": absent,
        },
    ),
    Assertion(
        operation="CreateImportURL",
        case="a file",
        answer="``path``, which ends with the name of the file, and ``upload_url``, which takes a PUT",
        by=(
            f"stream-chat-java {_JAVA_CHAT}ImportTests.java importTestEnd2End",
            f"stream-chat-python {_PYTHON_CHAT}test_client.py test_imports_end2end",
            "stream-chat-ruby spec/client_spec.rb import end2end",
            "stream-chat-php tests/integration/IntegrationTest.php testImportEnd2End",
        ),
        outcome=Outcome.COMPLETED,
    ),
    Assertion(
        operation="CreateImport",
        case="of what is not uploaded",
        answer="an error",
        by=("stream-chat-go import_test.go TestImportsEndToEnd",),
        outcome=Outcome.REFUSED,
    ),
    Assertion(
        operation="CreateImport",
        case="of a file",
        answer="``import_task`` with an ``id`` and the ``path``; ``GetImport`` shows the same ``id``",
        by=(
            f"stream-chat-java {_JAVA_CHAT}ImportTests.java importTestEnd2End",
            f"stream-chat-python {_PYTHON_CHAT}test_client.py test_imports_end2end",
            "stream-chat-ruby spec/client_spec.rb import end2end",
            "stream-chat-php tests/integration/IntegrationTest.php testImportEnd2End",
            "stream-chat-net tests/ImportClientTests.cs TestImportsEnd2EndAsync",
            "stream-cli pkg/cmd/chat/imports/imports_test.go TestGetImport",
        ),
        outcome=Outcome.COMPLETED,
    ),
    Assertion(
        operation="ListImports",
        case="one",
        answer="with ``limit=1`` one import, however many there are",
        by=(
            f"stream-chat-java {_JAVA_CHAT}ImportTests.java importTestEnd2End",
            f"stream-chat-python {_PYTHON_CHAT}test_client.py test_imports_end2end",
            "stream-chat-ruby spec/client_spec.rb import end2end",
            "stream-chat-net tests/ImportClientTests.cs TestImportsEnd2EndAsync",
            "stream-cli pkg/cmd/chat/imports/imports_test.go TestListImports",
        ),
        outcome=Outcome.COMPLETED,
    ),
)
