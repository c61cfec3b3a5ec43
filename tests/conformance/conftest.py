from __future__ import annotations

import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest_asyncio
from getstream import Stream
from getstream.models import ImportV2TaskSettings, UpsertExternalStorageGCSRequest

from airflow_provider_streamtasks.sandbox import Sandbox
from tests.conformance.calls import Given
from tests.conformance.clients import Client, Name, connected
from tests.conformance.javascript_client import INSTALLED

# make conformance installs the JavaScript SDKs.
collect_ignore = [] if INSTALLED else ["test_javascript.py"]

Connect = Callable[..., Awaitable[Client]]
Provide = Callable[[Given | None], str]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def connect(one_sandbox: Sandbox) -> AsyncIterator[Connect]:
    """Connects clients to the sandbox; arguments replace the right credentials. Alike ones are shared."""
    clients: dict[Any, Client] = {}
    async with AsyncExitStack() as stack:

        async def connect(name: Name, **others: str) -> Client:
            key = (name, *others.items())
            if key not in clients:
                clients[key] = await stack.enter_async_context(connected(name, one_sandbox, **others))
            return clients[key]

        yield connect


@pytest_asyncio.fixture(loop_scope="session")
async def client(name: Name, connect: Connect, sandbox: Sandbox) -> Client:
    """The client that a test is parametrized with, by its name."""
    return await connect(name)


@pytest_asyncio.fixture(loop_scope="session")
async def provide(connect: Connect, sandbox: Sandbox) -> Provide:
    """Makes what a call needs, and returns its id or path."""
    stream: Stream = (await connect("Stream")).sdk

    def task() -> str:
        return str(stream.delete_users(user_ids=["ann"]).data.task_id)

    def upload() -> str:
        target = stream.create_import_url(filename="users.json").data
        request = urllib.request.Request(target.upload_url, data=b"[]", method="PUT")
        with urllib.request.urlopen(request):
            return str(target.path)

    def import_() -> str:
        created: Any = stream.create_import(path=upload(), mode="upsert").data.import_task
        return str(created.id)

    def import_v2() -> str:
        sandbox.control.fate(operation="CreateImportV2Task", pending=60)
        return str(stream.create_import_v2_task("chat", ImportV2TaskSettings(path="s3://b/f")).data.id)

    def external_storage() -> str:
        stream.upsert_importer_external_storage(
            "gcs", gcs=UpsertExternalStorageGCSRequest(bucket="imports", credentials="{}")
        )
        return ""

    def population() -> str:
        sandbox.control.populate(channels=20, users=20)
        sandbox.control.add_channel("messaging:alerts", members=["ann"])
        sandbox.control.add_user("ann")
        return ""

    makers: dict[str | None, Callable[[], str]] = {
        None: str,
        "task": task,
        "upload": upload,
        "import": import_,
        "import_v2": import_v2,
        "external_storage": external_storage,
        "population": population,
    }
    return lambda given: makers[given]()
