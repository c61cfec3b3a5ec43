"""DAGs with sensors that may begin and end in the triggerer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task, task_group

from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor


def delete(task_id: str, *cids: str) -> Any:
    return StreamDeleteChannelsOperator(task_id=task_id, cids=list(cids), hard_delete=True).output


@task
def tell(value: Any) -> Any:
    return {"got": value}


def say_success(context: Any) -> None:
    print(f"CALLED on_success_callback of {context['ti'].task_id}")


def say_failure(context: Any) -> None:
    print(f"CALLED on_failure_callback with {type(context['exception']).__name__}: {context['exception']}")


with DAG("ww_one", schedule=None):
    tell(StreamTaskSensor(task_id="wait", stream_task_id=delete("delete", "messaging:a")).output)

with DAG("ww_list", schedule=None):
    many = delete("delete", *(f"messaging:{number}" for number in range(150)))
    StreamTaskSensor(task_id="wait", stream_task_id=many, timeout=timedelta(minutes=5))

with DAG("ww_literal", schedule=None):
    # Nobody has started it, so it is a failure, which belongs to a worker.
    StreamTaskSensor(task_id="wait", stream_task_id="00000000-0000-4000-8000-000000000000", retries=0)

with DAG("ww_empty", schedule=None):
    StreamTaskSensor(task_id="wait", stream_task_id=[])

with DAG("ww_signed", schedule=None):
    signed = delete("delete", "messaging:signed")
    StreamTaskSensor(task_id="wait", stream_task_id=signed)
    StreamTaskSensor(task_id="redact", stream_task_id=signed, redact_result_urls=True)

with DAG("ww_mapped", schedule=None):
    ids = StreamDeleteChannelsOperator.partial(task_id="delete", hard_delete=True).expand(
        cids=[["messaging:m1"], ["messaging:m2"]]
    )
    StreamTaskSensor.partial(task_id="wait").expand(stream_task_id=ids.output)

with DAG("ww_mapped_group", schedule=None):

    @task_group
    def each(cid: str) -> None:
        StreamTaskSensor(
            task_id="wait",
            stream_task_id=StreamDeleteChannelsOperator(
                task_id="delete", cids=[cid], hard_delete=True
            ).output,
        )

    each.expand(cid=["messaging:g1", "messaging:g2"])

with DAG("ww_mapped_downstream", schedule=None):
    results = StreamTaskSensor(task_id="wait", stream_task_id=[])
    tell.expand(value=results.output)

with DAG("ww_callbacks", schedule=None, default_args={"on_success_callback": say_success}):
    StreamTaskSensor(task_id="wait", stream_task_id=delete("delete", "messaging:b"))

with DAG("ww_failed", schedule=None):
    StreamTaskSensor(
        task_id="wait",
        stream_task_id=delete("delete", "messaging:unlucky-9"),
        on_failure_callback=say_failure,
        retries=2,
    )

with DAG("ww_partial", schedule=None):
    partial = delete("delete", "messaging:half")
    StreamTaskSensor(task_id="wait", stream_task_id=partial)
    StreamTaskSensor(task_id="strict", stream_task_id=partial, fail_on_partial=True)

with DAG("ww_timeout", schedule=None):
    StreamTaskSensor(task_id="wait", stream_task_id=delete("delete", "messaging:endless-9"), timeout=10)

with DAG("ww_jinja", schedule=None):
    StreamTaskSensor(
        task_id="wait",
        stream_task_id="{{ ti.xcom_pull(task_ids='delete') }}",
    ).set_upstream(delete("delete", "messaging:c").operator)

with DAG("ww_no_id", schedule=None):

    @task
    def no_id() -> None:
        pass

    StreamTaskSensor(task_id="wait", stream_task_id=no_id())

with DAG("ww_survives", schedule=None, params={"cid": ""}):
    StreamTaskSensor(
        task_id="wait",
        stream_task_id=StreamDeleteChannelsOperator(
            task_id="delete", cids=["{{ params.cid }}"], hard_delete=True
        ).output,
        timeout=60,
    )
