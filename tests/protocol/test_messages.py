from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_streamtasks.exceptions import (
    StreamApiException,
    StreamException,
    StreamTransportException,
)
from airflow_provider_streamtasks.protocol.errors import read_body
from airflow_provider_streamtasks.protocol.messages import Message
from airflow_provider_streamtasks.protocol.wire import Response


def message(**others: str) -> Message:
    return Message(
        **{"cid": "messaging:alerts", "text": "it failed", "user_id": "airflow", "id": "m-1", **others}
    )


def test_a_message_goes_into_its_channel_with_an_id_of_its_own() -> None:
    request = message().request()
    assert (request.operation, request.method, request.path) == (
        "SendMessage",
        "POST",
        "/api/v2/chat/channels/messaging/alerts/message",
    )
    assert request.json is not None
    assert request.json["message"] == {"id": "m-1", "text": "it failed", "user_id": "airflow"}


def test_stream_does_not_visit_the_links_in_a_message() -> None:
    request = message().request()
    assert request.json is not None
    assert request.json["skip_enrich_url"] is True


def test_a_cid_cannot_lead_to_another_endpoint() -> None:
    assert message(cid="messaging:../../users").request().path == (
        "/api/v2/chat/channels/messaging/..%2F..%2Fusers/message"
    )
    with pytest.raises(ValueError, match=r"channel is '\.\.'"):
        message(cid="..:alerts").request()


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"cid": "alerts"}, "channel is 'alerts': a non-empty string like 'messaging:alerts' is needed"),
        ({"cid": "messaging:"}, "channel is 'messaging:'"),
        ({"cid": "messaging:a:b"}, "channel is 'messaging:a:b'"),
        ({"text": ""}, "text is ''"),
        ({"user_id": ""}, "user_id is ''"),
        ({"id": ""}, "message_id is ''"),
    ],
)
def test_what_is_no_message_is_refused_by_name(given: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        message(**given)


def api_error(code: int, text: str, **others: Any) -> StreamApiException:
    return StreamApiException(text, status_code=404 if code == 16 else 400, code=code, **others)


def test_a_message_that_stream_has_already_is_there() -> None:
    exists = 'SendMessage failed with error: "a message with ID m-1 already exists"'
    assert message().is_there(api_error(4, exists))


@pytest.mark.parametrize(
    "error",
    [
        api_error(4, '"a message with ID m-10 already exists"'),
        api_error(4, "no"),
        api_error(16, "a message with ID m-1 already exists"),
        StreamTransportException("reset"),
    ],
)
def test_after_any_other_error_the_message_is_not_there(error: StreamException) -> None:
    assert not message(id="m-1").is_there(error)


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (4, "Does the user 'airflow', who sends it, exist at Stream?"),
        (16, "Create the channel 'messaging:alerts' at Stream first, or correct its name."),
        (20, "max_message_length"),
        (99, "suspended the app"),
        (22, ""),
    ],
)
def test_a_refusal_says_what_to_do(code: int, hint: str) -> None:
    answer = Response(400, {}, json.dumps({"code": code, "message": "no"}).encode())
    with pytest.raises(StreamApiException) as caught:
        read_body("SendMessage", answer, 0.0, message().request().hints)
    assert hint in caught.value.hint
    assert bool(hint) is bool(caught.value.hint)
