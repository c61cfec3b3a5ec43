"""A real Airflow in settings that few have, all at once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from local_stack.airflow import LocalAirflow
from local_stack.sandbox import LocalSandbox, local_sandbox

NEEDS = {"test_openlineage.py": "airflow.providers.openlineage", "test_fab.py": "airflow.providers.fab"}
collect_ignore = [name for name, module in NEEDS.items() if find_spec(module) is None]

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
FATES = [
    {"operation": "*", "pending": 1, "running": 3},
    {"operation": "*", "item": "messaging:slow-*", "running": 40},
    {"operation": "*", "item": "messaging:endless-*", "end": "never"},
]


@dataclass
class RarelyMet:
    """
    A real Airflow whose XComs are in files, and whose connections are in a secrets backend.

    :param xcoms: the folder of the XComs
    """

    airflow: LocalAirflow
    sandbox: LocalSandbox
    xcoms: Path


@pytest.fixture(scope="session")
def rarely_met(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RarelyMet]:
    folder = tmp_path_factory.mktemp("rarely-met")
    shutil.copytree(HERE / "dags", folder / "dags")
    xcoms = folder / "xcoms"
    xcoms.mkdir()
    (folder / "fates.json").write_text(json.dumps(FATES))
    with local_sandbox(folder / "sandbox.log", folder / "fates.json") as sandbox:
        secrets = folder / "connections.json"
        secrets.write_text(json.dumps({"stream_default": json.loads(sandbox.connection)}))
        env = {
            "PYTHONPATH": os.pathsep.join(map(str, (REPOSITORY, HERE / "modules"))),
            "FILE_XCOMS": str(xcoms),
            "AIRFLOW__CORE__XCOM_BACKEND": "file_xcoms.FileXComs",
        }
        for section, option in (("SECRETS", "BACKEND"), ("WORKERS", "SECRETS_BACKEND")):
            env |= {
                f"AIRFLOW__{section}__{option}": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
                f"AIRFLOW__{section}__{option}_KWARGS": json.dumps({"connections_file_path": str(secrets)}),
            }
        with LocalAirflow(folder / "dags", env=env, home=folder / "airflow") as airflow:
            yield RarelyMet(airflow, sandbox, xcoms)
