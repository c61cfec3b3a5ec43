"""What the first wait of a process needs, made ready beside the event loop and before it is needed."""

from __future__ import annotations

import asyncio
import logging
from types import ModuleType
from typing import Any

from airflow_provider_streamtasks import _compat

log = logging.getLogger(__name__)

_poller: ModuleType | None = None


async def poller() -> ModuleType:
    """
    Return :mod:`~airflow_provider_streamtasks.triggers.poller`, which parsing a DAG never needs.

    It is imported in a thread: with all that it imports, the event loop would stand still for its time.
    """
    global _poller
    if _poller is None:
        _poller = await asyncio.to_thread(_import_poller)
    return _poller


def _import_poller() -> ModuleType:
    # The first two are what Airflow imports for the first connection that it reads.
    import asgiref.sync  # noqa: F401
    from airflow.sdk import Connection  # noqa: F401

    from airflow_provider_streamtasks.triggers import poller

    return poller


class WarmUp:
    """
    Lets Airflow build its in-process API before a wait ends and needs it.

    A triggerer builds one for the first call that goes to Airflow's database (3.3.2). That takes seconds, in
    which nobody reads what triggers log, nor takes in what they fire. So it is brought about once, when no
    new wait has begun for a while: each of those writes to the log, and a busy triggerer takes them in
    by the dozen, seconds apart.

    :param quiet: seconds without a new wait
    :param latest: seconds after the first wait at which it is brought about, however many new ones begin
    :ivar over: is set when the API is there, or Airflow could not be asked
    """

    def __init__(self, quiet: float = 5.0, latest: float = 60.0) -> None:
        self._pauses = quiet, latest
        self._latest: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._call: asyncio.Task[None] | None = None
        self.over = asyncio.Event()

    def begin(self, ti: Any) -> None:
        """
        Record that a wait begins.

        :param ti: its task instance, about which Airflow is asked. Any call would do; this changes nothing.
        """
        if self._call is not None:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        quiet, latest = self._pauses
        self._latest = self._latest or now + latest
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(min(now + quiet, self._latest), self._start, ti)

    def _start(self, ti: Any) -> None:
        self._timer = None
        self._call = asyncio.ensure_future(self._ask_about(ti))

    async def _ask_about(self, ti: Any) -> None:
        try:
            await _compat.may_be_deferred(ti)
        except Exception as error:
            # Then it is built when it is needed, or fails there.
            log.debug("Airflow's API could not be warmed up: %s: %s", type(error).__name__, error)
        self.over.set()


warm_up = WarmUp()
"""That of this process."""
