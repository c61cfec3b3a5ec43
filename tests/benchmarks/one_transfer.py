"""One transfer in a process of its own; prints its seconds, those of CPU, and the memory it took, as JSON."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def memory(name: str) -> int:
    """Return ``VmRSS`` (now) or ``VmHWM`` (the most so far), in bytes."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def provider(stream_task_id: str, destination: str) -> Callable[[], Any]:
    """The operator, ready to be carried out: everything is imported, and both hosts were spoken to."""
    from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator
    from tests.airflow_tasks import Run

    class StoringRun(Run):
        @property
        def context(self) -> Any:
            return {**super().context, "outlet_events": {}}

    def store(task_id: str, name: str) -> Any:
        operator = StreamExportToObjectStorageOperator(
            task_id="store",
            stream_task_id=task_id,
            destination=destination,
            file_name=name,
            overwrite="overwrite",
        )
        return operator.execute(StoringRun().context)

    small, large = stream_task_id.split(",")
    store(small, "warm-up")
    return lambda: store(large, "provider")


def pipe(bucket: str, endpoint: str) -> Callable[[], Any]:
    """What comes from standard input to S3, as boto3 uploads files."""
    import boto3

    client = boto3.client("s3", endpoint_url=endpoint)
    client.list_buckets()
    return lambda: client.upload_fileobj(sys.stdin.buffer, bucket, "exports/pipe")


def main() -> None:
    """``provider IDS DESTINATION`` or ``pipe BUCKET ENDPOINT``."""
    way, *arguments = sys.argv[1:]
    run = {"provider": provider, "pipe": pipe}[way](*arguments)
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    started, cpu = time.perf_counter(), time.process_time()
    run()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "cpu": cpu, "memory": memory("VmHWM") - before}))


if __name__ == "__main__":
    main()
