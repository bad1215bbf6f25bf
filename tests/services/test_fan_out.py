"""Fan-out: every follower is reached once, in short transactions, from wherever it was interrupted."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from models.approval import Approval, ApprovalStatus, Door
from models.message import OutboxItem, OutboxKind, OutboxState
from models.signal import FanOut, Signal, SignalStatus
from models.user import User
from services import approvals, fan_out, outbox, signals
from services.desk import Desk
from services.fan_out import TARGET_SECONDS, Pace
from services.signals import SignalView
from tests.services import stage

CROWD = 20_000


async def chunk(desk: Desk, fan_out_id: int, now: datetime, rows: int) -> None:
    await fan_out.advance(desk.database, fan_out_id, desk.catalogue, Pace(rows), now)


async def undone(desk: Desk) -> list[int]:
    async with desk.database.reading() as session:
        return await fan_out.undone(session)


async def revise(desk: Desk, view: SignalView, now: datetime, **changes: object) -> SignalView:
    async with desk.database.writing() as session:
        return await signals.revise(session, view.provider_id, view.id, dict(changes), now)


async def cancel(desk: Desk, view: SignalView, now: datetime) -> None:
    async with desk.database.writing() as session:
        await signals.end(session, view.provider_id, view.id, SignalStatus.CANCELLED, now)


async def assert_each_has_one(desk: Desk, view: SignalView, followers: list[int]) -> None:
    """Every follower has exactly one approval and one card of the first version."""
    async with desk.database.reading() as session:
        asked = list(await session.scalars(select(Approval.user_id).where(Approval.signal_id == view.id)))
        cards = list(await session.scalars(
            select(Approval.user_id).join(OutboxItem, OutboxItem.approval_id == Approval.id)
            .where(OutboxItem.kind == OutboxKind.CARD)))
    assert sorted(asked) == sorted(cards) == sorted(followers)


async def test_a_fan_out_goes_on_where_it_was_interrupted(desk: Desk, now: datetime) -> None:
    provider_id = await stage.found(desk, now)
    followers = await stage.crowd(desk.database, provider_id, 95, now)
    view = await stage.publish(desk, provider_id, now)
    (fan_out_id,) = await undone(desk)
    for reached in (20, 40, 60):
        await chunk(desk, fan_out_id, now, 20)
        assert await stage.count(desk.database, Approval) == reached
        with pytest.raises(RuntimeError):  # the process dies within the next chunk: nothing of it remains
            async with desk.database.writing() as session:
                task = await session.get_one(FanOut, fan_out_id)
                signal = await session.get_one(Signal, view.id)
                await fan_out._cards(session, task, signal, desk.catalogue, 20, now)
                raise RuntimeError("killed")
        assert await stage.count(desk.database, Approval) == reached
    assert await undone(desk) == [fan_out_id]
    await stage.spread(desk, now, rows=20)
    assert await undone(desk) == []
    await chunk(desk, fan_out_id, now, 20)
    await assert_each_has_one(desk, view, followers)


async def test_a_cursor_lost_and_parallel_workers_reach_nobody_twice(desk: Desk, now: datetime) -> None:
    provider_id = await stage.found(desk, now)
    followers = await stage.crowd(desk.database, provider_id, 60, now)
    view = await stage.publish(desk, provider_id, now)
    (fan_out_id,) = await undone(desk)
    await chunk(desk, fan_out_id, now, 30)
    async with desk.database.writing() as session:
        await session.execute(update(FanOut).values(cursor=0))
    for _ in range(10):
        await asyncio.gather(*(chunk(desk, fan_out_id, now, 20) for _ in range(4)))
        if not await undone(desk):
            break
    await assert_each_has_one(desk, view, followers)


async def test_who_has_blocked_the_bot_is_asked_in_the_app_only(desk: Desk, now: datetime) -> None:
    provider_id = await stage.found(desk, now)
    followers = await stage.crowd(desk.database, provider_id, 3, now)
    async with desk.database.writing() as session:
        await session.execute(update(User).where(User.id == followers[0]).values(blocked_at=now))
    await stage.ask(desk, provider_id, now)
    assert await stage.count(desk.database, Approval) == 3
    assert await stage.count(desk.database, OutboxItem) == 2


async def test_only_followers_of_the_moment_are_asked(desk: Desk, now: datetime) -> None:
    other = await stage.found(desk, now, "Another")
    await stage.crowd(desk.database, other, 4, now)
    provider_id = await stage.found(desk, now)
    followers = await stage.crowd(desk.database, provider_id, 2, now)
    await assert_each_has_one(desk, await stage.ask(desk, provider_id, now), followers)


async def test_each_tier_sees_its_card_in_its_time(desk: Desk, now: datetime) -> None:
    provider_id = await stage.found(desk, now)
    members = {tier: await stage.join(desk, now - timedelta(days=1), tier)
               for tier in ("free", "premium", "vip", "enterprise")}
    lapsed = await stage.join(desk, now - timedelta(days=31), "vip")
    view = await stage.ask(desk, provider_id, now, expires_in_seconds=600)
    delayed = {members["free"], lapsed}
    async with desk.database.reading() as session:
        rows = (await session.execute(
            select(Approval.user_id, Approval.visible_at, Approval.expires_at, OutboxItem.next_try_at)
            .join(OutboxItem, OutboxItem.approval_id == Approval.id))).all()
    assert len(rows) == 5
    for row in rows:
        start = now + timedelta(seconds=900 if row.user_id in delayed else 0)
        assert (row.visible_at, row.next_try_at) == (start, start)
        assert row.expires_at == start + timedelta(seconds=600)
    assert view.expires_at == now + timedelta(seconds=600)


async def test_a_revision_amid_the_fan_out_reaches_everyone(desk: Desk, now: datetime) -> None:
    provider_id = await stage.found(desk, now)
    followers = await stage.crowd(desk.database, provider_id, 50, now)
    view = await stage.publish(desk, provider_id, now)
    (cards,) = await undone(desk)
    await chunk(desk, cards, now, 20)
    revised = await revise(desk, view, now, note="new", expires_in_seconds=1800)
    revision = next(number for number in await undone(desk) if number != cards)
    for _ in range(3):
        await chunk(desk, revision, now, 20)
    assert revision in await undone(desk), "it waits for followers not yet reached"
    await stage.spread(desk, now, rows=20)
    async with desk.database.reading() as session:
        terms_id = await session.scalar(select(Signal.terms_id))
        shown = (await session.execute(select(Approval.user_id, Approval.terms_id, Approval.expires_at))).all()
        cards_of = (await session.execute(
            select(OutboxItem.approval_id, func.count()).where(OutboxItem.dedupe_key.like("card:%:2"))
            .group_by(OutboxItem.approval_id))).all()
    assert sorted(row.user_id for row in shown) == sorted(followers)
    assert {(row.terms_id, row.expires_at) for row in shown} == {
        (terms_id, revised.published_at + (revised.expires_at - revised.published_at) + timedelta(seconds=900))}
    assert len(cards_of) == 50 and {number for _, number in cards_of} == {1}


async def test_a_cancellation_amid_the_fan_out_stops_it(desk: Desk, now: datetime) -> None:
    provider_id = await stage.found(desk, now)
    await stage.crowd(desk.database, provider_id, 50, now)
    view = await stage.publish(desk, provider_id, now)
    (cards,) = await undone(desk)
    await chunk(desk, cards, now, 20)
    await cancel(desk, view, now)
    await stage.spread(desk, now, rows=20)
    assert await stage.count(desk.database, Approval) == 20
    assert await stage.count(desk.database, Approval, Approval.status == ApprovalStatus.WITHDRAWN) == 20


async def test_two_signals_share_the_followers(desk: Desk, now: datetime) -> None:
    provider_id = await stage.found(desk, now)
    await stage.crowd(desk.database, provider_id, 30, now)
    for _ in range(2):
        await stage.publish(desk, provider_id, now)
    await stage.spread(desk, now, rows=20)
    assert await stage.count(desk.database, Approval) == await stage.count(desk.database, OutboxItem) == 60


def test_the_pace_grows_slowly_and_shrinks_at_once() -> None:
    pace = Pace(500)
    pace.learn(TARGET_SECONDS * 10)
    assert pace.rows == 50
    pace.learn(TARGET_SECONDS / 100)
    assert pace.rows == 75
    for _ in range(100):
        pace.learn(0.0)
    assert pace.rows == pace.most
    for _ in range(5):
        pace.learn(60.0)
    assert pace.rows == 20


async def test_twenty_thousand_followers(desk: Desk, now: datetime, measured: Callable[[str], None]) -> None:
    """Everyone is reached; the longest hold of the writer is reported and must only be of the right order."""
    provider_id = await stage.found(desk, now)
    await stage.crowd(desk.database, provider_id, CROWD, now)
    view = await stage.publish(desk, provider_id, now)
    pace, holds = Pace(500), []
    while ids := await undone(desk):
        began = time.perf_counter()
        await fan_out.advance(desk.database, ids[0], desk.catalogue, pace, now)
        holds.append(time.perf_counter() - began)  # with the commit
    measured(f"{desk.database.dialect}: {CROWD} followers in {len(holds)} chunks, {sum(holds):.2f} s, "
             f"longest transaction {max(holds) * 1000:.0f} ms")
    assert await stage.count(desk.database, Approval, Approval.signal_id == view.id) == CROWD
    assert await stage.count(desk.database, OutboxItem, OutboxItem.state == OutboxState.PENDING) == CROWD
    assert max(holds) < 10.0, "a chunk that holds the writer for seconds is no chunk"


async def test_a_withdrawal_to_everyone_does_not_hold_up_who_has_just_answered(desk: Desk, now: datetime) -> None:
    provider_id = await stage.found(desk, now)
    await stage.crowd(desk.database, provider_id, 60, now)
    view, other = await stage.ask(desk, provider_id, now), await stage.ask(desk, provider_id, now)
    await cancel(desk, view, now)
    await stage.spread(desk, now)
    later = now + timedelta(minutes=16)  # the cards of this crowd are late ones
    async with desk.database.writing() as session:
        asked = (await session.scalars(select(Approval).where(Approval.signal_id == other.id))).first()
        assert asked is not None
        await approvals.reject(session, asked.user_id, asked.id, None, Door.CHAT, later)
        first, *_ = await outbox.claim(session, "w", later, timedelta(seconds=30), 8)
    assert (first.kind, first.approval_id) == (OutboxKind.EDIT, asked.id)
