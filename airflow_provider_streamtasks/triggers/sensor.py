"""``StreamSensorTrigger``: begin and end a sensor in the triggerer, so that it needs no worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from airflow.sdk.bases.xcom import BaseXCom
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.arguments import check_stream_task_ids
from airflow_provider_streamtasks.protocol.polling import Outcome, Wait, partial_failure
from airflow_provider_streamtasks.protocol.tasks import StreamTask, signatures, without_signature
from airflow_provider_streamtasks.results import FAILED_ITEMS_KEY, failed_inside
from airflow_provider_streamtasks.triggers.task import BACKSTOP, StreamTaskTrigger

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
    :param push_result: whether the results become the XCom ``return_value``
    :param fail_on_partial: whether it is a failure when items inside a Stream task failed
    :param redact_result_urls: whether URLs in results lose their signature
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
        push_result: bool = True,
        fail_on_partial: bool = False,
        redact_result_urls: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(stream_conn_id, stream_task_ids or [], started_at or 0.0, **kwargs)
        self.began_here = started_at is None
        self.xcom = xcom
        self.single = single
        self.end = end
        self.push_result = push_result
        self.fail_on_partial = fail_on_partial
        self.redact_result_urls = redact_result_urls

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments: ids and numbers, never a secret."""
        path, arguments = super().serialize()
        return path, {
            **arguments,
            "started_at": None if self.began_here else self.started_at,
            "xcom": self.xcom,
            "single": self.single,
            "end": self.end,
            "push_result": self.push_result,
            "fail_on_partial": self.fail_on_partial,
            "redact_result_urls": self.redact_result_urls,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Find out what to wait for, wait, and end the Airflow task or hand it to a worker."""
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
                if await self._deliver(wait.result()):
                    return TaskSuccessEvent()
            except Exception as error:
                self.log.warning("A worker must end this: %s: %s", type(error).__name__, error)
        return await super().event(wait)

    async def _deliver(self, tasks: list[StreamTask]) -> bool:
        """Push the XComs, unless it is a failure, which is for a worker: then return False."""
        items, task_ids = failed_inside(tasks)
        if items and self.fail_on_partial:
            return False
        xcoms: dict[str, Any] = {}
        if items:
            xcoms[FAILED_ITEMS_KEY] = items
            self.log.warning(str(partial_failure(items, task_ids)))
        results = [task.result for task in tasks]
        for query in signatures(results):
            await _compat.amask_secret(query)
        if self.redact_result_urls:
            results = [without_signature(result) for result in results]
        value = results[0] if self.single else results
        if self.push_result and value is not None:
            xcoms[BaseXCom.XCOM_RETURN_KEY] = value
        await asyncio.to_thread(self._push, xcoms)
        return True

    def _push(self, xcoms: Mapping[str, Any]) -> None:
        # Not as xcoms of the event: those reach the next task as text, and pass by an XCom backend (3.3.2).
        from airflow.sdk.execution_time.xcom import XCom  # only where tasks run

        ti: Any = self.task_instance
        where = {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id, "map_index": ti.map_index}
        for key, value in xcoms.items():
            XCom.set(key=key, value=value, **where)
        if self.began_here and ti.try_number > 1:
            # A worker would have begun by clearing what an earlier try left.
            for key in {BaseXCom.XCOM_RETURN_KEY, FAILED_ITEMS_KEY} - xcoms.keys():
                _compat.delete_xcom(key, **where)

    async def _pull_task_ids(self, xcom: Mapping[str, str]) -> None:
        # In a thread, because the call is a synchronous one. Without map_indexes it would hang (3.3.2).
        value = await asyncio.to_thread(
            self.task_instance.xcom_pull,  # type: ignore[union-attr]
            task_ids=xcom["task_id"],
            key=xcom["key"],
            map_indexes=-1,
        )
        self.stream_task_ids = tuple(check_stream_task_ids(value))
        self.single = isinstance(value, str)

    def _began_at(self) -> float:
        ends = _compat.trigger_timeout(self)
        return time.time() if ends is None else ends - BACKSTOP - self.terms.timeout

    def _until_worker_is_gone(self) -> float:
        return 0.0 if self.began_here else super()._until_worker_is_gone()
