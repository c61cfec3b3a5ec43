"""``python -m tests.benchmarks.export``: what storing an export costs, side by side with other ways.

A file of 2 GiB goes from a storage host to a disk, to moto's S3 server and to Azurite, over HTTP, in turns:
by the operator, and by a plain loop of ``requests``, SHA-256 and fsspec. To the disk also by ``curl``, and
from a host that sends at most 2.5 Gbit/s; to S3 also by ``curl`` into boto3. Whoever writes to the disk finds
pages at hand, since a file of that size was removed right before.
Writes ``docs/generated/benchmarks_export.json``, and from it the table of the documentation,
``docs/generated/transfers_cost.inc``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_streamtasks.sandbox import SandboxControl, files
from airflow_provider_streamtasks.sandbox.content import Part
from tests.benchmarks.one_transfer import have_pages_at_hand

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "generated" / "benchmarks_export.json"
TABLE = ROOT / "docs" / "generated" / "transfers_cost.inc"
WORDS = {
    "curl": "``curl`` to the disk",
    "plain_to_disk": "``requests`` and SHA-256 to the disk",
    "curl_into_boto3": "``curl`` into boto3",
    "plain_to_s3": "``requests``, SHA-256 and s3fs",
    "plain_to_azure": "``requests``, SHA-256 and adlfs",
    "provider_to_azure": "this operator",
    "provider_to_disk": "this operator to the disk",
    "provider_to_s3": "this operator",
}
KEY, SECRET = "benchmark-key", "benchmark-secret-of-more-than-32-bytes"
BUCKET = "exports"
FILE = "export.jsonl"
NETWORK = 2_500_000_000 // 8  # bytes per second: 2.5 Gbit/s
TITLES = {"disk": "unlimited", "paced": "at 2.5 Gbit/s", "s3": "to S3", "azure": "to Azure"}

Measured = dict[str, float]


@dataclass(frozen=True)
class Source:
    """What is downloaded.

    :param url: of the file.
    :param ids: the Stream tasks of a small export and of that file.
    :param size: of the file, in bytes.
    """

    url: str
    ids: str
    size: int


@contextmanager
def serving(*command: str) -> Iterator[None]:
    """Run a server in a process of its own."""
    server = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        server.terminate()
        server.wait()


@contextmanager
def sandbox() -> Iterator[str]:
    """Run the sandbox; yield its URL."""
    port = free_port()
    with serving(
        "airflow_provider_streamtasks.sandbox",
        *("--port", str(port), "--api-key", KEY, "--api-secret", SECRET),
    ):
        until_it_listens(port)
        yield f"http://127.0.0.1:{port}"


@contextmanager
def storage_host(folder: Path, *rate: str) -> Iterator[str]:
    """Run the storage host; yield the signed URL of the file."""
    port = free_port()
    with serving("tests.benchmarks.file_host", str(port), str(folder), *rate):
        until_it_listens(port)
        yield f"http://127.0.0.1:{port}/exports/{FILE}?Expires=1&Signature=benchmark"


@contextmanager
def s3() -> Iterator[str]:
    """Run moto's server with an empty bucket; yield its URL."""
    import boto3

    port = free_port()
    with serving("moto.server", "-p", str(port)):
        until_it_listens(port)
        boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}").create_bucket(Bucket=BUCKET)
        yield f"http://127.0.0.1:{port}"


@contextmanager
def azure() -> Iterator[str]:
    """Run Azurite with an empty container; yield the connection string."""
    from azure.storage.blob import BlobServiceClient

    from tests.transfers.stores import azure_connection, azurite

    port = free_port()
    options = ("--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--disableTelemetry")
    server = subprocess.Popen([str(azurite()), "--blobPort", str(port), *options], stdout=subprocess.DEVNULL)
    try:
        until_it_listens(port)
        connection = azure_connection(f"http://127.0.0.1:{port}")
        BlobServiceClient.from_connection_string(connection).create_container(BUCKET)
        yield connection
    finally:
        server.terminate()
        server.wait()


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until_it_listens(port: int) -> None:
    """Wait until a server takes connections."""
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"nothing listens at port {port}")


def export(url: str, **fate: Any) -> str:
    """Start an export that completes at once; return the id of the Stream task."""
    from airflow_provider_streamtasks.hooks.stream import StreamHook
    from airflow_provider_streamtasks.protocol.catalogue import EXPORT_CHANNELS

    SandboxControl(url).fate(operation="ExportChannels", pending=0, running=0, times=1, **fate)
    hook = StreamHook()
    task_id = hook.submit(EXPORT_CHANNELS, ["messaging:general"], version="v2").task_id
    hook.close()
    assert task_id
    return task_id


def curl(source: Source, folder: Path) -> Measured:
    """Download with curl to a disk."""
    have_pages_at_hand(folder, source.size)
    target = str(folder / "curl")
    download = subprocess.Popen(
        ["curl", "--silent", "--fail", "--output", target, "--write-out", "%{time_total}", source.url],
        stdout=subprocess.PIPE,
    )
    assert download.stdout
    seconds = float(download.stdout.read())
    return {"seconds": seconds, "cpu": cpu_seconds(download)}


def curl_into_boto3(source: Source, endpoint: str) -> Measured:
    """Download with curl into a process that uploads with boto3."""
    download = subprocess.Popen(["curl", "--silent", "--fail", source.url], stdout=subprocess.PIPE)
    measured = one_transfer(source, "pipe", BUCKET, endpoint, stdin=download.stdout)
    return {**measured, "cpu": measured["cpu"] + cpu_seconds(download)}


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """Wait for the end of a process; return the seconds of CPU that it took."""
    _, process.returncode, used = os.wait4(process.pid, 0)
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime


def one_transfer(source: Source, *arguments: str, stdin: Any = None) -> Measured:
    """Transfer in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.one_transfer", str(source.size), *arguments],
        cwd=ROOT,
        stdin=stdin,
        stdout=subprocess.PIPE,
        check=True,
    )
    measured: Measured = json.loads(done.stdout.splitlines()[-1])
    return measured


def interleaved(ways: dict[str, Callable[[], Measured]], size: int, rounds: int) -> dict[str, Any]:
    """Go the ways in turns; return for each what its runs measured, beside the first way of its round."""
    runs: dict[str, list[Measured]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, go in ways.items():
            runs[way].append(go())
            rate = size / runs[way][-1]["seconds"] / 2**20
            print(f"  round {number + 1}, {way}: {rate:.0f} MiB/s {runs[way][-1]}", flush=True)
    reference = next(iter(runs.values()))
    table: dict[str, Any] = {}
    for way, measured in runs.items():
        pairs = zip(measured, reference, strict=True)
        ratios = sorted(other["seconds"] / run["seconds"] for run, other in pairs)
        table[way] = {
            "mib_per_second": statistics.median(size / run["seconds"] / 2**20 for run in measured),
            "ratio": [statistics.median(ratios), ratios[0], ratios[-1]],
            "cpu_seconds_per_gib": statistics.median(run["cpu"] * 2**30 / size for run in measured),
            "memory_mib": max((run["memory"] / 2**20 for run in measured if "memory" in run), default=None),
        }
    return table


def to_disk(source: Source, rounds: int, folder: Path) -> dict[str, Any]:
    """To a disk: curl, a plain loop, and the operator."""

    def removed(measured: Measured) -> Measured:
        shutil.rmtree(folder)
        folder.mkdir()
        return measured

    ways: dict[str, Callable[[], Measured]] = {
        "curl": lambda: removed(curl(source, folder)),
        "plain_to_disk": lambda: removed(one_transfer(source, "plain", source.url, f"file://{folder}/")),
        "provider_to_disk": lambda: removed(
            one_transfer(source, "provider", source.ids, f"file://{folder}/")
        ),
    }
    return interleaved(ways, source.size, rounds)


def to_s3(source: Source, rounds: int, folder: Path) -> dict[str, Any]:
    """To S3: a plain loop, curl into boto3, and the operator."""

    def on_new_server(go: Callable[[str], Measured]) -> Measured:
        # moto keeps what was uploaded in memory, so each run gets a new one.
        with s3() as endpoint:
            # On a busy machine moto takes minutes to put 2 GiB together, and refuses the repeated request.
            patient = {"endpoint_url": endpoint, "config_kwargs": {"read_timeout": 600}}
            connection = {"conn_type": "aws", "login": "key", "password": "secret", "extra": patient}
            os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = json.dumps(connection)
            plain = {"client_kwargs": {"endpoint_url": endpoint}, "config_kwargs": patient["config_kwargs"]}
            os.environ["PLAIN_OPTIONS"] = json.dumps(plain)
            return go(endpoint)

    ways: dict[str, Callable[[], Measured]] = {
        "plain_to_s3": lambda: on_new_server(
            lambda _: one_transfer(source, "plain", source.url, f"s3://{BUCKET}/")
        ),
        "curl_into_boto3": lambda: on_new_server(lambda url: curl_into_boto3(source, url)),
        "provider_to_s3": lambda: on_new_server(
            lambda _: one_transfer(source, "provider", source.ids, f"s3://aws_default@{BUCKET}/")
        ),
    }
    return interleaved(ways, source.size, rounds)


def to_azure(source: Source, rounds: int, folder: Path) -> dict[str, Any]:
    """To Azure: a plain loop, and the operator."""

    def on_new_server(*arguments: str) -> Measured:
        with azure() as connection:
            extra = {"connection_string": connection}
            os.environ["AIRFLOW_CONN_AZURE"] = json.dumps({"conn_type": "wasb", "extra": extra})
            os.environ["PLAIN_OPTIONS"] = json.dumps(extra)
            return one_transfer(source, *arguments)

    ways: dict[str, Callable[[], Measured]] = {
        "plain_to_azure": lambda: on_new_server("plain", source.url, f"abfs://{BUCKET}/"),
        "provider_to_azure": lambda: on_new_server("provider", source.ids, f"abfs://azure@{BUCKET}/"),
    }
    return interleaved(ways, source.size, rounds)


def table(results: dict[str, Any]) -> list[str]:
    """Return the rows of a list-table."""
    lines = [".. list-table::", "   :header-rows: 1", "", "   * - Way", "     - MiB a second"]
    lines += ["     - beside the first way there", "     - CPU seconds per GiB", "     - memory"]
    for name, result in results.items():
        for way, row in result["ways"].items():
            middle, low, high = row["ratio"]
            memory = "" if row["memory_mib"] is None else f"{row['memory_mib']:.0f} MiB"
            lines += [f"   * - {WORDS[way]}, {TITLES[name]}", f"     - {row['mib_per_second']:.0f}"]
            lines += [f"     - {middle:.2f} ({low:.2f} to {high:.2f})"]
            lines += [f"     - {row['cpu_seconds_per_gib']:.1f}", f"     - {memory}".rstrip()]
    return lines


def main() -> None:
    """Run what is asked for, and keep the results of the rest."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.export", description=__doc__)
    parser.add_argument("--only", choices=list(TITLES), action="append")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mib", type=int, default=2048, help="size of the file")
    parser.add_argument("--folder", type=Path, help="where the disk is (default: a temporary folder)")
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    size = options.mib * 2**20
    with tempfile.TemporaryDirectory(dir=options.folder) as place, sandbox() as url:
        os.environ.update(
            AIRFLOW_HOME=f"{place}/airflow",
            AIRFLOW__CORE__UNIT_TEST_MODE="True",
            AIRFLOW__CORE__LOAD_EXAMPLES="False",
            AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{place}/airflow.db",
            AIRFLOW_CONN_STREAM_DEFAULT=json.dumps(
                {"conn_type": "stream", "host": url, "login": KEY, "password": SECRET}
            ),
            AWS_ACCESS_KEY_ID="key",
            AWS_SECRET_ACCESS_KEY="secret",
            AWS_DEFAULT_REGION="us-east-1",
        )
        folder, served = Path(place) / "files", Path(place) / "served"
        folder.mkdir()
        served.mkdir()
        with (served / FILE).open("wb") as file:
            for chunk in Part(files.channels(["messaging:general"], FILE, size), 0, size).chunks():
                file.write(chunk)
        os.sync()
        for name in options.only or TITLES:
            print(name, flush=True)
            measure = {"s3": to_s3, "azure": to_azure}.get(name, to_disk)
            with storage_host(served, *([str(NETWORK)] if name == "paced" else [])) as file_url:
                ids = f"{export(url)},{export(url, result={'url': file_url})}"
                ways = measure(Source(file_url, ids, size), options.rounds, folder)
            results[name] = {"mib": options.mib, "ways": ways}
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            TABLE.write_text("\n".join(table(results)) + "\n")


if __name__ == "__main__":
    main()
