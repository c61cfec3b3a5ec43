"""Whatever the headers of a storage host say, they are read without a word of Python's."""

from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

from requests.structures import CaseInsensitiveDict

from airflow_provider_streamtasks.hooks.signed_urls import Download
from tests.fuzzing import fuzz
from tests.json_values import Dice, rolled

NAMES = ("ETag", "Content-Encoding", "Content-Type", "Content-Length", "Transfer-Encoding", "Content-Range")


def something_like_headers(dice: Dice) -> dict[str, str]:
    number = str(dice.number())
    ranges = (f"bytes {number}-{dice.number()}/{dice.number()}", "bytes 5-9/10", "bytes */10", "bytes 0-/")
    values = (number, '"one"', 'W/"one"', "gzip", "chunked", dice.text(), dice.of(ranges))
    return {name: dice.of(values) for name in NAMES if dice.roll(4)}


@fuzz(rolled(lambda dice: (dice.of((200, 206)), something_like_headers(dice))))
def test_whatever_the_headers_of_a_download_say(given: tuple[int, dict[str, str]]) -> None:
    status, headers = given
    answer: Any = SimpleNamespace(status_code=status, headers=CaseInsensitiveDict(headers))
    download = Download(ExitStack(), answer, "storage.example")
    assert download.size is None or 0 <= download.size < 10**18
    assert download.start == -1 or 0 <= download.start < 10**18
    assert download.partial or download.start == 0
    assert download.etag == "" or download.etag.startswith('"')
