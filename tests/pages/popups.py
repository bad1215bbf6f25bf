"""What a page asks Telegram's client for, and the client's answers."""

from typing import Any

from playwright.async_api import Page

from tests.running import until

LISTEN = """window.told = [];
    window.TelegramWebviewProxy = {postEvent: (type, data) => window.told.push([type, JSON.parse(data || 'null')])};
"""


async def told(page: Page, kind: str) -> list[dict[str, Any]]:
    """What Telegram has been asked for, of one kind."""
    found: list[dict[str, Any]] = await page.evaluate(
        "(kind) => window.told.filter(([type]) => type === kind).map(([, data]) => data)", kind)
    return found


async def answer(page: Page, button: str | None) -> dict[str, Any]:
    """Tap a button of Telegram's popup, None to close it; returns the popup."""
    found: list[dict[str, Any]] = await until("a popup", lambda: told(page, "web_app_open_popup"))
    [popup] = found
    await page.evaluate("""(id) => { window.told = window.told.filter(([type]) => type !== 'web_app_open_popup');
        Telegram.WebView.receiveEvent('popup_closed', id ? {button_id: id} : {}); }""", button)
    return popup
