"""Each item once, whatever dies on the way; and no more requests than the budget allows."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout
from airflow.providers.standard.triggers.temporal import DateTimeTrigger

from airflow_provider_streamtasks.exceptions import (
    StreamApiException,
    StreamException,
    StreamTaskException,
    StreamTransportException,
)
from airflow_provider_streamtasks.operators import base
from airflow_provider_streamtasks.operators.base import StreamSubmissionFailed
from airflow_provider_streamtasks.operators.chat import (
    StreamChannelBatchUpdateOperator,
    StreamDeleteChannelsOperator,
)
from airflow_provider_streamtasks.operators.moderation import StreamImportBlockListOperator
from airflow_provider_streamtasks.operators.stored_ledger import CHUNK
from airflow_provider_streamtasks.operators.users import StreamExportUsersOperator
from airflow_provider_streamtasks.protocol import wait
from airflow_provider_streamtasks.sandbox import SandboxControl
from tests.airflow_tasks import Run, TaskStateStore, WithoutStore
from tests.conftest import Logs, SetConnection, StartTask

CIDS = [f"messaging:{number}" for number in range(250)]
BATCHES = [CIDS[:100], CIDS[100:200], CIDS[200:]]


class Killed(BaseException):
    """The worker dies."""


class DyingStore(TaskStateStore):
    """A store in whose use the worker dies."""

    def __init__(self, at: int, written: bool) -> None:
        super().__init__()
        self.countdown = at
        self.written = written

    def set(self, key: str, value: Any, **others: Any) -> None:
        self.countdown -= 1
        if self.countdown >= 0 or self.written:
            super().set(key, value, **others)
        if self.countdown == -1:
            raise Killed


@pytest.fixture
def run(connection: None) -> Run:
    return Run()


def delete(cids: Any = CIDS, **arguments: Any) -> StreamDeleteChannelsOperator:
    return StreamDeleteChannelsOperator(
        **{
            "task_id": "delete",
            "cids": cids,
            "hard_delete": True,
            "poll_interval": 0.05,
            "wait_timeout": 20,
            **arguments,
        }
    )


def execute(run: Run, *args: Any, **arguments: Any) -> Any:
    return run.execute(lambda: delete(*args, **arguments))


def sent(control: SandboxControl, after: int = 0) -> list[list[str]]:
    return [request["body"]["cids"] for request in control.journal("DeleteChannels", after)]


def accepted(control: SandboxControl) -> Counter[str]:
    taken = [request for request in control.journal("DeleteChannels") if request["taken"]]
    return Counter(item for request in taken for item in request["items"])


def last(control: SandboxControl) -> int:
    return max((request["number"] for request in control.journal()), default=0)


def statuses(control: SandboxControl) -> list[int]:
    return [request["status"] for request in control.journal("DeleteChannels")]


# -- crashes -----------------------------------------------------------------------------------------------

# Three batches are noted six times: before and after each request.
MOMENTS = [(at, written) for at in range(6) for written in (False, True)]


@pytest.mark.parametrize(("at", "written"), MOMENTS)
def test_whenever_the_worker_dies_a_retry_submits_the_rest_and_nothing_twice(
    at: int, written: bool, run: Run, control: SandboxControl
) -> None:
    run.store = DyingStore(at, written)
    with pytest.raises(Killed):
        execute(run)
    dead = last(control)
    # Between the two notes about a batch nobody can tell whether Stream has it.
    caught = (at % 2 == 0 and written) or (at % 2 == 1 and not written)
    if not caught:
        execute(run)
        assert accepted(control) == Counter(CIDS)
        return
    with pytest.raises(StreamSubmissionFailed) as raised:
        execute(run)
    assert raised.value.batches == [at // 2]
    assert max(accepted(control).values()) == 1
    assert set(CIDS) - set(accepted(control)) <= set(BATCHES[at // 2])
    assert BATCHES[at // 2] not in sent(control, dead)


@pytest.mark.parametrize(("at", "written"), MOMENTS)
def test_who_wants_so_has_the_caught_batch_submitted_again(
    at: int, written: bool, run: Run, control: SandboxControl
) -> None:
    run.store = DyingStore(at, written)
    with pytest.raises(Killed):
        execute(run, on_ambiguous="resubmit")
    execute(run, on_ambiguous="resubmit")
    counts = accepted(control)
    assert set(counts) == set(CIDS)
    assert {item for item, count in counts.items() if count > 1} <= set(BATCHES[at // 2])


def test_a_batch_that_is_submitted_again_is_logged(run: Run, control: SandboxControl, logs: Logs) -> None:
    run.store = DyingStore(2, True)
    with pytest.raises(Killed):
        execute(run, on_ambiguous="resubmit")
    assert "submitted again" not in logs.text
    execute(run, on_ambiguous="resubmit")
    assert "Stream may have accepted batch 2 of 3, which is submitted again" in logs.text


def test_a_worker_may_die_again_and_again(run: Run, control: SandboxControl) -> None:
    run.store = DyingStore(2, False)
    for countdown in (1, 1, 99):
        with pytest.raises(Killed):
            execute(run)
        run.store.countdown = countdown
    with pytest.raises(StreamSubmissionFailed):
        execute(run)
    assert max(accepted(control).values()) == 1


def test_what_was_accepted_before_the_crash_is_waited_for(run: Run, control: SandboxControl) -> None:
    control.fate(pending=0, running=0)
    run.store = DyingStore(3, True)
    with pytest.raises(Killed):
        execute(run)
    task_ids = execute(run, wait_for_completion=True)
    assert task_ids == [task["stream_task_id"] for task in control.tasks()]
    assert len(task_ids) == 3
    assert len(run.xcoms["result"]) == 3


def test_a_refused_batch_is_submitted_by_the_retry(run: Run, control: SandboxControl) -> None:
    control.fault("api_error", operation="DeleteChannels", status=403, code=17, after=1, times=1)
    with pytest.raises(StreamApiException):
        execute(run)
    assert sent(control) == BATCHES[:2]
    assert len(run.xcoms["task_ids"]) == 1
    execute(run)
    assert sent(control) == [BATCHES[0], BATCHES[1], *BATCHES[1:]]
    assert accepted(control) == Counter(CIDS)
    assert len(run.xcoms["task_ids"]) == 3


def test_a_retry_says_how_far_it_was(run: Run, logs: Logs) -> None:
    execute(run)
    assert "Resuming" not in logs.text
    execute(run)
    assert "Resuming after 3 batches that were submitted before" in logs.text


def test_the_log_shows_the_progress(run: Run, logs: Logs) -> None:
    task_ids = execute(run)
    lines = [line for line in logs.lines if "items/s" in line]
    assert len(lines) == 3
    for number, (line, left) in enumerate(zip(lines, (150, 50, 0), strict=True), 1):
        assert f"DeleteChannels, batch {number} of 3: " in line
        assert f"Stream task {task_ids[number - 1]}" in line
        assert f"{left} left" in line


# -- retries of what failed --------------------------------------------------------------------------------

WAIT = {"wait_for_completion": True}


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_retry_submits_only_the_batches_that_stream_failed_at(
    deferrable: bool, run: Run, control: SandboxControl
) -> None:
    control.fate(pending=0, running=0)
    control.fate(pending=0, running=0, item=CIDS[150], end="failed", times=1)
    with pytest.raises(StreamTaskException):
        execute(run, **WAIT, deferrable=deferrable)
    first = run.xcoms["task_ids"]
    second = execute(run, **WAIT, deferrable=deferrable)
    assert sent(control) == [*BATCHES, BATCHES[1]]
    assert [a == b for a, b in zip(first, second, strict=True)] == [True, False, True]


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_retry_submits_only_the_items_that_failed_inside(
    deferrable: bool, run: Run, control: SandboxControl
) -> None:
    control.fate(pending=0, running=0)
    control.fate(
        pending=0, running=0, item=CIDS[150], failed_items={f"*:15{n}": "gone" for n in "09"}, times=1
    )
    arguments = {**WAIT, "deferrable": deferrable, "fail_on_partial": True}
    with pytest.raises(StreamTaskException, match="2 items failed"):
        execute(run, **arguments)
    assert len(execute(run, **arguments)) == 3
    assert sent(control) == [*BATCHES, [CIDS[150], CIDS[159]]]


OK, GONE = {"status": "ok"}, {"status": "error", "error": "gone"}


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("told", "again"),
    [
        (dict.fromkeys(CIDS[100:200], OK) | {CIDS[150]: GONE}, [CIDS[150]]),
        ({CIDS[150]: GONE}, BATCHES[1]),
        (dict.fromkeys(CIDS[100:200], OK), BATCHES[1]),
    ],
    ids=["every item is told of", "the others may not be done", "it does not say what failed"],
)
def test_a_retry_submits_of_a_failed_stream_task_what_may_not_be_done(
    told: dict[str, Any], again: list[str], deferrable: bool, run: Run, control: SandboxControl
) -> None:
    control.fate(pending=0, running=0)
    control.fate(pending=0, running=0, item=CIDS[150], end="failed", result=told, times=1)
    with pytest.raises(StreamTaskException):
        execute(run, **WAIT, deferrable=deferrable)
    execute(run, **WAIT, deferrable=deferrable)
    assert sent(control) == [*BATCHES, again]


RATE_LIMITED = {"pending": 0, "running": 0, "end": "failed", "error": None, "times": 1}


def test_a_retry_submits_what_failed_of_streams_own_rate_limit_after_a_pause(
    run: Run, control: SandboxControl, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "WINDOW", 1.5)
    monkeypatch.setattr(wait, "CONFIRMING_PAUSE", 0.1)
    control.fate(pending=0, running=0)
    control.fate(**RATE_LIMITED, item=CIDS[150], result={"description": "rate limit exceeded"})
    with pytest.raises(StreamTaskException, match="rate limit exceeded"):
        execute(run, **WAIT)
    failed_at = time.time()
    execute(run, **WAIT)
    assert sent(control) == [*BATCHES, BATCHES[1]]
    assert control.journal("DeleteChannels")[-1]["time"] >= failed_at + 1.4
    assert "Stream's own rate limit failed batch 2 of 3; pausing for 1." in logs.text


@pytest.mark.usefixtures("long_pauses_leave")
def test_a_long_pause_after_streams_own_rate_limit_holds_no_worker(
    run: Run, control: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "WINDOW", 2.0)
    monkeypatch.setattr(wait, "CONFIRMING_PAUSE", 0.1)
    control.fate(pending=0, running=0)
    control.fate(**RATE_LIMITED, result={"description": "rate limit exceeded"})
    with pytest.raises(StreamTaskException, match="rate limit exceeded"):
        execute(run, **WAIT)
    execute(run, **WAIT)
    assert [type(deferral.trigger) for deferral in run.deferrals] == [DateTimeTrigger]
    assert sent(control) == [*BATCHES, BATCHES[0]]


def test_a_retry_submits_only_the_items_that_failed_at_once(run: Run, control: SandboxControl) -> None:
    control.fate(failed_items={CIDS[150]: "gone"}, item=CIDS[150], times=1)
    arguments = {"hard_delete": False, "fail_on_partial": True}
    with pytest.raises(StreamTaskException, match="1 item failed"):
        execute(run, **arguments)
    assert execute(run, **arguments) == run.xcoms["task_ids"]
    assert sent(control) == [*BATCHES, [CIDS[150]]]


def test_items_that_failed_inside_are_left_alone_where_that_is_no_failure(
    run: Run, control: SandboxControl
) -> None:
    control.fate(pending=0, running=0, failed_items={CIDS[150]: "gone"})
    execute(run, **WAIT)
    execute(run, **WAIT)
    assert sent(control) == BATCHES
    assert run.xcoms["failed_items"] == {CIDS[150]: "gone"}


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_retry_after_a_wait_without_answers_goes_on_waiting(
    deferrable: bool, run: Run, control: SandboxControl
) -> None:
    control.fault("api_error", operation="GetTask", status=403, code=17, times=1)
    control.fate(pending=0, running=0)
    with pytest.raises(StreamApiException):
        execute(run, **WAIT, deferrable=deferrable)
    task_ids = run.xcoms["task_ids"]
    assert execute(run, **WAIT, deferrable=deferrable) == task_ids
    assert sent(control) == BATCHES


def test_an_operation_without_items_is_submitted_once_too(run: Run, control: SandboxControl) -> None:
    def hide() -> StreamChannelBatchUpdateOperator:
        return StreamChannelBatchUpdateOperator(
            task_id="hide", operation="hide", filter={"types": {"$eq": "messaging"}}
        )

    assert run.execute(hide) == run.execute(hide)
    assert len(control.journal("ChannelBatchUpdate")) == 1


# -- clearing, changed items -------------------------------------------------------------------------------


def test_a_cleared_airflow_task_starts_over(run: Run, control: SandboxControl) -> None:
    first = execute(run)
    run.ti.try_number, run.ti.max_tries = 2, 1  # what clearing does
    second = execute(run)
    assert sent(control) == BATCHES * 2
    assert set(first).isdisjoint(second)


@pytest.mark.parametrize(
    ("changed", "batch"),
    [
        (CIDS[1:], 0),
        (CIDS[::-1], 0),
        ([*CIDS[:150], *CIDS[151:]], 1),
        ([*CIDS, "messaging:x"], 2),
        (CIDS[:200], 2),
    ],
)
def test_a_retry_with_other_items_is_refused_and_sends_nothing(
    changed: list[str], batch: int, run: Run, control: SandboxControl
) -> None:
    execute(run)
    before = last(control)
    with pytest.raises(StreamSubmissionFailed, match="Clear the Airflow task to start over") as raised:
        execute(run, changed)
    assert isinstance(raised.value, AirflowFailException)
    assert raised.value.batches == [batch]
    assert sent(control, before) == []


# -- no answer ---------------------------------------------------------------------------------------------

AMBIGUOUS: list[tuple[str, dict[str, Any]]] = [
    ("reset_after", {}),
    ("unavailable", {"taken": True}),
    ("unavailable", {"taken": False}),
    ("broken_json", {}),
    ("truncated", {}),
]


@pytest.mark.parametrize(("kind", "options"), AMBIGUOUS)
def test_a_batch_without_an_answer_is_named_and_set_aside(
    kind: str, options: dict[str, Any], run: Run, control: SandboxControl
) -> None:
    control.fault(kind, operation="DeleteChannels", after=1, times=1, **options)
    with pytest.raises(StreamException) as raised:
        execute(run)
    # Airflow retries this one, and the retry submits the rest.
    assert not isinstance(raised.value, AirflowFailException)
    assert "batch 2 of 3, 100 items from 'messaging:100' to 'messaging:199'" in str(raised.value)
    assert "may or may not have taken" in str(raised.value)
    with pytest.raises(StreamSubmissionFailed, match=r"batch 2 \(items 101 to 200\)") as failed:
        execute(run)
    assert isinstance(failed.value, AirflowFailException)
    assert failed.value.batches == [1]
    assert sent(control) == BATCHES
    assert len(run.xcoms["task_ids"]) == 2


def test_the_last_batch_is_named_by_the_items_that_it_has(run: Run, control: SandboxControl) -> None:
    control.fault("reset_after", operation="DeleteChannels", after=2, times=1)
    with pytest.raises(StreamTransportException):
        execute(run)
    with pytest.raises(StreamSubmissionFailed, match=r"batch 3 \(items 201 to 250\)"):
        execute(run)


def test_an_error_names_ids_and_nothing_that_may_say_more(run: Run, control: SandboxControl) -> None:
    control.fault("reset_after", times=2, operation="ImportBlockList")
    control.fault("reset_after", times=2, operation="ChannelBatchUpdate")
    words = StreamImportBlockListOperator(task_id="words", blocklist_id="a", items=["joe.doe@example.com"])
    update = StreamChannelBatchUpdateOperator(
        task_id="update",
        operation="updateData",
        filter={"types": {"$eq": "messaging"}},
        data={"custom": {"mail": "joe.doe@example.com"}},
    )
    for operator, named in ((words, "It was batch 1 of 1."), (update, "ChannelBatchUpdate")):
        with pytest.raises(StreamTransportException, match=named) as raised:
            Run().execute(lambda operator=operator: operator)  # type: ignore[misc]
        assert "joe.doe" not in str(raised.value)


def test_the_rest_is_waited_for_before_the_verdict(run: Run, control: SandboxControl) -> None:
    control.fate(pending=0, running=0)
    control.fault("reset_after", operation="DeleteChannels", after=1, times=1)
    with pytest.raises(StreamTransportException):
        execute(run, **WAIT)
    with pytest.raises(StreamSubmissionFailed):
        execute(run, **WAIT)
    assert len(run.xcoms["result"]) == 2


@pytest.mark.parametrize(
    ("fate", "options", "failure"),
    [
        ({"end": "failed"}, {}, StreamTaskException),
        ({"failed_items": {CIDS[0]: "it is frozen"}}, {"fail_on_partial": True}, StreamTaskException),
        ({"end": "never"}, {"wait_timeout": 0.1}, AirflowSensorTimeout),
    ],
)
def test_no_other_failure_hides_an_uncertain_batch(
    fate: dict[str, Any],
    options: dict[str, Any],
    failure: type[Exception],
    run: Run,
    control: SandboxControl,
) -> None:
    control.fate(pending=0, running=0)
    control.fate(pending=0, running=0, item=CIDS[0], **fate)
    control.fault("reset_after", operation="DeleteChannels", after=1, times=1)
    with pytest.raises(StreamTransportException):
        execute(run, **WAIT, **options)
    with pytest.raises(failure, match=r"batch 2 \(items 101 to 200\)"):
        execute(run, **WAIT, **options)


@pytest.mark.parametrize(("kind", "options"), AMBIGUOUS)
def test_who_wants_so_has_a_batch_without_an_answer_sent_again_at_once(
    kind: str, options: dict[str, Any], run: Run, control: SandboxControl
) -> None:
    control.fault(kind, operation="DeleteChannels", after=1, times=1, **options)
    assert len(execute(run, on_ambiguous="resubmit")) == 3
    assert sent(control) == [BATCHES[0], BATCHES[1], *BATCHES[1:]]


def test_no_connection_is_not_ambiguous(
    run: Run, control: SandboxControl, set_connection: SetConnection
) -> None:
    set_connection(host="http://127.0.0.1:9")
    with pytest.raises(StreamTransportException) as raised:
        execute(run)
    assert "may or may not" not in str(raised.value)
    set_connection()
    execute(run)
    assert accepted(control) == Counter(CIDS)


# -- without a store ---------------------------------------------------------------------------------------


def test_without_a_store_there_is_a_warning(connection: None, logs: Logs) -> None:
    execute(WithoutStore())
    assert "a retry after a crash may submit again" in logs.text


def test_without_a_store_no_retry_follows_a_batch_without_an_answer(
    connection: None, control: SandboxControl
) -> None:
    run = WithoutStore()
    control.fault("reset_after", operation="DeleteChannels", after=1, times=1)
    with pytest.raises(StreamSubmissionFailed, match="batch 2 of 3") as raised:
        execute(run)
    assert isinstance(raised.value, AirflowFailException)
    assert raised.value.batches == [1]
    assert len(run.xcoms["task_ids"]) == 1


def test_without_a_store_who_wants_so_has_it_sent_again(connection: None, control: SandboxControl) -> None:
    control.fault("reset_after", operation="DeleteChannels", after=1, times=1)
    assert len(execute(WithoutStore(), on_ambiguous="resubmit")) == 3


# -- the store ---------------------------------------------------------------------------------------------


def test_the_ledger_lies_in_the_store_in_pieces(run: Run, control: SandboxControl) -> None:
    control.budget(limit=None)
    user_ids = [f"user-{number}" for number in range(25 * (2 * CHUNK + 3))]

    def export(user_ids: list[str] = user_ids) -> StreamExportUsersOperator:
        return StreamExportUsersOperator(task_id="export", user_ids=user_ids)

    task_ids = run.execute(export)
    assert [len(value) for value in run.store.values.values()] == [CHUNK, CHUNK, 3]
    assert run.execute(export) == task_ids
    assert len(control.journal("ExportUsers")) == 2 * CHUNK + 3


@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_pieces_of_the_ledger_have_no_seam(size: int, run: Run, control: SandboxControl) -> None:
    control.budget(limit=None)
    control.fault("api_error", operation="ExportUsers", status=403, code=17, after=size, times=1)
    user_ids = [f"user-{number}" for number in range(25 * (size + 1))]

    def export() -> StreamExportUsersOperator:
        return StreamExportUsersOperator(task_id="export", user_ids=user_ids)

    with pytest.raises(StreamApiException):
        run.execute(export)
    run.execute(export)
    taken = [
        item for request in control.journal("ExportUsers") if request["taken"] for item in request["items"]
    ]
    assert taken == user_ids


def test_a_note_is_written_before_the_request_and_after_the_answer(
    run: Run, control: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def noting(key: str, value: Any, **_: Any) -> None:
        seen.append((len(control.journal("DeleteChannels")), [entry["state"] for entry in value]))

    monkeypatch.setattr(run.store, "set", noting)
    execute(run, CIDS[:200])
    assert seen == [
        (0, ["sending"]),
        (1, ["accepted"]),
        (1, ["accepted", "sending"]),
        (2, ["accepted", "accepted"]),
    ]


# -- the budget --------------------------------------------------------------------------------------------


def per_window(control: SandboxControl, window: float) -> list[int]:
    counts = Counter(request["time"] // window for request in control.journal("DeleteChannels"))
    return [counts[each] for each in sorted(counts)]


@pytest.fixture
def long_pauses_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause of seconds counts as long, so that tests need not wait for a longer one."""
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")
    monkeypatch.setenv("AIRFLOW__STREAMTASKS__SCHEDULER_LAG", "0.2")


@pytest.mark.parametrize(("share", "ours"), [(0.5, 5), (1, 10)])
def test_no_window_sees_more_than_our_share_and_nothing_is_refused(
    share: float, ours: int, run: Run, control: SandboxControl, set_connection: SetConnection
) -> None:
    set_connection(extra={"rate_limit_share": share})
    control.budget("DeleteChannels", limit=10, window=2)
    cids = [f"messaging:{number}" for number in range(100 * 2 * ours + 1)]
    execute(run, cids)
    assert set(statuses(control)) == {201}
    assert max(per_window(control, 2)) <= ours
    assert len(per_window(control, 2)) <= 4
    assert run.deferrals == []


def test_what_others_used_of_the_window_counts(
    start_task: StartTask, run: Run, control: SandboxControl, set_connection: SetConnection
) -> None:
    set_connection(extra={"rate_limit_share": 1})
    control.budget("DeleteChannels", limit=3, window=3)
    time.sleep(3 - time.time() % 3)
    for _ in range(3):
        start_task()
    execute(run)
    assert set(statuses(control)) == {201}


@pytest.mark.usefixtures("long_pauses_leave")
def test_a_long_pause_is_spent_in_the_triggerer(
    run: Run, control: SandboxControl, set_connection: SetConnection, logs: Logs
) -> None:
    set_connection(extra={"rate_limit_share": 1})
    control.budget("DeleteChannels", limit=1, window=2)
    task_ids = execute(run)
    assert 2 <= len(run.deferrals) <= 3
    for deferral in run.deferrals:
        assert isinstance(deferral.trigger, DateTimeTrigger)
        assert deferral.method_name == "go_on"
        assert deferral.timeout is None
    assert set(statuses(control)) == {201}
    assert sent(control) == BATCHES
    assert run.xcoms["task_ids"] == task_ids
    assert "Our share of this minute's budget is used up; pausing for" in logs.text


@pytest.mark.usefixtures("long_pauses_leave")
def test_behind_a_long_pause_it_still_waits_if_asked_to(
    run: Run, control: SandboxControl, set_connection: SetConnection
) -> None:
    set_connection(extra={"rate_limit_share": 1})
    control.fate(pending=0, running=0)
    # Of two in a window, the three batches would all pass where a window ends between them.
    control.budget("DeleteChannels", limit=1, window=3)
    execute(run, **WAIT, deferrable=True)
    assert [deferral.method_name for deferral in run.deferrals][-2:] == ["go_on", "execute_complete"]
    assert len(run.xcoms["result"]) == 3


@pytest.mark.usefixtures("long_pauses_leave")
def test_without_a_store_the_worker_is_kept_because_leaving_would_forget(
    connection: None, control: SandboxControl, set_connection: SetConnection
) -> None:
    control.budget("DeleteChannels", limit=2, window=2)
    delete().execute(WithoutStore().context)  # leaving would raise
    assert sent(control) == BATCHES


def test_a_429_that_others_provoked_repeats_the_same_batch(run: Run, control: SandboxControl) -> None:
    control.fault("rate_limit", operation="DeleteChannels", after=1, times=1, retry_after=1)
    execute(run)
    assert statuses(control) == [201, 429, 201, 201]
    assert sent(control) == [BATCHES[0], BATCHES[1], *BATCHES[1:]]
    refused, repeated = control.journal("DeleteChannels")[1:3]
    assert repeated["time"] - refused["time"] >= 1
    assert accepted(control) == Counter(CIDS)


@pytest.mark.usefixtures("long_pauses_leave")
def test_a_429_is_waited_out_in_the_triggerer_too(run: Run, control: SandboxControl) -> None:
    control.fault("rate_limit", operation="DeleteChannels", after=1, times=1, retry_after=2)
    execute(run)
    assert [deferral.method_name for deferral in run.deferrals] == ["go_on"]
    assert sent(control) == [BATCHES[0], BATCHES[1], *BATCHES[1:]]
    assert accepted(control) == Counter(CIDS)


def test_one_429_after_another_makes_the_pauses_longer(run: Run, control: SandboxControl) -> None:
    """A refused request counts against the budget: hurrying would keep it used up for ever."""
    control.fault("rate_limit", operation="DeleteChannels", times=2, retry_after=0)
    execute(run, CIDS[:1])
    times = [request["time"] for request in control.journal("DeleteChannels")]
    assert times[1] - times[0] >= 1
    assert times[2] - times[1] >= 2


def test_where_stream_names_no_budget_it_is_known_from_the_first_answer_on(
    run: Run, control: SandboxControl, set_connection: SetConnection, logs: Logs
) -> None:
    set_connection(extra={"rate_limit_share": 1})
    control.fault("api_error", operation="GetRateLimits", status=403, code=17)
    control.budget("DeleteChannels", limit=1, window=2)
    execute(run)
    assert "Stream does not say what is left of the budget" in logs.text
    assert set(statuses(control)) == {201}
    assert max(per_window(control, 2)) == 1


def test_a_spent_budget_of_the_question_for_the_budget_holds_nothing_up(
    run: Run, control: SandboxControl, logs: Logs
) -> None:
    """Stream limits GetRateLimits, too. The answer to the submission says as much."""
    control.fault("rate_limit", operation="GetRateLimits", retry_after=30)
    started = time.monotonic()
    execute(run, CIDS[:1])
    assert time.monotonic() - started < 10
    assert len(control.journal("GetRateLimits")) == 1
    assert statuses(control) == [201]
    assert "Stream does not say what is left of the budget" in logs.text


def test_a_dry_run_rides_out_what_limits_its_question(run: Run, control: SandboxControl) -> None:
    control.fault("rate_limit", operation="GetRateLimits", times=1, retry_after=1)
    execute(run, CIDS[:1], dry_run=True)
    assert [each["status"] for each in control.journal("GetRateLimits")] == [429, 200]


def test_an_endpoint_without_a_limit_knows_no_pause(run: Run, control: SandboxControl) -> None:
    control.budget("DeleteChannels", limit=None)
    execute(run, [f"messaging:{number}" for number in range(100 * 70)])
    assert statuses(control) == [201] * 70
