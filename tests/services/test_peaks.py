"""Peaks, falls and changes of any course of equity, with money paid in and out, as several processes see it."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import permutations

import pytest
from redis.asyncio import Redis
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account
from models.database import Database
from models.order import EquityPeak
from models.position import EquityPoint
from services import accounts, equity
from services.desk import Desk
from services.equity import Peak, Standing
from services.observations import Observations
from services.positions import Reader
from terminal.paper.quotes import QuoteFeed
from tests.services import stage
from tests.services.replicas import CACHE, FORCE, Replica, Scripted, position, snapshot

D = Decimal
CENT = D("0.01")
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


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


def watched(*course: tuple[str, str | None], since: Peak | None = None) -> Peak:
    """What is known of an account that was seen with these equities and sums of deposits, a minute apart."""
    peak = since or Peak(D(course[0][0]), D("0.00"))
    for number, (seen, paid) in enumerate(course):
        peak = peak.seen(Standing(D(seen), D(paid) if paid is not None else None), NOW + timedelta(minutes=number))
    return peak


def now_at(peak: Peak, seen: str) -> tuple[Decimal, Decimal]:
    """How far an equity is below the peak, and the deepest fall."""
    return equity.fall(peak.equity, D(seen)), peak.deepest


@pytest.mark.parametrize(("course", "fall", "deepest"), [
    # A deposit at the top, and one in a drawdown of ten percent.
    ([("10000", "10000"), ("15000", "15000")], "0.00", "0.00"),
    ([("10000", "10000"), ("9000", "10000"), ("14000", "15000")], "10.00", "10.00"),
    # Half is withdrawn at the top, in a drawdown, and everything.
    ([("10000", "10000"), ("5000", "5000")], "0.00", "0.00"),
    ([("10000", "10000"), ("9000", "10000"), ("4500", "5500")], "10.00", "10.00"),
    ([("10000", "10000"), ("9000", "10000"), ("0", "1000")], "0.00", "10.00"),
    # Emptied and filled again: it starts anew, and the deepest fall stays on record.
    ([("10000", "10000"), ("9000", "10000"), ("0", "1000"), ("500", "1500"), ("490", "1500")], "2.00", "10.00"),
    # Several, with a loss and a gain between them: 0.9 * 0.95 of the peak, then a new one.
    ([("10000", "10000"), ("9000", "10000"), ("18000", "19000"), ("17100", "19000"), ("8550", "10450")], "14.50",
     "14.50"),
    ([("10000", "10000"), ("9000", "10000"), ("19000", "20000"), ("22800", "20000"), ("21660", "20000")], "5.00",
     "10.00"),
    # Money paid in while everything was lost; an account in debt.
    ([("10000", "10000"), ("-50", "10000"), ("950", "11000")], "0.00", "100.50"),
    ([("10000", "10000"), ("-50", "10000"), ("-10", "10040")], "0.00", "100.50"),
    # Who does not tell is believed as before, and what is told later is taken over.
    ([("10000", None), ("15000", None), ("12000", None)], "20.00", "20.00"),
    ([("10000", None), ("9000", "10000"), ("14000", "15000")], "10.00", "10.00"),
    # Who has told and does not just now leaves no mark: it may be a flow.
    ([("10000", "10000"), ("5000", None), ("5000", "5000")], "0.00", "0.00"),
    ([("10000", "10000"), ("15000", None), ("13500", "15000")], "15.00", "15.00"),
])
def test_what_is_paid_in_or_out_leaves_the_fall_as_it_was(course: list[tuple[str, str | None]], fall: str,
                                                          deepest: str) -> None:
    assert now_at(watched(*course), course[-1][0]) == (D(fall), D(deepest))


def test_who_has_not_told_for_a_day_is_believed_as_one_who_does_not_tell() -> None:
    told = watched(("10000", "10000"))
    silent = Standing(D("9000"), None)
    assert told.seen(silent, NOW + equity.UNTOLD - timedelta(seconds=1)) == told
    later = told.seen(silent, NOW + equity.UNTOLD)
    assert (later.equity, later.deepest, later.net_deposits) == (D("10000"), D("10.00"), None)
    assert later.seen(Standing(D("8000"), None), NOW + equity.UNTOLD + timedelta(seconds=1)).deepest == D("20.00")


def test_what_devices_may_report_grows_beyond_no_bound() -> None:
    peak, least, most = Peak(D(1), D(0)), "0.00000001", "999999999999999.99999999"
    for number in range(3_000):
        seen, paid = (most, f"-{most}") if number % 2 else (least, most)
        peak = watched((seen, paid), (most, most), since=peak)
        for value in (peak.equity, peak.scale):
            assert value.is_finite() and len(format(value, "f")) < 100


def test_a_year_of_withdrawals_still_knows_its_peak() -> None:
    course, seen, paid = [("1000", "0"), ("900", "0")], D(900), D(0)
    for _ in range(365):
        seen, paid = seen - 2, paid - 2
        course.append((str(seen), str(paid)))
    assert now_at(watched(*course), course[-1][0]) == (D("10.00"), D("10.00"))


def test_whoever_joins_what_several_know_in_whatever_order_knows_the_same() -> None:
    """Two have watched from one record on: one saw a peak just before the deposit, of which the other knows."""
    record = watched(("10000", "10000"), ("9600", "10000"))
    before = replace(record.seen(Standing(D(12000), D(10000)), NOW), at=NOW + timedelta(seconds=1))
    after = record.seen(Standing(D(22000), D(21000)), NOW + timedelta(minutes=1))
    later = after.seen(Standing(D(20900), D(21000)), NOW + timedelta(minutes=2))
    found = {equity.joined(*order) for order in permutations([record, before, after, later])}
    assert len(found) == 1
    joined = found.pop()
    assert joined is not None and joined == equity.joined(joined, before)
    # Twelve thousand then are twenty-four thousand now, as eleven thousand became twenty-two.
    assert (joined.equity, joined.net_deposits, joined.at) == (D(24000), D(21000), NOW + timedelta(minutes=2))


def test_a_peak_of_before_an_empty_account_is_none_of_after() -> None:
    old = watched(("10000", "10000"), ("9000", "10000"))
    new = watched(("9000", "10000"), ("0", "1000"), ("500", "1500"), since=old)
    assert equity.joined(new, replace(old, equity=D(11000))) == new


async def paid(one: Replica, seconds: int, seen: str, deposits: str | None) -> tuple[Decimal, Decimal]:
    """The account is read with this equity and so much paid in; returns both falls."""
    one.line.told = snapshot(seen, net_deposits=D(deposits) if deposits is not None else None)
    one.line.ahead = timedelta(seconds=seconds)
    found = await one.read(seconds, force=True)
    return found.drawdown_percent, found.max_drawdown_percent


async def test_a_deposit_is_on_record_with_the_peak(one: Replica, desk: Desk, line: Scripted, redis: Redis) -> None:
    for seconds, seen, deposits in ((0, "10000.00", "10000"), (10, "9000.00", "10000"), (20, "18000.00", "19000")):
        falls = await paid(one, seconds, seen, deposits)
    assert falls == (D("10.00"), D("10.00"))
    await one.reader.settled()
    async with one.database.reading() as session:
        row = await session.get_one(EquityPeak, one.account.id)
    assert (row.peak, row.net_deposits, row.scale) == (D(20000), D(19000), D(2))
    other = Replica(desk, one.account, line, redis)
    assert await paid(other, 30, "18000.00", "19000") == (D("10.00"), D("10.00")), "known, and not scaled again"


async def test_a_peak_of_before_that_is_written_late_counts_as_of_its_time(one: Replica) -> None:
    await paid(one, 0, "10000.00", "10000")
    await one.reader.settled()
    seen = Observations(one.database)
    record = Peak(D(10000), D(0), D(10000), at=NOW)
    high = record.seen(Standing(D(12500), D(10000)), NOW)
    await paid(one, 10, "20000.00", "20000")
    await one.reader.settled()
    told = snapshot("12500.00", net_deposits=D(10000), taken_at=NOW)
    seen.seen(one.account, told, (), high, datetime.now(UTC))
    await seen.settled()
    assert await paid(one, 20, "20000.00", "20000") == (D("20.00"), D("20.00")), "12,500 of then are 25,000 of now"


@pytest.mark.parametrize(("then", "told", "day", "week"), [
    (("10000", "8000"), "15000", "-500.00", "-1500.00"), (("10000", None), "15000", "-500.00", "5500.00"),
    ((None, "8000"), "15000", "4500.00", "-1500.00"), (("10000", "8000"), None, "4500.00", "5500.00")])
async def test_changes_leave_out_what_was_paid_in(one: Replica, then: tuple[str | None, str | None],
                                                  told: str | None, day: str, week: str) -> None:
    at = datetime.now(UTC)
    async with one.database.writing() as session:
        session.add_all(
            EquityPoint(account_id=one.account.id, at=at - age, equity=D(seen), balance=D(0),
                        net_deposits=D(known) if known is not None else None)
            for age, seen, known in ((timedelta(hours=25), "10000", then[0]), (timedelta(days=8), "9000", then[1])))
    one.line.told = snapshot("14500.00", net_deposits=D(told) if told is not None else None)
    found = await one.read()
    assert (found.day_change, found.week_change) == (D(day), D(week))


async def test_points_know_what_was_paid_in_by_then(one: Replica) -> None:
    for seconds, seen, deposits in ((0, "100", None), (61, "100", "50"), (130, "100", "50"), (200, "90", "40")):
        await paid(one, seconds, seen, deposits)
        await one.reader.settled()
    async with one.database.reading() as session:
        points = await session.execute(select(EquityPoint.equity, EquityPoint.net_deposits).order_by(EquityPoint.at))
    assert [tuple(point) for point in points] == [(D(100), None), (D(100), D(50)), (D(90), D(40))]


class Fund:
    """The same account as a fund: who pays in buys units at their price of then, so only results move the price."""

    def __init__(self, cents: int) -> None:
        self.cents, self.units = cents, Fraction(cents)
        self.prices = [Fraction(1)]

    def go_on(self, result: int, flow: int) -> None:
        """A result, and after it a flow; then somebody looks."""
        price = (self.cents + result) / self.units
        self.cents += result + flow
        self.units = self.cents / price
        self.prices.append(price)

    def falls(self) -> tuple[Decimal, Decimal]:
        """From the highest price now, and the deepest of all pairs of an earlier and a later one."""
        deepest = max((high - low) / high for i, high in enumerate(self.prices) for low in self.prices[i:])
        highest = max(self.prices)
        return _percent((highest - self.prices[-1]) / highest), _percent(deepest)


def _percent(part: Fraction) -> Decimal:
    return (D(part.numerator) * 100 / D(part.denominator)).quantize(CENT, ROUND_HALF_UP)


async def test_any_thousand_portfolios_add_up(desk: Desk, account: Account, line: Scripted, redis: Redis) -> None:
    """Totals against sums in cents; falls against every pair of prices of a fund; every other account has flows."""
    chance = random.Random(20240501)
    checked = rounds = 0
    while checked < 1_000:
        await redis.flushall()
        async with desk.database.writing() as session:
            await session.execute(delete(EquityPeak))
        rounds += 1
        replica, fund = Replica(desk, account, line, redis), Fund(chance.randint(500, 2_000_000))
        balance, deposits = fund.cents, fund.cents
        for step in range(chance.randint(5, 25)):
            result = max(chance.randint(-90_000, 90_000), 1 - fund.cents)
            flow = max(chance.choice([0, 0, chance.randint(-10**6, 10**6)]), 1 - fund.cents - result)
            flow *= rounds % 2 if step else 0
            fund.go_on(result, flow)
            deposits += flow
            line.open = [position(ticket, profit=D(chance.randint(-10**7, 10**7)) / 100,
                                  swap=D(chance.randint(-10**4, 10**3)) / 100)
                         for ticket in range(1, chance.randint(1, 12))]
            line.told = snapshot(str(D(fund.cents) / 100), balance=str(D(balance) / 100),
                                 net_deposits=D(deposits) / 100 if rounds % 4 else None)
            await replica.reader.forget(account.id)
            found = await replica.read()
            cents = sum(int(p.profit * 100) + int(p.swap * 100) for p in line.open)
            assert found.total_profit == D(cents) / 100
            assert (found.drawdown_percent, found.max_drawdown_percent) == fund.falls()
            checked += 1
        await replica.reader.settled()
        async with desk.database.reading() as session:
            peak = await session.get_one(EquityPeak, account.id)
        highest = fund.cents * max(fund.prices) / fund.prices[-1] / 100
        assert abs(Fraction(peak.peak) / highest - 1) < Fraction(1, 10**20), "exactly, whatever is thinned"


class SlowDatabase:
    """A database whose reader finds, when it comes back, that all that waited has been written meanwhile."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.writing = database.writing
        self.seen: Observations | None = None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        async with self._database.reading() as session:
            yield session
        if self.seen is not None:
            await self.seen.settled()


async def test_a_peak_that_is_written_while_the_record_is_read_is_not_lost(desk: Desk, account: Account, line: Scripted,
                                                                           redis: Redis) -> None:
    slow = SlowDatabase(desk.database)
    reader = Reader(slow, redis, {"paper": line}, cache=CACHE, force_after=FORCE)  # type: ignore[arg-type]
    for seen, deepest in (("1000.00", "0.00"), ("800.00", "20.00"), ("900.00", "20.00"), ("1200.00", "20.00")):
        line.told = snapshot(seen, balance="1000.00")
        await reader.forget(account.id)
        found = await reader.live(account, datetime.now(UTC))
        assert found.max_drawdown_percent == D(deepest), seen
        slow.seen = reader._seen


async def test_peaks_of_two_processes_are_joined(desk: Desk, account: Account, line: Scripted, redis: Redis) -> None:
    async with desk.database.writing() as session:
        session.add(EquityPeak(account_id=account.id, peak=D("12000"), max_drawdown_percent=D("5.00"),
                               updated_at=datetime.now(UTC)))
    line.told = snapshot("11000.00")
    replica = Replica(desk, account, line, redis)
    assert (await replica.read()).drawdown_percent == D("8.33")
    async with desk.database.writing() as session:
        await session.execute(update(EquityPeak).values(peak=D("20000"), max_drawdown_percent=D("50.00")))
    await replica.reader.settled()
    async with desk.database.reading() as session:
        peak = await session.get_one(EquityPeak, account.id)
    assert (peak.peak, peak.max_drawdown_percent) in {(D("20000"), D("50.00")), (D("12000"), D("8.33"))}


def test_a_half_stays_a_half_whatever_a_peak_has_been_through() -> None:
    """Peaks are kept to 28 digits, and a flow divides: what is lost behind the last of them is not shown."""
    peak = Decimal("10000") * Decimal("14850.5") / Decimal("9850.5")
    assert equity.fall(Decimal("10000"), Decimal("9850.5")) == equity.fall(peak, Decimal("14850.5")) == Decimal("1.50")
