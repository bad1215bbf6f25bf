"""Operations: what is asked of a payment provider, written down before it is asked."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.billing import IdempotencyKey, IdempotencyState, Operation, OperationState
from services import audit
from services.errors import InProgress
from services.upsert import insert

OPEN = (OperationState.STARTED, OperationState.UNKNOWN)


async def start(session: AsyncSession, operation_id: str, user_id: int, kind: str, arguments: dict[str, Any],
                now: datetime) -> Operation:
    """Write the operation down, or find it begun; InProgress while the user has another of this kind open."""
    statement = insert(session, Operation).values(
        id=operation_id, user_id=user_id, kind=kind, arguments=arguments, state=OperationState.STARTED,
        created_at=now, updated_at=now)
    written = await session.scalar(statement.on_conflict_do_nothing().returning(Operation.id))
    row = await session.get(Operation, operation_id, populate_existing=True)
    if row is None:
        raise InProgress
    if written is not None:
        audit.record(session, now, f"{kind}_asked", "operation", None, user_id=user_id, operation_id=operation_id)
    return row


async def remember_object(session: AsyncSession, operation_id: str, provider_object_id: str, now: datetime) -> None:
    """What the provider calls the thing it made for this operation."""
    await session.execute(update(Operation).where(Operation.id == operation_id).values(
        provider_object_id=provider_object_id, updated_at=now))


async def close(session: AsyncSession, operation_id: str, state: OperationState, now: datetime) -> bool:
    """Say what became of an operation; False when it was closed already, and stays as it is."""
    row = (await session.execute(
        update(Operation).where(Operation.id == operation_id, Operation.state.in_(OPEN))
        .values(state=state, updated_at=now).returning(Operation.user_id, Operation.kind))).one_or_none()
    if row is not None and state != OperationState.UNKNOWN:  # said once more at every try, and no end of it
        audit.record(session, now, f"{row.kind}_{state}", "operation", None, user_id=row.user_id,
                     operation_id=operation_id)
    return row is not None


async def last_object(session: AsyncSession, user_id: int, kind: str) -> str | None:
    """The provider's id of what the user's latest operation of this kind has made."""
    return await session.scalar(
        select(Operation.provider_object_id)
        .where(Operation.user_id == user_id, Operation.kind == kind, Operation.provider_object_id.is_not(None))
        .order_by(Operation.created_at.desc(), Operation.id).limit(1))


async def abandoned(session: AsyncSession, now: datetime, after: timedelta, limit: int,
                    provider: str | None) -> list[Operation]:
    """Open operations of a provider nobody is at, the longest untouched first, and no request holds their key.

    Those that name none are Stripe's, and ``provider`` is None for these.
    """
    held = select(IdempotencyKey.operation_id).where(IdempotencyKey.state == IdempotencyState.STARTED,
                                                     IdempotencyKey.lease_until > now)
    return list(await session.scalars(
        select(Operation).where(Operation.state.in_(OPEN), Operation.updated_at < now - after,
                                Operation.id.not_in(held), _of(provider)).order_by(Operation.updated_at, Operation.id)
        .limit(limit)))


async def orphaned(session: AsyncSession, now: datetime, after: timedelta, limit: int, provider: str | None,
                   kinds: Sequence[str]) -> list[Operation]:
    """Open operations of another provider that nobody has looked at for so long: it is not configured any more.

    Its own loop would have touched them since.
    """
    return list(await session.scalars(
        select(Operation).where(Operation.state.in_(OPEN), Operation.updated_at < now - after,
                                Operation.kind.in_(kinds), ~_of(provider)).order_by(Operation.updated_at, Operation.id)
        .limit(limit)))


def _of(provider: str | None) -> ColumnElement[bool]:
    named = func.coalesce(Operation.arguments["provider"].as_string(), "stripe")
    return named == (provider or "stripe")


async def unknown(session: AsyncSession, limit: int) -> list[Operation]:
    """The newest operations whose outcome nobody knows yet."""
    return list(await session.scalars(select(Operation).where(Operation.state == OperationState.UNKNOWN)
                                      .order_by(Operation.created_at.desc()).limit(limit)))
