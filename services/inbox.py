"""The inbox: what came from outside is stored before it is acknowledged, then handled once, in order per lane."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, delete, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from models.message import InboxItem, InboxState
from services.upsert import insert

# What waits in the same lane waits as long, so an outage that is over must be noticed soon.
LONGEST_PAUSE_SECONDS = 600.0
# Stripe keeps events for 30 days, and so long we may find one again that has long been handled.
STRIPE_MAY_REPEAT = timedelta(days=31)
UNDONE = (InboxState.PENDING, InboxState.DEAD, InboxState.HELD)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing received: its sender's id for it, the lane it keeps its order in, and the raw bytes."""

    external_id: str
    lane: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Claimed:
    id: int
    external_id: str
    lane: str
    payload: bytes
    attempts: int


async def store(session: AsyncSession, source: str, deliveries: Sequence[Delivery], now: datetime, *,
                state: InboxState = InboxState.PENDING) -> int:
    """Keep deliveries not seen before; returns how many were new. Acknowledge only after the commit."""
    if not deliveries:
        return 0
    rows = [{"source": source, "external_id": d.external_id, "lane": d.lane, "payload": d.payload,
             "payload_sha256": hashlib.sha256(d.payload).hexdigest(), "state": state, "attempts": 0,
             "next_try_at": now, "received_at": now} for d in deliveries]
    statement = insert(session, InboxItem).values(rows).on_conflict_do_nothing(
        index_elements=["source", "external_id"])
    return len((await session.scalars(statement.returning(InboxItem.id))).all())


async def digest_of(session: AsyncSession, source: str, external_id: str) -> str | None:
    """The SHA-256 of the delivery that is on record under this id; None when there is none."""
    return await session.scalar(select(InboxItem.payload_sha256).where(
        InboxItem.source == source, InboxItem.external_id == external_id))


async def last_received(session: AsyncSession, source: str) -> datetime | None:
    """When the newest delivery of a source came."""
    return await session.scalar(select(InboxItem.received_at).where(InboxItem.source == source)
                                .order_by(InboxItem.id.desc()).limit(1))


async def last_external_id(session: AsyncSession, source: str) -> int | None:
    """The external id of the newest delivery of a source that counts its deliveries up."""
    found = await session.scalar(
        select(InboxItem.external_id).where(InboxItem.source == source).order_by(InboxItem.id.desc()).limit(1))
    return int(found) if found is not None else None


async def claim(session: AsyncSession, source: str, owner: str, now: datetime, span: timedelta,
                limit: int) -> list[Claimed]:
    """Lease the oldest unfinished delivery of lanes that nobody works on; a lane waits for its oldest."""
    earlier = aliased(InboxItem)
    is_first = ~exists().where(earlier.source == source, earlier.lane == InboxItem.lane, earlier.id < InboxItem.id,
                               earlier.state == InboxState.PENDING)
    free = or_(InboxItem.lease_until.is_(None), InboxItem.lease_until <= now)
    due = (select(InboxItem.id).where(InboxItem.source == source, InboxItem.state == InboxState.PENDING, free,
                                      InboxItem.next_try_at <= now, is_first)
           .order_by(InboxItem.id).limit(limit).with_for_update(skip_locked=True))
    ids = list(await session.scalars(due))
    if not ids:
        return []
    rows = await session.execute(
        update(InboxItem).where(InboxItem.id.in_(ids), InboxItem.state == InboxState.PENDING, free)
        .values(lease_owner=owner, lease_until=now + span)
        .returning(InboxItem.id, InboxItem.external_id, InboxItem.lane, InboxItem.payload, InboxItem.attempts))
    return sorted((Claimed(*row) for row in rows), key=lambda item: item.id)


async def finish(session: AsyncSession, item_id: int, owner: str, now: datetime) -> bool:
    """Mark a delivery handled; False when the lease was lost, so that the caller's effects are undone with it."""
    done = await session.scalar(
        update(InboxItem).where(InboxItem.id == item_id, InboxItem.lease_owner == owner,
                                InboxItem.state == InboxState.PENDING)
        .values(state=InboxState.DONE, handled_at=now, lease_owner=None, lease_until=None,
                attempts=InboxItem.attempts + 1, error=None)
        .returning(InboxItem.id))
    return done is not None


async def fail(session: AsyncSession, item: Claimed, owner: str, now: datetime, error: str,
               max_attempts: int) -> InboxState:
    """Count a failed attempt: try again after a growing pause, or give up and keep it as dead."""
    attempts = item.attempts + 1
    is_dead = attempts >= max_attempts
    state = InboxState.DEAD if is_dead else InboxState.PENDING
    pause = timedelta(seconds=min(LONGEST_PAUSE_SECONDS, 0.25 * 3 ** min(attempts, 20)))
    await session.execute(
        update(InboxItem).where(InboxItem.id == item.id, InboxItem.lease_owner == owner)
        .values(state=state, attempts=attempts, error=error[:500], lease_owner=None, lease_until=None,
                handled_at=now if is_dead else None, next_try_at=now + pause))
    return state


async def next_due(session: AsyncSession, source: str) -> datetime | None:
    """When the earliest unfinished delivery of a source is due."""
    found: datetime | None = await session.scalar(select(func.min(InboxItem.next_try_at)).where(
        InboxItem.source == source, InboxItem.state == InboxState.PENDING))
    return found


async def drop_handled(session: AsyncSession, before: datetime, limit: int) -> int:
    """Delete deliveries handled before ``before``; dead ones stay for a person to look at.

    The newest of a source is always kept: it says where one that counts its deliveries has to go on.
    """
    is_old = case((InboxItem.source == "stripe", InboxItem.handled_at < before - STRIPE_MAY_REPEAT),
                  else_=InboxItem.handled_at < before)
    rows = (await session.execute(select(InboxItem.id, InboxItem.source).where(
        InboxItem.state == InboxState.DONE, InboxItem.handled_at < before, is_old).limit(limit))).all()
    newest = {await _newest(session, source) for source in {row.source for row in rows}}
    ids = [row.id for row in rows if row.id not in newest]
    await session.execute(delete(InboxItem).where(InboxItem.id.in_(ids)))
    return len(ids)


async def _newest(session: AsyncSession, source: str) -> int | None:
    return await session.scalar(
        select(InboxItem.id).where(InboxItem.source == source).order_by(InboxItem.id.desc()).limit(1))


async def backlog(session: AsyncSession) -> dict[str, int]:
    """How many deliveries wait, are dead, or are held back."""
    rows = await session.execute(
        select(InboxItem.state, func.count()).where(InboxItem.state.in_(UNDONE)).group_by(InboxItem.state))
    return {state.value: 0 for state in UNDONE} | {row.state: row[1] for row in rows}


async def waiting_for_a_person(session: AsyncSession, limit: int) -> list[InboxItem]:
    """The newest deliveries that were given up or held back."""
    return list(await session.scalars(
        select(InboxItem).where(InboxItem.state.in_((InboxState.DEAD, InboxState.HELD)))
        .order_by(InboxItem.id.desc()).limit(limit)))
