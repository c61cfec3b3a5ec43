"""Somebody who looks at Airflow in Chromium."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 60_000  # milliseconds

DRAWN = "[data-testid=stream-tasks]"
"""What our page and our tab draw."""


@contextmanager
def chromium() -> Iterator[Any]:
    """Run Chromium: the one that ``CHROMIUM`` names, or else the one that playwright has installed."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or None, args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            yield browser
        finally:
            browser.close()


class Reader:
    """
    A window of the browser.

    :param url: of Airflow
    :param how: what else playwright is to know of it
    """

    def __init__(self, browser: Any, url: str, **how: Any) -> None:
        size = {"width": 1500, "height": 800}
        self.url = url
        self.context = browser.new_context(**{"viewport": size, "locale": "en-US", **how})
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, path: str) -> Any:
        """Open a page, and return it."""
        self.page.goto(f"{self.url}/{path.lstrip('/')}")
        return self.page

    def close(self, test: pytest.Item) -> None:
        """
        Complain about faults in scripts, and leave a picture of what was seen last, if the test has one.

        :param test: which looked
        """
        folder, picture = os.environ.get("PICTURES"), test.get_closest_marker("picture")
        if folder and picture:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"{picture.args[0]}.png")
        self.context.close()
        assert self.errors == []
