"""SIGKILL at every named point of a purchase: paid once, granted once, whatever was cut off where.

For each point a new buyer asks for a page, pays and gets the tier; the desk dies at that point, is started again, the
client repeats under the same key and Stripe sends its events again.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from sqlalchemy import text

from models.database import Database
from tests.databases import PostgresServer
from tests.e2e.conftest import PATIENT
from tests.e2e.watched import Watched
from tests.running import World, until, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

SELLING = PATIENT + "money = 10000\n[billing]\ntrial_days = 0\n"
TRANSACTION, CALL = ("before", "inside", "after"), ("before", "after")
EVENTS = ("checkout.session.completed", "customer.subscription.created", "invoice.paid", "another")

# Where a purchase writes, and where it asks Stripe: "door: function", with the event where there is one.
WRITES = (
    "checkout: guarded", "checkout: act", "checkout: _customer", "checkout: _checkout", "checkout: _close",
    "checkout: _act",
    *(f"webhook: _take ({event})" for event in EVENTS),
    "inbox: drain", *(f"inbox: _sync ({event})" for event in EVENTS), "inbox: _apply (another)",
    "inbox: _move (another)",
)
ASKS = (
    "checkout: ensure_customer", "checkout: _price_id", "checkout: checkout",
    *(f"inbox: subscription ({event})" for event in EVENTS), "inbox: charge_of (invoice.paid)",
    "inbox: movements_of (another)",
)
POINTS = (*(f"{place}, {moment}" for place in WRITES for moment in TRANSACTION),
          *(f"{place}, {moment}" for place in ASKS for moment in CALL))
# What leases and locks do differently on PostgreSQL.
ON_POSTGRESQL = ("checkout: guarded, after", "checkout: checkout, after", "checkout: _act, inside",
                 "webhook: _take (invoice.paid), inside", "inbox: drain, after",
                 "inbox: _sync (invoice.paid), inside")


class Shop:
    """A world that sells, and one look at its books."""

    def __init__(self, running: World, desk: Watched, database: Database) -> None:
        self.running, self.desk, self._database = running, desk, database

    async def buyer(self) -> tuple[int, str]:
        """Someone new: their user id and token."""
        telegram_id = await self.running.console.user("Buyer")
        token = await self.running.api.sign_in(await self.running.console.init_data(telegram_id))
        return int(await self.one("SELECT id FROM users WHERE telegram_id = :told", telegram_id)), token

    async def one(self, statement: str, told: Any = None) -> Any:
        """The single value a query finds."""
        async with self._database.reading() as session:
            return await session.scalar(text(statement), {"told": told} if told is not None else {})

    async def leases_run_out(self) -> None:
        """What on PostgreSQL only time does: a process that died there leaves its leases to the others."""
        if self._database.is_sqlite:
            return
        async with self._database.writing() as session:
            await session.execute(text("UPDATE idempotency_keys SET lease_until = now() WHERE lease_until > now()"))
            await session.execute(text("UPDATE inbox SET lease_until = now() WHERE lease_until > now()"))

    async def settled(self) -> bool:
        return not await self.one("SELECT count(*) FROM inbox WHERE source = 'stripe' AND state = 'pending'")


@pytest.fixture(scope="module")
def shop_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The database's URL; None for the desk's own file."""
    if request.param == "sqlite":
        yield None
        return
    server: PostgresServer = request.getfixturevalue("postgresql")
    with ExitStack() as stack:
        yield stack.enter_context(server.clone())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(shop_url: str | None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    more = {"DATABASE_URL": shop_url} if shop_url else {}
    async with world(folder, config=SELLING, sells=True, **more) as running:
        await running.command("stripe-setup")
        await running.desk.stop()
        desk = Watched("tests.e2e.points_of_purchase", running.environment, folder / "points", running.desk.log)
        running.desk = desk
        await desk.open()
        await desk.start()
        database = Database.open(shop_url or f"sqlite+aiosqlite:///{folder / 'data' / 'countersign.db'}")
        try:
            yield Shop(running, desk, database)
        finally:
            await database.close()


@pytest.mark.parametrize("shop_url", ["sqlite"], indirect=True)
async def test_these_are_the_points_of_a_purchase(shop: Shop) -> None:
    before = len(shop.desk.passed())
    await _purchase(shop, await shop.buyer(), secrets.token_hex(8))
    await until("all events are handled", shop.settled)
    found = set(shop.desk.passed()[before:])
    assert found == set(POINTS), (sorted(found - set(POINTS)), sorted(set(POINTS) - found))


@pytest.mark.parametrize("shop_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("point", POINTS)
async def test_killed_there_it_is_paid_once_and_granted_once(shop: Shop, point: str) -> None:
    await _killed_at(shop, point)


@pytest.mark.postgresql
@pytest.mark.parametrize("shop_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("point", ON_POSTGRESQL)
async def test_also_where_replicas_share_the_database(shop: Shop, point: str) -> None:
    await _killed_at(shop, point)


async def _killed_at(shop: Shop, point: str) -> None:
    """Buy, die there, come back, buy on."""
    who, key = await shop.buyer(), secrets.token_hex(8)
    if "_price_id" in point:
        await shop.desk.begin_anew()
    shop.desk.arm(point)
    buying = asyncio.create_task(_purchase(shop, who, key))
    try:
        assert await shop.desk.ended() == -9
        assert shop.desk.passed()[-1] == point
        await shop.leases_run_out()
        await shop.desk.start()
        await asyncio.wait_for(buying, 90)
    finally:
        buying.cancel()
    await _everything_again(shop, who[0])
    await _is_paid_once(shop, who[0])


async def _purchase(shop: Shop, who: tuple[int, str], key: str) -> None:
    """Ask for a page with one key until there is an answer, pay on it, wait for the tier."""
    page: Any = None
    while page is None:
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            status, told = await shop.running.api.call(
                "POST", "/api/v1/billing/checkout", token=who[1], body={"tier": "premium"},
                headers={"Idempotency-Key": key})
            assert status in (201, 409, 503), told
            page = told if status == 201 else None
        if page is None:
            await asyncio.sleep(0.05)
    session_id = page["url"].rstrip("/").rsplit("/", 1)[-1].split("?")[0]
    await shop.running.console.post(f"/stripe/checkout/{session_id}/pay")

    async def has_the_tier() -> bool:
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            _, me = await shop.running.api.call("GET", "/api/v1/me", token=who[1])
            return bool(me["tier"] == "premium")
        return False

    await until("the tier is premium", has_the_tier)


async def _everything_again(shop: Shop, user_id: int) -> None:
    """Stripe sends every event that concerns this buyer once more; all are taken, none does anything."""
    customer = await shop.one("SELECT provider_customer_id FROM customers WHERE user_id = :told", user_id)
    subscription = await shop.one("SELECT provider_subscription_id FROM subscriptions WHERE user_id = :told", user_id)
    invoice = await shop.one("SELECT invoice_id FROM grants WHERE user_id = :told", user_id)
    for event in await shop.running.console.get("/stripe/events"):
        if event["object"] in (customer, subscription, invoice):
            again = await shop.running.console.post(f"/stripe/events/{event['id']}/redeliver")
            assert again["status"] == 200
    await until("all events are handled", shop.settled)


async def _is_paid_once(shop: Shop, user_id: int) -> None:
    told = {what: await shop.one(f"SELECT count(*) FROM {what} AND user_id = :told", user_id) for what in (
        "ledger_entries WHERE kind = 'charge'", "grants WHERE source = 'stripe'", "subscriptions WHERE 1 = 1",
        "customers WHERE 1 = 1", "operations WHERE state = 'done'")}
    assert set(told.values()) == {1}, told
    assert await shop.one("SELECT count(*) FROM operations WHERE state <> 'done' AND user_id = :told", user_id) == 0
    assert await shop.one("SELECT sum(amount_minor) FROM ledger_postings") == 0
    made = [call for call in await shop.running.console.get("/stripe/calls")
            if call["method"] == "POST" and call["path"] == "/v1/checkout/sessions" and not call["replayed"]]
    operation = await shop.one("SELECT id FROM operations WHERE user_id = :told", user_id)
    assert [call["idempotency_key"] for call in made].count(f"op_{operation}:checkout") == 1
