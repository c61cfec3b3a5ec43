"""Imports: jobs that GetTask does not know, with endpoints and states of their own (v1 and v2)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, TypeVar

from airflow_provider_streamtasks.sandbox.answers import invalid, missing, nanoseconds
from airflow_provider_streamtasks.sandbox.endpoints import MEBIBYTE, Endpoint, Visit
from airflow_provider_streamtasks.sandbox.fates import Fate, Fates
from airflow_provider_streamtasks.sandbox.fields import Field, check
from airflow_provider_streamtasks.sandbox.jobs import Job
from airflow_provider_streamtasks.sandbox.storage import UPLOADS, Storage
from airflow_provider_streamtasks.sandbox.timeline import Stages

BUCKET = "s3://stream-import/1"
APP_PK = 1
URL_LIFETIME = 3600.0
# How long a processing import takes to notice that it was cancelled.
TICK = 0.2

# The endpoints that start an import.
STARTING = frozenset(("CreateImport", "CreateImportV2Task"))

# What Stream's numbers mean is not published. stream-cli filters by 1 to 4 (f390dd7,
# pkg/cmd/feeds/imports/imports.go); which of them is which, and the 5, are the sandbox's own.
V2_STATES = {"queued": 1, "processing": 2, "completed": 3, "failed": 4, "cancelled": 5}
V2_UNKNOWN = 99

_URL = (Field("filename"),)
_V1 = (
    Field("path", required=True),
    Field("mode", required=True, choices=("insert", "upsert")),
    Field("merge_custom", "boolean"),
)
_BUCKET = Field("bucket", required=True)
_PREFIX = Field("path_prefix")
_EXTERNAL_STORAGE = (
    Field("type", required=True, choices=("aws_s3", "gcs")),
    Field(
        "aws_s3",
        "object",
        fields=(Field("role_arn", required=True), _BUCKET, Field("region", required=True), _PREFIX),
    ),
    Field("gcs", "object", fields=(_BUCKET, Field("credentials", required=True), _PREFIX)),
)
_V2 = (
    Field("product", required=True, choices=("chat", "feeds")),
    Field(
        "settings",
        "object",
        required=True,
        fields=(
            Field("mode"),
            Field("path"),
            Field("s3", "object", fields=(Field("bucket"), Field("dir"), Field("region"))),
            Field("merge_custom", "boolean"),
            Field("skip_references_check", "boolean"),
            Field("use_import_time_as_op_time", "boolean"),
        ),
    ),
    Field("user", "object"),
    Field("user_id"),
)


@dataclass(kw_only=True, slots=True)
class ImportV1(Job):
    """An import of API v1's kind, whose states are words.

    :param mode: ``insert`` or ``upsert``.
    :param size: bytes of the uploaded file.
    """

    STAGES: ClassVar[Stages] = Stages(
        pending="uploaded",
        running="analyzing",
        waiting="waiting_confirmation",
        order=("pending", "running", "waiting"),
        ends=(("failed", "analyze_failed"), ("error", "analyze_failed")),
    )

    mode: str
    size: int

    def as_stream_shows_it(self, now: float) -> dict[str, Any]:
        """Stream's ``ImportTask``. A ``result`` appears only where the fate gives one."""
        past = self.timeline.past(now)
        body = {
            "id": self.id,
            "mode": self.mode,
            "path": self.items[0],
            "state": past[-1].state,
            "size": self.size,
            "history": [
                {
                    "created_at": nanoseconds(after.time),
                    "prev_state": before.state,
                    "next_state": after.state,
                }
                for before, after in pairwise(past)
            ],
            "created_at": nanoseconds(self.created),
            "updated_at": nanoseconds(past[-1].time),
        }
        result = self.fate.outcome.get("result")
        return {**body, "result": result} if result is not None and self.finished(now) else body


@dataclass(kw_only=True, slots=True)
class ImportV2(Job):
    """An import of API v2's kind, whose states are numbers on the wire.

    :param product: ``chat`` or ``feeds``.
    :param settings: as they were submitted.
    """

    STAGES: ClassVar[Stages] = Stages(
        pending="queued", waiting="queued", running="processing", ends=(("error", "failed"),)
    )

    product: str
    settings: dict[str, Any]

    def state(self, now: float) -> str:
        """Its state in words."""
        return self.timeline.now(now).state

    def as_stream_shows_it(self, now: float) -> dict[str, Any]:
        """Stream's ``ImportV2TaskItem``. A ``result`` appears only where the fate gives one."""
        updated, state = self.timeline.now(now)
        number = int(state) if state.isdigit() else V2_STATES.get(state, V2_UNKNOWN)
        body = {
            "id": self.id,
            "app_pk": APP_PK,
            "product": self.product,
            "state": number,
            "settings": self.settings,
            "created_at": nanoseconds(self.created),
            "updated_at": nanoseconds(updated),
        }
        result = self.fate.outcome.get("result")
        return {**body, "result": result} if result is not None and self.finished(now) else body


AnyImport = TypeVar("AnyImport", ImportV1, ImportV2)


class Imports:
    """The endpoints of both kinds of import.

    :param clock: Unix time in seconds.
    :param fates: what becomes of the imports.
    :param storage: where uploads go.
    :param jobs: all jobs of the sandbox, by id.
    :param strict: whether a poll of an import v2 must have a body.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        fates: Fates,
        storage: Storage,
        jobs: dict[str, Job],
        *,
        strict: bool = False,
    ) -> None:
        self._clock = clock
        self._fates = fates
        self._storage = storage
        self._jobs = jobs
        self._strict = strict
        self._external: dict[str, Any] | None = None

    def endpoints(self) -> Iterator[Endpoint]:
        """All endpoints, the upload included."""
        yield Endpoint("CreateImportURL", "POST", "/api/v2/import_urls", self._create_url)
        yield Endpoint(
            "Upload", "PUT", UPLOADS + "/{id}/{name}", self._storage.upload, signed=True, most=300 * MEBIBYTE
        )
        yield Endpoint("CreateImport", "POST", "/api/v2/imports", self._create_v1)
        yield Endpoint("GetImport", "GET", "/api/v2/imports/{id}", self._get_v1)
        yield Endpoint("ListImports", "GET", "/api/v2/imports", self._list_v1)
        yield Endpoint("CreateImportV2Task", "POST", "/api/v2/imports/v2", self._create_v2)
        yield Endpoint("GetImportV2Task", "GET", "/api/v2/imports/v2/{id}", self._get_v2)
        yield Endpoint("ListImportV2Tasks", "GET", "/api/v2/imports/v2", self._list_v2)
        yield Endpoint("CancelImportV2Task", "POST", "/api/v2/imports/v2/{id}/cancel", self._cancel_v2)
        yield Endpoint("DeleteImportV2Task", "DELETE", "/api/v2/imports/v2/{id}", self._delete_v2)
        external = "/api/v2/imports/v2/external-storage"
        yield Endpoint("GetImporterExternalStorage", "GET", external, self._get_external)
        yield Endpoint("UpsertImporterExternalStorage", "PUT", external, self._put_external, secret=True)
        yield Endpoint("DeleteImporterExternalStorage", "DELETE", external, self._delete_external)
        yield Endpoint(
            "ValidateImporterExternalStorage", "POST", f"{external}/validate", self._validate_external
        )

    def reset(self) -> None:
        """Forget the external storage; the imports are among the jobs."""
        self._external = None

    def _create_url(self, visit: Visit) -> dict[str, Any]:
        body = visit.json_object()
        check(body, _URL)
        filename = body.get("filename") or "import.json"
        if "/" in filename:
            raise invalid("filename must not contain a slash")
        name = f"{uuid.uuid4()}/{filename}"
        return {
            "path": f"{BUCKET}/{name}",
            "upload_url": self._storage.sign(f"{UPLOADS}/{name}", URL_LIFETIME),
        }

    def _create_v1(self, visit: Visit) -> dict[str, Any]:
        body = visit.json_object()
        check(body, _V1)
        size = self._storage.uploads.get(body["path"].replace(BUCKET, UPLOADS))
        if size is None:
            raise invalid(f"there is no file at {body['path']}: upload it first")
        items = (body["path"],)
        now = self._clock()
        fate = self._fates.choose("CreateImport", items)
        job = ImportV1(
            operation="CreateImport", items=items, created=now, fate=fate, mode=body["mode"], size=size
        )
        self._keep(job, visit)
        return {} if fate.task_id is False else {"import_task": job.as_stream_shows_it(now)}

    def _get_v1(self, visit: Visit) -> dict[str, Any]:
        return {"import_task": self._find(ImportV1, visit).as_stream_shows_it(self._clock())}

    def _list_v1(self, visit: Visit) -> dict[str, Any]:
        now = self._clock()
        offset = _count(visit, "offset") or 0
        limit = _count(visit, "limit")
        page = slice(offset, None if limit is None else offset + limit)
        return {"import_tasks": [job.as_stream_shows_it(now) for job in list(self._all(ImportV1))[page]]}

    def _create_v2(self, visit: Visit) -> dict[str, Any]:
        body = visit.json_object()
        check(body, _V2)
        product, settings = body["product"], body["settings"]
        bucket = settings.get("s3") or {}
        items = (settings.get("path") or f"s3://{bucket.get('bucket', '')}/{bucket.get('dir', '')}",)
        now = self._clock()
        job = ImportV2(
            operation="CreateImportV2Task",
            items=items,
            created=now,
            fate=self._fates.choose("CreateImportV2Task", items),
            product=product,
            settings=settings,
        )
        self._keep(job, visit)
        return job.as_stream_shows_it(now)

    def _get_v2(self, visit: Visit) -> dict[str, Any]:
        if self._strict:
            # stream-cli met this at Stream (see above), and sends a body. The SDKs send none.
            visit.json_object()
        return self._find(ImportV2, visit).as_stream_shows_it(self._clock())

    def _list_v2(self, visit: Visit) -> dict[str, Any]:
        now = self._clock()
        wanted = visit.query.get("state")
        shown = [job.as_stream_shows_it(now) for job in self._all(ImportV2)]
        return {"import_tasks": [each for each in shown if wanted in (None, str(each["state"]))]}

    def _cancel_v2(self, visit: Visit) -> dict[str, Any]:
        job, now = self._find(ImportV2, visit), self._clock()
        if job.state(now) not in ("queued", "processing"):
            raise invalid(f"import {job.id} is {job.state(now)} and cannot be cancelled")
        goes_on = TICK if job.state(now) == "processing" else 0.0
        job.change(Fate(pending=0.0, running=goes_on, end="cancelled"), now)
        return {}

    def _delete_v2(self, visit: Visit) -> dict[str, Any]:
        job = self._find(ImportV2, visit)
        state = job.state(self._clock())
        if state != "queued":
            raise invalid(f"import {job.id} is {state} and cannot be deleted: only queued imports can")
        del self._jobs[job.id]
        return {}

    def _get_external(self, visit: Visit) -> dict[str, Any]:
        if self._external is None:
            raise missing("there is no external storage")
        return self._external

    def _put_external(self, visit: Visit) -> dict[str, Any]:
        body = visit.json_object()
        check(body, _EXTERNAL_STORAGE)
        kind = body["type"]
        if body.get(kind) is None:
            raise invalid(f"{kind} is required with type {kind}")
        about = {key: value for key, value in body[kind].items() if key != "credentials"}
        if kind == "gcs":
            about["credentials_set"] = True
        now = nanoseconds(self._clock())
        created = self._external["created_at"] if self._external else now
        self._external = {"type": kind, kind: about, "created_at": created, "updated_at": now}
        return {}

    def _delete_external(self, visit: Visit) -> dict[str, Any]:
        self._external = None
        return {}

    def _validate_external(self, visit: Visit) -> dict[str, Any]:
        self._get_external(visit)
        return {}

    def _keep(self, job: Job, visit: Visit) -> None:
        self._jobs[job.id] = job
        visit.entry.stream_task_id = job.id
        visit.entry.items = list(job.items)

    def _find(self, kind: type[AnyImport], visit: Visit) -> AnyImport:
        job = self._jobs.get(visit.params["id"])
        if not isinstance(job, kind) or self._clock() < job.visible:
            raise missing(f"Can't find import with id {visit.params['id']}")
        return job

    def _all(self, kind: type[AnyImport]) -> Iterator[AnyImport]:
        now = self._clock()
        return (job for job in self._jobs.values() if isinstance(job, kind) and now >= job.visible)


def _count(visit: Visit, name: str) -> int | None:
    text = visit.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise invalid(f"{name} must be a whole number, 0 or more")
    return int(text)
