"""The page on troubleshooting quotes messages that the package really has."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.rst").read_text(encoding="utf-8")
QUOTED = re.findall(r"^   \* - ``(.+)``$", PAGE.split("By message", 1)[1], re.MULTILINE)


def texts() -> list[str]:
    """All strings of the package; what a message fills in is three dots."""
    found = []
    for path in (ROOT / "airflow_provider_streamtasks").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


TEXTS = texts()


@pytest.mark.parametrize("message", QUOTED)
def test_the_package_has_each_message(message: str) -> None:
    assert any(message in text for text in TEXTS)


def test_the_page_quotes_messages() -> None:
    assert len(QUOTED) > 20
