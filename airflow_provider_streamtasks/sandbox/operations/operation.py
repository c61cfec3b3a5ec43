"""An asynchronous operation of Stream's: its fields, what they must be together, and its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_streamtasks.sandbox.content import Content
from airflow_provider_streamtasks.sandbox.directory import Directory
from airflow_provider_streamtasks.sandbox.fields import Field
from airflow_provider_streamtasks.sandbox.jobs import StreamTask
from airflow_provider_streamtasks.sandbox.storage import EXPORTS, Storage

BUCKET = "stream-sandbox"
"""Where exports say that their files are. The sandbox has no S3: only their URLs lead anywhere."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A request of an operation, checked against the operation's fields.

    :param params: the variable parts of the path.
    :param query: the query, booleans read.
    :param body: the JSON body; empty if the operation has none.
    """

    params: Mapping[str, str]
    query: Mapping[str, Any]
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scene:
    """What a result is built from.

    :param task: the Stream task that has completed.
    :param submission: the request that started it.
    :param storage: where exported files lie.
    :param now: Unix time in seconds.
    :param directory: the channels and users that there are.
    """

    task: StreamTask
    submission: Submission
    storage: Storage
    now: float
    directory: Directory

    @property
    def failures(self) -> dict[str, str]:
        """The items that failed, with the reasons."""
        return self.task.fate.failures(self.task.items)


@dataclass(frozen=True, slots=True)
class Export:
    """The file that an operation leaves in the storage.

    :param folder: where it lies.
    :param name: its name, given a submission.
    :param write: its content, given a submission, the exported items, and a size in bytes or ``None``.
    """

    folder: str
    name: Callable[[Submission], str]
    write: Callable[[Submission, tuple[str, ...], int | None], Content]

    def path(self, submission: Submission, stream_task_id: str) -> str:
        """Where the file of a Stream task lies."""
        return f"{EXPORTS}/{self.folder}/{stream_task_id}/{self.name(submission)}"


@dataclass(frozen=True, slots=True)
class Operation:
    """An endpoint that starts a Stream task.

    :param name: Stream's operationId.
    :param method: HTTP method.
    :param path: path, with ``{variable}`` parts.
    :param items: what a submission is for: cids, user ids, …
    :param body: the fields of the JSON body; ``None`` if it takes none.
    :param query: the fields of the query, beside ``api_key``.
    :param demand: raises a :class:`~.answers.Refusal` where fields contradict each other.
    :param background: whether a submission starts a Stream task at all.
    :param soft: whether what a submission deletes is only hidden, and can still be exported.
    :param answer: what the answer holds beside the id of the Stream task; given the failures of the fate.
    :param named: how the answer names the Stream task.
    :param result: the ``result`` of the completed Stream task.
    :param export: the file that the Stream task writes; its URL is the result then.
    """

    name: str
    method: str
    path: str
    items: Callable[[Submission], tuple[str, ...]]
    body: tuple[Field, ...] | None = None
    query: tuple[Field, ...] = ()
    demand: Callable[[Submission], None] = lambda submission: None
    background: Callable[[Submission], bool] = lambda submission: True
    soft: Callable[[Submission], bool] = lambda submission: False
    answer: Callable[[Submission, bool, Mapping[str, str], float], dict[str, Any]] = lambda *_: {}
    named: Callable[[StreamTask], dict[str, Any]] = lambda task: {"task_id": task.id}
    result: Callable[[Scene], dict[str, Any]] = lambda scene: verdicts(scene.task.items, scene.failures)
    export: Export | None = None

    def build_result(self, scene: Scene) -> dict[str, Any]:
        """The ``result`` of a completed Stream task of this operation."""
        if self.export is None:
            return self.result(scene)
        path = self.export.path(scene.submission, scene.task.id)
        return {
            "url": scene.storage.sign(path, scene.task.fate.url_lifetime),
            "path": path.removeprefix("/"),
            "s3_bucket_name": BUCKET,
        }


def verdicts(items: tuple[str, ...], failures: Mapping[str, str]) -> dict[str, Any]:
    """Stream's result where it reports on each item: ``{"messaging:a": {"status": "ok"}}``."""
    return {
        item: {"status": "error", "error": failures[item]} if item in failures else {"status": "ok"}
        for item in items
    }


def listed(name: str) -> Callable[[Submission], tuple[str, ...]]:
    """Items that stand in a list of the body."""
    return lambda submission: tuple(submission.body[name])


def formed(pattern: str) -> Callable[[Submission], tuple[str, ...]]:
    """The one item that the path names."""
    return lambda submission: (pattern.format(**submission.params),)
