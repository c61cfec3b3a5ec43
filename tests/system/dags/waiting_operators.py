"""DAGs with operators that wait in the triggerer, and may end there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task, task_group

from airflow_provider_streamtasks.operators.chat import StreamDeleteChannelsOperator
from airflow_provider_streamtasks.operators.data_import import StreamImportOperator
from airflow_provider_streamtasks.sensors.data_import import StreamImportSensor

WAITS: dict[str, Any] = {
    "hard_delete": True,
    "wait_for_completion": True,
    "deferrable": True,
    "wait_timeout": 300,
}


def delete(task_id: str, *cids: str, **arguments: Any) -> StreamDeleteChannelsOperator:
    return StreamDeleteChannelsOperator(task_id=task_id, cids=list(cids), **{**WAITS, **arguments})


@task
def tell(value: Any) -> Any:
    return {"got": value}


@task
def tell_all(values: Any) -> Any:
    return {"got": list(values)}


def say_success(context: Any) -> None:
    print(f"CALLED on_success_callback of {context['ti'].task_id}")


def say_failure(context: Any) -> None:
    print(f"CALLED on_failure_callback with {type(context['exception']).__name__}: {context['exception']}")


for dag_id, cids in {
    "wo_one": ["messaging:one"],
    "wo_many": [f"messaging:many-{number}" for number in range(150)],
    "wo_partial": ["messaging:half"],
    "wo_signed": ["messaging:signed"],
}.items():
    with DAG(dag_id, schedule=None):
        tell(delete("now", *cids).output)
        delete("before", *cids, end_from_trigger=False)

with DAG("wo_mapped", schedule=None):
    mapped = StreamDeleteChannelsOperator.partial(task_id="now", **WAITS).expand(
        cids=[["messaging:m1"], ["messaging:m2"]]
    )
    tell_all(mapped.output)

with DAG("wo_mapped_group", schedule=None):

    @task_group
    def each(cid: str) -> None:
        tell(StreamDeleteChannelsOperator(task_id="now", cids=[cid], **WAITS).output)

    each.expand(cid=["messaging:g1", "messaging:g2"])

with DAG("wo_callbacks", schedule=None):
    delete("now", "messaging:called", on_success_callback=say_success)

with DAG("wo_import", schedule=None):
    started = StreamImportOperator(
        task_id="now",
        file=Path(__file__),
        mode="upsert",
        **{name: value for name, value in WAITS.items() if name != "hard_delete"},
    )
    StreamImportSensor(task_id="sensor", import_id=started.output)

with DAG("wo_failed", schedule=None):
    delete("now", "messaging:unlucky-9", on_failure_callback=say_failure, retries=0)

with DAG("wo_strict", schedule=None):
    delete("now", "messaging:half", fail_on_partial=True, retries=0)

with DAG("wo_timeout", schedule=None):
    delete("now", "messaging:endless-9", wait_timeout=10, retries=0)
