"""
What can go wrong at Stream.

::

    StreamException
    ├── StreamConfigurationError         the Airflow connection cannot be used as it is
    ├── StreamApiException               Stream answered, and it was an error (or not an answer at all)
    │   └── StreamRateLimitException     the budget of the endpoint is spent (429)
    ├── StreamTransportException         no answer: refused, reset, timed out, TLS, DNS
    │   └── StreamTaskTimeout            the wait's own deadline passed; the Stream tasks may still run
    ├── StreamTaskException              Stream says that the Stream task failed
    │   └── StreamTaskFailed *           the same, raised by a sensor
    ├── StreamSubmissionException        what was submitted is not, or not certainly, what was asked for
    │   └── StreamSubmissionFailed *     the same, raised by an operator
    └── TooManyItemsError *              there are more items than max_items allows
    NoStreamTaskError *                  no Airflow task has named a Stream task: also a ValueError

Names and fields are those of Stream's official SDK, so Stream's documentation applies. Those with a star are
also an ``AirflowFailException``, which Airflow does not retry; they stand with the operators and sensors that
raise them. The others are no ``AirflowException``: a deferred sensor with ``soft_fail`` turns those into a
skip, and an outage of Stream must not look like one.

Each has the fields ``task_id``, ``error_type``, ``description``, ``stack_trace`` and ``version``, so that the
template of a notifier can always name them. Each survives pickling and :meth:`StreamException.to_dict`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

MAY_HAVE_BEEN_TAKEN = (
    "Stream may or may not have taken this submission, so it was not sent again: check at Stream whether the "
    "work was done before you submit it again."
)
WAS_SUBMITTED = (
    "Stream goes on with what was submitted. Clearing this Airflow task would submit it again: let a "
    "StreamTaskSensor wait for it."
)


class StreamException(Exception):
    """
    Base of everything that this provider raises about Stream.

    :param message: what happened
    :param hint: what to do about it, if that is known where it is raised
    :param fields: what subclasses add. Each becomes an attribute of the same name.
    """

    message: str
    hint: str
    task_id: str = ""
    error_type: str = "unknown"
    stack_trace: str = ""
    version: str = ""

    may_be_taken: bool = False
    """Whether Stream may have taken the submission that failed with this error."""
    batch: str = ""
    """The batch that may be taken, in words."""
    was_submitted: bool = False
    """Whether it ended only the wait of an Airflow task that had submitted everything."""
    uncertain_batches: str = ""
    """Other batches of the same Airflow task that Stream may have accepted, in words."""

    def __init__(self, message: str = "", *, hint: str = "", **fields: Any) -> None:
        super().__init__(message)
        self.__dict__.update(message=message, hint=hint, **fields)

    def __str__(self) -> str:
        return f"{self.describe().rstrip('.')}. {self.advice}" if self.advice else self.describe()

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), **self.fields()), ()

    def describe(self) -> str:
        """Return in words what happened, without the advice."""
        return self.message

    @property
    def advice(self) -> str:
        """What to do about it, in words; empty where there is nothing to add."""
        sentences = (
            f"It was {self.batch}." if self.batch else "",
            MAY_HAVE_BEEN_TAKEN if self.may_be_taken else "",
            self.hint,
            WAS_SUBMITTED if self.was_submitted else "",
            f"Check at Stream whether batch {self.uncertain_batches} was done: an earlier try sent it and "
            "saw no answer."
            if self.uncertain_batches
            else "",
        )
        return " ".join(filter(None, sentences))

    @property
    def description(self) -> str:
        """What happened, in words."""
        return self.describe()

    def fields(self) -> dict[str, Any]:
        """Return the keyword arguments that make this exception again, as plain JSON values."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def to_dict(self) -> dict[str, Any]:
        """Return the class name and the fields, as a trigger event carries them."""
        return {"exception": type(self).__name__, **self.fields()}

    def for_templates(self) -> dict[str, str]:
        """Return the fields that every exception about Stream has."""
        names = ("task_id", "error_type", "description", "stack_trace", "version")
        return {name: getattr(self, name) for name in names}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> StreamException:
        """Return the exception that :meth:`to_dict` described."""
        fields = dict(data)
        return _BY_NAME.get(fields.pop("exception", ""), StreamException)(**fields)


class StreamConfigurationError(StreamException, ValueError):
    """The Airflow connection lacks something or holds something that is not allowed."""

    error_type = "configuration"


class StreamApiException(StreamException):
    """
    The answer is an error, or not Stream's at all.

    :param status_code: the HTTP status, such as 404
    :param code: Stream's own error code, such as 16 for "does not exist"; 0 where the body had none
    :param message: Stream's message
    :param exception_fields: name of a request field -> what is wrong with it
    :param unrecoverable: Stream says that the same request will never succeed
    :param more_info: address of Stream's page on the error
    :param details: Stream's numeric details
    :param raw_response_body: the beginning of the body, without signatures of URLs; empty if it may hold the
        data that was asked for
    """

    error_type = "api_error"
    status_code: int
    code: int
    exception_fields: dict[str, str]
    unrecoverable: bool
    more_info: str
    details: list[Any]
    raw_response_body: str

    def __init__(
        self,
        message: str = "",
        *,
        status_code: int,
        code: int = 0,
        exception_fields: Mapping[str, str] | None = None,
        unrecoverable: bool = False,
        more_info: str = "",
        details: Sequence[Any] = (),
        raw_response_body: str = "",
        **fields: Any,
    ) -> None:
        super().__init__(
            message,
            status_code=status_code,
            code=code,
            exception_fields=dict(exception_fields or {}),
            unrecoverable=unrecoverable,
            more_info=more_info,
            details=list(details),
            raw_response_body=raw_response_body,
            **fields,
        )

    def describe(self) -> str:
        """Return the status, Stream's code and message, and the fields of the request that were wrong."""
        text = f"Stream answered {self.status_code}"
        if self.code:
            text += f", code {self.code}"
        text += f": {self.message}"
        if self.exception_fields:
            text += " (" + "; ".join(f"{k}: {v}" for k, v in self.exception_fields.items()) + ")"
        return text


class StreamRateLimitException(StreamApiException):
    """
    The budget of the endpoint is spent.

    :param retry_after: seconds until Stream takes requests again; ``None`` where the answer does not say
    """

    error_type = "rate_limit"
    retry_after: float | None

    def __init__(self, message: str = "", *, retry_after: float | None = None, **fields: Any) -> None:
        super().__init__(message, retry_after=retry_after, **fields)


class StreamTransportException(StreamException):
    """
    No answer came.

    :param error_type: ``connection_refused``, ``connection_reset``, ``timeout``, ``dns_failure``,
        ``tls_handshake_failed`` or ``unknown``
    :param request_sent: whether Stream may have received the request. False only where it certainly did not.
    """

    request_sent: bool

    def __init__(
        self, message: str = "", *, error_type: str = "unknown", request_sent: bool = True, **fields: Any
    ) -> None:
        super().__init__(message, error_type=error_type, request_sent=request_sent, **fields)


class StreamTaskTimeout(StreamTransportException):
    """
    The deadline of a wait passed before Stream finished.

    :param task_ids: the Stream tasks that were not finished; they may still run
    :param last_error: why the last poll of one of them brought no status, in words; empty where all did
    """

    task_ids: list[str]
    last_error: str

    def __init__(
        self, message: str = "", *, task_ids: Sequence[str], last_error: str = "", **fields: Any
    ) -> None:
        fields = {"error_type": "timeout", **fields}
        super().__init__(message, **fields, task_ids=list(task_ids), last_error=last_error)

    @property
    def task_id(self) -> str:  # type: ignore[override]
        """The first Stream task that was not finished."""
        return self.task_ids[0] if self.task_ids else ""


class StreamTaskException(StreamException):
    """
    Stream says that a Stream task failed, or the work of a completed one, or items inside it.

    :param task_id: the Stream task; the first one where several failed
    :param error_type: Stream's type of the error; ``unknown`` where Stream gave none,
        ``channel_batch_update`` where the Stream task completed but its result says that the work failed,
        ``partial_failure`` where the work completed but items inside it failed, ``import_failed``
    :param description: Stream's reason, wherever it stands; an empty string where there is none
    :param stack_trace: Stream's stack trace, or an empty string
    :param version: the version of Stream's backend, or an empty string
    :param task_ids: every Stream task of this wait that failed
    :param failed_items: item -> reason, where Stream names what failed inside
    :param created_at: when Stream created the Stream task, as Unix time in seconds; ``None`` where not known
    """

    description: str = ""
    task_ids: list[str]
    failed_items: dict[str, str]
    created_at: float | None

    def __init__(
        self,
        message: str = "",
        *,
        task_id: str,
        error_type: str = "unknown",
        description: str = "",
        stack_trace: str = "",
        version: str = "",
        task_ids: Sequence[str] = (),
        failed_items: Mapping[str, str] | None = None,
        created_at: float | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(
            message,
            task_id=task_id,
            error_type=error_type,
            description=description,
            stack_trace=stack_trace,
            version=version,
            task_ids=list(task_ids) or [task_id],
            failed_items=dict(failed_items or {}),
            created_at=created_at,
            **fields,
        )


class StreamSubmissionException(StreamException):
    """
    What was submitted is not, or not certainly, what was asked for.

    :param batches: the places of the batches in question, counted from 0
    """

    error_type = "submission"
    batches: list[int]

    def __init__(self, message: str = "", *, batches: Sequence[int], **fields: Any) -> None:
        super().__init__(message, batches=list(batches), **fields)


_BY_NAME: dict[str, type[StreamException]] = {
    name: each
    for name, each in list(globals().items())
    if isinstance(each, type) and issubclass(each, StreamException)
}
