"""What to do about an error of Stream's: the sentence of an alert that a person acts on."""

from __future__ import annotations

from airflow_provider_streamtasks.exceptions import (
    StreamApiException,
    StreamConfigurationError,
    StreamException,
    StreamRateLimitException,
    StreamSubmissionException,
    StreamTaskException,
    StreamTaskTimeout,
    StreamTransportException,
)
from airflow_provider_streamtasks.protocol.errors import is_passing

READ_THE_LOG = "Read the log. When the cause is gone, clear this Airflow task."


def advice(error: StreamException, *, submits: bool | None) -> str:
    """
    Return what to do about an error.

    :param error: what went wrong at Stream; its own advice comes first
    :param submits: whether clearing the Airflow task submits to Stream, rather than only waits once more;
        ``None`` where that is not known
    """
    if error.advice:
        return error.advice
    again = "Clear this Airflow task" if submits else "Clear the Airflow task that submitted it"
    match error:
        case StreamConfigurationError():
            return "Correct the Airflow connection, then clear this Airflow task."
        case StreamTaskException(error_type="partial_failure"):
            return (
                "Stream did the rest. The XCom failed_items of this Airflow task has every item with its "
                "reason: submit those again when the reasons are gone."
            )
        case StreamTaskException(error_type="import_failed"):
            return (
                f"Correct the file as the XCom validation_report says, if there is one. {again} afterwards."
            )
        case StreamTaskException():
            return (
                f"A failed Stream task stays failed. {again} to submit it again, or ask Stream's support "
                "about its id."
            )
        case StreamTaskTimeout() if submits is not False:
            would = "would" if submits else "may"
            return (
                f"Do not clear this Airflow task, which {would} submit it again: let a StreamTaskSensor wait "
                "for the Stream task. Raise wait_timeout for the next run."
            )
        case StreamTaskTimeout():
            return (
                "Clear this Airflow task to wait once more, which submits nothing. Raise its timeout if "
                "Stream needs this long every time."
            )
        case StreamSubmissionException():
            return "Check at Stream what was done before you submit anything again."
        case StreamRateLimitException():
            pause = "a minute" if error.retry_after is None else f"{error.retry_after:.0f} s"
            return (
                f"The budget of this endpoint is used up: wait {pause}, then clear this Airflow task. If it "
                "happens often, spread the DAGs over time."
            )
        case StreamApiException() if is_passing(error):
            return (
                "Stream has trouble: see https://status.getstream.io, and clear this Airflow task afterwards."
            )
        case StreamApiException(status_code=404):
            return "Check the id, and that the Airflow connection leads to the app that it belongs to."
        case StreamApiException():
            return (
                "Stream will refuse this request every time: correct what it names, then clear this Airflow "
                "task."
            )
        case StreamTransportException():
            return "Check the way from Airflow to Stream (network, proxy, DNS), then clear this Airflow task."
    return READ_THE_LOG
