"""Stream's official SDK against the sandbox: it must not notice that this is not Stream."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import httpx
import pytest
from getstream import AsyncStream, Stream
from getstream.exceptions import (
    StreamApiException,
    StreamRateLimitException,
    StreamTaskException,
    StreamTransportException,
)
from getstream.models import (
    ChannelBatchMemberRequest,
    ChannelExport,
    ImportV2TaskSettings,
)

from airflow_provider_streamtasks.sandbox import Sandbox

UNKNOWN_ID = "7586fa0d-dc8d-4f6f-be2d-f952d0e26167"


class TestWaiting:
    def test_a_hard_deletion_runs_in_a_task_that_completes(self, stream: Stream, sandbox: Sandbox) -> None:
        sandbox.control.fate(pending=0.05, running=0.05)
        before = datetime.now(timezone.utc)
        task_id = stream.chat.delete_channels(
            cids=["messaging:a", "messaging:b"], hard_delete=True
        ).data.task_id
        task = stream.wait_for_task(task_id, poll_interval=0.02, timeout=10).data
        assert task.task_id == task_id
        assert task.status == "completed"
        assert task.result == {"messaging:a": {"status": "ok"}, "messaging:b": {"status": "ok"}}
        assert task.error is None
        assert abs(task.created_at - before).total_seconds() < 10
        assert task.created_at < task.updated_at

    async def test_the_asynchronous_client_waits_as_well(self, sandbox: Sandbox) -> None:
        sandbox.control.fate(pending=0.05, running=0.05)
        async with AsyncStream(
            api_key=sandbox.api_key, api_secret=sandbox.api_secret, base_url=sandbox.url
        ) as client:
            answer = await client.chat.delete_channels(cids=["messaging:a"], hard_delete=True)
            task = await client.wait_for_task(answer.data.task_id, poll_interval=0.02, timeout=10)
        assert task.data.status == "completed"

    def test_a_failed_task_raises_with_all_fields_of_its_error(
        self, stream: Stream, sandbox: Sandbox
    ) -> None:
        error = {"type": "quota", "description": "too much", "stacktrace": "a.go:1", "version": "v9"}
        sandbox.control.fate(pending=0, running=0, end="failed", error=error)
        task_id = stream.chat.delete_channels(cids=["messaging:a"], hard_delete=True).data.task_id
        with pytest.raises(StreamTaskException) as caught:
            stream.wait_for_task(task_id)
        assert caught.value.task_id == task_id
        assert caught.value.error_type == "quota"
        assert caught.value.description == "too much"
        assert caught.value.stack_trace == "a.go:1"
        assert caught.value.version == "v9"

    def test_a_task_that_never_ends_runs_into_the_timeout(self, stream: Stream, sandbox: Sandbox) -> None:
        sandbox.control.fate(end="never")
        task_id = stream.chat.delete_channels(cids=["messaging:a"], hard_delete=True).data.task_id
        with pytest.raises(StreamTransportException, match=f"waiting for task {task_id}") as caught:
            stream.wait_for_task(task_id, poll_interval=0.02, timeout=0.1)
        assert caught.value.error_type == "timeout"

    def test_an_unknown_task_does_not_exist(self, stream: Stream) -> None:
        with pytest.raises(StreamApiException, match=f"Can't find task with id {UNKNOWN_ID}") as caught:
            stream.get_task(id=UNKNOWN_ID)
        assert (caught.value.status_code, caught.value.code) == (404, 16)


class TestRefusals:
    def test_a_wrong_key(self, connect: Callable[..., Stream]) -> None:
        with pytest.raises(StreamApiException, match="api_key not valid") as caught:
            connect(api_key="another").get_task(id=UNKNOWN_ID)
        assert (caught.value.status_code, caught.value.code) == (401, 2)

    def test_a_wrong_secret(self, connect: Callable[..., Stream]) -> None:
        with pytest.raises(StreamApiException, match="signature is not valid") as caught:
            connect(api_secret="another secret, also of more than 32 bytes").get_task(id=UNKNOWN_ID)
        assert (caught.value.status_code, caught.value.code) == (401, 43)

    def test_a_user_token(self, connect: Callable[..., Stream], stream: Stream) -> None:
        with pytest.raises(StreamApiException) as caught:
            connect(api_secret=None, token=stream.create_token("alice")).get_task(id=UNKNOWN_ID)
        assert (caught.value.status_code, caught.value.code) == (403, 17)

    def test_more_channels_than_a_request_may_carry(self, stream: Stream) -> None:
        with pytest.raises(StreamApiException, match="DeleteChannels failed with error") as caught:
            stream.chat.delete_channels(cids=[f"messaging:{n}" for n in range(101)], hard_delete=True)
        assert (caught.value.status_code, caught.value.code) == (400, 4)
        assert caught.value.more_info.startswith("https://getstream.io/")

    def test_a_rate_limit(self, stream: Stream, sandbox: Sandbox) -> None:
        sandbox.control.budget("DeleteUsers", limit=1)
        first = stream.delete_users(user_ids=["a"])
        assert (first.rate_limit().limit, first.rate_limit().remaining) == (1, 0)
        with pytest.raises(StreamRateLimitException, match="Too many requests") as caught:
            stream.delete_users(user_ids=["b"])
        assert (caught.value.status_code, caught.value.code) == (429, 9)
        assert caught.value.retry_after is None
        assert caught.value.rate_limit_info.limit == 1
        assert caught.value.rate_limit_info.remaining == 0
        assert caught.value.rate_limit_info.reset.timestamp() > time.time()

    def test_a_rate_limit_that_says_when_to_come_back(self, stream: Stream, sandbox: Sandbox) -> None:
        sandbox.control.fault("rate_limit", retry_after=7)
        with pytest.raises(StreamRateLimitException) as caught:
            stream.get_task(id=UNKNOWN_ID)
        assert caught.value.retry_after.total_seconds() == 7


def test_the_sdk_reads_the_rate_limits(stream: Stream) -> None:
    stream.delete_users(user_ids=["a"])
    limits = stream.get_rate_limits(server_side=True, endpoints="GetTask,DeleteUsers").data
    assert limits.android is None
    assert {name: (each.limit, each.remaining) for name, each in limits.server_side.items()} == {
        "GetTask": (1000, 1000),
        "DeleteUsers": (6, 5),
    }


def test_the_sdk_meets_a_broken_connection(stream: Stream, sandbox: Sandbox) -> None:
    sandbox.control.fault("reset_after", operation="DeleteChannels")
    with pytest.raises(StreamTransportException) as caught:
        stream.chat.delete_channels(cids=["messaging:a"], hard_delete=True)
    assert caught.value.error_type == "connection_reset"
    assert [task["items"] for task in sandbox.control.tasks()] == [["messaging:a"]]


Submit = Callable[[Stream], Any]
PER_ITEM: dict[str, tuple[Submit, dict[str, Any]]] = {
    "DeleteUsers": (
        lambda stream: stream.delete_users(
            user_ids=["a", "b"], user="hard", messages="hard", conversations="hard", calls="hard"
        ),
        {"a": {"status": "ok"}, "b": {"status": "ok"}},
    ),
    "DeactivateUsers": (
        lambda stream: stream.deactivate_users(user_ids=["a"], mark_messages_deleted=True),
        {"a": {"status": "ok"}},
    ),
    "ReactivateUsers": (
        lambda stream: stream.reactivate_users(user_ids=["a"], restore_messages=True),
        {"a": {"status": "ok"}},
    ),
    "DeleteCall": (
        lambda stream: stream.video.delete_call(type="default", id="standup", hard=True),
        {"default:standup": {"status": "ok"}},
    ),
    "DeleteFeed": (
        lambda stream: stream.feeds.delete_feed(feed_group_id="user", feed_id="alice", hard_delete=True),
        {"user:alice": {"status": "ok"}},
    ),
    "DeleteFeedsBatch": (
        lambda stream: stream.feeds.delete_feeds_batch(feeds=["user:a", "user:b"], hard_delete=True),
        {"user:a": {"status": "ok"}, "user:b": {"status": "ok"}},
    ),
    "DeleteFeedUserData": (
        lambda stream: stream.feeds.delete_feed_user_data(user_id="a", hard_delete=True),
        {"a": {"status": "ok"}},
    ),
    "ImportBlockList": (
        lambda stream: stream.import_block_list(id="bad-words", items=["x", "y"], chunk_size=1),
        {"items_count": 2},
    ),
}
EXPORTS: dict[str, tuple[Submit, str, str]] = {
    "ExportChannels": (
        lambda stream: stream.chat.export_channels(
            channels=[
                ChannelExport(cid="messaging:a", messages_since=datetime(2026, 1, 1, tzinfo=timezone.utc)),
                ChannelExport(type="messaging", id="b"),
            ],
            include_soft_deleted_channels=True,
        ),
        "channels.json",
        '"cid": "messaging:b"',
    ),
    "ExportUsers": (lambda stream: stream.export_users(user_ids=["alice"]), "users.jsonl", '"id": "alice"'),
    "bulk_image_moderation": (
        lambda stream: stream.moderation.bulk_image_moderation(csv_file="https://example.com/images.csv"),
        "results.csv",
        "https://example.com/images.csv,keep",
    ),
    "ExportFeedUserData": (
        lambda stream: stream.feeds.export_feed_user_data(user_id="alice"),
        "feeds.json",
        '"id": "alice"',
    ),
}


@pytest.mark.usefixtures("at_once")
class TestEveryOperation:
    @pytest.mark.parametrize("operation", PER_ITEM)
    def test_reports_its_result(self, operation: str, stream: Stream, sandbox: Sandbox) -> None:
        submit, result = PER_ITEM[operation]
        task = stream.get_task(id=submit(stream).data.task_id).data
        assert (task.status, task.result) == ("completed", result)
        assert sandbox.control.journal()[0]["operation"] == operation

    @pytest.mark.parametrize("operation", EXPORTS)
    def test_hands_out_its_file(self, operation: str, stream: Stream, sandbox: Sandbox) -> None:
        submit, name, content = EXPORTS[operation]
        result = stream.get_task(id=submit(stream).data.task_id).data.result
        assert result is not None
        assert f"/{name}?" in result["url"]
        with urllib.request.urlopen(result["url"]) as response:
            assert content in response.read().decode()
        assert sandbox.control.journal()[0]["operation"] == operation

    def test_a_channel_batch_update_counts_channels(self, stream: Stream, sandbox: Sandbox) -> None:
        sandbox.control.fate(pending=0, running=0, failed_items={"*:b": "frozen", "*:c": "frozen"})
        answer = stream.chat.channel_batch_update(
            operation="addMembers",
            filter={"cids": {"$in": ["messaging:a", "messaging:b", "messaging:c"]}},
            members=[ChannelBatchMemberRequest(user_id="alice", channel_role="channel_moderator")],
        )
        task = stream.get_task(id=answer.data.task_id).data
        assert task.status == "completed"
        assert task.result["operation"] == "addMembers"
        assert task.result["task_id"] == answer.data.task_id
        assert task.result["success_channels_count"] == 1
        assert task.result["failed_channels"] == [
            {"reason": "frozen", "cids": ["messaging:b", "messaging:c"]}
        ]
        assert datetime.fromisoformat(task.result["finished_at"].replace("Z", "+00:00")).tzinfo is not None

    def test_a_soft_deletion_of_channels_is_done_at_once(self, stream: Stream) -> None:
        answer = stream.chat.delete_channels(cids=["messaging:a"]).data
        assert answer.task_id is None
        assert answer.result["messaging:a"].status == "ok"

    def test_a_deleted_call_is_shown(self, stream: Stream) -> None:
        soft = stream.video.delete_call(type="default", id="standup").data
        assert soft.task_id is None
        assert soft.call.cid == "default:standup"
        assert soft.call.settings.video.target_resolution.height == 720


class TestImports:
    def test_a_file_is_uploaded_and_imported(self, stream: Stream, sandbox: Sandbox) -> None:
        target = stream.create_import_url(filename="channels.json").data
        assert httpx.put(target.upload_url, content=b"[1, 2]").status_code == 200
        sandbox.control.fate(operation="CreateImport", pending=60)
        created = stream.create_import(path=target.path, mode="upsert").data.import_task
        assert (created.state, created.size, created.history) == ("uploaded", 6, [])

        sandbox.control.fate(stream_task_id=created.id, running=60)
        assert stream.get_import(id=created.id).data.import_task.state == "analyzing"
        sandbox.control.fate(stream_task_id=created.id)
        done = stream.get_import(id=created.id).data.import_task
        assert done.state == "completed"
        assert [(step.prev_state, step.next_state) for step in done.history] == [
            ("uploaded", "analyzing"),
            ("analyzing", "completed"),
        ]
        assert [each.id for each in stream.list_imports().data.import_tasks] == [created.id]

    def test_an_import_of_the_second_kind_shows_numbers(self, stream: Stream, sandbox: Sandbox) -> None:
        sandbox.control.fate(operation="CreateImportV2Task", pending=60)
        settings = ImportV2TaskSettings(path="s3://bucket/file", mode="upsert")
        created = stream.create_import_v2_task(product="chat", settings=settings).data
        assert (created.state, created.product, created.settings.path) == (0, "chat", "s3://bucket/file")
        sandbox.control.fate(stream_task_id=created.id, running=60)
        assert stream.get_import_v2_task(id=created.id).data.state == 1
        sandbox.control.fate(stream_task_id=created.id, result={"users": 3})
        done = stream.get_import_v2_task(id=created.id).data
        assert (done.state, done.result) == (2, {"users": 3})
        assert [each.id for each in stream.list_import_v2_tasks(state=2).data.import_tasks] == [created.id]
        assert stream.list_import_v2_tasks(state=1).data.import_tasks == []

    def test_a_queued_import_can_be_cancelled_or_deleted(self, stream: Stream, sandbox: Sandbox) -> None:
        sandbox.control.fate(operation="CreateImportV2Task", pending=60)
        settings = ImportV2TaskSettings(path="file")
        first = stream.create_import_v2_task(product="feeds", settings=settings).data.id
        stream.cancel_import_v2_task(id=first)
        assert stream.get_import_v2_task(id=first).data.state == 4
        with pytest.raises(StreamApiException, match="cannot be cancelled"):
            stream.cancel_import_v2_task(id=first)
        with pytest.raises(StreamApiException, match="cannot be deleted"):
            stream.delete_import_v2_task(id=first)

        second = stream.create_import_v2_task(product="feeds", settings=settings).data.id
        stream.delete_import_v2_task(id=second)
        with pytest.raises(StreamApiException, match="Can't find import"):
            stream.get_import_v2_task(id=second)

    def test_a_processing_import_stops_a_little_later(self, stream: Stream, sandbox: Sandbox) -> None:
        sandbox.control.fate(operation="CreateImportV2Task", pending=0, running=60)
        created = stream.create_import_v2_task(
            product="chat", settings=ImportV2TaskSettings(path="f")
        ).data.id
        stream.cancel_import_v2_task(id=created)
        states = []
        while not states or states[-1] == 1:
            states.append(stream.get_import_v2_task(id=created).data.state)
        assert states[-1] == 4
