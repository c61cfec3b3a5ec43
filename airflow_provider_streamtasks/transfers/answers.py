"""What an answer of a storage means: pure, for every storage, and the only place that decides it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from airflow_provider_streamtasks.protocol.signatures import without_queries
from airflow_provider_streamtasks.protocol.wire import packing


class Answer(Enum):
    """What an error that a storage raised says about a file."""

    NOT_FOUND = "there is no such file"
    TAKEN = "there is a file already"
    FORBIDDEN = "one may not know"
    UNKNOWN = "it does not tell"


def meaning(error: BaseException) -> Answer:
    """
    Return what an error of fsspec's, or of a library below it, means.

    Only a plain "not found" means that there is no file.
    """
    for each in _chain(error):
        if isinstance(each, FileNotFoundError):
            return Answer.NOT_FOUND
        if isinstance(each, FileExistsError):
            return Answer.TAKEN
        # For a missing right, gcsfs raises an error without a number.
        if isinstance(each, PermissionError) or str(each).startswith("Forbidden: "):
            return Answer.FORBIDDEN
        status = _status(each)
        if status:
            return {404: Answer.NOT_FOUND, 403: Answer.FORBIDDEN}.get(status, Answer.UNKNOWN)
    return Answer.UNKNOWN


def may_write(answer: Answer, *, keeps_others: bool) -> bool:
    """
    Return whether one may write after a look that raised an error, without replacing somebody else's file.

    :param keeps_others: whether the storage itself refuses to replace a file. Then a role that may only
        write need not look.
    """
    return answer is Answer.NOT_FOUND or (answer is Answer.FORBIDDEN and keeps_others)


def refuse_unpacked(details: Mapping[str, Any]) -> None:
    """
    Refuse a file that the storage's library unpacks while it reads it.

    It takes the packed size for the size of the whole, so that the end is missing, and nothing says so (gcsfs
    2026.10, adlfs 2026.8).

    :param details: what the library knows of the file
    :raises ValueError: if it is one
    """
    settings = details.get("content_settings") or {}
    if encoding := packing(details.get("contentEncoding") or settings.get("content_encoding")):
        raise ValueError(
            f"the storage has it with Content-Encoding {encoding!r}, so its library would unpack it and lose "
            "the end: store it without that (a .gz file needs none)"
        )


@contextlib.contextmanager
def os_errors(path: object, done: str, *others: type[Exception]) -> Iterator[None]:
    """
    Make what the libraries of a storage raise an ``OSError`` that names the file, as callers expect.

    :param path: which file
    :param done: what is being done to it, such as ``written``
    :param others: errors that are not the storage's, and stay as they are
    """
    try:
        yield
    except others:
        raise
    except OSError as error:
        # Of a full disk or a missing right, some say no more than that.
        if error.errno is None and str(path) not in str(error):
            error.args = (_in_words(path, done, error),)
        elif error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise
    except Exception as error:
        raise OSError(_in_words(path, done, error)) from error


def _in_words(path: object, done: str, error: Exception) -> str:
    return f"{path} cannot be {done}: {without_queries(str(error)).strip() or type(error).__name__}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _status(error: Any) -> int:
    """Return the HTTP status that an error of Azure's, Google's, aiohttp's or botocore's carries, or 0."""
    response = getattr(error, "response", None)
    metadata = response.get("ResponseMetadata") if isinstance(response, dict) else None
    found = metadata.get("HTTPStatusCode") if isinstance(metadata, dict) else None
    for value in (found, *(getattr(error, name, None) for name in ("status_code", "code", "status"))):
        if isinstance(value, int | str) and str(value).isdecimal():
            return int(value)
    return 0
