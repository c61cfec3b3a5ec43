"""
What becomes of a completed wait: its XComs, what the log says, what is masked, and whether it is a failure.

XComs stay in Airflow's database, where everyone who may see the DAG can read them. So two things are cut
unless the user asks for them: people, and results above a size. This module alone decides; a worker and the
triggerer carry it out.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from types import MappingProxyType
from typing import Any

from airflow_provider_streamtasks.exceptions import StreamException
from airflow_provider_streamtasks.protocol.failures import partial_failure
from airflow_provider_streamtasks.protocol.people import is_verdict, without_people
from airflow_provider_streamtasks.protocol.results import failed_items
from airflow_provider_streamtasks.protocol.signatures import signatures, without_signature
from airflow_provider_streamtasks.protocol.tasks import STREAM_TASKS, StreamTask
from airflow_provider_streamtasks.protocol.wait import Ended

RETURN_VALUE = "return_value"
"""Key of the XCom with the return value of an Airflow task."""

FAILED_ITEMS = "failed_items"
"""Key of the XCom of items that failed: item -> reason; or their number, where that would be too large."""

VALIDATION_REPORT = "validation_report"
"""Key of the XCom with Stream's reports on the files of failed imports: import -> report."""

MAX_RESULT_SIZE = 64 * 1024
"""Bytes of an XCom at most, where nothing else is said."""

_FIELD = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_FIELDS = 20
"""Fields that a result has at most. One with more, or with other names, is taken for a map of items."""

_IN_XCOM = "With push_result=True the XCom is the whole"


@dataclass(frozen=True, slots=True)
class XComPolicy:
    """
    What becomes an XCom, and under which key.

    :param do_xcom_push: whether anything may: Airflow's argument of that name
    :param push_result: True: the results as they came, whatever their size and whoever is in them. False:
        nothing of them. ``None``: people are cut to their ids, and too much is cut to a summary.
    :param max_result_size: bytes of one XCom at most, as JSON
    :param redact_result_urls: whether URLs in results lose their signature
    :param fail_on_partial: whether items that failed inside completed work are a failure
    :param result_key: of the XCom that gets the results. If it is not ``return_value``, that one gets the ids
        of the Stream tasks.
    :param single: whether the result of the one Stream task is wanted, and not a list of results; ``None``:
        where there is exactly one
    """

    do_xcom_push: bool = True
    push_result: bool | None = None
    max_result_size: int = MAX_RESULT_SIZE
    redact_result_urls: bool = False
    fail_on_partial: bool = False
    result_key: str = RETURN_VALUE
    single: bool | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """
    What an Airflow task hands on.

    :param xcoms: key -> value
    :param secrets: what every log must mask, before anything else is done
    :param log_lines: lines for the log
    :param warnings: warnings for the log
    :param failure: what to raise once the XComs are pushed; ``None`` for a success
    """

    # Not in the repr, and so not in a log: they may hold signed URLs.
    xcoms: Mapping[str, Any] = field(repr=False)
    secrets: Sequence[str] = field(default=(), repr=False)
    log_lines: Sequence[str] = ()
    warnings: Sequence[str] = ()
    failure: StreamException | None = None


def failed_inside(
    tasks: Sequence[StreamTask], refused: Mapping[str, Mapping[str, str]] = MappingProxyType({})
) -> dict[str, dict[str, str]]:
    """
    Return the items that failed inside Stream tasks: Stream task -> item -> reason.

    :param refused: those that failed already when they were submitted, likewise
    """
    return {task.task_id: failed_items(task.inside, refused.get(task.task_id, {})) for task in tasks}


def decide(
    ended: Ended,
    policy: XComPolicy,
    *,
    refused: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    whole: str = STREAM_TASKS.whole,
) -> Delivery:
    """
    Decide what becomes of a wait that is over.

    :param ended: how the Stream tasks stand
    :param refused: as for :func:`failed_inside`
    :param whole: what to call for a whole result, wherever it is needed
    """
    if (failure := ended.failure) is not None:
        failed = [task for task in ended.finished if task.failed]
        inside = failed_inside(failed, refused)
        reports = {task.task_id: without_signature(task.report) for task in failed if task.report}
        values = {FAILED_ITEMS: _joined(inside), VALIDATION_REPORT: reports or None}
        return replace(limited(values, policy, whole), failure=failure)
    tasks = ended.finished
    inside = failed_inside(tasks, refused)
    results = [task.result for task in tasks]
    value = one_or_list(results) if policy.single is None else results[0] if policy.single else results
    task_ids = [each for each in inside if inside[each]]
    delivery = _deliver(value, _joined(inside), task_ids, policy, whole, ended.noun)
    if policy.result_key == RETURN_VALUE or delivery.failure or not policy.do_xcom_push:
        return delivery
    ids = one_or_list([task.task_id for task in tasks])
    return replace(delivery, xcoms={**delivery.xcoms, RETURN_VALUE: ids})


def one_or_list(values: list[Any]) -> Any:
    """Return the one value there is, or else the list of them."""
    return values[0] if len(values) == 1 else values


def decide_at_once(
    result: Mapping[str, Any] | None, failed: Mapping[str, str], policy: XComPolicy
) -> Delivery:
    """
    Decide what becomes of work that Stream did without a Stream task.

    :param result: what Stream answered, if there is anything to hand on
    :param failed: the items that failed: item -> reason
    """
    return _deliver(result, failed, [], policy)


def limited(values: Mapping[str, Any], policy: XComPolicy, whole: str = "") -> Delivery:
    """
    Cut values to what the policy allows.

    :param values: key of an XCom -> value; no XCom comes of ``None``, nor of no failed items
    :param whole: as for :func:`decide`; empty where only the XCom can be the whole
    """
    remedy = f"{_IN_XCOM}{whole and f'. So is {whole}'}."
    xcoms: dict[str, Any] = {}
    log_lines: list[str] = []
    warnings: list[str] = []
    for key, value in values.items():
        if not policy.do_xcom_push or value is None:
            continue
        if key == FAILED_ITEMS:
            if value:
                xcoms[key] = _failed_items(value, policy, remedy, warnings)
        elif policy.push_result is not False:
            xcoms[key] = _result(key, value, policy, remedy, log_lines, warnings)
    secrets = dict.fromkeys(signatures(list(values.values())))
    return Delivery(xcoms, list(secrets), log_lines, warnings)


def summary(value: Any) -> dict[str, int]:
    """
    Return the numbers that describe results: how many there are, and how much is in their fields.

    It holds only numbers, and is small for results of any size.

    :param value: one result, or a list of them
    """
    results = value if isinstance(value, list) else [value]
    counts: Counter[str] = Counter()
    for result in results:
        counts.update(_counts(result))
    if len(counts) > _FIELDS:
        counts = Counter(items=sum(counts.values()))
    return {**counts, "results": len(results)}


def _joined(inside: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {item: reason for failed in inside.values() for item, reason in failed.items()}


def _deliver(
    value: Any,
    failed: Mapping[str, str],
    task_ids: Sequence[str],
    policy: XComPolicy,
    whole: str = "",
    noun: str = STREAM_TASKS.noun,
) -> Delivery:
    key = policy.result_key
    if not failed:
        return limited({key: value}, policy, whole)
    error = partial_failure(failed, task_ids, noun)
    if policy.fail_on_partial:
        allowed = limited({FAILED_ITEMS: failed}, policy, whole)
        secrets = dict.fromkeys(signatures([failed, value]))
        return replace(allowed, secrets=list(secrets), failure=error)
    allowed = limited({FAILED_ITEMS: failed, key: value}, policy, whole)
    return replace(allowed, warnings=[str(error), *allowed.warnings])


def _failed_items(items: Mapping[str, str], policy: XComPolicy, remedy: str, warnings: list[str]) -> Any:
    if policy.push_result or not _is_larger(items, policy.max_result_size):
        return items
    # Neither a part of them nor an object of another kind: somebody may submit again the items that it names.
    warnings.append(_too_large(FAILED_ITEMS, "the number of items that failed", policy, remedy))
    return len(items)


def _result(
    key: str, whole: Any, policy: XComPolicy, remedy: str, log_lines: list[str], warnings: list[str]
) -> Any:
    value = without_signature(whole) if policy.redact_result_urls else whole
    if policy.push_result:
        return value
    value, people = without_people(value)
    if _is_larger(value, policy.max_result_size):
        warnings.append(_too_large(key, "a summary", policy, remedy))
        return {"summary": summary(whole)}
    if people:
        log_lines.append(
            f"There are {people} users, or objects like them, in the result: the XCom {key!r} has their ids "
            f"alone. {remedy}"
        )
    return value


def _too_large(key: str, what: str, policy: XComPolicy, remedy: str) -> str:
    return (
        f"The XCom {key!r} is {what}, because the whole is larger than max_result_size "
        f"({policy.max_result_size:,} bytes). {remedy}"
    )


def _is_larger(value: Any, size: int) -> bool:
    # Counted as Airflow writes it into its database, and only until the size is exceeded.
    written = accumulate(map(len, json.JSONEncoder().iterencode(value)))
    return any(total > size for total in written)


def _counts(result: Any) -> Mapping[str, int]:
    if isinstance(result, list):
        return {"items": len(result)}
    if not isinstance(result, Mapping):
        return {}
    objects = (value for value in result.values() if isinstance(value, Mapping))
    if len(result) > _FIELDS or any(map(is_verdict, objects)) or not all(map(_FIELD.fullmatch, result)):
        return {"items": len(result)}
    counts = {}
    for name, value in result.items():
        if isinstance(value, Mapping | list):
            counts[name] = len(value)
        elif name.endswith("_count") and isinstance(value, int):
            counts[name] = value
    return counts
