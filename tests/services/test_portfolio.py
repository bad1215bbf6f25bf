"""All accounts of a user together, each currency for itself, and the accounts kept warm of those who look."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from redis.asyncio import Redis

from models.account import Account
from services import accounts, portfolio, warmup
from services.desk import Desk
from services.positions import Reader
from services.warmup import Looks, Warmer
from terminal.paper.quotes import QuoteFeed
from tests.services import stage
from tests.services.gateways import AWAY, TroubledLine

D = Decimal


async def opened(desk: Desk, user_id: int, currency: str, deposit: str, now: datetime, *,
                 known: bool = True) -> Account:
    """A further paper account; one that its broker does not know has no figures."""
    login = f"8{user_id}{currency}{deposit}"
    assert desk.paper is not None
    if known:
        await desk.paper.open_account(login, currency=currency, deposit=D(deposit), now=now)
    async with desk.database.writing() as session:
        row = Account(user_id=user_id, route="paper", label=f"{currency} {deposit}", login=login,
                      server="Countersign-Paper", broker="B", currency=currency, sizing={}, status="verified",
                      is_primary=False, verified_at=now, created_at=now)
        session.add(row)
    return row


async def test_each_currency_is_summed_for_itself(desk: Desk, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    for currency, deposit in (("EUR", "500"), ("USD", "2500.50"), ("EUR", "70.07")):
        await opened(desk, user_id, currency, deposit, now)
    lost = await opened(desk, user_id, "USD", "1", now, known=False)
    dollars, euros = await portfolio.combined(desk, user_id, datetime.now(UTC))
    assert (dollars.currency, dollars.accounts, dollars.balance, dollars.equity) == (
        "USD", 2, D("12500.50"), D("12500.50"))
    assert (euros.currency, euros.accounts, euros.balance, euros.missing) == ("EUR", 2, D("570.07"), ())
    assert [row.id for row in dollars.missing] == [lost.id] and not dollars.stale


async def test_practice_money_is_never_added_to_real_money(desk: Desk, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    real = await opened(desk, user_id, "USD", "700", now)
    async with desk.database.writing() as session:
        (await session.get_one(Account, real.id)).route = "terminal"
    practice, live = await portfolio.combined(desk, user_id, datetime.now(UTC))
    assert (practice.is_practice, practice.accounts, practice.equity) == (True, 1, D("10000.00"))
    assert (live.currency, live.is_practice, [row.id for row in live.missing]) == ("USD", False, [real.id])


async def test_a_currency_without_figures_has_no_sums(desk: Desk, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    lost = await opened(desk, user_id, "CHF", "1", now, known=False)
    francs = (await portfolio.combined(desk, user_id, datetime.now(UTC)))[1]
    assert (francs.currency, francs.accounts, francs.equity, francs.as_of) == ("CHF", 0, None, None)
    assert [row.id for row in francs.missing] == [lost.id]


class Kept:
    """An account that is kept warm over a line that can be troubled."""

    def __init__(self, desk: Desk, line: TroubledLine, account: Account, redis: Redis) -> None:
        self.line, self.account = line, account
        self.looks = Looks(redis, timedelta(minutes=10))
        self.reader = Reader(desk.database, redis, {"paper": line}, cache=timedelta(seconds=30),
                             force_after=timedelta(seconds=5), patience=timedelta(seconds=0.2))
        self.warmer = Warmer(desk.database, self.reader, self.looks)

    async def step(self, seconds: float) -> int:
        """A round so many seconds from now; returns how often the terminal has been asked."""
        self.line.ahead = timedelta(seconds=seconds)
        await self.warmer.step(datetime.now(UTC) + timedelta(seconds=seconds))
        return self.line.calls["account"]


@pytest.fixture
async def kept(desk: Desk, quotes: QuoteFeed, redis: Redis, now: datetime) -> Kept:
    user_id = await stage.join(desk, now)
    async with desk.database.reading() as session:
        account = await accounts.primary(session, user_id)
    return Kept(desk, TroubledLine(desk.database, quotes), account, redis)


async def test_who_looks_finds_fresh_figures_for_a_while(kept: Kept) -> None:
    assert await kept.step(0) == 0, "nobody has looked"
    kept.looks.note(kept.account.id, datetime.now(UTC))
    assert [await kept.step(seconds) for seconds in (0, 5, 15, 21, 26, 42)] == [1, 1, 1, 2, 2, 3]
    assert await kept.step(601) == 3, "and then no more"


async def test_any_process_warms_what_another_was_asked_for(kept: Kept, redis: Redis) -> None:
    other = Looks(redis, timedelta(minutes=10))
    other.note(kept.account.id, datetime.now(UTC))
    await other.recent(datetime.now(UTC))
    assert await kept.step(0) == 1
    await redis.flushall()
    assert await kept.step(30) == 1, "forgetting who looked is harmless"


async def test_a_terminal_in_trouble_is_left_alone(kept: Kept) -> None:
    kept.looks.note(kept.account.id, datetime.now(UTC))
    kept.line.before["account"] = AWAY
    assert [await kept.step(seconds) for seconds in (0, 5, 10, 20, 45)] == [1, 1, 1, 1, 2]
    kept.line.before.clear()
    kept.line.held = asyncio.Event()
    assert [await kept.step(seconds) for seconds in (90, 95, 123, 158)] == [3, 3, 3, 3], "one that hangs is asked once"
    kept.line.held.set()


async def test_an_account_that_cannot_be_read_keeps_nobody_else_cold(kept: Kept) -> None:
    kept.looks.note(kept.account.id, datetime.now(UTC))
    kept.line.before["account"] = ArithmeticError()  # type: ignore[assignment]  # nothing a gateway should say
    assert [await kept.step(seconds) for seconds in (0, 5, 45)] == [1, 1, 2], "and it is left alone for a while"


async def test_who_looked_is_bounded(kept: Kept, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warmup, "MOST", 3)
    now = datetime.now(UTC)
    for account_id in range(10):
        kept.looks.note(account_id, now)
    assert len(await kept.looks.recent(now)) == 3
    for account_id in range(20, 23):
        kept.looks.note(account_id, now + timedelta(seconds=1))
    assert set(await kept.looks.recent(now)) == {20, 21, 22}
    off = Looks(redis, timedelta())
    off.note(1, now)
    assert off._fresh == {}
