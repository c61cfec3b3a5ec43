"""Errors that no call of the table makes by itself, as the official SDKs meet them."""

from __future__ import annotations

import jwt
import pytest
from getstream.exceptions import StreamApiException, StreamRateLimitException, StreamTransportException
from getstream.models import DeleteUsersResponse
from stream_chat.base.exceptions import StreamAPIException

from airflow_provider_streamtasks.sandbox import Sandbox
from tests.conformance.clients import GETSTREAM, STREAM_CHAT, Client, Name
from tests.conformance.conftest import Connect

pytestmark = pytest.mark.asyncio(loop_scope="session")

EVERY = pytest.mark.parametrize("name", GETSTREAM + STREAM_CHAT)
OF_GETSTREAM = pytest.mark.parametrize("name", GETSTREAM)
UNKNOWN_ID = "7586fa0d-dc8d-4f6f-be2d-f952d0e26167"


@EVERY
async def test_the_tokens_of_both_sdks_are_those_of_servers(client: Client, name: Name) -> None:
    token = client.sdk.token if name in GETSTREAM else client.sdk.auth_token
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims == ({} if name in GETSTREAM else {"server": True})
    assert await client.method("get_rate_limits")


@OF_GETSTREAM
async def test_a_user_may_not_do_what_servers_do(client: Client, name: Name, connect: Connect) -> None:
    token = client.sdk.create_token("ann")
    user = await connect(name, api_secret=None, token=token)
    with pytest.raises(StreamApiException) as caught:
        await user.get_task(UNKNOWN_ID)
    assert (caught.value.status_code, caught.value.code) == (403, 17)


@EVERY
@pytest.mark.parametrize("stream_task_id", [UNKNOWN_ID, "no uuid", "../users/delete"])
async def test_an_unknown_stream_task(client: Client, name: Name, stream_task_id: str) -> None:
    if name in STREAM_CHAT and "/" in stream_task_id:
        # This SDK does not encode ids: such a request goes elsewhere, at Stream as well.
        stream_task_id = stream_task_id.replace("/", "%2F")
    with pytest.raises((StreamApiException, StreamAPIException), match="Can't find task with id") as caught:
        await client.get_task(stream_task_id)
    assert caught.value.status_code == 404


@OF_GETSTREAM
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"'])
async def test_a_body_that_is_no_json_object(client: Client, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    with pytest.raises(StreamApiException, match=r"DeleteUsers failed with error: .*JSON") as caught:
        await client.method(
            "post",
            path="/api/v2/users/delete",
            data_type=DeleteUsersResponse,
            content=content,
            headers=headers,
        )
    assert (caught.value.status_code, caught.value.code) == (400, 4)


@OF_GETSTREAM
async def test_a_rate_limit_that_says_when_to_come_back(client: Client, sandbox: Sandbox) -> None:
    sandbox.control.fault("rate_limit", retry_after=7)
    with pytest.raises(StreamRateLimitException) as caught:
        await client.get_task(UNKNOWN_ID)
    assert caught.value.retry_after.total_seconds() == 7
    assert caught.value.rate_limit_info.remaining == 0


@OF_GETSTREAM
async def test_every_field_of_an_error(client: Client, sandbox: Sandbox) -> None:
    sandbox.control.fault(
        "api_error",
        status=403,
        code=99,
        message="app suspended",
        unrecoverable=True,
        exception_fields={"app": "1"},
    )
    with pytest.raises(StreamApiException) as caught:
        await client.get_task(UNKNOWN_ID)
    error = caught.value
    assert (error.status_code, error.code, error.unrecoverable) == (403, 99, True)
    assert error.message == 'GetTask failed with error: "app suspended"'
    assert error.exception_fields == {"app": "1"}
    assert error.more_info.startswith("https://getstream.io/")
    assert error.details == []


@OF_GETSTREAM
@pytest.mark.parametrize("kind", ["unavailable", "wrong_content_type", "broken_json"])
async def test_an_answer_that_is_no_answer_of_stream(client: Client, sandbox: Sandbox, kind: str) -> None:
    sandbox.control.fault(kind)
    with pytest.raises(StreamApiException, match="failed to parse error response") as caught:
        await client.get_task(UNKNOWN_ID)
    assert caught.value.code == 0


@OF_GETSTREAM
async def test_an_error_without_the_envelope_breaks_the_sdk(client: Client, sandbox: Sandbox) -> None:
    """Which is why ours reads bodies by itself."""
    sandbox.control.fault("api_error", bare=True)
    with pytest.raises(KeyError, match="code"):
        await client.get_task(UNKNOWN_ID)


@OF_GETSTREAM
async def test_a_connection_that_breaks_after_the_request_was_taken(client: Client, sandbox: Sandbox) -> None:
    sandbox.control.fault("reset_after", operation="DeleteUsers")
    with pytest.raises(StreamTransportException) as caught:
        await client.method("delete_users", user_ids=["ann"])
    assert caught.value.error_type == "connection_reset"
    assert [task["items"] for task in sandbox.control.tasks()] == [["ann"]]
