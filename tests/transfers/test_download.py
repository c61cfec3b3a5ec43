"""What breaks between Stream's storage host and us."""

from __future__ import annotations

import gzip
import hashlib
import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.exceptions import (
    StreamApiException,
    StreamException,
    StreamTransportException,
)
from airflow_provider_streamtasks.sandbox import SandboxControl
from tests.conftest import Logs, StartTask
from tests.transfers.conftest import Export, Store, StoringRun
from tests.transfers.hosts import StorageHost, Trouble

CONTENT = b"".join(b'{"line": %d}\n' % number for number in range(100_000))  # 1.6 MB
OTHER = CONTENT.replace(b"line", b"LINE")
TENTH = len(CONTENT) // 10

Setup = Callable[[StorageHost], None]


def content_of(folder: Path) -> bytes:
    """The one file, beside which there is only its manifest."""
    data, manifest = sorted(folder.iterdir(), key=lambda path: path.name.endswith(".manifest.json"))
    assert manifest.name == f"{data.name}.manifest.json"
    return data.read_bytes()


def nothing_in(folder: Path) -> bool:
    return not folder.exists() or list(folder.iterdir()) == []


def change(host: StorageHost, content: bytes, etag: str | None) -> Callable[[], None]:
    def act() -> None:
        host.content, host.etag = content, etag

    return act


def troubles(*troubles: Trouble) -> Setup:
    return lambda host: host.troubles.extend(troubles)


def no_etag(host: StorageHost) -> None:
    host.etag = None
    host.troubles += [Trouble(cut=TENTH), Trouble(cut=3 * TENTH)]


def cut_and_without_an_etag(host: StorageHost) -> None:
    host.etag = None
    host.troubles += [Trouble(cut=TENTH)] * 9


def weak_etag(host: StorageHost) -> None:
    host.etag = 'W/"one"'
    host.troubles += [Trouble(cut=TENTH)]


def no_ranges(host: StorageHost) -> None:
    host.ranges = False
    host.troubles += [Trouble(cut=TENTH), Trouble(cut=5 * TENTH)]


def foreign_part(host: StorageHost) -> None:
    """The rest of another file, said to be the one that was asked for."""
    host.troubles += [Trouble(cut=TENTH), Trouble(body=OTHER[TENTH:], headers={"ETag": '"two"'})]


R = f"bytes={TENTH}-"

SURVIVED: dict[str, tuple[Setup, list[str | None]]] = {
    "nothing": (troubles(), [None]),
    "one cut": (troubles(Trouble(cut=TENTH)), [None, R]),
    "five cuts": (
        troubles(*[Trouble(cut=TENTH)] * 5),
        [None, *(f"bytes={number * TENTH}-" for number in range(1, 6))],
    ),
    "cuts before the first byte": (troubles(*[Trouble(cut=0)] * 3), [None] * 4),
    "a cut in the middle of a chunk": (troubles(Trouble(cut=TENTH, chunked=True)), [None, R]),
    "chunks without a length": (troubles(Trouble(chunked=True)), [None]),
    "503, then 500 and 429 while resuming": (
        troubles(Trouble(status=503), Trouble(cut=TENTH), Trouble(status=500), Trouble(status=429)),
        [None, None, R, R, R],
    ),
    "no version": (no_etag, [None, None, None]),
    "a weak version": (weak_etag, [None, None]),
    "no ranges": (no_ranges, [None, R, f"bytes={5 * TENTH}-"]),
    "a part of another file": (foreign_part, [None, R, None]),
    "a part that is not the one asked for": (
        troubles(Trouble(cut=TENTH), Trouble(headers={"Content-Range": f"bytes 0-9/{len(CONTENT)}"})),
        [None, R, None],
    ),
    "a part of a file of another length": (
        troubles(Trouble(cut=TENTH), Trouble(headers={"Content-Range": f"bytes {TENTH}-9/99"})),
        [None, R, None],
    ),
    "a part without a place": (
        troubles(Trouble(cut=TENTH), Trouble(headers={"Content-Range": None})),
        [None, R, None],
    ),
    "a part without a version": (
        troubles(Trouble(cut=TENTH), Trouble(headers={"ETag": None})),
        [None, R, None],
    ),
    "a part that cannot be had": (troubles(Trouble(cut=TENTH), Trouble(status=416)), [None, R, None]),
    "a part before anything was asked for": (
        troubles(Trouble(headers={"Content-Range": "x"}), Trouble(cut=TENTH)),
        [None, None, R],
    ),
}


@pytest.mark.parametrize("name", SURVIVED)
def test_a_download_survives(
    name: str, host: StorageHost, export: Export, store: Store, tmp_path: Path
) -> None:
    setup, places = SURVIVED[name]
    task_id = export(CONTENT)
    setup(host)
    stored = store(task_id)
    assert content_of(tmp_path / "exports") == CONTENT
    assert stored["bytes"] == len(CONTENT)
    assert stored["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert stored["items"] == 100_000
    if name != "a part before anything was asked for":
        assert host.places == places


@pytest.mark.parametrize("etag", ['"two"', None])
def test_pieces_of_different_files_are_never_joined(
    etag: str | None, host: StorageHost, export: Export, store: Store, tmp_path: Path
) -> None:
    task_id = export(CONTENT)
    host.troubles += [Trouble(cut=TENTH), Trouble(before=change(host, OTHER, etag))]
    store(task_id)
    assert content_of(tmp_path / "exports") == OTHER


def test_a_file_that_became_empty(host: StorageHost, export: Export, store: Store, tmp_path: Path) -> None:
    task_id = export(CONTENT)
    host.troubles += [Trouble(cut=TENTH), Trouble(before=change(host, b"", '"two"'))]
    stored = store(task_id)
    assert content_of(tmp_path / "exports") == b""
    assert (stored["bytes"], stored["items"]) == (0, 0)


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("cut", [None, TENTH])
def test_a_url_that_expired_is_renewed_and_the_download_goes_on(
    status: int,
    cut: int | None,
    host: StorageHost,
    export: Export,
    store: Store,
    control: SandboxControl,
    tmp_path: Path,
) -> None:
    task_id = export(CONTENT)

    def expire() -> None:
        host.signature = "fedcba9876543210-second"
        control.fate(stream_task_id=task_id, result={"url": host.url})

    host.troubles += [Trouble(cut=cut)] if cut else []
    host.troubles += [Trouble(status=status, before=expire)]
    store(task_id)
    assert content_of(tmp_path / "exports") == CONTENT
    assert host.places[-1] == (f"bytes={cut}-" if cut else None)
    assert len(control.journal("GetTask")) == 2


GIVEN_UP: dict[str, tuple[Setup, type[StreamException], str, int]] = {
    "cut for ever": (
        troubles(*[Trouble(cut=0)] * 9),
        StreamTransportException,
        "Downloading from 127.0.0.1 broke off",
        5,
    ),
    "cut for ever, and every time from the beginning": (
        cut_and_without_an_etag,
        StreamTransportException,
        "broke off",
        5,
    ),
    "busy for ever": (troubles(*[Trouble(status=503)] * 9), StreamApiException, "Stream answered 503", 5),
    "expired for ever": (troubles(*[Trouble(status=403)] * 9), StreamApiException, "does not hand out", 5),
    "gone": (troubles(Trouble(status=404)), StreamApiException, "Stream answered 404", 1),
    "a redirect to plain http": (
        troubles(Trouble(status=302, headers={"Location": "http://example.com/?Signature=x"})),
        StreamApiException,
        "leads elsewhere",
        1,
    ),
    "a redirect to https": (
        troubles(Trouble(status=307, headers={"Location": "https://example.com/file"})),
        StreamApiException,
        "leads elsewhere",
        1,
    ),
    "no length at all": (
        troubles(Trouble(headers={"Content-Length": None})),
        StreamApiException,
        "does not say how long",
        1,
    ),
}


@pytest.mark.parametrize("name", GIVEN_UP)
def test_a_download_is_given_up_without_a_trace(
    name: str, host: StorageHost, export: Export, store: Store, logs: Logs, tmp_path: Path
) -> None:
    setup, kind, text, requests = GIVEN_UP[name]
    task_id = export(CONTENT)
    setup(host)
    with pytest.raises(kind, match=text) as caught:
        store(task_id)
    assert len(host.requests) == requests
    assert nothing_in(tmp_path / "exports")
    error: BaseException | None = caught.value
    while error is not None:
        assert "Signature" not in f"{error!r} {error} {vars(error)}"
        error = error.__cause__ or error.__context__
    assert host.signature not in logs.text
    assert "Signature" not in logs.text


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/file?Signature=secret-of-the-url",
        "ftp://127.0.0.1/file?Signature=secret-of-the-url",
        "file:///etc/passwd?Signature=secret-of-the-url",
        "https://[::1/file?Signature=secret-of-the-url",
        "https:///file?Signature=secret-of-the-url",
        "/file?Signature=secret-of-the-url",
        "https://127.0.0.1:99999/file?Signature=secret-of-the-url",
        "https://127.0.0.1:1/file?Signature=secret-of-the-url",
        "https://" + "a" * 70 + ".invalid/?Signature=secret-of-the-url",
    ],
)
def test_a_url_where_no_file_can_come_from(
    url: str, start_task: StartTask, store: Store, logs: Logs, tmp_path: Path
) -> None:
    with pytest.raises(StreamException) as caught:
        store(start_task(result={"url": url}))
    assert "secret-of-the-url" not in f"{caught.value!r} {caught.value.__context__!r} {logs.text}"
    assert nothing_in(tmp_path / "exports")


def test_the_signature_is_masked(
    export: Export, host: StorageHost, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked: list[str] = []
    monkeypatch.setattr("airflow_provider_streamtasks.transfers.source.mask_secret", masked.append)
    store(export())
    assert {f"Expires=1&Signature={host.signature}", host.signature} <= set(masked)


def test_the_query_is_masked_as_it_is_sent(
    start_task: StartTask, host: StorageHost, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    host.signature = "0123%2fabcdef%3d"
    task_id = start_task(result={"url": host.url})
    host.signature = host.signature.upper().replace("ABCDEF", "abcdef")
    with caplog.at_level("DEBUG", "urllib3"):
        store(task_id)
    sent = [line for line in caplog.messages if "/exports/channels.jsonl" in line]
    assert len(sent) == 1
    assert "Signature" in sent[0]
    assert "Signature" not in _compat.redact(sent[0])


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("users.v2.jsonl", ".jsonl"),
        ("2026-11-28T10.00.00.jsonl", ".jsonl"),
        ("users-2026.11.28.jsonl.gz", ".jsonl.gz"),
        ("users.gz", ".gz"),
        ("users", ""),
    ],
)
def test_the_ending_of_streams_name(
    name: str, suffix: str, start_task: StartTask, host: StorageHost, store: Store
) -> None:
    host.content = CONTENT
    task_id = start_task(result={"url": host.url.replace("channels.jsonl", name)})
    stored = store(task_id, file_name="x{suffix}")
    assert stored["path"].endswith(f"/x{suffix}")
    assert stored.get("items") == (100_000 if suffix == ".jsonl" else None)


def test_the_storage_host_gets_no_credentials_and_compresses_nothing(
    export: Export, host: StorageHost, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    store(export())
    (headers,) = host.requests
    assert headers["Accept-Encoding"] == "identity"
    for name in ("Authorization", "Cookie", "stream-auth-type", "X-Stream-Client", "If-Range"):
        assert headers[name] is None


def test_a_character_set_in_the_place_of_a_packing_is_none(
    export: Export, host: StorageHost, store: Store, tmp_path: Path
) -> None:
    task_id = export(CONTENT)
    host.troubles += [Trouble(headers={"Content-Encoding": "utf-8"})]
    assert store(task_id)["items"] == CONTENT.count(b"\n") + (not CONTENT.endswith(b"\n"))


def test_what_the_host_compressed_is_stored_as_it_comes(
    export: Export, host: StorageHost, store: Store, logs: Logs, tmp_path: Path
) -> None:
    packed = gzip.compress(CONTENT)
    task_id = export(packed)
    host.troubles += [Trouble(headers={"Content-Encoding": "gzip"}, cut=100)]
    host.troubles += [Trouble(headers={"Content-Encoding": "gzip"})]
    stored = store(task_id)
    assert content_of(tmp_path / "exports") == packed
    assert "items" not in stored
    assert "as Stream's host sent it: compressed (gzip)" in logs.text


def checksum(algorithm: str, content: bytes) -> str:
    return b64encode(hashlib.new(algorithm, content).digest()).decode()


CHECKSUMS: dict[str, Callable[[bytes], dict[str, str | None]]] = {
    "as Azure does": lambda content: {"Content-MD5": checksum("md5", content)},
    "as Google does": lambda content: {
        "x-goog-hash": f"crc32c=AAAAAA==,md5={checksum('md5', content)}",
        "x-goog-stored-content-encoding": "identity",
    },
    "as S3 does": lambda content: {"x-amz-checksum-sha256": checksum("sha256", content)},
}


@pytest.mark.parametrize("way", CHECKSUMS)
def test_the_bytes_match_the_checksum_that_the_host_sends(
    way: str, export: Export, host: StorageHost, store: Store, logs: Logs, tmp_path: Path
) -> None:
    task_id = export(CONTENT)
    headers = CHECKSUMS[way](CONTENT)
    host.troubles += [Trouble(headers=headers, body=OTHER), Trouble(headers=headers)]
    store(task_id)
    assert host.places == [None, None]
    assert content_of(tmp_path / "exports") == CONTENT
    assert "is not the one that it announced" in logs.text


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-checksum-sha256": f"{checksum('sha256', OTHER)}-3"},
        {"Content-MD5": "?"},
        {"x-goog-hash": "crc32c=AAAAAA=="},
    ],
)
def test_what_is_no_checksum_of_the_file_does_not_count(
    headers: dict[str, str | None], export: Export, host: StorageHost, store: Store, tmp_path: Path
) -> None:
    task_id = export(CONTENT)
    host.troubles += [Trouble(headers=headers)]
    store(task_id)
    assert host.places == [None]
    assert content_of(tmp_path / "exports") == CONTENT


def test_a_file_that_google_unpacked_does_not_match_the_checksum_of_the_packed_one(
    export: Export, host: StorageHost, store: Store, tmp_path: Path
) -> None:
    task_id = export(CONTENT)
    packed = {"x-goog-hash": f"md5={checksum('md5', gzip.compress(CONTENT))}"}
    host.troubles += [Trouble(headers={**packed, "x-goog-stored-content-encoding": "gzip"}, chunked=True)]
    store(task_id)
    assert host.places == [None]
    assert content_of(tmp_path / "exports") == CONTENT


def test_nothing_of_the_url_is_left_anywhere(
    export: Export, host: StorageHost, store: Store, run: StoringRun, logs: Logs, tmp_path: Path
) -> None:
    asset, alias = Asset("exports"), AssetAlias("each file")
    task_id = export(CONTENT)
    host.troubles += [Trouble(cut=TENTH), Trouble(status=503)]
    store(task_id, outlets=[asset, alias])
    written = [path for path in (tmp_path / "exports").iterdir() if path.name.endswith(".json")]
    events = [run.outlet_events[asset].extra, run.outlet_events[alias].asset_alias_events]
    everything = [json.dumps(run.xcoms), repr(events), logs.text, *(path.read_text() for path in written)]
    assert written
    assert task_id in repr(events[0])
    assert task_id in repr(events[1])
    assert "Resuming at byte" in logs.text
    for text in everything:
        assert "Signature" not in text
        assert str(host.port) not in text


def test_a_download_from_the_sandbox_is_resumed(
    start_export: Callable[..., Any], control: SandboxControl, store: Store, tmp_path: Path
) -> None:
    control.fault("truncated", operation="Download", times=5)
    stored = store(start_export())
    assert len(control.journal("Download")) == 6
    assert [entry["status"] for entry in control.journal("Download")] == [200, *[206] * 5]
    channels = [json.loads(line) for line in content_of(tmp_path / "exports").splitlines()]
    assert [channel["channel"]["cid"] for channel in channels] == ["messaging:a", "messaging:b"]
    assert stored["items"] == 2
