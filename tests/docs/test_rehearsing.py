"""The page on rehearsing: its rules are taken, and its commands run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_streamtasks.sandbox import SandboxControl
from airflow_provider_streamtasks.sandbox.faults import OPTIONS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "rehearsing.rst").read_text(encoding="utf-8")
RULES = re.findall(r"^     - ``(\{.*\})``( \(a fate\))?$", PAGE, re.MULTILINE)
BLOCKS = [
    textwrap.dedent(block)
    for block in re.findall(r"^\.\. code-block:: bash\n\n((?:   .*\n|\n)+)", PAGE, re.M)
]


@pytest.mark.parametrize(("rule", "fate"), RULES)
def test_the_sandbox_takes_each_rule_of_the_table(rule: str, fate: str, control: SandboxControl) -> None:
    content: dict[str, Any] = json.loads(rule)
    if fate:
        control.fate(**content)
    else:
        control.fault(**content)


def test_the_table_has_every_kind_of_fault() -> None:
    kinds = {json.loads(rule).get("kind") for rule, fate in RULES if not fate}
    assert kinds == set(OPTIONS)


@pytest.mark.system
def test_the_commands_run_as_they_are_printed(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "dags", tmp_path / "dags")
    [start] = (index for index, block in enumerate(BLOCKS) if block.startswith("python -m"))
    rules, (server, *others) = "".join(BLOCKS[:start]), BLOCKS[start:]
    with _bash(rules + server.replace("8765", "0").replace("python", "exec python"), tmp_path) as sandbox:
        try:
            assert sandbox.stdout is not None
            url = sandbox.stdout.readline().split()[-1]
            script = "".join(others).replace("http://127.0.0.1:8765", url)
            with _bash(script, tmp_path) as client:
                output, _ = client.communicate(timeout=300)
        finally:
            sandbox.kill()
    assert client.returncode == 0, output
    assert "state=success" in output
    requests = json.loads(output[output.rindex('{"journal"') :])["journal"]
    assert {"broken_json", "unavailable"} < {request["fault"] for request in requests}
    assert requests[-1]["fault"] is None


def _bash(script: str, folder: Path) -> subprocess.Popen[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # Nothing of the tests' own Airflow.
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**env, "PATH": path, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
