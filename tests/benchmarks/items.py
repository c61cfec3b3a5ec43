"""``python -m tests.benchmarks.items``: what reading ten million items takes, by form and storage.

Each way is a dry run of ``StreamDeactivateUsersOperator`` in a process of its own: every item is read,
checked, compared with all others and written to the temporary file, and nothing is sent. Writes the table of
the documentation, ``docs/generated/items_cost.inc``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.benchmarks.export import BUCKET, KEY, ROOT, SECRET, s3, sandbox
from tests.benchmarks.one_transfer import memory

TABLE = ROOT / "docs" / "generated" / "items_cost.inc"
COLUMN = "user_id"
AT_A_TIME = 100_000
WAYS = [
    ("file", "lines.txt", "lines, on a disk"),
    ("s3", "lines.txt", "lines, on S3"),
    ("s3", "lines.txt.gz", "lines in gzip, on S3"),
    ("s3", "table.csv", "CSV, on S3"),
    ("s3", "records.jsonl", "JSON lines, on S3"),
    ("s3", "table.parquet", "Parquet, on S3"),
]


def ids(count: int) -> Iterator[list[str]]:
    """Yield ids of 41 characters, in portions."""
    for first in range(0, count, AT_A_TIME):
        yield [f"user-{number:036d}" for number in range(first, min(first + AT_A_TIME, count))]


def write(path: Path, count: int) -> None:
    """Write a file in the form that its name says."""
    if path.suffix == ".parquet":
        import pyarrow
        from pyarrow.parquet import ParquetWriter

        with ParquetWriter(path, pyarrow.schema([(COLUMN, pyarrow.string())])) as table:
            for some in ids(count):
                table.write_batch(pyarrow.record_batch({COLUMN: some}))
        return
    form: Callable[[str], str] = {
        ".csv": lambda one: f"{one},somebody\n",
        ".jsonl": lambda one: f'{{"{COLUMN}": "{one}", "name": "somebody"}}\n',
    }.get(path.suffix, lambda one: f"{one}\n")
    with gzip.open(path, "wt", 1) if path.suffix == ".gz" else path.open("w") as file:
        if path.suffix == ".csv":
            file.write(f"{COLUMN},name\n")
        for some in ids(count):
            file.write("".join(map(form, some)))


def read(location: str, count: int) -> dict[str, float]:
    """Dry-run the operator in this process; return its seconds, and the memory that it took."""
    from airflow_provider_streamtasks.operators.users import StreamDeactivateUsersOperator
    from tests.airflow_tasks import Run

    def dry_run(user_ids: Any, ids_column: str | None) -> int:
        operator = StreamDeactivateUsersOperator(
            task_id="deactivate", user_ids=user_ids, ids_column=ids_column, dry_run=True
        )
        run = Run()
        operator.execute(run.context)
        items: int = run.xcoms["dry_run"]["items"]
        return items

    folder, _, name = location.rpartition("/")
    column = None if name.startswith("lines") else COLUMN
    # Everything is imported, and both hosts were spoken to.
    dry_run(f"{folder}/small-{name}", column)
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    started = time.perf_counter()
    found = dry_run(location, column)
    seconds = time.perf_counter() - started
    assert found == count, found
    return {"seconds": seconds, "memory": memory("VmHWM") - before}


def main() -> None:
    """Measure every way, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.items", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000_000)
    parser.add_argument("--one", metavar="LOCATION", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(read(options.one, options.count)))
        return
    rows = []
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory())
        url = stack.enter_context(sandbox())
        os.environ.update(
            AIRFLOW_HOME=f"{place}/airflow",
            AIRFLOW__CORE__UNIT_TEST_MODE="True",
            AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{place}/airflow.db",
            AIRFLOW_CONN_STREAM_DEFAULT=json.dumps(
                {"conn_type": "stream", "host": url, "login": KEY, "password": SECRET}
            ),
            AWS_ACCESS_KEY_ID="key",
            AWS_SECRET_ACCESS_KEY="secret",
            AWS_DEFAULT_REGION="us-east-1",
        )
        endpoint = stack.enter_context(s3())
        aws = {"conn_type": "aws", "login": "key", "password": "secret", "extra": {"endpoint_url": endpoint}}
        os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = json.dumps(aws)
        for storage, name, words in WAYS:
            file, small = Path(place) / name, Path(place) / f"small-{name}"
            write(file, options.count)
            write(small, 1)
            location = f"file://{file}"
            if storage == "s3":
                _upload(endpoint, small)
                _upload(endpoint, file)
                location = f"s3://aws_default@{BUCKET}/{name}"
            command = [sys.executable, "-m", "tests.benchmarks.items", "--one", location]
            done = subprocess.run(
                [*command, "--count", str(options.count)], cwd=ROOT, stdout=subprocess.PIPE, check=True
            )
            measured = json.loads(done.stdout.splitlines()[-1])
            rows.append((words, file.stat().st_size, measured))
            print(words, measured, flush=True)
            file.unlink()
    TABLE.write_text("\n".join(_table(rows)) + "\n")


def _upload(endpoint: str, file: Path) -> None:
    import boto3

    client: Any = boto3.client("s3", endpoint_url=endpoint)
    client.upload_file(str(file), BUCKET, file.name)


def _table(rows: list[tuple[str, int, dict[str, float]]]) -> list[str]:
    lines = [".. list-table::", "   :header-rows: 1", "", "   * - Ten million ids of 41 characters"]
    lines += ["     - the file", "     - memory"]
    for words, size, measured in rows:
        lines += [f"   * - {words}", f"     - {size / 2**20:.0f} MiB"]
        lines += [f"     - {measured['memory'] / 2**20:.0f} MiB"]
    return lines


if __name__ == "__main__":
    main()
