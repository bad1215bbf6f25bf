"""What the tests of the device client stand on: a desk's door on a real socket, and a broker behind it.

``floor`` is a test's own, before any device serves the account. ``shared`` is a module's, where one has been paired and
linked; its tests come one after the other and leave it as they found it.
"""

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

import config
from models.database import Database
from runtime import valkey
from terminal.paper.quotes import QuoteFeed
from tests.conftest import BOT_TOKEN, MASTER_KEY, build_desk
from tests.databases import SqliteTemplate
from tests.sdk.floor import Floor, opened
from tests.webapp.conftest import Door
from webapp import application

OVERLAY: dict[str, Any] = {
    "tiers": {"free": {"card_delay_seconds": 0}}, "devices": {"poll_seconds": 1},
    "limits": dict.fromkeys(("auth", "reads", "decisions", "signed", "unknown", "reports", "pairings"), 100_000)}


@asynccontextmanager
async def a_floor(folder: Path, template: SqliteTemplate, redis_url: str, market: QuoteFeed) -> AsyncIterator[Floor]:
    """A desk with its door, a broker, and a person who has come. SQLite: what differs is the desk's affair."""
    settings = config.load({"BOT_TOKEN": BOT_TOKEN, "MASTER_KEY": MASTER_KEY, "DATA": str(folder / "data"),
                            "DATABASE_URL": template.copy_to(folder / "countersign.db"), "REDIS_URL": redis_url},
                           OVERLAY)
    database, redis = Database.open(settings.database_url.get_secret_value()), valkey.connect(redis_url)
    await redis.flushall()
    desk = build_desk(settings, database, redis, copy.deepcopy(market))

    async def ready() -> bool:
        return True

    runner = await application.opened(application.build(desk, settings, ready))
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as client:
            door = Door(desk, settings, f"http://127.0.0.1:{runner.addresses[0][1]}", client, runner)
            async with opened(door, folder) as made:
                yield made
    finally:
        await runner.cleanup()
        await desk.supervisor.stop(5.0)
        await redis.aclose()
        await database.close()


@pytest.fixture
async def floor(tmp_path: Path, sqlite_template: SqliteTemplate, valkey_server: str,
                opened_market: QuoteFeed) -> AsyncIterator[Floor]:
    async with a_floor(tmp_path, sqlite_template, valkey_server, opened_market) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory, sqlite_template: SqliteTemplate, valkey_server: str,
                 opened_market: QuoteFeed) -> AsyncIterator[Floor]:
    folder = tmp_path_factory.mktemp("shared")
    async with a_floor(folder, sqlite_template, valkey_server, opened_market) as made:
        await made.serve()
        yield made
