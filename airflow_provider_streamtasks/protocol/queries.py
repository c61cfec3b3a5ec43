"""
Listing channels and users, page by page: which page to ask for next, and what of it is new.

Stream skips no more than 1,000 entries (its ``offset``). So a listing goes by a key: each page begins at the
key with which the last one ended, and what both hold is left out. So nothing is skipped and nothing comes
twice, however much there is, and whatever is deleted meanwhile.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from reprlib import repr as shortened
from typing import Any, ClassVar

from airflow_provider_streamtasks.exceptions import StreamApiException, StreamException
from airflow_provider_streamtasks.protocol.errors import read_body
from airflow_provider_streamtasks.protocol.wire import Request, Response

MAX_OFFSET = 1000
"""Entries that Stream skips at the most. Stream docs: querying channels."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Listing(ABC):
    """
    The pages of one listing.

    Sorted by its key and nothing else, in either direction, it has no end but its own. In any other order
    Stream's offset is all there is: 1,000 entries and one page more, and an entry that moves in that order
    meanwhile may be missed.

    :param filter_conditions: Stream's filter. Points in time may be aware ``datetime`` objects.
    :param sort: field -> 1 (ascending) or -1 (descending), the most important first; ``None`` for the key
    :param page_size: entries that one request asks for; ``None`` for as many as Stream allows
    :raises ValueError: naming the argument that is not allowed
    """

    operation: ClassVar[str]
    """Stream's name of the call."""
    noun: ClassVar[str]
    """What is listed, and what the list is called in Stream's answer."""
    id: ClassVar[str]
    """The field that tells an entry from all others."""
    key: ClassVar[str]
    """The field to go by."""
    max_page_size: ClassVar[int]
    """Entries that Stream puts on a page at the most."""

    def __init__(
        self,
        filter_conditions: Mapping[str, Any] | None = None,
        sort: Mapping[str, int] | None = None,
        page_size: int | None = None,
    ) -> None:
        self.page_size = self.max_page_size if page_size is None else page_size
        if type(self.page_size) is not int or not 1 <= self.page_size <= self.max_page_size:
            raise ValueError(
                f"page_size is {shortened(page_size)}: 1 to {self.max_page_size} {self.noun} are allowed"
            )
        self.over = False
        self._filter = _checked_filter({} if filter_conditions is None else filter_conditions)
        self._sort = _checked_sort(sort) or {self.key: 1}
        self._keyed = list(self._sort) == [self.key]
        self._ascending = self._sort.get(self.key) == 1
        self._start: Any = None
        self._offset = 0
        self._seen: set[str] = set()

    def request(self) -> Request:
        """
        Return the request for the next page.

        :raises StreamException: if there is more, but Stream skips no further
        """
        if self._offset > MAX_OFFSET:
            raise StreamException(
                f"{self.operation}: there are more {self.noun} than Stream lists in this way, "
                f"which ends after {self._offset}",
                hint=f"List fewer at a time, by a filter, or sort by {self.key} alone: that has no such end.",
            )
        sort = [{"field": field, "direction": direction} for field, direction in self._sort.items()]
        return self._request({"sort": sort, "limit": self.page_size, "offset": self._offset})

    def read(self, response: Response, now: float) -> list[dict[str, Any]]:
        """
        Take in the answer to :meth:`request`, and return the entries that no page has held before.

        :param now: this machine's clock as Unix time
        :raises StreamApiException: if the answer is an error, or does not list
        """
        entries = self._entries(response, now)
        ids = [entry[self.id] for entry in entries]
        new = [entry for entry in entries if entry[self.id] not in self._seen]
        end = entries[-1][self.key] if entries and self._keyed else self._start
        if end != self._start:
            self._start, self._offset, self._seen = end, 0, set(ids)
        else:
            # Another order, or a whole page of one and the same key: only the offset leads past it.
            self._offset += len(entries)
            self._seen.update(ids)
        # Stream may leave something out of a page, so one that is not full is not yet the end.
        self.over = len(entries) < self.page_size and not (new and self._offset <= MAX_OFFSET)
        return new

    def _entries(self, response: Response, now: float) -> list[dict[str, Any]]:
        elements = read_body(self.operation, response, now).get(self.noun)
        if isinstance(elements, list):
            entries = [self._entry(element) for element in elements]
            if all(isinstance(entry, dict) and self._can_go_by(entry) for entry in entries):
                return entries
        raise StreamApiException(
            f"{self.operation}: the answer does not list {self.noun}, each with {self.id} and {self.key}",
            status_code=response.status,
        )

    def _can_go_by(self, entry: Mapping[str, Any]) -> bool:
        return isinstance(entry.get(self.id), str)

    @abstractmethod
    def _request(self, query: dict[str, Any]) -> Request:
        """Return the request with the filter, and where the page begins."""

    def _entry(self, element: Any) -> Any:
        """Return the entry that stands in an element of Stream's list."""
        return element


class ChannelListing(Listing):
    """
    Channels, in the order of their creation.

    Stream sorts channels by nothing that is theirs alone, so a page begins *with* the moment at which the one
    before ended. More than 1,000 channels of one and the same moment cannot be listed.
    """

    operation = "QueryChannels"
    noun = "channels"
    id = "cid"
    key = "created_at"
    max_page_size = 30

    def _request(self, query: dict[str, Any]) -> Request:
        conditions = self._filter
        if self._start is not None:
            bound = {self.key: {"$gte" if self._ascending else "$lte": _bound(self._start, self._ascending)}}
            conditions = {"$and": [conditions, bound]} if self.key in conditions else {**conditions, **bound}
        # Without their state, Stream leaves out the members and messages of channels.
        body = {"filter_conditions": conditions, "state": False, **query}
        return Request(self.operation, "POST", "/api/v2/chat/channels", json=body)

    def _entry(self, element: Any) -> Any:
        return element.get("channel") if isinstance(element, dict) else None

    def _can_go_by(self, entry: Mapping[str, Any]) -> bool:
        return super()._can_go_by(entry) and _bound(entry.get(self.key), self._ascending) is not None


class UserListing(Listing):
    """
    Users, in the order of their ids.

    :param include_deactivated_users: list users that are deactivated, too
    """

    operation = "QueryUsers"
    noun = "users"
    id = "id"
    key = "id"
    max_page_size = 100

    def __init__(
        self,
        filter_conditions: Mapping[str, Any] | None = None,
        sort: Mapping[str, int] | None = None,
        page_size: int | None = None,
        *,
        include_deactivated_users: bool = False,
    ) -> None:
        super().__init__(filter_conditions, sort, page_size)
        self._include_deactivated_users = include_deactivated_users

    def _request(self, query: dict[str, Any]) -> Request:
        payload = {"filter_conditions": self._filter, "presence": False, **query}
        if self._include_deactivated_users:
            payload["include_deactivated_users"] = True
        if self._start is not None:
            payload["id_gte" if self._ascending else "id_lte"] = self._start
        return Request(self.operation, "GET", "/api/v2/users", query={"payload": json.dumps(payload)})


def _bound(moment: Any, ascending: bool) -> str | None:
    """Return a time of Stream's answers as its filters take it; ``None`` if it is no time."""
    if isinstance(moment, str):
        return moment or None
    if isinstance(moment, bool) or not isinstance(moment, int | float):
        return None
    try:
        nanoseconds = int(moment)
        if isinstance(moment, float):
            # It may be off by some hundred nanoseconds: better to ask for a little too much.
            nanoseconds += -1000 if ascending else 1000
        seconds, fraction = divmod(nanoseconds, 10**9)
        return f"{(_EPOCH + timedelta(seconds=seconds)).strftime('%Y-%m-%dT%H:%M:%S')}.{fraction:09}Z"
    except (ValueError, OverflowError):
        return None


def _checked_filter(conditions: Any) -> dict[str, Any]:
    if not isinstance(conditions, Mapping):
        raise ValueError(f"filter_conditions is {shortened(conditions)}: a dictionary is needed")
    try:
        checked: dict[str, Any] = _json(conditions)
        json.dumps(checked, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"filter_conditions cannot be sent as JSON: {error}") from None
    return checked


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _json(entry) for key, entry in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [_json(entry) for entry in value]
    return value


def _checked_sort(sort: Any) -> dict[str, int]:
    if sort is None:
        return {}
    if not isinstance(sort, Mapping) or not all(
        isinstance(field, str) and field and type(direction) is int and direction in (1, -1)
        for field, direction in sort.items()
    ):
        raise ValueError(
            f"sort is {shortened(sort)}: a dictionary like {{'last_message_at': -1}} is needed, "
            "with 1 for ascending and -1 for descending"
        )
    return dict(sort)
