"""
Export channels, wait until Stream has written the file, and store it where your data lives.

The destination is a parameter of the run: a folder on a disk, or one like ``s3://bucket/exports/``. The asset
event says where the file is, so that a DAG that is scheduled by the asset can read it.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Asset

from airflow_provider_streamtasks.operators.chat import StreamExportChannelsOperator
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator

with DAG(
    "export_channels_to_storage",
    schedule=None,
    catchup=False,
    params={"destination": "s3://your-bucket/stream-exports/"},
    tags=["stream"],
    doc_md=__doc__,
):
    export_channels = StreamExportChannelsOperator(
        task_id="export_channels",
        channels=["messaging:general", "messaging:support"],
        version="v2",
    )

    wait_for_export = StreamTaskSensor(
        task_id="wait_for_export",
        stream_task_id=export_channels.output,
        timeout=timedelta(hours=6),
        redact_result_urls=True,
    )

    store_export = StreamExportToObjectStorageOperator(
        task_id="store_export",
        stream_task_id=export_channels.output,
        destination="{{ params.destination }}",
        outlets=[Asset("stream_channel_exports")],
    )

    wait_for_export >> store_export
