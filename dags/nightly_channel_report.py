"""
Read the channels that ``nightly_channel_export`` has stored, as soon as they are.

The asset schedules this DAG, and the asset event says where the files are, how long they are and what their
checksums are. Change what is done with a file in ``read_file``, which gets one file after the other.
"""

from __future__ import annotations

import hashlib
from typing import Any

from airflow.sdk import DAG, Asset, ObjectStoragePath, task

CHANNELS = Asset("stream_nightly_channels")

with DAG(
    "nightly_channel_report",
    schedule=[CHANNELS],
    catchup=False,
    default_args={"retries": 2},
    tags=["stream"],
    doc_md=__doc__,
):

    @task
    def stored_files(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
        # Several nights that were stored at the same time, as in a backfill, may come as one run.
        events = triggering_asset_events.get(CHANNELS, [])
        return [file for event in events for file in event.extra["files"]]

    @task
    def read_file(file: dict[str, Any]) -> dict[str, Any]:
        digest, size, lines = hashlib.sha256(), 0, 0
        with ObjectStoragePath(file["path"]).open("rb") as stored:  # type: ignore[no-untyped-call]
            for line in stored:
                digest.update(line)
                size += len(line)
                lines += 1
        if (size, digest.hexdigest()) != (file["bytes"], file["sha256"]):
            raise ValueError(f"{file['path']} is not what was stored")
        return {**file, "lines": lines}

    read_file.expand(file=stored_files())
