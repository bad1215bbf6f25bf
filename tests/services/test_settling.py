"""What deals make of orders: partial, late and legged fills, closings by whoever, and positions that orders share."""

import itertools
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.engine import Engine

from bot import messages
from models.account import Account
from models.message import OutboxItem, OutboxKind
from models.order import Order, OrderStatus
from models.position import DealRecord
from services import history, orders, settling, shares
from services.desk import Desk
from terminal.protocol import Deal, DealEntry, DealReason, Side
from tests.services import stage
from tests.services.test_execution import approved

D = Decimal
IN, OUT, INOUT = DealEntry.IN, DealEntry.OUT, DealEntry.INOUT
BUY, SELL = Side.BUY, Side.SELL
BY_SIGNAL, BY_HAND, STOPPED = DealReason.SIGNAL, DealReason.CLIENT, DealReason.STOP_LOSS


class Broker:
    """Tells deals of one account, as a terminal's history has them: numbered, without what is left open."""

    def __init__(self, desk: Desk, account: Account, now: datetime) -> None:
        self.desk, self.account, self.now = desk, account, now
        self.numbers = itertools.count(1)

    def deal(self, magic: int, entry: DealEntry, volume: str, price: str, *, position: int = 900,
             reason: DealReason = BY_SIGNAL, profit: str = "0", **more: Any) -> Deal:
        number = next(self.numbers)
        side = more.pop("side", BUY if entry == IN else SELL)
        return Deal(number, self.account.login, self.account.server, position, magic, "EURUSD", side, entry, reason,
                    D(volume), D(price), D(profit), D(more.pop("swap", "0")), D(more.pop("commission", "0")), None,
                    self.now + timedelta(seconds=number), position_id=position, **more)

    async def tell(self, *deals: Deal) -> None:
        """As a sync takes them in."""
        async with self.desk.database.writing() as session:
            fresh = await history.record(session, self.account, deals, self.now)
            await settling.apply(session, self.account, fresh, self.now)

    async def told(self) -> list[tuple[str, str, str]]:
        async with self.desk.database.reading() as session:
            rows = await session.scalars(select(OutboxItem).where(OutboxItem.kind == OutboxKind.TEXT)
                                         .order_by(OutboxItem.id))
            return [(row.payload["reason"], row.payload["volume"], row.payload["remaining"]) for row in rows
                    if row.payload is not None]


@pytest.fixture
async def broker(desk: Desk, now: datetime) -> Broker:
    """With an order at it, handed over and without an answer; others of the same signal have not been sent."""
    order_id, *_ = await approved(desk, now, users=3)
    async with desk.database.writing() as session:
        found = await session.get_one(Order, order_id)
        found.status, found.magic, found.volume = OrderStatus.UNKNOWN, orders.new_magic(), D("0.30")
        account = await session.get_one(Account, found.account_id)
    return Broker(desk, account, now)


async def order(desk: Desk, number: int = 0) -> Order:
    async with desk.database.reading() as session:
        return (await session.scalars(select(Order).order_by(Order.id).offset(number).limit(1))).one()


@pytest.mark.parametrize("status", ["unknown", "expired", "failed", "rejected", "sent"])
async def test_a_fill_counts_whatever_the_order_was_taken_for(desk: Desk, broker: Broker, status: str) -> None:
    async with desk.database.writing() as session:
        await session.execute(update(Order).values(status=status, reason="not_executed"))
    magic = (await order(desk)).magic or 0
    await broker.tell(broker.deal(magic, IN, "0.30", "1.07008"))
    filled = await order(desk)
    assert (filled.status, filled.reason, filled.volume, filled.fill_price, filled.ticket) == (
        "filled", None, D("0.30"), D("1.07008"), 900)
    assert filled.lease_until is None and filled.profit is None


async def test_partial_fills_add_up_and_are_counted_once(desk: Desk, broker: Broker) -> None:
    magic = (await order(desk)).magic or 0
    parts = [broker.deal(magic, IN, "0.10", "1.07000", commission="-0.35"), broker.deal(magic, IN, "0.05", "1.07030")]
    await broker.tell(parts[0])
    assert (await order(desk)).volume == D("0.10")
    await broker.tell(*parts)
    await broker.tell(*parts)
    half = await order(desk)
    assert (half.status, half.volume, half.fill_price) == ("filled", D("0.15"), D("1.0701"))
    close = broker.deal(0, OUT, "0.05", "1.07100", reason=BY_HAND, profit="4.50", swap="-0.20")
    await broker.tell(close)
    await broker.tell(*parts, close)
    reduced = await order(desk)
    assert (reduced.status, reduced.profit) == ("filled", D("3.95")), "with what opening it has cost"
    await broker.tell(broker.deal(0, OUT, "0.10", "1.06500", reason=STOPPED, profit="-51.00"))
    closed = await order(desk)
    assert (closed.status, closed.reason, closed.profit) == ("closed", "stop_loss", D("-47.05"))
    assert await broker.told() == [("client", "0.05", "0.10"), ("stop_loss", "0.10", "0.00")]


async def test_an_order_of_several_legs_is_closed_with_the_last(desk: Desk, broker: Broker) -> None:
    magic = (await order(desk)).magic or 0
    legs = [magic + (number << 44) for number in range(3)]
    await broker.tell(*(broker.deal(leg, IN, "0.10", f"1.0700{n}", position=901 + n) for n, leg in enumerate(legs)))
    filled = await order(desk)
    assert (filled.status, filled.volume, filled.fill_price, filled.ticket) == (
        "filled", D("0.30"), D("1.07001"), 901)
    await broker.tell(broker.deal(legs[0], OUT, "0.10", "1.08000", position=901, profit="100",
                                  reason=DealReason.TAKE_PROFIT))
    await broker.tell(broker.deal(legs[2], OUT, "0.10", "1.06500", position=903, profit="-50", reason=STOPPED))
    assert (await order(desk)).status == "filled"
    closing = magic | 0xF << 44
    await broker.tell(broker.deal(closing, OUT, "0.10", "1.07500", position=902, profit="50"))
    closed = await order(desk)
    assert (closed.status, closed.reason, closed.profit) == ("closed", "client", D("100.00"))


async def test_all_that_happened_while_nobody_looked_is_told_in_its_order(desk: Desk, broker: Broker) -> None:
    magic = (await order(desk)).magic or 0
    deals = [broker.deal(magic, IN, "0.30", "1.07000"),
             broker.deal(magic, OUT, "0.20", "1.07500", profit="100", reason=DealReason.TAKE_PROFIT),
             broker.deal(magic, OUT, "0.10", "1.06500", profit="-50", reason=STOPPED)]
    await broker.tell(*deals)
    await broker.tell(*deals)
    closed = await order(desk)
    assert (closed.status, closed.profit, closed.volume) == ("closed", D("50.00"), D("0.30"))
    assert await broker.told() == [("take_profit", "0.20", "0.10"), ("stop_loss", "0.10", "0.00")]


async def test_a_waiting_order_that_is_filled_or_gone_is_told_of(desk: Desk, broker: Broker) -> None:
    async with desk.database.writing() as session:
        await session.execute(update(Order).values(status="placed"))
    magic = (await order(desk)).magic or 0
    gone = replace(broker.deal(magic, IN, "0", "1.07"), reason=DealReason.CANCELLED)
    async with desk.database.writing() as session:
        await settling.apply(session, broker.account, [gone], broker.now)
    ended = await order(desk)
    assert (ended.status, ended.reason) == ("expired", "cancelled")
    assert await broker.told() == [("cancelled", "0", "0")]
    await broker.tell(broker.deal(magic, IN, "0.10", "1.07"))
    assert (await order(desk)).status == "filled", "a part had been filled before it was cancelled"
    async with desk.database.writing() as session:
        await settling.apply(session, broker.account, [gone], broker.now)
    assert (await order(desk)).status == "filled"


async def test_an_order_whose_opening_is_not_on_record_is_still_closed(desk: Desk, broker: Broker) -> None:
    """It was opened before histories were kept."""
    async with desk.database.writing() as session:
        await session.execute(update(Order).values(status="filled"))
    magic = (await order(desk)).magic or 0
    for left, profit in (("0.10", "5.00"), ("0", "7.00")):
        out = broker.deal(magic, OUT, "0.10", "1.08", profit=profit, reason=DealReason.TAKE_PROFIT)
        await broker.tell(replace(out, remaining_volume=D(left)))
    closed = await order(desk)
    assert (closed.status, closed.reason, closed.profit) == ("closed", "take_profit", D("12.00"))


async def test_deals_of_others_change_nothing(desk: Desk, broker: Broker) -> None:
    before = (await order(desk)).updated_at
    await broker.tell(broker.deal(0, IN, "1", "1.07", position=5, reason=BY_HAND),
                      broker.deal(2**63 + 5, IN, "1", "1.07", position=6),
                      broker.deal(77, OUT, "1", "1.07", position=5))
    assert (await order(desk)).updated_at == before and await broker.told() == []


async def test_an_account_that_another_user_has_linked_since_tells_the_first_one_nothing(desk: Desk, broker: Broker,
                                                                                       now: datetime) -> None:
    other = await stage.join(desk, now)
    magic = (await order(desk)).magic or 0
    broker.account.user_id = other
    await broker.tell(broker.deal(magic, IN, "0.30", "1.07"))
    assert (await order(desk)).status == "unknown"


async def test_orders_that_share_a_position_are_closed_in_turn(desk: Desk, broker: Broker, now: datetime) -> None:
    """A netting account: two orders buy, a third sells what they have and more."""
    first = await order(desk)
    a, b, c = first.magic or 0, orders.new_magic(), orders.new_magic()
    async with desk.database.writing() as session:
        for number, magic in ((1, b), (2, c)):
            await session.execute(update(Order).where(Order.id == (await order(desk, number)).id).values(
                account_id=first.account_id, user_id=first.user_id, status="unknown", magic=magic))
    await broker.tell(broker.deal(a, IN, "0.10", "1.07000"), broker.deal(b, IN, "0.20", "1.07300"))
    await broker.tell(broker.deal(c, OUT, "0.15", "1.07500", profit="45.00"))
    found = [await order(desk, number) for number in range(3)]
    assert [(o.status, o.reason, o.profit) for o in found] == [
        ("closed", "netted", D("30.00")), ("filled", None, D("15.00")), ("closed", "netted", None)]
    assert (found[2].volume, found[2].fill_price) == (D("0.15"), D("1.07500"))


async def test_a_part_that_is_closed_at_a_target_is_its_own_orders(desk: Desk, broker: Broker, now: datetime) -> None:
    """Three orders share a position; the second reaches a target, then the owner closes by hand, then the broker."""
    first = await order(desk)
    a, b, c = first.magic or 0, orders.new_magic(), orders.new_magic()
    async with desk.database.writing() as session:
        for number, magic in ((1, b), (2, c)):
            await session.execute(update(Order).where(Order.id == (await order(desk, number)).id).values(
                account_id=first.account_id, user_id=first.user_id, status="unknown", magic=magic,
                take_profits=["1.08", "1.09", "1.1"]))
    await broker.tell(*(broker.deal(magic, IN, volume, "1.07000") for magic, volume in (
        (a, "0.10"), (b, "0.30"), (c, "0.30"))))
    taken = {"reason": DealReason.TAKE_PROFIT}
    await broker.tell(broker.deal(shares.target_magic(b, 1), OUT, "0.10", "1.08000", profit="100", **taken))

    async def results() -> list[tuple[str, str | None, D | None]]:
        found = [await order(desk, number) for number in range(3)]
        return [(o.status, o.reason, o.profit) for o in found]

    filled = ("filled", None, None)
    assert await results() == [filled, ("filled", None, D("100.00")), filled]
    await broker.tell(broker.deal(a, OUT, "0.20", "1.08500", profit="300", reason=BY_HAND))
    assert await results() == [("closed", "client", D("150.00")), ("filled", None, D("250.00")), filled]
    await broker.tell(broker.deal(shares.target_magic(b, 2), OUT, "0.10", "1.09000", profit="200", **taken))
    assert await results() == [("closed", "client", D("150.00")), ("closed", "take_profit", D("450.00")), filled]
    await broker.tell(broker.deal(shares.target_magic(c, 1), OUT, "0.10", "1.09000", profit="200", **taken),
                      broker.deal(a, OUT, "0.20", "1.10000", profit="600", **taken))
    assert (await results())[2] == ("closed", "take_profit", D("800.00"))
    async with desk.database.reading() as session:
        payloads = list(await session.scalars(select(OutboxItem.payload).where(OutboxItem.kind == OutboxKind.TEXT)
                                              .order_by(OutboxItem.id)))
    assert [(p["target"], p["volume"], p["remaining"]) for p in payloads if p] == [
        (1, "0.10", "0.60"), (None, "0.20", "0.40"), (2, "0.10", "0.30"), (1, "0.10", "0.20"), (None, "0.20", "0.00")]
    texts = [messages.deal(p) for p in payloads if p]
    assert "\nTarget 1 of 3 reached: closed 0.10 @ 1.08000 · <b>+" in texts[0] and texts[0].endswith("0.60 still open")
    assert "\nBy hand: 0.20 @" in texts[1] and "\nTake profit: 0.20 @" in texts[4]


async def test_what_an_owner_trades_alone_is_not_reckoned_deal_by_deal(desk: Desk, broker: Broker) -> None:
    """Or an account with thousands of deals of its own would hold up everyone."""
    mine = (await order(desk)).magic or 0
    deals = [broker.deal(5, IN if number % 2 else OUT, "0.10", "1.07", position=(number + 1) // 2, reason=BY_HAND)
             for number in range(1, 301)]
    statements: list[str] = []

    def count(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        statements.append(statement)

    async with desk.database.writing() as session:
        fresh = await history.record(session, broker.account, deals, broker.now)
        event.listen(Engine, "before_cursor_execute", count)
        try:
            await settling.apply(session, broker.account, fresh, broker.now)
        finally:
            event.remove(Engine, "before_cursor_execute", count)
    assert len(fresh) == 300 and len(statements) == 1
    await broker.tell(broker.deal(mine, IN, "0.30", "1.07"))
    await broker.tell(broker.deal(5, OUT, "0.30", "1.08", reason=BY_HAND, profit="30"))
    closed = await order(desk)
    assert (closed.status, closed.profit) == ("closed", D("30.00")), "and one that they share is"


def record(number: int, magic: int, entry: DealEntry, volume: str, profit: str = "0",
           reason: DealReason = BY_SIGNAL) -> DealRecord:
    return DealRecord(account_id=1, deal_id=number, position_id=9, magic=magic, symbol="EURUSD", side="buy",
                      entry=entry.value, reason=reason.value, volume=D(volume), price=D(1), profit=D(profit),
                      swap=D(0), commission=D(0), fee=D(0))


A, B = orders.new_magic(), orders.new_magic()


@pytest.mark.parametrize(("deals", "expected"), [
    ([(A, IN, "3"), (A, OUT, "1", "10"), (0, OUT, "2", "20", BY_HAND)], {A: ("3", "0", "30")}),
    ([(A, IN, "3"), (B, INOUT, "5", "30")], {A: ("3", "0", "30"), B: ("5", "2", "0")}),
    ([(A, IN, "3"), (B, INOUT, "5", "30"), (B, OUT, "2", "-4", STOPPED)], {A: ("3", "0", "30"), B: ("5", "0", "-4")}),
    ([(A, IN, "3"), (B, OUT, "1", "6"), (B, OUT, "2", "8", STOPPED)], {A: ("3", "0", "14"), B: ("1", "0", "0")}),
    ([(A, IN, "2"), (B, IN, "2"), (0, OUT, "3", "9", BY_HAND)], {A: ("2", "0", "6"), B: ("2", "1", "3")}),
    ([(A, OUT, "2", "9", STOPPED)], {}),
])
def test_shares(deals: list[tuple[Any, ...]], expected: dict[int, tuple[str, str, str]]) -> None:
    found = shares.of_position(record(number, *deal) for number, deal in enumerate(deals, 1))
    assert {magic: (share.volume, share.left, share.result) for magic, share in found.items()} == {
        magic: tuple(map(D, figures)) for magic, figures in expected.items()}
