"""Four days in which not one event reaches us: asking Stripe afterwards brings everything to where it would be.

Two desks stand before one Stripe. The twin is told everything as it happens; the deaf one hears nothing while people
buy, renew, fail to pay, change, cancel and get money back, and then asks. The same ids stand on both sides, so their
rows are compared as they are.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import select

from config import Settings
from models.billing import LedgerEntry, LedgerPosting, Subscription
from models.database import Database
from services import inbox, reconciliation
from services.payments.protocol import Money
from services.stripe_inbox import SOURCE, StripeInbox
from terminal.paper.quotes import QuoteFeed
from tests.billing.conftest import DAY, Till
from tests.conftest import build_desk
from tests.databases import PostgresServer, SqliteTemplate
from tests.running import until

NAMES = ("renews", "fails", "upgrades", "cancels", "cancels_late", "buys", "buys_and_gets_it_back",
         "gets_a_renewal_back")
BEFORE = NAMES[:5] + NAMES[7:]
COMPARED = [Subscription.provider_subscription_id, Subscription.user_id, Subscription.status, Subscription.tier,
            Subscription.amount_minor, Subscription.currency, Subscription.current_period_start,
            Subscription.current_period_end, Subscription.cancel_at_period_end, Subscription.trial_end,
            Subscription.past_due_since, Subscription.ended_at]
MOVED = [LedgerEntry.transaction_id, LedgerEntry.kind, LedgerEntry.user_id, LedgerEntry.provider_subscription_id,
         LedgerEntry.invoice_id, LedgerEntry.occurred_at, LedgerPosting.account, LedgerPosting.amount_minor,
         LedgerPosting.currency]


@pytest.fixture
def other_url(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[str]:
    """A second database of the same kind."""
    if database_url.startswith("sqlite"):
        template: SqliteTemplate = request.getfixturevalue("sqlite_template")
        yield template.copy_to(tmp_path / "deaf.db")
        return
    server: PostgresServer = request.getfixturevalue("postgresql")
    with server.clone() as url:
        yield url


@pytest.fixture
async def deaf(till: Till, settings: Settings, redis: Redis, quotes: QuoteFeed, other_url: str) -> AsyncIterator[Till]:
    """A desk on the same Stripe account to which nothing is delivered."""
    database = Database.open(other_url)
    desk = build_desk(settings, database, redis, quotes, replica="deaf")
    cashier = replace(till.cashier, database=database)
    yield replace(till, desk=desk, cashier=cashier,
                  inbox=StripeInbox(cashier, till.payments, desk.replica, desk.wakes.outbox))
    await desk.supervisor.stop(5.0)
    await database.close()


@pytest.fixture(autouse=True)
async def prices(till: Till) -> None:
    for tier in till.desk.catalogue:
        if tier.rank:
            await till.payments.ensure_price(tier.name, Money(tier.amount_minor, "usd"))


async def test_four_deaf_days_leave_no_trace(till: Till, deaf: Till) -> None:
    people = {name: await till.person(9001 + place) for place, name in enumerate(NAMES)}
    assert {name: await deaf.person(9001 + place) for place, name in enumerate(NAMES)}.keys() == people.keys()
    for name in BEFORE:
        await till.buy(people[name][1])
    await told(till, datetime.now(UTC))
    until_renewal = min(row[7] for row in await rows(till, COMPARED)) - datetime.now(UTC)
    await advance(till, until_renewal - 2 * DAY)
    await ask(deaf, await stripe_time(till))
    assert await same(till, deaf)

    now = await four_days(till, people)

    assert await tiers_of(deaf, people, now) != await tiers_of(till, people, now), "there is something to find out"
    assert await ask(deaf, now) > 0
    assert await same(till, deaf)
    for days in range(45):
        then = now + days * DAY
        assert await tiers_of(deaf, people, then) == await tiers_of(till, people, then), days
    assert await ask(deaf, now) == 0, "nothing is left to find"
    await agrees_with_the_report(deaf)


async def four_days(till: Till, people: dict[str, tuple[int, str]]) -> datetime:
    """What people and banks do meanwhile, each told to the twin at once; returns the time at the end."""
    subscriptions = {row[1]: str(row[0]) for row in await rows(till, COMPARED)}
    await till.buy(people["buys"][1], "vip")
    await till.buy(people["buys_and_gets_it_back"][1])
    await till.control(f"/subscriptions/{subscriptions[people['fails'][0]]}/card", {"behaviour": "decline"})
    await told(till, await stripe_time(till))
    for name, path, body in (("upgrades", "/change-plan", {"tier": "vip"}), ("cancels", "/cancel", None)):
        status, answer, _ = await till.call("POST", path, people[name][1], body, name)
        assert status == 200, answer
    await advance(till, DAY)
    await refund_newest(till, people["buys_and_gets_it_back"][0])
    await advance(till, 2 * DAY)
    await refund_newest(till, people["gets_a_renewal_back"][0])
    assert (await till.call("POST", "/cancel", people["cancels_late"][1], None, "late"))[0] == 200
    return await advance(till, DAY)


async def advance(till: Till, span: timedelta) -> datetime:
    """Let Stripe's clock run, and tell the twin."""
    made: dict[str, Any] = await till.control("/advance", {"hours": span.total_seconds() // 3600})
    now = datetime.fromtimestamp(made["now"], UTC)
    await told(till, now)
    return now


async def stripe_time(till: Till) -> datetime:
    made: dict[str, Any] = await till.control("/advance", {"hours": 0.001})
    return datetime.fromtimestamp(made["now"], UTC)


async def told(till: Till, now: datetime) -> None:
    """Handle everything, as of ``now``, once all of it has been delivered."""

    async def all_is_delivered() -> bool:
        return not [event for event in await till.look("/events") if event["state"] == "pending"]

    await until("every event is delivered", all_is_delivered)
    await handled(till, now)


async def handled(till: Till, now: datetime) -> None:
    while True:
        async with till.desk.database.reading() as session:
            due = await inbox.next_due(session, SOURCE)
        if due is None:
            return
        await till.inbox.drain(max(now, due))


async def ask(deaf: Till, now: datetime) -> int:
    """The reconciler's round, as at a start; how much it found."""
    async with deaf.desk.database.reading() as session:
        since = await reconciliation.first_look(session, now)
    found = await reconciliation.missed(deaf.payments, deaf.cashier, since, now)
    found += await reconciliation.strayed(deaf.payments, deaf.cashier, now)
    await handled(deaf, now)
    return found


async def rows(till: Till, columns: list[Any]) -> list[tuple[Any, ...]]:
    statement = select(*columns)
    if columns is MOVED:
        statement = statement.join(LedgerPosting, LedgerPosting.entry_id == LedgerEntry.id)
    async with till.desk.database.reading() as session:
        return sorted((tuple(row) for row in await session.execute(statement)), key=str)


async def same(till: Till, deaf: Till) -> bool:
    """Subscriptions and ledgers are equal, row by row."""
    assert await rows(deaf, COMPARED) == await rows(till, COMPARED)
    assert await rows(deaf, MOVED) == await rows(till, MOVED)
    return True


async def tiers_of(till: Till, people: dict[str, tuple[int, str]], at: datetime) -> dict[str, str]:
    return {name: await till.tier(user, at) for name, (user, _) in people.items()}


async def refund_newest(till: Till, user_id: int) -> None:
    """All of the user's last payment goes back."""
    async with till.desk.database.reading() as session:
        invoice = await session.scalar(select(LedgerEntry.invoice_id).where(LedgerEntry.user_id == user_id)
                                       .order_by(LedgerEntry.occurred_at.desc()).limit(1))
    paid = await till.payments.events_since(datetime.now(UTC) - DAY)
    charges = [event["data"]["object"] for event in paid if event["type"] == "charge.succeeded"]
    for charge in charges:
        if (await till.payments._source_of(charge["id"]))[1] == invoice:
            await till.payments.refund(charge["id"], None, key=f"back-{charge['id']}")
            return
    raise AssertionError(f"no charge for {invoice}")


async def agrees_with_the_report(till: Till) -> None:
    sums, found = (await till.look("/report"))["sums"]["usd"], await till.balances()
    assert -found[("sales", "USD")] == sums["charge"]
    assert found[("refunds", "USD")] == -sums["refund"]
    assert found[("stripe:balance", "USD")] == sum(sums.values())
