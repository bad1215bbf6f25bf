"""Requests that must have their effect once: claimed before the act, their answer kept for a day.

The database row is the truth. A claim is a lease with a token: whoever lost it can no longer write the answer.
An outcome nobody knows frees the lease and keeps the operation id, so the next try goes on with the same key
at the provider. After draft-ietf-httpapi-idempotency-key-header-07.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.billing import IdempotencyKey, IdempotencyState, Operation, OperationState
from services.errors import IdempotencyKeyReused, InProgress
from services.upsert import insert

LEASE = timedelta(seconds=30)
KEEP = timedelta(hours=24)
# What was never finished is kept this much longer.
KEEP_UNDONE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to act. ``operation_id`` names the act at the provider and stays the same however often it is
    tried; ``is_resumed`` says that somebody had begun before."""

    scope: str
    key: str
    operation_id: str
    token: str
    is_resumed: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """The answer the request had."""

    status: int
    headers: dict[str, str]
    body: str


async def stored(session: AsyncSession, scope: str, key: str, fingerprint: str, now: datetime) -> Stored | None:
    """The answer on record, without claiming anything; IdempotencyKeyReused when the key is another request's."""
    row = (await session.execute(select(
        IdempotencyKey.fingerprint, IdempotencyKey.status, IdempotencyKey.headers, IdempotencyKey.body).where(
        IdempotencyKey.scope == scope, IdempotencyKey.key == key, IdempotencyKey.state == IdempotencyState.DONE,
        IdempotencyKey.expires_at > now))).one_or_none()
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    return Stored(row.status, row.headers, row.body)


async def claim(session: AsyncSession, scope: str, key: str, fingerprint: str, now: datetime) -> Claim | Stored:
    """Claim the key, or the stored answer.

    IdempotencyKeyReused when the key belongs to another request, InProgress while somebody is at it.
    """
    await session.execute(delete(IdempotencyKey).where(
        IdempotencyKey.scope == scope, IdempotencyKey.key == key, IdempotencyKey.state == IdempotencyState.DONE,
        IdempotencyKey.expires_at <= now))
    operation_id, token = secrets.token_hex(16), secrets.token_hex(16)
    statement = insert(session, IdempotencyKey).values(
        scope=scope, key=key, fingerprint=fingerprint, operation_id=operation_id, state=IdempotencyState.STARTED,
        lease_token=token, lease_until=now + LEASE, created_at=now, expires_at=now + KEEP)
    claimed = await session.scalar(statement.on_conflict_do_nothing().returning(IdempotencyKey.operation_id))
    if claimed is not None:
        return Claim(scope, key, operation_id, token, False)
    return await _known(session, scope, key, fingerprint, token, now)


async def _known(session: AsyncSession, scope: str, key: str, fingerprint: str, token: str,
                 now: datetime) -> Claim | Stored:
    mine = (IdempotencyKey.scope == scope, IdempotencyKey.key == key)
    row = (await session.execute(select(
        IdempotencyKey.fingerprint, IdempotencyKey.state, IdempotencyKey.status, IdempotencyKey.headers,
        IdempotencyKey.body).where(*mine))).one_or_none()
    if row is None:  # whoever had it gave it up between the two statements
        raise InProgress
    if row.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    if row.state == IdempotencyState.DONE:
        return Stored(row.status, row.headers, row.body)
    free = or_(IdempotencyKey.state == IdempotencyState.UNKNOWN,
               and_(IdempotencyKey.state == IdempotencyState.STARTED, IdempotencyKey.lease_until <= now))
    taken = await session.scalar(
        update(IdempotencyKey).where(*mine, free)
        .values(state=IdempotencyState.STARTED, lease_token=token, lease_until=now + LEASE)
        .returning(IdempotencyKey.operation_id))
    if taken is None:
        raise InProgress
    return Claim(scope, key, taken, token, True)


async def finish(session: AsyncSession, held: Claim, answer: Stored, now: datetime) -> None:
    """Keep the answer; InProgress when the lease was lost to somebody who is at it now."""
    done = await session.scalar(
        update(IdempotencyKey).where(*_held(held))
        .values(state=IdempotencyState.DONE, status=answer.status, headers=answer.headers, body=answer.body,
                lease_token=None, lease_until=None, expires_at=now + KEEP)
        .returning(IdempotencyKey.operation_id))
    if done is None:
        raise InProgress


async def lose_sight(session: AsyncSession, held: Claim) -> None:
    """Nobody knows what became of it: the next try takes it up under the same operation id."""
    await session.execute(update(IdempotencyKey).where(*_held(held)).values(
        state=IdempotencyState.UNKNOWN, lease_token=None, lease_until=None))


async def give_up(session: AsyncSession, held: Claim) -> None:
    """Nothing was begun: as if the key had never been seen."""
    await session.execute(delete(IdempotencyKey).where(*_held(held)))


def _held(held: Claim) -> tuple[ColumnElement[bool], ...]:
    return (IdempotencyKey.scope == held.scope, IdempotencyKey.key == held.key,
            IdempotencyKey.lease_token == held.token, IdempotencyKey.state == IdempotencyState.STARTED)


async def drop_expired(session: AsyncSession, before: datetime, limit: int) -> int:
    """Delete answers that ran out before ``before``, and what was begun and left; never while its act is open."""
    undone = and_(
        IdempotencyKey.state != IdempotencyState.DONE, IdempotencyKey.expires_at < before - KEEP_UNDONE,
        or_(IdempotencyKey.lease_until.is_(None), IdempotencyKey.lease_until < before),
        ~exists().where(Operation.id == IdempotencyKey.operation_id,
                        Operation.state.in_((OperationState.STARTED, OperationState.UNKNOWN))))
    old = or_(and_(IdempotencyKey.state == IdempotencyState.DONE, IdempotencyKey.expires_at < before), undone)
    rows = (await session.execute(
        select(IdempotencyKey.scope, IdempotencyKey.key).where(old).limit(limit))).all()
    for row in rows:
        await session.execute(delete(IdempotencyKey).where(
            IdempotencyKey.scope == row.scope, IdempotencyKey.key == row.key, old))
    return len(rows)
