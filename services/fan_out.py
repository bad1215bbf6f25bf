"""Carrying a signal's change to every follower, chunk by chunk.

Each chunk is one short transaction that writes its rows and moves the cursor, so a crash goes on where it
stopped and the writer is never held long, however many followers there are.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, String, case, cast, exists, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.approval import Approval, ApprovalStatus
from models.database import Database
from models.message import OutboxItem, OutboxKind, OutboxState, Priority
from models.provider import Follow
from models.signal import FanOut, FanOutKind, Signal, SignalStatus, Terms
from models.user import User
from services import events, outbox
from services.events import EventKind
from services.tiers import Catalogue, rank_of
from services.upsert import Insert, insert

TARGET_SECONDS = 0.03
# Whose approval it is, and from when on it may be seen.
SEEN = (Approval.id, Approval.user_id, Approval.visible_at)


@dataclass(slots=True)
class Pace:
    """How many rows a chunk takes, so that it holds the writer for about TARGET_SECONDS."""

    rows: int
    most: int = 5_000

    def learn(self, seconds: float) -> None:
        """Grow slowly, shrink at once."""
        ideal = self.rows * TARGET_SECONDS / max(seconds, 0.001)
        self.rows = int(max(20, min(self.most, ideal, self.rows * 1.5)))


async def undone(session: AsyncSession, limit: int = 50) -> list[int]:
    """Fan-outs still under way, oldest first."""
    return list(await session.scalars(
        select(FanOut.id).where(FanOut.done_at.is_(None)).order_by(FanOut.id).limit(limit)))


async def advance(database: Database, fan_out_id: int, catalogue: Catalogue, pace: Pace, now: datetime) -> float:
    """Do one chunk; returns the seconds the writer was held. A finished fan-out is marked done."""
    async with database.writing() as session:
        began = time.perf_counter()
        task = await session.scalar(
            select(FanOut).where(FanOut.id == fan_out_id, FanOut.done_at.is_(None)).with_for_update(skip_locked=True))
        if task is None:
            return 0.0
        signal = await session.get_one(Signal, task.signal_id)
        if task.kind == FanOutKind.CARDS:
            await _cards(session, task, signal, catalogue, pace.rows, now)
        elif task.kind == FanOutKind.REVISION:
            await _revision(session, task, signal, pace.rows, now)
        else:
            await _withdrawal(session, task, pace.rows, now)
        await session.flush()
        held = time.perf_counter() - began
    pace.learn(held)
    return held


async def _cards(session: AsyncSession, task: FanOut, signal: Signal, catalogue: Catalogue, rows: int,
                 now: datetime) -> None:
    if signal.status != SignalStatus.OPEN:
        task.done_at = now
        return
    chunk = (select(Follow.user_id).where(Follow.provider_id == signal.provider_id, Follow.user_id > task.cursor)
             .order_by(Follow.user_id).limit(rows).subquery())
    last = await session.scalar(select(func.max(chunk.c.user_id)))
    if last is None:
        task.done_at = now
        return
    version = await session.scalar(select(Terms.version).where(Terms.id == signal.terms_id))
    await session.execute(_insert_approvals(session, signal, catalogue, task.cursor, last, now))
    reached = (Approval.signal_id == signal.id, Approval.user_id > task.cursor, Approval.user_id <= last)
    events.note_approvals(session, EventKind.APPROVAL_CREATED, ApprovalStatus.PENDING,
                          select(*SEEN).where(*reached, Approval.created_at == now), now)
    await session.execute(_insert_cards(session, reached, version or 1, now))
    task.cursor = last


def _insert_approvals(session: AsyncSession, signal: Signal, catalogue: Catalogue, after: int, last: int,
                      now: datetime) -> Insert:
    rank = rank_of(Follow.user_id, now)
    instant = Approval.created_at.type

    def shifted(start: datetime) -> ColumnElement[Any]:
        late = {tier.rank: literal(start + tier.card_delay, instant) for tier in catalogue}
        return case(late, value=rank, else_=literal(start, instant))

    rows = (select(literal(signal.id), Follow.user_id, literal(signal.terms_id), literal(ApprovalStatus.PENDING.value),
                   shifted(signal.published_at), shifted(signal.expires_at), literal(now, instant))
            .where(Follow.provider_id == signal.provider_id, Follow.user_id > after, Follow.user_id <= last))
    columns = ["signal_id", "user_id", "terms_id", "status", "visible_at", "expires_at", "created_at"]
    return insert(session, Approval).from_select(columns, rows.order_by(Follow.user_id)).on_conflict_do_nothing()


def _insert_cards(session: AsyncSession, reached: tuple[ColumnElement[bool], ...], version: int,
                  now: datetime) -> Insert:
    key = literal("card:") + cast(Approval.id, String) + literal(f":{version}")
    rows = (select(literal(OutboxKind.CARD.value), User.telegram_id, Approval.id, key, literal(Priority.CARD),
                   literal(1), literal(OutboxState.PENDING.value), literal(0), Approval.visible_at,
                   literal(now, OutboxItem.created_at.type))
            .join(User, User.id == Approval.user_id)
            .where(*reached, Approval.status == ApprovalStatus.PENDING, User.blocked_at.is_(None)))
    columns = ["kind", "chat_id", "approval_id", "dedupe_key", "priority", "version", "state", "attempts",
               "next_try_at", "created_at"]
    return insert(session, OutboxItem).from_select(columns, rows.order_by(Approval.id)).on_conflict_do_nothing()


async def _next_undecided(session: AsyncSession, task: FanOut, rows: int) -> list[int]:
    return list(await session.scalars(
        select(Approval.id).where(Approval.signal_id == task.signal_id, Approval.id > task.cursor,
                                  Approval.status == ApprovalStatus.PENDING).order_by(Approval.id).limit(rows)))


async def _revision(session: AsyncSession, task: FanOut, signal: Signal, rows: int, now: datetime) -> None:
    is_early = await _cards_under_way(session, signal.id)
    ids = await _next_undecided(session, task, rows)
    if not ids or signal.status != SignalStatus.OPEN:
        # Cards of followers not yet reached will show the new terms by themselves, but they must be reached
        # before this is done, or one written meanwhile with the old terms would be missed.
        if signal.status != SignalStatus.OPEN or not is_early:
            task.done_at = now
        return
    shift = signal.expires_at - signal.published_at
    await session.execute(
        update(Approval).where(Approval.id.in_(ids), Approval.status == ApprovalStatus.PENDING)
        .values(terms_id=signal.terms_id))
    events.note_approvals(session, EventKind.APPROVAL_REVISED, ApprovalStatus.PENDING,
                          select(*SEEN).where(Approval.id.in_(ids), Approval.terms_id == signal.terms_id), now)
    await _move_expiry(session, ids, shift)
    await session.execute(_insert_cards(session, (Approval.id.in_(ids),), task.version, now))
    task.cursor = ids[-1]


async def _move_expiry(session: AsyncSession, ids: list[int], span: timedelta) -> None:
    """A card's time to answer is as long as the signal's own, counted from when the card may be seen."""
    visible = (await session.execute(
        select(Approval.visible_at).where(Approval.id.in_(ids)).distinct())).scalars().all()
    for visible_at in visible:
        await session.execute(
            update(Approval).where(Approval.id.in_(ids), Approval.visible_at == visible_at)
            .values(expires_at=visible_at + span))


async def _cards_under_way(session: AsyncSession, signal_id: int) -> bool:
    """Ask before looking for approvals: the last of them may be written by another process in between."""
    return bool(await session.scalar(select(exists().where(
        FanOut.signal_id == signal_id, FanOut.kind == FanOutKind.CARDS, FanOut.done_at.is_(None)))))


async def _withdrawal(session: AsyncSession, task: FanOut, rows: int, now: datetime) -> None:
    is_early = await _cards_under_way(session, task.signal_id)
    ids = await _next_undecided(session, task, rows)
    if not ids:
        if not is_early:
            task.done_at = now
        return
    withdrawn = list(await session.scalars(
        update(Approval).where(Approval.id.in_(ids), Approval.status == ApprovalStatus.PENDING)
        .values(status=ApprovalStatus.WITHDRAWN, decided_at=now).returning(Approval.id)))
    events.note_approvals(session, EventKind.APPROVAL_WITHDRAWN, ApprovalStatus.WITHDRAWN,
                          select(*SEEN).where(Approval.id.in_(withdrawn)), now)
    # To everyone at once, like cards: who has just tapped must not wait behind it.
    await outbox.edit_cards(session, withdrawn, now, priority=Priority.CARD)
    task.cursor = ids[-1]
