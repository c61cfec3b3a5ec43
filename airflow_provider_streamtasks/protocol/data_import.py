"""
Imports, which are no Stream tasks: they have endpoints and states of their own.

There are two generations. Of the first, Stream's guide names some states in words. Of the second, the
states are numbers that Stream does not explain (``stream-cli`` filters by 1 to 4, without a word on what they
mean), so the user says which of them are final.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from airflow_provider_streamtasks.exceptions import StreamApiException
from airflow_provider_streamtasks.protocol import results
from airflow_provider_streamtasks.protocol.errors import read_body
from airflow_provider_streamtasks.protocol.people import without_people
from airflow_provider_streamtasks.protocol.signatures import without_queries, without_signature
from airflow_provider_streamtasks.protocol.tasks import StreamTask, TaskError
from airflow_provider_streamtasks.protocol.wire import Request, Response, fill

MAX_UPLOAD = 300 * 1024 * 1024
"""Bytes of an import file. Stream docs: importing data."""

NAMED = 3
"""Faults of a file that a message quotes; of the others it gives the number."""

MOST = 200
"""Characters that it quotes of one."""


def create_import_url(filename: str) -> Request:
    """Return the request for a place to upload a file to."""
    return Request("CreateImportURL", "POST", "/api/v2/import_urls", json={"filename": filename})


def cancel_import(import_id: str) -> Request:
    """Return the request that cancels an import of the second generation."""
    path = fill("/api/v2/imports/v2/{import_id}/cancel", import_id=import_id)
    # As for Import.request: nobody has seen whether Stream needs the body here, too, and it does no harm.
    return Request("CancelImportV2Task", "POST", path, json={})


_HINTS = {
    404: "Check that the id is that of an import of this generation, and that the Airflow connection leads "
    "to the app that it belongs to.",
}


@dataclass(frozen=True, slots=True)
class Import:
    """
    How an import is polled, and what its states mean: a :class:`~.tasks.Pollable`.

    :param completed_states: states of the second generation that mean success; empty for the first generation
    :param failed_states: states of the second generation that mean failure
    """

    completed_states: Sequence[int] = ()
    failed_states: Sequence[int] = ()
    noun: ClassVar[str] = "import"

    @property
    def endpoint(self) -> str:
        """Stream's name of the call that polls it, another for each generation."""
        return "GetImportV2Task" if self.completed_states else "GetImport"

    @property
    def whole(self) -> str:
        """What to call for the whole result."""
        return f"hook.get_task(import_id, {self!r}).result"

    def key(self, task_id: str) -> str:
        """Return what an import is known by to a poller: its states mean what the user says."""
        return f"{task_id} {self!r}"

    def request(self, task_id: str) -> Request:
        """Return the request that asks for an import."""
        if not self.completed_states:
            return Request(self.endpoint, "GET", fill("/api/v2/imports/{import_id}", import_id=task_id))
        # Without a body Stream answers 400: stream-cli sends this one to get around it, the SDKs send none
        # (GetStream/stream-cli, pkg/cmd/feeds/imports/imports.go at f390dd7).
        return Request(
            self.endpoint, "GET", fill("/api/v2/imports/v2/{import_id}", import_id=task_id), json={}
        )

    def read(self, task_id: str, response: Response, now: float) -> StreamTask:
        """
        Return an import as a Stream task: ``completed``, ``failed``, or its state as it is.

        :raises StreamApiException: if the answer is an error, or does not tell of an import
        """
        body: Any = read_body(self.endpoint, response, now, _HINTS)
        found = body if self.completed_states else body.get("import_task")
        state = found.get("state") if isinstance(found, dict) else None
        if type(state) is not (int if self.completed_states else str) or state == "":
            raise StreamApiException("The answer has no state of an import", status_code=response.status)
        status = self._status(state)
        result = found.get("result")
        if status != "failed":
            return StreamTask(task_id, status, result=result, report=result)
        why = in_short(result)
        error = TaskError("import_failed", f"the import ended as {state}" + (why and f": {why}"))
        return StreamTask(task_id, status, result=result, error=error, report=result)

    def _status(self, state: int | str) -> str:
        if isinstance(state, str):
            state = state.lower()
            return "failed" if "failed" in state else _ON_THE_WAY.get(state, state)
        if state in self.completed_states:
            return "completed"
        return "failed" if state in self.failed_states else "running"

    def serialize(self) -> dict[str, Any]:
        """Return the arguments by which a trigger knows it."""
        return {name: list(states) for name, states in asdict(self).items()}


def in_short(report: Any) -> str:
    """
    Return the short form of what Stream's check of a file found: the first faults, and how many there are.

    Stream publishes no schema of it. ``stream-cli``, which checks by the same rules, lists faults in
    ``Errors``. Where there is no such list, the reason is quoted, or else the beginning of the whole. Of
    people, only the ids are.
    """
    faults = report
    if isinstance(report, Mapping):
        lists = {str(name).lower(): value for name, value in report.items()}
        faults = lists.get("errors") or results.reason(report) or report
    if not faults:
        return ""
    each = faults if isinstance(faults, list) else [faults]
    quoted = "; ".join(_quote(fault) for fault in each[:NAMED])
    return f"{quoted} and {len(each) - NAMED} more" if len(each) > NAMED else quoted


def _quote(fault: Any) -> str:
    if not isinstance(fault, str):
        fault = json.dumps(without_people(without_signature(fault))[0], ensure_ascii=False)
    text = " ".join(without_queries(fault).split())
    return text if len(text) <= MOST else f"{text[: MOST - 1]}…"


_ON_THE_WAY = {"uploaded": "pending", "analyzing": "running"}
"""Stream docs: importing data. Other states stay as they are, and are waited on."""
