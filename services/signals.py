"""Signals: publishing, revising and ending them. Each change commits at once; cards follow by fan-out."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Case, and_, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.approval import Approval, ApprovalStatus
from models.provider import Provider
from models.signal import FanOut, FanOutKind, Signal, SignalStatus, Terms
from services import audit, terms
from services.errors import ExternalIdReused, NotFound, SignalEnded
from services.terms import Levels
from services.upsert import insert


@dataclass(frozen=True, slots=True)
class SignalView:
    """A signal with its current terms, as its provider and its followers see it."""

    id: int
    external_id: str
    provider_id: int
    provider_name: str
    levels: Levels
    status: str
    version: int
    terms_hash: str
    published_at: datetime
    expires_at: datetime


async def publish(session: AsyncSession, provider_id: int, external_id: str, levels: Levels, expires_in_seconds: int,
                  now: datetime) -> tuple[SignalView, bool]:
    """Record a signal and that its cards are owed; returns it and whether it is new.

    The same external id with the same body is the same signal; with another body ExternalIdReused.
    """
    terms.check(levels)
    body_hash = terms.body_digest(levels, expires_in_seconds)
    expires_at = now + timedelta(seconds=expires_in_seconds)
    statement = insert(session, Signal).values(
        provider_id=provider_id, external_id=external_id, body_hash=body_hash, status=SignalStatus.OPEN,
        published_at=now, expires_at=expires_at)
    statement = statement.on_conflict_do_nothing(index_elements=["provider_id", "external_id"])
    signal_id: int | None = await session.scalar(statement.returning(Signal.id))
    if signal_id is None:
        return await _already_published(session, provider_id, external_id, body_hash, now), False
    await _write_terms(session, signal_id, 1, levels, expires_at, now)
    session.add(FanOut(signal_id=signal_id, kind=FanOutKind.CARDS, version=1, created_at=now))
    audit.record(session, now, "signal_published", "signal", signal_id, provider_id=provider_id)
    await session.flush()
    return await view(session, signal_id, now), True


async def _already_published(session: AsyncSession, provider_id: int, external_id: str, body_hash: str,
                             now: datetime) -> SignalView:
    row = (await session.execute(select(Signal.id, Signal.body_hash).where(
        Signal.provider_id == provider_id, Signal.external_id == external_id))).one()
    if row.body_hash != body_hash:
        raise ExternalIdReused
    return await view(session, row.id, now)


async def _write_terms(session: AsyncSession, signal_id: int, version: int, levels: Levels, expires_at: datetime,
                       now: datetime) -> str:
    low, high = levels.entry_range or (None, None)
    row = Terms(signal_id=signal_id, version=version, symbol=levels.symbol, side=levels.side,
                order_type=levels.order_type, entry_price=levels.entry_price, entry_low=low, entry_high=high,
                stop_loss=levels.stop_loss, take_profits=[format(t, "f") for t in levels.take_profits],
                note=levels.note, expires_at=expires_at, created_at=now,
                terms_hash=terms.digest(signal_id, version, levels, expires_at))
    session.add(row)
    await session.flush()
    await session.execute(update(Signal).where(Signal.id == signal_id).values(
        terms_id=row.id, expires_at=expires_at))
    return row.terms_hash


async def view(session: AsyncSession, signal_id: int, now: datetime, provider_id: int | None = None) -> SignalView:
    """The signal; NotFound when there is none, or it belongs to another than the given provider."""
    row = (await session.execute(
        select(Signal, Terms, Provider.name).join(Terms, Terms.id == Signal.terms_id)
        .join(Provider, Provider.id == Signal.provider_id).where(Signal.id == signal_id)
        .execution_options(populate_existing=True))).one_or_none()
    if row is None or (provider_id is not None and row.Signal.provider_id != provider_id):
        raise NotFound
    signal, current = row.Signal, row.Terms
    return SignalView(signal.id, signal.external_id, signal.provider_id, row.name, terms.of(current),
                      status_at(signal.status, signal.expires_at, now), current.version, current.terms_hash,
                      signal.published_at, signal.expires_at)


def status_at(stored: str, expires_at: datetime, now: datetime) -> str:
    """An open signal whose time is over is expired; nothing has to be written for that."""
    return SignalStatus.EXPIRED if stored == SignalStatus.OPEN and expires_at <= now else stored


async def counts(session: AsyncSession, signal_id: int, now: datetime) -> dict[str, int]:
    """How many followers have answered how, whether or not a fan-out or a sweep has written it yet."""
    seen = (select(_standing(now).label("status")).join(Signal, Signal.id == Approval.signal_id)
            .where(Approval.signal_id == signal_id).subquery())
    rows = await session.execute(select(seen.c.status, func.count()).group_by(seen.c.status))
    return {status.value: 0 for status in ApprovalStatus} | {row.status: row[1] for row in rows}


def _standing(now: datetime) -> Case[str]:
    """SQL for how an approval stands, beside its signal."""
    waiting = Approval.status == ApprovalStatus.PENDING
    return case((and_(waiting, Signal.status != SignalStatus.OPEN), ApprovalStatus.WITHDRAWN.value),
                (and_(waiting, Approval.expires_at <= now), ApprovalStatus.EXPIRED.value), else_=Approval.status)


async def revise(session: AsyncSession, provider_id: int, signal_id: int, changes: dict[str, Any],
                 now: datetime) -> SignalView:
    """Replace some of the terms; undecided cards are replaced. A revision that changes nothing is none.

    ``changes`` maps fields of Levels, and ``expires_in_seconds`` counted from now, to their new values.
    """
    signal = await _open_signal(session, provider_id, signal_id, now)
    current = await session.get_one(Terms, signal.terms_id)
    span = changes.pop("expires_in_seconds", None)
    levels = replace(terms.of(current), **changes)
    terms.check(levels)
    if span is None and terms.canonical(levels) == terms.canonical(terms.of(current)):
        return await view(session, signal_id, now)
    expires_at = signal.expires_at if span is None else now + timedelta(seconds=span)
    await _write_terms(session, signal_id, current.version + 1, levels, expires_at, now)
    session.add(FanOut(signal_id=signal_id, kind=FanOutKind.REVISION, version=current.version + 1, created_at=now))
    audit.record(session, now, "signal_revised", "signal", signal_id, provider_id=provider_id,
                 version=current.version + 1)
    return await view(session, signal_id, now)


async def _open_signal(session: AsyncSession, provider_id: int, signal_id: int, now: datetime) -> Signal:
    statement = select(Signal).where(Signal.id == signal_id, Signal.provider_id == provider_id)
    signal = await session.scalar(statement.with_for_update())
    if signal is None:
        raise NotFound
    if status_at(signal.status, signal.expires_at, now) != SignalStatus.OPEN:
        raise SignalEnded
    return signal


async def end(session: AsyncSession, provider_id: int, signal_id: int, status: SignalStatus,
              now: datetime) -> SignalView:
    """Cancel or close a signal: undecided cards are withdrawn. Ending it the same way again is a success."""
    ended = await session.scalar(
        update(Signal).where(Signal.id == signal_id, Signal.provider_id == provider_id,
                             Signal.status == SignalStatus.OPEN)
        .values(status=status, ended_at=now).returning(Signal.id))
    current = await view(session, signal_id, now, provider_id)
    if ended is None:
        if current.status != status:
            raise SignalEnded
        return current
    session.add(FanOut(signal_id=signal_id, kind=FanOutKind.WITHDRAWAL, version=current.version, created_at=now))
    audit.record(session, now, f"signal_{status}", "signal", signal_id, provider_id=provider_id)
    return current


async def recent(session: AsyncSession, user_id: int, now: datetime, limit: int) -> list[tuple[int, SignalView, str]]:
    """The latest signals this user was asked about: approval id, signal, and how the question stands."""
    rows = await session.execute(
        select(Approval.id, Approval.signal_id, _standing(now).label("status"))
        .join(Signal, Signal.id == Approval.signal_id)
        .where(Approval.user_id == user_id, Approval.visible_at <= now).order_by(Approval.id.desc()).limit(limit))
    return [(row.id, await view(session, row.signal_id, now), row.status) for row in rows.all()]


def decimals(values: list[Any]) -> tuple[Decimal, ...]:
    """Prices from their stored writing."""
    return tuple(Decimal(value) for value in values)


async def seen_by(session: AsyncSession, user_id: int, signal_id: int, now: datetime) -> SignalView | None:
    """The signal, if this user has been asked about it and may see it by now."""
    asked = await session.scalar(select(Approval.id).where(
        Approval.signal_id == signal_id, Approval.user_id == user_id, Approval.visible_at <= now))
    return await view(session, signal_id, now) if asked is not None else None
