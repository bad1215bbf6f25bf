"""The browser of the tests: the system's Chromium, headless."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Playwright, expect

# A machine that stands still for a moment is no page that hangs.
expect.set_options(timeout=30_000)
NAMES = ("chromium", "chromium-browser", "google-chrome")


@asynccontextmanager
async def launched(playwright: Playwright) -> AsyncIterator[Browser]:
    """Headless Chromium; where the suite is a gate its absence is a failure, elsewhere a reason to skip."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    try:
        browser = await playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
    except Exception as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no Chromium to test with (scripts/install-browser): {error}")
    try:
        yield browser
    finally:
        await browser.close()
