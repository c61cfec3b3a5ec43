"""
The catalogue: one row for each operation of Stream's that starts a Stream task.

A row says what the operation takes and where it goes. Everything else (checking the input, cutting it into
batches, building the request) follows from the row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_streamtasks.protocol.wire import Request, fill


@dataclass(frozen=True, slots=True)
class Items:
    """
    The list that an operation works on, of which one request carries a batch.

    :param name: Stream's name of the field
    :param cap: items that one request may carry
    :param form: the regular expression that an item must match
    :param example: an item, for error messages
    """

    name: str
    cap: int
    form: str = r".+"
    example: str = ""

    def check(self, items: Iterable[Any]) -> list[str]:
        """
        Return the items without duplicates, in order.

        :raises ValueError: if there is none, or one does not have the form
        """
        if isinstance(items, str | bytes | Mapping):
            raise ValueError(f"{self.name} must be a list, not {type(items).__name__}: {items!r}")
        unique = dict.fromkeys(self._checked(items))
        if not unique:
            raise ValueError(f"{self.name} is empty: at least one is needed, such as {self.example!r}")
        return list(unique)

    def batches(self, items: Sequence[str]) -> list[Sequence[str]]:
        """Cut items into batches that one request may carry each."""
        return [items[start : start + self.cap] for start in range(0, len(items), self.cap)]

    def _checked(self, items: Iterable[Any]) -> Iterator[str]:
        for item in items:
            if not isinstance(item, str) or not re.fullmatch(self.form, item):
                raise ValueError(f"{self.name} holds {item!r}: each must look like {self.example!r}")
            yield item


@dataclass(frozen=True, slots=True)
class Operation:
    """
    An endpoint of Stream's that starts a Stream task.

    :param name: Stream's name of it, which is also the name of its budget
    :param method: HTTP method
    :param path: path below the base URL, with path parameters in braces
    :param items: the list that it works on
    :param options: body field -> the type that it takes
    """

    name: str
    method: str
    path: str
    items: Items
    options: Mapping[str, type]

    @property
    def arguments(self) -> list[str]:
        """The names of everything that the operation takes."""
        return [self.items.name, *self.options]

    def request(self, items: Sequence[str], **options: Any) -> Request:
        """
        Return the request that submits one batch.

        :param items: at most as many as the cap allows
        :param options: body fields; those that are ``None`` are left to Stream's default
        :raises ValueError: if something is not as the row says
        """
        checked = self.items.check(items)
        if len(checked) > self.items.cap:
            raise ValueError(
                f"{self.items.name} holds {len(checked)} items: one request carries {self.items.cap}"
            )
        return Request(
            self.name, self.method, fill(self.path), json={self.items.name: checked, **self.check(options)}
        )

    def check(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return the options that are set.

        :raises ValueError: for an option that the operation does not have, or of another type
        """
        for name, value in options.items():
            allowed = self.options.get(name)
            if allowed is None:
                raise ValueError(f"{self.name} has no option {name!r}: it has {', '.join(self.options)}")
            if value is not None and not isinstance(value, allowed):
                raise ValueError(f"{name} is {value!r}: it must be of type {allowed.__name__}")
        return {name: value for name, value in options.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Submission:
    """
    What Stream answered to a request that it accepted.

    :param task_id: the Stream task; ``None`` where the operation was done at once
    :param result: per item what became of it, where Stream says so at once
    """

    task_id: str | None
    result: Mapping[str, Any] | None = None


def read_submission(body: Mapping[str, Any]) -> Submission:
    """Read the body of an accepted submission."""
    task_id, result = body.get("task_id"), body.get("result")
    return Submission(
        task_id=task_id if isinstance(task_id, str) and task_id else None,
        result=result if isinstance(result, Mapping) else None,
    )


DELETE_CHANNELS = Operation(
    name="DeleteChannels",
    method="POST",
    path="/api/v2/chat/channels/delete",
    items=Items("cids", cap=100, form=r"[\w-]+:[\w!-]+", example="messaging:general"),
    options={"hard_delete": bool},
)
"""Stream docs: deleting channels. A soft delete is done at once and needs no Stream task."""
