"""Comparing the three books: what the DAGs asked for, what Stream accepted, how Airflow ended."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

from tests.chaos.book import CAPS, Job
from tests.chaos.books import RUN_ID, Books, Down

GRACE = 30.0
"""Seconds by which a deadline may be exceeded, besides what was down meanwhile."""

NOTICED = 60.0
"""Seconds after the outage in which every wait must have noticed the end of its Stream task."""

BACKLOG = 1.0
"""Seconds after the outage in which Stream works off what was sent into its silence."""

_KEY = re.compile(r"\bj\d{3}-\d+\b")
_UNCERTAIN_BATCHES = re.compile(r"(\d+) \(items \d+ to \d+\)")
SENT_AGAIN = "is submitted again"
"""What the log says of a batch that Stream may have had before."""
TRYING_AGAIN = "Trying again in"

KILLED_OR_TURNED_AWAY = ("failed", "StreamApiException", "StreamTransportException")
"""How a try may end that has no retry left and meets the storm."""
SUBMISSION = "StreamSubmissionFailed"
TIMEOUT = "AirflowSensorTimeout"


@dataclass(frozen=True, slots=True)
class Sent:
    """
    A request of a submission, as the sandbox saw it.

    :param time: Unix time of its arrival
    :param taken: whether Stream did what it asked
    :param status: what Stream answered; ``None`` where there was no answer
    :param stream_task_id: the Stream task that it started
    """

    time: float
    taken: bool
    status: int | None
    stream_task_id: str | None


@dataclass
class Verdict:
    """What the comparison of the books found. All lists of faults are empty if all is well."""

    lost: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    unnoticed: list[str] = field(default_factory=list)
    stampede: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    numbers: dict[str, float] = field(default_factory=dict)

    @property
    def faults(self) -> dict[str, list[str]]:
        """What is wrong: kind -> cases; empty if nothing is."""
        kinds = ("lost", "repeated", "wrong", "stuck", "late", "unnoticed", "stampede", "leaks")
        return {kind: cases for kind in kinds if (cases := getattr(self, kind))}


def audit(books: Books) -> Verdict:
    """Compare the books."""
    return _Audit(books).verdict()


class _Audit:
    def __init__(self, books: Books) -> None:
        self.books = books
        self.sent = sent_by_key(books.journal)
        self.tries: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        for row in sorted(books.tries, key=lambda row: int(row["try_number"])):
            self.tries[row["dag_id"], row["task_id"]].append(row)
        self.found = Verdict(stuck=books.stuck, leaks=books.leaks)
        self.ambiguous = self.again = 0
        self.longest_late = 0.0

    def verdict(self) -> Verdict:
        for job in self.books.jobs:
            self._submissions(job)
            self._end(job, job.submitter)
            if job.waiter and job.waiter != job.submitter:
                self._end(job, job.waiter)
        self._after_the_outage()
        self.found.numbers = {**self.found.numbers, **self._numbers()}
        return self.found

    # -- asked for and accepted ------------------------------------------------------------------------

    def _submissions(self, job: Job) -> None:
        """Compare what a job asked for with what Stream accepted."""
        log = self._log(job, job.submitter)
        reported = self._reported(job)
        self.ambiguous += len(reported)
        for batch in sorted({job.batch_of(key) for key in job.keys}):
            keys = [key for key in job.keys if job.batch_of(key) == batch]
            name = f"{job.name} batch {batch + 1}"
            lost = [key for key in keys if not any(sent.taken for sent in self.sent[key])]
            if lost and batch not in reported:
                self.found.lost.append(f"{name}: {len(lost)} items were never accepted")
            unreported = again = 0
            for key in keys:
                taken = [sent for sent in self.sent[key] if sent.taken]
                for before, after in pairwise(taken):
                    if self._failed_before(before, after.time):
                        continue  # what failed is submitted anew
                    again += 1
                    told = SENT_AGAIN in log or (self._unheard(before) and TRYING_AGAIN in log)
                    unreported += not (job.on_ambiguous == "resubmit" and told)
            self.again += bool(again)
            if unreported:
                self.found.repeated.append(f"{name}: {unreported} items were accepted more than once")
            if batch in reported and not self._doubt(job, keys):
                self.found.wrong.append(f"{name} was called uncertain, and there was no doubt")

    def _failed_before(self, sent: Sent, time: float) -> bool:
        task = self.books.stream_tasks.get(sent.stream_task_id or "", {})
        ended = task.get("ended")
        return task.get("status") == "failed" and ended is not None and ended <= time

    def _reported(self, job: Job) -> set[int]:
        """Return the batches that the Airflow task ended with calling uncertain."""
        row = self._last(job, job.submitter)
        if not row or row["state"] != "failed":
            return set()
        _, text = self._cause(job, job.submitter, row["try_number"])
        return {int(number) - 1 for number in _UNCERTAIN_BATCHES.findall(text)}

    def _unheard(self, sent: Sent) -> bool:
        """
        Tell whether Airflow may have heard nothing that says whether Stream took a request.

        What was sent into Stream's silence is answered, too, when the silence is over: to nobody.
        """
        began, ended = self.books.outage
        return sent.status is None or sent.status >= 500 or began <= sent.time <= ended + BACKLOG

    def _doubt(self, job: Job, keys: list[str]) -> bool:
        """Tell whether nobody could know if Stream had accepted a batch: no good answer, or a dead worker."""
        sent = self.sent[keys[0]]
        died = any(
            self._died(job, job.submitter, row) for row in self.tries.get((job.dag_id, job.submitter), ())
        )
        return died or any(map(self._unheard, sent))

    # -- how Airflow ended -----------------------------------------------------------------------------

    def _end(self, job: Job, task_id: str) -> None:
        row = self._last(job, task_id)
        if row is None or row["state"] not in ("success", "failed", "upstream_failed"):
            if not any(line.startswith(task_id) for line in self.found.stuck):
                self.found.wrong.append(f"{task_id} ended as {row and row['state']}")
            return
        cause = self._cause(job, task_id, row["try_number"])[0] if row["state"] == "failed" else None
        end = row["state"] if cause is None else cause
        if (
            end in KILLED_OR_TURNED_AWAY
            and self._always_fails(job, task_id)
            and row["try_number"] > job.retries
        ):
            return  # the storm ended its last try, before Stream could
        if end not in self._allowed(job, task_id):
            self.found.wrong.append(
                f"{task_id} ({job.way}, {job.end}) ended as {row['state']} with {cause} "
                f"in try {row['try_number']}"
            )
        elif end == "success" and task_id == job.waiter:
            self._not_before_stream(job, task_id, row)
        elif end == TIMEOUT:
            self._deadline(job, task_id, row)

    def _allowed(self, job: Job, task_id: str) -> set[str]:
        """Return the ends that are right: ``success``, ``upstream_failed``, or the exception of a failure."""
        if task_id != job.submitter:  # a sensor
            submitter = self._last(job, job.submitter)
            if submitter is None or submitter["state"] != "success":
                return {"upstream_failed"}
            return {{"completed": "success", "failed": "StreamTaskFailed", "never": TIMEOUT}[job.end]}
        if job.waiter != job.submitter:
            return {"success", SUBMISSION}
        # Where a batch is uncertain, the operator waits for the others first, and its verdict comes last.
        usual = {"completed": "success", "failed_once": "success", "failed": "StreamTaskException"}
        return {usual.get(job.end, TIMEOUT), SUBMISSION}

    def _always_fails(self, job: Job, task_id: str) -> bool:
        return job.end == "failed" and task_id == job.submitter == job.waiter

    def _not_before_stream(self, job: Job, task_id: str, row: dict[str, Any]) -> None:
        """A success must come after the end of the Stream tasks."""
        ends = [
            self.books.stream_tasks[taken[-1].stream_task_id or ""]["ended"]
            for key in job.keys
            if (taken := [sent for sent in self.sent[key] if sent.taken])
        ]
        if any(end is None or end > row["end_date"] + 1.0 for end in ends):
            self.found.wrong.append(f"{task_id} ended before its Stream tasks")

    def _deadline(self, job: Job, task_id: str, row: dict[str, Any]) -> None:
        """A wait must end soon after its deadline. Each try has its own."""
        began = self.books.reschedules.get((job.dag_id, task_id, row["try_number"]), row["start_date"])
        if task_id == job.submitter:
            began = max([began, *(sent.time for key in job.keys for sent in self.sent[key] if sent.taken)])
        deadline = began + job.timeout
        late = row["end_date"] - deadline - overlap(self.books.downs, deadline, row["end_date"])
        self.longest_late = max(self.longest_late, late)
        if late > GRACE:
            self.found.late.append(f"{task_id} ({job.way}) ended {late:.0f} s after its deadline")

    # -- the return after the outage -------------------------------------------------------------------

    def _after_the_outage(self) -> None:
        """Look at what happened when Stream came back."""
        began, ended = self.books.outage
        polls: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for entry in self.books.journal:
            if entry["operation"] == "GetTask":
                polls[entry["path"].rpartition("/")[2]].append(entry)
        waits = longest = 0.0
        left_alone = self._left_alone()
        for task_id, looks in polls.items():
            end = self.books.stream_tasks.get(task_id, {}).get("ended")
            waited = task_id not in left_alone and any(
                began - GRACE <= look["time"] <= ended for look in looks
            )
            if end is None or end > ended or not waited:
                continue
            answers = [look["time"] for look in looks if look["time"] >= end and look["status"] == 200]
            seen = min(answers, default=inf)
            if seen < ended:
                continue
            waits += 1
            longest = max(longest, seen - ended)
            if seen - ended > NOTICED:
                self.found.unnoticed.append(f"Stream task {task_id}: {seen - ended:.0f} s after the outage")
        refused = [
            entry
            for entry in self.books.journal
            if entry["status"] == 429 and entry["fault"] is None and ended <= entry["time"] <= ended + NOTICED
        ]
        if refused:
            operations = Counter(entry["operation"] for entry in refused)
            self.found.stampede.append(f"429 after the outage: {dict(operations)}")
        self.found.numbers.update(waits_over_outage=waits, longest_notice=round(longest, 1))

    def _left_alone(self) -> set[str | None]:
        """Return the Stream tasks for which nobody waits any more: the last try to do so was killed."""
        return {
            sent.stream_task_id
            for job in self.books.jobs
            if job.waiter and (row := self._last(job, job.waiter)) and self._died(job, job.waiter, row)
            for key in job.keys
            for sent in self.sent[key]
        }

    # -- numbers ---------------------------------------------------------------------------------------

    def _numbers(self) -> dict[str, float]:
        books = self.books
        began, ended = books.outage
        faults = Counter(
            "outage" if began <= entry["time"] <= ended else kind
            for entry in books.journal
            if (kind := _fault_of(entry))
        )
        submissions = [entry for entry in books.journal if entry["operation"] in CAPS]
        states = Counter(rows[-1]["state"] for rows in self.tries.values())
        return {
            "airflow_tasks": sum(len(job.task_ids) for job in books.jobs),
            "batches": sum(job.batch_of(job.keys[-1]) + 1 for job in books.jobs),
            "requests": len(books.journal),
            "accepted": sum(entry["taken"] for entry in submissions),
            **{f"fault_{kind}": count for kind, count in faults.items()},
            "refused_by_budget": sum(e["status"] == 429 and e["fault"] is None for e in books.journal),
            **{f"count_{name}": count for name, count in books.counts.items()},
            "retries": sum(len(rows) - 1 for rows in self.tries.values()),
            "success": states["success"],
            "failed": states["failed"],
            "upstream_failed": states["upstream_failed"],
            "ambiguous": self.ambiguous,
            "resubmitted": self.again,
            "longest_late": round(self.longest_late, 1),
            "downtime": round(sum(down.until - down.since for down in books.downs), 1),
            "lasted": round(books.lasted),
        }

    # -- reading ---------------------------------------------------------------------------------------

    def _last(self, job: Job, task_id: str) -> dict[str, Any] | None:
        rows = self.tries.get((job.dag_id, task_id))
        return rows[-1] if rows else None

    def _folder(self, job: Job, task_id: str) -> Path:
        return self.books.logs / f"dag_id={job.dag_id}" / f"run_id={RUN_ID}" / f"task_id={task_id}"

    def _log(self, job: Job, task_id: str) -> str:
        return "\n".join(
            path.read_text(errors="replace") for path in sorted(self._folder(job, task_id).glob("*.log"))
        )

    def _cause(self, job: Job, task_id: str, try_number: int) -> tuple[str | None, str]:
        """Return the exception that ended a try, and its text; ``None`` if the log knows of none."""
        found: tuple[str | None, str] = None, ""
        for line in _lines(self._folder(job, task_id) / f"attempt={try_number}.log"):
            if line.get("event") in _FAILURES and line.get("error_detail"):
                error = line["error_detail"][0]
                found = error["exc_type"], error["exc_value"]
        return found

    def _died(self, job: Job, task_id: str, row: dict[str, Any]) -> bool:
        """Tell whether a try ended without a word."""
        if row["state"] == "success":
            return False
        return self._cause(job, task_id, row["try_number"])[0] is None


_FAILURES = ("Task failed with exception", "Task failed due to AirflowFailException")


def sent_by_key(journal: list[dict[str, Any]]) -> dict[str, list[Sent]]:
    """Return item -> the submissions that carried it, in order."""
    found: dict[str, list[Sent]] = defaultdict(list)
    for entry in journal:
        if entry["operation"] in CAPS:
            sent = Sent(entry["time"], entry["taken"], entry["status"], entry["stream_task_id"])
            for key in set(_KEY.findall(json.dumps(entry["body"]))):
                found[key].append(sent)
    return found


def overlap(downs: list[Down], since: float, until: float) -> float:
    """Return for how many seconds of a time something was down."""
    total, end = 0.0, since
    for down in sorted(downs, key=lambda down: down.since):
        start, stop = max(down.since, end), min(down.until, until)
        if stop > start:
            total += stop - start
            end = stop
    return total


def _fault_of(entry: dict[str, Any]) -> str | None:
    kind = entry["fault"]
    if kind in ("unavailable", "api_error"):
        return "5xx"
    if kind in ("reset_before", "reset_after"):
        return "reset"
    return "429" if kind == "rate_limit" else kind


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_text(errors="replace").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue
