"""The page on architecture names modules and tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.rst").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"``((?:\w+/)*\w+\.py)``", PAGE)))
FLOORS = (ROOT / "docs" / "pictures" / "floors.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMED)
def test_each_file_exists(name: str) -> None:
    folder = ROOT if name.startswith(("tests/", "demo/")) else ROOT / "airflow_provider_streamtasks"
    assert (folder / name).is_file()


def test_the_page_names_files() -> None:
    assert len(NAMED) > 30


def test_the_picture_has_every_floor() -> None:
    contract = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("layers = [")[1].split("]")[0]
    layers = set(re.findall(r"\w+", contract))
    lines = re.findall(r'font-weight="bold">(.+)</text>', FLOORS)
    drawn = {name for line in lines for name in line.split(" · ")}
    assert drawn <= layers
    # These only hang on to Airflow's UI and command line: no route leads through them.
    assert layers - drawn <= {"plugin", "cli", "ui", "links"}
