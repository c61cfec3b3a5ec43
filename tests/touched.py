"""
``python -m tests.touched``: run the tests nearest to what differs from ``main``, for at most 75 seconds.

Its arguments are handed to pytest. It is for ``make check``; only ``make test`` says that all is well.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "airflow_provider_streamtasks"
SECONDS = 75

ALWAYS = (
    "tests/protocol",
    "tests/test_imports.py",
    "tests/test_provider_info.py",
    "tests/test_public_names.py",
)
"""What takes seconds and notices much."""

ELSEWHERE = {
    "protocol": ("tests/protocol", "tests/hooks"),
    "exceptions.py": ("tests/test_exceptions.py", "tests/hooks"),
    "demo": ("tests/demo",),
    "local_stack": ("tests/local_stack", "tests/demo"),
    "dags": ("tests/dags", "tests/docs"),
    "docs": ("tests/docs",),
    "README.md": ("tests/docs",),
}
"""Tests that are not in the folder of the same name."""


def nearest_to(path: str) -> tuple[str, ...]:
    """Return the tests that are nearest to a file; none if only the whole of them will do."""
    first, *rest = Path(path).parts
    if first == "tests":
        if Path(path).name.startswith("test_"):
            return (path,)
        return (f"tests/{rest[0]}",) if len(rest) > 1 else ()
    if first == PACKAGE:
        first = rest[0]
    near = ELSEWHERE.get(first, (f"tests/{first}", f"tests/test_{first}"))
    return tuple(each for each in near if (ROOT / each).exists())


def chosen(changed: Iterable[str]) -> list[str]:
    """Return the tests to run after changes, each folder and file once, the nearest first."""
    found = dict.fromkeys(test for path in changed for test in nearest_to(path))
    folders = {each for each in (*found, *ALWAYS) if not each.endswith(".py")}
    return [
        each
        for each in dict.fromkeys((*found, *ALWAYS))
        if not any(str(up) in folders for up in Path(each).parents)
    ]


def changed() -> list[str]:
    """Return the files that differ from where this branch left ``main``, untracked ones included."""
    base = git("merge-base", "HEAD", "main") or git("merge-base", "HEAD", "origin/main") or ["HEAD"]
    names = [*git("diff", "--name-only", base[0]), *git("ls-files", "--others", "--exclude-standard")]
    return [name for name in names if (ROOT / name).exists()]


def git(*arguments: str) -> list[str]:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()


# -- as a plugin of pytest ---------------------------------------------------------------------------------


class Clock:
    """
    When to begin no further test, in each process that runs some.

    :ivar left: how many were not begun
    """

    def __init__(self) -> None:
        self.left = 0
        self._until: float | None = None

    def is_over(self) -> bool:
        """Whether the time is over, which begins with the first test."""
        self._until = self._until or time.monotonic() + SECONDS
        return time.monotonic() > self._until


CLOCK = Clock()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol() -> bool | None:
    if not CLOCK.is_over():
        return None
    CLOCK.left += 1
    return True


def pytest_sessionfinish(session: Any) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left"] = CLOCK.left


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    CLOCK.left += getattr(node, "workeroutput", {}).get("left", 0)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if CLOCK.left:
        terminalreporter.write_line(f"The {SECONDS} s are over: {CLOCK.left} tests are left to `make test`.")


if __name__ == "__main__":
    sys.exit(pytest.main(["-p", "tests.touched", *sys.argv[1:], *chosen(changed())]))
