"""A phone with the Mini App on it: launch data signed as Telegram signs it, a page opened as its clients open it."""

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import web
from playwright.async_api import Browser, Locator, Page, Route, async_playwright

from services import approvals, providers
from services.approvals import ApprovalView
from services.desk import Desk
from tests.browser import launched
from tests.conftest import BOT_TOKEN
from tests.services.stage import approval_of

LIGHT = {
    "bg_color": "#ffffff", "secondary_bg_color": "#efeff4", "section_bg_color": "#ffffff", "text_color": "#000000",
    "hint_color": "#707579", "subtitle_text_color": "#707579", "link_color": "#2481cc", "button_color": "#2481cc",
    "button_text_color": "#ffffff", "header_bg_color": "#ffffff", "bottom_bar_bg_color": "#ffffff",
    "accent_text_color": "#2481cc", "section_header_text_color": "#2481cc", "section_separator_color": "#dfe1e5",
    "destructive_text_color": "#d1242f"}
DARK = {
    "bg_color": "#212121", "secondary_bg_color": "#0f0f0f", "section_bg_color": "#212121", "text_color": "#ffffff",
    "hint_color": "#aaaaaa", "subtitle_text_color": "#aaaaaa", "link_color": "#8774e1", "button_color": "#8774e1",
    "button_text_color": "#ffffff", "header_bg_color": "#212121", "bottom_bar_bg_color": "#212121",
    "accent_text_color": "#8774e1", "section_header_text_color": "#8774e1", "section_separator_color": "#0f0f0f",
    "destructive_text_color": "#ff595a"}
ADA = 4242
PHONE = {"width": 390, "height": 844}


def init_data(telegram_id: int, first_name: str = "Ada", *, age: int = 0, token: str = BOT_TOKEN) -> str:
    """Launch data of a user, signed with the bot's token, ``age`` seconds old."""
    user = {"id": telegram_id, "first_name": first_name, "language_code": "en", "allows_write_to_pm": True}
    fields = {"query_id": "AAHdF6IQAAAAAN0XohDhrOrc", "user": json.dumps(user),
              "auth_date": str(int(time.time()) - age)}
    lines = "\n".join(f"{key}={value}" for key, value in sorted(fields.items()))
    secret = hmac.new(b"WebAppData", token.encode(), hashlib.sha256).digest()
    return urlencode({**fields, "hash": hmac.new(secret, lines.encode(), hashlib.sha256).hexdigest()})


def launch(data: str, theme: dict[str, str] = LIGHT) -> str:
    """The address fragment with which a client opens the page."""
    parts = {"tgWebAppData": data, "tgWebAppVersion": "9.6", "tgWebAppPlatform": "ios",
             "tgWebAppThemeParams": json.dumps(theme)}
    return "#" + "&".join(f"{key}={quote(value, safe='')}" for key, value in parts.items())


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """The application on a socket of its own; yields its origin."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The browser of the tests."""
    async with async_playwright() as playwright, launched(playwright) as browser:
        yield browser


@dataclass(slots=True)
class Phone:
    """One open page, and everything it complained about."""

    page: Page
    origin: str
    complaints: list[str]

    async def open(self, path: str, data: str, theme: dict[str, str] = LIGHT) -> Page:
        """Open a page as the Telegram client does."""
        await self.page.goto(f"{self.origin}{path}{launch(data, theme) if data else ''}")
        return self.page


@asynccontextmanager
async def phone(browser: Browser, origin: str, **options: Any) -> AsyncIterator[Phone]:
    """A phone that notes every console error, page error and breach of the content security policy."""
    context = await browser.new_context(viewport=PHONE, locale="en-GB", **options)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text)
            if message.type == "error" and "Failed to load resource" not in message.text else None)
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    try:
        yield Phone(page, origin, complaints)
    finally:
        await context.close()


def clock() -> datetime:
    return datetime.now(UTC)


async def follow(desk: Desk, user_id: int, provider_id: int) -> None:
    async with desk.database.writing() as session:
        await providers.follow(session, user_id, provider_id, clock())


async def stored(desk: Desk, user_id: int, signal_id: int) -> ApprovalView:
    """A user's approval of a signal, as the desk has it now."""
    number = await approval_of(desk.database, user_id, signal_id)
    async with desk.database.reading() as session:
        return await approvals.view(session, user_id, number, clock())


def cards(page: Page) -> Locator:
    return page.get_by_test_id("approval-card")


def failing(status: int, code: str) -> Callable[[Route], Awaitable[None]]:
    """A door that answers with this problem."""
    async def fail(route: Route) -> None:
        await route.fulfill(status=status, content_type="application/problem+json", body=f'{{"code":"{code}"}}')

    return fail


async def cut(route: Route) -> None:
    """A connection that is lost."""
    await route.abort()


async def unchanged(route: Route) -> None:
    """What is shown stays, as if the list had not been asked for yet."""
    await route.fulfill(status=304)
