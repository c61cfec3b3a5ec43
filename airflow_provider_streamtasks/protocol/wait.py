"""
Waiting for Stream tasks: when to poll next, and what each answer means for the wait.

A :class:`Wait` takes in what came and when; it says what to ask next and how the wait ended. It holds no
clock and sends nothing, so the hook's loop, the sensor's pokes and the trigger decide alike by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from math import frexp, inf
from zlib import crc32

from airflow_provider_streamtasks.exceptions import StreamException, StreamTaskException, StreamTaskTimeout
from airflow_provider_streamtasks.protocol.errors import asked_pause, is_passing, is_unknown_task
from airflow_provider_streamtasks.protocol.failures import describe_failure, failure, in_words, timed_out
from airflow_provider_streamtasks.protocol.poll_schedule import usual_interval
from airflow_provider_streamtasks.protocol.tasks import STREAM_TASKS, Answer, Pollable, StreamTask

UNKNOWN_TASK_GRACE = 30.0
"""Seconds after a wait began in which an unknown Stream task is waited for: Stream reads its writes late."""

FIRST_MILESTONE = 100.0
"""Seconds of age at which a wait is first worth a line in the log; then at every tenfold."""

ERRORS_ONLY_LIMIT = 5 * 60.0
"""Seconds of nothing but errors after which a wait gives up."""

CONFIRMING_POLLS = 2
"""Polls that confirm a failure that may pass (:attr:`~.tasks.StreamTask.may_pass`) before it counts."""

CONFIRMING_PAUSE = 5.0
"""Seconds between two of them, whatever the poll interval is."""


class Outcome(str, Enum):
    """How a wait ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    ERROR = "error"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class WaitTerms:
    """
    For how long to wait, and how often to poll.

    :param timeout: seconds to wait. Each Stream task is polled once in any case.
    :param poll_interval: seconds between two polls of a Stream task at least
    :param max_poll_interval: seconds between two polls at most, unless ``poll_interval`` is longer or Stream
        asks for more
    :param keep_on_errors: never give up because of errors (a sensor's ``silent_fail``)
    """

    timeout: float
    poll_interval: float
    max_poll_interval: float
    keep_on_errors: bool = False

    def delay(self, age: float, interval: Callable[[float], float] = usual_interval) -> float:
        """
        Return the seconds until the next poll of what has been waited for ``age`` seconds.

        :param interval: age -> seconds that the polls should be apart
        """
        return max(self.poll_interval, min(self.max_poll_interval, interval(age)))

    def moment(self, delay: float, part: float, now: float) -> float:
        """
        Return the time of a poll that is due in about ``delay`` seconds: up to a tenth sooner or later, so
        that not all go out in the same moment, and never later than allowed.

        It is one of a grid of moments, a sixteenth of the delay apart or less, that all share that are polled
        about as often: what goes out together costs far less than what goes out alone.

        :param part: where it lies between the soonest and the latest, from 0 to 1
        """
        apart = 2.0 ** (frexp(delay)[1] - 5)
        latest = min(1.1 * delay, max(self.poll_interval, self.max_poll_interval))
        soonest = min(0.9 * delay + apart, latest)
        due = now + soonest + part * (latest - soonest)
        return due - due % apart

    def delay_after_errors(self, count: int, age: float) -> float:
        """Return the seconds until the next poll after ``count`` errors in a row."""
        return max(self.delay(age), min(self.max_poll_interval, self.poll_interval * 2.0 ** min(count, 30)))


class Wait:
    """
    The wait for one or more Stream tasks, or for other work at Stream that is polled.

    It is over when every Stream task is finished, or the deadline has passed, or one poll met an error that
    will not pass. A failed Stream task does not end the wait for the others: all failures are reported
    together. A failure that may pass is confirmed by further polls before it counts; where the
    deadline comes first, the poll at the deadline decides.

    :param task_ids: the Stream tasks; one that stands there twice is polled once
    :param terms: for how long to wait, and how often to poll
    :param started_at: Unix time at which the wait began, maybe in another process
    :param pollable: what they are, where they are not Stream tasks proper
    :param errors_since: Unix time since when there were only errors, where another process has seen them
    :ivar polls: answers taken in by this process, errors included
    :ivar last_word: what this process heard last of a Stream task that is not finished: its status, and the
        Unix time of that answer
    """

    __slots__ = (
        "_closed",
        "_doubts",
        "_due",
        "_errors",
        "_milestone",
        "_strange_statuses",
        "_unanswered",
        "error",
        "errors_since",
        "interval",
        "last_word",
        "pollable",
        "polls",
        "started_at",
        "task_ids",
        "terms",
    )

    def __init__(
        self,
        task_ids: Iterable[str],
        terms: WaitTerms,
        started_at: float,
        pollable: Pollable = STREAM_TASKS,
        *,
        errors_since: float | None = None,
    ) -> None:
        self.task_ids = tuple(task_ids)
        self.terms = terms
        self.started_at = started_at
        self.pollable = pollable
        self.errors_since = errors_since
        self.error: StreamException | None = None
        self.interval: Callable[[float], float] = usual_interval
        self.polls = 0
        self.last_word: tuple[str, float] | None = None
        # Strings and numbers in plain containers, which the garbage collector need not walk through.
        # Stream tasks that are not known to be finished -> Unix time of the next poll.
        self._due = dict.fromkeys(self.task_ids, started_at)
        self._errors: dict[str, int] = {}  # errors in a row, of those that have any
        self._unanswered: dict[str, str] = {}  # of those whose last poll brought no status: why not
        # Failures that may pass -> Unix time of the first poll that saw them, and polls in a row that did.
        self._doubts: dict[str, tuple[float, int]] = {}
        self._milestone = FIRST_MILESTONE
        self._closed: dict[str, StreamTask | None] = {}  # finished, or given up after the deadline: None
        self._strange_statuses: tuple[str, ...] = ()

    @property
    def deadline(self) -> float:
        """Unix time after which no Stream task is waited for, in whichever process."""
        return self.started_at + self.terms.timeout

    @property
    def over(self) -> bool:
        """Whether there is nothing left to wait for."""
        return not self._due or self.error is not None

    @property
    def outcome(self) -> Outcome | None:
        """How the wait ended; ``None`` while it goes on."""
        if not self.over:
            return None
        if self.error is not None:
            return Outcome.ERROR
        if any(task.failed for task in self._closed.values() if task):
            return Outcome.FAILED
        return Outcome.TIMED_OUT if None in self._closed.values() else Outcome.COMPLETED

    @property
    def open_task_ids(self) -> list[str]:
        """The Stream tasks that are not known to be finished."""
        return [*self._due, *(task_id for task_id, task in self._closed.items() if task is None)]

    def finished_task(self, task_id: str) -> StreamTask | None:
        """Return a Stream task if it is known to be finished."""
        return self._closed.get(task_id)

    @property
    def last_error(self) -> str:
        """Why the last poll of a Stream task that is not finished brought no status; empty where all did."""
        return next(iter(self._unanswered.values()), "")

    @property
    def confirming(self) -> bool:
        """Whether a failure is being confirmed: the next poll of it is due within seconds."""
        return bool(self._doubts) and not self.over

    def due_at(self, task_id: str) -> float:
        """Return the Unix time of the next poll of a Stream task; infinite if there is none to come."""
        return self._due.get(task_id, inf) if self.error is None else inf

    @property
    def next_due(self) -> float:
        """The Unix time of the next poll of any; infinite if there is none to come."""
        return inf if self.over else min(self._due.values())

    def expire(self, now: float, *, but_unpolled: bool = False) -> list[str]:
        """
        Give up what is not finished although the deadline has passed, without a last poll.

        :param but_unpolled: leave what this process has not polled yet
        :return: what was given up
        """
        if now < self.deadline:
            return []
        given_up = [id_ for id_, due in self._due.items() if not (but_unpolled and due == self.started_at)]
        for task_id in given_up:
            del self._due[task_id]
            self._closed[task_id] = None
            self._unanswered.setdefault(task_id, "it could not be made in time")
        return given_up

    def observe(self, task_id: str, answer: Answer, now: float) -> str | None:
        """
        Take in what a poll of a Stream task brought.

        :param answer: the Stream task, or why there is none
        :param now: Unix time of the answer
        :return: what deserves a line in the log, or ``None``
        """
        if task_id not in self._due:
            return None
        self.polls += 1
        if isinstance(answer, StreamTask):
            self._unanswered.pop(task_id, None)
            return self._after_status(task_id, answer, now)
        self._unanswered[task_id] = answer.describe()
        self._doubts.pop(task_id, None)
        if is_unknown_task(answer) and now - self.started_at < UNKNOWN_TASK_GRACE:
            self._poll_again(task_id, self.terms.delay(now - self.started_at, self.interval), now)
        elif is_passing(answer) or self.terms.keep_on_errors:
            return self._after_error(task_id, answer, now)
        else:
            self.error = answer
        return None

    def beginning(self, now: float) -> str:
        """Return the line with which the log of a wait begins, in this process."""
        left = round(max(0.0, self.deadline - now), 1)
        return (
            f"Waiting up to {left:.10g} s for Stream to finish {in_words(self.task_ids, self.pollable.noun)}"
        )

    def milestone(self, now: float) -> str | None:
        """Return a line for the log when the wait has become ten times as old as at the last one."""
        age = now - self.started_at
        if self.over or age < self._milestone:
            return None
        while self._milestone <= age:
            self._milestone *= 10.0
        what = in_words(self.open_task_ids, self.pollable.noun)
        return f"Waiting since {age:.0f} s for Stream to finish {what}"

    def result(self) -> list[StreamTask]:
        """
        Return the Stream tasks in the order in which they were given, each completed.

        :raises StreamTaskException: if one failed
        :raises StreamTaskTimeout: if the deadline passed
        :raises StreamException: the error that ended the wait
        """
        return self.ended().completed()

    def ended(self) -> Ended:
        """
        Return how the Stream tasks stood when the wait ended.

        :raises StreamException: the error that ended the wait
        """
        if self.error is not None:
            raise self.error
        finished = [task for task_id in self.task_ids if (task := self.finished_task(task_id))]
        return Ended(finished, self.open_task_ids, self.terms.timeout, self.pollable.noun, self.last_error)

    def _after_status(self, task_id: str, task: StreamTask, now: float) -> str | None:
        noun = self.pollable.noun
        self.errors_since = None
        self._errors.pop(task_id, None)
        if task.may_pass and not self._is_confirmed(task_id, now):
            if self._doubts[task_id][1] > 1:
                return None
            return f"{describe_failure(task, noun)}. That may pass: it counts once further polls say the same"
        self._doubts.pop(task_id, None)
        if task.finished:
            del self._due[task_id]
            self._closed[task_id] = task
            return describe_failure(task, noun) if task.failed else None
        self.last_word = (task.status, now)
        self._poll_again(task_id, self.terms.delay(now - self.started_at, self.interval), now)
        remark = task.remark
        if not remark or remark in self._strange_statuses:
            return None
        self._strange_statuses += (remark,)
        return f"{noun.capitalize()} {task_id} {remark}: waiting on"

    def _is_confirmed(self, task_id: str, now: float) -> bool:
        """Count a poll that saw a failure which may pass; return whether it counts now, or poll again."""
        first, polls = self._doubts.get(task_id, (now, 0))
        self._doubts[task_id] = first, polls + 1
        confirmed_at = first + CONFIRMING_POLLS * CONFIRMING_PAUSE
        if now >= self.deadline or (polls >= CONFIRMING_POLLS and now >= confirmed_at):
            return True
        due = now + CONFIRMING_PAUSE if polls < CONFIRMING_POLLS else confirmed_at
        self._due[task_id] = min(due, self.deadline)
        return False

    def _after_error(self, task_id: str, error: StreamException, now: float) -> str | None:
        if self.errors_since is None:
            self.errors_since = now
        count = self._errors[task_id] = self._errors.get(task_id, 0) + 1
        if now - self.errors_since >= ERRORS_ONLY_LIMIT and not self.terms.keep_on_errors:
            self.error = error
            return None
        delay = self.terms.delay_after_errors(count, now - self.started_at)
        self._poll_again(task_id, delay, now, asked_pause(error) or 0.0)
        return f"Polling {self.pollable.noun} {task_id} failed, waiting on: {error}" if count == 1 else None

    def _poll_again(self, task_id: str, delay: float, now: float, pause: float = 0.0) -> None:
        if now >= self.deadline:
            del self._due[task_id]
            self._closed[task_id] = None
            return
        part = self._part(task_id)
        due = self.terms.moment(delay, part, now)
        if pause:
            # Polls that were sent away come back spread out, not all in the same moment.
            due = max(due, now + pause + part * min(10.0, pause))
        self._due[task_id] = min(due, self.deadline)

    def _part(self, task_id: str) -> float:
        # From 0 to 1, different for each Stream task and poll, and repeatable in tests. Multiplied, because
        # the CRCs of similar ids differ in a regular way.
        return crc32(f"{task_id} {self.polls}".encode()) * 0x9E3779B1 % 2**32 / 2**32


@dataclass(frozen=True, slots=True)
class Ended:
    """
    How Stream tasks stood when the wait for them ended.

    :param finished: those that are completed or failed, in the order in which they were given
    :param open_task_ids: those that were not finished
    :param timeout: seconds that they were waited for
    :param noun: what one of them is called in messages
    :param last_error: why the last poll of one of those brought no status; empty where all did
    """

    finished: Sequence[StreamTask]
    open_task_ids: Sequence[str]
    timeout: float
    noun: str = STREAM_TASKS.noun
    last_error: str = ""

    @property
    def failure(self) -> StreamTaskException | StreamTaskTimeout | None:
        """Why the wait is no success: one failed, or else one was not finished; ``None`` if all completed."""
        if failed := {task.task_id: task for task in self.finished if task.failed}:
            return failure(list(failed.values()), self.open_task_ids, self.noun)
        if not self.open_task_ids:
            return None
        return timed_out(self.open_task_ids, self.timeout, self.noun, self.last_error)

    def completed(self) -> list[StreamTask]:
        """
        Return the Stream tasks, if all are completed.

        :raises StreamTaskException: if one failed
        :raises StreamTaskTimeout: if one was not finished
        """
        if error := self.failure:
            raise error
        return list(self.finished)
