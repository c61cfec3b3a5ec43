"""
Where the items of an operation come from, and how a million of them are read.

A list, the output of another Airflow task, a callable, or a file: each is read once, checked to its end
before the first request leaves, and kept in a temporary file from which batches are cut.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from os import PathLike
from tempfile import SpooledTemporaryFile
from typing import Any, TypeAlias

from airflow.sdk import Context, ObjectStoragePath, XComArg

from airflow_provider_streamtasks.arguments import in_place_of_output
from airflow_provider_streamtasks.operators.item_files import ItemLines
from airflow_provider_streamtasks.operators.repeats import Repeats
from airflow_provider_streamtasks.protocol.fields import Item, Items, quoted

ItemsArgument: TypeAlias = (
    "Iterable[Any] | XComArg | str | PathLike[str] | Callable[[Context], Iterable[Any]]"
)
"""What an operator takes for its items."""

IN_MEMORY = 1024 * 1024
"""Bytes of items that are kept in memory; more go to a temporary file."""

_ALLOWED = (
    "a list, the output of another Airflow task, a callable that takes the context and returns an iterable, "
    "or a file with one item per line (a pathlib.Path, an ObjectStoragePath, or text with '://' like "
    "'s3://bucket/items.txt' or 'file:///data/items.txt') is needed"
)


@dataclass(frozen=True, slots=True)
class FromCallable:
    """
    A callable that gives the items when the Airflow task runs.

    Airflow would call a callable itself to render a template, and store what it returns in its database.
    """

    function: Callable[[Context], Iterable[Any]]

    def __str__(self) -> str:
        return f"<callable {getattr(self.function, '__qualname__', type(self.function).__qualname__)}>"


def item_source(value: Any) -> Any:
    """Return what an operator keeps of the argument that names its items."""
    return FromCallable(value) if callable(value) and not in_place_of_output(value) else value


def check_known_items(spec: Items, value: Any, column: str | None = None) -> None:
    """
    Check at parse time what is known by then: the items of a list, and the kind of anything else.

    :raises ValueError: naming the argument, what was given and what is allowed
    """
    if column is not None and not _is_location(value):
        raise ValueError(f"ids_column is {column!r}: it needs a file, and {spec.name} names none")
    if isinstance(value, list | tuple | set | frozenset):
        for _ in spec.parse_each(value):
            pass
    elif not isinstance(value, FromCallable) and not _is_location(value) and not _is_output(value):
        raise ValueError(f"{spec.name} is {quoted(value)}: {_ALLOWED}{in_place_of_output(value)}")


class ItemFile:
    """
    All items of one Airflow task, checked, without duplicates, in order.

    A context manager; iterate it as often as needed.

    :param spec: what the items must be
    :param source: where they come from, as :func:`item_source` returned it, rendered
    :param context: what a callable gets
    :param column: the column of a file that holds the items; ``None`` for one item per line
    :raises ValueError: if one is not allowed, or there is none
    """

    def __init__(self, spec: Items, source: Any, context: Context, column: str | None = None) -> None:
        check_known_items(spec, source, column)
        read = ItemLines(spec, source, column) if _is_location(source) else None
        self._file = SpooledTemporaryFile(IN_MEMORY, "w+", encoding="utf-8")  # noqa: SIM115 - closed in __exit__
        self._count = 0
        try:
            with Repeats() as repeats:
                for item in spec.parse_each(_read(spec, source, context) if read is None else read):
                    self._file.write(json.dumps(item) + "\n")
                    repeats.add(spec.fingerprint(item))
                    self._count += 1
                self._repeated = repeats.find()
            self._count -= sum(byte.bit_count() for byte in self._repeated)
        except ValueError as error:
            self._file.close()
            if read is None:
                raise
            place = f", {read.place}" if read.place else ""
            raise ValueError(f"{spec.name} is {str(source)!r}{place}: {error}") from None
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> ItemFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        self._file.seek(0)
        repeated = self._repeated
        for place, line in enumerate(self._file):
            if not repeated[place >> 3] >> (place & 7) & 1:
                yield json.loads(line)


def _read(spec: Items, source: Any, context: Context) -> Iterable[Any]:
    items = source
    if isinstance(source, FromCallable):
        items = source.function(context)
        if not callable(getattr(items, "columns", callable)):
            # A DataFrame: to iterate it gives the names of its columns.
            raise ValueError(
                f"{spec.name}: the callable returned {quoted(items)}: one of its columns is needed"
            )
        if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
            raise ValueError(
                f"{spec.name}: the callable returned {quoted(items)}: an iterable of items is needed"
            )
    # A set has another order in each process, and a retry must find the same batches.
    return sorted(items, key=repr) if isinstance(items, Set) else items


def _is_output(value: Any) -> bool:
    # That of a mapped Airflow task, or of map(), zip() or concat(), is a sequence of Airflow's own.
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_location(value: Any) -> bool:
    # An ObjectStoragePath is no os.PathLike.
    return isinstance(value, PathLike | ObjectStoragePath) or (
        isinstance(value, str) and bool(re.match(r"[A-Za-z][\w+.-]*://.", value))
    )
