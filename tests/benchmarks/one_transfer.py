"""One transfer in a process of its own; prints its seconds, those of CPU, and the memory it took, as JSON."""

from __future__ import annotations

import hashlib
import json
import os
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


def have_pages_at_hand(folder: Path, size: int) -> None:
    """
    Write a file of some bytes and remove it, so that the next one finds pages that were just in use.

    A virtual machine gives idle pages back to its host within seconds, and whoever writes first after that
    waits for them: up to three times as long as for the writing itself. That depends on what ran before, and
    not on who is measured.
    """
    place = folder / "pages"
    with place.open("wb") as file:
        for _ in range(size // 2**18):
            file.write(bytes(2**18))
    place.unlink()


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


def plain(url: str, destination: str) -> Callable[[], Any]:
    """What many would write: ``requests``, SHA-256, and fsspec as it comes, or a file on a disk."""
    import fsspec
    import requests

    options = json.loads(os.environ.get("PLAIN_OPTIONS", "{}"))
    fs, path = fsspec.url_to_fs(destination, **options)
    folder = path.rstrip("/")
    with fs.open(f"{folder}/warm-up", "wb") as file:
        file.write(b"warm")

    def copy() -> None:
        digest = hashlib.sha256()
        with requests.get(url, stream=True, timeout=60) as answer, fs.open(f"{folder}/plain", "wb") as file:
            for chunk in answer.iter_content(1024 * 1024):
                digest.update(chunk)
                file.write(chunk)

    return copy


def pipe(bucket: str, endpoint: str) -> Callable[[], Any]:
    """What comes from standard input to S3, as boto3 uploads files."""
    import boto3
    from botocore.config import Config

    client = boto3.client("s3", endpoint_url=endpoint, config=Config(read_timeout=600))
    client.list_buckets()
    return lambda: client.upload_fileobj(sys.stdin.buffer, bucket, "exports/pipe")


def main() -> None:
    """``SIZE provider IDS DESTINATION``, ``SIZE plain URL DESTINATION`` or ``SIZE pipe BUCKET ENDPOINT``."""
    size, way, *arguments = sys.argv[1:]
    run = {"provider": provider, "plain": plain, "pipe": pipe}[way](*arguments)
    if arguments[1].startswith("file://"):
        have_pages_at_hand(Path(arguments[1].removeprefix("file://")), int(size))
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    started, cpu = time.perf_counter(), time.process_time()
    run()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "cpu": cpu, "memory": memory("VmHWM") - before}))


if __name__ == "__main__":
    main()
