"""The page on security and reliability names tests that exist, and what the package really stands on."""

from __future__ import annotations

import ast
import re
from importlib.metadata import requires
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.rst").read_text(encoding="utf-8")
NAMED = re.findall(r"``(tests/[\w/]+\.py)::([\w:]+)``", PAGE)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_test_that_it_names_exists(file: str, name: str) -> None:
    body: list[ast.stmt] = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    *classes, function = name.split("::")
    for each in classes:
        [found] = (node for node in body if isinstance(node, ast.ClassDef) and node.name == each)
        body = found.body
    functions = {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
    assert function in functions


def test_every_promise_names_a_test() -> None:
    titles = re.findall(r"^(.+)\n~+$", PAGE, re.MULTILINE)
    parts = re.split(r"^.+\n[~-]+$", PAGE, flags=re.MULTILINE)
    assert len(titles) > 10
    without = [
        title
        for title, part in zip(re.findall(r"^(.+)\n[~-]+$", PAGE, re.MULTILINE), parts[1:], strict=True)
        if title in titles and "::test_" not in part
    ]
    assert without == []


def test_the_dependencies_are_those_of_the_package() -> None:
    said = PAGE.split("Besides Airflow the package needs")[1].split(", of which Airflow")[0]
    named = re.findall(r"``([\w-]+)``", said)
    with_airflow = "apache-airflow-providers-common-compat"
    assert f"``{with_airflow}``, which comes with Airflow" in " ".join(PAGE.split())
    assert with_airflow in _needed_by("apache-airflow") | _needed_by("apache-airflow-core")
    assert _needed_by("airflow-provider-streamtasks") == {"apache-airflow", with_airflow, *named}
    assert [name for name in named if name not in _needed_by("apache-airflow-core")] == named[:1]


def _needed_by(distribution: str) -> set[str]:
    return {re.split(r"[^\w-]", each)[0] for each in requires(distribution) or () if "extra ==" not in each}
