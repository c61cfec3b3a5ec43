"""
Files of items: one per line, or one column of a CSV file, of JSON lines or of a Parquet file.

They are read as streams, from any storage that Airflow's object storage reaches, compressed by gzip or not.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from os import PathLike
from pathlib import PurePosixPath
from typing import IO, Any

from airflow_provider_streamtasks.protocol.fields import Anything, Items

LONGEST_LINE = 16 * 1024 * 1024
"""Bytes that one line may have."""

BUFFER = 256 * 1024
"""Bytes that are read at a time."""

ROWS_AT_A_TIME = 10_000
"""Rows of a Parquet file that are in memory as Python objects."""

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_CSV = {".csv": ",", ".tsv": "\t"}
_JSON = (".jsonl", ".ndjson", ".json")
_PARQUET_ENDINGS = (".parquet", ".pq")

_HEADERS = {"id", "ids", "user_id", "user_ids", "userid", "userids", "cid", "cids", "channel_id", "feed_id"}

_ONE_PER_LINE = (
    "one item per line is needed. To read one column of a .csv, .tsv, .jsonl, .ndjson or .parquet file, set "
    "ids_column='NAME'"
)


class _Raw(io.RawIOBase):
    """A file of fsspec's, of which some cannot read into a buffer (sshfs)."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class ItemLines:
    """
    The items of a file, in its order. Iterate it once.

    :param spec: what the items must be
    :param location: the file
    :param column: the column, or the key of each JSON object (dots lead into nested ones), that holds the
        items; ``None`` for one item per line
    :ivar place: the line or row of the last item, for messages
    :raises ValueError: if the location or its Airflow connection cannot be used; on iteration, naming the
        line or row, if the file is not what was asked for
    """

    def __init__(self, spec: Items, location: str | PathLike[str], column: str | None) -> None:
        self._spec = spec
        self._column = column
        from airflow_provider_streamtasks.transfers.destination import storage_path

        self._path = storage_path(spec.name, location)
        self.place = ""

    def __iter__(self) -> Iterator[Any]:
        from airflow_provider_streamtasks.transfers.answers import os_errors, refuse_unpacked
        from airflow_provider_streamtasks.transfers.destination import quiet
        from airflow_provider_streamtasks.transfers.storages import read_options

        path, options = self._path, read_options(self._path.protocol)
        named = os_errors(path, "read", ValueError, ImportError)
        with quiet(path), named, path.open("rb", **options) as file:  # type: ignore[no-untyped-call]
            refuse_unpacked(getattr(file, "details", None) or {})
            start = file.read(4)
            file.seek(0)
            # Not by the name: some storages and browsers unpack a .gz on the way, and a .txt may be packed.
            compressed = start.startswith(_GZIP)
            for value in self._values(file, compressed, start == _PARQUET):
                yield self._checked(value)
        self.place = ""

    def _values(self, file: IO[bytes], compressed: bool, parquet: bool) -> Iterator[Any]:
        ending = self._ending()
        if parquet or ending in _PARQUET_ENDINGS:
            if not self._column:
                raise ValueError("it is a Parquet file: ids_column, the name of a column, is needed")
            if compressed:
                raise ValueError("it is a Parquet file within gzip, which cannot be streamed: unpack it")
            return self._of_parquet(file, self._column)
        # Files of fsspec cannot limit the length of a line.
        reader = io.BufferedReader(gzip.GzipFile(fileobj=file) if compressed else _Raw(file), BUFFER)
        lines = self._lines(reader)
        if self._column is None:
            return self._plain(lines)
        if ending in _CSV:
            return self._of_csv(lines, self._column, _CSV[ending])
        if ending in _JSON:
            return self._of_json(lines, self._column)
        raise ValueError(
            f"ids_column is {self._column!r}: a file that ends in .csv, .tsv, .jsonl, .ndjson, .json or "
            ".parquet (.gz may follow, but not after .parquet) is needed"
        )

    def _ending(self) -> str:
        name = PurePosixPath(self._path.name.lower())
        return (PurePosixPath(name.stem) if name.suffix in (".gz", ".gzip") else name).suffix

    def _lines(self, file: IO[bytes]) -> Iterator[str]:
        number = 0
        try:
            # Lines are decoded one by one, so that an error knows which it is.
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                self.place = f"line {number}"
                if number == 1:
                    line = line.removeprefix(_BYTE_ORDER_MARK)
                if len(line) > LONGEST_LINE:
                    raise ValueError(f"the line has more than {LONGEST_LINE:,} bytes")
                try:
                    text = line.decode()
                except UnicodeDecodeError as error:
                    raise ValueError(f"a file in UTF-8 is needed ({error.reason})") from None
                yield text
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"after it, the gzip file is damaged or cut off ({error})") from None

    def _plain(self, lines: Iterable[str]) -> Iterator[str]:
        first = True
        for line in lines:
            if item := line.strip():
                self._refuse_other_formats(item, first)
                first = False
                yield item

    def _refuse_other_formats(self, item: str, first: bool) -> None:
        if _is_json(item):
            raise ValueError(f"it looks like JSON: {_ONE_PER_LINE}")
        if self._spec.free_text:
            return
        if first and item.lower() in _HEADERS:
            raise ValueError(f"{item!r} looks like a header: {_ONE_PER_LINE}")
        if found := re.search(r"[,;\"{}\t]", item):
            raise ValueError(f"it holds {found[0]!r}: {_ONE_PER_LINE}")

    def _of_csv(self, lines: Iterable[str], column: str, delimiter: str) -> Iterator[str]:
        rows = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            header = next(rows, None)
            if header is None:
                return
            header = [name.strip() for name in header]
            if header.count(column) != 1:
                # Without a header, the first row is a person: what is not like the column is not quoted.
                like = "".join(f", {name!r} among them" for name in get_close_matches(column, header, 1))
                raise ValueError(
                    f"ids_column is {column!r}: the header must have this column once; it has "
                    f"{len(header)} columns{like}"
                )
            index = header.index(column)
            for row in rows:
                if not row:
                    continue
                if len(row) != len(header):
                    raise ValueError(f"the row has {len(row)} fields, the header {len(header)}")
                yield row[index].strip()
        except csv.Error as error:
            raise ValueError(f"the CSV file is broken ({error})") from None

    def _of_json(self, lines: Iterable[str], column: str) -> Iterator[Any]:
        for line in lines:
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                # The library's error keeps the whole line, which may hold personal data.
                raise ValueError(f"a JSON object on one line is needed ({error})") from None
            if not isinstance(record, dict):
                raise ValueError(f"a JSON object on each line is needed, not a {type(record).__name__}")
            yield _value_at(record, column)

    def _of_parquet(self, file: IO[bytes], column: str) -> Iterator[Any]:
        try:
            from pyarrow import ArrowInvalid
            from pyarrow.parquet import ParquetFile
        except ImportError:
            raise ImportError(
                "Reading Parquet needs pyarrow: pip install 'airflow-provider-streamtasks[parquet]'"
            ) from None
        try:
            table = ParquetFile(file, pre_buffer=False)
            names = table.schema_arrow.names
            if column not in names and column.split(".")[0] not in names:
                raise ValueError(f"ids_column is {column!r}: the file has {', '.join(map(repr, names))}")
            number = 0
            for batch in table.iter_batches(batch_size=ROWS_AT_A_TIME, columns=[column]):
                for record in batch.to_pylist():
                    number += 1
                    self.place = f"row {number}"
                    yield _value_at(record, column)
        except ArrowInvalid as error:
            raise ValueError(f"the Parquet file is broken ({error})") from None

    def _checked(self, value: Any) -> Any:
        if value is None or value == "":
            raise ValueError(f"there is nothing in {self._column!r}")
        if type(value) is int and not isinstance(self._spec.item, Anything):
            value = str(value)
        if isinstance(value, str) and (found := re.search(r"[\x00-\x1f\x7f]", value)):
            raise ValueError(f"it holds the control character {found[0]!r}: text is needed")
        return value


def _is_json(item: str) -> bool:
    if item[0] not in "{[":
        return False
    try:
        json.loads(item)
    except (ValueError, RecursionError):
        return False
    return True


def _value_at(record: Mapping[str, Any], column: str) -> Any:
    """Return what stands at a key, or at keys with dots between; ``None`` if nothing does."""
    if column in record:
        return record[column]
    value: Any = record
    for key in column.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
