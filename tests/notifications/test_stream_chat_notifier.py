from __future__ import annotations

import json
from datetime import datetime, timezone
from importlib import import_module
from typing import Any

import pytest
from airflow.sdk.log import mask_secret

from airflow_provider_streamtasks.exceptions import StreamApiException, StreamConfigurationError
from airflow_provider_streamtasks.notifications.alerts import alert_text
from airflow_provider_streamtasks.notifications.chat import StreamChatNotifier
from airflow_provider_streamtasks.sandbox import SandboxControl, running_sandbox
from tests.airflow_names import AsyncCallback
from tests.conftest import SetConnection
from tests.notifications.conftest import FailedTaskInstance


def deadline(number: int = 1) -> dict[str, Any]:
    """What the callback of a missed deadline gets from Airflow."""
    due = datetime(2026, 1, 7, 3, tzinfo=timezone.utc)
    return {
        "dag_run": {"dag_id": "nightly", "dag_run_id": "night-7"},
        "deadline": {"id": f"d-{number}", "deadline_time": due},
    }


def posted(control: SandboxControl, channel: str) -> list[str]:
    return [message["text"] for message in control.messages(channel)]


# -- as a callback -----------------------------------------------------------------------------------------


def test_it_posts_the_alert_text(failed: Any, channel: str, control: SandboxControl) -> None:
    StreamChatNotifier(channel=channel)(failed)
    (message,) = control.messages(channel)
    assert message["text"] == alert_text(failed)
    assert message["user_id"] == "airflow"


def test_everything_it_takes_is_a_template(failed: Any, channel: str, control: SandboxControl) -> None:
    control.add_user("nightly-bot")
    StreamChatNotifier(
        channel="messaging:{{ params.channel }}",
        text="{{ exception.error_type }}: {{ exception.description }} ({{ exception.task_id }})",
        user_id="{{ ti.dag_id }}-bot",
        stream_conn_id="stream_{{ params.app }}",
    )({**failed, "params": {"channel": "alerts", "app": "default"}})
    (message,) = control.messages(channel)
    assert message["text"] == f"storage_error: message store down ({failed['exception'].task_id})"
    assert message["user_id"] == "nightly-bot"


def test_one_notifier_serves_many_airflow_tasks(failed: Any, channel: str, control: SandboxControl) -> None:
    notifier = StreamChatNotifier(channel=channel, text="{{ ti.task_id }} failed")
    for task_id in ("first", "second"):
        notifier({**failed, "ti": FailedTaskInstance(task_id)})
    assert posted(control, channel) == ["first failed", "second failed"]


def test_a_callback_that_runs_twice_posts_once(failed: Any, channel: str, control: SandboxControl) -> None:
    for _ in range(2):
        StreamChatNotifier(channel=channel)(failed)
    assert len(control.journal("SendMessage")) == 2
    assert len(posted(control, channel)) == 1


def test_the_next_try_posts_again(failed: Any, channel: str, control: SandboxControl) -> None:
    notifier = StreamChatNotifier(channel=channel, text="failed")
    notifier(failed)
    failed["ti"].try_number += 1
    notifier(failed)
    assert posted(control, channel) == ["failed", "failed"]


def test_each_run_that_fails_is_posted(channel: str, control: SandboxControl) -> None:
    for run_id in ("night-7", "night-7", "night-8"):
        StreamChatNotifier(channel=channel, text="failed")({"run_id": run_id, "reason": "task_failure"})
    assert posted(control, channel) == ["failed", "failed"]


def test_each_channel_gets_the_alert(failed: Any, channel: str, control: SandboxControl) -> None:
    control.add_channel("messaging:managers")
    for each in (channel, "messaging:managers"):
        StreamChatNotifier(channel=each)(failed)
    assert posted(control, channel) == posted(control, "messaging:managers") == [alert_text(failed)]


def test_what_airflow_masks_in_its_logs_does_not_reach_the_channel(
    failed: Any, channel: str, control: SandboxControl
) -> None:
    mask_secret("correct-horse-battery")
    StreamChatNotifier(channel=channel, text="password: correct-horse-battery")(failed)
    assert posted(control, channel) == ["password: ***"]


def test_the_secret_that_it_posts_with_does_not_reach_the_channel(
    failed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_sandbox(api_secret="nobody-has-masked-this-secret-before") as fresh:
        fresh.control.add_channel("messaging:alerts")
        fresh.control.add_user("airflow")
        fields = {
            "conn_type": "stream",
            "host": fresh.url,
            "login": fresh.api_key,
            "password": fresh.api_secret,
        }
        monkeypatch.setenv("AIRFLOW_CONN_FRESH", json.dumps(fields))
        StreamChatNotifier(channel="messaging:alerts", text=fresh.api_secret, stream_conn_id="fresh")(failed)
        assert posted(fresh.control, "messaging:alerts") == ["***"]


def test_a_refusal_is_raised_with_what_to_do(failed: Any, channel: str) -> None:
    with pytest.raises(StreamApiException, match="Create the channel 'messaging:nowhere' at Stream first"):
        StreamChatNotifier(channel="messaging:nowhere")(failed)


def test_an_airflow_connection_that_cannot_be_used_is_raised(
    failed: Any, channel: str, set_connection: SetConnection
) -> None:
    set_connection(password="")
    with pytest.raises(StreamConfigurationError):
        StreamChatNotifier(channel=channel)(failed)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"channel": "alerts"}, "channel is 'alerts': a non-empty string like 'messaging:alerts' is needed"),
        ({"text": ""}, "text is ''"),
        ({"user_id": " "}, "user_id is ' '"),
        ({"stream_conn_id": None}, "stream_conn_id is None"),
    ],
)
def test_what_cannot_work_is_refused_when_the_dag_is_parsed(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        StreamChatNotifier(**{"channel": "messaging:alerts", **given})


# -- as the callback of a deadline -------------------------------------------------------------------------


async def called_by_the_triggerer(context: dict[str, Any], **arguments: Any) -> None:
    """Do with an ``AsyncCallback`` what Airflow's ``CallbackTrigger`` does with it."""
    callback = AsyncCallback(StreamChatNotifier, kwargs=arguments)
    module, _, name = callback.path.rpartition(".")
    await getattr(import_module(module), name)(**callback.kwargs, context=context)


async def test_a_missed_deadline_is_posted_from_the_event_loop(channel: str, control: SandboxControl) -> None:
    await called_by_the_triggerer(deadline(), channel=channel)
    (text,) = posted(control, channel)
    assert text == alert_text(deadline())  # type: ignore[arg-type]
    assert text.startswith("nightly missed its deadline (run night-7): it was due at 2026-01-07 03:00:00 UTC")


async def test_a_text_of_ones_own_is_rendered_there_too(channel: str, control: SandboxControl) -> None:
    await called_by_the_triggerer(deadline(), channel=channel, text="{{ dag_run.dag_run_id }} is late")
    assert posted(control, channel) == ["night-7 is late"]


async def test_each_deadline_is_posted_once(channel: str, control: SandboxControl) -> None:
    for number in (1, 1, 2):
        await called_by_the_triggerer(deadline(number), channel=channel, text="late")
    assert posted(control, channel) == ["late", "late"]


async def test_a_refusal_is_raised_there_too(channel: str) -> None:
    with pytest.raises(StreamApiException, match="Does the user 'nobody'"):
        await called_by_the_triggerer(deadline(), channel=channel, user_id="nobody")
