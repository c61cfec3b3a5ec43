"""What the hook sends is what Stream's own SDK sends."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
from getstream import Stream, models

from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol.catalogue import (
    BULK_IMAGE_MODERATION,
    CATALOGUE,
    CHANNEL_BATCH_UPDATE,
    CREATE_IMPORT,
    CREATE_IMPORT_V2,
    DEACTIVATE_USERS,
    DELETE_CALL,
    DELETE_CHANNELS,
    DELETE_FEED,
    DELETE_FEED_USER_DATA,
    DELETE_FEEDS,
    DELETE_USERS,
    EXPORT_CHANNELS,
    EXPORT_FEED_USER_DATA,
    EXPORT_USERS,
    IMPORT_BLOCK_LIST,
    REACTIVATE_USERS,
)
from airflow_provider_streamtasks.protocol.operations import Operation

KEY = "sandbox-key"
SECRET = "a-secret-of-more-than-thirty-two-bytes"
NASTY = [
    "../users/delete",
    "a/b",
    "a+b",
    "100%2F",
    "q?api_key=x&y=z",
    "#hash",
    "täsk-✓",
    "!$()*;:@=~_-.",
    "...",
    "<a>`|\\^",
]
NOON = datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=timezone.utc)
CONDITION = {"cids": {"$in": ["messaging:a", "messaging:b"]}}


@dataclass(frozen=True)
class Sent:
    """One request, as it came over the wire."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content) if self.content else None


@dataclass(frozen=True)
class Recorder:
    """A server that notes what it is sent."""

    url: str
    sent: list[Sent]

    def only(self) -> Sent:
        (sent,) = self.sent
        self.sent.clear()
        return sent


@pytest.fixture(scope="module")
def one_recorder() -> Iterator[Recorder]:
    sent: list[Sent] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            path, _, query = self.path.partition("?")
            length = int(self.headers.get("content-length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            pairs = sorted(parse_qsl(query, keep_blank_values=True, strict_parsing=True))
            sent.append(Sent(self.command, path, pairs, headers, self.rfile.read(length)))
            content = json.dumps(
                {"duration": "1ms", "task_id": "t", "id": "t", "import_task": {"id": "t"}, "result": {}}
            ).encode()
            self.send_response(200 if self.command == "DELETE" else 201)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_DELETE = answer

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield Recorder(f"http://127.0.0.1:{server.server_port}", sent)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def recorder(one_recorder: Recorder) -> Recorder:
    one_recorder.sent.clear()
    return one_recorder


@pytest.fixture
def sdk(recorder: Recorder) -> Iterator[Stream]:
    client = Stream(api_key=KEY, api_secret=SECRET, base_url=recorder.url)
    yield client
    client.close()


@pytest.fixture
def ours(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> Iterator[StreamHook]:
    connection = {"conn_type": "stream", "login": KEY, "password": SECRET, "host": recorder.url}
    monkeypatch.setenv("AIRFLOW_CONN_STREAM_DEFAULT", json.dumps(connection))
    hook = StreamHook()
    yield hook
    hook.close()


# -- the same call, in the words of the SDK ----------------------------------------------------------------


def _export_channels(client: Stream, channels: list[Any], **options: Any) -> Any:
    exports = [
        models.ChannelExport(cid=each) if isinstance(each, str) else models.ChannelExport(**each)
        for each in channels
    ]
    return client.chat.export_channels(channels=exports, **options)


def _batch_update(client: Stream, **options: Any) -> Any:
    if options.get("members"):
        options["members"] = [models.ChannelBatchMemberRequest(**each) for each in options["members"]]
    if options.get("data"):
        options["data"] = models.ChannelDataUpdate(**options["data"])
    return client.chat.channel_batch_update(**options)


SDK: dict[str, Callable[..., Any]] = {
    "DeleteChannels": lambda client, **given: client.chat.delete_channels(**given),
    "ExportChannels": _export_channels,
    "ChannelBatchUpdate": _batch_update,
    "DeleteUsers": lambda client, **given: client.delete_users(**given),
    "DeactivateUsers": lambda client, **given: client.deactivate_users(**given),
    "ReactivateUsers": lambda client, **given: client.reactivate_users(**given),
    "ExportUsers": lambda client, **given: client.export_users(**given),
    "DeleteCall": lambda client, call_type, call_id, **given: client.video.delete_call(
        type=call_type, id=call_id, **given
    ),
    "DeleteFeed": lambda client, **given: client.feeds.delete_feed(**given),
    "DeleteFeedsBatch": lambda client, **given: client.feeds.delete_feeds_batch(**given),
    "DeleteFeedUserData": lambda client, **given: client.feeds.delete_feed_user_data(**given),
    "ExportFeedUserData": lambda client, **given: client.feeds.export_feed_user_data(**given),
    "ImportBlockList": lambda client, blocklist_id, **given: client.import_block_list(
        id=blocklist_id, **given
    ),
    "bulk_image_moderation": lambda client, **given: client.moderation.bulk_image_moderation(**given),
    "CreateImport": lambda client, **given: client.create_import(**given),
    "CreateImportV2Task": lambda client, settings, **given: client.create_import_v2_task(
        settings=models.ImportV2TaskSettings(**settings), **given
    ),
}

USERS = {"user_ids": ["joe", "täsk-✓", "../x"]}
CASES: list[tuple[Operation, dict[str, Any]]] = [
    *(
        (DELETE_CHANNELS, {"cids": ["messaging:a", "livestream:!members-x"], **options})
        for options in (
            {},
            {"hard_delete": None},
            {"hard_delete": False, "skip_truncate": True},
            {"hard_delete": True},
        )
    ),
    *(
        (EXPORT_CHANNELS, {"channels": ["messaging:a"], **options})
        for options in (
            {},
            {"version": "v2"},
            {"version": "v2", "format": "csv", "include_fields": ["cid", "text"]},
            {"format": "json", "export_users": True, "include_soft_deleted_channels": False},
            {"clear_deleted_message_text": True, "include_truncated_messages": True, "export_users": None},
        )
    ),
    (
        EXPORT_CHANNELS,
        {
            "channels": [
                "messaging:a",
                {"cid": "messaging:b", "messages_since": NOON},
                {
                    "type": "messaging",
                    "id": "ç✓",
                    "messages_until": NOON.astimezone(timezone(timedelta(hours=2))),
                },
            ]
        },
    ),
    (CHANNEL_BATCH_UPDATE, {"operation": "hide", "filter": CONDITION}),
    (
        CHANNEL_BATCH_UPDATE,
        {"operation": "archive", "filter": {"types": {"$eq": "messaging"}}, "members": None},
    ),
    (
        CHANNEL_BATCH_UPDATE,
        {
            "operation": "addMembers",
            "filter": CONDITION,
            "members": [
                {"user_id": "joe", "channel_role": "admin"},
                {"user_id": "ann", "channel_role": None},
            ],
        },
    ),
    (
        CHANNEL_BATCH_UPDATE,
        {
            "operation": "updateData",
            "filter": CONDITION,
            "data": {
                "frozen": True,
                "disabled": False,
                "custom": {"ü": [1, None, {"a": 1.5}]},
                "team": "red",
            },
        },
    ),
    (
        CHANNEL_BATCH_UPDATE,
        {
            "operation": "updateData",
            "filter": CONDITION,
            "custom_set": {"ü.b": [1, {"a": 1.5}]},
            "custom_unset": ["c.d", "e"],
        },
    ),
    (
        CHANNEL_BATCH_UPDATE,
        {
            "operation": "addMembersHideHistory",
            "filter": CONDITION,
            "members": [{"user_id": "joe"}],
            "hide_history_before": NOON,
        },
    ),
    *(
        (DELETE_USERS, {**USERS, **options})
        for options in (
            {},
            {"user": "soft", "messages": "pruning"},
            {"user": "hard", "messages": "hard", "conversations": "hard", "calls": "hard", "files": True},
            {"user": "pruning", "files": False, "new_channel_owner_id": "ann", "new_call_owner_id": None},
            {"new_call_owner_id": "ann"},
        )
    ),
    *(
        (DEACTIVATE_USERS, {**USERS, **options})
        for options in (
            {},
            {"created_by_id": "ann"},
            {"mark_messages_deleted": True, "mark_channels_deleted": False},
        )
    ),
    *(
        (REACTIVATE_USERS, {**USERS, **options})
        for options in ({}, {"created_by_id": "ann"}, {"restore_messages": True, "restore_channels": False})
    ),
    (EXPORT_USERS, USERS),
    *(
        (DELETE_CALL, {"call_type": "default", "call_id": "standup", **options})
        for options in ({}, {"hard": None}, {"hard": False}, {"hard": True})
    ),
    *((DELETE_CALL, {"call_type": nasty, "call_id": nasty, "hard": True}) for nasty in NASTY),
    *(
        (DELETE_FEED, {"feed_group_id": "user", "feed_id": "joe", **options})
        for options in (
            {},
            {"hard_delete": True},
            {"hard_delete": False, "purge_user_activities": None},
            {"hard_delete": True, "purge_user_activities": True},
        )
    ),
    *((DELETE_FEED, {"feed_group_id": nasty, "feed_id": nasty}) for nasty in NASTY),
    *(
        (DELETE_FEEDS, {"feeds": ["user:joe", "user:täsk-✓"], **options})
        for options in (
            {},
            {"hard_delete": False},
            {"hard_delete": True, "purge_user_activities": True},
        )
    ),
    *(
        (DELETE_FEED_USER_DATA, {"user_id": "joe", **options})
        for options in ({}, {"hard_delete": False}, {"hard_delete": True})
    ),
    *((DELETE_FEED_USER_DATA, {"user_id": nasty}) for nasty in NASTY),
    (EXPORT_FEED_USER_DATA, {"user_id": "joe"}),
    *((EXPORT_FEED_USER_DATA, {"user_id": nasty}) for nasty in NASTY),
    *(
        (IMPORT_BLOCK_LIST, {"blocklist_id": "bad words/ü", "items": ["dämn", "\"'\\", "a b"], **options})
        for options in ({}, {"chunk_size": None}, {"chunk_size": 500})
    ),
    *((IMPORT_BLOCK_LIST, {"blocklist_id": nasty, "items": ["a"]}) for nasty in NASTY),
    (BULK_IMAGE_MODERATION, {"csv_file": "https://example.com/images.csv?a=b&c=%20ü"}),
    *(
        (CREATE_IMPORT, {"path": "streams-import-bucket/a b.json", **options})
        for options in ({"mode": "upsert"}, {"mode": "insert", "merge_custom": False})
    ),
    *(
        (CREATE_IMPORT_V2, {"product": "chat", "settings": {"mode": "upsert", "path": "a b.json"}, **options})
        for options in ({}, {"user_id": "joe"})
    ),
]


def submit(hook: StreamHook, operation: Operation, given: dict[str, Any]) -> None:
    options = dict(given)
    items = options.pop(operation.items.name) if operation.items else ()
    hook.submit(operation, items, **options)


@pytest.mark.filterwarnings("ignore:Missing value of non-optional type:RuntimeWarning")
@pytest.mark.parametrize(
    ("operation", "given"), [pytest.param(*case, id=f"{case[0].name}-{i}") for i, case in enumerate(CASES)]
)
def test_hook_and_sdk_send_the_same(
    operation: Operation, given: dict[str, Any], recorder: Recorder, sdk: Stream, ours: StreamHook
) -> None:
    SDK[operation.name](sdk, **given)
    theirs = recorder.only()
    submit(ours, operation, given)
    sent = recorder.only()

    assert (sent.method, sent.path, sent.query) == (theirs.method, theirs.path, theirs.query)
    assert ("api_key", KEY) in sent.query
    assert sent.body == theirs.body
    # No body is something else than an empty one.
    assert bool(sent.content) == bool(theirs.content)
    assert sent.headers.get("content-type") == theirs.headers.get("content-type")
    assert sent.headers["stream-auth-type"] == theirs.headers["stream-auth-type"] == "jwt"
    for each in (sent, theirs):
        token = each.headers["authorization"]
        assert jwt.get_unverified_header(token)["alg"] == "HS256"
        # A token is a server's by naming no user.
        assert "user_id" not in jwt.decode(token, SECRET, algorithms=["HS256"])
    assert {"x-stream-client"} <= sent.headers.keys() & theirs.headers.keys()


def test_every_operation_and_every_field_of_the_catalogue_is_compared() -> None:
    # Only Stream's Java SDK has this one.
    compared_rows = {name: row for name, row in CATALOGUE.items() if name != "export_logs"}
    assert {operation.name for operation, _ in CASES} == set(SDK) == set(compared_rows)
    for row in compared_rows.values():
        compared = {name for operation, given in CASES if operation is row for name in given}
        assert compared == set(row.arguments)


REQUESTS: dict[str, type] = {
    "DeleteChannels": models.DeleteChannelsRequest,
    "ExportChannels": models.ExportChannelsRequest,
    "ChannelBatchUpdate": models.ChannelBatchUpdateRequest,
    "DeleteUsers": models.DeleteUsersRequest,
    "DeactivateUsers": models.DeactivateUsersRequest,
    "ReactivateUsers": models.ReactivateUsersRequest,
    "ExportUsers": models.ExportUsersRequest,
    "DeleteCall": models.DeleteCallRequest,
    "DeleteFeedsBatch": models.DeleteFeedsBatchRequest,
    "DeleteFeedUserData": models.DeleteFeedUserDataRequest,
    "ImportBlockList": models.ImportBlockListRequest,
    "CreateImport": models.CreateImportRequest,
    "bulk_image_moderation": models.BulkImageModerationRequest,
}


@pytest.mark.parametrize("name", REQUESTS)
def test_every_field_that_the_sdk_has_is_in_the_catalogue(name: str) -> None:
    row = CATALOGUE[name]
    body = {*row.body, *([row.items.name] if row.items else [])}
    assert {field.name for field in fields(REQUESTS[name])} == body


def test_the_recorder_sees_the_path_as_it_was_sent(recorder: Recorder, ours: StreamHook) -> None:
    """Otherwise the comparison of paths would prove nothing."""
    ours.submit(DELETE_CALL, call_type="a/b", call_id="ç")
    sent = recorder.only()
    assert sent.path == "/api/v2/video/call/a%2Fb/%C3%A7/delete"
    assert urlsplit(sent.path).path == sent.path
