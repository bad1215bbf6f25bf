"""Positions over time: the same rows whatever order deals are heard of in, reversals, levels, pages."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import inspect, select, update

from models.account import Account
from models.approval import Door
from models.database import Database
from models.order import Order
from models.position import DealRecord, PositionEvent, PositionRecord
from services import accounts, approvals, history, orders
from services.desk import Desk
from terminal.protocol import Deal, DealEntry, DealFeed, DealReason, OrderRequest, OrderType, Position, Side
from tests.services import stage

D = Decimal
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
BUY, SELL = Side.BUY, Side.SELL
IN, OUT, INOUT = DealEntry.IN, DealEntry.OUT, DealEntry.INOUT
SEEDS = range(40)


def deal(number: int, entry: DealEntry = IN, side: Side = BUY, volume: str = "1.00", price: str = "1.10000",
         **changes: Any) -> Deal:
    """The ``number``th deal of position 77."""
    plain = Deal(number, "1", "Broker", 77, 0, "EURUSD", side, entry, DealReason.CLIENT, D(volume), D(price),
                 D(0), D(0), D(0), None, START + timedelta(minutes=number))
    return replace(plain, **changes)


async def account_of(desk: Desk, now: datetime) -> Account:
    user_id = await stage.join(desk, now)
    async with desk.database.reading() as session:
        return await accounts.primary(session, user_id)


async def record(desk: Desk, account: Account, deals: Sequence[Deal], now: datetime = START) -> list[Deal]:
    async with desk.database.writing() as session:
        return await history.record(session, account, deals, now)


async def positions_of(database: Database, account: Account) -> list[history.PositionView]:
    """What is on record, the oldest first."""
    async with database.reading() as session:
        return (await history.listed(session, account.id, None, None, 1000))[0][::-1]


async def rows(database: Database, account: Account) -> dict[str, set[tuple[Any, ...]]]:
    """Everything on record but the rows' own numbers."""
    found = {}
    async with database.reading() as session:
        for table in (DealRecord, PositionRecord, PositionEvent):
            names = [column.key for column in inspect(table).column_attrs if column.key not in ("id", "account_id")]
            found[table.__tablename__] = {
                tuple(getattr(row, name) for name in names)
                for row in await session.scalars(select(table).where(table.account_id == account.id))}
    return found


@pytest.fixture
async def account(desk: Desk, now: datetime) -> Account:
    return await account_of(desk, now)


async def test_a_position_is_opened_increased_reduced_and_closed(desk: Desk, account: Account) -> None:
    money = {"profit": D("50.00"), "swap": D("-1.10"), "commission": D("-3.50"), "fee": D("-0.10")}
    new = await record(desk, account, [
        deal(1, volume="1.00", price="1.10000", commission=D("-7.00")),
        deal(2, volume="2.00", price="1.10100", commission=D("-14.00")),
        deal(3, OUT, SELL, "1.00", "1.10200", **money),
        deal(4, OUT, SELL, "2.00", "1.09900", reason=DealReason.STOP_LOSS, profit=D("-333.33"))])
    assert [d.id for d in new] == [1, 2, 3, 4]
    (view,) = await positions_of(desk.database, account)
    row = view.record
    assert (row.status, row.side, row.volume, row.closed_volume) == ("closed", "buy", D("3.00"), D("3.00"))
    assert (row.entry_price, row.exit_price) == (D("1.1006667"), D("1.10000"))
    assert (row.profit, row.swap, row.commission, row.fee) == (D("-283.33"), D("-1.10"), D("-24.50"), D("-0.10"))
    assert (row.net, row.reason) == (D("-309.03"), "stop_loss")
    assert (row.opened_at, row.closed_at) == (START + timedelta(minutes=1), START + timedelta(minutes=4))
    assert [(e.kind, e.deal_id, e.volume, e.price) for e in view.events] == [
        ("opened", 1, D("1.00"), D("1.10000")), ("increased", 2, D("2.00"), D("1.10100")),
        ("reduced", 3, D("1.00"), D("1.10200")), ("closed", 4, D("2.00"), D("1.09900"))]


async def test_a_reversal_closes_one_leg_and_opens_the_rest_the_other_way(desk: Desk, account: Account) -> None:
    await record(desk, account, [
        deal(1, volume="1.00", price="1.10000"), deal(2, INOUT, SELL, "1.50", "1.10100", profit=D("100.00")),
        deal(3, OUT, BUY, "0.50", "1.10050", profit=D("25.00"))])
    first, second = await positions_of(desk.database, account)
    assert (first.record.side, first.record.volume, first.record.exit_price) == ("buy", D("1.00"), D("1.10100"))
    assert (first.record.net, first.record.status) == (D("100.00"), "closed")
    assert (second.record.side, second.record.volume, second.record.entry_price) == ("sell", D("0.50"), D("1.10100"))
    assert (second.record.net, second.record.status) == (D("25.00"), "closed")
    assert [e.kind for e in (*first.events, *second.events)] == ["opened", "closed", "opened", "closed"]


async def test_what_is_told_twice_is_recorded_once(desk: Desk, account: Account) -> None:
    assert len(await record(desk, account, [deal(1), deal(1)])) == 1
    before = await rows(desk.database, account)
    assert await record(desk, account, [deal(1)]) == []
    assert await rows(desk.database, account) == before


async def test_pseudo_deals_of_waiting_orders_are_no_history(desk: Desk, account: Account) -> None:
    assert await record(desk, account, [deal(1, volume="0", reason=DealReason.EXPIRED),
                                        deal(2, volume="0", reason=DealReason.REJECTED)]) == []
    assert await positions_of(desk.database, account) == []


async def test_a_close_without_its_opening_waits_for_it(desk: Desk, account: Account) -> None:
    await record(desk, account, [deal(2, OUT, SELL, "1.00", "1.20000", profit=D(10))])
    assert await positions_of(desk.database, account) == []
    await record(desk, account, [deal(1)])
    (view,) = await positions_of(desk.database, account)
    assert (view.record.status, view.record.net) == ("closed", D(10))


async def test_the_largest_magic_is_kept(desk: Desk, account: Account) -> None:
    await record(desk, account, [deal(1, magic=2**64 - 1)])
    (view,) = await positions_of(desk.database, account)
    assert view.record.magic == -1 and view.record.order_id is None


@dataclass
class Broker:
    """Trades at random on hedging or netting terms and remembers what every leg came to, by itself."""

    random: random.Random
    netting: bool
    deals: list[Deal] = field(default_factory=list)
    open: dict[int, list[Any]] = field(default_factory=dict)  # ticket: [side, volume]
    money: Decimal = field(default_factory=Decimal)
    legs: int = 0

    def step(self) -> None:
        tickets = sorted(self.open)
        volume = D(self.random.randint(1, 5)) / 10
        if not tickets or (not self.netting and self.random.random() < 0.3):
            ticket = 100 + len(self.deals)
            self.open[ticket] = [self.random.choice([BUY, SELL]), D(0)]
            self.legs += 1
            self._deal(ticket, IN, self.open[ticket][0], volume, D(0))
            return
        ticket = self.random.choice(tickets)
        side, held = self.open[ticket]
        if self.random.random() < 0.4:
            self._deal(ticket, IN, side, volume, D(0))
            return
        profit = D(self.random.randint(-9999, 9999)) / 100
        other = SELL if side == BUY else BUY
        if self.netting and volume > held:
            self.legs += 1
            self._deal(ticket, INOUT, other, volume, profit)
        else:
            self._deal(ticket, OUT, other, min(volume, held), profit)

    def _deal(self, ticket: int, entry: DealEntry, side: Side, volume: Decimal, profit: Decimal) -> None:
        number = len(self.deals) + 1
        # Several deals may share a moment; their numbers still grow.
        at = START + timedelta(seconds=number // 2)
        commission = -volume * 7
        self.deals.append(deal(number, entry, side, str(volume), str(D(self.random.randint(10000, 12000)) / 10000),
                               ticket=ticket, profit=profit, commission=commission, at=at))
        self.money += profit + commission
        held = self.open[ticket]
        if entry == IN:
            held[1] += volume
        elif volume > held[1]:
            self.open[ticket] = [side, volume - held[1]]
        else:
            held[1] -= volume
            if not held[1]:
                del self.open[ticket]


@pytest.mark.parametrize("netting", [False, True], ids=["hedging", "netting"])
async def test_any_order_of_hearing_gives_the_same_rows(desk: Desk, now: datetime, netting: bool) -> None:
    for seed in SEEDS:
        broker = Broker(random.Random(seed), netting)
        for _ in range(broker.random.randint(1, 14)):
            broker.step()
        straight, shuffled = await account_of(desk, now), await account_of(desk, now)
        await record(desk, straight, broker.deals)
        told = broker.deals + broker.random.choices(broker.deals, k=5)
        broker.random.shuffle(told)
        while told:
            size = broker.random.randint(1, 4)
            await record(desk, shuffled, told[:size])
            told = told[size:]
        expected = await rows(desk.database, straight)
        assert await rows(desk.database, shuffled) == expected, seed
        views = await positions_of(desk.database, shuffled)
        assert len(views) == broker.legs, seed
        assert sum((v.record.net for v in views), D(0)) == broker.money, seed
        still_open = sorted((v.record.side, v.record.volume - v.record.closed_volume) for v in views
                            if v.record.status == "open")
        assert still_open == sorted((side.value, volume) for side, volume in broker.open.values()), seed


async def test_a_clock_that_is_put_back_closes_nothing_before_it_was_opened(desk: Desk, account: Account) -> None:
    opened, closed = deal(1, ticket=1), replace(deal(2, OUT, SELL, ticket=1), at=START - timedelta(minutes=30))
    await record(desk, account, [opened, closed])
    (view,) = await positions_of(desk.database, account)
    assert view.record.status == "closed" and [event.kind for event in view.events] != []


async def test_an_order_is_found_by_the_magic_of_any_of_its_legs(desk: Desk, now: datetime) -> None:
    provider, account = await stage.found(desk, now), await account_of(desk, now)
    signal = await stage.ask(desk, provider, now, take_profits=(D("1.09"), D("1.08")))
    approval_id = await stage.approval_of(desk.database, account.user_id, signal.id)
    async with desk.database.writing() as session:
        await approvals.approve(session, desk.approval_rules, account.user_id, approval_id, signal.terms_hash, Door.APP,
                                now)
        order_id = (await session.scalars(select(Order.id))).one()
        magic = orders.new_magic()
        await session.execute(update(Order).values(magic=magic))
    await record(desk, account, [deal(1, ticket=1, magic=magic), deal(2, ticket=2, magic=magic + (1 << 44))])
    first, second = await positions_of(desk.database, account)
    assert (first.record.order_id, second.record.order_id) == (order_id, order_id)
    assert (first.record.take_profit, second.record.take_profit) == (None, None), "whose target is whose, no deal tells"


async def test_the_first_look_says_what_levels_a_position_was_opened_with(desk: Desk, account: Account) -> None:
    await record(desk, account, [deal(1, ticket=1), deal(2, ticket=2)])
    opened = START + timedelta(minutes=1)
    assert await note(desk, account, [held(1, "1.09", "1.11"), held(2, "1.09", "1.12")], opened + timedelta(seconds=5))
    await record(desk, account, [deal(3, OUT, SELL, "0.10", ticket=1)])
    first, second = await positions_of(desk.database, account)
    assert next((e.kind, e.stop_loss, e.take_profit) for e in first.events) == ("opened", D("1.09"), D("1.11"))
    assert [(e.kind, e.take_profit) for e in second.events] == [("opened", D("1.12"))]


def held(ticket: int, stop: str | None, target: str | None = None, **changes: Any) -> Position:
    plain = Position(ticket, "EURUSD", BUY, D("1.00"), D("1.10000"), D("1.10100"), D(stop) if stop else None,
                     D(target) if target else None, D(0), D(0), D(0), 0, START)
    return replace(plain, **changes)


async def note(desk: Desk, account: Account, positions: Sequence[Position], now: datetime) -> bool:
    async with desk.database.writing() as session:
        return await history.note_levels(session, account, positions, now)


async def test_moved_stops_are_noted_once_each(desk: Desk, account: Account) -> None:
    await record(desk, account, [deal(1)])
    assert not await note(desk, account, [held(77, "1.09"), held(78, None)], START + timedelta(seconds=90))
    assert await note(desk, account, [held(77, "1.09")], START + timedelta(seconds=95))
    later = START + timedelta(minutes=5)
    for stop in ("1.09", "1.095", "1.095", None):
        assert await note(desk, account, [held(77, stop)], later)
    (view,) = await positions_of(desk.database, account)
    assert [(e.kind, e.stop_loss, e.at) for e in view.events] == [
        ("opened", D("1.09"), START + timedelta(minutes=1)), ("modified", D("1.095"), later),
        ("modified", None, later)]
    assert view.record.stop_loss is None
    await record(desk, account, [deal(2, OUT, SELL, "1.00")])
    (view,) = await positions_of(desk.database, account)
    assert [e.kind for e in view.events].count("modified") == 2, "a deal leaves what was noted"


async def test_after_a_reversal_levels_are_those_of_the_open_leg(desk: Desk, account: Account) -> None:
    await record(desk, account, [deal(1), deal(2, INOUT, SELL, "2.00")])
    assert await note(desk, account, [held(77, "1.2", side=SELL)], START + timedelta(hours=1))
    first, second = await positions_of(desk.database, account)
    assert (first.record.stop_loss, second.record.stop_loss) == (None, D("1.2"))


async def test_pages_go_from_the_newest_to_the_oldest(desk: Desk, account: Account) -> None:
    await record(desk, account, [deal(n, ticket=n) for n in range(1, 6)] + [deal(6, OUT, SELL, ticket=3)])
    seen, cursor = [], None
    while True:
        async with desk.database.reading() as session:
            views, cursor = await history.listed(session, account.id, "open", cursor, 3)
        seen += [view.record.position_id for view in views]
        if cursor is None:
            break
    assert seen == [5, 4, 2, 1]


async def test_the_paper_brokers_deals_become_history(desk: Desk, account: Account) -> None:
    assert desk.paper is not None
    ref = accounts.ref(account)
    sent = await desk.paper.send(ref, OrderRequest(5, "EURUSD", BUY, OrderType.MARKET, D("0.10"), None, None, (),
                                                   "CS5", None))
    await desk.paper.close(ref, sent.ticket or 0)
    assert isinstance(desk.paper, DealFeed)
    deals = await desk.paper.deals_since(0, 10)
    async with desk.database.writing() as session:
        await orders.settle(session, "paper", 0, deals, START)
    (view,) = await positions_of(desk.database, account)
    assert (view.record.status, view.record.reason, len(view.events)) == ("closed", "client", 2)
