"""What importing costs: every DAG parse and every process of Airflow pays for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"aiohttp", "requests", "jwt", "tenacity", "yarl"}
NEEDED_BY_A_DAG = [
    "airflow_provider_streamtasks.hooks.stream",
    "airflow_provider_streamtasks.notifications.chat",
    "airflow_provider_streamtasks.operators.chat",
    "airflow_provider_streamtasks.sensors.task",
    "airflow_provider_streamtasks.transfers.export",
    "airflow_provider_streamtasks.triggers.task",
]
PROTOCOL = [
    f"airflow_provider_streamtasks.protocol.{path.stem}"
    for path in sorted((ROOT / "airflow_provider_streamtasks" / "protocol").glob("*.py"))
    if path.stem != "__init__"
]


def loaded_by(*modules: str) -> set[str]:
    """Return the modules that a fresh Python has loaded after importing some."""
    return set(json.loads(_said_by(f"import {', '.join(modules)}; print(json.dumps(list(sys.modules)))")))


def _said_by(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys; {code}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1]


def test_the_protocol_and_the_exceptions_know_neither_airflow_nor_any_transport() -> None:
    loaded = loaded_by("airflow_provider_streamtasks.exceptions", *PROTOCOL)
    assert set(PROTOCOL) <= loaded
    assert not loaded & (HEAVY | {"airflow", "structlog", "asyncio"})


@pytest.fixture(scope="module")
def loaded_by_a_dag() -> set[str]:
    """What importing all that a DAG needs of us loads on top of what Airflow has loaded by then."""
    return set(
        json.loads(
            _said_by(
                "import airflow.sdk, airflow.triggers.base; before = set(sys.modules); "
                f"import {', '.join(NEEDED_BY_A_DAG)}; print(json.dumps(list(set(sys.modules) - before)))"
            )
        )
    )


@pytest.mark.parametrize("module", NEEDED_BY_A_DAG)
def test_a_dag_loads_what_it_needs(module: str, loaded_by_a_dag: set[str]) -> None:
    assert module in loaded_by_a_dag


@pytest.mark.parametrize("module", sorted(HEAVY))
def test_a_dag_loads_no_transport(module: str, loaded_by_a_dag: set[str]) -> None:
    assert module not in loaded_by_a_dag


def test_a_dag_loads_no_sandbox(loaded_by_a_dag: set[str]) -> None:
    assert not {name for name in loaded_by_a_dag if name.startswith("airflow_provider_streamtasks.sandbox")}


def test_what_airflow_asks_about_us_costs_no_airflow() -> None:
    loaded = loaded_by("airflow_provider_streamtasks.provider_info")
    assert {name for name in loaded if name.startswith("airflow")} == {
        "airflow_provider_streamtasks",
        "airflow_provider_streamtasks.provider_info",
    }
    assert not loaded & HEAVY


def test_the_sandbox_needs_no_airflow() -> None:
    assert "airflow" not in loaded_by("airflow_provider_streamtasks.sandbox")
