"""The whole job in a browser: publish, approve in the chat or in the app, and see the other side change."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, FrameLocator, Page, async_playwright, expect

from tests.browser import launched
from tests.running import Process, free_pair

PATIENCE = 30_000


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright, launched(playwright) as opened:
        yield opened


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Process]:
    port = free_pair()
    desk = Process("sandbox", {"PORT": str(port), "DATA": str(tmp_path / "data")}, tmp_path / "desk.log")
    await desk.start()
    yield desk
    assert await desk.stop() == 0


@pytest.fixture
async def page(browser: Browser, sandbox: Process) -> AsyncIterator[Page]:
    """The console, with the chat started."""
    context = await browser.new_context(viewport={"width": 1360, "height": 900}, locale="en-GB")
    opened = await context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    await opened.goto(f"http://127.0.0.1:{sandbox.port + 1}/")
    await opened.get_by_role("button", name="START", exact=True).click()
    await expect(opened.get_by_test_id("chat-message").filter(has_text="Welcome to the desk")).to_be_visible(
        timeout=PATIENCE)
    yield opened
    assert faults == []
    await context.close()


def phone(page: Page) -> FrameLocator:
    return page.frame_locator('[data-testid="phone"]')


async def publish_gold(page: Page) -> None:
    """The first example: XAUUSD BUY at the market, with a stop and two targets."""
    await page.get_by_test_id("console-example-0").click()
    await page.get_by_test_id("console-publish").click()
    card = page.get_by_test_id("chat-message").filter(has_text="XAUUSD").last
    await expect(card.get_by_test_id("chat-button").filter(has_text="Approve")).to_be_visible(timeout=PATIENCE)


async def test_approved_in_the_chat_the_position_shows_in_the_app(page: Page) -> None:
    await publish_gold(page)
    card = page.get_by_test_id("chat-message").filter(has_text="XAUUSD").last
    await card.get_by_test_id("chat-button").filter(has_text="Approve").click()
    await expect(card).to_contain_text(re.compile(r"Approved by you.*in the chat.*filled"), timeout=PATIENCE)
    await expect(card.get_by_test_id("chat-button")).to_have_count(0)
    await page.get_by_role("button", name="Open app").last.click()
    app = phone(page)
    await app.get_by_role("link", name="Positions").click()
    await expect(app.get_by_test_id("position-row").first).to_contain_text("XAUUSD", timeout=PATIENCE)
    await expect(app.get_by_test_id("equity")).to_be_visible()


async def test_approved_in_the_app_the_chat_card_changes_by_itself(page: Page) -> None:
    await publish_gold(page)
    await page.get_by_role("button", name="Open app").last.click()
    app = phone(page)
    shown = app.get_by_test_id("approval-card")
    await expect(shown).to_have_count(1, timeout=PATIENCE)
    await shown.get_by_test_id("approve").click()
    card = page.get_by_test_id("chat-message").filter(has_text="XAUUSD").last
    await expect(card).to_contain_text(re.compile(r"Approved by you.*in the app.*filled"), timeout=PATIENCE)
    await expect(card.get_by_test_id("chat-button")).to_have_count(0)
    await expect(app.get_by_test_id("empty-state")).to_be_visible(timeout=PATIENCE)
    await app.get_by_role("link", name="Positions").click()
    await expect(app.get_by_test_id("position-row").first).to_contain_text("XAUUSD", timeout=PATIENCE)


async def test_a_signal_that_arrives_while_the_app_is_open_shows_up(page: Page) -> None:
    await page.get_by_role("button", name="Open app").last.click()
    app = phone(page)
    await expect(app.get_by_test_id("empty-state")).to_be_visible(timeout=PATIENCE)
    await publish_gold(page)
    await expect(app.get_by_test_id("approval-card")).to_have_count(1, timeout=PATIENCE)
    await app.get_by_test_id("reject").click()
    card = page.get_by_test_id("chat-message").filter(has_text="XAUUSD").last
    await expect(card).to_contain_text(re.compile(r"Rejected by you.*in the app"), timeout=PATIENCE)
