"""SIGKILL of the Expert at each of its steps, and at random in any weather: traded once, and the desk hears of it.

``EA_KILLS`` says how often it is killed at random; ``make ea-kills`` does it a thousand times, and at every step.
"""

import asyncio
import logging
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from models.device import DeviceAck
from models.order import Order
from services import device_orders, orders
from tests.ea.desk.between import Cut, Passing
from tests.ea.desk.stage import Room, signal, trading
from tests.ea.desk.test_trades import close_by_hand, withdraw_by_hand
from tests.ea.terminal import KILLED, LOGIN, HasEnded, opened
from tests.webapp.conftest import Door

log = logging.getLogger(__name__)

KILLS = int(os.environ.get("EA_KILLS", "0"))
FEW, STRIDE = 12, 37
SPEED = 20.0
MOST_STEPS, MOST_OPEN = 600, 60
LEG = 0xF << 44
TRADED, NOT_TRADED = ("placed", "filled", "closed"), ("failed", "rejected", "expired")
UNLIMITED = {"InpMaxOrdersPerDay": 0, "InpMaxTotalLots": 0}
SMALL = {"mode": "fixed", "volume": "0.04"}
BAD_DAYS = (("timeout_after_fill", 10012), ("timeout_after_fill", 10031), ("timeout_after_fill", 10011),
            ("no_answer", 0), ("fail", 0), ("refuse", 10018), ("refuse", 10004), ("refuse", 10006),
            ("partial_fill", 0), ("placed_then_fill", 0), ("lost_order", 0))


@dataclass
class Weather:
    """What the line loses, and what the broker does to the next order."""

    room: Room
    chance: random.Random
    is_bad: bool = True
    faults: Counter[str] = field(default_factory=Counter)

    async def before(self, passing: Passing) -> Passing | None:
        if self.is_bad and self.chance.random() < 0.03:
            raise Cut
        return None

    async def after(self, passing: Passing) -> Passing:
        if self.is_bad and self.chance.random() < 0.03:
            raise Cut
        return passing

    def brew(self) -> None:
        if self.chance.random() < 0.4:
            kind, retcode = self.chance.choice(BAD_DAYS)
            self.faults[kind] += 1
            self.room.broker.faults.add(LOGIN, kind, seconds=0.3, call="order_send", retcode=retcode)

    def clear(self) -> None:
        self.is_bad = False
        self.room.broker.faults.clear()


async def hurry(room: Room) -> None:
    """Every lease is over and everything is due, as if half a minute had passed at the desk."""
    now = datetime.now(UTC)
    past = now - timedelta(seconds=31)
    async with room.door.desk.database.writing() as session:
        await session.execute(update(Order).where(Order.status.in_(orders.OPEN_STATES), Order.lease_until > past)
                              .values(lease_until=past))
        await session.execute(update(Order).where(Order.status.in_(orders.OPEN_STATES)).values(next_try_at=past))
        await device_orders.sweep(session, now, 1_000)


async def all_orders(room: Room) -> list[Order]:
    async with room.door.desk.database.reading() as session:
        return list(await session.scalars(select(Order).order_by(Order.id)))


async def settles(room: Room, *, but: tuple[str, ...] = ()) -> None:
    """Wait until no order is under way. ``but``: nor in these states."""
    async def is_settled() -> bool:
        if not room.terminal.is_running:
            raise AssertionError(room.terminal.trouble())
        await hurry(room)
        await asyncio.sleep(0.2)
        return not [one for one in await all_orders(room)
                    if one.status in (*but, "queued", "leased", "sent", "unknown")]

    await room.until("every order has an end", is_settled, 240)


async def dies(room: Room, seconds: float, order_id: int | None = None) -> bool:
    """Whether it dies by itself in this time, or before the order has an end."""
    until = time.monotonic() + seconds
    while room.terminal.is_running and time.monotonic() < until:
        if order_id is not None and (await room.order(order_id)).status in (*TRADED, *NOT_TRADED):
            return False
        await asyncio.sleep(0.01)
    return not room.terminal.is_running


async def lives_on(room: Room) -> bool:
    """Whether it is still there, and no step kills it any more."""
    try:
        await room.terminal.tell("kill 0")
    except HasEnded:
        return False
    return True


async def compare(room: Room) -> Counter[str]:
    """The books of the desk and of the broker; how many orders ended in which way."""
    sent, ends = opened(room.broker), Counter[str]()
    assert not [magic for magic, times in sent.items() if times != 1], "sent twice"
    at_broker = {magic & ~LEG for magic in sent}
    async with room.door.desk.database.reading() as session:
        told = {(row.order_id, row.status) for row in await session.scalars(select(DeviceAck))}
    for order in await all_orders(room):
        is_there = order.magic in at_broker
        assert order.status in (TRADED if is_there else NOT_TRADED), (order.id, order.status, order.reason, is_there)
        assert not is_there or [True for status in TRADED if (order.id, status) in told], order.id
        ends[order.status] += 1
    assert not at_broker - {order.magic for order in await all_orders(room)}, "nobody has ordered that"
    return ends


async def test_killed_at_each_step_an_order_is_traded_once_or_said_to_be_not(door: Door, expert: Path,
                                                                           tmp_path: Path) -> None:
    async with trading(door, expert, tmp_path, sizing=SMALL, speed=SPEED, inputs=UNLIMITED) as room:
        await room.terminal.kill()
        step, struck = 1, True
        while struck and step < MOST_STEPS:
            order_id = await room.approve(**_two_legs(room))
            await room.terminal.start(kill_at=step)
            struck = await dies(room, 60, order_id) or not await lives_on(room)
            if struck:
                assert await room.terminal.ended() == KILLED, room.terminal.trouble()
                await room.terminal.start()
            await settles(room)
            await compare(room)
            await room.terminal.kill()
            _close_all(room)
            step += 1 if KILLS else STRIDE
        assert not struck, "it comes to an end"
        log.info("%s steps", step)


async def test_killed_at_any_moment_in_any_weather_no_order_is_doubled_and_no_word_lost(
        door: Door, expert: Path, tmp_path: Path) -> None:
    chance = random.Random(int(os.environ.get("EA_SEED", "1")))
    async with trading(door, expert, tmp_path, sizing=SMALL, speed=SPEED, inputs=UNLIMITED) as room:
        await room.terminal.kill()
        weather = Weather(room, chance)
        room.line.before, room.line.after = weather.before, weather.after
        for number in range(KILLS or FEW):
            await room.approve(**chance.choice((_one_leg, _two_legs, _waiting))(room))
            weather.brew()
            await _one_life(room, chance)
            if chance.random() < 0.7:
                await hurry(room)
            if len(room.broker.book.positions_of(int(LOGIN))) > MOST_OPEN:
                _close_all(room)
            if number % 50 == 49:
                log.info("%s killed: %s", number + 1, Counter(one.status for one in await all_orders(room)))
        weather.clear()
        await room.terminal.start()
        await settles(room)
        log.info("%s; faults %s", dict(await compare(room)), dict(weather.faults))
        _close_all(room)
        await settles(room, but=("placed", "filled"))
        log.info("%s; requests %s", dict(await compare(room)), dict(Counter(one.name for one in room.line.seen)))


async def _one_life(room: Room, chance: random.Random) -> None:
    """It starts, and dies while it is still reading what it knew, or some steps after it has asked for orders."""
    if chance.random() < 0.3:
        await room.terminal.start(kill_at=chance.randrange(1, 400))
        died = await dies(room, chance.uniform(0.1, 2.0))
    else:
        polls = room.line.count("poll")
        await room.terminal.start()

        async def asks() -> bool:
            return room.line.count("poll") > polls

        await room.until("it asks for orders", asks)
        await room.terminal.tell(f"kill {chance.randrange(1, 150)}")
        died = await dies(room, 3.0)
    if died:
        assert await room.terminal.ended() == KILLED, room.terminal.trouble()
    else:
        await room.terminal.kill()


def _one_leg(room: Room) -> dict[str, Any]:
    return signal(room.broker)


def _two_legs(room: Room) -> dict[str, Any]:
    one = signal(room.broker)
    [target] = one["take_profits"]
    return {**one, "take_profits": [target, f"{Decimal(target) + Decimal('0.005'):.5f}"]}


def _waiting(room: Room) -> dict[str, Any]:
    """A limit order a little below the price."""
    one = signal(room.broker)
    quote = room.broker.market.quote("EURUSD")
    assert quote is not None
    return {**one, "order_type": "limit", "entry_price": f"{quote.bid - Decimal('0.003'):.5f}"}


def _close_all(room: Room) -> None:
    """The owner closes what is open and withdraws what waits."""
    book = room.broker.book
    for position in list(book.positions_of(int(LOGIN))):
        close_by_hand(room.broker, position)
    for waiting in list(book.pending_of(int(LOGIN))):
        withdraw_by_hand(room.broker, waiting.ticket)
