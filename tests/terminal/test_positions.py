"""Positions at the paper broker: stops, targets, closing, margin, and the deals that tell of them."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from terminal.protocol import DealEntry, DealReason, OrderType, ResultStatus, Side
from tests.terminal.stage import Stage

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


async def reasons(stage: Stage) -> list[tuple[DealReason, Decimal, Decimal, Decimal]]:
    return [(deal.reason, deal.volume, deal.price, deal.profit) for deal in await stage.deals()
            if deal.entry == DealEntry.OUT]


# Entry at 1.10008 (buy) or 1.10000 (sell), 0.10 lots: a point is ten cents.
@pytest.mark.parametrize(("side", "stop", "target", "bid", "ask", "reason", "price", "profit"), [
    (BUY, "1.09908", None, "1.09908", "1.09916", DealReason.STOP_LOSS, "1.09908", "-10.00"),
    (BUY, None, "1.10108", "1.10108", "1.10116", DealReason.TAKE_PROFIT, "1.10108", "10.00"),
    (SELL, "1.10100", None, "1.10092", "1.10100", DealReason.STOP_LOSS, "1.10100", "-10.00"),
    (SELL, None, "1.09900", "1.09892", "1.09900", DealReason.TAKE_PROFIT, "1.09900", "10.00"),
    (BUY, "1.09908", None, "1.08000", "1.08008", DealReason.STOP_LOSS, "1.08000", "-200.80"),
    (SELL, "1.10100", None, "1.12000", "1.12008", DealReason.STOP_LOSS, "1.12008", "-200.80"),
    (BUY, None, "1.10108", "1.12008", "1.12016", DealReason.TAKE_PROFIT, "1.12008", "200.00"),
])
async def test_stops_and_targets_close_at_the_market_gaps_included(
        sqlite_stage: Stage, side: Side, stop: str | None, target: str | None, bid: str, ask: str, reason: DealReason,
        price: str, profit: str) -> None:
    stage = sqlite_stage
    await stage.send(side=side, stop_loss=D(stop) if stop else None, take_profits=(D(target),) if target else ())
    await stage.move(bid, ask)
    assert await stage.positions() == []
    assert await reasons(stage) == [(reason, D("0.10"), D(price), D(profit))]
    assert await stage.balance() == 10_000 + D(profit)
    await stage.move(bid, ask)
    assert len(await reasons(stage)) == 1 and await stage.balance() == 10_000 + D(profit)


@pytest.mark.parametrize(("side", "bid", "ask"), [(BUY, "1.09909", "1.10107"), (SELL, "1.09901", "1.10099")])
async def test_only_the_closing_side_of_the_quote_counts(sqlite_stage: Stage, side: Side, bid: str, ask: str) -> None:
    """A wide spread hurts nobody whose stop the closing price has not reached."""
    stop, target = (D("1.09908"), D("1.10107")) if side == BUY else (D("1.10100"), D("1.09901"))
    await sqlite_stage.send(side=side, stop_loss=stop, take_profits=(target,))
    await sqlite_stage.move(bid, ask)
    assert len(await sqlite_stage.positions()) == 1


async def test_targets_are_met_one_after_the_other(stage: Stage) -> None:
    await stage.send(volume=D("0.05"), stop_loss=D("1.09000"), take_profits=(D("1.10108"), D("1.10208"), D("1.10308")))
    (position,) = await stage.positions()
    assert position.take_profit == D("1.10108")
    await stage.move("1.10108")
    (position,) = await stage.positions()
    assert (position.volume, position.take_profit) == (D("0.03"), D("1.10208"))
    await stage.move("1.10208")
    (position,) = await stage.positions()
    assert (position.volume, position.take_profit) == (D("0.01"), D("1.10308"))
    await stage.move("1.08000")
    assert await reasons(stage) == [
        (DealReason.TAKE_PROFIT, D("0.02"), D("1.10108"), D("2.00")),
        (DealReason.TAKE_PROFIT, D("0.02"), D("1.10208"), D("4.00")),
        (DealReason.STOP_LOSS, D("0.01"), D("1.08000"), D("-20.08"))]
    assert [deal.remaining_volume for deal in await stage.deals()] == [D("0.05"), D("0.03"), D("0.01"), 0]


async def test_a_gap_over_several_targets_meets_them_all(sqlite_stage: Stage) -> None:
    await sqlite_stage.send(volume=D("0.05"), take_profits=(D("1.10108"), D("1.10208"), D("1.10308")))
    await sqlite_stage.move("1.10250")
    (position,) = await sqlite_stage.positions()
    assert position.volume == D("0.01")
    assert [price for _, _, price, _ in await reasons(sqlite_stage)] == [D("1.10250")] * 2
    await sqlite_stage.move("1.11000")
    assert await sqlite_stage.positions() == []


async def test_a_position_is_closed_in_parts_and_whole(stage: Stage) -> None:
    ticket = (await stage.send()).ticket
    assert ticket is not None
    await stage.move("1.10108")
    for volume in (D("0.11"), D("0.001"), D(0), D("-0.01")):
        assert (await stage.gateway.close(stage.ref, ticket, volume)).retcode == 10038
    part = await stage.gateway.close(stage.ref, ticket, D("0.04"))
    assert (part.status, part.volume, part.price) == (ResultStatus.FILLED, D("0.04"), D("1.10108"))
    (position,) = await stage.positions()
    assert position.volume == D("0.06") and await stage.balance() == D("10004.00")
    whole = await stage.gateway.close(stage.ref, ticket)
    assert (whole.retcode, whole.volume) == (10009, D("0.06"))
    assert (await stage.gateway.close(stage.ref, ticket)).retcode == 10036
    assert await stage.positions() == [] and await stage.balance() == D("10010.00")
    assert [deal.side for deal in await stage.deals()] == [BUY, SELL, SELL]


async def test_closed_from_everywhere_at_once_it_is_closed_once(stage: Stage) -> None:
    ticket = (await stage.send(take_profits=(D("1.10108"),))).ticket
    assert ticket is not None
    stage.quotes.set_price("EURUSD", D("1.10108"), D("1.10116"))
    await asyncio.gather(*(stage.gateway.close(stage.ref, ticket) for _ in range(5)),
                         *(stage.gateway.evaluate({"EURUSD"}, datetime.now(UTC)) for _ in range(5)))
    assert len(await reasons(stage)) == 1 and await stage.balance() == D("10010.00")


async def test_two_terminals_on_one_book_close_a_position_once(stage: Stage) -> None:
    """Another process that remembers the same position: the book decides, not the memory."""
    ticket = (await stage.send()).ticket
    other = type(stage.gateway)(stage.gateway._database, stage.quotes, leverage=100, step_seconds=1.0)
    await other.load(datetime.now(UTC))
    stage.quotes.set_price("EURUSD", D("1.10108"), D("1.10116"))
    assert ticket is not None
    results = [await terminal.close(stage.ref, ticket) for terminal in (stage.gateway, other)]
    assert [result.retcode for result in results] == [10009, 10036] and await stage.balance() == D("10010.00")


async def test_the_accounts_figures_add_up(stage: Stage) -> None:
    fresh = await stage.gateway.account(stage.ref)
    assert (fresh.equity, fresh.margin, fresh.free_margin, fresh.margin_level) == (10_000, 0, 10_000, None)
    await stage.send(1)
    await stage.send(2, side=SELL, volume=D("0.20"))
    await stage.move("1.10100", "1.10108")
    account, held = await stage.gateway.account(stage.ref), await stage.positions()
    # 0.10 bought at 1.10008 wins 9.20; 0.20 sold at 1.10000 loses 21.60. Margin: 30,000 euros at 1:100, at 1.10104.
    assert [position.profit for position in held] == [D("9.20"), D("-21.60")]
    assert (account.balance, account.equity) == (10_000, D("9987.60"))
    assert (account.margin, account.free_margin) == (D("330.31"), D("9657.29"))
    assert account.margin_level == D("3023.71") and account.margin_mode == "hedging" and account.leverage == 100


async def test_profit_in_another_currency_is_converted(sqlite_stage: Stage) -> None:
    sqlite_stage.quotes.set_price("USDJPY", D("150.000"), D("150.009"))
    await sqlite_stage.send(1, symbol="USDJPY")
    await sqlite_stage.move("151.009", "151.018", symbol="USDJPY")
    (position,) = await sqlite_stage.positions()
    assert position.profit == D("66.22"), "10,000 yen at the price of the close"
    lost = await sqlite_stage.gateway.loss_at(sqlite_stage.ref, "USDJPY", BUY, D("0.10"), D("150"), D("149"))
    assert lost is not None and lost.quantize(D("0.01")) == D("-67.11")


async def test_a_margin_that_is_used_up_closes_the_worst_position(sqlite_stage: Stage) -> None:
    await sqlite_stage.send(1, volume=D("4.00"))
    await sqlite_stage.send(2, volume=D("1.00"))
    await sqlite_stage.move("1.08600", "1.08608")
    await sqlite_stage.gateway.market.stop_out(datetime.now(UTC))
    assert len(await sqlite_stage.positions()) == 2, "equity of 2,960 is more than half of the margin"
    await sqlite_stage.move("1.08400", "1.08408")
    await sqlite_stage.gateway.market.stop_out(datetime.now(UTC))
    assert [position.magic for position in await sqlite_stage.positions()] == [2]
    ((reason, volume, _, _),) = await reasons(sqlite_stage)
    assert (reason, volume) == (DealReason.STOP_OUT, D("4.00"))


async def test_deals_are_read_by_cursor_without_gaps(stage: Stage) -> None:
    for magic in range(1, 6):
        await stage.send(magic, volume=D("0.01"))
    everything = await stage.deals()
    ids = [deal.id for deal in everything]
    assert ids == sorted(ids) and len(ids) == 5
    first = await stage.gateway.deals_since(0, 2)
    rest = await stage.gateway.deals_since(first[-1].id, 100)
    assert [*first, *rest] == list(everything) and await stage.gateway.deals_since(ids[-1], 10) == []


async def test_whoever_waits_for_deals_is_woken(sqlite_stage: Stage) -> None:
    waiting = asyncio.create_task(sqlite_stage.gateway.wait_for_deal())
    await asyncio.sleep(0)
    await sqlite_stage.send(1)
    await asyncio.wait_for(waiting, 90)


async def test_everything_survives_reopening_the_book(stage: Stage) -> None:
    await stage.send(1, stop_loss=D("1.09000"), take_profits=(D("1.10108"), D("1.10208")))
    await stage.send(2, order_type=OrderType.LIMIT, price=D("1.09500"))
    await stage.move("1.10108")
    before = [await stage.positions(), (await stage.gateway.account(stage.ref)).balance, await stage.deals()]
    await stage.gateway.market.keep_quotes(datetime.now(UTC))
    reopened = type(stage.gateway)(stage.gateway._database, stage.quotes, leverage=100, step_seconds=1.0)
    stage.quotes.set_price("EURUSD", D("1.30000"), D("1.30008"))
    await reopened.load(datetime.now(UTC))
    later = Stage(reopened, stage.quotes, stage.ref)
    assert stage.quotes.last()["EURUSD"] == (D("1.10108"), D("1.10108")), "the market goes on where it stood"
    assert [await later.positions(), (await reopened.account(stage.ref)).balance, await later.deals()] == before
    await later.move("1.10208")
    await later.move("1.09500")
    assert [position.magic for position in await later.positions()] == [2]
    assert [price for _, _, price, _ in await reasons(later)] == [D("1.10108"), D("1.10208")]
    assert (await later.send(1)).ticket == before[0][0].ticket


async def test_the_markets_clock_moves_fills_expires_and_stops(sqlite_stage: Stage) -> None:
    stage, stopping = sqlite_stage, asyncio.Event()
    stage.gateway.market.step_seconds = 0.01
    await stage.send(1, stop_loss=D("1.09000"))
    await stage.send(2, order_type=OrderType.LIMIT, price=D("1.00000"),
                     expires_at=datetime.now(UTC) + timedelta(seconds=0.2))
    running = asyncio.create_task(stage.gateway.run(stopping))
    stage.quotes.set_price("EURUSD", D("1.08000"), D("1.08008"))
    async with asyncio.timeout(20.0):
        while {deal.reason for deal in await stage.deals()} != {
                DealReason.SIGNAL, DealReason.STOP_LOSS, DealReason.EXPIRED}:
            await asyncio.sleep(0.02)
    stopping.set()
    await asyncio.wait_for(running, 90)
    reopened = type(stage.gateway)(stage.gateway._database, stage.quotes, leverage=100, step_seconds=1.0)
    last = stage.quotes.last()["EURUSD"]
    await reopened.load(datetime.now(UTC))
    assert stage.quotes.last()["EURUSD"] == last and last[0] < D("1.09000")
