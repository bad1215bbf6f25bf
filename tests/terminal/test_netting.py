"""Netting accounts of the paper broker: one position a symbol, reckoned here a second way from the orders alone."""

import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from models.database import Database
from terminal.paper.gateway import PaperGateway
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import Deal, DealEntry, OrderType, Side
from tests.terminal.stage import Stage, order

D = Decimal
BUY, SELL, IN, OUT, INOUT = Side.BUY, Side.SELL, DealEntry.IN, DealEntry.OUT, DealEntry.INOUT


@pytest.fixture
async def netting(database: Database, quotes: QuoteFeed) -> Stage:
    return await _open(database, quotes)


@pytest.fixture
async def sqlite_netting(sqlite_database: Database, quotes: QuoteFeed) -> Stage:
    return await _open(sqlite_database, quotes)


async def _open(database: Database, quotes: QuoteFeed) -> Stage:
    gateway = PaperGateway(database, quotes, leverage=100, step_seconds=1.0)
    stage = await Stage.open(gateway, quotes)
    ref = await gateway.open_account("2001", currency="USD", deposit=D(10_000), now=datetime.now(UTC),
                                     margin_mode="netting")
    stage.quotes.set_price("EURUSD", D("1.10000"), D("1.10000"))
    return Stage(gateway, stage.quotes, ref)


def said(deals: list[Deal] | tuple[Deal, ...]) -> list[tuple[DealEntry, Decimal, Decimal, Decimal]]:
    return [(deal.entry, deal.volume, deal.profit, deal.remaining_volume or D(0)) for deal in deals]


async def test_adding_averages_closing_a_part_keeps_the_entry_and_too_much_reverses(netting: Stage) -> None:
    assert (await netting.gateway.account(netting.ref)).margin_mode == "netting"
    first = await netting.send(1, volume=D("0.10"))
    await netting.move("1.10300")
    added = await netting.send(2, volume=D("0.20"))
    (held,) = await netting.positions()
    assert added.ticket == first.ticket and (held.volume, held.entry_price) == (D("0.30"), D("1.10200"))
    await netting.move("1.10400")
    await netting.send(3, side=SELL, volume=D("0.10"))
    (held,) = await netting.positions()
    assert (held.side, held.volume, held.entry_price, held.magic) == (BUY, D("0.20"), D("1.10200"), 1)
    turned = await netting.send(4, side=SELL, volume=D("0.50"))
    (held,) = await netting.positions()
    assert (held.side, held.volume, held.entry_price) == (SELL, D("0.30"), D("1.10400"))
    assert held.ticket == turned.ticket != first.ticket and held.identifier == first.ticket, "the name of it all stays"
    deals = await netting.gateway.deals(netting.ref, datetime(2000, 1, 1, tzinfo=UTC))
    assert said(list(deals)) == [(IN, D("0.10"), D(0), D("0.10")), (IN, D("0.20"), D(0), D("0.30")),
                                 (OUT, D("0.10"), D("20.00"), D("0.20")), (INOUT, D("0.50"), D("40.00"), D("0.30"))]
    assert [deal.magic for deal in deals] == [1, 2, 3, 4] and {deal.position_id for deal in deals} == {first.ticket}
    assert await netting.balance() == D("10060.00")
    assert (await netting.gateway.close(netting.ref, held.ticket)).retcode == 10009
    assert await netting.positions() == [] and (await netting.gateway.account(netting.ref)).margin == 0


async def test_the_stop_of_the_last_order_holds_and_one_without_leaves_it(sqlite_netting: Stage) -> None:
    stage = sqlite_netting
    await stage.send(1, stop_loss=D("1.09000"))
    await stage.send(2)
    await stage.send(3, stop_loss=D("1.09500"), take_profits=(D("1.10500"), D("1.11000")))
    (held,) = await stage.positions()
    assert (held.volume, held.stop_loss, held.take_profit) == (D("0.30"), D("1.09500"), D("1.10500"))
    await stage.move("1.10500")
    (held,) = await stage.positions()
    assert (held.volume, held.take_profit) == (D("0.15"), D("1.11000"))
    await stage.move("1.09500")
    assert await stage.positions() == []


async def test_a_waiting_order_nets_when_it_is_reached(sqlite_netting: Stage) -> None:
    stage = sqlite_netting
    await stage.send(1, volume=D("0.10"))
    await stage.send(2, side=SELL, order_type=OrderType.LIMIT, price=D("1.10100"), volume=D("0.25"))
    await stage.move("1.10100")
    (held,) = await stage.positions()
    assert (held.side, held.volume) == (SELL, D("0.15"))
    found = await stage.gateway.find(stage.ref, 2)
    assert found is not None and found.ticket == held.ticket


async def test_reversing_asks_for_the_margin_of_what_is_left_only(sqlite_netting: Stage) -> None:
    stage = sqlite_netting
    assert (await stage.send(1, volume=D("8.00"))).retcode == 10009
    assert (await stage.send(2, side=SELL, volume=D("16.00"))).retcode == 10009
    assert (await stage.send(3, volume=D("20.00"))).retcode == 10019
    assert (await stage.send(4, volume=D("8.00"))).retcode == 10009 and await stage.positions() == []


@pytest.mark.parametrize("seed", range(6))
async def test_random_orders_come_to_what_a_ledger_says(sqlite_netting: Stage, seed: int) -> None:
    stage, dice = sqlite_netting, random.Random(seed)
    held, cost, gained, price = D(0), D(0), D(0), D("1.10000")
    for magic in range(1, 41):
        price = D(dice.randint(109_000, 111_000)).scaleb(-5)
        await stage.move(str(price))
        side, lots = dice.choice([BUY, SELL]), D(dice.randint(1, 30)).scaleb(-2)
        assert (await stage.gateway.send(stage.ref, order(magic, side=side, volume=lots))).retcode == 10009
        signed = lots if side == BUY else -lots
        if held * signed >= 0:
            held, cost = held + signed, cost + signed * price
        else:
            closed = min(abs(signed), abs(held)) * (1 if held > 0 else -1)
            entry = cost / held
            gained += (closed * (price - entry) * 100_000).quantize(D("0.01"))
            held, cost = held + signed, (held - closed) * entry + (signed + closed) * price
        positions = await stage.positions()
        assert sum((p.volume * (1 if p.side == BUY else -1) for p in positions), D(0)) == held
        assert len(positions) == (held != 0)
        if positions:
            assert abs(positions[0].entry_price - cost / held) < D("1e-8")
    assert abs(await stage.balance() - 10_000 - gained) <= D("0.25"), "a cent of rounding a deal at most"
    account = await stage.gateway.account(stage.ref)
    assert account.equity - account.balance == sum((p.profit + p.swap for p in await stage.positions()), D(0))
