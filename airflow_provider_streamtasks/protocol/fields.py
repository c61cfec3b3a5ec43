"""What a field of a request, or an argument, may hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from numbers import Number
from reprlib import repr as shortened
from types import NoneType
from typing import Any, Protocol, TypeVar

from airflow_provider_streamtasks.protocol.signatures import without_signature
from airflow_provider_streamtasks.protocol.wire import is_segment

T_co = TypeVar("T_co", covariant=True)

Item = str | dict[str, Any]
"""One element of the list that an operation works on."""

MAX_SECONDS = 1e9
"""Seconds that may be asked for: 31 years, and less than what Airflow and Python can add to a date."""

_SHOWN = (str, bytes, Number, date, timedelta, NoneType, Mapping, list, tuple, Set)
"""Types of which an error shows the value; of those that hold others, only an empty one."""


def quoted(value: Any) -> str:
    """Return what was given, for an error: of what may hold a person its type alone, of a URL no query."""
    holds = isinstance(value, Mapping | list | tuple | Set) and bool(value)
    if holds or not isinstance(value, _SHOWN):
        kind = type(value).__name__
        return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"
    if isinstance(value, bytes):
        value = without_signature(value.decode("latin-1")).encode("latin-1")
    return shortened(without_signature(value))


class Field(Protocol[T_co]):
    """A kind of value."""

    def parse(self, name: str, value: Any) -> T_co:
        """
        Return the value as it goes on the wire, or is kept.

        :raises ValueError: naming the field, what was given and what is allowed
        """


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def parse(self, name: str, value: Any) -> bool:
        """Return the flag."""
        if not isinstance(value, bool):
            raise ValueError(f"{name} is {quoted(value)}: True or False is needed")
        return value


@dataclass(frozen=True)
class Text:
    """
    A string that is neither empty nor blank.

    :param max_length: characters
    :param form: the regular expression that it must match
    :param example: one that does, for error messages
    :param without: what it must not hold, for error messages
    """

    max_length: int = 4096
    form: str = r"(?s:\s*\S.*)"
    example: str = ""
    without: str = ""

    def parse(self, name: str, value: Any) -> str:
        """Return the string."""
        if not isinstance(value, str) or not re.fullmatch(self.form, value):
            like = f" like {self.example!r}" if self.example else ""
            without = f" without {self.without}" if self.without else ""
            raise ValueError(f"{name} is {quoted(value)}: a non-empty string{like}{without} is needed")
        if len(value) > self.max_length:
            raise ValueError(f"{name} has {len(value)} characters: {self.max_length} are allowed")
        return value


@dataclass(frozen=True)
class Segment:
    """
    A string that stands in a path, where ``.`` and ``..`` would lead elsewhere.

    :param text: what it must be besides
    """

    text: Text = Text()

    def parse(self, name: str, value: Any) -> str:
        """Return the string."""
        text = self.text.parse(name, value)
        if not is_segment(text):
            raise ValueError(f"{name} is {text!r}: a string that can stand in a URL is needed")
        return text


@dataclass(frozen=True)
class Choice:
    """
    One of a few strings.

    :param may_be_empty: whether the empty string is allowed, too
    """

    values: Sequence[str]
    may_be_empty: bool = False

    def parse(self, name: str, value: Any) -> str:
        """Return the string."""
        if not isinstance(value, str) or not (value in self.values or (self.may_be_empty and not value)):
            raise ValueError(f"{name} is {quoted(value)}: one of {', '.join(self.values)} is needed")
        return value


@dataclass(frozen=True)
class Whole:
    """
    A whole number.

    :param least: the smallest that is allowed
    """

    least: int = 1

    def parse(self, name: str, value: Any) -> int:
        """Return the number."""
        if isinstance(value, bool) or not isinstance(value, int) or value < self.least:
            raise ValueError(f"{name} is {quoted(value)}: a whole number, {self.least} or more, is needed")
        return value


@dataclass(frozen=True)
class Seconds:
    """Seconds, as a number or a ``timedelta``."""

    def parse(self, name: str, value: Any) -> float:
        """Return the number."""
        number = value.total_seconds() if isinstance(value, timedelta) else value
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= MAX_SECONDS:
            raise ValueError(
                f"{name} is {quoted(value)}: a number of seconds, 0 or more, or a timedelta is needed, "
                f"and {MAX_SECONDS:,.0f} s at most"
            )
        return float(number)


@dataclass(frozen=True)
class Moment:
    """A point in time: an aware ``datetime``, or RFC 3339 text."""

    def parse(self, name: str, value: Any) -> str:
        """Return it as RFC 3339."""
        if isinstance(value, str) and parse_rfc3339(value) is not None:
            return value.upper().replace(" ", "T")  # not every reader takes what RFC 3339 leaves open
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value.isoformat()
        raise ValueError(
            f"{name} is {quoted(value)}: a datetime with a time zone, or text like "
            "'2026-01-31T00:00:00Z', is needed"
        )


def parse_rfc3339(text: str) -> float | None:
    """Return the Unix time in seconds; ``None`` where the text is no time of RFC 3339."""
    # Python 3.10 knows neither "Z" nor a fraction of other than three or six digits.
    form = r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)"
    match = re.fullmatch(form, text, re.ASCII)
    if not match:
        return None
    moment, fraction, zone = match.groups()
    try:
        seconds = datetime.fromisoformat(moment.upper() + ("+00:00" if zone in "Zz" else zone)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds + float(f"0.{fraction or 0}")


@dataclass(frozen=True)
class Object:
    """
    A JSON object.

    :param keys: what it may hold; ``None`` for anything
    :param required: the keys that it must hold
    """

    keys: Mapping[str, Field[Any]] | None = None
    required: Sequence[str] = ()

    def parse(self, name: str, value: Any) -> dict[str, Any]:
        """Return the object."""
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise ValueError(f"{name} is {quoted(value)}: a dictionary with string keys is needed")
        for key in self.required:
            if value.get(key) is None:
                raise ValueError(f"{name} is {quoted(value)}: it must hold {key!r}")
        if self.keys is None:
            _check_json(name, value)
            return dict(value)
        for key in value:
            if key not in self.keys:
                raise ValueError(f"{name} holds {key!r}: only {', '.join(self.keys)} are allowed")
        return {
            key: self.keys[key].parse(f"{name}[{key!r}]", entry)
            for key, entry in value.items()
            if entry is not None
        }


@dataclass(frozen=True)
class Member:
    """A member of a channel: a user's id, or an object with ``user_id`` and what else Stream may take."""

    user_id: Text

    def parse(self, name: str, value: Any) -> dict[str, Any]:
        """Return the object."""
        if isinstance(value, str):
            return {"user_id": self.user_id.parse(name, value)}
        if not isinstance(value, Mapping):
            raise ValueError(
                f"{name} is {quoted(value)}: a user's id, or a dictionary with 'user_id', is needed"
            )
        member = Object(required=("user_id",)).parse(name, value)
        for key, field in {"user_id": self.user_id, "channel_role": Text()}.items():
            if member.get(key) is not None:
                field.parse(f"{name}[{key!r}]", member[key])
        return {key: entry for key, entry in member.items() if entry is not None}


@dataclass(frozen=True)
class Anything:
    """Any JSON value."""

    def parse(self, name: str, value: Any) -> Any:
        """Return the value."""
        _check_json(name, value)
        return value


@dataclass(frozen=True)
class Plain:
    """What a query parameter can say: text, a number or a flag."""

    def parse(self, name: str, value: Any) -> str | float | bool:
        """Return the value."""
        if not isinstance(value, str | int | float):
            raise ValueError(f"{name} is {quoted(value)}: text, a number, True or False is needed")
        return value


def _check_json(name: str, value: Any) -> None:
    # It would fail half-way out, where it looks as if Stream might have got it.
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{name} is {quoted(value)}: a JSON value is needed ({error})") from None


@dataclass(frozen=True)
class ListOf:
    """
    A list that goes into one request as a whole.

    :param entry: what each entry must be
    :param cap: entries that are allowed
    """

    entry: Field[Any]
    cap: int | None = None

    def parse(self, name: str, value: Any) -> list[Any]:
        """Return the list."""
        # The output of a mapped Airflow task is a sequence of Airflow's own.
        if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not value:
            raise ValueError(f"{name} is {quoted(value)}: a non-empty list is needed")
        if self.cap is not None and len(value) > self.cap:
            raise ValueError(f"{name} has {len(value)} entries: {self.cap} are allowed")
        return [self.entry.parse(f"{name}[{i}]", entry) for i, entry in enumerate(value)]


@dataclass(frozen=True)
class Channel:
    """A channel to export: its cid, or an object that names it and may bound the time of its messages."""

    cid: Text

    def parse(self, name: str, value: Any) -> dict[str, Any]:
        """Return the object."""
        if isinstance(value, str):
            return {"cid": self.cid.parse(name, value)}
        keys = {"cid": self.cid, "type": Text(), "id": Text()}
        channel = Object({**keys, "messages_since": Moment(), "messages_until": Moment()}).parse(name, value)
        if "cid" not in channel:
            if not ("type" in channel and "id" in channel):
                raise ValueError(f"{name} is {quoted(value)}: it must hold 'cid', or 'type' and 'id'")
            self.cid.parse(name, f"{channel['type']}:{channel['id']}")
        return channel


@dataclass(frozen=True)
class Items:
    """
    The list that an operation works on, of which one request carries a batch.

    :param name: Stream's name of the field
    :param cap: items that one request may carry
    :param item: what each must be
    :param free_text: whether commas, quotes and braces are usual in an item
    """

    name: str
    cap: int
    item: Field[Any]
    free_text: bool = False

    def parse(self, items: Iterable[Any]) -> Iterator[Item]:
        """
        Yield the items as they go on the wire, in order and without duplicates.

        It remembers a number for each; :meth:`parse_each` remembers nothing, and is for millions.

        :raises ValueError: at the first one that is not allowed, and at the end if there was none
        """
        seen: set[int] = set()
        for item in self.parse_each(items):
            fingerprint = self.fingerprint(item)
            if fingerprint not in seen:
                seen.add(fingerprint)
                yield item

    def parse_each(self, items: Iterable[Any]) -> Iterator[Item]:
        """
        Yield the items as they go on the wire, in order, duplicates included.

        :raises ValueError: as :meth:`parse` does
        """
        empty = True
        for item in items:
            yield self.item.parse(f"an item of {self.name}", item)
            empty = False
        if empty:
            raise ValueError(f"{self.name} is empty: at least one item is needed")

    @staticmethod
    def fingerprint(item: Item) -> int:
        """Return a number of 64 bits that is the same for equal items, within one process."""
        return hash(item if isinstance(item, str) else json.dumps(item, sort_keys=True))
