"""Through the worker's pipes: what an order is refused for before it goes out, first things first."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from terminal.protocol import OrderType, Side, TradeResult
from tests.terminal_mt5.stage import LOGIN, SERVER, Pipe, Stage, order, staged

D = Decimal
LIMIT = {"order_type": OrderType.LIMIT, "price": D("1.08")}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as made:
        yield made


@pytest.fixture
async def worker(stage: Stage) -> Pipe:
    return await stage.worker()


def said(result: TradeResult) -> tuple[str, int, str | None]:
    assert result.error, "a refusal is told in words"
    assert (result.ticket, result.price, result.volume) == (None, None, None)
    return result.status, result.retcode, result.reason


def sent(stage: Stage) -> int:
    return sum(call == "order_send" for _, call in stage.broker.calls)


ORDERS: list[tuple[dict[str, Any], int, str]] = [
    ({"symbol": "NOTHING"}, 10013, "unknown_symbol"),
    ({"symbol": "S" * 40}, 10013, "unknown_symbol"),
    ({"volume": D("0.009")}, 10014, "volume_below_minimum"),
    ({"volume": D("100.01")}, 10014, "volume_above_maximum"),
    ({"stop_loss": D("1.0851")}, 10016, "stop_beyond_price"),
    ({"stop_loss": D("1.08495")}, 10016, "stop_too_close"),
    ({"take_profits": [D("1.084")]}, 10016, "target_passed"),
    ({"take_profits": [D("1.09"), D("1.08503")]}, 10016, "target_too_close"),
    ({"side": Side.SELL, "stop_loss": D("1.0848")}, 10016, "stop_beyond_price"),
    ({"side": Side.SELL, "take_profits": [D("1.0852")]}, 10016, "target_passed"),
    ({**LIMIT, "price": D("1.0852")}, 10015, "invalid_price"),
    ({**LIMIT, "price": None}, 10015, "invalid_price"),
    ({**LIMIT, "price": D("1.08505")}, 10015, "invalid_price"),
    ({**LIMIT, "order_type": OrderType.STOP}, 10015, "invalid_price"),
    ({**LIMIT, "side": Side.SELL}, 10015, "invalid_price"),
    ({**LIMIT, "stop_loss": D("1.081")}, 10016, "stop_beyond_price"),
    ({**LIMIT, "take_profits": [D("1.079")]}, 10016, "target_passed"),
    ({**LIMIT, "expires_at": datetime.now(UTC) - timedelta(minutes=1)}, 10022, "not_executed_in_time"),
    ({"volume": D(20)}, 10019, "not_enough_money"),
    ({"price": D("1.08480")}, 10004, "price_moved"),
]


async def test_an_order_that_cannot_stand_is_never_sent(stage: Stage, worker: Pipe) -> None:
    for number, (changed, retcode, reason) in enumerate(ORDERS, start=1):
        assert said(await worker.send(order(number, **changed))) == ("rejected", retcode, reason), changed
    assert sent(stage) == 0


async def test_terms_of_the_broker(stage: Stage, worker: Pipe) -> None:
    broker = stage.broker
    for mode, side, retcode, reason in [
            (0, "buy", 10017, "symbol_not_tradable"), (1, "sell", 10042, "symbol_one_way"),
            (2, "buy", 10043, "symbol_one_way"), (3, "buy", 10044, "symbol_close_only")]:
        broker.change_symbol("EURUSD", trade_mode=mode)
        assert said(await worker.send(order(mode + 1, side=Side(side)))) == ("rejected", retcode, reason)
    broker.change_symbol("EURUSD", trade_mode=4, volume_limit=D("0.25"))
    assert (await worker.send(order(10, volume=D("0.1")))).status == "filled"
    assert (await worker.send(order(11, **LIMIT, volume=D("0.1")))).status == "placed"
    assert said(await worker.send(order(12, volume=D("0.1")))) == ("rejected", 10034, "volume_limit")
    assert (await worker.send(order(13, side=Side.SELL, volume=D("0.2")))).status == "filled", "the other direction"
    broker.change_symbol("EURUSD", volume_limit=D(0), stops_level=0)
    # A level of 0 may mean that the broker decides as it goes: the spread is the least.
    assert said(await worker.send(order(14, stop_loss=D("1.08495"))))[2] == "stop_too_close"
    broker.change_symbol("EURUSD", expiration_mode=3)
    late = datetime.now(UTC) + timedelta(hours=1)
    assert said(await worker.send(order(15, **LIMIT, expires_at=late))) == ("rejected", 10022, "expiry_not_supported")
    broker.change_account(LOGIN, limit_orders=1)
    assert said(await worker.send(order(16, **LIMIT))) == ("rejected", 10033, "too_many_orders")


async def test_what_is_switched_off(stage: Stage, worker: Pipe) -> None:
    broker = stage.broker
    broker.change_account(LOGIN, trade_allowed=False)
    assert said(await worker.send(order(1))) == ("rejected", 10017, "trading_disabled")
    broker.change_account(LOGIN, trade_allowed=True, expert_allowed=False)
    assert said(await worker.send(order(2))) == ("rejected", 10026, "trading_disabled")
    broker.change_account(LOGIN, expert_allowed=True)
    broker.auto_trading = False
    assert said(await worker.send(order(3))) == ("rejected", 10027, "trading_disabled")
    broker.auto_trading, broker.api_disabled = True, True
    assert said(await worker.send(order(4))) == ("rejected", 10027, "trading_disabled")
    for act in (("close", {"volume": None}), ("modify", {"stop_loss": None, "take_profit": None}), ("cancel", {})):
        assert said(await worker.act(act[0], ticket=1, **act[1])) == ("rejected", 10027, "trading_disabled")
    assert sent(stage) == 0


async def test_a_price_must_be_there_and_fresh(stage: Stage, worker: Pipe) -> None:
    stage.broker.market.stop("EURUSD", seconds_ago=30)
    assert said(await worker.send(order(1))) == ("rejected", 10021, "quote_stale")
    assert (await worker.send(order(2), max_tick_age_seconds=60)).status == "filled"
    stage.broker.market.drop("GBPUSD")
    assert said(await worker.send(order(3, symbol="GBPUSD"))) == ("rejected", 10021, "no_quote")


async def test_a_market_that_stands_still_is_not_traded(stage: Stage) -> None:
    """A worker that came up on a closed market cannot tell an old quote from a new one by its clock."""
    for name in list(stage.broker.market._quotes):
        stage.broker.market.stop(name, seconds_ago=2 * 3600)
    worker = await stage.worker()
    assert said(await worker.send(order(1))) == ("rejected", 10021, "quote_stale")
    for name in list(stage.broker.market._quotes):
        stage.broker.market._stopped.pop(name)
    assert (await worker.send(order(2))).status == "filled"


async def test_summer_time_stops_nobody(stage: Stage, worker: Pipe) -> None:
    for minutes in (180, 120):
        stage.broker.servers[SERVER] = replace(stage.broker.servers[SERVER], offset_minutes=minutes)
        assert (await worker.send(order(minutes))).status == "filled"
        (position,) = await worker.ask("positions")
        opened = datetime.fromisoformat(position["opened_at"])
        assert abs(opened - datetime.now(UTC)) < timedelta(seconds=20)
        await worker.act("close", ticket=position["ticket"], volume=None)


async def test_an_old_price_keeps_nobody_in(stage: Stage, worker: Pipe) -> None:
    ticket = (await worker.send(order(1))).ticket
    stage.broker.market.stop("EURUSD", seconds_ago=3600)
    assert (await worker.act("modify", ticket=ticket, stop_loss="1.07", take_profit=None)).status == "filled"
    assert (await worker.act("close", ticket=ticket, volume=None)).status == "filled"


async def test_the_share_of_margin_that_stays_free(stage: Stage, worker: Pipe) -> None:
    # Nine lots need 9,765.90 of 10,000 dollars.
    assert said(await worker.send(order(1, volume=D(9)), margin_buffer="0.1"))[2] == "not_enough_money"
    assert (await worker.send(order(2, volume=D(9)), margin_buffer="0.0")).status == "filled"


async def test_the_brokers_own_check_has_the_last_word_before_sending(stage: Stage, worker: Pipe) -> None:
    """Nothing here knows what a broker refuses besides: order_check tells, and nothing is sent."""
    stage.broker.add_account("5020", "netting", server=SERVER, mode="netting", balance=D(1000))
    netting = await stage.worker(login="5020", password="netting")
    assert (await netting.send(order(1, volume=D("0.5")))).status == "filled"
    before = sent(stage)
    # Turning round needs margin for what is left of it: too much.
    result = await netting.send(order(2, side=Side.SELL, volume=D(3)))
    assert said(result) == ("rejected", 10019, None)
    assert sent(stage) == before
    assert (await netting.send(order(3, side=Side.SELL, volume=D("0.9")))).status == "filled"
