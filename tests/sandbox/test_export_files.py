"""The files of exports, of any size."""

from __future__ import annotations

import csv
import hashlib
import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_streamtasks.sandbox import files
from airflow_provider_streamtasks.sandbox.content import Content, Part
from tests.sandbox.raw_client import RawClient, Reply

CIDS = ["messaging:a", "messaging:b"]
MIB = 2**20
SIZES = [None, 1000, 5000, 3 * MIB + 7]


def whole(content: Content) -> bytes:
    return b"".join(Part(content, 0, len(content)).chunks())


def json_ids(data: bytes) -> list[str]:
    return [message["id"] for channel in json.loads(data) for message in channel["messages"]]


def json_lines_ids(data: bytes) -> list[str]:
    return [message["id"] for line in data.splitlines() for message in json.loads(line)["messages"]]


def csv_ids(data: bytes) -> list[str]:
    return [row["message_id"] for row in csv.DictReader(data.decode().splitlines())]


def activity_ids(data: bytes) -> list[str]:
    return [activity["id"] for activity in json.loads(data)["activities"]]


SHAPES: dict[str, tuple[Callable[[int | None], Content], Callable[[bytes], list[str]]]] = {
    "json": (lambda size: files.channels(CIDS, "channels.json", size), json_ids),
    "json lines": (lambda size: files.channels(CIDS, "channels.jsonl", size), json_lines_ids),
    "csv": (lambda size: files.channels(CIDS, "channels.csv", size), csv_ids),
    "users": (lambda size: files.users(["u", "v"], size), json_lines_ids),
    "feeds": (lambda size: files.feed_user_data(["u"], size), activity_ids),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_file_of_any_size_is_well_formed_and_no_message_comes_twice(shape: str, size: int | None) -> None:
    make, ids = SHAPES[shape]
    content = make(size)
    data = whole(content)
    assert len(data) == len(content) == (size or len(content))
    found = ids(data)
    assert len(found) == len(set(found)) >= 1
    assert whole(make(size)) == data
    assert make(size).etag == content.etag


def test_all_channels_are_in_it() -> None:
    data = whole(files.channels(CIDS, "channels.json", MIB))
    assert {channel["channel"]["cid"] for channel in json.loads(data)} == set(CIDS)


def test_another_size_is_another_version() -> None:
    etags = {files.users(["u"], size).etag for size in SIZES}
    assert len(etags) == len(SIZES)


@pytest.mark.parametrize("start", [0, 1, MIB, 2 * MIB + 12345, 3 * MIB, 3 * MIB + 6])
def test_any_part_of_it_can_be_read(start: int) -> None:
    content = files.channels(CIDS, "channels.json", 3 * MIB + 7)
    part = Part(content, 0, len(content))[start:]
    data = whole(content)
    assert b"".join(part.chunks()) == data[start:]
    assert b"".join(part[: len(part) // 3].chunks()) == data[start : start + len(part) // 3]
    wrong = b"".join(part.flipped().chunks())
    assert [place for place in range(len(wrong)) if wrong[place] != data[start + place]] == [
        (start + len(content)) // 2 - start
    ]


def test_the_size_of_the_largest_costs_nothing() -> None:
    content = files.users(["u"], 2**40)
    assert len(content) == 2**40
    assert sum(map(len, Part(content, 2**40 - 1000, 2**40).chunks())) == 1000


# -- over HTTP -----------------------------------------------------------------------------------------------


def target(raw: RawClient, **fate: Any) -> str:
    """The path and query of the file of an export."""
    raw.sandbox.control.fate(operation="ExportUsers", pending=0, running=0, **fate)
    task_id = raw.send("POST", "/api/v2/export/users", {"user_ids": ["u"]}).json["task_id"]
    url: str = raw.get_task(task_id).json["result"]["url"]
    return url.removeprefix(raw.sandbox.url)


def get(raw: RawClient, target: str, **headers: str) -> Reply:
    return raw.send("GET", target, query={}, headers=headers)


def test_a_large_file_is_streamed(raw: RawClient) -> None:
    reply = get(raw, target(raw, bytes=3 * MIB))
    assert reply.headers["content-length"] == str(3 * MIB)
    assert reply.content == whole(files.users(["u"], 3 * MIB))


def test_the_rest_of_a_large_file(raw: RawClient) -> None:
    reply = get(raw, target(raw, bytes=3 * MIB), Range=f"bytes={2 * MIB}-")
    assert (reply.status, len(reply.content)) == (206, MIB)
    assert raw.sandbox.control.journal("Download")[0]["headers"]["range"] == f"bytes={2 * MIB}-"


def test_a_host_without_ranges(raw: RawClient) -> None:
    reply = get(raw, target(raw, bytes=5000, ranges=False), Range="bytes=1000-")
    assert (reply.status, len(reply.content)) == (200, 5000)
    assert reply.headers["accept-ranges"] == "none"


def test_a_checksum(raw: RawClient) -> None:
    path = target(raw, bytes=5000, checksum=True)
    reply = get(raw, path)
    assert reply.headers["content-md5"] == b64encode(hashlib.md5(reply.content).digest()).decode()
    assert "content-md5" not in get(raw, path, Range="bytes=1-").headers


def test_an_expired_url_stays_expired_and_a_fresh_one_works(raw: RawClient) -> None:
    path = target(raw)
    raw.sandbox.control.fault("expired", operation="Download", times=1)
    replies = [get(raw, path) for _ in range(2)]
    assert [reply.status for reply in replies] == [403, 403]
    assert b"<Code>AccessDenied</Code>" in replies[1].content
    [task] = raw.sandbox.control.tasks()
    fresh = raw.get_task(task["stream_task_id"]).json["result"]["url"]
    assert get(raw, fresh.removeprefix(raw.sandbox.url)).status == 200


def test_a_wrong_bit(raw: RawClient) -> None:
    path = target(raw, bytes=5000)
    raw.sandbox.control.fault("corrupted", operation="Download", times=1)
    wrong, right = get(raw, path), get(raw, path)
    assert wrong.headers["etag"] == right.headers["etag"]
    assert [a ^ b for a, b in zip(wrong.content, right.content, strict=True) if a != b] == [1]


@pytest.mark.parametrize(
    ("kind", "error"), [("truncated", "IncompleteRead"), ("cut", "ConnectionResetError")]
)
def test_a_body_that_breaks_off(kind: str, error: str, raw: RawClient) -> None:
    path = target(raw, bytes=3 * MIB)
    raw.sandbox.control.fault(kind, operation="Download", times=1, bytes=1000)
    with pytest.raises(Exception) as caught:  # noqa: PT011
        get(raw, path)
    assert type(caught.value).__name__ == error
    assert error != "IncompleteRead" or len(caught.value.partial) == 1000  # type: ignore[attr-defined]
    assert get(raw, path).status == 200
