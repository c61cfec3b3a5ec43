from __future__ import annotations

import pytest

from airflow_provider_streamtasks.protocol.failures import partial_failure, timed_out


def test_the_message_of_a_timeout_says_that_stream_may_go_on() -> None:
    assert str(timed_out(["a"], 60)) == (
        "Stream did not finish the Stream task a within 60 s. Waiting ended, not the work: Stream may go on "
        "with it."
    )
    assert "may go on with them" in str(timed_out(["a", "b"], 60))


def test_the_message_of_a_timeout_without_a_status_claims_nothing() -> None:
    assert str(timed_out(["a"], 60, last_error="Stream answered 503: no")) == (
        "Stream did not finish the Stream task a within 60 s. The last poll brought no status, so it is not "
        "known whether Stream goes on with it: Stream answered 503: no"
    )


@pytest.mark.parametrize(
    ("failed", "ids", "text"),
    [
        (
            {"a:1": "gone"},
            ["t"],
            "Stream completed the Stream task t, but 1 item failed: a:1 (gone)",
        ),
        (
            {"a:1": "gone", "a:2": "busy"},
            [],
            "Stream completed the request, but 2 items failed: a:1 (gone), a:2 (busy)",
        ),
    ],
)
def test_a_partial_failure_names_the_items(failed: dict[str, str], ids: list[str], text: str) -> None:
    error = partial_failure(failed, ids)
    assert str(error) == text
    assert error.error_type == "partial_failure"
    assert error.failed_items == failed


def test_a_partial_failure_of_many_items_names_the_first_ten() -> None:
    failed = {f"a:{number}": "gone" for number in range(25)}
    error = partial_failure(failed, ["t"])
    assert "a:9 (gone) and 15 more" in str(error)
    assert "a:10" not in str(error)
    assert len(error.failed_items) == 25
