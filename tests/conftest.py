from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
import urllib.request
from collections.abc import Callable, Generator, Iterator, MutableMapping
from importlib import import_module
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import settings

# Airflow reads its settings when it is first imported, so they are made here, before anything imports it.
# Nothing of the machine's own Airflow, proxies or certificates may reach a test.
_HOME = tempfile.mkdtemp(prefix="streamtasks-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
for _name in list(os.environ):
    if _name.startswith("AIRFLOW_") or _name.lower().endswith("_proxy"):
        del os.environ[_name]
for _name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC"):
    os.environ.pop(_name, None)
os.environ.update(
    AIRFLOW_HOME=_HOME,
    AIRFLOW__CORE__UNIT_TEST_MODE="True",
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(Path(__file__).parent.parent / "dags"),
    AIRFLOW__CORE__FERNET_KEY="dGhpcyBrZXkgb3BlbnMgbm90aGluZyBidXQgdGVzdHM=",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_HOME}/airflow.db",
    AIRFLOW__LOGGING__BASE_LOG_FOLDER=f"{_HOME}/logs",
)

from airflow_provider_streamtasks.sandbox import Sandbox, SandboxControl, running_sandbox  # noqa: E402

# A change is judged by the same examples as the one before it; looking for new ones is for the night.
settings.register_profile("default", max_examples=200, deadline=None, derandomize=True)
settings.register_profile("nightly", max_examples=100_000, deadline=None, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

pytest_plugins = ["tests.triggerer"]

SetConnection = Callable[..., None]
StartTask = Callable[..., str]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # Reports travel between processes as UTF-8, which has no room for the surrogates that tests log.
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


PLACES = {"system": ("system", "docs"), "more": ("system",), "chaos": ("chaos",)}
"""Mark -> the folders in which the Makefile looks for its tests."""

LONGEST = (
    "chaos",
    "triggerers",
    "real_airflow",
    "exactly_once",
    "example_dags",
    "personal_data",
    "without_workers",
    "deployments",
)
"""Files with a real Airflow that take two minutes or more: begun first, so none runs alone at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        for mark, folders in PLACES.items():
            if item.get_closest_marker(mark) and folder not in folders:
                raise pytest.UsageError(
                    f"{item.nodeid} is marked {mark}: make looks for those in {folders} only"
                )
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    # Begun first, and so mostly by one process, which starts each server once; quick ones end the run.
    if "one_storage" in getattr(item, "fixturenames", ()):
        return -1
    name = item.path.stem.removeprefix("test_")
    is_long = name in LONGEST and any(map(item.get_closest_marker, PLACES))
    return LONGEST.index(name) if is_long else len(LONGEST)


class Logs:
    """What was logged, to structlog (Airflow's ``self.log``) or to the standard library's loggers.

    :ivar listener: is called with each line of structlog's, as it is logged
    """

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self._structured: list[str] = []
        self.listener: Callable[[str], None] = lambda line: None

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        self._structured.append(str(event["event"]))
        self.listener(self._structured[-1])
        return event

    @property
    def lines(self) -> list[str]:
        return [*self._structured, *(record.getMessage() for record in self._caplog.records)]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> Iterator[Logs]:
    import structlog

    import_module("airflow.sdk")  # sets structlog up
    logs = Logs(caplog)
    processors: list[Any] = structlog.get_config()["processors"]
    processors.insert(0, logs)
    yield logs
    processors.remove(logs)


@pytest.fixture(scope="session")
def one_sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(one_sandbox: Sandbox) -> Sandbox:
    """A sandbox that has forgotten what other tests did to it."""
    one_sandbox.control.reset()
    return one_sandbox


@pytest.fixture
def control(sandbox: Sandbox) -> SandboxControl:
    return sandbox.control


@pytest.fixture
def at_once(sandbox: Sandbox) -> None:
    """Every Stream task completes as soon as it is started."""
    sandbox.control.fate(pending=0, running=0)


@pytest.fixture
def set_connection(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> SetConnection:
    """Sets the Airflow connection ``stream_default`` to the sandbox; arguments replace its fields."""

    def set_connection(**others: Any) -> None:
        fields = {
            "conn_type": "stream",
            "login": sandbox.api_key,
            "password": sandbox.api_secret,
            "host": sandbox.url,
            **others,
        }
        monkeypatch.setenv("AIRFLOW_CONN_STREAM_DEFAULT", json.dumps(fields))

    return set_connection


@pytest.fixture
def connection(set_connection: SetConnection) -> None:
    """The Airflow connection ``stream_default`` leads to the sandbox."""
    set_connection()


@pytest.fixture
def start_task(sandbox: Sandbox, connection: None) -> StartTask:
    """Starts a Stream task, which completes at once unless the fate says otherwise, and returns its id."""
    token = jwt.encode({"server": True}, sandbox.api_secret, algorithm="HS256")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def start_task(cid: str = "messaging:a", **fate: Any) -> str:
        sandbox.control.fate(**{"pending": 0, "running": 0, "times": 1, **fate})
        request = urllib.request.Request(
            f"{sandbox.url}/api/v2/chat/channels/delete?api_key={sandbox.api_key}",
            data=json.dumps({"cids": [cid], "hard_delete": True}).encode(),
            headers={"Authorization": token, "stream-auth-type": "jwt", "Content-Type": "application/json"},
        )
        with opener.open(request) as answer:
            task_id: str = json.load(answer)["task_id"]
        return task_id

    return start_task
