"""What becomes of the things that hang on an account when it is unlinked."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account, Route
from models.device import Device
from models.order import Order, OrderStatus
from models.position import ActStatus, PositionAct
from services import device_keys, orders

NOT_SENT, NOT_SEEN = "account_unlinked", "unlinked_unseen"


async def let_go(session: AsyncSession, account: Account, now: datetime) -> None:
    """Refuse what has not been sent, give up what can no longer be seen, detach the device.

    The practice broker goes on telling what became of an order; any other terminal is closed with the account.
    """
    detached = await session.scalars(
        update(Device).where(Device.account_id == account.id).values(account_id=None).returning(Device.id))
    for device_id in detached.all():
        device_keys.note_change(session, device_id)
    await _end_orders(session, account.id, (OrderStatus.QUEUED, OrderStatus.LEASED), OrderStatus.REJECTED, NOT_SENT,
                      now)
    await _end_acts(session, account.id, (ActStatus.QUEUED,), NOT_SENT, now)
    if account.route != Route.PAPER:
        await _end_orders(session, account.id, (OrderStatus.SENT, OrderStatus.UNKNOWN), OrderStatus.FAILED, NOT_SEEN,
                          now)
        await _end_acts(session, account.id, (ActStatus.SENT, ActStatus.UNKNOWN), NOT_SEEN, now)


async def _end_orders(session: AsyncSession, account_id: int, states: tuple[OrderStatus, ...], end: OrderStatus,
                      reason: str, now: datetime) -> None:
    found = await session.scalars(select(Order.id).where(Order.account_id == account_id, Order.status.in_(states)))
    for order_id in found.all():
        await orders.refuse(session, order_id, end, reason, None, now)


async def _end_acts(session: AsyncSession, account_id: int, states: tuple[ActStatus, ...], reason: str,
                    now: datetime) -> None:
    await session.execute(
        update(PositionAct).where(PositionAct.account_id == account_id, PositionAct.status.in_(states))
        .values(status=ActStatus.REFUSED, reason=reason, lease_owner=None, lease_until=None, updated_at=now))
