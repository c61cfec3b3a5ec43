from __future__ import annotations

import json
from math import inf
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st

from airflow_provider_streamtasks.exceptions import (
    StreamApiException,
    StreamConfigurationError,
    StreamException,
    StreamRateLimitException,
    StreamTaskException,
    StreamTaskTimeout,
    StreamTransportException,
)
from airflow_provider_streamtasks.protocol.data_import import Import
from airflow_provider_streamtasks.protocol.errors import MAX_PAUSE
from airflow_provider_streamtasks.protocol.failures import describe_failure
from airflow_provider_streamtasks.protocol.tasks import StreamTask, TaskError, read_task
from airflow_provider_streamtasks.protocol.wait import (
    ERRORS_ONLY_LIMIT,
    UNKNOWN_TASK_GRACE,
    Outcome,
    Wait,
    WaitTerms,
)
from airflow_provider_streamtasks.protocol.wire import Response
from tests import json_values
from tests.fuzzing import fuzz
from tests.wait_terms import wait_terms

START = 1_800_000_000.0
HOURS = wait_terms(timeout=10 * 3600.0)
CENTURY = 100 * 365 * 86_400.0


def api_error(status: int, **fields: Any) -> StreamApiException:
    return StreamApiException("no", status_code=status, **fields)


def rate_limit(retry_after: float | None = None) -> StreamRateLimitException:
    return StreamRateLimitException("slow down", status_code=429, code=9, retry_after=retry_after)


def waiting_for(*task_ids: str, terms: WaitTerms = HOURS, errors_since: float | None = None) -> Wait:
    return Wait(task_ids or ("a",), terms, START, errors_since=errors_since)


def due(wait: Wait, now: float) -> list[str]:
    return sorted((task_id for task_id in wait.open_task_ids if wait.due_at(task_id) <= now), key=wait.due_at)


def pause(wait: Wait, now: float) -> float:
    return max(0.0, wait.next_due - now)


FAILED = StreamTask("a", "failed", error=TaskError("storage", "full"))
NO_REASON = StreamTask("a", "failed")
RATE_LIMITED = StreamTask("a", "failed", {"description": "rate limit exceeded, try again"})


def seen(
    wait: Wait, answer: str | StreamTask | StreamException, after: float, task_id: str = "a"
) -> str | None:
    """Let the wait observe a status, a Stream task or an error, some seconds after it began."""
    if isinstance(answer, str):
        # One that failed for a reason, unless a test says otherwise.
        answer = StreamTask(task_id, answer, error=TaskError("storage", "full"))
    return wait.observe(task_id, answer, START + after)


# -- what an answer means ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("completed", Outcome.COMPLETED),
        ("failed", Outcome.FAILED),
        ("error", Outcome.FAILED),
        ("pending", None),
        ("waiting", None),
        ("running", None),
        ("defrosting", None),
    ],
)
@pytest.mark.parametrize("after", [0.0, 3600.0])
def test_the_status_decides_whether_the_wait_is_over(
    status: str, outcome: Outcome | None, after: float
) -> None:
    wait = waiting_for()
    seen(wait, status, after)
    assert wait.outcome is outcome
    assert wait.over is (outcome is not None)


def test_an_unknown_status_is_mentioned_once() -> None:
    wait = waiting_for("a", "b")
    line = seen(wait, "defrosting", 1)
    assert line is not None
    assert "'defrosting'" in line
    assert "a" in line
    assert seen(wait, "defrosting", 2) is None
    assert seen(wait, "defrosting", 2, "b") is None
    assert "thawing" in (seen(wait, "thawing", 3) or "")


@pytest.mark.parametrize("status", ["pending", "waiting", "running"])
def test_a_known_status_is_not_worth_a_line(status: str) -> None:
    assert seen(waiting_for(), status, 1) is None


def test_a_failure_is_worth_a_line_with_streams_words() -> None:
    task = StreamTask("a", "failed", error=TaskError("storage", "shard 7 is read-only"))
    assert waiting_for().observe("a", task, START) == "Stream task a failed: storage: shard 7 is read-only"


# -- failures that may pass --------------------------------------------------------------------------------

MAY_PASS = [pytest.param(NO_REASON, id="no reason"), pytest.param(RATE_LIMITED, id="rate limit")]


@pytest.mark.parametrize("task", MAY_PASS)
def test_a_failure_that_may_pass_counts_after_two_more_looks_over_ten_seconds(task: StreamTask) -> None:
    wait = waiting_for()
    for after in (100, 105):
        assert due(wait, START + after) == ["a"] if after > 100 else True
        seen(wait, task, after)
        assert wait.outcome is None
        assert wait.confirming
        assert pause(wait, START + after) == 5
    assert due(wait, START + 110) == ["a"]
    assert seen(wait, task, 110)
    assert wait.outcome is Outcome.FAILED
    assert not wait.confirming
    with pytest.raises(StreamTaskException):
        wait.result()


@pytest.mark.parametrize("task", MAY_PASS)
def test_a_failure_that_may_pass_is_mentioned_once_before_it_counts(task: StreamTask) -> None:
    wait = waiting_for()
    assert "That may pass: it counts once further polls say the same" in (seen(wait, task, 0) or "")
    assert seen(wait, task, 5) is None
    assert seen(wait, task, 10) == describe_failure(task)


def test_a_poll_interval_does_not_delay_the_confirmation() -> None:
    wait = waiting_for(terms=wait_terms(timeout=3600, poll_interval=60))
    seen(wait, NO_REASON, 0)
    assert pause(wait, START) == 5


@pytest.mark.parametrize("task", MAY_PASS)
@pytest.mark.parametrize(
    ("then", "outcome"), [("completed", Outcome.COMPLETED), ("failed", Outcome.FAILED), ("running", None)]
)
def test_what_comes_instead_of_a_failure_that_may_pass_counts(
    task: StreamTask, then: str, outcome: Outcome | None
) -> None:
    wait = waiting_for()
    seen(wait, task, 0)
    seen(wait, then, 5)
    assert wait.outcome is outcome
    assert not wait.confirming


@pytest.mark.parametrize("between", ["running", api_error(503), api_error(404), rate_limit(1)])
def test_whatever_else_comes_between_begins_the_confirmation_anew(between: str | StreamException) -> None:
    wait = waiting_for()
    seen(wait, NO_REASON, 0)
    seen(wait, NO_REASON, 5)
    seen(wait, between, 10)
    assert not wait.confirming
    for after in (20, 25):
        seen(wait, NO_REASON, after)
        assert wait.outcome is None
    seen(wait, NO_REASON, 30)
    assert wait.outcome is Outcome.FAILED


def test_looks_that_others_ask_for_do_not_shorten_the_confirmation() -> None:
    wait = waiting_for()
    for after in (0, 1, 2, 3, 9.9):
        seen(wait, NO_REASON, after)
        assert wait.outcome is None
    assert pause(wait, START + 9.9) == pytest.approx(0.1)
    seen(wait, NO_REASON, 10)
    assert wait.outcome is Outcome.FAILED


def test_one_late_look_alone_is_no_confirmation() -> None:
    wait = waiting_for()
    seen(wait, NO_REASON, 0)
    seen(wait, NO_REASON, 60)
    assert wait.outcome is None
    seen(wait, NO_REASON, 65)
    assert wait.outcome is Outcome.FAILED


def test_the_look_at_the_deadline_decides_where_that_comes_first() -> None:
    wait = waiting_for(terms=wait_terms(timeout=7))
    seen(wait, NO_REASON, 5)
    assert pause(wait, START + 5) == 2
    seen(wait, NO_REASON, 7)
    assert wait.outcome is Outcome.FAILED


def test_a_failure_that_may_pass_is_no_success_without_a_poll_at_the_deadline() -> None:
    wait = waiting_for(terms=wait_terms(timeout=7))
    seen(wait, NO_REASON, 5)
    wait.expire(START + 20)
    assert wait.outcome is Outcome.TIMED_OUT
    with pytest.raises(StreamTaskTimeout):
        wait.result()


def test_a_wait_of_zero_seconds_believes_its_only_poll() -> None:
    wait = waiting_for(terms=wait_terms(timeout=0))
    seen(wait, NO_REASON, 0)
    assert wait.outcome is Outcome.FAILED


def test_while_one_failure_is_confirmed_the_others_are_polled_as_ever() -> None:
    wait = waiting_for("a", "b")
    seen(wait, NO_REASON, 0)
    seen(wait, "running", 0, "b")
    assert due(wait, START + 2) == ["b"]
    seen(wait, "completed", 2, "b")
    assert wait.outcome is None
    for after in (5, 10):
        seen(wait, NO_REASON, after)
    assert wait.outcome is Outcome.FAILED


# -- answers inside results --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "outcome", "line"),
    [
        ("completed", Outcome.COMPLETED, None),
        ("failed", Outcome.FAILED, "is completed, but its work failed: channel_batch_update: full"),
        ("error", Outcome.FAILED, "is completed, but its work failed: channel_batch_update: full"),
        ("started", None, None),
        ("pending", None, None),
        ("running", None, None),
        ("thawing", None, "is completed, but its result has the unknown status 'thawing': waiting on"),
    ],
)
def test_the_status_inside_the_result_of_a_batch_update_decides(
    status: str, outcome: Outcome | None, line: str | None
) -> None:
    wait = waiting_for()
    task = StreamTask("a", "completed", {"operation": "hide", "status": status, "description": "full"})
    logged = seen(wait, task, 1)
    assert wait.outcome is outcome
    assert logged == (f"Stream task a {line}" if line else None)
    assert seen(wait, task, 2) is None


planted = st.sampled_from(
    [
        {"status": "failed", "operation": "hide"},
        {"status": "error", "failed_channels": []},
        {"status": "started", "task_id": "t"},
        {"status": "thawing", "success_channels_count": 0},
        {"status": "failed"},
        {"status": "running"},
        {"status": {"status": "failed"}},
        {"status": {"error": "gone"}},
        {"failed_channels": [{"reason": "busy", "cids": None}]},
        {"failed_channels": {"status": "not_found"}},
        {"messaging:a": None},
        {"messaging:a": {}},
        {"messaging:a": "not_found"},
        {"joe": {"status": "ok", "error": "gone"}},
        {"joe": {"status": None}},
        {"joe": "failed"},
    ]
)


@fuzz(
    st.sampled_from(["completed", "COMPLETED", "ok"]),
    json_values.documents | json_values.objects(),
    planted,
    st.sampled_from([None, {"type": "storage"}]),
    st.sampled_from([0.0, 5.0, 7.0]),
)
def test_no_shape_of_a_result_makes_a_failure_look_like_success(
    status: str, result: dict[str, Any], failure: dict[str, Any], error: Any, after: float
) -> None:
    body = {"status": status, "result": {**result, **failure}, "error": error}
    task = read_task("a", Response(200, {}, json.dumps(body).encode()), START)
    wait = waiting_for(terms=wait_terms(timeout=7))
    wait.observe("a", task, START + after)
    assert wait.outcome is not Outcome.COMPLETED or task.failed_items


@fuzz(
    st.sampled_from(["failed", "error", "running", "thawing", "Failed"]),
    json_values.anything | json_values.documents,
    json_values.anything,
    st.sampled_from([0.0, 5.0, 7.0]),
)
def test_no_result_makes_a_success_of_what_is_not_completed(
    status: str, result: Any, error: Any, after: float
) -> None:
    body = {"status": status, "result": result, "error": error}
    task = read_task("a", Response(200, {}, json.dumps(body).encode()), START)
    wait = waiting_for(terms=wait_terms(timeout=7))
    wait.observe("a", task, START + after)
    assert wait.outcome is not Outcome.COMPLETED


def test_what_is_not_finished_inside_times_out_at_the_deadline() -> None:
    wait = waiting_for(terms=wait_terms(timeout=10))
    seen(wait, StreamTask("a", "completed", {"status": "started"}), 10)
    assert wait.outcome is Outcome.TIMED_OUT


def test_a_failure_names_what_failed_inside() -> None:
    groups = [{"reason": "frozen", "cids": ["messaging:a"]}, {"reason": "too busy"}]
    wait = waiting_for()
    seen(wait, StreamTask("a", "completed", {"status": "failed", "failed_channels": groups}), 1)
    with pytest.raises(StreamTaskException) as raised:
        wait.result()
    error = raised.value
    assert error.error_type == "channel_batch_update"
    assert error.failed_items == {"messaging:a": "frozen", "too busy": "Stream does not name the channels"}
    assert error.description == (
        "2 items failed: messaging:a (frozen), too busy (Stream does not name the channels)"
    )


@pytest.mark.parametrize(
    ("after", "outcome"),
    [
        (0.0, None),
        (UNKNOWN_TASK_GRACE - 0.01, None),
        (UNKNOWN_TASK_GRACE, Outcome.ERROR),
        (3600.0, Outcome.ERROR),
    ],
)
def test_an_unknown_task_is_waited_for_while_stream_may_not_have_read_its_own_write(
    after: float, outcome: Outcome | None
) -> None:
    wait = waiting_for()
    seen(wait, api_error(404, code=16), after)
    assert wait.outcome is outcome


def test_the_grace_for_an_unknown_task_is_half_a_minute() -> None:
    assert UNKNOWN_TASK_GRACE == 30


def test_an_unknown_task_within_the_grace_does_not_count_as_an_error() -> None:
    wait = waiting_for()
    assert seen(wait, api_error(404), 1) is None
    assert wait.errors_since is None


@pytest.mark.parametrize(
    "error",
    [
        *(pytest.param(api_error(status), id=str(status)) for status in (301, 302, 400, 401, 403, 405, 413)),
        pytest.param(api_error(503, unrecoverable=True), id="unrecoverable"),
        pytest.param(StreamConfigurationError("no secret"), id="configuration"),
    ],
)
def test_an_error_that_does_not_pass_ends_the_wait_at_once(error: StreamException) -> None:
    wait = waiting_for("a", "b")
    seen(wait, error, 1)
    assert wait.outcome is Outcome.ERROR
    assert wait.next_due == inf
    assert wait.open_task_ids == ["a", "b"]
    with pytest.raises(type(error)) as raised:
        wait.result()
    assert raised.value is error


PASSING = [
    *(pytest.param(api_error(status), id=str(status)) for status in (408, 500, 502, 503, 504, 599)),
    pytest.param(api_error(200), id="broken-body"),
    pytest.param(rate_limit(5), id="429"),
    pytest.param(StreamTransportException("gone", error_type="connection_reset"), id="reset"),
    pytest.param(StreamTransportException("gone", request_sent=False), id="refused"),
]


@pytest.mark.parametrize("error", PASSING)
def test_an_error_that_passes_is_waited_out(error: StreamException) -> None:
    wait = waiting_for()
    line = seen(wait, error, 1)
    assert wait.outcome is None
    assert str(error) in (line or "")
    seen(wait, "completed", 10)
    assert wait.outcome is Outcome.COMPLETED


def test_errors_in_a_row_are_mentioned_once() -> None:
    wait = waiting_for()
    assert seen(wait, api_error(503), 1)
    assert seen(wait, api_error(503), 2) is None
    seen(wait, "running", 3)
    assert seen(wait, api_error(503), 4)


@pytest.mark.parametrize("error", PASSING)
def test_five_minutes_of_nothing_but_errors_end_the_wait(error: StreamException) -> None:
    wait = waiting_for()
    seen(wait, error, 100)
    seen(wait, error, 100 + ERRORS_ONLY_LIMIT - 0.01)
    assert wait.outcome is None
    seen(wait, error, 100 + ERRORS_ONLY_LIMIT)
    assert wait.outcome is Outcome.ERROR
    with pytest.raises(type(error)):
        wait.result()


def test_the_first_error_of_a_stream_task_is_not_waited_out_if_it_ends_the_wait() -> None:
    wait = waiting_for("a", "b")
    seen(wait, api_error(503), 0, "a")
    assert seen(wait, api_error(503), ERRORS_ONLY_LIMIT, "b") is None
    assert wait.outcome is Outcome.ERROR


def test_the_limit_on_errors_is_five_minutes() -> None:
    assert ERRORS_ONLY_LIMIT == 300


def test_one_good_answer_starts_the_five_minutes_anew() -> None:
    wait = waiting_for()
    seen(wait, api_error(503), 0)
    seen(wait, "running", 299)
    seen(wait, api_error(503), 310)
    seen(wait, api_error(503), 609)
    assert wait.outcome is None
    seen(wait, api_error(503), 610)
    assert wait.outcome is Outcome.ERROR


def test_a_good_answer_on_one_stream_task_counts_for_all() -> None:
    wait = waiting_for("a", "b")
    seen(wait, api_error(503), 0, "a")
    seen(wait, "running", 200, "b")
    seen(wait, api_error(503), 301, "a")
    assert wait.outcome is None


def test_errors_that_another_process_has_seen_count() -> None:
    wait = waiting_for(errors_since=START - 299)
    seen(wait, api_error(503), 0)
    assert wait.outcome is None
    seen(wait, api_error(503), 1)
    assert wait.outcome is Outcome.ERROR


@pytest.mark.parametrize("error", [api_error(401), api_error(404), StreamConfigurationError("no secret")])
def test_with_keep_on_errors_no_error_ends_the_wait(error: StreamException) -> None:
    wait = waiting_for(terms=wait_terms(timeout=3600, keep_on_errors=True))
    for after in (0, 60, 600, 3599):
        seen(wait, error, after)
        assert wait.outcome is None
    seen(wait, error, 3600)
    assert wait.outcome is Outcome.TIMED_OUT


def test_what_is_finished_stays_finished() -> None:
    wait = waiting_for("a", "b")
    seen(wait, "completed", 1)
    assert seen(wait, api_error(401), 2) is None
    assert wait.outcome is None
    assert wait.open_task_ids == ["b"]


def test_an_answer_on_a_stream_task_of_others_is_ignored() -> None:
    wait = waiting_for("a")
    seen(wait, "failed", 1, "somebody-elses")
    assert wait.outcome is None


# -- the deadline ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["running", "defrosting", api_error(503), rate_limit(1), api_error(404)])
def test_the_deadline_ends_the_wait_whatever_came_last(answer: str | StreamException) -> None:
    wait = waiting_for(terms=wait_terms(timeout=10))
    seen(wait, answer, 9.99)
    assert wait.outcome is None
    seen(wait, answer, 10)
    assert wait.outcome is Outcome.TIMED_OUT
    with pytest.raises(StreamTaskTimeout, match="within 10 s") as raised:
        wait.result()
    assert raised.value.task_ids == ["a"]
    assert raised.value.error_type == "timeout"


def test_a_stream_task_that_finished_is_no_timeout_even_past_the_deadline() -> None:
    wait = waiting_for(terms=wait_terms(timeout=10))
    seen(wait, "completed", 1000)
    assert wait.outcome is Outcome.COMPLETED


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("completed", Outcome.COMPLETED),
        ("failed", Outcome.FAILED),
        ("running", Outcome.TIMED_OUT),
    ],
)
@pytest.mark.parametrize("late", [0.0, 500.0])
def test_a_timeout_of_zero_looks_once(status: str, outcome: Outcome, late: float) -> None:
    wait = Wait(["a"], wait_terms(timeout=0), START)
    assert due(wait, START + late) == ["a"]
    seen(wait, status, late)
    assert wait.outcome is outcome


def test_the_deadline_is_absolute() -> None:
    assert Wait(["a"], wait_terms(timeout=60), START).deadline == START + 60


# -- many Stream tasks -------------------------------------------------------------------------------------


def test_many_stream_tasks_are_all_polled_and_returned_in_order() -> None:
    ids = [f"task-{number}" for number in range(1000)]
    wait = Wait(ids, HOURS, START)
    assert sorted(due(wait, START)) == sorted(ids)
    for task_id in reversed(ids):
        assert wait.outcome is None
        seen(wait, "completed", 1, task_id)
    assert [task.task_id for task in wait.result()] == ids


def test_each_stream_task_has_its_own_schedule() -> None:
    wait = waiting_for("a", "b")
    seen(wait, "running", 0, "a")
    seen(wait, rate_limit(20), 0, "b")
    assert due(wait, START + 2) == ["a"]
    assert due(wait, START + 60) == ["a", "b"]


def test_a_duplicate_is_polled_once_and_returned_twice() -> None:
    wait = Wait(["a", "b", "a"], HOURS, START)
    assert due(wait, START) == ["a", "b"]
    seen(wait, "completed", 1, "a")
    seen(wait, "completed", 1, "b")
    assert [task.task_id for task in wait.result()] == ["a", "b", "a"]


def test_a_wait_for_nothing_is_over() -> None:
    wait = Wait([], HOURS, START)
    assert wait.outcome is Outcome.COMPLETED
    assert wait.result() == []


def test_a_failure_does_not_end_the_wait_for_the_others() -> None:
    wait = waiting_for("a", "b")
    seen(wait, "failed", 1, "a")
    assert wait.outcome is None
    seen(wait, "failed", 2, "b")
    with pytest.raises(StreamTaskException) as raised:
        wait.result()
    assert raised.value.task_id == "a"
    assert raised.value.task_ids == ["a", "b"]


def test_a_failure_outweighs_a_timeout_and_names_what_is_open() -> None:
    wait = waiting_for("a", "b", terms=wait_terms(timeout=10))
    seen(wait, "running", 10, "a")
    wait.observe("b", StreamTask("b", "failed", error=TaskError("storage", "full", "at x", "v1")), START + 10)
    assert wait.outcome is Outcome.FAILED
    with pytest.raises(StreamTaskException, match="Not finished when the wait ended: the Stream task a") as e:
        wait.result()
    assert (e.value.task_id, e.value.error_type, e.value.description) == ("b", "storage", "full")
    assert (e.value.stack_trace, e.value.version) == ("at x", "v1")


def test_an_error_that_does_not_pass_outweighs_a_failure() -> None:
    wait = waiting_for("a", "b")
    seen(wait, "failed", 1, "a")
    seen(wait, api_error(401), 1, "b")
    assert wait.outcome is Outcome.ERROR


# -- the schedule ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("poll_interval", "max_poll_interval", "age", "delay"),
    [
        (1, 30, 0, 1),
        (1, 30, 4, 1),
        (1, 30, 100, 4.5),
        (1, 30, 3600, 27),
        (1, 30, 10**9, 30),
        (10, 30, 0, 10),
        (60, 30, 0, 60),
        (60, 30, 10**6, 60),
        (1, 0, 10**6, 1),
        (0, 30, 0, 0),
        (1, 30, -5, 1),
    ],
)
def test_looks_grow_rarer_with_age_between_the_two_bounds(
    poll_interval: float, max_poll_interval: float, age: float, delay: float
) -> None:
    assert wait_terms(60, poll_interval, max_poll_interval).delay(age) == delay


@pytest.mark.parametrize(("count", "delay"), [(1, 2), (2, 4), (4, 16), (5, 30), (10**6, 30)])
def test_looks_grow_rarer_with_errors(count: int, delay: float) -> None:
    assert wait_terms(60, 1, 30).delay_after_errors(count, age=0) == delay


def pauses(task_id: str, polls: int = 50, max_poll_interval: float = 200) -> list[float]:
    wait = Wait(
        [task_id], wait_terms(timeout=CENTURY, poll_interval=100, max_poll_interval=max_poll_interval), START
    )
    now, result = START, []
    for _ in range(polls):
        assert due(wait, now) == [task_id]
        wait.observe(task_id, StreamTask(task_id, "running"), now)
        result.append(pause(wait, now))
        now += result[-1]
    return result


def test_pauses_are_spread_by_a_tenth_and_no_more() -> None:
    spread = pauses("a")
    assert all(90 <= pause <= 110 for pause in spread)
    assert max(spread) - min(spread) > 15


@pytest.mark.parametrize(("max_poll_interval", "longest"), [(100, 100), (104, 104), (30, 100)])
def test_pauses_are_spread_but_never_longer_than_allowed(max_poll_interval: float, longest: float) -> None:
    spread = pauses("a", max_poll_interval=max_poll_interval)
    assert all(90 <= pause <= longest for pause in spread)
    assert len(set(spread)) > 1


def test_those_who_look_about_as_often_look_at_the_same_moments() -> None:
    terms = wait_terms(timeout=CENTURY)
    moments = {terms.moment(8 + 0.02 * number, number / 100, START) for number in range(100)}
    assert len(moments) < 8
    assert max(moments) - min(moments) > 2


def test_pauses_are_the_same_when_a_test_runs_again_and_differ_between_stream_tasks() -> None:
    assert pauses("a") == pauses("a")
    assert pauses("a") != pauses("b")


@pytest.mark.parametrize("answer", ["running", api_error(503), rate_limit(CENTURY)])
def test_no_pause_goes_past_the_deadline(answer: str | StreamException) -> None:
    wait = waiting_for(terms=wait_terms(timeout=10, poll_interval=8))
    seen(wait, answer, 6)
    assert pause(wait, START + 6) == 4
    assert due(wait, START + 10) == ["a"]


@pytest.mark.parametrize("asked", [0, 1, 20, 60, 600])
def test_nobody_comes_back_sooner_than_stream_asked(asked: float) -> None:
    for number in range(100):
        task_id = str(UUID(int=number**9))
        wait = waiting_for(task_id)
        seen(wait, rate_limit(asked), 0, task_id)
        assert pause(wait, START) >= asked


def test_those_who_were_sent_away_together_do_not_come_back_together() -> None:
    ids = [str(UUID(int=number**9)) for number in range(50)]
    wait = waiting_for(*ids)
    for task_id in ids:
        seen(wait, rate_limit(60), 0, task_id)
    moments = {int(wait.due_at(task_id)) for task_id in ids}
    assert len(moments) >= 8


def test_a_retry_after_of_a_century_is_capped() -> None:
    wait = waiting_for()
    seen(wait, rate_limit(CENTURY), 0)
    assert MAX_PAUSE <= pause(wait, START) <= 1.2 * MAX_PAUSE


def test_a_wait_that_is_over_has_no_poll_to_come() -> None:
    wait = waiting_for()
    seen(wait, "completed", 0)
    assert wait.next_due == inf


def test_what_is_overdue_has_no_pause() -> None:
    assert pause(Wait(["a"], HOURS, START), START + 100) == 0


@pytest.mark.parametrize("status", [404, 503])
def test_a_timeout_after_an_error_says_what_the_last_poll_brought(status: int) -> None:
    wait = Wait(["a"], wait_terms(timeout=20.0), START)
    seen(wait, "running", 1)
    seen(wait, api_error(status, code=16), 20)
    with pytest.raises(StreamTaskTimeout, match=rf"not known .* goes on with it: Stream answered {status}"):
        wait.result()


def test_an_error_that_passed_leaves_nothing_in_a_timeout() -> None:
    wait = Wait(["a"], wait_terms(timeout=20.0), START)
    seen(wait, api_error(503), 1)
    seen(wait, "running", 20)
    with pytest.raises(StreamTaskTimeout, match="Waiting ended, not the work"):
        wait.result()


@pytest.mark.parametrize("late", ["running", "completed"])
def test_a_status_of_one_says_nothing_of_another(late: str) -> None:
    wait = Wait(["a", "b"], wait_terms(timeout=20.0), START)
    seen(wait, api_error(503), 20)
    seen(wait, late, 20, "b")
    with pytest.raises(StreamTaskTimeout, match="not known whether") as raised:
        wait.result()
    assert raised.value.last_error.startswith("Stream answered 503")


# -- items inside ------------------------------------------------------------------------------------------


def test_the_log_begins_with_what_is_left_of_the_time() -> None:
    wait = Wait(["a"], wait_terms(timeout=3600.0), START)
    lines = [wait.beginning(START), wait.beginning(START + 0.0612), wait.beginning(START + 4000)]
    assert [line.partition(" for")[0] for line in lines] == [
        "Waiting up to 3600 s",
        "Waiting up to 3599.9 s",
        "Waiting up to 0 s",
    ]


def test_an_import_is_called_an_import() -> None:
    wait = Wait(("a", "b"), wait_terms(timeout=200.0), START, Import())
    lines = [
        seen(wait, api_error(500), 0),
        seen(wait, "waiting_confirmation", 1),
        wait.milestone(START + 150),
        seen(wait, FAILED, 150),
    ]
    wait.expire(START + 200)
    with pytest.raises(StreamTaskException) as failed:
        wait.result()
    alone = Wait(("b",), wait_terms(timeout=0.0), START, Import())
    alone.expire(START)
    with pytest.raises(StreamTaskTimeout) as late:
        alone.result()
    assert [*lines, *str(failed.value).split("\n"), str(late.value)] == [
        "Polling import a failed, waiting on: Stream answered 500: no",
        "Import a waits for a person at Stream (waiting_confirmation): waiting on",
        "Waiting since 150 s for Stream to finish 2 imports: a, b",
        "Import a failed: storage: full",
        "Import a failed: storage: full",
        "Not finished when the wait ended: the import b",
        "Stream did not finish the import b within 0 s. The last poll brought no status, so it is not known "
        "whether Stream goes on with it: it could not be made in time",
    ]
