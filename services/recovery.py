"""Coming back after a crash: what the process that died had taken in hand is free again.

Only for a database that a single process uses; where several replicas share one, leases run out by themselves.
"""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from models.billing import IdempotencyKey
from models.message import InboxItem, OutboxItem
from models.order import Order
from models.position import PositionAct


async def release_leases(session: AsyncSession, now: datetime) -> None:
    """End every lease of ours now. Orders keep their state: one that was sent is reconciled, never sent blindly.

    What a device has in hand stays there: it did not die with us.
    """
    for table in (InboxItem, OutboxItem, PositionAct, IdempotencyKey):
        await session.execute(update(table).where(table.lease_until > now).values(lease_until=now))
    await session.execute(update(Order).where(Order.lease_until > now, Order.device_id.is_(None))
                          .values(lease_until=now))
