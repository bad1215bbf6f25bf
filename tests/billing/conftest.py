"""The desk with a till: the product's own doors on one side, Stripe's stand-in on a socket on the other."""

import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr
from sqlalchemy import select

from config import Settings
from models.billing import LedgerEntry, LedgerKind
from models.grant import Grant
from sandbox.stripe.standin import StripeStandIn
from services import entry, inbox, ledger, tiers
from services.billing import Cashier
from services.desk import Desk
from services.payments.stripe_provider import StripePayments
from services.stripe_inbox import SOURCE, StripeInbox
from services.subscriptions import Rules
from services.users import Person
from tests.running import free_port, until
from webapp import application

KEY, SECRET = "sk_test_suite0123456789abcdef", "whsec_suite0123456789abcdef"
DAY = timedelta(days=1)


@pytest.fixture
def overlay() -> dict[str, Any]:
    return {"billing": {"trial_days": 0},
            "limits": {"auth": 100_000, "reads": 100_000, "decisions": 100_000, "money": 100_000, "unknown": 100_000}}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"stripe_secret_key": SecretStr(KEY),
                                       "stripe_webhook_secrets": (SecretStr(SECRET),)})


@dataclass
class Till:
    """A customer's hand on the product, and an owner's hand on Stripe."""

    desk: Desk
    cashier: Cashier
    payments: StripePayments
    inbox: StripeInbox
    base: str
    stripe: str
    client: aiohttp.ClientSession
    standin: StripeStandIn

    async def person(self, telegram_id: int = 9001) -> tuple[int, str]:
        user_id = await entry.enter(self.desk, Person(telegram_id, "Ada"), datetime.now(UTC))
        return user_id, self.desk.tokens.issue(user_id, datetime.now(UTC))

    async def call(self, method: str, path: str, token: str, body: Any = None, key: str | None = None) \
            -> tuple[int, Any, Any]:
        headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
        data = json.dumps(body).encode() if body is not None else None
        if data is not None:
            headers["Content-Type"] = "application/json"
        async with self.client.request(method, f"{self.base}/api/v1/billing{path}", data=data,
                                       headers=headers) as answer:
            return answer.status, await answer.json(content_type=None), answer.headers

    async def buy(self, token: str, tier: str = "premium", key: str | None = None) -> str:
        """Check out and pay; returns the checkout session's id."""
        status, made, _ = await self.call("POST", "/checkout", token, {"tier": tier}, key or secrets.token_hex(8))
        assert status == 201, made
        session_id = made["url"].rstrip("/").rsplit("/", 1)[-1].split("?")[0]
        await self.control(f"/checkout/{session_id}/pay")
        return session_id

    async def control(self, path: str, body: Any = None) -> Any:
        """Steer the stand-in."""
        async with self.client.post(f"{self.stripe}/control/stripe{path}", json=body or {}) as answer:
            found = await answer.json(content_type=None)
            assert answer.status < 300, (path, found)
            return found

    async def hold(self) -> None:
        """From now on the stand-in keeps its events; what it was sending has arrived."""

        async def nothing_is_under_way() -> bool:
            return not await self.look("/events?state=pending")

        await until("no event is under way", nothing_is_under_way)
        await self.control("/hold")

    async def look(self, path: str) -> Any:
        async with self.client.get(f"{self.stripe}/control/stripe{path}") as answer:
            return await answer.json(content_type=None)

    async def calls(self) -> list[dict[str, Any]]:
        """Every call the stand-in has had."""
        found = await self.look("/calls")
        return list(found if isinstance(found, list) else found.get("data") or found["calls"])

    async def tier(self, user_id: int, at: datetime | None = None) -> str:
        async with self.desk.database.reading() as session:
            return (await tiers.tier_of(session, self.desk.catalogue, user_id, at or datetime.now(UTC))).name

    async def becomes(self, user_id: int, tier: str, at: datetime | None = None) -> None:
        """Handle what has arrived until the user has this tier."""

        async def has_it() -> bool:
            await self.inbox.drain(datetime.now(UTC))
            return await self.tier(user_id, at) == tier

        await until(f"the tier is {tier}", has_it)

    async def settle(self) -> None:
        """Handle everything that has arrived or is on its way."""

        async def nothing_waits() -> bool:
            while await self.inbox.drain(datetime.now(UTC)):
                pass
            async with self.desk.database.reading() as session:
                return await inbox.next_due(session, SOURCE) is None

        await until("no event waits", nothing_waits)

    async def entries(self, kind: LedgerKind = LedgerKind.CHARGE) -> int:
        async with self.desk.database.reading() as session:
            return len((await session.scalars(select(LedgerEntry.id).where(LedgerEntry.kind == kind))).all())

    async def booked(self, number: int) -> None:
        """Handle what arrives until so many charges are in the books, and no more."""

        async def are_there() -> bool:
            await self.inbox.drain(datetime.now(UTC))
            return await self.entries() >= number

        await until(f"{number} charges are in the books", are_there)
        await self.settle()
        assert await self.entries() == number

    async def grants(self) -> list[Grant]:
        async with self.desk.database.reading() as session:
            return list(await session.scalars(select(Grant).order_by(Grant.id)))

    async def balances(self) -> dict[tuple[str, str], int]:
        async with self.desk.database.reading() as session:
            return await ledger.balances(session)


@pytest.fixture
async def till(desk: Desk, settings: Settings, tmp_path: Path) -> AsyncIterator[Till]:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    standin = StripeStandIn(KEY, tmp_path / "stripe.db", f"{base}/webhook/stripe", SECRET, retry_seconds=0.1)
    stripe_app = web.Application()
    standin.register(stripe_app)
    stripe_runner = web.AppRunner(stripe_app, access_log=None)
    await stripe_runner.setup()
    await web.TCPSite(stripe_runner, "127.0.0.1", 0).start()
    stripe = f"http://127.0.0.1:{stripe_runner.addresses[0][1]}"
    payments = StripePayments(KEY, {t.name: t.lookup_key for t in desk.catalogue if t.rank}, api_base=stripe)
    rules = Rules(desk.catalogue, renewal_lag=DAY, grace=7 * DAY)
    cashier = Cashier(desk.database, payments, rules, base, settings.facts.billing.trial_days)

    async def ready() -> bool:
        return True

    runner = web.AppRunner(application.build(desk, settings, ready, cashier=cashier), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await standin.start(stripe)
    async with aiohttp.ClientSession() as client:
        worker = StripeInbox(cashier, payments, desk.replica, desk.wakes.outbox)
        yield Till(desk, cashier, payments, worker, base, stripe, client, standin)
    await standin.stop()
    await runner.cleanup()
    await stripe_runner.cleanup()
    await payments.close()
