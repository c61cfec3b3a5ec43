"""The file of a finished export, read to its end whatever breaks on the way."""

from __future__ import annotations

import hashlib
import logging
import random
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow.sdk.log import mask_secret

from airflow_provider_streamtasks.exceptions import (
    StreamApiException,
    StreamException,
    StreamTransportException,
)
from airflow_provider_streamtasks.protocol.errors import is_passing
from airflow_provider_streamtasks.protocol.failures import failure
from airflow_provider_streamtasks.protocol.signatures import secrets
from airflow_provider_streamtasks.protocol.tasks import StreamTask

if TYPE_CHECKING:
    from airflow_provider_streamtasks.hooks.signed_urls import Download
    from airflow_provider_streamtasks.hooks.stream import StreamHook

ATTEMPTS = 5
"""Requests in a row that bring nothing, and beginnings of one file, at the most."""

PAUSE = 0.5
"""Seconds after the first request that brought nothing; each further pause is twice as long, up to 15 s."""

_EXPIRED = frozenset({400, 401, 403})
"""What storage hosts answer to a URL whose time is over: S3 and Azure 403, Google 400."""

_NOT_THAT_PART = frozenset({206, 412, 416})
"""Answers that say: what is there already is not the beginning of the file as it is now."""

log = logging.getLogger(__name__)


class ExportFile:
    """
    The file of a Stream task that has completed.

    :param hook: asks Stream for fresh URLs
    :param task: the Stream task, as Stream showed it a moment ago
    :raises StreamTaskException: if the Stream task failed
    :raises StreamException: if it is not finished, or its result names no file
    """

    def __init__(self, hook: StreamHook, task: StreamTask) -> None:
        self.task_id = task.task_id
        self._hook = hook
        self._url = signed_url(task)
        self._etag = ""
        self._expected = b""
        self._digest: Any = None  # where the host announces no checksum
        name = unquote(urlsplit(self._url).path).rpartition("/")[2]
        endings = re.search(r"\.[A-Za-z0-9]{1,8}(\.(gz|bz2|xz|zst|zip))?\Z", name)
        self.suffix = endings[0] if endings else ""
        """The ending of the file's name at Stream, such as ``.jsonl``; empty where there is none."""
        self.size: int | None = None
        """Bytes, as the host says; ``None`` before its first answer, and where it does not say."""
        self.encoding = ""
        """How the host has compressed the file, such as ``gzip``; mostly empty."""

    @property
    def is_json_lines(self) -> bool:
        """Whether each line of the bytes is an item."""
        return self.suffix == ".jsonl" and not self.encoding

    def chunks(self) -> Iterator[tuple[int, bytes]]:
        """
        Yield the place of some bytes in the file, and the bytes.

        At the place 0 the file begins: what was yielded before, if anything, is void.

        A broken download is resumed where the host can tell that the file is still the same one, and begun
        anew where it cannot.

        :raises StreamTransportException: if the host cannot be reached, if it breaks off again and again, or
            if its bytes do not match the checksum that it announces
        :raises StreamApiException: if the host does not hand out the file, not even at a fresh URL
        :raises StreamException: if Stream gives no fresh URL
        """
        from airflow_provider_streamtasks.hooks.signed_urls import download

        place = idle = beginnings = 0
        while True:
            try:
                with download(self._url, place, self._etag) as answer:
                    if not (place and self._continues(answer, place)):
                        if beginnings >= ATTEMPTS:
                            break
                        place = 0
                        self._begin(answer)
                        beginnings += 1
                        yield 0, b""
                    for chunk in answer:
                        if self._digest:
                            self._digest.update(chunk)
                        yield place, chunk
                        place += len(chunk)
                        idle = 0
                self._check_length(place)
                self._check_content()
                return
            except StreamException as error:
                trouble = error
            status = trouble.status_code if isinstance(trouble, StreamApiException) else 0
            if not (is_passing(trouble) or status in _EXPIRED | _NOT_THAT_PART):
                raise trouble
            if status in _NOT_THAT_PART or not self._etag:
                place = 0
            idle += 1
            if idle >= ATTEMPTS or (beginnings >= ATTEMPTS and not place):
                break
            pause = min(15.0, PAUSE * 2 ** (idle - 1)) * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
            log.warning("%s. Resuming at byte %d in %.1f s", str(trouble).rstrip("."), place, pause)
            time.sleep(pause)
            if status in _EXPIRED:
                self._url = signed_url(self._hook.get_task(self.task_id))
        raise trouble

    def _begin(self, answer: Download) -> None:
        if answer.partial:
            raise StreamApiException(
                f"the storage host {answer.host} sent another part of the file than was asked for",
                status_code=206,
            )
        self._etag, self.size, self.encoding = answer.etag, answer.size, answer.encoding
        algorithm, self._expected = answer.checksum or (None, b"")
        self._digest = hashlib.new(algorithm, usedforsecurity=False) if algorithm else None

    def _continues(self, answer: Download, place: int) -> bool:
        # Pieces of different files must never be joined, so only what the host proves counts.
        if (
            not answer.partial
            or answer.start != place
            or answer.etag != self._etag
            or self.size not in (None, answer.size)
        ):
            return False
        self.size = answer.size  # which a whole that came in chunks did not say
        return True

    def _check_length(self, place: int) -> None:
        if self.size is None or place == self.size:
            return
        text = f"The storage host sent {place} bytes of a file of {self.size} bytes"
        if place > self.size:
            raise StreamApiException(text, status_code=206)
        raise StreamTransportException(text, error_type="connection_reset")

    def _check_content(self) -> None:
        if not self._digest or self._digest.digest() == self._expected:
            return
        self._etag = ""  # nothing of these bytes may be kept
        raise StreamTransportException(
            f"The {self._digest.name} of what the storage host sent is not the one that it announced",
            error_type="corrupted",
        )


def signed_url(task: StreamTask) -> str:
    """
    Return the URL of a finished export. Its signature is masked in every log from now on.

    :raises StreamTaskException: if the Stream task failed
    :raises StreamException: if it is not finished, or its result names no file
    """
    if task.failed:
        raise failure([task])
    if not task.completed:
        raise StreamException(
            f"The Stream task {task.task_id} is {task.status}: there is no file yet",
            hint="Wait for it first, for example with a StreamTaskSensor.",
        )
    url = task.result.get("url") if isinstance(task.result, dict) else None
    if not isinstance(url, str) or not url:
        raise StreamException(
            f"The result of the Stream task {task.task_id} has no url: it is not an export that leaves a file"
        )
    for secret in secrets(url):
        mask_secret(secret)
    try:
        urlsplit(url)
    except ValueError:
        url = ""  # the host's name cannot be told, so it is refused like any other that is not https://
    return url
