"""A desk that sells for Stars: both doors open, Telegram's stand-in on a real socket, the desk's loops running."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from sqlalchemy import select

import cashdesk
from bot import dispatcher
from bot.intake import Intake
from bot.keyboards import Links
from bot.notifier import Notifier
from bot.star_payments import StarPayments
from bot.worker import Worker
from models.billing import LedgerEntry, LedgerKind, Operation, Subscription
from models.grant import Grant
from sandbox.telegram.limits import Limits
from services import entry, ledger, subscriptions, tiers
from services.billing import Cashier
from services.subscriptions import Rules
from services.users import Person
from tests.bot.conftest import APP, Chat, chat
from tests.running import until
from webapp import application

__all__ = ["chat"]
DAY = timedelta(days=1)


@pytest.fixture
def overlay() -> dict[str, Any]:
    return {"tiers": {"free": {"card_delay_seconds": 0}},
            "limits": {"auth": 100_000, "reads": 100_000, "decisions": 100_000, "money": 100_000, "unknown": 100_000},
            "notifier": {"rate_per_second": 200.0, "max_rate_per_second": 200.0, "chat_interval_seconds": 0.0}}


@pytest.fixture
def limits() -> Limits:
    return Limits(messages_per_second=None, chat_per_second=None, pre_checkout_seconds=30)


@dataclass
class Kiosk:
    """A buyer's hand on the product and on Telegram."""

    chat: Chat
    cashier: Cashier
    payments: StarPayments
    base: str
    client: aiohttp.ClientSession

    def open(self) -> None:
        links, facts, start = Links(APP), self.chat.settings.facts, self.chat.desk.supervisor.start
        built = dispatcher.build(self.chat.desk, links, {"telegram": self.cashier}, offered=("telegram",))
        start("inbox", Worker(self.chat.desk, self.chat.bot, built, facts.inbox).run)
        start("notifier", Notifier(self.chat.desk, self.chat.bot, links, facts.notifier).run)
        start("intake", Intake(self.chat.desk, self.chat.token, self.chat.api_base).run)

    async def person(self, name: str = "Ada") -> tuple[int, int, str]:
        """Telegram id, our id, and a token for the API."""
        telegram_id = await self.chat.console.user(name)
        await self.chat.console.start(telegram_id)
        user_id = await entry.enter(self.chat.desk, Person(telegram_id, name), datetime.now(UTC))
        return telegram_id, user_id, self.chat.desk.tokens.issue(user_id, datetime.now(UTC))

    async def person_unheard(self) -> tuple[int, int, str]:
        """As ``person``, where the chat's loops do not run."""
        telegram_id = await self.chat.console.user("Ada")
        user_id = await entry.enter(self.chat.desk, Person(telegram_id, "Ada"), datetime.now(UTC))
        return telegram_id, user_id, self.chat.desk.tokens.issue(user_id, datetime.now(UTC))

    async def order(self, token: str, tier: str = "premium") -> Operation:
        """A new order."""
        await self.link(token, tier)
        found = await self.operation("checkout")
        assert found is not None
        return found

    async def call(self, method: str, path: str, token: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": secrets.token_hex(8)}
        async with self.client.request(method, f"{self.base}/api/v1/billing{path}", json=body,
                                       headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def link(self, token: str, tier: str = "premium") -> str:
        """The slug of a new invoice."""
        status, made = await self.call("POST", "/checkout", token, {"tier": tier})
        assert status == 201, made
        return str(made["url"]).removeprefix("https://t.me/$")

    async def pay(self, slug: str, telegram_id: int, **more: Any) -> Any:
        return await self.chat.console.post(f"/stars/invoices/{slug}/pay", {"user_id": telegram_id, **more})

    async def buy(self, telegram_id: int, token: str, tier: str = "premium", **more: Any) -> str:
        """Pay for a plan; the charge id."""
        done = await self.pay(await self.link(token, tier), telegram_id, **more)
        assert done["paid"], done
        return str(done["charge_id"])

    async def steer(self, charge_id: str, action: str, **more: Any) -> Any:
        return await self.chat.console.post(f"/stars/subscriptions/{charge_id}/{action}", more)

    async def tier(self, user_id: int, at: datetime | None = None) -> str:
        async with self.chat.desk.database.reading() as session:
            return (await tiers.tier_of(session, self.chat.desk.catalogue, user_id, at or datetime.now(UTC))).name

    async def becomes(self, user_id: int, tier: str) -> None:
        async def has_it() -> bool:
            return await self.tier(user_id) == tier

        await until(f"the tier is {tier}", has_it)

    async def row(self, user_id: int) -> Subscription | None:
        async with self.chat.desk.database.reading() as session:
            return await subscriptions.current(session, user_id)

    async def stands(self, user_id: int, status: str, ends: bool) -> Subscription:
        """Wait until the subscription stands so."""

        async def so() -> Subscription | None:
            row = await self.row(user_id)
            return row if row is not None and (row.status, row.cancel_at_period_end) == (status, ends) else None

        found: Subscription = await until(f"it is {status}", so)
        return found

    async def grants(self) -> list[Grant]:
        async with self.chat.desk.database.reading() as session:
            return list(await session.scalars(select(Grant).order_by(Grant.id)))

    async def entries(self, kind: LedgerKind = LedgerKind.CHARGE) -> list[LedgerEntry]:
        async with self.chat.desk.database.reading() as session:
            return list(await session.scalars(select(LedgerEntry).where(LedgerEntry.kind == kind)))

    async def booked(self, number: int, kind: LedgerKind = LedgerKind.CHARGE) -> None:
        async def are_there() -> bool:
            return len(await self.entries(kind)) == number

        await until(f"{number} of {kind} are booked", are_there)

    async def operation(self, kind: str) -> Operation | None:
        async with self.chat.desk.database.reading() as session:
            return await session.scalar(select(Operation).where(Operation.kind == kind)
                                        .order_by(Operation.created_at.desc()).limit(1))

    async def books_agree(self) -> None:
        """Ours are those of Telegram."""
        async with self.chat.desk.database.reading() as session:
            ours = await ledger.balances(session)
        assert ours.get(("telegram:balance", "XTR"), 0) == (await self.chat.console.get("/stars"))["balance"]
        assert sum(ours.values()) == 0


@pytest.fixture
async def kiosk(chat: Chat) -> AsyncIterator[Kiosk]:
    prices = cashdesk.star_prices(chat.desk.catalogue)
    payments = StarPayments(chat.bot, chat.desk.database, {tier: price.amount_minor for tier, price in prices.items()})
    cashier = Cashier(chat.desk.database, payments, Rules(chat.desk.catalogue, DAY, timedelta(0)), APP, 0, prices)

    async def ready() -> bool:
        return True

    runner = web.AppRunner(application.build(chat.desk, chat.settings, ready, cashiers={"telegram": cashier}),
                           access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as client:
        yield Kiosk(chat, cashier, payments, f"http://127.0.0.1:{runner.addresses[0][1]}", client)
    await runner.cleanup()
