"""The pages behind the real HTTP door, on SQLite: what they show does not depend on the kind of database."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Browser

from config import Settings
from services import background, entry
from services.desk import Desk
from services.users import Person
from terminal.paper.quotes import QuoteFeed
from tests.pages import stage
from tests.pages.stage import Phone
from tests.services import stage as desk_stage
from webapp import application

CONSOLE = "http://127.0.0.1:8081"
BOT = "countersign_test_bot"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def overlay() -> dict[str, Any]:
    return {"tiers": {"free": {"card_delay_seconds": 0}}, "approvals": {"poll_seconds": 1},
            "positions": {"cache_seconds": 1, "force_refresh_seconds": 1},
            "limits": {"auth": 0, "reads": 0, "decisions": 0, "unknown": 0}}


@pytest.fixture
def app(desk: Desk, settings: Settings) -> web.Application:
    async def ready() -> bool:
        return True

    return application.build(desk, settings, ready, bot_username=lambda: BOT)


@pytest.fixture
async def origin(app: web.Application) -> AsyncIterator[str]:
    """The HTTP door on a socket."""
    async with stage.served(app) as address:
        yield address


@pytest.fixture
async def loops(desk: Desk) -> None:
    """Orders are carried out and cards expire, as in the running desk."""
    background.start(desk, fan_out_rows=500, order_workers=2, keep=timedelta(days=7))


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with stage.chromium() as launched:
        yield launched


@pytest.fixture
async def phone(browser: Browser, origin: str) -> AsyncIterator[Phone]:
    """A phone in portrait. Whatever its page complained about by the end fails the test."""
    async with stage.phone(browser, origin) as held:
        yield held
        assert held.complaints == []


@pytest.fixture
def market(quotes: QuoteFeed) -> None:
    """The market stands where the signals of these tests suppose it to."""
    quotes.set_price("EURUSD", *desk_stage.EURUSD)


@pytest.fixture
async def ada(desk: Desk, market: None) -> int:
    """A user with a paper account; returns our user id."""
    return await entry.enter(desk, Person(stage.ADA, "Ada"), stage.clock())


@pytest.fixture
async def provider(desk: Desk, ada: int) -> int:
    """A provider Ada follows."""
    provider_id = await desk_stage.found(desk, stage.clock(), "Desk Alpha")
    await stage.follow(desk, ada, provider_id)
    return provider_id
