from __future__ import annotations

import pytest
from getstream import Stream
from getstream.exceptions import StreamApiException
from getstream.models import MessageRequest, MessageResponse

from airflow_provider_streamtasks.sandbox import Sandbox


@pytest.fixture
def app(sandbox: Sandbox) -> Sandbox:
    """A sandbox with a channel, and a user who may speak in it."""
    sandbox.control.add_channel("messaging:alerts")
    sandbox.control.add_user("airflow")
    return sandbox


def send(stream: Stream, channel: str = "alerts", **others: str) -> MessageResponse:
    said = MessageRequest(**{"id": "m-1", "text": "it failed", "user_id": "airflow", **others})
    return stream.chat.send_message("messaging", channel, said, skip_enrich_url=True).data.message


def test_the_sdk_sends_a_message_and_the_test_reads_it_back(app: Sandbox, stream: Stream) -> None:
    message = send(stream)
    assert (message.id, message.cid, message.text) == ("m-1", "messaging:alerts", "it failed")
    assert message.user.id == "airflow"
    assert app.control.messages("messaging:alerts") == [
        {"id": "m-1", "text": "it failed", "user_id": "airflow"}
    ]
    assert app.control.messages("messaging:others") == []


def test_a_message_without_an_id_gets_one(app: Sandbox, stream: Stream) -> None:
    assert send(stream, id="").id != send(stream, id="").id


def test_an_id_is_taken_once(app: Sandbox, stream: Stream) -> None:
    send(stream)
    with pytest.raises(StreamApiException, match="a message with ID m-1 already exists") as caught:
        send(stream, text="again")
    assert (caught.value.status_code, caught.value.code) == (400, 4)
    assert [each["text"] for each in app.control.messages("messaging:alerts")] == ["it failed"]


def test_the_channel_must_exist(app: Sandbox, stream: Stream) -> None:
    with pytest.raises(StreamApiException, match="Can't find channel with id messaging:nowhere") as caught:
        send(stream, channel="nowhere")
    assert (caught.value.status_code, caught.value.code) == (404, 16)


def test_the_user_must_exist(app: Sandbox, stream: Stream) -> None:
    with pytest.raises(StreamApiException, match=r"don't exist: \[nobody\]") as caught:
        send(stream, user_id="nobody")
    assert (caught.value.status_code, caught.value.code) == (400, 4)


def test_somebody_must_say_it(app: Sandbox, stream: Stream) -> None:
    with pytest.raises(StreamApiException, match="user_id must be given"):
        send(stream, user_id="")


def test_a_long_text_is_refused(app: Sandbox, stream: Stream) -> None:
    send(stream, text="x" * 5000)
    with pytest.raises(StreamApiException, match="longer than 5000") as caught:
        send(stream, id="m-2", text="x" * 5001)
    assert caught.value.code == 20


def test_a_channel_knows_when_somebody_last_spoke(app: Sandbox, stream: Stream) -> None:
    sent = send(stream)
    (listed,) = stream.chat.query_channels(filter_conditions={"cid": "messaging:alerts"}).data.channels
    assert listed.channel.last_message_at == sent.created_at


def test_resetting_forgets_the_messages(app: Sandbox, stream: Stream) -> None:
    send(stream)
    app.control.reset()
    assert app.control.messages("messaging:alerts") == []
