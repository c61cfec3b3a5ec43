"""``StreamSensorTrigger``: begin a sensor in the triggerer, so that it needs no worker."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.arguments import parse_stream_task_ids
from airflow_provider_streamtasks.protocol.delivery import (
    FAILED_ITEMS,
    RETURN_VALUE,
    VALIDATION_REPORT,
    Delivery,
)
from airflow_provider_streamtasks.triggers.task import BACKSTOP, StreamTaskTrigger, call_airflow

ON_WORKER = "on_worker"
"""Key of an event that asks a worker to start over: the value says why."""


class StreamSensorTrigger(StreamTaskTrigger):
    """
    Find out what to wait for, and wait as the base class does.

    :param stream_task_ids: the Stream tasks, or ``None`` to pull them from ``xcom``
    :param started_at: Unix time at which the wait began, or ``None`` where the Airflow task began in the
        triggerer: then it follows from Airflow's own timeout, which survives the triggerer
    :param xcom: ``task_id`` and ``key`` of the XCom that names the Stream tasks
    :param kwargs: as those of the base class
    """

    def __init__(
        self,
        stream_conn_id: str,
        stream_task_ids: Sequence[str] | None,
        started_at: float | None,
        *,
        xcom: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(stream_conn_id, stream_task_ids or [], started_at or 0.0, **kwargs)
        self.began_here = started_at is None
        self.xcom = xcom

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments: ids and numbers, never a secret."""
        path, arguments = super().serialize()
        started_at = None if self.began_here else self.started_at
        return path, {**arguments, "started_at": started_at, "xcom": self.xcom}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Find out what to wait for, wait, and end the Airflow task or hand it to a worker."""
        _compat.drop_dag(self.task_instance)
        if self.began_here:
            self.started_at = self._began_at()
        if self.xcom:
            try:
                await self._pull_task_ids(self.xcom)
            except Exception as error:
                yield TriggerEvent({ON_WORKER: f"{type(error).__name__}: {error}"})
                return
        async for event in super().run():
            yield event

    def _push(self, delivery: Delivery) -> None:
        super()._push(delivery)
        if self.began_here and self.task_instance.try_number > 1:  # type: ignore[union-attr]
            # A worker would have cleared the XComs of an earlier try when it began.
            for key in {RETURN_VALUE, FAILED_ITEMS, VALIDATION_REPORT} - delivery.xcoms.keys():
                _compat.delete_xcom(key, **self._place())

    async def _pull_task_ids(self, xcom: Mapping[str, str]) -> None:
        # Without map_indexes it would hang (3.3.2).
        ti: Any = self.task_instance
        pull = partial(ti.xcom_pull, task_ids=xcom["task_id"], key=xcom["key"], map_indexes=-1)
        value = await call_airflow(pull)
        self.stream_task_ids = tuple(parse_stream_task_ids(value))
        self.policy = replace(self.policy, single=isinstance(value, str))

    def _began_at(self) -> float:
        ends = _compat.trigger_timeout(self)
        return time.time() if ends is None else ends - BACKSTOP - self.terms.timeout

    def _until_worker_is_gone(self) -> float:
        return 0.0 if self.began_here else super()._until_worker_is_gone()
