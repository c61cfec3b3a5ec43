"""An import that somebody kills while it is waited for."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_streamtasks.operators.data_import import StreamImportV2Operator

with DAG("import_killed", schedule=None):
    StreamImportV2Operator(
        task_id="import",
        product="chat",
        settings={"path": "s3://bucket/endless.json", "mode": "upsert"},
        completed_states=[3],
        failed_states=[4, 5],
        wait_for_completion=True,
        deferrable=True,
        wait_timeout=300,
    )
