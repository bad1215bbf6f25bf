"""Levels, waiting orders, limits and modes at the paper broker."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.database import Database
from terminal.paper.gateway import PaperGateway
from terminal.protocol import DealReason, OrderType, ResultStatus, Side, SymbolSpec, TradeMode
from tests.terminal.stage import Stage

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


def relist(stage: Stage, **changes: Any) -> None:
    listing = stage.quotes.listing("EURUSD")
    assert listing is not None
    stage.quotes.relist(replace(listing, spec=replace(listing.spec, **changes)))


# A position closes at 1.10000 when bought, at 1.10008 when sold; the stops level is 10 points.
@pytest.mark.parametrize(("side", "stop", "target", "retcode"), [
    (BUY, "1.09990", "1.10010", 10009), (BUY, "1.09991", None, 10016), (BUY, None, "1.10009", 10016),
    (BUY, "1.10100", None, 10016), (SELL, "1.10018", "1.09998", 10009), (SELL, "1.10017", None, 10016),
    (SELL, None, "1.09999", 10016), (SELL, None, None, 10025)])
async def test_levels_have_a_side_and_a_distance(sqlite_stage: Stage, side: Side, stop: str | None,
                                                 target: str | None, retcode: int) -> None:
    ticket = (await sqlite_stage.send(side=side)).ticket or 0
    levels = D(stop) if stop else None, D(target) if target else None
    result = await sqlite_stage.gateway.modify(sqlite_stage.ref, ticket, *levels)
    assert result.retcode == retcode
    (position,) = await sqlite_stage.positions()
    expected = levels if retcode == 10009 else (None, None)
    assert (position.stop_loss, position.take_profit) == expected


async def test_a_moved_stop_is_the_one_that_counts(stage: Stage) -> None:
    ticket = (await stage.send(stop_loss=D("1.09900"), take_profits=(D("1.10500"),))).ticket or 0
    assert (await stage.gateway.modify(stage.ref, ticket, D("1.09500"), D("1.10500"))).status == ResultStatus.FILLED
    assert (await stage.gateway.modify(stage.ref, ticket, D("1.09500"), D("1.10500"))).retcode == 10025
    await stage.move("1.09800")
    assert len(await stage.positions()) == 1
    await stage.move("1.09500")
    assert await stage.positions() == []
    assert (await stage.gateway.modify(stage.ref, ticket, None, None)).retcode == 10036


async def test_a_broker_that_remembers_the_old_stop_does_not_execute_it(stage: Stage, database: Database) -> None:
    ticket = (await stage.send(stop_loss=D("1.09900"))).ticket or 0
    other = PaperGateway(database, stage.quotes, leverage=100, step_seconds=1.0)
    await other.reread()
    await stage.gateway.modify(stage.ref, ticket, D("1.09500"), None)
    stage.quotes.set_price("EURUSD", D("1.09800"), D("1.09808"))
    await other.evaluate({"EURUSD"}, datetime.now(UTC))
    assert len(await stage.positions()) == 1
    await other.reread()
    stage.quotes.set_price("EURUSD", D("1.09400"), D("1.09408"))
    await other.evaluate({"EURUSD"}, datetime.now(UTC))
    assert await stage.positions() == [], "it has read how the position is now"


async def test_several_targets_stay_behind_a_moved_first_one(sqlite_stage: Stage) -> None:
    stage = sqlite_stage
    ticket = (await stage.send(volume=D("0.06"), take_profits=(D("1.10100"), D("1.10200"), D("1.10300")))).ticket or 0
    await stage.gateway.modify(stage.ref, ticket, D("1.09000"), D("1.10100"))
    await stage.gateway.modify(stage.ref, ticket, D("1.09000"), D("1.10250"))
    await stage.move("1.10250")
    (position,) = await stage.positions()
    assert (position.volume, position.take_profit) == (D("0.02"), D("1.10300"))
    await stage.gateway.modify(stage.ref, ticket, None, None)
    (position,) = await stage.positions()
    assert (position.stop_loss, position.take_profit) == (None, None)


async def test_moving_and_closing_at_once(stage: Stage) -> None:
    ticket = (await stage.send(stop_loss=D("1.09900"))).ticket or 0
    results = await asyncio.gather(
        *(stage.gateway.modify(stage.ref, ticket, D("1.09000") + D(n).scaleb(-4), None) for n in range(6)),
        *(stage.gateway.close(stage.ref, ticket, D("0.02")) for _ in range(8)))
    closed = [result for result in results[6:] if result.retcode == 10009]
    assert len(closed) == 5 and await stage.positions() == []
    assert [deal.remaining_volume for deal in await stage.deals()] == [
        D("0.10"), D("0.08"), D("0.06"), D("0.04"), D("0.02"), 0]


async def test_a_waiting_order_is_listed_and_withdrawn_once(stage: Stage) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    placed = await stage.send(5, order_type=OrderType.LIMIT, price=D("1.09000"), stop_loss=D("1.08000"),
                              take_profits=(D("1.11000"),), expires_at=until)
    (waiting,) = await stage.gateway.orders(stage.ref)
    assert (waiting.ticket, waiting.magic, waiting.price, waiting.take_profit, waiting.expires_at) == (
        placed.ticket, 5, D("1.09000"), D("1.11000"), until)
    assert placed.ticket is not None
    other = await stage.gateway.open_account("1002", currency="USD", deposit=D(100), now=datetime.now(UTC))
    assert (await stage.gateway.cancel(other, placed.ticket)).retcode == 10013
    results = await asyncio.gather(*(stage.gateway.cancel(stage.ref, placed.ticket) for _ in range(5)))
    assert sorted(result.retcode for result in results) == [10009, 10013, 10013, 10013, 10013]
    await stage.move("1.08900")
    assert await stage.positions() == [] and await stage.gateway.orders(stage.ref) == []
    assert [(deal.reason, deal.volume) for deal in await stage.deals()] == [(DealReason.CANCELLED, 0)]
    found = await stage.gateway.find(stage.ref, 5)
    assert found is not None and found.status == ResultStatus.REJECTED


@pytest.mark.parametrize(("mode", "buy", "sell", "close"), [
    (TradeMode.FULL, 10009, 10009, 10009), (TradeMode.LONG_ONLY, 10009, 10042, 10009),
    (TradeMode.SHORT_ONLY, 10043, 10009, 10009), (TradeMode.CLOSE_ONLY, 10044, 10044, 10009),
    (TradeMode.DISABLED, 10017, 10017, 10017)])
async def test_what_may_be_done_with_a_symbol(sqlite_stage: Stage, mode: TradeMode, buy: int, sell: int,
                                              close: int) -> None:
    ticket = (await sqlite_stage.send(1)).ticket or 0
    relist(sqlite_stage, trade_mode=mode)
    results = [await sqlite_stage.send(2), await sqlite_stage.send(3, side=SELL),
               await sqlite_stage.gateway.close(sqlite_stage.ref, ticket)]
    assert [result.retcode for result in results] == [buy, sell, close]


async def test_no_more_than_the_limit_in_one_direction(sqlite_stage: Stage) -> None:
    relist(sqlite_stage, volume_limit=D("0.30"))
    codes = [(await sqlite_stage.send(magic, side=side, order_type=kind, price=price, volume=D("0.10"))).retcode
             for magic, side, kind, price in [
                 (1, BUY, OrderType.MARKET, None), (2, BUY, OrderType.LIMIT, D("1.09000")),
                 (3, BUY, OrderType.MARKET, None), (4, BUY, OrderType.MARKET, None),
                 (5, SELL, OrderType.MARKET, None), (6, BUY, OrderType.STOP, D("1.11000"))]]
    assert codes == [10009, 10008, 10009, 10034, 10009, 10034]


async def test_a_rest_below_the_minimum_cannot_stay(sqlite_stage: Stage) -> None:
    relist(sqlite_stage, volume_min=D("0.05"))
    ticket = (await sqlite_stage.send()).ticket or 0
    assert (await sqlite_stage.gateway.close(sqlite_stage.ref, ticket, D("0.06"))).retcode == 10038
    assert (await sqlite_stage.gateway.close(sqlite_stage.ref, ticket, D("0.05"))).retcode == 10009


async def test_every_symbol_with_a_price_is_listed(sqlite_stage: Stage) -> None:
    listed = await sqlite_stage.gateway.symbols(sqlite_stage.ref)
    assert {spec.name for spec in listed} == set(sqlite_stage.quotes.symbols())
    assert all(isinstance(spec, SymbolSpec) for spec in listed)


async def test_deals_of_one_account_since_a_moment(sqlite_stage: Stage) -> None:
    other = await sqlite_stage.gateway.open_account("1002", currency="USD", deposit=D(1000), now=datetime.now(UTC))
    before = datetime.now(UTC)
    await sqlite_stage.send(1)
    between = datetime.now(UTC)
    ticket = (await sqlite_stage.positions())[0].ticket
    await sqlite_stage.gateway.close(sqlite_stage.ref, ticket)
    deals = sqlite_stage.gateway.deals
    assert [d.position_id for d in await deals(sqlite_stage.ref, before)] == [ticket, ticket]
    assert [d.entry for d in await deals(sqlite_stage.ref, between)] == ["out"]
    assert await deals(other, before) == []
