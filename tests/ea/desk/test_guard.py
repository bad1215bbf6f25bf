"""What changes between the plan of an order and each of its requests: nothing goes out that is not right any more."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from models.device import DeviceAck
from sandbox.mt5.broker import Broker
from tests.ea.desk.between import Passing
from tests.ea.desk.stage import Room, signal, trading
from tests.ea.terminal import LOGIN, opened
from tests.webapp.conftest import Door

D = Decimal
# So long the terminal of the proof answers with what it has just heard (ea/proof/terminal/broker.h).
REMEMBERED_SECONDS = 0.01


async def acknowledged(made: Room, order_id: int) -> list[dict[str, Any]]:
    """What the desk was told of an order, first to last."""
    async with made.door.desk.database.reading() as session:
        return [dict(row.body) for row in await session.scalars(
            select(DeviceAck).where(DeviceAck.order_id == order_id).order_by(DeviceAck.id))]


def once_begun(made: Room, change: Callable[[Broker], object]) -> None:
    """The world changes while the desk is asked whether the order may begin."""
    async def before(passing: Passing) -> None:
        if passing.name == "begin":
            change(made.broker)
            await asyncio.sleep(2 * REMEMBERED_SECONDS)

    made.line.before = before


def two_legs(broker: Broker) -> dict[str, Any]:
    one = signal(broker)
    [target] = one["take_profits"]
    return {**one, "take_profits": [target, f"{D(target) + D('0.005'):.5f}"]}


@pytest.mark.parametrize(("change", "code"), [
    (lambda broker: broker.set_price("EURUSD", D("1.08700"), D("1.08710")), "price_moved"),
    (lambda broker: broker.set_price("EURUSD", D("1.08400"), D("1.08510")), "policy_spread"),
    (lambda broker: broker.set_price("EURUSD", D("1.07400"), D("1.07410")), "stop_beyond_price"),
    (lambda broker: broker.market.stop("EURUSD", 20), "quote_stale"),
    (lambda broker: setattr(broker, "auto_trading", False), "trading_disabled"),
    (lambda broker: broker.change_account(LOGIN, trade_allowed=False), "view_only"),
    (lambda broker: broker.change_account(LOGIN, server="Sandbox-Micro"), "wrong_account"),
], ids=["price", "spread", "stop", "quote", "trading", "account", "login"])
async def test_what_has_changed_while_the_desk_was_asked(door: Door, expert: Path, tmp_path: Path,
                                                         change: Callable[[Broker], object], code: str) -> None:
    async with trading(door, expert, tmp_path, inputs={"InpMaxSpreadPoints": 50}) as made:
        once_begun(made, change)
        order_id = await made.approve(**signal(made.broker))
        order = await made.becomes(order_id, "rejected", "filled", "failed")
        assert (order.status, order.reason) == ("rejected", code)
        assert (LOGIN, "order_send") not in {(str(login), call) for login, call in made.broker.calls}


async def test_the_last_order_of_the_day_is_sent(door: Door, expert: Path, tmp_path: Path) -> None:
    """It is among today's when it is looked at for the last time, and does not stand in its own way."""
    limits = {"InpMaxOrdersPerDay": 1, "InpMaxTotalLots": 0.1}
    async with trading(door, expert, tmp_path, inputs=limits) as made:
        order = await made.becomes(await made.approve(**two_legs(made.broker)), "filled")
        assert len(opened(made.broker)) == 2 and order.volume == D("0.10")
        order_id = await made.approve(**signal(made.broker))
        assert (await made.becomes(order_id, "rejected")).reason == "policy_total_lots"
        await made.shows("Refused: buy 0.1 EURUSD: above the lots you allow in all")


async def test_a_leg_whose_price_has_gone_is_not_sent(door: Door, expert: Path, tmp_path: Path) -> None:
    async with trading(door, expert, tmp_path) as made:
        made.broker.faults.add(LOGIN, "hang", seconds=2.0, call="order_send")
        order_id = await made.approve(**two_legs(made.broker))

        async def is_sending() -> bool:
            return (int(LOGIN), "order_send") in made.broker.calls

        await made.until("the first leg is sent", is_sending)
        made.broker.set_price("EURUSD", D("1.08700"), D("1.08710"))
        order = await made.becomes(order_id, "filled")
        assert opened(made.broker) == {order.magic: 1}
        [told] = await acknowledged(made, order_id)
        assert told["error"] == "Only 1 of 2 parts were executed. price_moved"
        await made.shows("Refused: buy 0.1 EURUSD: the price has moved too far")


async def test_no_leg_is_sent_after_its_time(door: Door, expert: Path, tmp_path: Path) -> None:
    async with trading(door, expert, tmp_path, speed=8) as made:
        made.broker.faults.add(LOGIN, "hang", seconds=2.5, call="order_send")
        order_id = await made.approve(**two_legs(made.broker))
        order = await made.becomes(order_id, "filled")
        assert opened(made.broker) == {order.magic: 1}
        [told] = await acknowledged(made, order_id)
        assert told["error"] == "Only 1 of 2 parts were executed. not_executed_in_time"


@pytest.mark.parametrize("terminal", [{}, {"EA_LAG_MS": "5000"}], ids=["looked for", "not shown yet"])
async def test_lots_that_the_terminal_does_not_show_yet_count(door: Door, expert: Path, tmp_path: Path,
                                                              terminal: dict[str, str]) -> None:
    limits = {"InpMaxTotalLots": 0.15}
    async with trading(door, expert, tmp_path, inputs=limits, settings=terminal) as made:
        if not terminal:
            made.broker.faults.add(LOGIN, "late_fill", seconds=1.0)
        first = await made.approve(**signal(made.broker))
        second = await made.approve(**signal(made.broker))
        assert (await made.becomes(second, "rejected", "filled")).reason == "policy_total_lots"
        order = await made.becomes(first, "filled")
        assert opened(made.broker) == {order.magic: 1}
