"""The names that users import: what goes, or comes unnoticed, breaks a DAG or a promise."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest

from airflow_provider_streamtasks.provider_info import get_provider_info

PACKAGE = "airflow_provider_streamtasks"
INFO = get_provider_info()

CLASSES = {
    "exceptions": {
        "StreamApiException",
        "StreamConfigurationError",
        "StreamException",
        "StreamRateLimitException",
        "StreamSubmissionException",
        "StreamTaskException",
        "StreamTaskTimeout",
        "StreamTransportException",
    },
    "hooks.stream": {"StreamHook"},
    "notifications.chat": {"StreamChatNotifier"},
    "operators.base": {"StreamBaseOperator", "StreamSubmissionFailed"},
    "operators.chat": {
        "StreamChannelBatchUpdateOperator",
        "StreamDeleteChannelsOperator",
        "StreamExportChannelsOperator",
    },
    "operators.feeds": {
        "StreamDeleteFeedOperator",
        "StreamDeleteFeedUserDataOperator",
        "StreamDeleteFeedsOperator",
        "StreamExportFeedUserDataOperator",
    },
    "operators.data_import": {"StreamImportOperator", "StreamImportV2Operator"},
    "operators.moderation": {
        "StreamBulkImageModerationOperator",
        "StreamExportModerationLogsOperator",
        "StreamImportBlockListOperator",
    },
    "operators.operation": {"StreamOperationOperator"},
    "operators.users": {
        "StreamDeactivateUsersOperator",
        "StreamDeleteUsersOperator",
        "StreamExportUsersOperator",
        "StreamReactivateUsersOperator",
    },
    "operators.video": {"StreamDeleteCallOperator"},
    "sensors.data_import": {"StreamImportSensor"},
    "sensors.task": {"StreamTaskFailed", "StreamTaskSensor"},
    "transfers.export": {"StreamExportToObjectStorageOperator"},
    "triggers.data_import": {"StreamImportTrigger"},
    "triggers.sensor": {"StreamSensorTrigger"},
    "triggers.task": {"StreamTaskTrigger"},
}
METHODS_OF_THE_HOOK = {
    "asend_message",
    "close",
    "get_rate_limits",
    "get_task",
    "iter_channels",
    "iter_users",
    "send_message",
    "submit",
    "test_connection",
    "wait_for_task",
    "wait_for_tasks",
}


def public(module: Any) -> set[str]:
    """The classes of Stream's that a module defines."""
    return {
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == module.__name__ and name.startswith("Stream")
    }


@pytest.mark.parametrize("name", CLASSES)
def test_a_module_has_the_classes_that_users_import(name: str) -> None:
    assert public(import_module(f"{PACKAGE}.{name}")) == CLASSES[name]


def test_airflow_knows_no_module_that_users_do_not() -> None:
    groups = [group for kind in ("hooks", "operators", "sensors", "triggers") for group in INFO[kind]]
    listed = {module for group in groups for module in group["python-modules"]}
    listed |= {transfer["python-module"] for transfer in INFO["transfers"]}
    listed |= {notifier.rpartition(".")[0] for notifier in INFO["notifications"]}
    assert listed | {f"{PACKAGE}.exceptions", f"{PACKAGE}.operators.base"} == {
        f"{PACKAGE}.{name}" for name in CLASSES
    }


def test_the_hook_has_the_methods_that_are_documented() -> None:
    hook = import_module(f"{PACKAGE}.hooks.stream").StreamHook
    assert {
        name for name in METHODS_OF_THE_HOOK if callable(getattr(hook, name, None))
    } == METHODS_OF_THE_HOOK


def test_what_fails_is_an_error_of_streams() -> None:
    exceptions = import_module(f"{PACKAGE}.exceptions")
    for name in CLASSES["exceptions"]:
        assert issubclass(getattr(exceptions, name), exceptions.StreamException)
