"""From a code that is typed in to a position that is closed: what the Expert does at the desk when all is well."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sandbox.mt5.book import Position
from sandbox.mt5.broker import BY_HAND, Broker
from sandbox.mt5.rules import REMOVE, Request
from tests.ea.desk.stage import Room, room, signal, trading
from tests.ea.terminal import LOGIN, PASSWORD, SERVER, opened
from tests.webapp.conftest import Door

D = Decimal


def positions(broker: Broker) -> list[Position]:
    """What is open on the account, in the order of its legs."""
    return sorted(broker.book.positions_of(int(LOGIN)), key=lambda one: one.magic)


def move(broker: Broker, symbol: str, price: Decimal) -> None:
    """The market goes to a price; stops and targets on the way are hit."""
    broker.set_price(symbol, price, price + D("0.0001"))


def close_by_hand(broker: Broker, position: Position) -> None:
    broker.by_hand(LOGIN, position.symbol, "sell", position.volume, ticket=position.ticket)


def withdraw_by_hand(broker: Broker, ticket: int) -> None:
    nothing = D(0)
    outcome = broker.engine.execute(broker.book.accounts[int(LOGIN)], Request(
        REMOVE, "EURUSD", 0, nothing, nothing, nothing, nothing, 0, 0, "", 0, 0, 0, ticket, 0, 0, BY_HAND))
    assert outcome.retcode == 10009


async def test_a_code_makes_this_terminal_a_device(door: Door, expert: Path, tmp_path: Path) -> None:
    async with room(door, expert, tmp_path) as made:
        typed = (await made.code()).lower()
        made.terminal.inputs = {**made.terminal.inputs, "InpPairingCode": f" {typed} "}
        await made.terminal.start()
        await made.link()
        order = await made.becomes(await made.approve(**signal(made.broker)), "filled")
        assert opened(made.broker) == {order.magic: 1}
        await made.shows("OK: linked as device dv_")
        # The code is still among the inputs at the next start. It is not tried again.
        await made.terminal.stop()
        await made.terminal.start()
        await made.shows("OK: the desk answers")
        assert made.line.count("pair") == 1
        [device] = (await made.call("GET", "/devices"))[1]["items"]
        assert device["name"] == "Terminal"


async def test_a_wrong_code_is_tried_once_and_said(door: Door, expert: Path, tmp_path: Path) -> None:
    async with room(door, expert, tmp_path, inputs={"InpPairingCode": "ABCDE-FGHJK"}) as made:
        await made.terminal.start()
        await made.shows("NOT LINKED: the pairing code is wrong, used or too old")
        await asyncio.sleep(3)
        assert made.line.count("pair") == 1


async def test_the_account_and_its_symbols_are_reported(door: Door, expert: Path, tmp_path: Path) -> None:
    async with trading(door, expert, tmp_path) as made:
        status, account = await made.call("GET", f"/accounts/{made.account_id}")
        assert (status, account["login"], account["server"], account["currency"]) == (200, LOGIN, SERVER, "USD")
        assert D(account["info"]["equity"]) == 10_000

        async def listed() -> bool:
            return await made.symbol("US30") is not None

        await made.until("every symbol is told", listed)
        told = await made.symbol("EURUSD")
        assert told is not None and told.bid is not None and told.tick_value == D(1)
        assert {name: told.spec[name] for name in ("digits", "contract_size", "volume_step", "calc_mode", "trade_mode",
                                                   "filling", "point", "currency_profit")} == {
            "digits": 5, "contract_size": "100000", "volume_step": "0.01", "calc_mode": "forex", "trade_mode": "full",
            "filling": ["fok", "ioc"], "point": "0.0000100000000000", "currency_profit": "USD"}


async def test_an_order_with_a_stop_and_a_target(door: Door, expert: Path, tmp_path: Path) -> None:
    async with trading(door, expert, tmp_path) as made:
        terms = signal(made.broker)
        order = await made.becomes(await made.approve(**terms), "filled")
        [position] = positions(made.broker)
        assert (position.magic, position.volume, position.symbol) == (order.magic, D("0.10"), "EURUSD")
        assert (position.sl, position.tp) == (D(terms["stop_loss"]), D(terms["take_profits"][0]))
        assert (order.ticket, order.fill_price, order.volume, order.retcode) == (
            position.ticket, position.price_open, D("0.10"), 10009)
        status, told = await made.call("GET", f"/accounts/{made.account_id}/positions?force_refresh=true")
        assert status == 200 and told["currency"] == "USD"


@pytest.mark.parametrize("side", ["buy", "sell"])
async def test_a_leg_for_each_target(door: Door, expert: Path, tmp_path: Path, side: str) -> None:
    async with trading(door, expert, tmp_path, sizing={"mode": "fixed", "volume": "0.05"}) as made:
        terms = signal(made.broker, side=side)
        step = D("0.005") if side == "buy" else D("-0.005")
        targets = [D(terms["take_profits"][0]) + step * place for place in range(3)]
        order_id = await made.approve(**{**terms, "take_profits": [f"{target:f}" for target in targets]})
        order = await made.becomes(order_id, "filled")
        legs = positions(made.broker)
        assert [(leg.magic, leg.volume, leg.tp) for leg in legs] == [
            (order.magic + (place << 44), volume, target)
            for place, (volume, target) in enumerate(zip((D("0.02"), D("0.02"), D("0.01")), targets, strict=True))]
        assert all(leg.sl == D(terms["stop_loss"]) for leg in legs)
        assert (order.volume, order.ticket) == (D("0.05"), legs[0].ticket)


async def test_the_end_is_told_once_all_legs_are_out(door: Door, expert: Path, tmp_path: Path) -> None:
    async with trading(door, expert, tmp_path, sizing={"mode": "fixed", "volume": "0.02"}) as made:
        terms = signal(made.broker)
        near, far = D(terms["take_profits"][0]), D(terms["take_profits"][0]) + D("0.01")
        order_id = await made.approve(**{**terms, "take_profits": [f"{near:f}", f"{far:f}"]})
        order = await made.becomes(order_id, "filled")
        move(made.broker, "EURUSD", near)
        await asyncio.sleep(2.5)
        assert (await made.order(order_id)).status == "filled"
        move(made.broker, "EURUSD", far)
        order = await made.becomes(order_id, "closed")
        deals = [deal for deal in made.broker.book.deals.values() if deal.position_id and deal.login == int(LOGIN)]
        assert (order.reason, order.profit) == ("take_profit", sum(d.profit + d.swap + d.commission for d in deals))
        assert order.profit is not None and order.profit > 0


@pytest.mark.parametrize("how", ["stop_loss", "client"])
async def test_why_it_was_closed(door: Door, expert: Path, tmp_path: Path, how: str) -> None:
    async with trading(door, expert, tmp_path) as made:
        terms = signal(made.broker)
        order_id = await made.approve(**terms)
        await made.becomes(order_id, "filled")
        if how == "stop_loss":
            move(made.broker, "EURUSD", D(terms["stop_loss"]) - D("0.0002"))
        else:
            close_by_hand(made.broker, positions(made.broker)[0])
        order = await made.becomes(order_id, "closed")
        assert order.reason == how and order.profit is not None and order.profit < 0


async def placed(made: Room, **changes: Any) -> tuple[int, dict[str, Any]]:
    """A limit order to buy below the market, which waits at the broker."""
    terms = signal(made.broker)
    price = D(terms["stop_loss"]) + D("0.004")
    terms |= {"order_type": "limit", "entry_price": f"{price:f}", **changes}
    order_id = await made.approve(**terms)
    await made.becomes(order_id, "placed")
    return order_id, terms


async def test_an_order_that_waits_is_filled_later(door: Door, expert: Path, tmp_path: Path) -> None:
    async with trading(door, expert, tmp_path) as made:
        order_id, terms = await placed(made)
        [waiting] = made.broker.book.pending_of(int(LOGIN))
        order = await made.order(order_id)
        assert (waiting.magic, waiting.price_open, waiting.sl) == (
            order.magic, D(terms["entry_price"]), D(terms["stop_loss"]))
        assert order.ticket == waiting.ticket and waiting.expires_msc > 0
        move(made.broker, "EURUSD", D(terms["entry_price"]) - D("0.0003"))
        order = await made.becomes(order_id, "filled")
        assert order.fill_price is not None and order.fill_price <= D(terms["entry_price"])
        assert opened(made.broker) == {order.magic: 1}


async def test_an_order_that_waits_is_withdrawn_by_hand(door: Door, expert: Path, tmp_path: Path) -> None:
    async with trading(door, expert, tmp_path) as made:
        order_id, _ = await placed(made)
        withdraw_by_hand(made.broker, made.broker.book.pending_of(int(LOGIN))[0].ticket)
        await made.terminal.tell("advance 30000")  # of one that was sent a moment ago its end proves nothing
        order = await made.becomes(order_id, "failed")
        assert order.reason == "cancelled"


@pytest.mark.parametrize("by", ["broker", "expert"])
async def test_an_order_that_waits_ends_in_time(door: Door, expert: Path, tmp_path: Path, by: str) -> None:
    """Also where the broker ends no orders by itself: then the Expert withdraws it."""
    async with trading(door, expert, tmp_path) as made:
        if by == "expert":
            made.broker.change_symbol("EURUSD", expiration_mode=1)
        order_id, _ = await placed(made, expires_in_seconds=30)
        [waiting] = made.broker.book.pending_of(int(LOGIN))
        assert (waiting.expires_msc > 0) == (by == "broker")
        if by == "broker":
            waiting.expires_msc = 1
            move(made.broker, "EURUSD", D("1.08"))
        await made.terminal.tell("advance 40000")
        order = await made.becomes(order_id, "failed")
        assert order.reason == "not_reached_in_time"
        assert not made.broker.book.pending_of(int(LOGIN))


async def test_a_netting_account_takes_one_target(door: Door, expert: Path, tmp_path: Path) -> None:
    async with room(door, expert, tmp_path) as made:
        made.broker.add_account(LOGIN, PASSWORD, server=SERVER, mode="netting")
        await made.register()
        await made.terminal.start()
        await made.link()
        terms = signal(made.broker)
        order = await made.becomes(await made.approve(**terms), "filled")
        assert opened(made.broker) == {order.magic: 1}
        further = f"{D(terms['take_profits'][0]) + D('0.01'):f}"
        order_id = await made.approve(**{**terms, "take_profits": [*terms["take_profits"], further]})
        assert (await made.becomes(order_id, "rejected")).reason == "targets_need_hedging"


async def test_one_order_after_another(door: Door, expert: Path, tmp_path: Path) -> None:
    async with trading(door, expert, tmp_path, sizing={"mode": "fixed", "volume": "0.01"}) as made:
        ids = [await made.approve(**signal(made.broker, symbol)) for symbol in ("EURUSD", "GBPUSD", "AUDUSD")]
        orders = [await made.becomes(order_id, "filled") for order_id in ids]
        assert opened(made.broker) == {order.magic: 1 for order in orders}
        assert len({order.seq for order in orders}) == 3


async def test_the_desk_decides_the_volume_and_the_risk(door: Door, expert: Path, tmp_path: Path) -> None:
    """One percent of 10,000 to the stop, floored to steps: what the broker would lose there is not more."""
    async with trading(door, expert, tmp_path, sizing={"mode": "risk_percent", "value": "1.0"}) as made:
        order = await made.becomes(await made.approve(**signal(made.broker)), "filled")
        [position] = positions(made.broker)
        loss = (position.price_open - position.sl) * position.volume * 100_000
        assert D(80) < loss <= D(100) and order.volume == position.volume
