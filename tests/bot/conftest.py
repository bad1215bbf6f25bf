"""The chat door against Telegram's stand-in on a real socket, with the desk's loops running."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiogram import Bot

from bot import dispatcher, session, setup
from bot.intake import Intake
from bot.keyboards import Links
from bot.notifier import Notifier
from bot.worker import Worker
from config import Settings
from sandbox.server import Sandbox
from sandbox.telegram.limits import Limits
from sandbox.tokens import new_token
from services import background, providers, signals
from services.desk import Desk
from services.signals import SignalView
from services.terms import Levels
from tests.running import Console, buttons, until

APP = "https://desk.example"


@pytest.fixture
def overlay() -> dict[str, Any]:
    return {"tiers": {"free": {"card_delay_seconds": 0}},
            "notifier": {"rate_per_second": 200.0, "max_rate_per_second": 200.0, "chat_interval_seconds": 0.0}}


@pytest.fixture
def limits() -> Limits:
    """What Telegram allows; a test of pacing overrides it."""
    return Limits(messages_per_second=None, chat_per_second=None)


@dataclass
class Chat:
    """A desk whose chat door is open."""

    desk: Desk
    settings: Settings
    console: Console
    bot: Bot
    sandbox: Sandbox
    token: str
    api_base: str
    provider_id: int = 0

    def open(self) -> None:
        """Start the loops of the process."""
        links, facts, start = Links(APP), self.settings.facts, self.desk.supervisor.start
        background.start(self.desk, fan_out_rows=500, order_workers=4, keep=timedelta(days=7))
        start("inbox", Worker(self.desk, self.bot, dispatcher.build(self.desk, links), facts.inbox).run)
        start("notifier", Notifier(self.desk, self.bot, links, facts.notifier).run)
        start("intake", Intake(self.desk, self.token, self.api_base).run)

    async def person(self, name: str = "Ada") -> int:
        """Someone who has pressed Start; returns their Telegram id."""
        user = await self.console.user(name)
        await self.console.start(user)
        return user

    async def publish(self, **changes: Any) -> SignalView:
        """A signal of gold, published as if by the provider's door."""
        levels = {"symbol": "XAUUSD", "side": "buy", "order_type": "market", "entry_price": None,
                  "entry_range": None, "stop_loss": Decimal("2300.00"),
                  "take_profits": (Decimal("2450.00"), Decimal("2500.00")), "note": None, **changes}
        span = levels.pop("expires_in_seconds", 900)
        async with self.desk.database.writing() as opened:
            view, _ = await signals.publish(opened, self.provider_id, f"x-{datetime.now(UTC).timestamp()}",
                                            Levels(**levels), span, datetime.now(UTC))
        self.desk.wakes.fan_out.set()
        return view

    async def card(self, user: int) -> dict[str, Any]:
        """The newest card that can be answered, once it is there."""
        found: dict[str, Any] = await until("a card", lambda: self.console.open_card(user))
        return found

    async def tap(self, user: int, card: dict[str, Any], name: str) -> str:
        return await self.console.tap(user, card["message_id"], buttons(card)[name])

    async def reply(self, user: int, text: str) -> str:
        """Write to the bot and wait for what it says."""
        before = len(await self.said(user))
        await self.console.write(user, text)

        async def said_more() -> str | None:
            found = await self.said(user)
            return found[-1] if len(found) > before else None

        return str(await until(f"a reply to {text}", said_more))

    async def said(self, user: int) -> list[str]:
        return [m["text"] for m in await self.console.messages(user) if m["from"] == "bot"]

    async def shows(self, user: int, words: str) -> dict[str, Any]:
        """Wait until a message of the bot contains these words."""

        async def found() -> dict[str, Any] | None:
            return next((m for m in await self.console.messages(user)
                         if m["from"] == "bot" and words in m["text"]), None)

        message: dict[str, Any] = await until(f"a message with {words!r}", found)
        return message


@pytest.fixture
async def chat(desk: Desk, settings: Settings, limits: Limits, tmp_path: Path) -> AsyncIterator[Chat]:
    token = new_token()
    sandbox = Sandbox(token, tmp_path / "telegram.db", APP, limits=limits)
    api_base = await sandbox.start("127.0.0.1", 0)
    bot = session.connect(token, api_base, desk.metrics)
    async with desk.database.writing() as opened:
        made = await providers.add(opened, desk.vault, "Desk <b>Alpha</b>", datetime.now(UTC))
    async with aiohttp.ClientSession() as client:
        chat = Chat(desk, settings, Console(client, api_base), bot, sandbox, token, api_base, made.provider_id)
        await setup.introduce(bot, Links(APP))
        yield chat
        await desk.supervisor.stop(8.0)
    await bot.session.close()
    await sandbox.stop()
