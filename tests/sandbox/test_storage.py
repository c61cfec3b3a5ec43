from __future__ import annotations

import csv
import json
from typing import Any

import pytest

from airflow_provider_streamtasks.sandbox.storage import Storage
from tests.sandbox.raw_client import RawClient, Reply

NOON = 1_800_000_000.0


def export(raw: RawClient, **options: Any) -> str:
    """The path and query of the file of an export of two channels."""
    raw.sandbox.control.fate(pending=0, running=0)
    body = {"channels": [{"cid": "messaging:a"}, {"cid": "messaging:b"}], **options}
    task_id = raw.send("POST", "/api/v2/chat/export_channels", body).json["task_id"]
    url: str = raw.get_task(task_id).json["result"]["url"]
    assert url.startswith(raw.sandbox.url)
    return url.removeprefix(raw.sandbox.url)


def download(raw: RawClient, target: str) -> Reply:
    return raw.send("GET", target, query={}, headers={})


def test_the_first_version_is_json(raw: RawClient) -> None:
    reply = download(raw, export(raw))
    assert reply.headers["content-type"] == "application/json"
    assert [each["channel"]["cid"] for each in reply.json] == ["messaging:a", "messaging:b"]


def test_the_second_version_is_json_lines(raw: RawClient) -> None:
    reply = download(raw, export(raw, version="v2"))
    assert reply.headers["content-type"] == "application/x-ndjson"
    records = [json.loads(line) for line in reply.content.splitlines()]
    assert [each["channel"]["cid"] for each in records] == ["messaging:a", "messaging:b"]


def test_the_second_version_can_be_csv(raw: RawClient) -> None:
    reply = download(raw, export(raw, version="v2", format="csv"))
    assert reply.headers["content-type"] == "text/csv"
    rows = list(csv.DictReader(reply.content.decode().splitlines()))
    assert [row["cid"] for row in rows] == ["messaging:a", "messaging:b"]


def test_a_download_needs_no_credentials_of_stream_and_has_no_budget(raw: RawClient) -> None:
    reply = download(raw, export(raw))
    assert reply.status == 200
    assert "x-ratelimit-limit" not in reply.headers
    assert raw.sandbox.control.journal("Download")[0]["authorization"] == "absent"


def test_the_url_is_signed_anew_for_every_poll(raw: RawClient) -> None:
    export(raw)
    [task] = raw.sandbox.control.tasks()
    urls = {raw.get_task(task["stream_task_id"]).json["result"]["url"] for _ in range(3)}
    assert len(urls) == 3
    assert {download(raw, url.removeprefix(raw.sandbox.url)).status for url in urls} == {200}


def test_a_url_that_has_expired(raw: RawClient) -> None:
    raw.sandbox.control.fate(operation="ExportUsers", pending=0, running=0, url_lifetime=0)
    task_id = raw.send("POST", "/api/v2/export/users", {"user_ids": ["a"]}).json["task_id"]
    url = raw.get_task(task_id).json["result"]["url"]
    reply = download(raw, url.removeprefix(raw.sandbox.url))
    assert reply.status == 403
    assert b"<Code>AccessDenied</Code>" in reply.content


@pytest.mark.parametrize(
    "tamper",
    [
        lambda target: target[:-1] + ("0" if target[-1] != "0" else "1"),
        lambda target: target.replace("Expires=1", "Expires=2"),
        lambda target: target.replace("channels.json", "channels.csv"),
        lambda target: target.partition("?")[0],
        lambda target: target.partition("Expires")[0] + "Expires=x&Signature=%C3%A9",
    ],
)
def test_a_url_that_was_tampered_with(raw: RawClient, tamper: Any) -> None:
    target = export(raw)
    assert tamper(target) != target
    assert download(raw, tamper(target)).status == 403


def test_the_rest_of_a_file(raw: RawClient) -> None:
    target = export(raw)
    whole = download(raw, target)
    etag = whole.headers["etag"]
    for headers in ({"Range": "bytes=9-"}, {"Range": "bytes=9-", "If-Range": etag}):
        reply = raw.send("GET", target, query={}, headers=headers)
        assert (reply.status, reply.content) == (206, whole.content[9:])
        size = len(whole.content)
        assert reply.headers["content-range"] == f"bytes 9-{size - 1}/{size}"
        assert reply.headers["etag"] == etag
    other = raw.send("GET", target, query={}, headers={"Range": "bytes=9-", "If-Range": '"other"'})
    assert (other.status, other.content) == (200, whole.content)
    assert raw.send("GET", target, query={}, headers={"Range": "bytes=999999-"}).status == 416


def test_a_file_that_is_gone(raw: RawClient) -> None:
    target = export(raw)
    raw.sandbox.control.reset()
    reply = download(raw, target)
    assert reply.status == 404
    assert b"<Code>NoSuchKey</Code>" in reply.content


def test_an_upload_needs_a_signature(raw: RawClient) -> None:
    answer = raw.send("POST", "/api/v2/import_urls", {}).json
    assert answer["path"].startswith("s3://stream-import/")
    assert answer["path"].endswith("/import.json")
    target = answer["upload_url"].removeprefix(raw.sandbox.url)
    assert raw.send("PUT", target.partition("?")[0], b"[]", query={}, headers={}).status == 403
    assert raw.send("PUT", target, b"[]", query={}, headers={}).status == 200


def test_faults_strike_downloads_too(raw: RawClient) -> None:
    target = export(raw)
    raw.sandbox.control.fault("huge_body", operation="Download", bytes=2_000_000)
    assert len(download(raw, target).content) == 2_000_000


def test_a_signature_holds_until_it_expires() -> None:
    now = NOON
    storage = Storage(lambda: now, "http://sandbox")
    path, _, query = storage.sign("/a b/é", 10).removeprefix("http://sandbox").partition("?")
    assert path == "/a%20b/%C3%A9"
    parameters = dict(part.split("=") for part in query.split("&"))
    assert storage.opens("/a b/é", parameters)
    assert not storage.opens("/a b/e", parameters)
    now = NOON + 10
    assert not storage.opens("/a b/é", parameters)
