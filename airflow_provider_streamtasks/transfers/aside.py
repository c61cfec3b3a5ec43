"""Work in another thread, so that reading, checking and writing a file go on at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

AHEAD = 1536 * 1024
"""Bytes that wait for a thread at the most, unless it is told otherwise. They are in memory."""


class Aside:
    """
    Does something with one chunk after the other, in a thread of its own.

    A context manager: left without :meth:`finish`, it drops what still waits. In either case the thread is
    at rest when it is left.

    :param act: takes a chunk. It needs no lock: it is called by one thread only.
    :param ahead: bytes that may wait, together
    """

    def __init__(self, act: Callable[[bytes], Any], ahead: int = AHEAD) -> None:
        self._act = act
        self._ahead = ahead
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="streamtasks-transfer")
        self._pending: deque[tuple[int, Future[Any]]] = deque()
        self._waiting = 0

    def __enter__(self) -> Aside:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def take(self, chunk: bytes) -> None:
        """
        Let a chunk wait for its turn, and wait oneself if too many do.

        :raises Exception: what ``act`` raised for an earlier chunk
        """
        self._pending.append((len(chunk), self._thread.submit(self._act, chunk)))
        self._waiting += len(chunk)
        while self._waiting > self._ahead:
            self._wait_for_one()

    def finish(self) -> None:
        """
        Wait until every chunk is done.

        :raises Exception: what ``act`` raised
        """
        while self._pending:
            self._wait_for_one()

    def _wait_for_one(self) -> None:
        size, done = self._pending.popleft()
        done.result()
        self._waiting -= size
