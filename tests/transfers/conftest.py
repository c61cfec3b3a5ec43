from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_streamtasks.sandbox import SandboxControl
from tests.airflow_tasks import Run
from tests.conftest import StartTask
from tests.transfers import stores
from tests.transfers.hosts import StorageHost, storage_host

HAS_OPENLINEAGE = find_spec("airflow.providers.openlineage") is not None
collect_ignore = [] if HAS_OPENLINEAGE else ["test_lineage.py"]

Export = Callable[..., str]


@pytest.fixture
def host() -> Iterator[StorageHost]:
    with storage_host() as host:
        yield host


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_streamtasks.transfers.source.PAUSE", 0.01)


@pytest.fixture
def export(start_task: StartTask, host: StorageHost) -> Export:
    """Starts an export whose file is at the storage host, and returns its id."""

    def export(content: bytes = b'{"cid": "messaging:a"}\n', **fate: Any) -> str:
        host.content = content
        return start_task(**{"result": {"url": host.url}, **fate})

    return export


class OutletEvents:
    """The asset events of an Airflow task, as Airflow gives them to operators."""

    @cached_property
    def _accessors(self) -> Any:
        from airflow.sdk.execution_time.context import OutletEventAccessors

        return OutletEventAccessors()

    def __getitem__(self, outlet: Any) -> Any:
        return self._accessors[outlet]


class StoringRun(Run):
    """One Airflow task that stores files."""

    def __init__(self) -> None:
        super().__init__()
        self.outlet_events = OutletEvents()

    @property
    def context(self) -> Any:
        return {**super().context, "outlet_events": self.outlet_events}


Store = Callable[..., Any]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for name, needs in stores.LEFT_OUT.items():
        terminalreporter.write_line(f"tests/transfers: {name} was left out, for want of {needs}")
    for name in collect_ignore:
        terminalreporter.write_line(
            f"tests/transfers: {name} was left out, for want of OpenLineage's provider"
        )


@pytest.fixture(scope="session", params=stores.HERE)
def one_storage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Each storage whose server can run here, started once."""
    from airflow.sdk.io.store import _STORE_CACHE

    # Tests that run in several processes may start a server twice, and Airflow would go on with the first.
    _STORE_CACHE.clear()
    start, _, _ = stores.SERVERS[request.param]
    with start(tmp_path_factory.mktemp(request.param)) as storage:
        storage.name = request.param
        yield storage


@pytest.fixture
def storage(one_storage: stores.Store, monkeypatch: pytest.MonkeyPatch) -> stores.Store:
    """An empty storage, to which Airflow has a connection."""
    for conn_id, connection in one_storage.connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
    one_storage.clear()
    if one_storage.proxy:
        one_storage.proxy.reset()
    stores.short_pauses(one_storage.name, monkeypatch)
    return one_storage


@pytest.fixture
def run() -> StoringRun:
    return StoringRun()


@pytest.fixture
def store(run: StoringRun, tmp_path: Path) -> Store:
    """Carries the operator out, and returns what it returns. The destination is the test's folder."""
    from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator

    def store(stream_task_id: Any, **arguments: Any) -> Any:
        return run.execute(
            lambda: StreamExportToObjectStorageOperator(
                task_id="store",
                stream_task_id=stream_task_id,
                **{"destination": f"file://{tmp_path}/exports/", **arguments},
            )
        )

    return store


@pytest.fixture
def start_export(control: SandboxControl, connection: None) -> Callable[..., str]:
    """Starts an export of channels at the sandbox, which completes at once, and returns its id."""
    from airflow_provider_streamtasks.hooks.stream import StreamHook
    from airflow_provider_streamtasks.protocol.catalogue import EXPORT_CHANNELS

    def start_export(**fate: Any) -> str:
        control.fate(**{"operation": "ExportChannels", "pending": 0, "running": 0, "times": 1, **fate})
        hook = StreamHook()
        task_id = hook.submit(EXPORT_CHANNELS, ["messaging:a", "messaging:b"], version="v2").task_id
        hook.close()
        assert task_id
        return task_id

    return start_export
