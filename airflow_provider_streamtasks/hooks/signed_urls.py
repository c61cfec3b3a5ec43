"""Files at Stream's storage hosts: a signed URL is all the right that is needed, no credentials go there."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from typing import IO, Any
from urllib.parse import urlsplit

import requests
import urllib3
from airflow.sdk.log import mask_secret

from airflow_provider_streamtasks.exceptions import (
    StreamApiException,
    StreamException,
    StreamTransportException,
)
from airflow_provider_streamtasks.hooks.authorities import certificate_authorities
from airflow_provider_streamtasks.hooks.connection import CONNECT_TIMEOUT
from airflow_provider_streamtasks.protocol.credentials import is_loopback
from airflow_provider_streamtasks.protocol.wire import packing

READ_TIMEOUT = 300.0
"""Seconds that a storage host may take to answer once it has a file."""

SILENCE = 60.0
"""Seconds that a storage host may send nothing in the middle of a download."""

CHUNK = 256 * 1024
"""
Bytes that are handed on at a time: many small pieces cost more than the bytes in them, and larger ones are no
longer in the processor's cache when they are written.
"""

_READ = 1024 * 1024
"""Bytes that are read at a time from a file that is uploaded."""


def upload(url: str, file: IO[bytes], size: int) -> None:
    """
    Put a file to a signed URL, as a stream.

    :param url: ``https://``, or ``http://`` on a loopback host
    :param file: opened for reading bytes
    :param size: bytes
    :raises OSError: if the file cannot be read, or its length changes: what its storage raises
    :raises StreamTransportException: if the host cannot be reached, or breaks off
    :raises StreamException: if the host refuses the file, or the URL leads where none may go
    """
    host = _host(url, "an upload URL")
    source = _Sized(file, size)
    headers = {"Content-Type": "application/json"}
    try:
        with requests.Session() as session:
            answer = _send(
                session, "PUT", url, f"Uploading to {host}", headers, timeout=READ_TIMEOUT, data=source
            )
    except StreamTransportException:
        if source.failed:
            raise source.failed from None
        raise
    if not 200 <= answer.status_code < 300:
        raise StreamApiException(
            f"{host} did not take the upload",
            status_code=answer.status_code,
            hint="Another try uploads it to a new URL." if answer.status_code == 403 else "",
        )


def download(url: str, start: int = 0, etag: str = "") -> Download:
    """
    Ask for the file at a signed URL, or for the rest of it.

    Redirects are not followed, and nothing is decompressed.

    :param url: ``https://``, or ``http://`` on a loopback host
    :param start: the first byte that is missing
    :param etag: the version of the file that the bytes before ``start`` are of. Of another version, the host
        sends the whole.
    :return: the answer, of which nothing is read yet: use it as a context manager
    :raises StreamTransportException: if the host cannot be reached, or does not answer
    :raises StreamException: if the host does not hand out the file, or the URL leads where none may come from
    """
    host = _host(url, "a download URL")
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": etag}
    with ExitStack() as stack:
        session = stack.enter_context(requests.Session())
        answer = _send(session, "GET", url, f"Downloading from {host}", headers, timeout=SILENCE, stream=True)
        stack.enter_context(answer)
        if answer.status_code not in (200, 206):
            what = "leads elsewhere (a redirect)" if answer.is_redirect else "does not hand out the file"
            # The body is not repeated: some hosts say there what they expected to be signed.
            raise StreamApiException(f"the storage host {host} {what}", status_code=answer.status_code)
        connection = stack.pop_all()
    return Download(connection, answer, host)


class Download:
    """
    The answer of a storage host: a file, or the rest of one. A context manager; iterate it once.

    :ivar partial: whether it is a rest
    :ivar start: the place of its first byte in the file; -1 where the host does not say
    :ivar size: bytes of the whole file; ``None`` where the host does not say
    :ivar etag: the version of the file; empty where the host gives none by which bytes can be told apart
    :ivar encoding: how the bytes are compressed, such as ``gzip``; mostly empty
    :ivar checksum: the name of an algorithm of :mod:`hashlib`'s, and the digest of the whole file as the host
        knows it; ``None`` where the host does not tell, and with a rest
    :ivar host: the host's name, for messages
    """

    def __init__(self, connection: ExitStack, answer: requests.Response, host: str) -> None:
        self._connection = connection
        self._answer = answer
        self.host = host
        headers = answer.headers
        etag = headers.get("ETag", "")
        # A weak one may be the same for files that differ in their bytes.
        self.etag = etag if etag.startswith('"') else ""
        self.encoding = packing(headers.get("Content-Encoding"))
        self.start, self.size = 0, _number(headers.get("Content-Length"))
        self._ends_visibly = (
            self.size is not None or "chunked" in headers.get("Transfer-Encoding", "").lower()
        )
        self.partial = answer.status_code == 206
        self.checksum = None if self.partial else _checksum(headers)
        if self.partial:
            # A host that sends a part of another size than the whole says so.
            found = re.fullmatch(
                r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})", headers.get("Content-Range", "").strip()
            )
            self.start, self.size = (int(found[1]), int(found[2])) if found else (-1, None)

    def __enter__(self) -> Download:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def __iter__(self) -> Iterator[bytes]:
        """
        Yield the bytes as they come.

        :raises StreamTransportException: if the host breaks off
        :raises StreamApiException: if nobody could tell whether it broke off
        """
        if not self._ends_visibly:
            raise StreamApiException(
                f"the storage host {self.host} does not say how long the file is",
                status_code=200,
                unrecoverable=True,
            )
        broke_off = None
        while broke_off is None:
            pieces: list[bytes] = []
            missing = CHUNK
            try:
                while missing > 0 and (piece := self._read(missing)):
                    pieces.append(piece)
                    missing -= len(piece)
            except StreamTransportException as error:
                broke_off = error
            if pieces:
                yield b"".join(pieces)
            elif broke_off is None:
                return
        raise broke_off

    def _read(self, size: int) -> bytes:
        try:
            chunk: bytes = self._answer.raw.read1(size, decode_content=False)
            return chunk
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failed = type(error).__name__
        raise StreamTransportException(
            f"Downloading from {self.host} broke off: {failed}", error_type="connection_reset"
        )


def _send(
    session: requests.Session,
    method: str,
    url: str,
    doing: str,
    headers: Mapping[str, str],
    *,
    timeout: float,
    **options: Any,
) -> requests.Response:
    # With an `auth` of our own, requests does not look into ~/.netrc.
    session.auth = _masked
    try:
        return session.request(
            method,
            url,
            headers=headers,
            timeout=(CONNECT_TIMEOUT, timeout),
            verify=certificate_authorities(),
            allow_redirects=False,
            **options,
        )
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        failed = type(error).__name__
    # Raised out here, because the library's error names the URL, and the URL holds the signature.
    raise StreamTransportException(f"{doing} failed: {failed}")


def _masked(request: requests.PreparedRequest) -> requests.PreparedRequest:
    # Requests and urllib3 may change the escapes, and urllib3 logs the query as it sends it.
    mask_secret(urllib3.util.parse_url(request.url or "").query or "")
    return request


def _host(url: str, what: str) -> str:
    """Return the host of a URL that files may go to or come from."""
    try:
        # Where the host ends at a backslash, urlsplit and requests do not agree.
        parts = urlsplit("" if "\\" in url else url)
        host = parts.hostname or ""
    except ValueError:
        # The error would name the URL.
        parts, host = urlsplit(""), ""
    if not host or (parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host))):
        raise StreamException(f"Stream gave {what} that is not https://, or has a backslash")
    return host


def _checksum(headers: Mapping[str, str]) -> tuple[str, bytes] | None:
    """Return the checksum that Azure (``Content-MD5``), Google (``x-goog-hash``) or S3 sends with a file."""
    google = dict(
        part.strip().split("=", 1) for part in headers.get("x-goog-hash", "").split(",") if "=" in part
    )
    # Google unpacks what was stored packed, and the checksum is that of the packed file.
    unpacked = headers.get("x-goog-stored-content-encoding") == "gzip" and "Content-Encoding" not in headers
    for algorithm, size, text in (
        ("sha256", 32, headers.get("x-amz-checksum-sha256")),
        ("md5", 16, headers.get("Content-MD5") or (None if unpacked else google.get("md5"))),
    ):
        with suppress(ValueError):  # of several uploaded parts, S3 sends something else here
            digest = base64.b64decode(text or "", validate=True)
            if len(digest) == size:
                return algorithm, digest
    return None


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,18}", text) else None


class _Sized:
    """
    A file whose length is known: without it, requests would send chunks, which signed URLs refuse.

    Of a file whose length changes meanwhile, the last bytes are not sent, so that the upload fails.

    :ivar failed: what reading the file raised: not to be taken for a failure of the host
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size
        self._left = size
        self._read = b""
        self.failed: Exception | None = None

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        # It is asked for 16 KiB at a time, and each would be a request of its own to an SFTP server.
        if not self._read and self._left:
            self._read = self._next()
        part, self._read = (self._read[:size], self._read[size:]) if size >= 0 else (self._read, b"")
        return part

    def __iter__(self) -> Iterator[bytes]:
        while part := self.read(CHUNK):
            yield part

    def _next(self) -> bytes:
        try:
            data = self._file.read(min(_READ, self._left))
            if not data:
                raise OSError(f"the file has become shorter than {self._size} bytes")
            if len(data) == self._left and self._file.read(1):
                raise OSError(f"the file has become longer than {self._size} bytes")
        except Exception as error:
            self.failed = error
            raise
        self._left -= len(data)
        return data
