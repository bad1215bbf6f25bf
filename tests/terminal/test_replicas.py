"""Several brokers on one book: what one opened the others watch too, and none gets in another's way."""

import asyncio
import copy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select

from models.database import Database
from terminal.paper import tables
from terminal.paper.gateway import PaperGateway
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import DealReason, OrderType
from tests.terminal.stage import ASK, BID, Stage, order

D = Decimal


@pytest.fixture
async def pair(database: Database, quotes: QuoteFeed) -> tuple[Stage, Stage]:
    """Two processes with a market each, opened before anything was traded."""
    both = []
    for feed in (quotes, copy.deepcopy(quotes)):
        gateway = PaperGateway(database, feed, leverage=100, step_seconds=1.0)
        both.append(await Stage.open(gateway, feed))
    return both[0], both[1]


async def test_a_stop_is_executed_though_the_broker_that_opened_it_is_gone(pair: tuple[Stage, Stage]) -> None:
    gone, left = pair
    await gone.send(stop_loss=D("1.09900"))
    await left.gateway.reread()
    await left.move("1.09900")
    assert [deal.reason for deal in await left.deals()] == [DealReason.SIGNAL, DealReason.STOP_LOSS]


async def test_a_waiting_order_is_filled_though_the_broker_that_took_it_is_gone(pair: tuple[Stage, Stage]) -> None:
    gone, left = pair
    await gone.send(order_type=OrderType.LIMIT, price=D("1.09900"))
    await left.gateway.reread()
    await left.move("1.09890")
    assert len(await left.positions()) == 1


async def test_what_one_has_half_closed_the_other_closes_whole(pair: tuple[Stage, Stage]) -> None:
    first, second = pair
    await first.send(volume=D("0.04"), stop_loss=D("1.09900"), take_profits=(D("1.10100"), D("1.10200")))
    await second.gateway.reread()
    await first.move("1.10100")
    await second.move("1.10100")  # it was not as remembered: nothing is done
    await second.gateway.reread()
    await second.move("1.09900")
    assert [(deal.reason, deal.remaining_volume) for deal in await second.deals()] == [
        (DealReason.SIGNAL, D("0.04")), (DealReason.TAKE_PROFIT, D("0.02")), (DealReason.STOP_LOSS, D(0))]
    await first.gateway.reread()
    await first.move("1.09900")
    assert len(await first.deals()) == 3


async def test_both_see_the_stop_at_once_and_it_is_executed_once(pair: tuple[Stage, Stage]) -> None:
    first, second = pair
    await first.send(stop_loss=D("1.09900"))
    await second.gateway.reread()
    await asyncio.gather(first.move("1.09900"), second.move("1.09900"))
    assert len(await first.deals()) == 2


async def test_rereading_keeps_what_is_opened_meanwhile(pair: tuple[Stage, Stage]) -> None:
    first, _ = pair
    await asyncio.gather(*(first.send(magic) for magic in range(1, 9)),
                         *(first.gateway.reread() for _ in range(8)))
    await first.gateway.reread()
    assert len(await first.positions()) == 8
    for position in await first.positions():
        assert (await first.gateway.close(first.ref, position.ticket)).error is None


async def test_running_brokers_find_what_others_opened_by_themselves(pair: tuple[Stage, Stage]) -> None:
    gone, left = pair
    stopping = asyncio.Event()
    running = asyncio.create_task(left.gateway.run(stopping))
    try:
        await gone.send(stop_loss=D("1.09000"))
        deadline = asyncio.get_running_loop().time() + 20
        while len(await left.deals()) < 2:
            assert asyncio.get_running_loop().time() < deadline, "the stop is not executed"
            left.quotes.set_price("EURUSD", D("1.08000"), D("1.08008"))
            await asyncio.sleep(0.1)
    finally:
        stopping.set()
        await running


async def test_all_keep_the_quotes_at_the_same_moment(pair: tuple[Stage, Stage], database: Database) -> None:
    now = datetime.now(UTC)
    for second in range(10):
        await asyncio.gather(*(stage.gateway.market.keep_quotes(now + timedelta(seconds=second)) for stage in pair))
    async with database.reading() as session:
        kept = await session.scalar(select(func.count()).select_from(tables.quotes))
        euro = (await session.execute(select(tables.quotes).where(tables.quotes.c.symbol == "EURUSD"))).one()
    assert kept == len(pair[0].quotes.last())
    assert (euro.bid, euro.ask) == (BID, ASK)


async def test_watching_margins_asks_the_book_once_however_many_trade(pair: tuple[Stage, Stage],
                                                                     database: Database) -> None:
    gateway, now = pair[0].gateway, datetime.now(UTC)
    for number in range(30):
        ref = await gateway.open_account(f"20{number}", currency="USD", deposit=D(1000), now=now)
        await gateway.send(ref, order(volume=D("0.90")))
    asked: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        await gateway.market.stop_out(now)
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert sum("paper_accounts" in statement for statement in asked) == 1
    pair[0].quotes.set_price("EURUSD", D("1.09000"), D("1.09008"))
    await gateway.market.stop_out(now)
    assert [deal.reason for deal in await pair[0].deals()].count(DealReason.STOP_OUT) == 30
