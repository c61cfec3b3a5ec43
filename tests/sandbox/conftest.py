from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from getstream import Stream

from airflow_provider_streamtasks.sandbox import Sandbox, running_sandbox
from tests.sandbox.raw_client import RawClient

DAY = 86_400.0


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    # A window of a day: no test meets the end of one by chance.
    with running_sandbox(window=DAY) as sandbox:
        yield sandbox


@pytest.fixture
def raw(sandbox: Sandbox) -> RawClient:
    return RawClient(sandbox)


@pytest.fixture
def connect(sandbox: Sandbox) -> Iterator[Callable[..., Stream]]:
    """Makes clients of the official SDK; arguments replace the right credentials."""
    clients = []

    def connect(**others: Any) -> Stream:
        credentials = {"api_key": sandbox.api_key, "api_secret": sandbox.api_secret, **others}
        clients.append(Stream(base_url=sandbox.url, **credentials))
        return clients[-1]

    yield connect
    for client in clients:
        client.client.close()


@pytest.fixture
def stream(connect: Callable[..., Stream]) -> Stream:
    return connect()
