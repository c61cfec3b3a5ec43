from __future__ import annotations

import gzip
import json
import re
from typing import Any

import pytest

from airflow_provider_streamtasks.sandbox import running_sandbox
from tests.sandbox.raw_client import RawClient, Reply

DELETE_CHANNELS = "/api/v2/chat/channels/delete"
EXPORT_CHANNELS = "/api/v2/chat/export_channels"
EXPORT_USERS = "/api/v2/export/users"
DELETE_USERS = "/api/v2/users/delete"
BATCH = "/api/v2/chat/channels/batch"
FEEDS = "/api/v2/feeds/feeds/delete"
BLOCKLIST = "/api/v2/blocklists/words/import"
EXTERNAL = "/api/v2/imports/v2/external-storage"
A = {"channels": [{"cid": "messaging:a"}]}
ALL = {"operation": "hide", "filter": {"types": {"$eq": "messaging"}}}

REFUSED: list[tuple[str, str, Any, str]] = [
    ("POST", DELETE_CHANNELS, b"", "not valid JSON"),
    ("POST", DELETE_CHANNELS, b"{", "not valid JSON"),
    ("POST", DELETE_CHANNELS, [], "must be a JSON object"),
    ("POST", DELETE_CHANNELS, {}, "cids is a required field"),
    ("POST", DELETE_CHANNELS, {"cids": None}, "cids is a required field"),
    ("POST", DELETE_CHANNELS, {"cids": []}, "at least 1"),
    ("POST", DELETE_CHANNELS, {"cids": "messaging:a"}, "of type strings"),
    ("POST", DELETE_CHANNELS, {"cids": [7]}, "strings only"),
    ("POST", DELETE_CHANNELS, {"cids": ["messaging"]}, "form type:id"),
    ("POST", DELETE_CHANNELS, {"cids": ["messaging:"]}, "form type:id"),
    ("POST", DELETE_CHANNELS, {"cids": ["messaging:a"] * 101}, "at most 100"),
    ("POST", DELETE_CHANNELS, {"cids": ["messaging:a"], "hard_delete": "yes"}, "of type boolean"),
    ("POST", DELETE_CHANNELS, {"cids": ["messaging:a"], "hard": True}, "unknown field 'hard'"),
    (
        "POST",
        DELETE_CHANNELS,
        {"cids": ["messaging:a"], "hard_delete": True, "skip_truncate": True},
        "cannot be combined with hard_delete",
    ),
    ("POST", EXPORT_CHANNELS, {"channels": [{}]}, "either cid, or type and id"),
    ("POST", EXPORT_CHANNELS, {"channels": [{"type": "messaging"}]}, "either cid, or type and id"),
    ("POST", EXPORT_CHANNELS, {"channels": [{"cid": "messaging:a"}] * 101}, "at most 100"),
    ("POST", EXPORT_CHANNELS, {**A, "format": "xml"}, "one of: json, csv"),
    ("POST", EXPORT_CHANNELS, {**A, "format": "csv"}, "requires version v2"),
    (
        "POST",
        EXPORT_CHANNELS,
        {**A, "format": "csv", "version": "v2", "export_users": True},
        "cannot be combined",
    ),
    (
        "POST",
        EXPORT_CHANNELS,
        {"channels": [{"cid": "messaging:a", "messages_since": "yesterday"}]},
        "not an RFC 3339 time",
    ),
    (
        "POST",
        EXPORT_CHANNELS,
        {"channels": [{"cid": "messaging:a", "messages_until": "2026-01-01T00:00:00"}]},
        "lacks the offset",
    ),
    ("POST", EXPORT_USERS, {"user_ids": [f"u{n}" for n in range(26)]}, "at most 25"),
    ("POST", DELETE_USERS, {"user_ids": ["a"], "user": "fully"}, "one of: soft, pruning, hard"),
    ("POST", DELETE_USERS, {"user_ids": ["a"], "conversations": "pruning"}, "one of: soft, hard"),
    ("POST", DELETE_USERS, {"user_ids": ["a"], "user": ""}, "one of: soft, pruning, hard"),
    ("POST", DELETE_USERS, {"user_ids": ["a"], "user": "hard", "messages": "soft"}, "with messages soft"),
    (
        "POST",
        DELETE_USERS,
        {"user_ids": ["a"], "user": "hard", "messages": "hard", "conversations": "soft"},
        "with conversations soft",
    ),
    ("PUT", BATCH, {"operation": "explode", "filter": {"cids": {"$in": []}}}, "operation must be one of"),
    ("PUT", BATCH, {"operation": "hide", "filter": {}}, "must not be empty"),
    ("PUT", BATCH, {"operation": "hide", "filter": {"team": {"$eq": "x"}}}, "'team' is not supported"),
    ("PUT", BATCH, {"operation": "hide", "filter": {"cids": ["messaging:a"]}}, "explicit $eq or $in"),
    ("PUT", BATCH, {"operation": "hide", "filter": {"cids": {"$in": "a:b"}}}, "a list of strings with $in"),
    ("PUT", BATCH, {"operation": "hide", "filter": {"cids": {"$in": [7]}}}, "a list of strings with $in"),
    ("PUT", BATCH, {"operation": "hide", "filter": {"cids": {"$eq": ["a:b"]}}}, "a string with $eq"),
    ("PUT", BATCH, {**ALL, "operation": "addMembersHideHistory"}, "is required with addMembersHideHistory"),
    ("PUT", BATCH, {**ALL, "hide_history_before": "2026-01-01T00:00:00Z"}, "and only allowed there"),
    (
        "PUT",
        BATCH,
        {**ALL, "operation": "addMembersHideHistory", "hide_history_before": "yesterday"},
        "not an RFC 3339 time",
    ),
    ("PUT", BATCH, {**ALL, "custom_set": {"a": 1}}, "custom_set is only allowed with updateData"),
    (
        "PUT",
        BATCH,
        {**ALL, "operation": "updateData", "custom_unset": ["a"], "data": {"custom": {}}},
        "custom_unset cannot be combined with data.custom",
    ),
    ("POST", "/api/v2/feeds/users/alice/delete", None, "not valid JSON"),
    (
        "PUT",
        BATCH,
        {"operation": "addMembers", "filter": {"types": {"$eq": "x"}}, "members": [{}]},
        "user_id is a required field",
    ),
    (
        "PUT",
        BATCH,
        {"operation": "addMembers", "filter": {"types": {"$eq": "x"}}, "members": [7]},
        "must hold members only",
    ),
    ("POST", BLOCKLIST, {"items": []}, "at least 1"),
    ("POST", BLOCKLIST, {"items": ["x"], "chunk_size": 0}, "must be at least 1"),
    ("POST", BLOCKLIST, {"items": ["x"], "chunk_size": True}, "of type integer"),
    ("POST", "/api/v2/moderation/bulk_image_moderation", {"csv_file": ""}, "must not be empty"),
    ("POST", f"/api/v2/video/call/default/{'x' * 65}/delete", {}, "at most 64 characters"),
    ("POST", FEEDS, {"feeds": ["user:a"] * 101}, "at most 100"),
    ("POST", FEEDS, {"feeds": ["user"]}, "form group:id"),
    ("POST", FEEDS, {"feeds": ["user:a"], "purge_user_activities": True}, "requires hard_delete"),
    ("DELETE", "/api/v2/feeds/feed_groups/user/feeds/a?hard_delete=maybe", None, "of type boolean"),
    ("DELETE", "/api/v2/feeds/feed_groups/user/feeds/a?purge_user_activities=true", None, "requires hard"),
    ("DELETE", "/api/v2/feeds/feed_groups/user/feeds/a?hard=true", None, "unknown field 'hard'"),
    ("POST", "/api/v2/imports", {"path": "s3://stream-import/1/x/y", "mode": "upsert"}, "upload it first"),
    ("POST", "/api/v2/imports", {"path": "x", "mode": "replace"}, "one of: insert, upsert"),
    ("POST", "/api/v2/import_urls", {"filename": "a/b"}, "must not contain a slash"),
    ("POST", "/api/v2/imports/v2", {"product": "video", "settings": {}}, "one of: chat, feeds"),
    ("POST", "/api/v2/imports/v2", {"product": "chat", "settings": {"bucket": "b"}}, "unknown field"),
    ("GET", "/api/v2/imports?limit=many", None, "limit must be a whole number"),
    ("GET", "/api/v2/imports?offset=-1", None, "offset must be a whole number"),
    ("PUT", EXTERNAL, {"type": "abs"}, "one of: aws_s3, gcs"),
    ("PUT", EXTERNAL, {"type": "gcs"}, "gcs is required with type gcs"),
    ("PUT", EXTERNAL, {"type": "gcs", "gcs": {"bucket": "b"}}, "credentials is a required field"),
    (
        "PUT",
        EXTERNAL,
        {"type": "aws_s3", "aws_s3": {"bucket": "b", "region": "eu"}},
        "role_arn is a required field",
    ),
]


@pytest.mark.parametrize(("method", "path", "body", "reason"), REFUSED)
def test_a_request_that_makes_no_sense(
    raw: RawClient, method: str, path: str, body: Any, reason: str
) -> None:
    reply = raw.send(method, path, body)
    assert reply.status == 400
    assert reply.json["code"] == 4
    assert reason in reply.json["message"]
    assert raw.sandbox.control.tasks() == []


def test_an_error_holds_all_keys_that_the_sdks_insist_on(raw: RawClient) -> None:
    reply = raw.send("POST", DELETE_CHANNELS, {})
    assert reply.json == {
        "code": 4,
        "message": 'DeleteChannels failed with error: "cids is a required field"',
        "StatusCode": 400,
        "duration": reply.json["duration"],
        "more_info": "https://getstream.io/chat/docs/api_errors_response",
        "details": [],
    }
    assert reply.json["duration"].endswith("ms")


ACCEPTED: list[tuple[str, str, Any, int, list[str]]] = [
    ("POST", DELETE_CHANNELS, {"cids": [f"messaging:{n}" for n in range(100)], "hard_delete": True}, 201, []),
    ("POST", EXPORT_CHANNELS, {**A, "format": "csv", "version": "v2"}, 201, ["messaging:a"]),
    (
        "POST",
        EXPORT_CHANNELS,
        {"channels": [{"type": "messaging", "id": "a", "messages_since": "2026-01-01T00:00:00Z"}]},
        201,
        ["messaging:a"],
    ),
    (
        "POST",
        EXPORT_CHANNELS,
        {"channels": [{"cid": "messaging:a", "messages_until": 1767225600000000000}]},
        201,
        ["messaging:a"],
    ),
    ("PUT", BATCH, {"operation": "hide", "filter": {"types": {"$in": ["a", "b"]}}}, 201, ["a:*", "b:*"]),
    ("PUT", BATCH, {"operation": "hide", "filter": {"cids": {"$eq": "a:b"}}}, 201, ["a:b"]),
    (
        "PUT",
        BATCH,
        {"operation": "hide", "filter": {"cids": {"$in": ["a:b", "a:c"], "$eq": "a:c"}}},
        201,
        ["a:c"],
    ),
    ("PUT", BATCH, {**ALL, "members": ["ann", {"user_id": "joe", "color": "red"}]}, 201, ["messaging:*"]),
    ("POST", DELETE_USERS, {"user_ids": ["a"], "user": "hard"}, 201, ["a"]),
    ("POST", DELETE_USERS, {"user_ids": ["a"], "user": "hard", "messages": "hard"}, 201, ["a"]),
    ("POST", DELETE_USERS, {"user_ids": ["a"], "user": "hard", "conversations": ""}, 201, ["a"]),
    ("POST", EXPORT_CHANNELS, {**A, "include_fields": ["id"]}, 201, ["messaging:a"]),
    ("POST", DELETE_CHANNELS, {"cids": ["messaging:a.b"]}, 201, ["messaging:a.b"]),
    (
        "PUT",
        BATCH,
        {**ALL, "operation": "updateData", "custom_set": {"a.b": 1}, "custom_unset": ["c"], "data": None},
        201,
        ["messaging:*"],
    ),
    ("POST", "/api/v2/feeds/users/alice/export", None, 201, ["alice"]),
    ("DELETE", "/api/v2/feeds/feed_groups/user/feeds/a", None, 200, ["user:a"]),
    (
        "DELETE",
        "/api/v2/feeds/feed_groups/user/feeds/a?hard_delete=true&purge_user_activities=true",
        None,
        200,
        ["user:a"],
    ),
    ("POST", "/api/v2/feeds/users/a%2Fb%20c/delete", {}, 201, ["a/b c"]),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "items"), ACCEPTED)
def test_a_request_that_makes_sense(
    raw: RawClient, method: str, path: str, body: Any, status: int, items: list[str]
) -> None:
    reply = raw.send(method, path, body)
    assert reply.status == status
    [task] = raw.sandbox.control.tasks()
    assert task["stream_task_id"] == reply.json["task_id"]
    assert task["items"] == (items or body["cids"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v2/elsewhere"),
        ("POST", "/api/v2/tasks/x"),
        ("GET", DELETE_CHANNELS),
        ("GET", "/api/v2/tasks/"),
        ("GET", "/feeds/users/x/export"),
    ],
)
def test_an_unknown_route_and_a_wrong_method_are_not_found(raw: RawClient, method: str, path: str) -> None:
    reply = raw.send(method, path)
    assert (reply.status, reply.json["code"]) == (404, 16)
    assert reply.json["message"] == 'Request failed with error: "Not Found"'


def test_an_encoded_slash_does_not_change_the_endpoint(raw: RawClient) -> None:
    reply = raw.send("GET", "/api/v2/tasks/..%2Fusers%2Fdelete")
    assert reply.json["message"] == 'GetTask failed with error: "Can\'t find task with id ../users/delete"'


def test_a_body_that_is_too_large(raw: RawClient) -> None:
    reply = raw.send("POST", BLOCKLIST, {"items": ["x" * 11 * 1024 * 1024]})
    assert (reply.status, reply.json["code"]) == (413, 22)


def test_get_task_answers_as_api_v2_does(raw: RawClient) -> None:
    raw.sandbox.control.fate(pending=60)
    stream_task_id = raw.delete_channels().json["task_id"]
    reply = raw.get_task(stream_task_id)
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert "date" in reply.headers
    assert reply.json.keys() == {"task_id", "status", "created_at", "updated_at", "duration"}
    assert reply.json["status"] == "pending"
    assert isinstance(reply.json["created_at"], int)
    assert 1.7e18 < reply.json["created_at"] < 1e19


def test_api_v1_has_shorter_paths_times_in_words_and_the_same_budgets(raw: RawClient) -> None:
    raw.sandbox.control.budget("DeleteChannels", limit=2)
    stream_task_id = raw.delete_channels().json["task_id"]
    reply = raw.send("GET", f"/tasks/{stream_task_id}")
    assert reply.status == 200
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", reply.json["created_at"])
    body = {"cids": ["messaging:a"], "hard_delete": True}
    assert [raw.send("POST", "/channels/delete", body).status for _ in range(2)] == [201, 429]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/blocklists/words/import", {"items": ["darn"]}, 201),
        ("GET", "/imports", None, 200),
        ("GET", "/imports/v2", None, 200),
        ("POST", "/imports/v2", {"product": "chat", "settings": {"path": "f"}}, 201),
        ("DELETE", "/imports/v2/external-storage", None, 200),
        ("POST", "/moderation/policy_tests/sets/a/runs", None, 404),
    ],
)
def test_api_v1_has_what_its_openapi_document_has(
    raw: RawClient, method: str, path: str, body: Any, status: int
) -> None:
    assert raw.send(method, path, body).status == status


def test_an_export_can_be_looked_up_by_itself_in_api_v1(raw: RawClient) -> None:
    raw.sandbox.control.fate(pending=0, running=0)
    stream_task_id = raw.send("POST", "/export_channels", A).json["task_id"]
    reply = raw.send("GET", f"/export_channels/{stream_task_id}")
    assert reply.json.keys() == {"task_id", "status", "created_at", "updated_at", "result", "duration"}
    assert (reply.json["task_id"], reply.json["status"]) == (stream_task_id, "completed")
    assert reply.json["created_at"].endswith("Z")
    assert reply.json["result"].keys() == {"url", "path", "s3_bucket_name"}
    assert raw.send("GET", "/export_channels/none").json["message"] == (
        'GetExportChannelsStatus failed with error: "Can\'t find task with id none"'
    )


def test_the_external_storage_of_imports_is_kept_without_its_credentials(raw: RawClient) -> None:
    assert raw.send("GET", EXTERNAL).status == 404
    assert raw.send("POST", f"{EXTERNAL}/validate").status == 404
    gcs = {"bucket": "b", "credentials": "the-key-of-the-bucket", "path_prefix": "p"}
    assert raw.send("PUT", EXTERNAL, {"type": "gcs", "gcs": gcs}).status == 201
    shown = raw.send("GET", EXTERNAL)
    assert shown.json["gcs"] == {"bucket": "b", "path_prefix": "p", "credentials_set": True}
    assert b"the-key" not in shown.content
    raw.send("PUT", EXTERNAL, {"type": "gcs", "gcs": gcs}, headers={})
    assert "the-key" not in json.dumps(raw.sandbox.control.journal())
    assert raw.send("POST", f"{EXTERNAL}/validate").status == 201
    aws = {"role_arn": "arn:aws:iam::1:role/r", "bucket": "b", "region": "eu-west-1"}
    assert raw.send("PUT", EXTERNAL, {"type": "aws_s3", "aws_s3": aws}).status == 201
    replaced = raw.send("GET", EXTERNAL).json
    assert (replaced["type"], replaced["aws_s3"], "gcs" in replaced) == ("aws_s3", aws, False)
    assert shown.json["created_at"] == replaced["created_at"] < replaced["updated_at"]
    for _ in range(2):
        assert raw.send("DELETE", EXTERNAL).status == 200
    assert raw.send("GET", EXTERNAL).status == 404


def test_imports_are_listed_in_pages(raw: RawClient) -> None:
    ids = []
    for _ in range(3):
        place = raw.send("POST", "/api/v2/import_urls", {"filename": "a.json"}).json
        raw.send("PUT", place["upload_url"].removeprefix(raw.sandbox.url), b"[]", query={})
        created = raw.send("POST", "/imports", {"path": place["path"], "mode": "upsert"}).json
        ids.append(created["import_task"]["id"])

    def listed(path: str) -> list[str]:
        return [each["id"] for each in raw.send("GET", path).json["import_tasks"]]

    assert listed("/imports") == ids
    assert listed("/imports?limit=2") == ids[:2]
    assert listed("/imports?limit=2&offset=2") == ids[2:]
    assert listed("/api/v2/imports?offset=3") == []


def test_a_policy_test_run_names_its_stream_task_inside(raw: RawClient) -> None:
    answer = raw.send("POST", "/api/v2/moderation/policy_tests/sets/words/runs").json
    [task] = raw.sandbox.control.tasks()
    assert "task_id" not in answer
    assert (answer["run"]["task_id"], answer["run"]["set_id"]) == (task["stream_task_id"], "words")


def test_a_soft_deletion_hides_channels_at_once(raw: RawClient) -> None:
    raw.sandbox.control.add_channel("messaging:a")
    raw.sandbox.control.add_channel("messaging:b")
    raw.sandbox.control.fate(end="never", failed_items={"messaging:b": "locked"})
    raw.delete_channels("messaging:a", "messaging:b", hard_delete=False)
    listed = raw.send("POST", "/api/v2/chat/channels", {"filter_conditions": {}}).json["channels"]
    assert [each["channel"]["cid"] for each in listed] == ["messaging:b"]


def test_a_strict_sandbox_exports_only_channels_that_it_has() -> None:
    with running_sandbox(strict=True) as sandbox:
        raw = RawClient(sandbox)

        def export(*cids: str, **options: bool) -> Reply:
            channels = [{"cid": cid} for cid in cids]
            return raw.send("POST", EXPORT_CHANNELS, {"channels": channels, **options})

        for cid in ("messaging:a", "messaging:b", "messaging:c"):
            sandbox.control.add_channel(cid)
        sandbox.control.fate(pending=0, running=0)
        assert export("messaging:a", "messaging:b").status == 201
        refused = export("messaging:a", "messaging:x")
        assert (refused.status, refused.json["code"]) == (404, 16)
        assert "Can't find channel with id messaging:x" in refused.json["message"]
        raw.delete_channels("messaging:b", hard_delete=False)
        raw.delete_channels("messaging:c", hard_delete=True)
        assert export("messaging:b").status == 404
        assert export("messaging:b", include_soft_deleted_channels=True).status == 201
        assert export("messaging:c", include_soft_deleted_channels=True).status == 404
        sandbox.control.add_channel("messaging:b")
        assert export("messaging:b").status == 201


def test_a_long_answer_is_compressed_for_those_who_ask(raw: RawClient) -> None:
    headers = {**raw.credentials(), "Accept-Encoding": "gzip"}
    compressed = raw.send("GET", "/api/v2/rate_limits", headers=headers)
    plain = raw.send("GET", "/api/v2/rate_limits")
    assert compressed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert json.loads(gzip.decompress(compressed.content)).keys() == plain.json.keys()


def test_a_strict_sandbox_polls_an_import_v2_only_with_a_body() -> None:
    with running_sandbox(strict=True) as sandbox:
        raw = RawClient(sandbox)
        created = raw.send("POST", "/api/v2/imports/v2", {"product": "chat", "settings": {"path": "f"}}).json
        path = f"/api/v2/imports/v2/{created['id']}"
        assert raw.send("GET", path).status == 400
        assert raw.send("GET", path, {}).json["state"] == created["state"]
