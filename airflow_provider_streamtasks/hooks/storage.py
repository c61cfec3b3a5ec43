"""Files at Stream's storage hosts: a signed URL is all the right that is needed, no credentials go there."""

from __future__ import annotations

from typing import IO, Any
from urllib.parse import urlsplit

import requests

from airflow_provider_streamtasks.exceptions import StreamApiException, StreamTransportException
from airflow_provider_streamtasks.hooks.over_requests import CONNECT_TIMEOUT, certificate_authorities
from airflow_provider_streamtasks.protocol.credentials import is_loopback

READ_TIMEOUT = 300.0
"""Seconds that a storage host may take to answer once it has a file."""


def upload(url: str, file: IO[bytes], size: int) -> None:
    """
    Put a file to a signed URL, as a stream.

    :param url: ``https://``, or ``http://`` on a loopback host
    :param file: opened for reading bytes
    :param size: bytes
    :raises StreamTransportException: if the host cannot be reached, or breaks off
    :raises StreamApiException: if the host refuses the file
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise StreamApiException("Stream gave an upload URL that is not https://", status_code=0)
    refused = None
    with requests.Session() as session:
        session.auth = _nothing_added
        try:
            answer = session.put(
                url,
                data=_Sized(file, size),
                headers={"Content-Type": "application/json"},
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                verify=certificate_authorities(),
                allow_redirects=False,
            )
        except (requests.RequestException, OSError) as error:
            # The library's error names the URL, and the URL holds the signature.
            refused = type(error).__name__
    if refused:
        raise StreamTransportException(f"Uploading to {host} failed: {refused}")
    if not answer.ok or answer.is_redirect:
        raise StreamApiException(f"{host} did not take the upload", status_code=answer.status_code)


class _Sized:
    """A file whose length is known: without it, requests would send chunks, which signed URLs refuse."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def __iter__(self) -> Any:
        return iter(self._file)


def _nothing_added(request: Any) -> Any:
    # With an `auth` of our own, requests does not look into ~/.netrc.
    return request
