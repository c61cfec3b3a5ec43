"""Sending a message: over requests and over aiohttp the same must come out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_streamtasks.exceptions import (
    StreamApiException,
    StreamRateLimitException,
    StreamTransportException,
)
from airflow_provider_streamtasks.hooks.client import ATTEMPTS
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.sandbox import SandboxControl

Send = Callable[..., str]
CHANNEL = "messaging:alerts"


def _over_requests(hook: StreamHook, **message: Any) -> str:
    return hook.send_message(**message)


def _over_aiohttp(hook: StreamHook, **message: Any) -> str:
    async def send() -> str:
        try:
            return await hook.asend_message(**message)
        finally:
            await hook.aclose()

    return asyncio.run(send())


@pytest.fixture(params=[_over_requests, _over_aiohttp], ids=["requests", "aiohttp"])
def send(request: pytest.FixtureRequest, hook: StreamHook, control: SandboxControl, connection: None) -> Send:
    """Sends a message; arguments replace what it says, and where."""
    control.add_channel(CHANNEL)
    control.add_user("airflow")

    def send(**others: Any) -> str:
        sent: str = request.param(
            hook, **{"cid": CHANNEL, "text": "it failed", "user_id": "airflow", **others}
        )
        return sent

    return send


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between attempts nobody waits."""
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    pause = asyncio.sleep
    monkeypatch.setattr("asyncio.sleep", lambda seconds: pause(0))


def test_a_message_arrives(send: Send, control: SandboxControl) -> None:
    message_id = send(message_id="m-1")
    assert message_id == "m-1"
    assert control.messages(CHANNEL) == [{"id": "m-1", "text": "it failed", "user_id": "airflow"}]


def test_without_an_id_each_message_is_one_of_its_own(send: Send, control: SandboxControl) -> None:
    assert [send(), send()] == [each["id"] for each in control.messages(CHANNEL)]


def test_a_message_with_the_same_id_is_sent_once(send: Send, control: SandboxControl) -> None:
    assert send(message_id="m-1") == send(message_id="m-1") == "m-1"
    assert len(control.messages(CHANNEL)) == 1


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("kind", ["unavailable", "rate_limit", "reset_before"])
def test_errors_that_pass_are_ridden_out(send: Send, control: SandboxControl, kind: str) -> None:
    control.fault(kind, operation="SendMessage", times=ATTEMPTS - 1)
    send()
    assert len(control.messages(CHANNEL)) == 1
    assert len(control.journal("SendMessage")) == ATTEMPTS


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("kind", ["reset_after", "broken_json", "truncated"])
def test_a_message_whose_answer_was_lost_is_not_doubled(
    send: Send, control: SandboxControl, kind: str
) -> None:
    control.fault(kind, operation="SendMessage", times=1)
    send()
    assert len(control.journal("SendMessage")) == 2
    assert len(control.messages(CHANNEL)) == 1


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    ("kind", "error"),
    [("rate_limit", StreamRateLimitException), ("reset_before", StreamTransportException)],
)
def test_errors_that_stay_are_raised_in_the_end(
    send: Send, control: SandboxControl, kind: str, error: type[Exception]
) -> None:
    control.fault(kind, operation="SendMessage")
    with pytest.raises(error):
        send()
    assert len(control.journal("SendMessage")) == ATTEMPTS


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"cid": "messaging:nowhere"}, "Create the channel 'messaging:nowhere' at Stream first"),
        ({"user_id": "nobody"}, "Does the user 'nobody', who sends it, exist at Stream?"),
        ({"text": "x" * 5001}, "Shorten the text"),
    ],
)
def test_a_refusal_is_not_repeated_and_says_what_to_do(
    send: Send, control: SandboxControl, given: dict[str, str], hint: str
) -> None:
    with pytest.raises(StreamApiException, match=hint):
        send(**given)
    assert len(control.journal("SendMessage")) == 1


def test_what_is_no_message_is_not_sent(send: Send, control: SandboxControl) -> None:
    with pytest.raises(ValueError, match="channel is 'alerts'"):
        send(cid="alerts")
    assert control.journal() == []
