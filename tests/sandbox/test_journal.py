from __future__ import annotations

import json
import time

import pytest

from tests.sandbox.raw_client import RawClient


def test_an_accepted_submission(raw: RawClient) -> None:
    before = time.time()
    headers = {**raw.credentials(), "X-Stream-Client": "test-1.0"}
    body = {"cids": ["messaging:a", "messaging:b"], "hard_delete": True}
    answer = raw.send("POST", "/api/v2/chat/channels/delete", body, headers=headers).json
    [entry] = raw.sandbox.control.journal()
    assert before <= entry.pop("time") <= time.time()
    assert entry.pop("headers") == {
        "x-stream-client": "test-1.0",
        "stream-auth-type": "jwt",
        "accept-encoding": "identity",
    }
    assert entry == {
        "number": 1,
        "operation": "DeleteChannels",
        "method": "POST",
        "path": "/api/v2/chat/channels/delete",
        "query": {"api_key": raw.sandbox.api_key},
        "body": body,
        "authorization": "valid",
        "status": 201,
        "fault": None,
        "taken": True,
        "stream_task_id": answer["task_id"],
        "items": ["messaging:a", "messaging:b"],
    }


def test_a_refused_request(raw: RawClient) -> None:
    raw.send("POST", "/api/v2/users/delete", {"user_ids": []})
    [entry] = raw.sandbox.control.journal()
    assert (entry["status"], entry["taken"], entry["stream_task_id"], entry["items"]) == (
        400,
        False,
        None,
        [],
    )


def test_an_unknown_endpoint(raw: RawClient) -> None:
    raw.send("PATCH", "/api/v2/else%2Fwhere", b"not JSON")
    [entry] = raw.sandbox.control.journal()
    assert (entry["operation"], entry["method"], entry["path"]) == (
        "Request",
        "PATCH",
        "/api/v2/else%2Fwhere",
    )
    assert (entry["status"], entry["body"]) == (404, None)


def test_faults_leave_their_mark(raw: RawClient) -> None:
    raw.sandbox.control.fault("reset_after", times=1)
    raw.sandbox.control.fault("unavailable", times=1)
    raw.delete_channels()
    with pytest.raises(ConnectionResetError):
        raw.delete_channels()
    first, second = raw.sandbox.control.journal()
    assert (first["fault"], first["status"], first["taken"], first["items"]) == (
        "unavailable",
        503,
        False,
        [],
    )
    assert (second["fault"], second["status"], second["taken"]) == ("reset_after", None, True)
    assert second["items"] == ["messaging:a"]


def test_it_can_be_narrowed_down(raw: RawClient) -> None:
    raw.delete_channels()
    raw.get_task("x")
    raw.get_task("y")
    paths = [entry["path"] for entry in raw.sandbox.control.journal("GetTask", after=2)]
    assert paths == ["/api/v2/tasks/y"]


def test_it_never_holds_a_token_or_a_signature(raw: RawClient) -> None:
    raw.sandbox.control.fate(pending=0, running=0)
    task_id = raw.send("POST", "/api/v2/export/users", {"user_ids": ["a"]}).json["task_id"]
    url = raw.get_task(task_id).json["result"]["url"]
    path, _, query = url.removeprefix(raw.sandbox.url).partition("?")
    raw.send("GET", f"{path}?{query}", query={}, headers={})
    kept = json.dumps(raw.sandbox.control.journal())
    assert raw.credentials()["Authorization"] not in kept
    assert query.partition("Signature=")[2] not in kept
    assert raw.sandbox.control.journal()[-1]["operation"] == "Download"
