"""Targets on a netting account where replicas look at once, processes die, and brokers refuse or do not answer."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bot import positions
from services import accounts, acting, background, recovery, targets
from services.acting import LEASE
from services.targets import UNSEEN_PAUSE
from tests.running import until
from tests.services.test_act_deaths import Points
from tests.terminal_mt5.net_side import EVERY, LOGIN, NetSide
from tests.terminal_mt5.test_targets import FIRST, LAST, SHARE, overlay, side

__all__ = ["overlay", "side"]

D = Decimal


@pytest.fixture
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not show is given up after seconds instead of half a minute."""
    for name, seconds in {"RETRY": 0.2, "LOOK_AGAIN": 0.2, "GIVE_UP": 2.5}.items():
        monkeypatch.setattr(acting, name, timedelta(seconds=seconds))


async def test_replicas_that_look_at_once_take_a_target_once(side: NetSide) -> None:
    await side.open()
    side.price("1.09600")
    watchers = [side.watcher() for _ in range(5)]
    for _ in range(4):
        written = await asyncio.gather(*(side.look(watcher) for watcher in watchers))
        assert sum(written) <= 1
        await asyncio.gather(*(side.act(owner=f"replica{number}") for number in range(5)))
        await side.sync()
    assert side.taken() == [(1, SHARE, D("1.09600")), (2, SHARE, D("1.09600"))]


async def test_a_look_that_breaks_is_not_repeated_without_a_pause(side: NetSide) -> None:
    await side.open()
    watcher, account, now = side.watcher(), await side.account(), datetime.now(UTC)
    async with side.desk.database.writing() as session:
        await session.execute(text("ALTER TABLE equity_peaks RENAME TO put_away"))
    assert await watcher.due(now, 10, ()) == [account.id]
    with pytest.raises(DBAPIError):
        await watcher.look(account.id, now)
    assert await watcher.due(now + EVERY / 2, 10, ()) == []
    assert await watcher.due(now + EVERY, 10, ()) == [account.id]


@pytest.mark.parametrize("fault", ["no_answer", "timeout_after_fill", "late_fill", "lost_order", "hang"])
@pytest.mark.parametrize(("by_hand", "left"), [(None, "0.06"), ("buy", "0.26"), ("sell", "0.02")])
async def test_an_outcome_that_nobody_knows_is_looked_for(side: NetSide, haste: None, fault: str, by_hand: str | None,
                                                        left: str) -> None:
    """Also where the position has changed meanwhile, so that its volume says nothing."""
    await side.open()
    side.price(FIRST)
    side.broker.faults.add(LOGIN, fault, seconds=3.0 if fault == "hang" else 0.5, call="order_send")
    assert await side.look()
    await side.act()
    assert (await side.acts())[-1].status in ("unknown", "done")
    if by_hand is not None:
        side.broker.by_hand(LOGIN, "EURUSD", by_hand, D("0.20") if by_hand == "buy" else D("0.04"))

    async def is_over() -> bool:
        await side.look()
        await side.act()
        return (await side.acts())[-1].status in ("done", "refused")

    await until("the act has ended", is_over)
    was_unseen = (await side.acts())[-1].reason == acting.UNSEEN
    assert was_unseen == (fault == "lost_order")
    await asyncio.sleep(0.6)
    await side.sync()
    assert not await side.look(after=UNSEEN_PAUSE - timedelta(seconds=10))
    await side.gateway.forget(accounts.ref(await side.account()))  # a worker that remembers nothing
    after = UNSEEN_PAUSE + timedelta(seconds=10)
    assert await side.look(after=after) == was_unseen

    async def is_taken() -> bool:
        await side.act(after)
        await side.sync()
        return bool(side.taken())

    await until("the target is taken", is_taken)
    assert side.taken() == [(1, SHARE, D(FIRST))], "once, and in the end it is taken"
    assert side.held() == D(left)


async def test_a_refusal_is_tried_again_later_and_later(side: NetSide) -> None:
    order_id = await side.open()
    side.price(FIRST)
    began = timedelta()
    pauses = []
    side.broker.faults.add(LOGIN, "reject", times=6, call="order_send")
    after = timedelta()
    for _ in range(6):
        while not await side.look(after=after):
            after += timedelta(seconds=5)
        pauses.append(after - began)
        began = after
        await side.act(after)
        assert (await side.acts())[-1].status == "refused"
    assert pauses == sorted(pauses) and pauses[1] >= timedelta(seconds=10) and pauses[-1] > timedelta(seconds=60)
    assert max(pauses) <= timedelta(minutes=5, seconds=5)
    assert len(await side.acts()) == 2 and len(await side.audited()) == 6, "the first and the last are kept"
    (word,) = await side.told()
    assert "has reached target 1 of 3" in positions.told_act(word)
    side.price("1.08600")
    assert not await side.look(after=after + timedelta(minutes=10)), "the price has gone"
    side.price(FIRST)
    assert await side.look(after=after + timedelta(minutes=10))
    await side.act(after + timedelta(minutes=10))
    await side.sync()
    assert side.taken() == [(1, SHARE, D(FIRST))]
    assert (await side.order(order_id)).profit == D("14.70")


@pytest.mark.parametrize("moment", ["before", "inside", "after"])
async def test_killed_round_any_transaction_each_target_is_taken_once(side: NetSide, haste: None,
                                                                     moment: str) -> None:
    number, struck = 0, True
    while struck:
        number += 1
        await side.open(volume="0.04", targets=(D("1.09"), D("1.12")))
        side.price(FIRST)
        before = len(side.taken())
        with pytest.MonkeyPatch.context() as patch:
            points = Points(patch, number, moment)
            task = asyncio.create_task(side.round())
            await asyncio.wait([task], timeout=10)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            struck = points.has_struck
        async with side.desk.database.writing() as session:
            await recovery.release_leases(session, datetime.now(UTC))

        async def is_taken(before: int = before) -> bool:
            acts = await side.acts()
            was_unseen = bool(acts) and acts[-1].reason == acting.UNSEEN
            await side.round(UNSEEN_PAUSE + timedelta(seconds=10) if was_unseen else timedelta())
            return len(side.taken()) > before

        await until("the target is taken", is_taken)
        assert not await side.round() and len(side.taken()) == before + 1
        side.price("1.12000")
        assert side.held() == 0
        side.price("1.08500")
        await side.sync()
    assert number > 3


async def test_the_loops_of_two_replicas_bring_all_of_it_to_its_end(side: NetSide, haste: None,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "LOOK_SECONDS", 0.1)
    order_id = await side.open()
    replicas = [replace(side.desk, replica=name) for name in ("one", "other")]
    for desk in replicas:
        side.desk.supervisor.start(f"targets_{desk.replica}", lambda desk=desk: background.run_targets(desk, EVERY))
        side.desk.supervisor.start(f"acts_{desk.replica}", lambda desk=desk: background.run_acts(desk, 2))
    side.broker.faults.add(LOGIN, "timeout_after_fill", call="order_send")
    side.price("1.09600")

    async def are_taken() -> bool:
        return len(side.taken()) == 2

    await until("both targets are taken", are_taken)
    side.price(LAST)
    await asyncio.sleep(0.5)
    await side.sync()
    assert sorted(side.taken()) == [(1, SHARE, D("1.09600")), (2, SHARE, D("1.09600"))]
    assert (await side.order(order_id)).status == "closed"


async def test_a_dead_replicas_act_goes_on_when_its_lease_is_over(side: NetSide, haste: None) -> None:
    await side.open()
    side.price(FIRST)
    await side.look()
    (act,) = await side.acts()
    async with side.desk.database.writing() as session:
        await acting.lease(session, ["terminal"], "dead", datetime.now(UTC), 5)
        assert await acting.mark_sent(session, act.id, "dead", D("0.09"), SHARE, datetime.now(UTC))
    assert await side.act() == 0 and not await side.look()
    await side.act(LEASE + timedelta(seconds=1))
    (act,) = await side.acts()
    assert (act.status, act.reason) == ("refused", "not_executed")
    assert await side.look(after=LEASE + UNSEEN_PAUSE + timedelta(seconds=5))
    await side.act(LEASE + UNSEEN_PAUSE + timedelta(seconds=6))
    assert side.taken() == [(1, SHARE, D(FIRST))]


async def test_a_position_that_is_not_shown_for_a_while_lets_nothing_be_sent_again_soon(side: NetSide,
                                                                                       haste: None) -> None:
    """As by a terminal that has just signed in: what was sent before may still be carried out."""
    await side.open()
    side.price(FIRST)
    side.broker.faults.add(LOGIN, "lost_order", call="order_send")
    assert await side.look()
    await side.act()
    ticket, held = side.broker.book.positions.popitem()
    await side.act(timedelta(seconds=1))
    assert (await side.acts())[-1].status == "unknown", "its deal may show later"
    await side.act(timedelta(seconds=5))
    assert [(act.status, act.reason) for act in await side.acts()] == [("refused", "position_closed")]
    side.broker.book.positions[ticket] = held
    assert not await side.look(after=UNSEEN_PAUSE - timedelta(seconds=10))
    assert await side.look(after=UNSEEN_PAUSE + timedelta(seconds=10))


async def test_a_price_that_has_grown_old_while_the_terminal_was_slow_is_not_traded_on(
        side: NetSide, monkeypatch: pytest.MonkeyPatch) -> None:
    await side.open()
    assert not await side.look()
    side.price(FIRST)
    side.gateway._specs.clear(accounts.ref(await side.account()))  # as after ten minutes
    monkeypatch.setattr(targets, "FRESH", timedelta(seconds=1))
    side.broker.faults.add(LOGIN, "hang", seconds=2.0, call="symbol_info")
    assert not await side.look()
    assert await side.acts() == [] and side.broker.faults.waiting() == []
    assert await side.look()
