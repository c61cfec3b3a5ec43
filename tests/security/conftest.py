from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.conftest import SetConnection
from tests.hooks.conftest import hook, wait_for
from tests.security.hostile import HostileServer, hostile_server

__all__ = ["hook", "wait_for"]

SECRET = "only-for-stream-" + "0123456789abcdef"


@pytest.fixture
def server(set_connection: SetConnection) -> Iterator[HostileServer]:
    """What the Airflow connection ``stream_default`` leads to."""
    with hostile_server() as server:
        set_connection(host=server.url, password=SECRET, extra={"request_timeout": 5})
        yield server


@pytest.fixture
def elsewhere() -> Iterator[HostileServer]:
    """A server that nobody has any business with."""
    with hostile_server() as server:
        yield server


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that somebody wanted to sleep, and did not."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept
