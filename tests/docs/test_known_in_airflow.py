"""The page on what is known in Airflow names each finding about it, and nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "known-in-airflow.rst").read_text(encoding="utf-8")
NAMED = re.findall(r"``((?:findings|tests)/[\w/]+\.\w+)``", PAGE)
FINDINGS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("findings/airflow_*.sh"))


@pytest.mark.parametrize("path", NAMED)
def test_what_the_page_names_is_there(path: str) -> None:
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("finding", FINDINGS)
def test_the_page_has_every_finding_about_airflow(finding: str) -> None:
    assert finding in NAMED
