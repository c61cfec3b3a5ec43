"""What an answer of a storage means: a table."""

from __future__ import annotations

import errno
import re
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_streamtasks.transfers.answers import (
    Answer,
    may_write,
    meaning,
    os_errors,
    refuse_unpacked,
)


class WithStatus(Exception):
    """As Azure's, Google's and aiohttp's errors carry what the server answered."""

    def __init__(self, **fields: Any) -> None:
        super().__init__("no")
        vars(self).update(fields)


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


MEANINGS = [
    (FileNotFoundError(errno.ENOENT, "x"), Answer.NOT_FOUND),
    (FileExistsError(errno.EEXIST, "x"), Answer.TAKEN),
    (PermissionError("x"), Answer.FORBIDDEN),
    (OSError("Forbidden: https://storage/o/x"), Answer.FORBIDDEN),  # gcsfs
    (OSError(errno.EIO, "503"), Answer.UNKNOWN),
    (OSError(errno.EBUSY, "SlowDown"), Answer.UNKNOWN),
    (TimeoutError(), Answer.UNKNOWN),
    (ValueError("x"), Answer.UNKNOWN),
    (WithStatus(status_code=404), Answer.NOT_FOUND),
    (WithStatus(status_code=403), Answer.FORBIDDEN),
    (WithStatus(status_code=401), Answer.UNKNOWN),
    (WithStatus(code="503"), Answer.UNKNOWN),
    (WithStatus(status=404), Answer.NOT_FOUND),
    (WithStatus(response={"ResponseMetadata": {"HTTPStatusCode": 403}}), Answer.FORBIDDEN),
    (WithStatus(response=SimpleNamespace(status_code=404), status_code=500), Answer.UNKNOWN),
    (WithStatus(response={"ResponseMetadata": 3}, code="NoSuchKey"), Answer.UNKNOWN),
    (caused_by(RuntimeError("Failed to upload block"), WithStatus(status_code=403)), Answer.FORBIDDEN),
    (caused_by(OSError("x"), FileNotFoundError()), Answer.NOT_FOUND),
    (caused_by(RuntimeError("x"), WithStatus(status_code=503)), Answer.UNKNOWN),
]


@pytest.mark.parametrize(("error", "answer"), MEANINGS, ids=lambda value: repr(value)[:40])
def test_meaning(error: Exception, answer: Answer) -> None:
    assert meaning(error) is answer


def test_an_error_that_causes_itself() -> None:
    first, second = ValueError("x"), ValueError("y")
    first.__cause__, second.__cause__ = second, first
    assert meaning(first) is Answer.UNKNOWN


@pytest.mark.parametrize("keeps_others", [True, False])
@pytest.mark.parametrize("answer", Answer)
def test_one_may_write_only_where_nothing_can_be_lost(answer: Answer, keeps_others: bool) -> None:
    expected = answer is Answer.NOT_FOUND or (answer is Answer.FORBIDDEN and keeps_others)
    assert may_write(answer, keeps_others=keeps_others) is expected


ENCODINGS = {
    **dict.fromkeys(("gzip", "GZIP", "br", "gzip, utf-8"), True),
    # Tools write the character set there, and the libraries leave such a file alone.
    **dict.fromkeys(("", "identity", "UTF-8"), False),
}


@pytest.mark.parametrize(("encoding", "refused"), ENCODINGS.items())
@pytest.mark.parametrize("place", ["google", "azure"])
def test_only_what_a_library_may_unpack_is_refused(place: str, encoding: str, refused: bool) -> None:
    settings = {"content_encoding": encoding}
    details = {"contentEncoding": encoding} if place == "google" else {"content_settings": settings}
    with pytest.raises(ValueError, match=encoding.lower()) if refused else nullcontext():
        refuse_unpacked(details)


class Expired(OSError):
    """As s3fs's error of a file that changed: it takes other arguments."""

    def __init__(self, name: str) -> None:
        super().__init__(errno.EBUSY, f"{name} no longer exists")


IN_WORDS = [
    (WithStatus(status_code=500), "s3://b/x cannot be read: no"),
    (PermissionError("Forbidden"), "s3://b/x cannot be read: Forbidden"),  # s3fs
    (OSError(errno.ENOSPC, "No space"), "[Errno 28] No space: 's3://b/x'"),
    (Expired("b/x"), "[Errno 16] b/x no longer exists: 's3://b/x'"),
    (FileExistsError(), "s3://b/x cannot be read: FileExistsError"),
    # What names the file is left as it is.
    (FileNotFoundError(errno.ENOENT, "None", "/x"), "[Errno 2] None: '/x'"),
    (IsADirectoryError("s3://b/x is a folder"), "s3://b/x is a folder"),
]


@pytest.mark.parametrize(("error", "words"), IN_WORDS, ids=lambda value: repr(value)[:40])
def test_callers_get_an_os_error_that_names_the_file(error: Exception, words: str) -> None:
    with pytest.raises(OSError, match=f"^{re.escape(words)}$") as raised, os_errors("s3://b/x", "read"):
        raise error
    assert not isinstance(error, OSError) or raised.value is error


def test_what_is_no_error_of_the_storage_is_left_alone() -> None:
    with pytest.raises(ValueError, match=r"^no id$"), os_errors("x", "read", ValueError):
        raise ValueError("no id")
