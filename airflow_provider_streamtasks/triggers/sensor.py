"""``StreamSensorTrigger``: begin and end a sensor in the triggerer, so that it needs no worker."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.arguments import parse_stream_task_ids
from airflow_provider_streamtasks.protocol.delivery import (
    FAILED_ITEMS,
    MAX_RESULT_SIZE,
    Delivery,
    XComPolicy,
    deliver,
)
from airflow_provider_streamtasks.protocol.wait import Outcome, Wait
from airflow_provider_streamtasks.results import RETURN_VALUE
from airflow_provider_streamtasks.triggers.task import BACKSTOP, StreamTaskTrigger, write
from airflow_provider_streamtasks.triggers.warm_up import warm_up

ON_WORKER = "on_worker"
"""Key of an event that asks a worker to begin anew: the value says why."""


class StreamSensorTrigger(StreamTaskTrigger):
    """
    Wait as the base class does, and end the Airflow task.

    A completed wait ends it in success, after its results have become XComs. Whatever else comes is handed to
    a worker, where exceptions, callbacks and retries are at home.

    :param stream_task_ids: the Stream tasks, or ``None`` to pull them from ``xcom``
    :param started_at: Unix time at which the wait began, or ``None`` where the Airflow task began in the
        triggerer: then it follows from Airflow's own timeout, which survives the triggerer
    :param xcom: ``task_id`` and ``key`` of the XCom that names the Stream tasks
    :param single: whether the result of the one Stream task is wanted, and not a list of results
    :param end: whether to end the Airflow task here
    :param do_xcom_push: as the further arguments, what may become an XCom:
        :class:`~airflow_provider_streamtasks.protocol.delivery.XComPolicy`
    :param kwargs: as those of the base class
    """

    def __init__(
        self,
        stream_conn_id: str,
        stream_task_ids: Sequence[str] | None,
        started_at: float | None,
        *,
        xcom: Mapping[str, str] | None = None,
        single: bool = False,
        end: bool = True,
        do_xcom_push: bool | None = None,
        push_result: bool | None = None,
        max_result_size: int = MAX_RESULT_SIZE,
        redact_result_urls: bool = False,
        fail_on_partial: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(stream_conn_id, stream_task_ids or [], started_at or 0.0, **kwargs)
        self.began_here = started_at is None
        self.xcom = xcom
        self.single = single
        self.end = end
        if do_xcom_push is None:
            # Early 0.1.0 stored do_xcom_push as push_result, whose True did not mean to allow people.
            do_xcom_push, push_result = push_result is not False, None
        self.policy = XComPolicy(
            do_xcom_push, push_result, max_result_size, redact_result_urls, fail_on_partial
        )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments: ids and numbers, never a secret."""
        path, arguments = super().serialize()
        return path, {
            **arguments,
            "started_at": None if self.began_here else self.started_at,
            "xcom": self.xcom,
            "single": self.single,
            "end": self.end,
            **asdict(self.policy),
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Find out what to wait for, wait, and end the Airflow task or hand it to a worker."""
        _compat.drop_dag(self.task_instance)
        if self.end and self.trigger_id is not None:
            warm_up.begin(self.task_instance)
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

    async def event(self, wait: Wait) -> TriggerEvent:
        """Return the event that ends the Airflow task, or the one for a worker."""
        # dag.test() has no trigger id, and does not know events that end the Airflow task.
        if self.end and self.trigger_id is not None and wait.outcome is Outcome.COMPLETED:
            try:
                if await self._deliver(wait):
                    return TaskSuccessEvent()
            except Exception as error:
                await write(logging.WARNING, f"A worker must end this: {type(error).__name__}: {error}")
        return await super().event(wait)

    async def _deliver(self, wait: Wait) -> bool:
        """Carry out what is decided, unless it is a failure, which is for a worker: then return False."""
        # In a thread, because a result may be megabytes, and others wait in this loop.
        delivery = await asyncio.to_thread(
            deliver, wait.result(), self.policy, RETURN_VALUE, single=self.single
        )
        if delivery.failure:
            return False
        for secret in delivery.secrets:
            await _compat.amask_secret(secret)
        await asyncio.to_thread(self._push, delivery)
        return True

    def _push(self, delivery: Delivery) -> None:
        # Not as xcoms of the event: those reach the next task as text, and pass by an XCom backend (3.3.2).
        from airflow.sdk.execution_time.xcom import XCom  # only where tasks run

        for line in delivery.notes:
            self.log.info(line)
        for line in delivery.warnings:
            self.log.warning(line)
        ti: Any = self.task_instance
        where = {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id, "map_index": ti.map_index}
        for key, value in delivery.xcoms.items():
            XCom.set(key=key, value=value, **where)
        if self.began_here and ti.try_number > 1:
            # A worker would have begun by clearing what an earlier try left.
            for key in {RETURN_VALUE, FAILED_ITEMS} - delivery.xcoms.keys():
                _compat.delete_xcom(key, **where)

    async def _pull_task_ids(self, xcom: Mapping[str, str]) -> None:
        # In a thread, because the call is a synchronous one. Without map_indexes it would hang (3.3.2).
        value = await asyncio.to_thread(
            self.task_instance.xcom_pull,  # type: ignore[union-attr]
            task_ids=xcom["task_id"],
            key=xcom["key"],
            map_indexes=-1,
        )
        self.stream_task_ids = tuple(parse_stream_task_ids(value))
        self.single = isinstance(value, str)

    def _began_at(self) -> float:
        ends = _compat.trigger_timeout(self)
        return time.time() if ends is None else ends - BACKSTOP - self.terms.timeout

    def _until_worker_is_gone(self) -> float:
        return 0.0 if self.began_here else super()._until_worker_is_gone()
