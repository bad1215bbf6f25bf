"""Orders at the paper broker: taken, refused, filled, and never twice."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from terminal.protocol import AccountRef, DealEntry, DealReason, GatewayError, OrderType, ResultStatus, Side
from tests.terminal.stage import ASK, BID, Stage, order

D = Decimal
BUY, SELL, LIMIT, STOP = Side.BUY, Side.SELL, OrderType.LIMIT, OrderType.STOP


@pytest.mark.parametrize(("side", "price"), [(BUY, ASK), (SELL, BID)])
async def test_a_market_order_is_filled_at_the_market(sqlite_stage: Stage, side: Side, price: Decimal) -> None:
    result = await sqlite_stage.send(side=side)
    (position,), (deal,) = await sqlite_stage.positions(), await sqlite_stage.deals()
    assert (result.status, result.retcode, result.price, result.volume) == (
        ResultStatus.FILLED, 10009, price, D("0.10"))
    assert result.ticket == position.ticket == deal.ticket
    assert (position.side, position.volume, position.entry_price, position.magic) == (side, D("0.10"), price, 1)
    assert (deal.entry, deal.reason, deal.price, deal.remaining_volume) == (
        DealEntry.IN, DealReason.SIGNAL, price, D("0.10"))
    assert position.profit == D("-0.80") and position.profit_points == -8, "the spread is the first loss"


@pytest.mark.parametrize(("side", "kind", "price", "wrong"), [
    (BUY, LIMIT, "1.09900", "1.10100"), (BUY, STOP, "1.10100", "1.09900"),
    (SELL, LIMIT, "1.10100", "1.09900"), (SELL, STOP, "1.09900", "1.10100")])
async def test_a_resting_order_waits_for_its_price(sqlite_stage: Stage, side: Side, kind: OrderType, price: str,
                                                   wrong: str) -> None:
    stage = sqlite_stage
    refused = await stage.send(1, side=side, order_type=kind, price=D(wrong))
    assert (refused.status, refused.retcode) == (ResultStatus.REJECTED, 10015)
    placed = await stage.send(2, side=side, order_type=kind, price=D(price))
    assert (placed.status, placed.retcode) == (ResultStatus.PLACED, 10008) and placed.ticket is not None
    away = D("0.0005") if D(price) < BID else D("-0.0005")
    await stage.move(str(D(price) + away))
    assert await stage.positions() == [] and await stage.deals() == []
    await stage.move(price)
    (position,) = await stage.positions()
    assert (position.entry_price, position.side, position.magic) == (D(price), side, 2)
    await stage.move(price)
    assert len(await stage.positions()) == 1


async def test_a_filled_order_goes_by_its_positions_ticket(stage: Stage) -> None:
    await stage.send(1)
    await stage.send(2, symbol="NOWHERE")
    await stage.send(3, order_type=LIMIT, price=D("1.09900"))
    await stage.move("1.09900")
    position = next(position for position in await stage.positions() if position.magic == 3)
    found = await stage.gateway.find(stage.ref, 3)
    assert found is not None and (found.status, found.retcode) == (ResultStatus.FILLED, 10009)
    assert (found.ticket, found.price, found.volume) == (position.ticket, D("1.09900"), D("0.10"))
    assert await stage.send(3, order_type=LIMIT, price=D("1.09900")) == found
    assert (await stage.gateway.close(stage.ref, found.ticket or 0)).status == ResultStatus.FILLED


@pytest.mark.parametrize(("side", "kind", "price", "gap", "filled"), [
    (BUY, LIMIT, "1.09900", "1.09500", "1.09500"), (BUY, STOP, "1.10100", "1.10500", "1.10500"),
    (SELL, LIMIT, "1.10100", "1.10500", "1.10500"), (SELL, STOP, "1.09900", "1.09500", "1.09500")])
async def test_a_gap_fills_at_what_the_market_gives(sqlite_stage: Stage, side: Side, kind: OrderType, price: str,
                                                    gap: str, filled: str) -> None:
    await sqlite_stage.send(side=side, order_type=kind, price=D(price))
    await sqlite_stage.move(gap)
    (position,) = await sqlite_stage.positions()
    assert position.entry_price == D(filled)


@pytest.mark.parametrize("volume", ["0", "-0.10", "0.001", "0.015", "100.01"])
async def test_volumes_outside_the_limits(sqlite_stage: Stage, volume: str) -> None:
    assert (await sqlite_stage.send(volume=D(volume))).retcode == 10014


# Stops level: 10 points; a position is closed at the other side of the quote.
@pytest.mark.parametrize(("side", "stop", "target", "retcode"), [
    (BUY, "1.09990", None, 10009), (BUY, "1.09991", None, 10016), (BUY, "1.10100", None, 10016),
    (BUY, None, "1.10010", 10009), (BUY, None, "1.10009", 10016), (BUY, None, "1.09900", 10016),
    (SELL, "1.10018", None, 10009), (SELL, "1.10017", None, 10016), (SELL, "1.09900", None, 10016),
    (SELL, None, "1.09998", 10009), (SELL, None, "1.09999", 10016), (SELL, None, "1.10100", 10016)])
async def test_stops_keep_their_distance_to_the_market(sqlite_stage: Stage, side: Side, stop: str | None,
                                                       target: str | None, retcode: int) -> None:
    result = await sqlite_stage.send(side=side, stop_loss=D(stop) if stop else None,
                                     take_profits=(D(target),) if target else ())
    assert result.retcode == retcode


@pytest.mark.parametrize(("stop", "targets", "retcode"), [
    ("1.09490", (), 10008), ("1.09491", (), 10016), (None, ("1.09510",), 10008), (None, ("1.09509",), 10016),
    (None, ("1.09600", "1.09400"), 10016)])
async def test_stops_of_resting_orders_keep_their_distance_to_its_price(sqlite_stage: Stage, stop: str | None,
                                                                        targets: tuple[str, ...],
                                                                        retcode: int) -> None:
    result = await sqlite_stage.send(order_type=LIMIT, price=D("1.09500"), stop_loss=D(stop) if stop else None,
                                     take_profits=tuple(map(D, targets)))
    assert result.retcode == retcode


async def test_a_symbol_without_a_price(sqlite_stage: Stage) -> None:
    result = await sqlite_stage.send(symbol="NOWHERE")
    assert (result.status, result.retcode, result.ticket) == (ResultStatus.REJECTED, 10021, None)
    assert await sqlite_stage.positions() == []
    assert await sqlite_stage.gateway.symbol(sqlite_stage.ref, "NOWHERE") is None


async def test_there_must_be_money_for_it(sqlite_stage: Stage) -> None:
    """At 1:100 a lot of euros at 1.10 takes 1,100 dollars: nine fit, ten do not."""
    assert (await sqlite_stage.send(1, volume=D("10.00"))).retcode == 10019
    assert (await sqlite_stage.send(2, volume=D("9.00"))).retcode == 10009
    assert (await sqlite_stage.send(3, volume=D("1.00"))).retcode == 10019
    assert len(await sqlite_stage.positions()) == 1


async def test_the_same_magic_is_the_same_order(stage: Stage) -> None:
    first = await stage.send(7)
    await stage.move("1.20000", "1.20008")
    assert await stage.send(7) == first
    assert await stage.gateway.find(stage.ref, 7) == first
    assert len(await stage.positions()) == 1 and len(await stage.deals()) == 1
    refused = await stage.send(8, symbol="NOWHERE")
    assert await stage.send(8) == refused, "a refusal is an answer too"


async def test_sent_many_times_at_once_it_is_executed_once(stage: Stage) -> None:
    results = await asyncio.gather(*(stage.send(7) for _ in range(20)))
    assert len(set(results)) == 1 and len(await stage.positions()) == 1


async def test_the_same_magic_of_another_account_is_another_order(stage: Stage) -> None:
    other = await stage.gateway.open_account("1002", currency="USD", deposit=D(10_000), now=datetime.now(UTC))
    await stage.send(7)
    await stage.gateway.send(other, order(7))
    assert len(await stage.positions()) == 1 and len(await stage.gateway.positions(other)) == 1
    (mine,) = await stage.positions()
    assert (await stage.gateway.close(other, mine.ticket)).retcode == 10036, "nobody closes another's position"


async def test_what_was_never_sent_is_not_found(sqlite_stage: Stage) -> None:
    assert await sqlite_stage.gateway.find(sqlite_stage.ref, 4711) is None


async def test_an_account_nobody_opened(sqlite_stage: Stage) -> None:
    terminal, ref = sqlite_stage.gateway, AccountRef("9999", sqlite_stage.ref.server)
    for asking in (terminal.account(ref), terminal.positions(ref), terminal.send(ref, order())):
        with pytest.raises(GatewayError) as caught:
            await asking
        assert caught.value.code == "unknown_account" and not caught.value.ambiguous
    assert await terminal.find(sqlite_stage.ref, 1) is None


async def test_opening_an_account_again_changes_nothing(sqlite_stage: Stage) -> None:
    await sqlite_stage.send(1)
    await sqlite_stage.move("1.09000")
    again = await sqlite_stage.gateway.open_account("1001", currency="EUR", deposit=D(5), now=datetime.now(UTC))
    account = await sqlite_stage.gateway.account(again)
    assert again == sqlite_stage.ref and (account.currency, account.balance) == ("USD", D(10_000))


async def test_a_resting_order_expires_and_says_so(stage: Stage) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=60)
    await stage.send(1, order_type=LIMIT, price=D("1.09900"), expires_at=soon)
    await stage.gateway.market.expire(soon - timedelta(seconds=1))
    assert await stage.deals() == []
    await stage.gateway.market.expire(soon)
    (deal,) = await stage.deals()
    assert (deal.reason, deal.volume, deal.magic) == (DealReason.EXPIRED, 0, 1)
    await stage.move("1.09000")
    found = await stage.gateway.find(stage.ref, 1)
    assert await stage.positions() == [] and found is not None and found.status == ResultStatus.REJECTED
    assert len(await stage.deals()) == 1


async def test_an_order_whose_time_is_over_is_not_filled_before_it_is_cleared_away(sqlite_stage: Stage) -> None:
    over = datetime.now(UTC) + timedelta(seconds=60)
    await sqlite_stage.send(1, order_type=LIMIT, price=D("1.09900"), expires_at=over)
    await sqlite_stage.move("1.09000", after=timedelta(seconds=60))
    assert await sqlite_stage.positions() == [] and await sqlite_stage.deals() == []
    await sqlite_stage.move("1.09000", after=timedelta(seconds=59))
    assert len(await sqlite_stage.positions()) == 1


async def test_an_order_that_is_too_late_already(sqlite_stage: Stage) -> None:
    result = await sqlite_stage.send(order_type=LIMIT, price=D("1.09900"), expires_at=datetime.now(UTC))
    assert result.retcode == 10022


async def test_a_resting_order_nobody_can_pay_for_is_refused_at_its_price(sqlite_stage: Stage) -> None:
    await sqlite_stage.send(1, order_type=LIMIT, price=D("1.09000"), volume=D("5.00"))
    await sqlite_stage.send(2, volume=D("9.00"))
    await sqlite_stage.move("1.09950", "1.09958")
    await sqlite_stage.move("1.09000", "1.09000")
    assert [position.magic for position in await sqlite_stage.positions()] == [2]
    last = (await sqlite_stage.deals())[-1]
    assert (last.magic, last.reason, last.volume) == (1, DealReason.REJECTED, 0)
