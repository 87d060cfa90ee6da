"""A Chromium driven by Playwright, and what it saw: requests, console messages, errors."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-extensions", "--no-default-browser-check"),
)


def lacking(message: str) -> None:
    """Without what the tests need they are skipped; in CI they fail."""
    if os.environ.get("ONESHOT_CI") == "1":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        lacking("no chromium on the PATH. Debian: apt-get install chromium")
    assert found
    return found


@dataclass
class Seen:
    """A page in the browser and everything that it did."""

    page: Any
    requests: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def quiet(self, path: Path) -> None:
        """No request but for the file itself, no message, no error."""
        assert self.requests == [path.as_uri()]
        assert (self.console, self.errors) == ([], [])


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    """A browser with its background networking off; without a sandbox only where root allows none.

    It ends with the tests of a file: while it is there an event loop runs in this thread, and tests that come later
    could start none of their own.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lacking("no playwright. python -m pip install playwright")
    sandbox = () if os.geteuid() else ("--no-sandbox",)
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=chromium, args=[*FLAGS, *sandbox])
        yield found
        found.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Any]:
    """`visit(path, width=1280, dark=False, script=True)`: the page, with everything but itself refused."""
    contexts = []

    def go(path: Path, *, width: int = 1280, dark: bool = False, script: bool = True) -> Seen:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            offline=True,
        )
        contexts.append(context)
        seen = Seen(page=context.new_page())

        def route(asked: Any) -> None:
            seen.requests.append(asked.request.url)
            asked.continue_() if asked.request.url == path.as_uri() else asked.abort()

        context.route("**/*", route)
        seen.page.on("console", lambda message: seen.console.append(message.text))
        seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
        seen.page.on("dialog", lambda dialog: seen.errors.append(dialog.message))
        seen.page.goto(path.as_uri())
        return seen

    yield go
    for context in contexts:
        context.close()
