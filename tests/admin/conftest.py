"""The chat door and the till on one desk: an admin's hand on a customer's money."""

from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from bot import dispatcher
from bot.intake import Intake
from bot.keyboards import Links
from bot.notifier import Notifier
from bot.worker import Worker
from config import Settings
from models.audit import AuditEvent
from models.billing import Operation
from sandbox.telegram.limits import Limits
from services import users
from services.payments.protocol import Money
from tests.billing.conftest import KEY, SECRET, Till, till
from tests.bot.conftest import APP, Chat, chat
from tests.running import buttons, until

__all__ = ["chat", "till"]


@pytest.fixture
def overlay() -> dict[str, Any]:
    return {"billing": {"trial_days": 0}, "tiers": {"free": {"card_delay_seconds": 0}},
            "limits": {"auth": 100_000, "reads": 100_000, "decisions": 100_000, "money": 100_000, "unknown": 100_000},
            "notifier": {"rate_per_second": 200.0, "max_rate_per_second": 200.0, "chat_interval_seconds": 0.0}}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"stripe_secret_key": SecretStr(KEY),
                                       "stripe_webhook_secrets": (SecretStr(SECRET),)})


@pytest.fixture
def limits() -> Limits:
    return Limits(messages_per_second=None, chat_per_second=None)


@dataclass
class Office:
    """Admins in the chat, customers at the till."""

    chat: Chat
    till: Till

    def open(self) -> None:
        links, facts, start = Links(APP), self.chat.settings.facts, self.chat.desk.supervisor.start
        built = dispatcher.build(self.chat.desk, links, {"stripe": self.till.cashier})
        start("inbox", Worker(self.chat.desk, self.chat.bot, built, facts.inbox).run)
        start("notifier", Notifier(self.chat.desk, self.chat.bot, links, facts.notifier).run)
        start("intake", Intake(self.chat.desk, self.chat.token, self.chat.api_base).run)

    async def admin(self, name: str = "Grace") -> int:
        """Someone with the role; returns their Telegram id."""
        telegram_id = await self.chat.person(name)
        async with self.chat.desk.database.writing() as session:
            await users.name_admins(session, (telegram_id,), datetime.now(UTC))
        return telegram_id

    async def id_of(self, telegram_id: int) -> int:
        async with self.chat.desk.database.reading() as session:
            user = await users.by_telegram_id(session, telegram_id)
        assert user is not None
        return user.id

    async def customer(self, name: str = "Ada <b>") -> tuple[int, str]:
        """Someone who has paid for a month of Premium; their Telegram id and the invoice."""
        telegram_id = await self.chat.person(name)
        user_id = await self.id_of(telegram_id)
        token = self.till.desk.tokens.issue(user_id, datetime.now(UTC))
        await self.till.buy(token)
        await self.till.becomes(user_id, "premium")
        await self.till.booked(await self.till.entries() or 1)
        invoice = (await self.till.grants())[-1].invoice_id
        assert invoice is not None
        return telegram_id, invoice

    async def card(self, admin: int, command: str) -> dict[str, Any]:
        """The question a /refund is answered with."""
        await self.chat.reply(admin, command)
        *_, card = await self.chat.console.messages(admin)
        assert set(buttons(card)) == {"Confirm refund", "Cancel"}, card
        return card

    async def refunds(self) -> list[dict[str, Any]]:
        """What really went back at Stripe."""
        found = await self.till.payments._client.v1.refunds.list_async({"limit": 100})
        return [dict(one.to_dict()) for one in found.data]

    async def operations(self, kind: str) -> list[Operation]:
        async with self.chat.desk.database.reading() as session:
            return list(await session.scalars(select(Operation).where(Operation.kind == kind)
                                              .order_by(Operation.created_at)))

    async def audit(self, action: str) -> list[AuditEvent]:
        async with self.chat.desk.database.reading() as session:
            return list(await session.scalars(select(AuditEvent).where(AuditEvent.action == action)
                                              .order_by(AuditEvent.id)))

    async def becomes(self, what: str, check: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        """Handle events until this is so."""

        async def so() -> bool:
            await self.till.inbox.drain(datetime.now(UTC))
            return await check()

        await until(what, so)


@pytest.fixture
async def office(chat: Chat, till: Till) -> AsyncIterator[Office]:
    await till.payments.ensure_price("premium", Money(2999, "usd"))
    made = Office(chat, till)
    made.open()
    yield made


LATER = timedelta(minutes=3)
