from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_streamtasks.protocol.signatures import signatures, without_signature
from tests import json_values
from tests.fuzzing import fuzz

URL = "https://storage.example/export.json"
SIGNED = f"{URL}?Expires=1&Signature=abc%2Fdef"


@pytest.mark.parametrize(
    ("result", "expected", "queries"),
    [
        (SIGNED, URL, ["Expires=1&Signature=abc%2Fdef"]),
        ({"url": SIGNED, "other": 5}, {"url": URL, "other": 5}, ["Expires=1&Signature=abc%2Fdef"]),
        ([{"a": [SIGNED]}], [{"a": [URL]}], ["Expires=1&Signature=abc%2Fdef"]),
        ("HTTPS://x/y?z=1", "HTTPS://x/y", ["z=1"]),
        ("http://[broken/y?z=1", "http://[broken/y", ["z=1"]),
        ("https://x/y?", "https://x/y?", []),
        ("https://x/y#a?b", "https://x/y#a?b", []),
        (URL, URL, []),
        ("why? because", "why? because", []),
        (
            f"see {SIGNED}, and {SIGNED}",
            f"see {URL} and {URL}",
            ["Expires=1&Signature=abc%2Fdef,", "Expires=1&Signature=abc%2Fdef"],
        ),
        ("mailto:a@b?subject=c", "mailto:a@b?subject=c", []),
        (
            "Max retries exceeded with url: /export.json?X-Amz-Signature=abc (Caused by it)",
            "Max retries exceeded with url: /export.json (Caused by it)",
            ["X-Amz-Signature=abc"],
        ),
        ("('storage', '/a?b=c')", "('storage', '/a')", ["b=c"]),
        ("href=//storage/a?b=c", "href=//storage/a", ["b=c"]),
        ("storage.example/a?se=1&sig=abc%3D", "storage.example/a", ["se=1&sig=abc%3D"]),
        ("yes/no? I/O?", "yes/no? I/O?", []),
        ({"ok": True, "none": None, "number": 1.5}, {"ok": True, "none": None, "number": 1.5}, []),
        (None, None, []),
    ],
)
def test_the_signature_of_every_url_in_a_result_is_found_and_can_be_cut_off(
    result: Any, expected: Any, queries: list[str]
) -> None:
    assert without_signature(result) == expected
    assert list(signatures(result)) == queries


@pytest.mark.parametrize("piece", ["https://", "https://#", "/", " /", "a?", "?", "a?sig", "a?b=/"])
def test_no_text_takes_long(piece: str) -> None:
    # While a regular expression is at work, a triggerer does nothing else.
    started = time.process_time()
    list(signatures(without_signature(piece * 100_000)))
    assert time.process_time() - started < 5.0


def test_cutting_signatures_leaves_the_result_itself_alone() -> None:
    result = {"url": SIGNED}
    without_signature(result)
    assert result == {"url": SIGNED}


@fuzz(json_values.anything | json_values.documents)
def test_a_result_without_signatures_has_none(result: Any) -> None:
    assert list(signatures(without_signature(result))) == []
