from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_streamtasks.protocol.wire import fill


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("a1b2", "a1b2"),
        ("../users/delete", "..%2Fusers%2Fdelete"),
        ("..\\users", "..%5Cusers"),
        ("a?hard=true", "a%3Fhard%3Dtrue"),
        ("a#b", "a%23b"),
        ("%2e%2e%2fusers", "%252e%252e%252fusers"),
        ("a b", "a%20b"),
        ("a;b", "a%3Bb"),
        ("a\r\nX: y", "a%0D%0AX%3A%20y"),
        ("é", "%C3%A9"),
        ("...", "..."),
        ("{id}", "%7Bid%7D"),
    ],
)
def test_a_parameter_stays_the_one_segment_it_stands_in(value: str, segment: str) -> None:
    assert fill("/tasks/{id}", id=value) == f"/tasks/{segment}"


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_parameter_that_no_encoding_keeps_in_its_place_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=f"^id is {value!r}: "):
        fill("/tasks/{id}", id=value)


def test_several_parameters_each_have_their_place() -> None:
    assert fill("/{type}/{id}/x", type="a/b", id="c") == "/a%2Fb/c/x"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_whatever_the_parameter_is_it_comes_back_from_its_segment(value: str) -> None:
    assume(value not in (".", ".."))
    path = fill("/tasks/{id}/x", id=value)
    assert path.isascii()
    assert not set(path) & set("?#\\ \r\n")
    assert unquote(path.split("/")[2]) == value
    assert path.count("/") == 3
