"""What calls do, told by further calls of the official SDK."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from getstream import Stream
from getstream.exceptions import StreamApiException
from getstream.models import ImportV2TaskSettings

from airflow_provider_streamtasks.sandbox import Sandbox
from tests.conformance.clients import Client, Name

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def name() -> Name:
    return "Stream"


@pytest.fixture
def stream(client: Client) -> Stream:
    stream: Stream = client.sdk
    return stream


class TestStreamTasks:
    @pytest.mark.parametrize("name", ["Stream", "AsyncStream"])
    async def test_the_helper_of_the_sdk_waits_through_every_status(
        self, client: Client, sandbox: Sandbox
    ) -> None:
        sandbox.control.fate(pending=0.05, waiting=0.05, running=0.05)
        before = datetime.now(timezone.utc)
        submitted = await client.method("delete_users", user_ids=["ann"])
        stream_task_id = submitted.data.task_id
        waited = await client.method("wait_for_task", task_id=stream_task_id, poll_interval=0.01, timeout=60)
        task = waited.data
        assert (task.task_id, task.status, task.error) == (stream_task_id, "completed", None)
        assert task.result == {"ann": {"status": "ok"}}
        assert task.updated_at - task.created_at == pytest.approx(
            timedelta(seconds=0.15), abs=timedelta(milliseconds=1)
        )
        assert abs(task.created_at - before) < timedelta(seconds=60)

    @pytest.mark.usefixtures("at_once")
    async def test_a_soft_deletion_of_channels_gives_a_result_and_a_stream_task(self, stream: Stream) -> None:
        answer: Any = stream.chat.delete_channels(cids=["messaging:a"]).data
        assert answer.result["messaging:a"].status == "ok"
        assert stream.get_task(id=answer.task_id).data.result == {"messaging:a": {"status": "ok"}}

    async def test_a_hard_deletion_of_a_user_contradicts_a_soft_one_of_messages(self, stream: Stream) -> None:
        with pytest.raises(StreamApiException, match="cannot be combined with messages soft"):
            stream.delete_users(user_ids=["ann"], user="hard", messages="soft")

    async def test_a_deleted_call_is_shown(self, stream: Stream) -> None:
        soft = stream.video.delete_call(type="default", id="standup").data
        assert soft.task_id is None
        assert soft.call.cid == "default:standup"
        assert soft.call.settings.video.target_resolution.height == 720

    async def test_items_fail_in_a_stream_task_that_completes(self, stream: Stream, sandbox: Sandbox) -> None:
        sandbox.control.fate(pending=0, running=0, failed_items={"*:b": "frozen", "*:c": "frozen"})
        cids = ["messaging:a", "messaging:b", "messaging:c"]
        update = stream.chat.channel_batch_update(operation="hide", filter={"cids": {"$in": cids}})
        task: Any = stream.get_task(id=update.data.task_id).data
        assert (task.status, task.result["success_channels_count"]) == ("completed", 1)
        assert task.result["failed_channels"] == [{"reason": "frozen", "cids": cids[1:]}]
        deletion = stream.chat.delete_channels(cids=cids, hard_delete=True)
        task = stream.get_task(id=deletion.data.task_id).data
        assert task.status == "completed"
        assert task.result["messaging:b"] == {"status": "error", "error": "frozen"}

    async def test_the_url_of_an_export_is_signed_anew_at_each_poll(
        self, stream: Stream, sandbox: Sandbox
    ) -> None:
        sandbox.control.fate(pending=0, running=0)
        stream_task_id = stream.export_users(user_ids=["ann"]).data.task_id
        looks: list[Any] = [stream.get_task(id=stream_task_id).data.result for _ in range(2)]
        assert looks[0]["url"] != looks[1]["url"]
        async with httpx.AsyncClient() as http:
            for look in looks:
                assert (await http.get(look["url"])).status_code == 200


class TestLists:
    async def test_the_channels_of_a_page(self, stream: Stream, sandbox: Sandbox) -> None:
        sandbox.control.add_channel("messaging:a", created_at=100, members=["ann", "joe"], member_count=2)
        sandbox.control.add_channel("messaging:b", created_at=200)
        [first] = stream.chat.query_channels(
            filter_conditions={"cid": {"$in": ["messaging:a", "messaging:b"]}, "member_count": {"$gt": 0}}
        ).data.channels
        assert first.channel is not None
        assert (first.channel.cid, first.channel.member_count) == ("messaging:a", 2)
        assert first.channel.created_at == datetime.fromtimestamp(100, timezone.utc)

    async def test_the_budgets(self, stream: Stream) -> None:
        stream.delete_users(user_ids=["ann"])
        limits = stream.get_rate_limits(server_side=True, endpoints="GetTask,DeleteUsers").data
        assert limits.android is None
        assert {name: (each.limit, each.remaining) for name, each in limits.server_side.items()} == {
            "GetTask": (1000, 1000),
            "DeleteUsers": (6, 5),
        }


class TestImports:
    async def test_a_file_is_uploaded_and_imported(self, stream: Stream, sandbox: Sandbox) -> None:
        target = stream.create_import_url(filename="channels.json").data
        async with httpx.AsyncClient() as http:
            assert (await http.put(target.upload_url, content=b"[1, 2]")).status_code == 200
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

    async def test_an_import_of_the_second_kind_shows_numbers(self, stream: Stream, sandbox: Sandbox) -> None:
        sandbox.control.fate(operation="CreateImportV2Task", pending=60)
        settings = ImportV2TaskSettings(path="s3://bucket/file", mode="upsert")
        created = stream.create_import_v2_task(product="chat", settings=settings).data
        assert (created.state, created.product, created.settings.path) == (1, "chat", "s3://bucket/file")
        sandbox.control.fate(stream_task_id=created.id, running=60)
        assert stream.get_import_v2_task(id=created.id).data.state == 2
        sandbox.control.fate(stream_task_id=created.id, result={"users": 3})
        done = stream.get_import_v2_task(id=created.id).data
        assert (done.state, done.result) == (3, {"users": 3})
        assert [each.id for each in stream.list_import_v2_tasks(state=3).data.import_tasks] == [created.id]
        assert stream.list_import_v2_tasks(state=2).data.import_tasks == []

    async def test_a_queued_import_can_be_cancelled_or_deleted(
        self, stream: Stream, sandbox: Sandbox
    ) -> None:
        sandbox.control.fate(operation="CreateImportV2Task", pending=60)
        settings = ImportV2TaskSettings(path="file")
        first = stream.create_import_v2_task(product="feeds", settings=settings).data.id
        stream.cancel_import_v2_task(id=first)
        assert stream.get_import_v2_task(id=first).data.state == 5
        with pytest.raises(StreamApiException, match="cannot be cancelled"):
            stream.cancel_import_v2_task(id=first)
        with pytest.raises(StreamApiException, match="cannot be deleted"):
            stream.delete_import_v2_task(id=first)

        second = stream.create_import_v2_task(product="feeds", settings=settings).data.id
        stream.delete_import_v2_task(id=second)
        with pytest.raises(StreamApiException, match="Can't find import"):
            stream.get_import_v2_task(id=second)

    async def test_a_processing_import_stops_a_little_later(self, stream: Stream, sandbox: Sandbox) -> None:
        sandbox.control.fate(operation="CreateImportV2Task", pending=0, running=60)
        created = stream.create_import_v2_task(
            product="chat", settings=ImportV2TaskSettings(path="f")
        ).data.id
        stream.cancel_import_v2_task(id=created)
        states: list[int] = []
        while not states or states[-1] == 2:
            states.append(stream.get_import_v2_task(id=created).data.state)
        assert states[-1] == 5
