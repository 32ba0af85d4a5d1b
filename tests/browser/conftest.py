"""A real Chromium, offline. Without one these tests are skipped, and fail under CI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

import reports
from harness.core.run import RunRecord
from tests.browser.chromium import chromium
from tests.conftest import unavailable


@dataclass(slots=True)
class Opened:
    """A page with everything it said and everything it asked for."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def windows(self) -> list[list[float]]:
        """What each plot shows, in seconds."""
        found: list[list[float]] = self.page.evaluate("report.windows()")
        return found


Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # For a module, not the session: while it is open, Playwright's loop counts as running in this
    # thread, and no other test could run one of its own.
    path = chromium()
    with sync_playwright() as playwright:
        try:
            made = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except Error as error:
            unavailable(f"Chromium does not start: {error.message.splitlines()[0]}")
        yield made
        made.close()


@pytest.fixture
def open_report(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Writes a record's report and opens it offline; ``link`` is appended to its address."""
    contexts = []

    def opened(record: RunRecord, link: str = "", **options: Any) -> Opened:
        path = reports.write(record, tmp_path)
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        found = Opened(page, address=path.as_uri())
        page.on("console", lambda message: found.said.append(message.text))
        page.on("pageerror", lambda error: found.said.append(str(error)))
        page.on("request", lambda request: found.asked.append(request.url))
        page.goto(path.as_uri() + link)
        if options.get("java_script_enabled", True):
            # Not wait_for_function: its polling evaluates strings, which the page's policy forbids.
            page.evaluate("report.ready")
        return found

    yield opened
    for context in contexts:
        context.close()
