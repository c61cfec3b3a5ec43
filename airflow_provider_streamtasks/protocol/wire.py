"""One request to Stream and one answer of Stream's, before anybody sends or reads anything."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import quote

MAX_BODY = 8 * 1024 * 1024
"""Bytes of an answer that are read at the most."""

MAX_DEPTH = 64
"""Levels of objects and arrays that an answer may nest; Stream's own nest fewer than ten."""

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_NOT_PACKED = ("identity", "utf-8")  # some tools write the character set there


class Request(NamedTuple):
    """
    A call of Stream's API.

    :param operation: Stream's name of the call (``GetTask``), which is also the name of its budget
    :param method: HTTP method
    :param path: path below the base URL, parameters already filled in (:func:`fill`)
    :param json: the body, or ``None`` for none
    :param query: query parameters besides the API key
    :param hints: what to do about an error of this call: Stream's code, or else the HTTP status -> a sentence
    """

    operation: str
    method: str
    path: str
    json: Mapping[str, Any] | None = None
    query: Mapping[str, str] = MappingProxyType({})
    hints: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Response:
    """
    An answer as it came.

    :param status: HTTP status
    :param headers: header -> value, names in lower case
    :param body: the bytes of the body; cut off where it was longer than :data:`MAX_BODY`
    :param hint: what to check where the answer turns out not to be Stream's, or not the one asked for
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    hint: str = ""

    def json(self) -> dict[str, Any] | None:
        """Return the body as a JSON object; ``None`` where it is something else, too long or too deep."""
        if len(self.body) > MAX_BODY:
            return None
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        # With few brackets, as in most answers, nothing can nest deeply.
        many = self.body.count(b"{") + self.body.count(b"[") > MAX_DEPTH
        return value if isinstance(value, dict) and not (many and _too_deep(value)) else None


def _too_deep(value: Any) -> bool:
    # A value that nests too deep would break later code that walks through it.
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def fill(path: str, **parameters: str) -> str:
    """
    Put parameters into a path, each percent-encoded so that it stays the one segment it stands in.

    >>> fill("/api/v2/tasks/{id}", id="../users/delete")
    '/api/v2/tasks/..%2Fusers%2Fdelete'

    :raises ValueError: for a parameter that no encoding keeps in its place: an empty one, ``.`` and ``..``
    """
    return path.format(**{name: _segment(name, value) for name, value in parameters.items()})


def is_segment(value: str) -> bool:
    """Return whether percent-encoding keeps a text in its place in a path, as one segment."""
    # JSON may hold halves of surrogate pairs, which are no characters.
    return value not in ("", ".", "..") and value.encode(errors="ignore").decode() == value


def _segment(name: str, value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    if not is_segment(value):
        raise ValueError(f"{name} is {value!r}: a non-empty string other than '.' and '..' is needed")
    return quote(value, safe="")


def packing(content_encoding: str | None) -> str:
    """Return how a ``Content-Encoding`` says that a file is packed, such as ``gzip``; empty if it is not."""
    encoding = (content_encoding or "").strip().lower()
    return "" if encoding in _NOT_PACKED else encoding
