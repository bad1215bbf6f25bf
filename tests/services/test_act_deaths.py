"""Acts whose process dies on the way: whoever comes after brings each of them to one end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import insert, select

from models.database import Database
from models.position import ActKind, ActStatus, PositionAct
from services import accounts, acting, recovery
from services.acting import LEASE, RETRY
from services.desk import Desk
from terminal.paper.quotes import QuoteFeed
from tests.services.acts_stage import Trader, opened
from tests.services.gateways import AWAY

D = Decimal


@pytest.fixture
async def trader(desk: Desk, quotes: QuoteFeed, now: datetime) -> Trader:
    return await opened(desk, quotes, now)


async def _die_after_intent(trader: Trader, act_id: int) -> None:
    """Nothing but the intent was written."""


async def _die_before_asking(trader: Trader, act_id: int) -> None:
    async with trader.desk.database.writing() as session:
        assert await acting.mark_sent(session, act_id, "dead", D("0.10"), D("0.04"), trader.now)


async def _die_after_asking(trader: Trader, act_id: int) -> None:
    await _die_before_asking(trader, act_id)
    await trader.line.close(accounts.ref(trader.account), trader.ticket, D("0.04"))


Death = Callable[[Trader, int], Awaitable[None]]


@pytest.mark.parametrize(("die", "outcome"), [
    (_die_after_intent, "done"), (_die_before_asking, "refused"), (_die_after_asking, "done")])
@pytest.mark.parametrize("restarts", [True, False])
async def test_a_death_anywhere_closes_the_part_at_most_once(trader: Trader, die: Death, outcome: str,
                                                            restarts: bool) -> None:
    async with trader.desk.database.writing() as session:
        act_id = await session.scalar(insert(PositionAct).values(
            user_id=trader.user_id, account_id=trader.account.id, ticket=trader.ticket, symbol="EURUSD",
            kind=ActKind.CLOSE, door="app", status=ActStatus.QUEUED, position_volume=D("0.10"), volume=D("0.04"),
            attempts=0, lease_owner="dead", lease_until=trader.now + LEASE, next_try_at=trader.now,
            created_at=trader.now, updated_at=trader.now).returning(PositionAct.id))
    assert act_id is not None
    await die(trader, act_id)
    assert await trader.loop() == 0, "its lease is respected"
    ready = LEASE - timedelta(seconds=1) if not restarts else timedelta(seconds=1)
    if restarts:
        async with trader.desk.database.writing() as session:
            await recovery.release_leases(session, trader.now)
    else:
        assert await trader.loop(ready) == 0
        ready = LEASE
    # A lease that has run out by itself leaves no time to send what was never sent.
    expected = "refused" if die is _die_after_intent and not restarts else outcome
    await trader.loop(ready)
    for seconds in (35, 70):
        await trader.loop(timedelta(seconds=seconds))
    ended = await trader.act()
    assert ended.status == expected
    assert await trader.volume() == (D("0.06") if expected == "done" else D("0.10"))
    assert [word["status"] for word in await trader.told()] == [expected]


async def test_many_heirs_bring_an_act_to_one_end(trader: Trader) -> None:
    trader.line.before["close"] = AWAY
    await trader.close("0.04")
    trader.line.before.clear()
    await asyncio.gather(*(trader.loop(RETRY, owner=f"h{number}") for number in range(6)))
    assert (await trader.act()).status == "done" and await trader.volume() == D("0.06")
    assert trader.line.calls["close"] == 2 and len(await trader.told()) == 1


class Killed(BaseException):
    """Where it strikes nothing goes on."""


class Points:
    """Round every transaction: dies before it, inside it with everything done but the commit, or after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, moment: str) -> None:
        self.left, self.moment, self.has_struck = number, moment, False
        writing = Database.writing

        @asynccontextmanager
        async def watched(database: Database) -> AsyncIterator[Any]:
            self.left -= 1
            here = self.left == 0
            self._strike(here and moment == "before")
            async with writing(database) as session:
                yield session
                self._strike(here and moment == "inside")
            self._strike(here and moment == "after")

        monkeypatch.setattr(Database, "writing", watched)

    def _strike(self, now: bool) -> None:
        if now or self.has_struck:
            self.has_struck = True
            raise Killed


@pytest.mark.parametrize("moment", ["before", "inside", "after"])
@pytest.mark.parametrize("asked", ["part", "levels"])
async def test_killed_round_any_transaction_it_comes_to_one_end(trader: Trader, moment: str, asked: str) -> None:
    """The broker's own transaction is one of them, so its answer is lost before and after it was carried out too."""
    number, ends = 0, []
    while True:
        number += 1
        before, stop = await trader.volume(), D("1.06") + D(number).scaleb(-4)
        with pytest.MonkeyPatch.context() as patch:
            points = Points(patch, number, moment)
            work = trader.close("0.01") if asked == "part" else trader.modify(stop_loss=stop)
            task = asyncio.create_task(work)
            async with asyncio.timeout(60):
                while not task.done() and not points.has_struck:
                    await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await asyncio.sleep(0.05)
        if not points.has_struck:
            break
        async with trader.desk.database.writing() as session:
            await recovery.release_leases(session, trader.now)
        for second in (1, 4, 35, 70):
            await trader.loop(timedelta(seconds=second))
        async with trader.desk.database.reading() as session:
            act = (await session.scalars(select(PositionAct).order_by(PositionAct.id.desc()).limit(1))).one_or_none()
        position = await trader.position()
        assert position is not None
        was_done = position.volume < before if asked == "part" else position.stop_loss == stop
        assert before - position.volume in (0, D("0.01"))
        if act is None or act.created_at != trader.now:
            assert not was_done, "nothing is done that was not written"
        else:
            assert (act.status == "done") == was_done and act.status in ("done", "refused")
            ends.append(act.status)
        trader.now += timedelta(minutes=5)
    assert number >= 5 and "done" in ends, (number, ends)
