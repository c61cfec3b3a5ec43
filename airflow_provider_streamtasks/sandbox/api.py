"""The Stream API without HTTP: what each endpoint does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from airflow_provider_streamtasks.sandbox import data_import, version_one
from airflow_provider_streamtasks.sandbox.answers import Refusal, missing
from airflow_provider_streamtasks.sandbox.auth import Gatekeeper
from airflow_provider_streamtasks.sandbox.budgets import Budgets
from airflow_provider_streamtasks.sandbox.directory import Directory
from airflow_provider_streamtasks.sandbox.endpoints import Endpoint, Switchboard, Visit
from airflow_provider_streamtasks.sandbox.fates import Fates, change_of_fate
from airflow_provider_streamtasks.sandbox.faults import Faults
from airflow_provider_streamtasks.sandbox.fields import check
from airflow_provider_streamtasks.sandbox.jobs import Job, StreamTask
from airflow_provider_streamtasks.sandbox.journal import Journal
from airflow_provider_streamtasks.sandbox.messages import Messages
from airflow_provider_streamtasks.sandbox.operations import OPERATIONS
from airflow_provider_streamtasks.sandbox.operations.operation import Operation, Scene, Submission, verdicts
from airflow_provider_streamtasks.sandbox.queries import Queries
from airflow_provider_streamtasks.sandbox.rules import BadRule
from airflow_provider_streamtasks.sandbox.storage import EXPORTS, ExportedFile, Storage

PLATFORMS = ("server_side", "android", "ios", "web", "unity")


class StreamApi:
    """All that the sandbox knows and does.

    :param api_key: the API key that clients must use.
    :param api_secret: the secret that their tokens must be signed with.
    :param window: length of a rate limit window in seconds.
    :param seed: makes faults with a ``probability`` repeatable.
    :param strict: whether exports of channels that the directory does not have are refused, and polls of an
        import v2 without a body.
    :param clock: Unix time in seconds.
    """

    def __init__(
        self,
        api_key: str,
        api_secret: str,
        *,
        window: float = 60.0,
        seed: int = 0,
        strict: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.clock = clock
        self.gatekeeper = Gatekeeper(api_key, api_secret, clock)
        self.fates = Fates()
        self.faults = Faults(clock, seed)
        self.budgets = Budgets(clock, window)
        self.journal = Journal()
        self.storage = Storage(clock)
        self.directory = Directory(clock)
        self.messages = Messages(self.directory)
        self.jobs: dict[str, Job] = {}
        self.imports = data_import.Imports(clock, self.fates, self.storage, self.jobs, strict=strict)
        self.strict = strict
        version_two = [
            *(
                Endpoint(operation.name, operation.method, operation.path, partial(self.submit, operation))
                for operation in OPERATIONS
            ),
            Endpoint("GetTask", "GET", "/api/v2/tasks/{id}", self.get_task),
            Endpoint("GetRateLimits", "GET", "/api/v2/rate_limits", self.get_rate_limits),
            Endpoint(
                "Download", "GET", EXPORTS + "/{folder}/{id}/{name}", self.storage.download, signed=True
            ),
            *self.imports.endpoints(),
            *Queries(self.directory).endpoints(),
            *self.messages.endpoints(),
        ]
        endpoints = [*version_two, *version_one.endpoints(version_two)]
        self.operations = sorted({endpoint.name for endpoint in endpoints})
        self.starting = sorted({operation.name for operation in OPERATIONS} | data_import.STARTING)
        self.switchboard = Switchboard(endpoints)

    def admit(self, endpoint: Endpoint, visit: Visit) -> None:
        """Check the credentials of a request.

        :raises Refusal: they are wrong.
        """
        if not endpoint.signed:
            self.gatekeeper.check(visit.query, visit.headers)
        elif not self.storage.opens(visit.path, visit.query):
            raise Refusal(403, 17, "the URL's signature is wrong or has expired")

    def submit(self, operation: Operation, visit: Visit) -> dict[str, Any]:
        """Accept a submission: start a Stream task, unless the operation is done at once."""
        submission = _submission(operation, visit)
        now = self.clock()
        items = operation.items(submission)
        if self.strict and operation.name == "ExportChannels":
            self._demand_channels(
                items, softly_deleted=bool(submission.body.get("include_soft_deleted_channels"))
            )
        fate = self.fates.choose(operation.name, items)
        background = operation.background(submission) if fate.task_id is None else fate.task_id
        visit.entry.items = list(items)
        failures = fate.failures(items)
        answer = operation.answer(submission, background, failures, now)
        if fate.result_at_once is not None:
            answer.pop("result", None)
        if fate.result_at_once:
            answer["result"] = verdicts(items, failures)
        done = [item for item in items if item not in failures]
        if operation.soft(submission):
            self.directory.hide(done)
        elif not background:
            self.directory.take_effect(operation.name, done, now)
        if background:
            task = StreamTask(
                operation=operation.name,
                items=items,
                created=now,
                fate=fate,
                build_result=lambda task, moment: operation.build_result(
                    Scene(task, submission, self.storage, moment, self.directory)
                ),
            )
            self.jobs[task.id] = task
            if not operation.soft(submission):
                self.directory.follow(task)
            if operation.export is not None:
                self.storage.exports[operation.export.path(submission, task.id)] = ExportedFile(
                    operation.export.write(submission, items, fate.bytes), fate.ranges, fate.checksum
                )
            visit.entry.stream_task_id = task.id
            answer.update(operation.named(task))
        return answer

    def _demand_channels(self, cids: Sequence[str], *, softly_deleted: bool) -> None:
        for cid in cids:
            if not self.directory.knows(cid, softly_deleted=softly_deleted):
                raise missing(f"Can't find channel with id {cid}")

    def get_task(self, visit: Visit) -> dict[str, Any]:
        """Show how a Stream task stands."""
        now = self.clock()
        task = self.jobs.get(visit.params["id"])
        if not isinstance(task, StreamTask) or now < task.visible:
            raise missing(f"Can't find task with id {visit.params['id']}")
        return task.as_stream_shows_it(now)

    def get_rate_limits(self, visit: Visit) -> dict[str, Any]:
        """Show the budgets; of the endpoints and the platforms that were asked for, or of all."""
        now = self.clock()
        asked = [platform for platform in PLATFORMS if visit.query.get(platform) == "true"]
        names = [name for name in visit.query.get("endpoints", "").split(",") if name] or self.operations
        standings = {
            name: standing
            for name in names
            if name in self.operations and (standing := self.budgets.of(name).standing(now))
        }
        # Platforms have counters of their own; only server-side requests reach the sandbox.
        untouched = {name: {**each, "remaining": each["limit"]} for name, each in standings.items()}
        return {
            platform: standings if platform == "server_side" else untouched for platform in asked or PLATFORMS
        }

    def set_fate(self, rule: Any) -> None:
        """Add a fate, or change the fate of an existing Stream task.

        :raises BadRule: the rule makes no sense, or there is no such operation or task.
        """
        _check_operation(rule, self.starting)
        if not isinstance(rule, dict) or "stream_task_id" not in rule:
            self.fates.add(rule)
            return
        fate = change_of_fate(rule)
        job = self.jobs.get(rule["stream_task_id"])
        if job is None:
            raise BadRule(f"there is no Stream task {rule['stream_task_id']}")
        job.change(fate, self.clock())

    def set_fault(self, rule: Any) -> None:
        """Let a fault strike.

        :raises BadRule: the rule makes no sense, or there is no such operation.
        """
        _check_operation(rule, self.operations)
        self.faults.add(rule)

    def set_budget(self, rule: Any) -> None:
        """Set a budget.

        :raises BadRule: the rule makes no sense, or there is no such operation.
        """
        _check_operation(rule, self.operations)
        self.budgets.add(rule)

    def reset(self) -> None:
        """Forget everything: tasks, files, fates, faults, budgets, journal, channels, users, messages."""
        rules = (self.fates, self.faults, self.budgets)
        for part in (*rules, self.journal, self.storage, self.imports, self.directory, self.messages):
            part.reset()
        self.jobs.clear()


def _submission(operation: Operation, visit: Visit) -> Submission:
    query = {key: value for key, value in visit.query.items() if key != "api_key"}
    booleans = {key: _boolean(value) for key, value in query.items()}
    body = {} if operation.body is None else visit.json_object()
    check(booleans, operation.query)
    check(body, operation.body or ())
    submission = Submission(visit.params, booleans, body)
    operation.demand(submission)
    return submission


def _boolean(value: str) -> Any:
    return {"true": True, "false": False}.get(value, value)


def _check_operation(rule: Any, known: Sequence[str]) -> None:
    # A rule for a misspelt operation would never apply, and nobody would notice.
    operation = rule.get("operation", "*") if isinstance(rule, dict) else "*"
    if operation != "*" and operation not in known:
        raise BadRule(f"there is no operation {operation!r} here; there are: {', '.join(known)}")
