"""Take the README's pictures from a fresh sandbox: ``make screenshots``."""

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Page, async_playwright

from tests.browser import launched
from tests.running import Process, free_pair

IMAGES = Path(__file__).parent.parent / "docs" / "images"


async def main() -> None:
    """The console in light and dark: one signal decided, one waiting in chat and app."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        port = free_pair()
        desk = Process("sandbox", {"PORT": str(port), "DATA": f"{folder}/data"}, Path(folder) / "desk.log")
        await desk.start()
        try:
            async with async_playwright() as playwright, launched(playwright) as browser:
                page = await browser.new_page(viewport={"width": 1360, "height": 900}, locale="en-GB")
                await page.goto(f"http://127.0.0.1:{port + 1}/")
                await _play(page)
                await page.screenshot(path=IMAGES / "sandbox.png")
        finally:
            await desk.stop()


async def _play(page: Page) -> None:
    """Approve gold in the chat, leave the euro waiting, open the app."""
    await page.get_by_role("button", name="START", exact=True).click()
    await page.get_by_test_id("chat-message").filter(has_text="Welcome").wait_for()
    await page.get_by_test_id("console-publish").click()
    gold = page.get_by_test_id("chat-message").filter(has_text="XAUUSD")
    await gold.get_by_test_id("chat-button").filter(has_text="Approve").click()
    await gold.filter(has_text="filled").wait_for()
    await page.get_by_test_id("console-example-1").click()
    await page.get_by_test_id("console-publish").click()
    await page.get_by_test_id("chat-message").filter(has_text="EURUSD").wait_for()
    await page.get_by_role("button", name="Open app").last.click()
    app = page.frame_locator('[data-testid="phone"]')
    await app.get_by_test_id("approval-card").wait_for()
    await page.wait_for_timeout(2500)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
