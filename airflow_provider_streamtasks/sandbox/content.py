"""Files of any size, whose bytes are made when they are read."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

NUMBER = b"#NUMBER#"
"""What stands in a block for the number of its repetition, which has eight digits."""


@dataclass(frozen=True)
class Content:
    """A file: a head, a block that is repeated, and a tail. Any place of it can be read at once.

    :param head: how it begins; of a small file, all of it.
    :param block: what is repeated. :data:`NUMBER` in it counts the repetitions, so that none is like another.
    :param repeats: how often.
    :param tail: how it ends.
    """

    head: bytes
    block: bytes = b""
    repeats: int = 0
    tail: bytes = b""

    def __len__(self) -> int:
        return len(self.head) + len(self.block) * self.repeats + len(self.tail)

    def piece(self, place: int) -> tuple[int, bytes]:
        """The head, the tail or the repetition that holds a place: where it begins, and its bytes."""
        if place < len(self.head):
            return 0, self.head
        number = (place - len(self.head)) // max(1, len(self.block))
        if number >= self.repeats:
            return len(self) - len(self.tail), self.tail
        # Joining takes a quarter of the time that replacing does.
        return len(self.head) + number * len(self.block), _digits(number).join(self._between)

    @cached_property
    def _between(self) -> list[bytes]:
        return self.block.split(NUMBER)

    @cached_property
    def etag(self) -> str:
        """What tells it from other files, in hex."""
        recipe = (self.head, self.block, b"%d" % self.repeats, self.tail)
        return hashlib.sha256(b"\0".join(recipe)).hexdigest()[:32]

    @cached_property
    def md5(self) -> str:
        """Its MD5 in Base64, as ``Content-MD5`` has it. Two seconds for a gigabyte, once."""
        digest = hashlib.md5(usedforsecurity=False)
        for chunk in Part(self, 0, len(self)).chunks():
            digest.update(chunk)
        return b64encode(digest.digest()).decode()


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of a file, of which few are in memory at a time. It can be sliced like bytes.

    :param start: the place of the first byte in the file.
    :param stop: the place after the last one.
    :param wrong: the place of a byte of which a bit is flipped.
    """

    content: Content
    start: int
    stop: int
    wrong: int | None = None

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, which: slice) -> Part:
        start, stop, _ = which.indices(len(self))
        return replace(self, start=self.start + start, stop=self.start + max(start, stop))

    def flipped(self) -> Part:
        """The same with a wrong bit in the middle."""
        return replace(self, wrong=(self.start + self.stop) // 2)

    def chunks(self) -> Iterator[bytes]:
        """The bytes, some at a time."""
        place = self.start
        while place < self.stop:
            begin, piece = self.content.piece(place)
            chunk = piece[place - begin : self.stop - begin]
            if self.wrong is not None and place <= self.wrong < place + len(chunk):
                spoilt = bytearray(chunk)
                spoilt[self.wrong - place] ^= 1
                chunk = bytes(spoilt)
            yield chunk
            place += len(chunk)


def numbered(block: bytes, number: int) -> bytes:
    """A block with its number filled in."""
    return block.replace(NUMBER, _digits(number))


def _digits(number: int) -> bytes:
    return b"%08d" % number
