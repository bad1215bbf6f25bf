"""Live positions: fresh when they can be, shared by those who ask at once, and honest about their age when not."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from redis.asyncio import Redis

from models.account import Account
from runtime.valkey import EmbeddedValkey, connect
from services import accounts
from services.desk import Desk
from services.errors import TryLater
from services.positions import Portfolio, Reader, percent
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import GatewayError, OrderRequest, OrderType, Side
from tests.services import stage
from tests.services.gateways import AWAY, BROKEN, TroubledLine

CACHE, FORCE = timedelta(seconds=30), timedelta(seconds=5)


class Watched:
    """A user's account, read over a line that can be troubled."""

    def __init__(self, desk: Desk, line: TroubledLine, account: Account, redis: Redis) -> None:
        self.desk, self.line, self.account = desk, line, account
        self.reader = self.another(redis)

    def another(self, redis: Redis, patience: timedelta = timedelta(seconds=5)) -> Reader:
        return Reader(self.desk.database, redis, {"paper": self.line}, cache=CACHE, force_after=FORCE,
                      patience=patience)

    async def read(self, seconds: float, *, force: bool = False) -> Portfolio:
        """What there is to see so many seconds from now."""
        self.line.ahead = timedelta(seconds=seconds)
        return await self.reader.live(self.account, at(seconds), force=force)

    async def buy(self, lots: str, magic: int = 1) -> None:
        await self.line.send(accounts.ref(self.account), OrderRequest(
            magic, "EURUSD", Side.BUY, OrderType.MARKET, Decimal(lots), None, Decimal("1.05"), (Decimal("1.08"),),
            "CS1", None))


@pytest.fixture
async def watched(desk: Desk, quotes: QuoteFeed, redis: Redis, now: datetime) -> Watched:
    quotes.set_price("EURUSD", *stage.EURUSD)
    user_id = await stage.join(desk, now)
    async with desk.database.reading() as session:
        account = await accounts.primary(session, user_id)
    return Watched(desk, TroubledLine(desk.database, quotes), account, redis)


def at(seconds: float = 0) -> datetime:
    """So many seconds from now: snapshots carry the true time."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def test_figures_and_positions_are_those_of_the_terminal(watched: Watched, quotes: QuoteFeed) -> None:
    await watched.buy("0.50")
    quotes.set_price("EURUSD", Decimal("1.07108"), Decimal("1.07116"))
    found = await watched.reader.live(watched.account, at())
    (position,) = found.positions
    assert (position.side, position.volume, position.entry_price) == (Side.BUY, Decimal("0.50"), Decimal("1.07008"))
    assert (position.current_price, position.profit) == (Decimal("1.07108"), Decimal("50.00"))
    assert (found.snapshot.balance, found.snapshot.equity) == (Decimal("10000.00"), Decimal("10050.00"))
    assert (found.total_profit, found.digits, found.stale) == (Decimal("50.00"), {"EURUSD": 5}, False)


async def test_the_cache_holds_every_figure_as_it_was(watched: Watched, redis: Redis) -> None:
    await watched.buy("0.50")
    fresh = await watched.reader.live(watched.account, at())
    cached = await watched.another(redis).live(watched.account, at())
    assert cached == fresh and watched.line.calls["account"] == 1
    assert all(isinstance(value, Decimal) for value in (cached.snapshot.margin_level, cached.positions[0].swap))


async def test_a_snapshot_serves_thirty_seconds_and_five_when_forced(watched: Watched) -> None:
    calls = watched.line.calls
    for seconds, force, expected in ((0, False, 1), (4, True, 1), (29, False, 1), (30, True, 2), (34, True, 2),
                                     (59, False, 2), (61, False, 3)):
        await watched.read(seconds, force=force)
        assert calls["account"] == expected, (seconds, force)


async def test_what_has_changed_is_not_told_from_the_cache(watched: Watched) -> None:
    assert (await watched.reader.live(watched.account, at())).positions == ()
    await watched.buy("0.10")
    assert (await watched.reader.live(watched.account, at())).positions == ()
    await watched.reader.forget(watched.account.id)
    assert len((await watched.reader.live(watched.account, at())).positions) == 1


async def test_thirty_who_ask_at_once_are_one_call(watched: Watched) -> None:
    watched.line.held = asyncio.Event()
    asked = [asyncio.create_task(watched.reader.live(watched.account, at(), force=True)) for _ in range(30)]
    await _until(lambda: watched.line.calls["account"] == 1)
    await asyncio.sleep(0)
    asked[0].cancel()  # one who goes away does not take the answer from the others
    watched.line.held.set()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError) and len({id(portfolio) for portfolio in found[1:]}) == 1
    assert watched.line.calls == {"account": 1, "positions": 1}


async def _until(is_so: object) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # type: ignore[operator]
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("trouble", [AWAY, BROKEN], ids=lambda error: error.code)
async def test_a_terminal_in_trouble_shows_the_last_snapshot_with_its_age(watched: Watched,
                                                                       trouble: GatewayError) -> None:
    known = await watched.reader.live(watched.account, at())
    watched.line.before["account"] = trouble
    soon = await watched.read(10, force=True)
    assert not soon.stale and soon.snapshot == known.snapshot, "ten seconds old is not stale"
    late = await watched.read(31)
    assert late.stale and late.snapshot == known.snapshot
    watched.line.before.clear()
    assert not (await watched.read(31)).stale


async def test_a_terminal_in_trouble_from_the_start_says_so(watched: Watched) -> None:
    watched.line.before["account"] = BROKEN
    with pytest.raises(TryLater):
        await watched.reader.live(watched.account, at())


async def test_a_terminal_that_hangs_shows_the_last_snapshot_soon(watched: Watched, redis: Redis) -> None:
    reader = watched.another(redis, patience=timedelta(seconds=0.2))
    known = await reader.live(watched.account, at())
    watched.line.held = asyncio.Event()
    async with asyncio.timeout(20):
        late = await reader.live(watched.account, at(31))
        assert late.stale and late.snapshot == known.snapshot
        await redis.flushall()
        assert (await reader.live(watched.account, at(1))).stale, "this process has not forgotten"
        assert watched.line.calls["account"] == 2, "who asks again joins the call that hangs"
        with pytest.raises(TryLater):
            await watched.another(redis, patience=timedelta(seconds=0.2)).live(watched.account, at(31))
    watched.line.held.set()
    await _until(lambda: not reader._under_way)
    assert not (await reader.live(watched.account, at())).stale


async def test_a_redis_that_goes_away_leaves_what_this_process_has_seen(watched: Watched, tmp_path: Path) -> None:
    server = EmbeddedValkey()
    client = connect(await server.start(tmp_path))
    watched.reader = watched.another(client)
    known = await watched.read(0)
    await server.stop()
    for seconds, calls in ((1, 1), (6, 2), (7, 2), (12, 3)):
        assert not (await watched.read(seconds)).stale
        assert watched.line.calls["account"] == calls, "nobody asks twice in five seconds"
    await watched.reader.forget(watched.account.id)
    assert (await watched.read(12)).snapshot.equity == known.snapshot.equity and watched.line.calls["account"] == 4
    watched.line.before["account"] = AWAY
    late = await watched.read(60)
    assert late.stale and late.snapshot.equity == known.snapshot.equity
    await client.aclose()


async def test_the_fall_from_the_peak_is_remembered(watched: Watched, quotes: QuoteFeed, redis: Redis) -> None:
    await watched.buy("1.00")
    seen = []
    for bid in ("1.07008", "1.08008", "1.06008", "1.07008", "1.09008"):
        quotes.set_price("EURUSD", Decimal(bid), Decimal(bid) + Decimal("0.00008"))
        await watched.reader.forget(watched.account.id)
        reader = watched.another(redis)
        found = await reader.live(watched.account, at())
        await reader.settled()
        seen.append((found.snapshot.equity, found.drawdown_percent, found.max_drawdown_percent))
    assert seen == [(Decimal(e), Decimal(d), Decimal(m)) for e, d, m in (
        ("10000.00", "0.00", "0.00"), ("11000.00", "0.00", "0.00"), ("9000.00", "18.18", "18.18"),
        ("10000.00", "9.09", "18.18"), ("12000.00", "0.00", "18.18"))]


@pytest.mark.parametrize(("part", "whole", "expected"), [
    ("1", "3", "33.33"), ("-1", "3", "-33.33"), ("2", "3", "66.67"), ("1", "0", "0.00"), ("0", "5", "0.00"),
    ("0.005", "100", "0.01")])
def test_percent(part: str, whole: str, expected: str) -> None:
    assert str(percent(Decimal(part), Decimal(whole))) == expected
