"""Grants of tiers from money: one row for each paid period, trial or grace, whatever order the news come in."""

from datetime import datetime

from sqlalchemy import case, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.grant import Grant
from services import audit, events
from services.events import EventKind
from services.tiers import Tier
from services.upsert import insert


async def entitle(session: AsyncSession, tier: Tier, user_id: int, *, source: str, source_id: str,
                  subscription_id: str, invoice_id: str | None, starts_at: datetime, ends_at: datetime,
                  now: datetime) -> None:
    """Say that this period is covered; told again, only its end is brought up to date.

    The invoice that paid for it stays, unless that one was paid back: then a later one may stand in for it.
    """
    statement = insert(session, Grant).values(
        user_id=user_id, tier=tier.name, rank=tier.rank, source=source, source_id=source_id,
        subscription_id=subscription_id, invoice_id=invoice_id, starts_at=starts_at, ends_at=ends_at, created_at=now)
    excluded = statement.excluded
    stays = Grant.revoked_at.is_(None) & Grant.invoice_id.is_not(None)
    await session.execute(statement.on_conflict_do_update(
        index_elements=["source", "source_id"],
        set_={"ends_at": excluded.ends_at,
              "invoice_id": case((stays, Grant.invoice_id), else_=excluded.invoice_id)}))


async def cover(session: AsyncSession, user_id: int, rank: int, now: datetime) -> Grant | None:
    """The grant of this rank that is in force and ends last; None for a rank nobody granted."""
    return await session.scalar(
        select(Grant).where(Grant.user_id == user_id, Grant.rank == rank, Grant.revoked_at.is_(None),
                            Grant.starts_at <= now, Grant.ends_at > now)
        .order_by(Grant.ends_at.desc(), Grant.id).limit(1))


async def end(session: AsyncSession, subscription_id: str, at: datetime) -> None:
    """The subscription is over: nothing of it reaches beyond ``at``."""
    last = literal(at, Grant.ends_at.type)  # a bare value within CASE has no type of its own
    await session.execute(update(Grant).where(Grant.subscription_id == subscription_id, Grant.ends_at > at)
                          .values(ends_at=case((Grant.starts_at > at, Grant.starts_at), else_=last)))


async def revoke(session: AsyncSession, invoice_id: str, reason: str, now: datetime) -> int:
    """Take back what this invoice paid for; returns how many grants that were."""
    rows = (await session.execute(
        update(Grant).where(Grant.invoice_id == invoice_id, Grant.revoked_at.is_(None))
        .values(revoked_at=now, reason=reason).returning(Grant.id, Grant.user_id, Grant.tier))).all()
    for row in rows:
        events.note(session, row.user_id, EventKind.SUBSCRIPTION_UPDATED, tier=row.tier, status="revoked")
        audit.record(session, now, "tier_revoked", "grant", row.id, user_id=row.user_id, reason=reason)
    return len(rows)


async def restore(session: AsyncSession, invoice_id: str, reason: str, now: datetime) -> int:
    """Give back what was revoked for this reason and no other."""
    rows = (await session.execute(
        update(Grant).where(Grant.invoice_id == invoice_id, Grant.reason == reason)
        .values(revoked_at=None, reason=None).returning(Grant.id, Grant.user_id, Grant.tier))).all()
    for row in rows:
        events.note(session, row.user_id, EventKind.SUBSCRIPTION_UPDATED, tier=row.tier, status="granted")
        audit.record(session, now, "tier_restored", "grant", row.id, user_id=row.user_id, reason=reason)
    return len(rows)
