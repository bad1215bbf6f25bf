"""Reading portfolios: who shares a reading, whose age is told, what is written of it, and any figures at all."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import select, update

from models.account import Account
from models.order import EquityPeak
from models.position import EquityPoint, PositionEvent
from runtime.valkey import EmbeddedValkey, connect
from services import accounts, orders
from services.desk import Desk
from services.equity import Peak
from services.errors import TryLater
from services.observations import Observations
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import (
    GatewayError,
    OrderRequest,
    OrderType,
    Side,
)
from tests.running import until
from tests.services import stage
from tests.services.gateways import AWAY
from tests.services.replicas import Replica, Scripted, position, snapshot

D = Decimal


@pytest.fixture
async def account(desk: Desk, quotes: QuoteFeed, now: datetime) -> Account:
    quotes.set_price("EURUSD", *stage.EURUSD)
    user_id = await stage.join(desk, now)
    async with desk.database.reading() as session:
        return await accounts.primary(session, user_id)


@pytest.fixture
def line(desk: Desk, quotes: QuoteFeed) -> Scripted:
    return Scripted(desk.database, quotes)


@pytest.fixture
def one(desk: Desk, account: Account, line: Scripted, redis: Redis) -> Replica:
    return Replica(desk, account, line, redis)


async def test_a_hundred_in_two_processes_are_one_reading(desk: Desk, account: Account, quotes: QuoteFeed,
                                                          redis: Redis, line: Scripted) -> None:
    other_line = Scripted(desk.database, quotes)
    one, other = Replica(desk, account, line, redis), Replica(desk, account, other_line, redis)
    line.held = other_line.held = asyncio.Event()
    asked = [asyncio.create_task(replica.read()) for _ in range(50) for replica in (one, other)]

    async def one_has_reached_the_terminal() -> bool:
        return line.calls["account"] + other_line.calls["account"] > 0

    await until("a reading has begun", one_has_reached_the_terminal)
    line.held.set()
    found = await asyncio.gather(*asked)
    assert line.calls["account"] + other_line.calls["account"] == 1
    assert len({(p.snapshot, p.positions) for p in found}) == 1


async def test_a_reading_that_another_process_gives_up_is_made_here(desk: Desk, account: Account, quotes: QuoteFeed,
                                                                    redis: Redis, line: Scripted) -> None:
    failing = Scripted(desk.database, quotes)
    failing.before["account"] = AWAY
    failing.held = asyncio.Event()
    other, one = Replica(desk, account, failing, redis), Replica(desk, account, line, redis)
    theirs = asyncio.create_task(other.read())

    async def has_begun() -> bool:
        return failing.calls["account"] > 0

    await until("theirs has begun", has_begun)
    ours = asyncio.create_task(one.read())
    await asyncio.sleep(0.1)
    assert line.calls["account"] == 0
    failing.held.set()
    assert not (await ours).stale and line.calls["account"] == 1
    with pytest.raises(TryLater):
        await theirs


async def test_what_changes_during_a_reading_elsewhere_is_not_written_over(desk: Desk, account: Account,
                                                                           quotes: QuoteFeed, redis: Redis,
                                                                           line: Scripted) -> None:
    slow = Scripted(desk.database, quotes)
    slow.held = asyncio.Event()
    other, one = Replica(desk, account, slow, redis), Replica(desk, account, line, redis)
    theirs = asyncio.create_task(other.read())

    async def has_begun() -> bool:
        return slow.calls["account"] > 0

    await until("theirs has begun", has_begun)
    await one.reader.forget(account.id)
    line.open = [position()]
    slow.held.set()
    assert (await theirs).positions == ()
    third = Replica(desk, account, line, redis)
    for replica in (third, one, other):
        assert len((await replica.read()).positions) == 1, "what was read before the change is not believed"


async def test_force_is_counted_for_all_processes_together(desk: Desk, account: Account, line: Scripted,
                                                           redis: Redis) -> None:
    one, other = Replica(desk, account, line, redis), Replica(desk, account, line, redis)
    for replica in (one, other, one, other):
        await replica.read(force=True)
    assert line.calls["account"] == 1
    await other.read(6, force=True)
    assert line.calls["account"] == 2


async def test_a_snapshot_that_is_old_when_it_is_read_is_stale(one: Replica) -> None:
    one.line.ahead = timedelta(seconds=-40)
    first = await one.read()
    assert first.stale and first.read_at - first.snapshot.taken_at >= timedelta(seconds=39)
    assert (await one.read(2)).stale and one.line.calls["account"] == 1, "nobody asks again at once"
    one.line.ahead = timedelta()
    assert not (await one.read(6)).stale


async def test_a_clock_that_runs_ahead_makes_nothing_fresher_than_now(one: Replica) -> None:
    one.line.ahead = timedelta(hours=1)
    assert not (await one.read()).stale
    one.line.before["account"] = AWAY
    assert (await one.read(31)).stale


async def test_nobody_waits_longer_than_patience_and_who_has_something_not_again(desk: Desk, account: Account,
                                                                               line: Scripted, redis: Redis) -> None:
    replica = Replica(desk, account, line, redis, patience=0.5)
    await replica.read()
    line.held = asyncio.Event()
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert (await replica.read(31)).stale
    first = loop.time() - began
    began = loop.time()
    for _ in range(20):
        assert (await replica.read(31)).stale
    assert 0.4 < first < 5 and loop.time() - began < 0.4, "twenty more did not wait for what hangs"
    line.held.set()


async def test_one_that_hangs_holds_up_no_other(desk: Desk, account: Account, quotes: QuoteFeed, line: Scripted,
                                                redis: Redis, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    async with desk.database.reading() as session:
        other = await accounts.primary(session, user_id)
    hanging = Replica(desk, account, line, redis)
    line.held = asyncio.Event()
    task = asyncio.create_task(hanging.read())
    await asyncio.sleep(0.05)
    fine = Replica(desk, other, Scripted(desk.database, quotes), redis)
    async with asyncio.timeout(60):
        assert not (await fine.read()).stale
    line.held.set()
    await task


async def test_what_a_terminal_refuses_for_good_breaks_the_link(one: Replica) -> None:
    await one.read()
    one.line.before["account"] = GatewayError("wrong_password", "The password is wrong.", permanent=True)
    assert (await one.read(31)).stale
    await one.reader.settled()
    one.account = await _account(one)
    assert (one.account.status, one.account.trouble) == ("broken", "wrong_password")
    one.line.before.clear()
    assert (await one.read(40)).stale and one.line.calls["account"] == 2, "the terminal is not asked for it any more"


async def test_what_the_terminal_says_of_the_account_is_kept(one: Replica) -> None:
    one.line.told = snapshot("10000.00", leverage=30, margin_mode="netting", can_trade=False)
    await one.read()
    await one.reader.settled()
    row = await _account(one)
    assert (row.leverage, row.margin_mode, row.can_trade) == (30, "netting", False)


async def _account(replica: Replica) -> Account:
    async with replica.database.reading() as session:
        return await session.get_one(Account, replica.account.id)


async def test_prices_of_a_symbol_nobody_describes_are_written_as_they_are(one: Replica) -> None:
    one.line.knows_symbols = False
    one.line.open = [position(entry_price=D("1.07000"), current_price=D("1.0712"), stop_loss=D("1.05")),
                     position(2, symbol="GOLD", entry_price=D("2350.40"), current_price=D("2351"))]
    assert (await one.read()).digits == {"EURUSD": 4, "GOLD": 1}


@pytest.mark.parametrize(("margin", "level", "expected"), [
    ("51193.67", None, "133.45"), ("51193.67", "133.40", "133.40"), ("0", "0", None), ("0", None, None)])
async def test_the_margin_level_is_told_where_margin_is_in_use(one: Replica, margin: str, level: str | None,
                                                               expected: str | None) -> None:
    one.line.told = snapshot("68319.53", margin=D(margin), margin_level=D(level) if level else None)
    found = (await one.read()).snapshot.margin_level
    assert found == (D(expected) if expected else None)


async def test_changes_of_a_day_and_a_week_are_since_the_newest_points_that_old(one: Replica) -> None:
    now = datetime.now(UTC)
    ages = {"9000": timedelta(days=9), "9100": timedelta(days=7, minutes=1), "9200": timedelta(days=6),
            "9300": timedelta(hours=25), "9400": timedelta(hours=24, minutes=1), "9500": timedelta(hours=23)}
    async with one.database.writing() as session:
        session.add_all(EquityPoint(account_id=one.account.id, at=now - age, equity=D(equity), balance=D(0))
                        for equity, age in ages.items())
    found = await one.read()
    assert (found.day_change, found.week_change) == (D("600.00"), D("900.00"))
    again = await Replica.read(one)
    assert (again.day_change, again.week_change) == (D("600.00"), D("900.00")), "as it is kept"


async def test_without_points_that_old_there_is_no_change_to_tell(one: Replica) -> None:
    found = await one.read()
    assert (found.day_change, found.week_change) == (None, None)


async def test_a_point_a_minute_at_most_and_none_for_what_has_not_moved(one: Replica) -> None:
    for seconds, equity in ((0, "100"), (6, "101"), (55, "102"), (65, "103"), (90, "104"), (126, "103"), (300, "103")):
        one.line.ahead = timedelta(seconds=seconds)
        one.line.told = snapshot(equity)
        await one.read(seconds, force=True)
        await one.reader.settled()
    async with one.database.reading() as session:
        points = list(await session.scalars(select(EquityPoint.equity).order_by(EquityPoint.at)))
    assert points == [D("100"), D("103")]


async def test_two_processes_write_one_point_a_minute(desk: Desk, account: Account, line: Scripted,
                                                      redis: Redis) -> None:
    for number in range(3):
        replica = Replica(desk, account, line, redis)
        line.told, line.ahead = snapshot(str(100 + number)), timedelta(seconds=10 * number)
        await replica.read(10 * number, force=True)
        await replica.reader.settled()
    assert await stage.count(desk.database, EquityPoint) == 1


async def test_a_writer_that_is_busy_holds_nobody_up(one: Replica) -> None:
    if not one.database.is_sqlite:
        pytest.skip("only SQLite has a single writer")
    async with one.database.writing(), asyncio.timeout(60):
        found = await one.read()
        assert not found.stale
    await one.reader.settled()
    assert await stage.count(one.database, EquityPoint) == 1
    assert await stage.count(one.database, EquityPeak) == 1


async def test_stops_seen_to_move_are_noted(one: Replica, desk: Desk) -> None:
    ref = accounts.ref(one.account)
    sent = await one.line.send(ref, OrderRequest(1, "EURUSD", Side.BUY, OrderType.MARKET, D("0.10"), None, D("1.05"),
                                                 (), "CS1", None))
    async with desk.database.writing() as session:
        await orders.settle(session, "paper", 0, await one.line.deals_since(0, 10), datetime.now(UTC))
    for stop, seconds in (("1.05", 0), ("1.06", 100), ("1.06", 130)):
        await one.line.modify(ref, sent.ticket or 0, D(stop), None)
        await one.read(seconds, force=True)
        await one.reader.settled()
    async with desk.database.reading() as session:
        stops = list(await session.scalars(select(PositionEvent.stop_loss).where(PositionEvent.kind == "modified")))
    assert stops == [D("1.06")]


async def test_a_redis_that_is_emptied_costs_a_reading(one: Replica, redis: Redis) -> None:
    await one.read()
    await redis.flushall()
    assert not (await one.read()).stale and one.line.calls["account"] == 2


async def test_a_redis_that_comes_back_is_not_believed_what_changed_without_it(one: Replica, desk: Desk,
                                                                              tmp_path: Path) -> None:
    server = EmbeddedValkey()
    client = connect(await server.start(tmp_path))
    replica = Replica(desk, one.account, one.line, client)
    await replica.read()
    stored = {name: await client.dump(name) for name in await client.keys("positions:*")}
    await server.stop()
    await replica.reader.forget(one.account.id)
    one.line.open = [position()]
    client = connect(await server.start(tmp_path))
    for name, value in stored.items():
        await client.restore(name, 0, value)
    assert len((await replica.read()).positions) == 1
    await client.aclose()
    await server.stop()


async def test_what_is_seen_while_others_are_written_is_of_its_own_time(desk: Desk, quotes: QuoteFeed,
                                                                      account: Account, now: datetime) -> None:
    """Under load one batch follows the other for hours: none of them is of when the first one began."""
    later = now + timedelta(hours=1)
    async with desk.database.writing() as session:
        await session.execute(update(Account).values(verified_at=now + timedelta(minutes=30)))
    line = Scripted(desk.database, quotes)
    snapshot, seen = await line.account(accounts.ref(account)), Observations(desk.database)
    seen.seen(account, snapshot, (), Peak(snapshot.equity, D(0), at=now), now)
    seen.seen(account, snapshot, (), Peak(snapshot.equity + 1, D(0), at=later), later)
    seen.broken(account, "wrong_password", later)
    await seen.settled()
    async with desk.database.reading() as session:
        peak, found = await session.get_one(EquityPeak, account.id), await session.get_one(Account, account.id)
    assert (peak.peak, peak.updated_at) == (snapshot.equity + 1, later)
    assert (found.status, found.trouble) == ("broken", "wrong_password"), "it was verified before it broke"
