"""A limit to how long requests may take."""

from __future__ import annotations

import asyncio
import sys
from types import TracebackType
from typing import Any


class TimeLimit:
    """
    End what takes too long: ``with limit: await ...`` raises ``asyncio.TimeoutError`` when the time is over.
    What has arrived whole by then counts, however late a busy event loop comes to read it.

    All that is under way shares one timer. One for each request, such as aiohttp's own ``total``, costs a
    tenth of the request.

    :param seconds: how long each may take
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends: dict[asyncio.Task[Any], float] = {}  # in the order in which they end
        self._late: set[asyncio.Task[Any]] = set()
        self._ended: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        self._ends[_this_task()] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._check, loop)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task = _this_task()
        self._ends.pop(task, None)
        self._late.discard(task)
        if task not in self._ended:
            return
        self._ended.remove(task)
        if sys.version_info >= (3, 11) and task.uncancel() > 0:
            return  # somebody else cancelled it, too
        if kind is asyncio.CancelledError:
            raise asyncio.TimeoutError from None

    def close(self) -> None:
        """Stop the timer; nothing may be under way."""
        if self._timer:
            self._timer.cancel()

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self._timer = None
        for task, end in list(self._ends.items()):
            if end > now:
                self._timer = loop.call_at(end, self._check, loop)
                break
            del self._ends[task]
            self._late.add(task)
            # The loop has just read what had arrived, and first wakes the tasks that waited for it.
            loop.call_soon(self._end, task)

    def _end(self, task: asyncio.Task[Any]) -> None:
        if task in self._late:
            self._late.remove(task)
            self._ended.add(task)
            task.cancel()


def _this_task() -> asyncio.Task[Any]:
    return asyncio.current_task()  # type: ignore[return-value]  # `await` needs one
