"""QueryChannels and QueryUsers: what the directory holds, filtered, sorted and in pages."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from airflow_provider_streamtasks.sandbox import filters
from airflow_provider_streamtasks.sandbox.answers import invalid
from airflow_provider_streamtasks.sandbox.directory import Directory
from airflow_provider_streamtasks.sandbox.endpoints import Endpoint, Visit
from airflow_provider_streamtasks.sandbox.fields import Field, check

MAX_OFFSET = 1000
Sort = tuple[tuple[str, int], ...]
_BY_ID = ("id_gt", "id_gte", "id_lt", "id_lte")
_SORT = Field(
    "sort",
    "objects",
    fields=(
        Field("field", required=True),
        Field("direction", "integer"),
        Field("type", choices=("", "number", "boolean")),
    ),
)
_PAGE = (Field("filter_conditions", "object"), _SORT, Field("limit", "integer"), Field("offset", "integer"))
_CHANNELS = (
    *_PAGE,
    Field("state", "boolean"),
    Field("member_limit", "integer"),
    Field("message_limit", "integer"),
    Field("user_id"),
    Field("user", "object"),
    Field("member_custom_include", "strings"),
    # Of API v1, for clients with a WebSocket; servers may send them too.
    Field("watch", "boolean"),
    Field("presence", "boolean"),
)
_USERS = (
    *_PAGE,
    *(Field(name) for name in _BY_ID),
    Field("presence", "boolean"),
    Field("include_deactivated_users", "boolean"),
    Field("user_id"),
    Field("user", "object"),
)


@dataclass(frozen=True, slots=True)
class Shelf:
    """One sort of things that can be listed.

    :param noun: what they are.
    :param fields: what they can be filtered by.
    :param sorts: what they can be sorted by; ``None`` for any field.
    :param usual: the order where none is asked for.
    :param limit: how many are listed where no number is asked for.
    :param most: how many may be asked for.
    """

    noun: str
    fields: Mapping[str, tuple[str, frozenset[str]]]
    sorts: frozenset[str] | None
    usual: tuple[tuple[str, int], ...]
    limit: int
    most: int


CHANNELS = Shelf(
    "channels",
    filters.CHANNEL_FIELDS,
    frozenset({"last_updated", "last_message_at", "updated_at", "created_at", "member_count"}),
    (("last_updated", -1),),
    limit=10,
    most=30,
)
USERS = Shelf("users", filters.USER_FIELDS, None, (("created_at", -1), ("id", -1)), limit=30, most=100)


@dataclass(slots=True)
class Order:
    """All entries of a shelf in one order.

    :param entries: all of them.
    :param keys: what they are sorted by first, ascending; empty where something has no value for it.
    """

    entries: list[Any]
    keys: list[Any]

    def start(self, shelf: Shelf, sort: Sort, conditions: Any) -> int:
        """Where to begin to look: what lies before is not allowed by the filter."""
        [(name, direction), *_] = sort
        starts = [0]
        if self.keys:
            for operator, value in filters.bounds(conditions, name, shelf.fields):
                if not filters.comparable(self.keys[0], value):
                    continue
                if direction > 0 and operator in ("$gt", "$gte"):
                    starts.append((bisect_right if operator == "$gt" else bisect_left)(self.keys, value))
                elif direction < 0 and operator in ("$lt", "$lte"):
                    after = (bisect_left if operator == "$lt" else bisect_right)(self.keys, value)
                    starts.append(len(self.keys) - after)
        return max(starts)


@dataclass(slots=True)
class Queries:
    """The two endpoints.

    :param directory: what there is.
    """

    directory: Directory
    _orders: dict[Any, Order] = field(default_factory=dict)
    _version: int = -1

    def endpoints(self) -> Iterator[Endpoint]:
        """What the API offers here."""
        yield Endpoint("QueryChannels", "POST", "/api/v2/chat/channels", self.channels)
        yield Endpoint("QueryUsers", "GET", "/api/v2/users", self.users)

    def channels(self, visit: Visit) -> dict[str, Any]:
        """A page of channels; their state is always empty."""
        query = visit.json_object()
        check(query, _CHANNELS)
        found = self._page(CHANNELS, self.directory.channels, query, query.get("filter_conditions") or {})
        state: dict[str, Any] = {"members": [], "messages": [], "pinned_messages": [], "threads": []}
        return {"channels": [{**state, "channel": channel.as_stream_shows_it()} for channel in found]}

    def users(self, visit: Visit) -> dict[str, Any]:
        """A page of users; deactivated ones only on demand."""
        query = _payload(visit.query.get("payload", ""))
        check(query, _USERS)
        conditions = query.get("filter_conditions")
        if conditions is None:
            raise invalid("filter_conditions is a required field")
        by_id = {
            f"${name[3:]}": query[name] for name in ("id_gt", "id_gte", "id_lt", "id_lte") if query.get(name)
        }
        if by_id:
            conditions = {"$and": [conditions, {"id": by_id}]}
        if not query.get("include_deactivated_users"):
            conditions = {"$and": [conditions, {"deactivated_at": {"$exists": False}}]}
        found = self._page(USERS, self.directory.users, query, conditions)
        return {"users": [user.as_stream_shows_it() for user in found]}

    def _page(
        self,
        shelf: Shelf,
        entries: Mapping[str, Any],
        query: Mapping[str, Any],
        conditions: Any,
    ) -> list[Any]:
        limit = _number(query, "limit", shelf.limit, shelf.most)
        offset = _number(query, "offset", 0, MAX_OFFSET)
        sort = _sort(query, shelf)
        test = filters.build(conditions, shelf.fields)
        self.directory.settle()
        order = self._order(shelf, entries, sort)
        candidates = islice(order.entries, order.start(shelf, sort, conditions), None)
        matching = (entry for entry in candidates if test(entry))
        return list(islice(matching, offset, offset + limit))

    def _order(self, shelf: Shelf, entries: Mapping[str, Any], sort: Sort) -> Order:
        if self._version != self.directory.version:
            self._orders.clear()
            self._version = self.directory.version
        about = (shelf.noun, sort)
        if about not in self._orders:
            self._orders[about] = _sorted(shelf, entries, sort)
        return self._orders[about]


def _sorted(shelf: Shelf, entries: Mapping[str, Any], sort: Sort) -> Order:
    ordered = list(entries.values())
    for name, direction in reversed(sort):
        value = filters.read(name, shelf.fields)
        try:
            ordered.sort(key=_comparable(value), reverse=direction < 0)
        except TypeError:
            raise invalid(f"field `{name}` cannot be sorted by: its values are of several types") from None
    first, direction = sort[0]
    keys = [filters.read(first, shelf.fields)(entry) for entry in ordered]
    return Order(ordered, [] if None in keys else keys[::direction])


def _comparable(read: filters.Read) -> Callable[[Any], Any]:
    def key(entry: Any) -> tuple[bool, Any]:
        value = read(entry)
        return (value is None, 0 if value is None else value)

    return key


def _sort(query: Mapping[str, Any], shelf: Shelf) -> Sort:
    sort = tuple((each["field"], each.get("direction", 1)) for each in query.get("sort") or ())
    for name, direction in sort:
        if direction not in (1, -1):
            raise invalid("sort direction must be 1 or -1")
        if shelf.sorts is not None and name not in shelf.sorts:
            raise invalid(f"sorting by field `{name}` is not supported")
    return sort or shelf.usual


def _number(query: Mapping[str, Any], name: str, usual: int, most: int) -> int:
    number = query.get(name)
    if number is None:
        return usual
    if number < 0:
        raise invalid(f"{name} must be 0 or greater")
    if number > most:
        raise invalid(f"{name} must be {most} or less")
    return int(number)


def _payload(text: str) -> dict[str, Any]:
    try:
        payload = json.loads(text)
    except ValueError:
        payload = None
    if not isinstance(payload, dict):
        raise invalid("invalid json data")
    return payload
