"""Statements: everything the desk knows of a user's money, for an admin to read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models.billing import Customer, Operation, Subscription
from models.grant import Grant
from models.message import InboxItem, InboxState
from models.user import User
from services import operations, receipts, users
from services.errors import NotFound
from services.receipts import Receipt

MOVEMENTS, ROWS, DEAD = 10, 5, 100


@dataclass(frozen=True, slots=True)
class Statement:
    """The newest of each. ``dead`` are the provider's events that could not be applied: their id and why."""

    user: User
    movements: Sequence[Receipt]
    subscriptions: Sequence[Subscription]
    grants: Sequence[Grant]
    open: Sequence[Operation]
    dead: Sequence[tuple[str, str]]


async def of(session: AsyncSession, telegram_id: int, now: datetime) -> Statement:
    """The statement of a user; NotFound for a stranger."""
    user = await users.by_telegram_id(session, telegram_id)
    if user is None:
        raise NotFound
    movements, _ = await receipts.listed(session, user.id, MOVEMENTS)
    rows = list(await session.scalars(select(Subscription).where(Subscription.user_id == user.id)
                                      .order_by(Subscription.id.desc()).limit(ROWS)))
    given = list(await session.scalars(
        select(Grant).where(Grant.user_id == user.id, Grant.ends_at > now)
        .order_by(Grant.ends_at.desc(), Grant.id).limit(ROWS)))
    begun = list(await session.scalars(
        select(Operation).where(Operation.user_id == user.id, Operation.state.in_(operations.OPEN))
        .order_by(Operation.created_at)))
    return Statement(user, movements, rows, given, begun, await _dead(session, user.id, rows))


async def _dead(session: AsyncSession, user_id: int, rows: Sequence[Subscription]) -> list[tuple[str, str]]:
    """Dead events that name the user's customer or subscription; there are few dead ones altogether."""
    names = [name.encode() for name in (
        *await session.scalars(select(Customer.provider_customer_id).where(Customer.user_id == user_id)),
        *(row.provider_subscription_id for row in rows))]
    found = await session.scalars(select(InboxItem).where(
        InboxItem.source == "stripe", InboxItem.state == InboxState.DEAD).order_by(InboxItem.id.desc()).limit(DEAD))
    return [(item.external_id, item.error or "") for item in found
            if any(b'"' + name + b'"' in item.payload for name in names)]
