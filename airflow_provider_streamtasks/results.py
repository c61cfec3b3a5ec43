"""The results of completed Stream tasks, on their way to XCom."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.log import mask_secret

from airflow_provider_streamtasks.protocol.polling import partial_failure
from airflow_provider_streamtasks.protocol.tasks import StreamTask, signatures, without_signature

if TYPE_CHECKING:
    from airflow.sdk import Context

FAILED_ITEMS_KEY = "failed_items"
VALIDATION_REPORT_KEY = "validation_report"

log = logging.getLogger(__name__)


def results_of(tasks: Sequence[StreamTask], *, redact_urls: bool) -> list[Any]:
    """
    Return what Stream tasks produced, as it goes to XCom.

    The signatures of URLs are masked in every log from now on; with ``redact_urls`` they are cut off.
    """
    results = [task.result for task in tasks]
    for query in signatures(results):
        mask_secret(query)
    return [without_signature(result) for result in results] if redact_urls else results


def failed_inside(tasks: Sequence[StreamTask]) -> tuple[dict[str, str], list[str]]:
    """Return the items that failed inside Stream tasks (item -> reason), and these tasks' ids."""
    inside = {task.task_id: failed for task in tasks if (failed := task.failed_items)}
    return {item: reason for failed in inside.values() for item, reason in failed.items()}, list(inside)


def report_failed_items(
    context: Context, items: dict[str, str], task_ids: Sequence[str], *, fail: bool
) -> None:
    """
    Say which items failed although Stream completed the work: a warning, and the XCom ``failed_items``.

    :param items: item -> reason; nothing is done where it is empty
    :param task_ids: the Stream tasks that they belong to
    :param fail: whether that is a failure
    :raises StreamTaskException: if items failed and ``fail`` is true
    """
    if not items:
        return
    context["ti"].xcom_push(FAILED_ITEMS_KEY, items)
    error = partial_failure(items, task_ids)
    if fail:
        raise error
    log.warning(str(error))


def report_failures(context: Context, tasks: Sequence[StreamTask], items: dict[str, str]) -> None:
    """
    Push what Stream says of work that failed: XComs ``failed_items``, and ``validation_report`` of imports.

    :param tasks: finished Stream tasks; nothing is done where none of them failed
    :param items: what failed inside them: item -> reason
    """
    failed = [task for task in tasks if task.failed]
    if failed and items:
        context["ti"].xcom_push(FAILED_ITEMS_KEY, items)
    if reports := {task.task_id: without_signature(task.report) for task in failed if task.report}:
        context["ti"].xcom_push(VALIDATION_REPORT_KEY, reports)
