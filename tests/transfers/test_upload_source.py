"""A file on its way to Stream's storage host: its bytes, however it is asked for them."""

from __future__ import annotations

import io

import pytest

from airflow_provider_streamtasks.hooks.signed_urls import _Sized

CONTENT = bytes(range(256)) * 10_000  # 2.4 MiB


@pytest.mark.parametrize("size", [1000, 16_384, 2**20, 2**22, -1])
def test_all_bytes_come_in_order(size: int) -> None:
    source = _Sized(io.BytesIO(CONTENT), len(CONTENT))
    assert b"".join(iter(lambda: source.read(size), b"")) == CONTENT
    assert len(source) == len(CONTENT)


def test_no_more_bytes_than_were_announced() -> None:
    source = _Sized(io.BytesIO(CONTENT), 100)
    assert b"".join(source) == CONTENT[:100]


def test_a_file_that_became_shorter() -> None:
    source = _Sized(io.BytesIO(CONTENT[:-1]), len(CONTENT))
    with pytest.raises(OSError, match="has become shorter"):
        list(source)
    assert isinstance(source.failed, OSError)
