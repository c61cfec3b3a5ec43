"""The refusal to send more items than are allowed."""

from __future__ import annotations

from typing import Any

from airflow_provider_streamtasks import configuration
from airflow_provider_streamtasks.exceptions import StreamException
from airflow_provider_streamtasks.protocol.rails import UNLIMITED, parse_max_items
from airflow_provider_streamtasks.waiting import StreamVerdict


class TooManyItemsError(StreamException, StreamVerdict):
    """
    There are more items than ``max_items`` allows, and none was sent.

    Airflow does not retry it: no retry makes them fewer.

    :param count: items that there are
    :param max_items: items that are allowed
    """

    error_type = "too_many_items"
    count: int
    max_items: int

    def __init__(self, message: str = "", *, count: int, max_items: int, **fields: Any) -> None:
        super().__init__(message, count=count, max_items=max_items, **fields)


def refuse_too_many(count: int, max_items: Any, name: str) -> None:
    """
    Refuse more items than are allowed.

    :param max_items: the operator's argument, rendered; ``None``: as ``[streamtasks] max_items`` says
    :param name: of the argument that gives the items
    :raises TooManyItemsError: if there are more
    :raises ValueError: if the limit is none
    """
    whose = "max_items"
    if max_items is None:
        whose, max_items = f"[{configuration.SECTION}] max_items", configuration.max_items()
    limit = parse_max_items(whose, max_items)
    if count > limit:
        raise TooManyItemsError(
            f"{name} has {count:,} items, {whose} allows {limit:,}, and nothing was sent",
            hint=f"If all of them are meant, give the operator max_items={count}, or {UNLIMITED!r}.",
            count=count,
            max_items=int(limit),
        )
