"""
An operation of Stream's that starts a Stream task: what it takes, and where it goes.

Everything else (checking the input, building the request, reading the answer) follows from that. The
operations themselves stand in :mod:`~airflow_provider_streamtasks.protocol.catalogue`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_streamtasks.exceptions import StreamApiException
from airflow_provider_streamtasks.protocol import results
from airflow_provider_streamtasks.protocol.fields import Anything, Field, Items, Plain, quoted
from airflow_provider_streamtasks.protocol.rate_limits import RateLimit
from airflow_provider_streamtasks.protocol.wire import Request, fill


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """
    An endpoint of Stream's that starts a Stream task.

    :param name: Stream's name of it, which is also the name of its budget; empty where it is not known
    :param method: HTTP method
    :param path: path below the base URL, with path parameters in braces
    :param items: the list that it works on, if it works on one
    :param body: further fields of the body
    :param query: query parameters
    :param parameters: path parameters
    :param required: the fields that must be given
    :param rule: what the fields must be together: returns what is wrong, or ``None``
    :param sends_body: whether the request has a body
    :param id_at: the way to the id of what was started, in the body of the answer
    :param at_once: the key of the answer that tells what was done at once, where there may be no Stream task
    """

    name: str
    method: str
    path: str
    items: Items | None = None
    body: Mapping[str, Field[Any]] = field(default_factory=dict)
    query: Mapping[str, Field[Any]] = field(default_factory=dict)
    parameters: Mapping[str, Field[Any]] = field(default_factory=dict)
    required: Sequence[str] = ()
    rule: Callable[[Mapping[str, Any]], str | None] = lambda values: None
    sends_body: bool = True
    id_at: Sequence[str] = ("task_id",)
    at_once: str = ""

    @property
    def label(self) -> str:
        """What to call it in a log."""
        return self.name or f"{self.method} {self.path}"

    @property
    def arguments(self) -> list[str]:
        """The names of everything that the operation takes."""
        return [*([self.items.name] if self.items else []), *self.options]

    @property
    def cap(self) -> int:
        """The items that one request may carry; 1 where there is no list, which is one request."""
        return self.items.cap if self.items else 1

    @property
    def options(self) -> dict[str, Field[Any]]:
        """Everything that the operation takes besides its items."""
        return {**self.parameters, **self.body, **self.query}

    def parse(
        self, options: Mapping[str, Any], *, unknown: Sequence[str] = (), given: Sequence[str] = ()
    ) -> dict[str, Any]:
        """
        Return the options that are set, as they go on the wire.

        :param unknown: options whose values are not known yet, because a template will give them
        :param given: options that must not be left out: of those, ``None`` is a bad value
        :raises ValueError: naming the option, what was given and what is allowed
        """
        allowed = self.options
        checked = {}
        for name in (*self.parameters, *self.required):
            if name not in unknown and options.get(name) is None:
                raise ValueError(f"{name} is missing: {self.label} needs it")
        for name, value in options.items():
            if name not in allowed:
                raise ValueError(
                    f"{self.label} has no option {name!r}: it has {', '.join(allowed) or 'none'}"
                )
            if name not in unknown and (value is not None or name in given):
                checked[name] = allowed[name].parse(name, value)
        if not unknown and (problem := self.rule(checked)):
            raise ValueError(problem)
        return checked

    def request(self, items: Sequence[Any], options: Mapping[str, Any]) -> Request:
        """
        Return the request that submits one batch.

        :param items: the batch; empty for an operation that works on no list
        :param options: the fields; those that are ``None`` are left to Stream's default
        :raises ValueError: if something is not as the row says
        """
        checked = self.parse(options)
        body: dict[str, Any] = {}
        is_list = isinstance(items, Iterable) and not isinstance(items, str | bytes | Mapping)
        if not is_list or (items and not self.items):
            allowed = "a list is needed" if self.items else f"{self.label} takes none"
            raise ValueError(f"{self.items.name if self.items else 'items'} is {quoted(items)}: {allowed}")
        if self.items:
            batch = list(self.items.parse(items))
            if len(batch) > self.items.cap:
                raise ValueError(
                    f"{self.items.name} holds {len(batch)} items: "
                    f"one request carries at most {self.items.cap}"
                )
            body[self.items.name] = batch
        body.update((name, checked[name]) for name in self.body if name in checked)
        return Request(
            operation=self.label,
            method=self.method,
            path=fill(self.path, **{name: checked[name] for name in self.parameters}),
            json=body if self.sends_body else None,
            query={name: _query_text(checked[name]) for name in self.query if name in checked},
        )

    def read(self, body: Mapping[str, Any], budget: RateLimit | None, status: int) -> Submission:
        """
        Read the body of an accepted submission.

        :param budget: what the answer said of the endpoint's budget
        :param status: the HTTP status of the answer, a 2xx
        :raises StreamApiException: if it neither names a Stream task nor tells what was done at once, or if
            that failed
        """
        task_id: Any = body
        for name in self.id_at:
            task_id = task_id.get(name) if isinstance(task_id, Mapping) else None
        result = body.get("result") if self.at_once == "result" else None
        if not isinstance(task_id, str) or not task_id:
            task_id = None
            if not isinstance(done := body.get(self.at_once), Mapping) or not done:
                raise StreamApiException(
                    f"{self.label}: the answer holds no id at {'.'.join(self.id_at)!r}, "
                    f"but {', '.join(map(repr, body)) or 'nothing'}",
                    status_code=status,
                )
            if (word := results.own_status(result)) not in results.GOOD | {""}:
                # There is no Stream task that could tell how it ended.
                why = results.reason(result) or "Stream gives no reason"
                raise StreamApiException(
                    f"{self.label}: the result in the answer is {word!r}: {why}", status_code=status
                )
        return Submission(task_id, result if isinstance(result, Mapping) else None, budget)


@dataclass(frozen=True, slots=True)
class Submission:
    """
    What Stream answered to a request that it accepted.

    :param task_id: the Stream task; ``None`` where there is none, because the operation was done at once
    :param result: what became of it, where the answer says so already, with a Stream task or without
    :param budget: what is left of the endpoint's budget, where Stream says so
    """

    task_id: str | None
    result: Mapping[str, Any] | None = None
    budget: RateLimit | None = None


def any_operation(
    name: str,
    method: str,
    path: str,
    *,
    body: Iterable[str],
    query: Iterable[str],
    items: Items | None,
    id_at: Sequence[str] = ("task_id",),
) -> Operation:
    """
    Return a row for an operation that the catalogue does not have.

    :param body: the fields of the body, which may hold anything
    :param query: the query parameters, which may be text, numbers and flags
    :param id_at: the way to the id of the Stream task, in the body of the answer
    :raises ValueError: if two of them have the same name, so that one would take the place of the other
    """
    fields = dict.fromkeys(body, Anything())
    parameters = dict.fromkeys(query, Plain())
    if items and items.name in fields:
        raise ValueError(f"body holds {items.name!r}, which items_field fills with the items: leave it out")
    if twice := sorted(fields.keys() & parameters):
        raise ValueError(f"query holds {twice[0]!r}, and so does body: give it once")
    if "api_key" in parameters:
        raise ValueError("query holds 'api_key', which comes from the Airflow connection: leave it out")
    return Operation(
        name=name,
        method=method,
        path=path.replace("{", "{{").replace("}", "}}"),
        items=items,
        body=fields,
        query=parameters,
        sends_body=method not in ("GET", "DELETE") or items is not None or bool(fields),
        id_at=id_at,
        at_once="result",
    )


def _query_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
