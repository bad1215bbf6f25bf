"""Through the worker's pipes: figures, positions, orders, deals and prices, exact and in UTC."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from terminal.mt5 import wire
from terminal.protocol import (
    AccountSnapshot,
    Deal,
    DealEntry,
    DealReason,
    OrderType,
    PendingOrder,
    Position,
    Side,
    SymbolSpec,
    Tick,
    TradeMode,
)
from tests.terminal_mt5.stage import LOGIN, MAGIC, SERVER, Pipe, Stage, order, staged

D = Decimal


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as made:
        yield made


async def account(pipe: Pipe) -> AccountSnapshot:
    return wire.revive(AccountSnapshot, await pipe.ask("account"))


async def positions(pipe: Pipe) -> list[Position]:
    return [wire.revive(Position, row) for row in await pipe.ask("positions")]


async def deals(pipe: Pipe, since: datetime | None = None) -> list[Deal]:
    start = since or datetime.now(UTC) - timedelta(hours=1)
    return [wire.revive(Deal, row) for row in await pipe.ask("deals", since=start)]


async def test_an_account_is_told_in_its_own_money(stage: Stage) -> None:
    worker = await stage.worker()
    empty = await account(worker)
    assert (empty.equity, empty.margin, empty.free_margin, empty.margin_level) == (D(10000), D(0), D(10000), None)
    assert (empty.leverage, empty.margin_mode, empty.broker, empty.credit) == (100, "hedging", "Sandbox Markets", D(0))
    stage.broker.change_account(LOGIN, credit=D("50.5"))
    await worker.send(order(volume=D("1")))
    stage.broker.set_price("EURUSD", D("1.08610"), D("1.08620"))
    now = await account(worker)
    # Bought at 1.08510: a hundred points, a hundred dollars; the margin at its opening price.
    assert (now.equity, now.margin, now.credit) == (D("10150.50"), D("1085.10"), D("50.50"))
    assert now.free_margin == now.equity - now.margin
    assert now.margin_level == D("935.44")
    assert abs(now.taken_at - datetime.now(UTC)) < timedelta(seconds=20)


async def test_money_has_its_currencys_digits(stage: Stage) -> None:
    stage.broker.add_account("5010", "yen", server=SERVER, currency="JPY", balance=D(1_000_000))
    worker = await stage.worker(login="5010", password="yen")
    await worker.send(order(symbol="USDJPY", volume=D("0.5")))
    stage.broker.set_price("USDJPY", D("151.517"), D("151.527"))
    (held,) = await positions(worker)
    assert held.profit == D(350) and held.profit.as_tuple().exponent == 0
    assert (await account(worker)).balance == D(1_000_000)


async def test_positions_are_exact(stage: Stage) -> None:
    worker = await stage.worker()
    before = datetime.now(UTC) - timedelta(seconds=1)
    result = await worker.send(order(7, volume=D("0.30"), stop_loss=D("1.08"), take_profits=[D("1.09")]))
    stage.broker.set_price("EURUSD", D("1.08476"), D("1.08486"))
    (held,) = await positions(worker)
    assert held.ticket == held.identifier == result.ticket
    assert (held.symbol, held.side, held.volume, held.magic) == ("EURUSD", Side.BUY, D("0.3"), MAGIC | 7)
    assert (held.entry_price, held.current_price) == (D("1.08510"), D("1.08476"))
    assert (held.stop_loss, held.take_profit) == (D("1.08000"), D("1.09000"))
    assert (held.profit, held.profit_points, held.swap) == (D("-10.20"), D(-34), D(0))
    assert before <= held.opened_at <= datetime.now(UTC) + timedelta(seconds=1)


@pytest.mark.parametrize(("server", "minutes"), [("Sandbox-MT5", 120), ("Sandbox-Raw", 180), ("Sandbox-Micro", 0)])
async def test_times_are_utc_whatever_the_servers_clock_says(stage: Stage, server: str, minutes: int) -> None:
    assert stage.broker.servers[server].offset_minutes == minutes
    stage.broker.add_account("5011", "clock", server=server)
    worker = await stage.worker(login="5011", password="clock", server=server)
    name = stage.broker.servers[server].names("EURUSD")
    expires = (datetime.now(UTC) + timedelta(hours=5)).replace(microsecond=0)
    await worker.send(order(1, symbol=name))
    await worker.send(order(2, symbol=name, order_type=OrderType.LIMIT, price=D("1.05"), expires_at=expires))
    now, close = datetime.now(UTC), timedelta(seconds=20)
    assert abs(wire.revive(Tick, await worker.ask("tick", symbol=name)).at - now) < close
    (held,) = await positions(worker)
    (waiting,) = [wire.revive(PendingOrder, row) for row in await worker.ask("orders")]
    (deal,) = await deals(worker)
    assert abs(held.opened_at - now) < close and abs(waiting.placed_at - now) < close and abs(deal.at - now) < close
    assert waiting.expires_at == expires
    assert stage.broker.book.pending[waiting.ticket].expires_msc == expires.timestamp() * 1000
    # A minute ago is a minute ago, not a minute and some hours.
    assert await deals(worker, now + timedelta(minutes=1)) == []
    assert len(await deals(worker, now - timedelta(minutes=1))) == 1


async def test_waiting_orders(stage: Stage) -> None:
    worker = await stage.worker()
    for number, (kind, side, price) in enumerate([
            ("limit", "buy", "1.08"), ("limit", "sell", "1.09"), ("stop", "buy", "1.09"),
            ("stop", "sell", "1.08")], start=1):
        result = await worker.send(order(number, order_type=OrderType(kind), side=Side(side), price=D(price),
                                         volume=D("0.02")))
        assert (result.status, result.volume) == ("placed", None)
    rows = [wire.revive(PendingOrder, row) for row in await worker.ask("orders")]
    assert [(row.order_type, row.side, row.price) for row in rows] == [
        ("limit", "buy", D("1.08000")), ("limit", "sell", D("1.09000")), ("stop", "buy", D("1.09000")),
        ("stop", "sell", D("1.08000"))]
    assert all(row.volume == D("0.02") and row.expires_at is None and row.stop_loss is None for row in rows)
    assert [row.magic for row in rows] == [MAGIC | number for number in range(1, 5)]


async def test_every_deal_says_why_it_was_made(stage: Stage) -> None:
    stage.broker.servers[SERVER] = type(stage.broker.servers[SERVER])(SERVER, commission_per_lot=D("3.5"))
    worker, broker = await stage.worker(), stage.broker
    first = await worker.send(order(1))
    await worker.act("close", ticket=first.ticket, volume="0.04")
    await worker.act("close", ticket=first.ticket, volume=None)
    await worker.send(order(2, stop_loss=D("1.08")))
    broker.set_price("EURUSD", D("1.07990"), D("1.08000"))
    await worker.send(order(3, take_profits=[D("1.09")]))
    broker.set_price("EURUSD", D("1.09010"), D("1.09020"))
    by_hand = broker.by_hand(LOGIN, "EURUSD", "buy", D("0.1"), reason=1)
    broker.by_hand(LOGIN, "EURUSD", "sell", D("0.1"), ticket=by_hand, reason=2)
    found = await deals(worker)
    assert [(deal.entry, deal.reason) for deal in found] == [
        (DealEntry.IN, DealReason.SIGNAL), (DealEntry.OUT, DealReason.CLIENT), (DealEntry.OUT, DealReason.CLIENT),
        (DealEntry.IN, DealReason.SIGNAL), (DealEntry.OUT, DealReason.STOP_LOSS),
        (DealEntry.IN, DealReason.SIGNAL), (DealEntry.OUT, DealReason.TAKE_PROFIT),
        (DealEntry.IN, DealReason.CLIENT), (DealEntry.OUT, DealReason.CLIENT)]
    assert [deal.magic for deal in found] == [MAGIC | 1] * 3 + [MAGIC | 2] * 2 + [MAGIC | 3] * 2 + [0] * 2
    assert [deal.id for deal in found] == sorted(deal.id for deal in found)
    assert all(deal.ticket == deal.position_id == first.ticket for deal in found[:3])
    assert (found[1].volume, found[1].profit, found[1].commission) == (D("0.04"), D("-0.40"), D("-0.14"))
    assert (found[1].side, found[1].price, found[1].fee) == (Side.SELL, D("1.08500"), D(0))
    assert (found[4].profit, found[0].login, found[0].server) == (D("-52.00"), LOGIN, SERVER)
    # Money paid in is no trade.
    assert any(deal.type == 2 for deal in broker.book.deals.values())


async def test_a_stop_out_is_told_as_one(stage: Stage) -> None:
    worker = await stage.worker()
    await worker.send(order(1, volume=D(9)))
    stage.broker.set_price("EURUSD", D("1.07800"), D("1.07810"))
    found = await deals(worker)
    assert found[-1].reason == DealReason.STOP_OUT and await positions(worker) == []


async def test_symbols_as_the_broker_has_them(stage: Stage) -> None:
    stage.broker.add_account("5012", "raw", server="Sandbox-Raw")
    worker = await stage.worker(login="5012", password="raw", server="Sandbox-Raw")
    stage.broker.change_symbol("EURUSD", trade_mode=3, volume_limit=D(5), freeze_level=7, stops_level=12)
    listed = [wire.revive(SymbolSpec, row) for row in await worker.ask("symbols")]
    by_name = {spec.name: spec for spec in listed}
    assert "GOLD.r" in by_name and "DJ30.r" in by_name and "XAUUSD" not in by_name
    euro = by_name["EURUSD.r"]
    assert euro == wire.revive(SymbolSpec, await worker.ask("symbol", name="EURUSD.r"))
    assert (euro.digits, euro.point, euro.tick_size, euro.contract_size) == (5, D("0.00001"), D("0.00001"), D(100000))
    assert (euro.volume_min, euro.volume_max, euro.volume_step) == (D("0.01"), D(100), D("0.01"))
    assert (euro.trade_mode, euro.volume_limit, euro.freeze_level, euro.stops_level) == (
        TradeMode.CLOSE_ONLY, D(5), 7, 12)
    assert (euro.currency_base, euro.currency_profit, euro.currency_margin, euro.calc_mode) == (
        "EUR", "USD", "EUR", "forex")
    assert (by_name["GOLD.r"].contract_size, by_name["GOLD.r"].calc_mode) == (D(100), "cfd_leverage")
    assert await worker.ask("symbol", name="NOTHING") is None
    assert await worker.ask("symbol", name="x" * 200) is None


async def test_prices_of_what_nobody_watched(stage: Stage) -> None:
    worker = await stage.worker()
    bitcoin = wire.revive(Tick, await worker.ask("tick", symbol="BTCUSD"))
    assert (bitcoin.bid, bitcoin.ask) == (D("67250.00"), D("67250.10"))
    assert await worker.ask("tick", symbol="NOTHING") is None
    stage.broker.market.drop("ETHUSD")
    assert await worker.ask("tick", symbol="ETHUSD") is None


def move(symbol: str, side: str, opened: str, closed: str, volume: str = "1") -> dict[str, Any]:
    return {"symbol": symbol, "side": side, "volume": volume, "open_price": opened, "close_price": closed}


async def test_results_to_the_cent(stage: Stage) -> None:
    worker = await stage.worker()
    stage.broker.set_price("USDJPY", D("107.23"), D("107.25"))
    for asked, result in [
            (move("EURUSD", "buy", "1.10000", "1.10300"), "300.00"), (move("GBPUSD", "buy", "1.3", "1.303"), "300.00"),
            (move("USDJPY", "buy", "108.183", "108.483"), "276.54"),
            (move("USDJPY", "sell", "108.179", "107.879"), "278.09"),
            (move("EURJPY", "buy", "131.57", "132.16", "4"), "2200.67"),
            (move("XAUUSD", "buy", "2500", "2510"), "1000.00"), (move("EURUSD", "buy", "1.1", "1.0999"), "-10.00")]:
        assert await worker.ask("loss", **asked) == result, asked
    assert await worker.ask("loss", **move("NOTHING", "buy", "1", "2")) is None
    stage.broker.market.drop("AUDUSD")
    stage.broker.market.drop("EURAUD")
    assert await worker.ask("loss", **move("GBPAUD", "buy", "1.9", "1.91")) is None
