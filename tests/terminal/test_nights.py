"""Swaps and commissions at the paper broker: each night once, three on Wednesday, also after a long silence."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import update

from models.database import Database
from terminal.paper import tables
from terminal.paper.gateway import PaperGateway
from terminal.paper.market import nights_between
from terminal.protocol import Side
from tests.terminal.stage import Stage

D = Decimal
MONDAY = datetime(2026, 11, 23, 15, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def midnight(days: int) -> datetime:
    """So many nights after that Monday."""
    return MONDAY.replace(hour=0) + DAY * days


async def opened_on(stage: Stage, database: Database, at: datetime) -> None:
    async with database.writing() as session:
        await session.execute(update(tables.positions).values(opened_at=at))
    stage.gateway._floor._read_up_to = None
    await stage.gateway.reread()


async def swap(stage: Stage) -> Decimal:
    (position,) = await stage.positions()
    return position.swap


@pytest.mark.parametrize(("since", "until", "nights"), [
    (MONDAY, midnight(1), 1), (MONDAY, midnight(2), 2), (MONDAY, midnight(3), 5), (MONDAY, midnight(5), 7),
    (MONDAY, midnight(7), 7), (MONDAY, midnight(14), 14), (MONDAY + DAY * 5, midnight(7), 0),
    (midnight(1), midnight(1), 0), (MONDAY, MONDAY + HOUR, 0)])
def test_a_week_has_seven_nights_wednesday_three_the_weekend_none(since: datetime, until: datetime,
                                                                  nights: int) -> None:
    assert nights_between(since, until) == nights


# A lot of EURUSD: 7.3 points a night long, 1.3 points in favour short; a point is a dollar.
@pytest.mark.parametrize(("side", "night"), [(Side.BUY, "-7.30"), (Side.SELL, "1.30")])
async def test_each_night_is_charged_once(stage: Stage, database: Database, side: Side, night: str) -> None:
    await stage.send(side=side, volume=D("1.00"))
    await opened_on(stage, database, MONDAY)
    await stage.gateway.market.roll_over(MONDAY + HOUR)
    assert await swap(stage) == 0
    for moment in (midnight(1), midnight(1) + HOUR, midnight(1) + HOUR * 20):
        await stage.gateway.market.roll_over(moment)
        assert await swap(stage) == D(night)
    await stage.gateway.market.roll_over(midnight(3))
    assert await swap(stage) == D(night) * 5, "Tuesday, and Wednesday three times"
    account = await stage.gateway.account(stage.ref)
    (position,) = await stage.positions()
    assert account.equity == account.balance + position.profit + position.swap
    assert account.net_deposits == D(10_000), "what a night costs is not paid out"


async def test_nights_of_a_broker_that_slept_are_charged_when_it_wakes(stage: Stage, database: Database) -> None:
    await stage.send(volume=D("1.00"))
    await opened_on(stage, database, MONDAY)
    await stage.gateway.market.roll_over(midnight(1))
    woken = PaperGateway(database, stage.quotes, leverage=100, step_seconds=1.0)
    await woken.reread()
    await asyncio.gather(*(broker.market.roll_over(midnight(8)) for broker in (woken, stage.gateway)))
    assert await swap(stage) == D("-7.30") * 8, "whoever wakes, and however many"
    late = PaperGateway(database, stage.quotes, leverage=100, step_seconds=1.0)
    await late.reread()
    await late.market.roll_over(midnight(8) + HOUR)
    assert await swap(stage) == D("-7.30") * 8


async def test_swap_is_paid_out_with_what_is_closed(sqlite_stage: Stage, sqlite_database: Database) -> None:
    stage = sqlite_stage
    ticket = (await stage.send(volume=D("1.00"))).ticket
    assert ticket is not None
    await opened_on(stage, sqlite_database, MONDAY)
    await stage.gateway.market.roll_over(midnight(3))
    stage.quotes.set_price("EURUSD", D("1.10008"), D("1.10016"))
    await stage.gateway.close(stage.ref, ticket, D("0.25"))
    assert await swap(stage) == D("-27.37") and await stage.balance() == 10_000 - D("9.13")
    await stage.gateway.close(stage.ref, ticket)
    assert [deal.swap for deal in await stage.deals()] == [0, D("-9.13"), D("-27.37")]
    assert await stage.balance() == 10_000 - D("36.50")


async def test_swap_of_another_currency_is_converted(sqlite_stage: Stage, sqlite_database: Database) -> None:
    stage = sqlite_stage
    stage.quotes.set_price("USDJPY", D("150.000"), D("150.009"))
    await stage.send(symbol="USDJPY", side=Side.SELL, volume=D("1.00"))
    await opened_on(stage, sqlite_database, MONDAY)
    await stage.gateway.market.roll_over(midnight(1))
    assert await swap(stage) == D("-18.00"), "2,700 yen at the price it could be closed at"


async def test_commission_is_taken_on_both_sides(sqlite_stage: Stage) -> None:
    stage = sqlite_stage
    listing = stage.quotes.listing("EURUSD")
    assert listing is not None
    stage.quotes.relist(replace(listing, commission=D("3.50")))
    ticket = (await stage.send(volume=D("0.10"))).ticket
    assert ticket is not None and await stage.balance() == 10_000 - D("0.35")
    await stage.gateway.close(stage.ref, ticket, D("0.04"))
    assert [deal.commission for deal in await stage.deals()] == [D("-0.35"), D("-0.14")]
    assert await stage.balance() == 10_000 - D("0.49") - D("0.32"), "and 8 points of spread"
