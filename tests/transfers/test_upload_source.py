"""A file on its way to Stream's storage host: its bytes, however it is asked for them."""

from __future__ import annotations

import io
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from airflow_provider_streamtasks.exceptions import StreamApiException
from airflow_provider_streamtasks.hooks.signed_urls import _Sized, upload

CONTENT = bytes(range(256)) * 10_000  # 2.4 MiB


@pytest.mark.parametrize("size", [1000, 16_384, 2**20, 2**22, -1])
def test_all_bytes_come_in_order(size: int) -> None:
    source = _Sized(io.BytesIO(CONTENT), len(CONTENT))
    assert b"".join(iter(lambda: source.read(size), b"")) == CONTENT
    assert len(source) == len(CONTENT)


def test_a_file_that_became_shorter() -> None:
    source = _Sized(io.BytesIO(CONTENT[:-1]), len(CONTENT))
    with pytest.raises(OSError, match="has become shorter"):
        list(source)
    assert isinstance(source.failed, OSError)


def test_a_file_that_became_longer() -> None:
    source = _Sized(io.BytesIO(CONTENT), len(CONTENT) - 1)
    sent: list[bytes] = []
    with pytest.raises(OSError, match="has become longer"):
        sent.extend(source)
    assert len(b"".join(sent)) < len(source)


@pytest.mark.parametrize("status", [300, 304, 307])
def test_only_a_yes_is_an_upload(status: int) -> None:
    """Also where the host does not say where it leads to instead."""

    class Host(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response_only(status)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Host) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(StreamApiException, match="did not take the upload") as raised:
            upload(f"http://127.0.0.1:{server.server_port}/x?Signature=s", io.BytesIO(CONTENT), len(CONTENT))
    assert raised.value.status_code == status
