"""TaskFlow functions that carry out operators and sensors themselves."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.operators.data_import import StreamImportV2Operator
from airflow_provider_streamtasks.sensors.task import StreamTaskFailed, StreamTaskSensor


def delete(task_id: str, cid: str, **arguments: Any) -> StreamDeleteChannelsOperator:
    return StreamDeleteChannelsOperator(task_id=task_id, cids=[cid], hard_delete=True, **arguments)


def wait(stream_task_id: Any, **arguments: Any) -> StreamTaskSensor:
    return StreamTaskSensor(task_id="wait", stream_task_id=stream_task_id, **arguments)


with DAG("inside_another_task", schedule=None, default_args={"retries": 0}):

    @task
    def all_in_one(**context: Any) -> dict[str, Any]:
        one = delete("one", "messaging:inner-1").execute(context)
        two = delete("two", "messaging:inner-2", wait_for_completion=True, deferrable=True).execute(context)
        return {"one": wait(one).execute(context), "two": two != one}

    @task
    def failure_is_caught(**context: Any) -> str:
        try:
            wait(delete("delete", "messaging:unlucky-inner").execute(context)).execute(context)
        except StreamTaskFailed as error:
            return f"caught: {error.description}"
        return "nothing to catch"

    @task
    def reschedule(**context: Any) -> Any:
        stream_task_id = delete("delete", "messaging:inner-3").execute(context)
        return wait(stream_task_id, mode="reschedule").execute(context)

    @task
    def endless_import(**context: Any) -> str:
        importing = StreamImportV2Operator(
            task_id="import",
            product="chat",
            settings={"path": "s3://bucket/endless.json", "mode": "upsert"},
            completed_states=[3],
            wait_for_completion=True,
            deferrable=True,
            wait_timeout=5,
        )
        try:
            importing.execute(context)
        except Exception as error:
            return type(error).__name__
        return "it ended"

    @task
    def mapped(cid: str, **context: Any) -> Any:
        return wait(delete("delete", cid).execute(context)).execute(context)

    all_in_one()
    failure_is_caught()
    reschedule()
    endless_import()
    mapped.expand(cid=["messaging:inner-4", "messaging:inner-5"])
