"""Finds the repeated ones among many values, in memory that does not grow with their number."""

from __future__ import annotations

from array import array
from tempfile import TemporaryFile

PARTS = 256
"""Parts into which the values are cut; only one at a time is in memory."""

HELD = 1 << 18
"""Values that are kept in memory before they go to the file."""


class Repeats:
    """
    Finds the places of values that came before. A context manager.

    Hashes go to a temporary file, in parts by hash, so that equal ones meet in one part.
    """

    def __init__(self) -> None:
        self._parts = [array("q") for _ in range(PARTS)]
        self._file = TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._written: list[list[tuple[int, int]]] = [[] for _ in range(PARTS)]
        self._count = 0

    def __enter__(self) -> Repeats:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, value: int) -> None:
        """Record the hash of the next value."""
        part = self._parts[value % PARTS]
        part.append(value)
        part.append(self._count)
        self._count += 1
        if self._count % HELD == 0:
            self._write()

    def find(self) -> bytearray:
        """Return one bit for each value, the lowest first: whether an equal one came before."""
        repeated = bytearray(self._count // 8 + 1)
        for written, held in zip(self._written, self._parts, strict=True):
            values = array("q")
            for start, size in written:
                self._file.seek(start)
                values.frombytes(self._file.read(size))
            values += held
            seen: set[int] = set()
            for value, place in zip(values[::2], values[1::2], strict=True):
                if value in seen:
                    repeated[place >> 3] |= 1 << (place & 7)
                seen.add(value)
        return repeated

    def _write(self) -> None:
        for written, part in zip(self._written, self._parts, strict=True):
            content = part.tobytes()
            written.append((self._file.tell(), len(content)))
            self._file.write(content)
            del part[:]
