"""``StreamOperationOperator``: any operation, one that Stream adds tomorrow included."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from airflow_provider_streamtasks.arguments import given, is_rendered, known
from airflow_provider_streamtasks.operators.base import StreamBaseOperator
from airflow_provider_streamtasks.operators.items import ItemsArgument, item_source
from airflow_provider_streamtasks.protocol.fields import Anything, Choice, Items, Text, Whole, quoted
from airflow_provider_streamtasks.protocol.operations import Operation, any_operation

METHODS = ("POST", "PUT", "PATCH", "DELETE")
_KEYS = Text(form=r"[^.\s]+(\.[^.\s]+)*", example="run.task_id")


class StreamOperationOperator(StreamBaseOperator):
    """
    Start any operation that answers with the id of a Stream task, from its method, path and body.

    Stream alone checks what the request holds. Everything else is as with the other operators: batches,
    budget, retries, waiting.

    :param path: below the base URL, such as ``/api/v2/chat/channels/delete`` (templated). Percent-encode what
        you put into it.
    :param method: ``POST`` (default), ``PUT``, ``PATCH`` or ``DELETE``
    :param body: the fields of the body, besides the items (templated)
    :param query: query parameters, besides the API key: text, numbers and flags (templated)
    :param items: the list to work on in batches: a list, the output of another Airflow task, a callable that
        takes the context, or a file with one per line (templated). Default: none.
    :param items_field: the field of the body that gets a batch of the items; needed with ``items``
    :param batch_size: items that one request may carry (default: 100)
    :param operation_name: Stream's name of the operation, such as ``DeleteChannels``. With it, the operator
        asks for the budget before the first request; without it, only the first answer tells.
    :param task_id_at: where the answer has the id of the Stream task: a key, or keys with dots between, such
        as ``run.task_id`` (default: ``task_id``). An answer without an id there fails the Airflow task,
        unless it has a ``result`` instead: then Stream was done at once.
    """

    template_fields: Sequence[str] = ("path", "body", "query", "items", *StreamBaseOperator.template_fields)

    def __init__(
        self,
        *,
        path: str,
        method: str = "POST",
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        items: ItemsArgument | None = None,
        items_field: str | None = None,
        batch_size: int = 100,
        operation_name: str = "",
        task_id_at: str = "task_id",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (items is None) != (items_field is None):
            raise ValueError(f"items_field is {items_field!r}: it goes together with items")
        self.path = known("path", path, Text())
        self.method = Choice(METHODS).parse("method", method)
        self.body = body
        self.query = query
        self.items = item_source(items)
        self.items_field = given("items_field", items_field, Text(), None)
        self.batch_size = Whole().parse("batch_size", batch_size)
        self.operation_name = Text(form="(?s:.*)").parse("operation_name", operation_name)
        self.task_id_at = _KEYS.parse("task_id_at", task_id_at)
        if is_rendered(self.path):
            _check_path(self.path)
        self.check_known()

    def check_known(self) -> None:
        """Check at parse time what no template will give: of a body that is one as a whole, nothing."""
        path, body, query = self.path, self.body, self.query
        self.path = path if is_rendered(path) else ""
        self.body, self.query = (None if _is_template(each) else each for each in (body, query))
        super().check_known()
        self.path, self.body, self.query = path, body, query
        self._given = self._arguments()

    def _check_given(self) -> None:
        """Refuse to go on without what templates should have given, or with a path that is none."""
        super()._check_given()
        _check_path(self.path)

    @property
    def stream_operation(self) -> Operation:  # type: ignore[override]
        """The row that a catalogue would have."""
        return any_operation(
            self.operation_name,
            self.method,
            self.path,
            body=_fields("body", self.body),
            query=_fields("query", self.query),
            items=Items(self.items_field, self.batch_size, Anything(), free_text=True)
            if self.items_field
            else None,
            id_at=self.task_id_at.split("."),
        )

    def _options(self) -> dict[str, Any]:
        return {**_fields("body", self.body), **_fields("query", self.query)}

    def _source(self) -> Any:
        return self.items


def _is_template(value: Any) -> bool:
    return not isinstance(value, Mapping) and not is_rendered(value)


def _check_path(path: Any) -> None:
    # Encoded dots, too: requests decodes them, and urllib3 climbs.
    segments = map(unquote, Text().parse("path", path).split("/"))
    if not re.fullmatch(r"(/[\w.~!$&'()*+,;=:@%-]+)+", path, re.ASCII) or {".", ".."} & set(segments):
        raise ValueError(
            f"path is {path!r}: a path below the base URL is needed, such as '/api/v2/chat/channels/delete', "
            "without query, with parameters percent-encoded"
        )


def _fields(argument: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise _no_fields(argument, value)
    return dict(value)


def _no_fields(argument: str, value: Any) -> ValueError:
    return ValueError(f"{argument} is {quoted(value)}: a dictionary with string keys is needed")
