"""Endpoints: which request goes where."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from airflow_provider_streamtasks.sandbox.answers import Answer, invalid
from airflow_provider_streamtasks.sandbox.journal import Entry

MEBIBYTE = 1024 * 1024


@dataclass(slots=True)
class Visit:
    """One request on its way through the sandbox.

    :param method: HTTP method.
    :param path: decoded path.
    :param params: the decoded variable parts of the path.
    :param query: decoded query.
    :param headers: request headers, whatever their case.
    :param content: the body as it came.
    :param entry: its entry in the journal.
    """

    method: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes
    entry: Entry

    def json_object(self) -> dict[str, Any]:
        """The body, which must be a JSON object.

        :raises Refusal: it is something else.
        """
        try:
            body = json.loads(self.content)
        except ValueError:
            raise invalid("the request body is not valid JSON") from None
        if not isinstance(body, dict):
            raise invalid("the request body must be a JSON object")
        return body


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method and path.

    :param name: Stream's operationId.
    :param method: HTTP method.
    :param path: path, with ``{variable}`` parts.
    :param handle: does the work; returns the answer, or the payload of Stream's usual success answer.
    :param signed: the URL's signature lets a request pass, not an API key and a token.
    :param secret: its bodies hold credentials, which the journal does not keep.
    :param most: how many bytes a body may have.
    """

    name: str
    method: str
    path: str
    handle: Callable[[Visit], Answer | dict[str, Any]]
    signed: bool = False
    secret: bool = False
    most: int = 10 * MEBIBYTE

    def match(self, method: str, raw_path: str) -> dict[str, str] | None:
        """The decoded variable parts of a path, if this endpoint answers to it.

        The path is split before it is decoded: an encoded slash stays inside its part.
        """
        wanted, given = self.path.split("/"), raw_path.split("/")
        if method != self.method or len(wanted) != len(given):
            return None
        params = {}
        for pattern, part in zip(wanted, given, strict=True):
            if pattern.startswith("{"):
                if not part:
                    return None
                params[pattern[1:-1]] = unquote(part)
            elif pattern != part:
                return None
        return params


class Switchboard:
    """Finds the endpoint of a request. Of two that match, the one with fewer variables wins."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._endpoints = sorted(endpoints, key=lambda endpoint: endpoint.path.count("{"))

    def find(self, method: str, raw_path: str) -> tuple[Endpoint, dict[str, str]] | None:
        """The endpoint with the variable parts of the path."""
        for endpoint in self._endpoints:
            if (params := endpoint.match(method, raw_path)) is not None:
                return endpoint, params
        return None
