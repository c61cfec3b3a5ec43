"""The alert text says what happened, whichever callback Airflow runs: a success is no failure."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import structlog
from airflow.callbacks.callback_requests import DagCallbackRequest, TaskCallbackRequest
from airflow.dag_processing import processor
from airflow.sdk import DAG, TaskInstanceState

from airflow_provider_streamtasks.exceptions import (
    StreamApiException,
    StreamException,
    StreamTransportException,
)
from airflow_provider_streamtasks.notifications.alerts import alert_text
from airflow_provider_streamtasks.notifications.chat import StreamChatNotifier
from airflow_provider_streamtasks.notifications.context import Occasion, occasion
from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.sandbox import SandboxControl
from tests.airflow_names import NO_PARTITION
from tests.notifications.conftest import LOG_URL, FailedTaskInstance

ENDED = datetime(2026, 1, 7, 1, 5, tzinfo=timezone.utc)
SUFFERED = StreamApiException("no", status_code=401, code=43, hint="Check the API secret.")


def delete(**arguments: Any) -> StreamDeleteChannelsOperator:
    return StreamDeleteChannelsOperator(task_id="delete", cids=["messaging:a"], **arguments)


def context(state: str | None, error: BaseException | None = None, **arguments: Any) -> Any:
    """Return the context that the process of an Airflow task passes to its callbacks."""
    ti = FailedTaskInstance("delete")
    ti.state = TaskInstanceState(state) if state else None
    ti.end_date = None if state == "running" else ENDED
    growth = arguments.pop("retry_exponential_backoff", False)
    task = delete(**arguments)
    task.retry_exponential_backoff = growth  # to its __init__, Airflow 3.1 takes only a bool
    made: dict[str, Any] = {"ti": ti, "task": task, "run_id": ti.run_id}
    # Airflow sets it when the Airflow task has ended, to None where nothing was raised.
    return made if state == "running" else {**made, "exception": error}


def to_do(context: Any) -> str:
    return alert_text(context).splitlines()[3].removeprefix("What to do: ").strip()


# -- of an Airflow task ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "said", "advice"),
    [
        ("running", "began", "Nothing."),
        ("success", "succeeded", "Nothing."),
        ("skipped", "was skipped", "Nothing, unless it should have run: the log says why it was skipped."),
    ],
)
def test_what_is_no_failure_is_never_called_one(state: str, said: str, advice: str) -> None:
    assert alert_text(context(state)).splitlines() == [
        f"nightly.delete {said} (run night-7, try 2 of 3)",
        "For: cids messaging:a",
        "Since: this try began 2026-01-07 01:02:03 UTC",
        f"What to do: {advice}",
        f"Log: {LOG_URL}",
    ]


def test_a_failure_that_is_tried_again_says_which_submission_may_have_been_taken() -> None:
    lost = StreamTransportException("reset", may_be_taken=True, batch="batch 2 of 3")
    advice = "It was batch 2 of 3. Stream may or may not have taken this submission"
    assert advice in to_do(context("up_for_retry", lost))


def test_a_failure_that_is_tried_again_says_so_and_when() -> None:
    retried = context("up_for_retry", SUFFERED, retry_delay=timedelta(minutes=10))
    assert alert_text(retried).splitlines()[0] == (
        "nightly.delete failed and will be tried again (run night-7, try 2 of 3): "
        "DeleteChannels: Stream answered 401, code 43: no"
    )
    assert to_do(retried) == (
        "Wait: Airflow tries it again, not before 2026-01-07 01:15:00 UTC. Check the API secret."
    )


@pytest.mark.parametrize(
    ("arguments", "earliest"),
    [
        ({"retry_delay": timedelta(seconds=30)}, "01:05:30"),
        # The second pause of three, as Airflow's scheduler counts: the delay times the growth.
        ({"retry_delay": timedelta(minutes=1), "retry_exponential_backoff": 3}, "01:08:00"),
        ({"retry_delay": timedelta(minutes=1), "retry_exponential_backoff": True}, "01:07:00"),
        (
            {
                "retry_delay": timedelta(minutes=5),
                "retry_exponential_backoff": 3,
                "max_retry_delay": timedelta(minutes=7),
            },
            "01:12:00",
        ),
    ],
)
def test_the_time_of_the_next_try_is_the_earliest_that_airflow_may_choose(
    arguments: dict[str, Any], earliest: str
) -> None:
    retried = context("up_for_retry", SUFFERED, **arguments)
    assert f"not before 2026-01-07 {earliest} UTC" in to_do(retried)


def test_a_growth_without_bounds_ends_at_airflows_longest_pause() -> None:
    retried = context("up_for_retry", SUFFERED, retry_exponential_backoff=10)
    retried["ti"].try_number = 10_000
    assert "not before 2026-01-08 01:05:00 UTC" in to_do(retried)


def test_what_a_retry_policy_decided_is_not_guessed() -> None:
    retried = context("up_for_retry", StreamException("it broke"))
    retried["task"].retry_policy = object()
    assert to_do(retried) == "Wait: Airflow tries it again."


def test_an_exception_that_a_user_passes_while_the_task_runs_is_a_failure() -> None:
    assert occasion({**context("running"), "exception": SUFFERED}) is Occasion.FAILED  # type: ignore[typeddict-item]


# -- in Airflow's DAG processor ----------------------------------------------------------------------------


class Seen:
    """Keeps the context that Airflow's DAG processor makes."""

    def __call__(self, context: Any) -> None:
        self.context = context


def ids(task_id: str, try_number: int) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "dag_id": "nightly",
        "task_id": task_id,
        "run_id": "night-7",
        "try_number": try_number,
        "dag_version_id": uuid4(),
        "map_index": -1,
    }


def dag_run(state: str) -> dict[str, Any]:
    moment = datetime(2026, 1, 7, tzinfo=timezone.utc)
    return {
        "dag_id": "nightly",
        "run_id": "night-7",
        "logical_date": None,
        "data_interval_start": None,
        "data_interval_end": None,
        "run_after": moment,
        "start_date": moment,
        "end_date": None,
        "run_type": "manual",
        "state": state,
        "conf": {},
        "consumed_asset_events": [],
        **NO_PARTITION,
    }


FILE: dict[str, Any] = {"filepath": "nightly.py", "bundle_name": "dags", "bundle_version": None}


def of_a_run(reason: str, *, failed: bool, with_context: bool = True) -> Any:
    """Return the context that Airflow passes to a callback of a DAG."""
    seen = Seen()
    with DAG("nightly", schedule=None, on_failure_callback=seen, on_success_callback=seen) as dag:
        delete()
    server = {"dag_run": dag_run("failed" if failed else "success"), "last_ti": ids("delete", 1)}
    request = DagCallbackRequest.model_validate(
        {
            **FILE,
            "dag_id": "nightly",
            "run_id": "night-7",
            "is_failure_callback": failed,
            "msg": reason,
            "context_from_server": server if with_context else None,
        }
    )
    bag: Any = SimpleNamespace(dags={"nightly": dag})
    processor._execute_dag_callbacks(bag, request, structlog.get_logger())
    return seen.context


def of_a_lost_task(
    kind: str | None, try_number: int = 1, callbacks: tuple[str, ...] = ("failure", "retry")
) -> Any:
    """Return the context that Airflow passes where the process of an Airflow task died."""
    seen = Seen()
    with DAG("nightly", schedule=None) as dag:
        delete(retries=1, **{f"on_{each}_callback": seen for each in callbacks})
    request = TaskCallbackRequest.model_validate(
        {
            **FILE,
            "ti": ids("delete", try_number),
            "task_callback_type": kind,
            "context_from_server": {
                "dag_run": dag_run("running"),
                "max_tries": 1,
                "variables": [],
                "connections": [],
                "xcom_keys_to_clear": [],
            },
        }
    )
    bag: Any = SimpleNamespace(dags={"nightly": dag})
    processor._execute_task_callbacks(bag, request, structlog.get_logger())
    return seen.context


@pytest.mark.parametrize("with_context", [True, False])
def test_a_run_that_succeeded_is_no_failure(with_context: bool) -> None:
    text = alert_text(of_a_run("success", failed=False, with_context=with_context))
    assert text.splitlines()[0] == "nightly succeeded (run night-7)"
    assert "What to do: Nothing.\n" in text


@pytest.mark.parametrize("reason", ["task_failure", "all_tasks_deadlocked", "timed_out"])
@pytest.mark.parametrize("with_context", [True, False])
def test_a_run_that_failed_says_why(reason: str, with_context: bool) -> None:
    text = alert_text(of_a_run(reason, failed=True, with_context=with_context))
    assert text.splitlines()[0] == f"nightly failed (run night-7): {reason}"
    assert "See which Airflow tasks of the run failed" in text


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        (lambda: of_a_lost_task("failed", try_number=2), "failed (run night-7, try 2 of 2)"),
        (lambda: of_a_lost_task("failed", callbacks=("failure",)), "failed (run night-7, try 1 of 2)"),
        (
            lambda: of_a_lost_task("up_for_retry", callbacks=("retry",)),
            "failed and will be tried again (run night-7, try 1 of 2)",
        ),
        # One that was stuck in the queue fails for good though tries are left, and Airflow does not say so.
        (lambda: of_a_lost_task(None), "failed, and may be tried again (run night-7, try 1 of 2)"),
        (lambda: of_a_lost_task("up_for_retry"), "failed, and may be tried again (run night-7, try 1 of 2)"),
    ],
)
def test_of_a_task_whose_process_died_it_says_what_can_be_known(lost: Any, said: str) -> None:
    text = alert_text(lost())
    assert text.startswith(f"nightly.delete {said}: Airflow does not tell the reason to this callback\n")


def test_nobody_is_told_to_clear_what_airflow_may_try_again_by_itself() -> None:
    assert to_do(of_a_lost_task(None)).startswith("See in Airflow whether it is tried again. If not: ")


# -- one event, one message --------------------------------------------------------------------------------


def posted(control: SandboxControl, channel: str, *contexts: Any, **arguments: Any) -> list[str]:
    for each in contexts:
        StreamChatNotifier(channel=channel, **arguments)(each)
    return [message["text"] for message in control.messages(channel)]


def later(context: Any) -> Any:
    """Return the context of the same event, as another process reads it, a moment later."""
    context["ti"].start_date += timedelta(seconds=1)
    context["ti"].end_date += timedelta(seconds=1)
    return context


def test_a_second_more_makes_no_second_message(channel: str, control: SandboxControl) -> None:
    events = [context("failed", SUFFERED), later(context("failed", SUFFERED))]
    assert alert_text(events[0]) != alert_text(events[1])
    assert len(posted(control, channel, *events)) == 1


def test_a_time_in_a_text_of_ones_own_makes_no_second_message(channel: str, control: SandboxControl) -> None:
    events = [context("failed", SUFFERED), later(context("failed", SUFFERED))]
    assert posted(control, channel, *events, text="failed at {{ ti.end_date }}") == [f"failed at {ENDED}"]


def test_a_failure_that_both_processes_report_is_one_message(channel: str, control: SandboxControl) -> None:
    by_the_task = context("failed", SUFFERED)
    by_the_scheduler = context(None)
    assert occasion(by_the_scheduler) is not occasion(by_the_task)
    assert len(posted(control, channel, by_the_task, by_the_scheduler)) == 1


def test_different_events_are_different_messages(channel: str, control: SandboxControl) -> None:
    first = context("failed", SUFFERED)
    others = [context("failed", SUFFERED) for _ in range(3)]
    others[0]["ti"].try_number = 3
    others[1]["ti"].map_index = 1
    others[2]["run_id"] = "night-8"
    others += [context(state) for state in ("running", "success", "skipped")]
    others += [of_a_run("task_failure", failed=True), of_a_run("success", failed=False)]
    assert len(posted(control, channel, first, *others)) == 1 + len(others)


def test_a_run_that_was_cleared_may_fail_once_more(channel: str, control: SandboxControl) -> None:
    first, second = (of_a_run("task_failure", failed=True) for _ in range(2))
    second["dag_run"].clear_number = 1
    assert len(posted(control, channel, first, first, second)) == 2


def test_two_texts_about_one_event_are_two_messages(channel: str, control: SandboxControl) -> None:
    event = context("failed", SUFFERED)
    posted(control, channel, event, text="{{ ti.task_id }} failed")
    assert len(posted(control, channel, event, text="Look at {{ ti.task_id }}")) == 2
