"""
Answer a request for erasure: hand over what Stream knows of a user, delete the user for good, and prove it.

Start one run for each request, with the user's id and your reference of the request. Set the Airflow Variable
``stream_gdpr`` to the folder for exports and records, such as ``s3://your-bucket/gdpr``: until then it is a
folder on the worker's disk. Each request has a folder of its own in it.

Nothing is deleted before the export is stored. Nothing that is stored is ever replaced: after the deletion
there is nothing to export any more. So if something fails, clear what failed and what comes after it; a whole
run that is started over when the user is gone and the record is written does nothing.

A run with ``dry_run`` exports and stores, and deletes nobody.

Change what is deleted with the user in ``delete_user``.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk import DAG, ObjectStoragePath, Param, PokeReturnValue, task

from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.notifications.chat import StreamChatNotifier
from airflow_provider_streamtasks.operators.users import StreamDeleteUsersOperator, StreamExportUsersOperator
from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator

USER_ID = "{{ params.user_id }}"
FOLDER = (
    "{{ var.value.get('stream_gdpr', 'file:///tmp/stream-gdpr') }}"
    "/{{ params.user_id }}/{{ dag_run.run_after | ts_nodash }}"
)


def is_known(user_id: str) -> bool:
    """Tell whether Stream finds the user."""
    return any(StreamHook().iter_users({"id": user_id}, include_deactivated_users=True))


with DAG(
    "gdpr_user_requests",
    schedule=None,
    catchup=False,
    params={
        "user_id": Param(type="string", pattern=r"^[\w@-]+$", title="User"),
        "reference": Param("", type="string", title="Your reference of the request"),
        "dry_run": Param(False, type="boolean", title="Dry run: delete nobody"),
    },
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
        "on_failure_callback": StreamChatNotifier(channel="messaging:alerts"),
    },
    tags=["stream"],
    doc_md=__doc__,
):

    @task
    def find_user(user_id: str, record: str) -> None:
        if is_known(user_id):
            return
        if ObjectStoragePath(record).exists():
            raise AirflowSkipException(f"The user is gone, and the record is written: {record}")
        raise AirflowFailException(f"Stream knows no user {user_id!r}")

    export_user = StreamExportUsersOperator(
        task_id="export_user",
        user_ids=[USER_ID],
        wait_for_completion=True,
        deferrable=True,
        wait_timeout=timedelta(hours=1),
        redact_result_urls=True,
    )

    store_export = StreamExportToObjectStorageOperator(
        task_id="store_export", stream_task_id=export_user.output, destination=FOLDER
    )

    delete_user = StreamDeleteUsersOperator(
        task_id="delete_user",
        user_ids=[USER_ID],
        max_items=1,
        dry_run="{{ params.dry_run }}",
        user="hard",
        messages="hard",
        conversations="hard",
        calls="hard",
        files=True,
        wait_for_completion=True,
        deferrable=True,
        wait_timeout=timedelta(hours=6),
        fail_on_partial=True,
    )

    @task.sensor(poke_interval=30, timeout=3600, mode="reschedule")
    def verify(user_id: str, params: Any = None) -> PokeReturnValue:
        if params["dry_run"]:
            raise AirflowSkipException("It was a dry run: nobody was deleted")
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return PokeReturnValue(not is_known(user_id), xcom_value=now)

    @task
    def write_record(record: str, export: Any, deletion: Any, verified_at: Any, **context: Any) -> str:
        said = {
            **{name: context["params"][name] for name in ("user_id", "reference")},
            "requested_at": context["dag_run"].run_after.isoformat(),
            "requested_by": context["dag_run"].triggering_user_name,
            "export": export,
            "deletion": {"stream_task_id": deletion, "verified_at": verified_at},
        }
        place = ObjectStoragePath(record)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(said, indent=2) + "\n")
        return record

    record = f"{FOLDER}/record.json"
    found, verified_at = find_user(USER_ID, record), verify(USER_ID)
    written = write_record(record, store_export.output, delete_user.output, verified_at)
    found >> export_user >> store_export >> delete_user >> verified_at >> written
