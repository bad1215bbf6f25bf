"""Devices that fall silent while something is open: their owner is told once, and once more when they are back.

What the desk itself has missed says nothing of a device: it judges only after it has listened for long enough without
a break, with its Redis, which every request of a device needs.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from models.account import Account, AccountStatus, Route
from models.database import Database
from models.device import Device, DeviceSnapshot
from models.order import Order, OrderStatus
from models.user import User
from services import audit, outbox
from services.devices import OFFLINE_AFTER

log = structlog.get_logger(__name__)

# So much later at most is what was heard on record.
LATE = timedelta(seconds=30)
QUIET_AFTER = OFFLINE_AFTER + LATE
# Whoever has looked away for longer has to listen anew.
LONGEST_BREAK = timedelta(minutes=1)
AT_ONCE = 100
OPEN = (OrderStatus.QUEUED, OrderStatus.LEASED, OrderStatus.SENT, OrderStatus.UNKNOWN, OrderStatus.PLACED)


class Watch:
    """Looks now and then; several may do it beside each other, and each thing is told by one of them."""

    def __init__(self, database: Database, redis: Redis, since: datetime) -> None:
        self._database = database
        self._redis = redis
        self._since = self._looked_at = since

    async def step(self, now: datetime) -> bool:
        """Tell what is to be told; whether there was anything."""
        listens = await self._listens(now)
        async with self._database.reading() as session:
            back = await _back(session)
            quiet = (await session.scalars(_quiet(now).with_only_columns(Account.id).order_by(Account.id)
                                           .limit(AT_ONCE))).all() if listens else ()
        told = False
        for device_id, account_id in back:
            async with self._database.writing() as session:
                told |= await _tell_back(session, device_id, account_id, now)
        for account_id in quiet:
            async with self._database.writing() as session:
                told |= await _tell_quiet(session, account_id, now)
        return told

    async def _listens(self, now: datetime) -> bool:
        """Whether a device that was there would have been heard for all of the time that counts."""
        try:
            await self._redis.time()
            was_deaf = not timedelta(0) <= now - self._looked_at <= LONGEST_BREAK
        except (RedisError, OSError, TimeoutError):
            was_deaf = True
        if was_deaf:
            self._since = now
        self._looked_at = now
        return now - self._since >= QUIET_AFTER


def _serves() -> ColumnElement[bool]:
    return and_(Device.account_id == Account.id, Device.user_id == Account.user_id, Device.revoked_at.is_(None))


def _is_silent(now: datetime) -> ColumnElement[bool]:
    return func.coalesce(Device.last_seen_at, Device.created_at) <= now - QUIET_AFTER


def _quiet(now: datetime) -> Select[Account]:
    """Accounts with something open, all of whose devices are quiet, and nobody has been told."""
    orders = exists().where(Order.account_id == Account.id, Order.status.in_(OPEN))
    positions = exists().where(
        DeviceSnapshot.device_id == Device.id, _serves(), DeviceSnapshot.login == Account.login,
        DeviceSnapshot.server == Account.server, func.json_array_length(DeviceSnapshot.positions) > 0)
    return select(Account).where(
        Account.route == Route.DEVICE, Account.status == AccountStatus.VERIFIED, Account.unlinked_at.is_(None),
        exists().where(_serves()), or_(orders, positions),
        ~exists().where(_serves(), or_(~_is_silent(now), Device.quiet_told_at.is_not(None))))


async def _tell_quiet(session: AsyncSession, account_id: int, now: datetime) -> bool:
    mine = (Device.account_id == account_id, Device.revoked_at.is_(None))
    # In the order in which others write several devices at once.
    await session.execute(select(Device.id).where(*mine).order_by(Device.id).with_for_update())
    account = await session.scalar(_quiet(now).where(Account.id == account_id))
    if account is None:
        return False
    rows = (await session.execute(
        update(Device).where(*mine, Device.user_id == account.user_id, Device.quiet_told_at.is_(None),
                             _is_silent(now))
        .values(quiet_told_at=now).returning(Device.name, Device.last_seen_at))).all()
    if not rows:
        return False
    audit.record(session, now, "devices_quiet", "account", account_id, user_id=account.user_id)
    seen = [row.last_seen_at for row in rows if row.last_seen_at is not None]
    orders = await session.scalar(select(func.count()).select_from(Order).where(
        Order.account_id == account_id, Order.status.in_(OPEN)))
    await _say(session, account.user_id, f"quiet:{account_id}:{now.timestamp():.6f}", {
        "template": "devices_quiet", "devices": sorted(row.name for row in rows), "account": account.label,
        "since": max(seen).isoformat() if seen else None, "orders": orders or 0,
        "positions": await _positions(session, account)}, now)
    return True


async def _positions(session: AsyncSession, account: Account) -> int:
    """How many were open when its devices last reported."""
    latest = await session.scalar(
        select(DeviceSnapshot.positions).join(Device, Device.id == DeviceSnapshot.device_id)
        .where(Device.account_id == account.id, Device.user_id == account.user_id, Device.revoked_at.is_(None),
               DeviceSnapshot.login == account.login, DeviceSnapshot.server == account.server)
        .order_by(DeviceSnapshot.taken_at.desc()).limit(1))
    return len(latest or ())


async def _back(session: AsyncSession) -> Sequence[tuple[str, int | None]]:
    """Devices whose owner was told and that have been heard since, or whose account is served by another one."""
    other = aliased(Device)
    heard = exists().where(
        other.revoked_at.is_(None), other.last_seen_at > Device.quiet_told_at, other.user_id == Device.user_id,
        or_(other.id == Device.id, other.account_id == Device.account_id))
    rows = await session.execute(
        select(Device.id, Device.account_id)
        .where(Device.quiet_told_at.is_not(None), Device.revoked_at.is_(None), heard)
        .order_by(Device.id).limit(AT_ONCE))
    return [(row.id, row.account_id) for row in rows]


async def _tell_back(session: AsyncSession, device_id: str, account_id: int | None, now: datetime) -> bool:
    """Its account's devices are told of together: whoever comes second finds nothing to tell."""
    group = or_(Device.id == device_id, and_(Device.account_id.is_not(None), Device.account_id == account_id))
    held = (await session.scalars(select(Device).where(group, Device.revoked_at.is_(None)).order_by(Device.id)
                                  .with_for_update().execution_options(populate_existing=True))).all()
    told_at = min((row.quiet_told_at for row in held if row.quiet_told_at is not None), default=None)
    if told_at is None:
        return False
    names = sorted(row.name for row in held if row.last_seen_at is not None and row.last_seen_at > told_at)
    cleared = (await session.scalars(
        update(Device).where(group, Device.quiet_told_at.is_not(None)).values(quiet_told_at=None)
        .returning(Device.id))).all() if names else ()
    if not cleared:
        return False
    label = await session.scalar(select(Account.label).where(Account.id == account_id, Account.unlinked_at.is_(None)))
    await _say(session, held[0].user_id, f"back:{device_id}:{now.timestamp():.6f}",
               {"template": "devices_back", "devices": names, "account": label}, now)
    return True


async def _say(session: AsyncSession, user_id: int, key: str, payload: dict[str, object], now: datetime) -> None:
    chat_id = await session.scalar(select(User.telegram_id).where(User.id == user_id, User.blocked_at.is_(None)))
    if chat_id is not None:
        await outbox.say(session, chat_id, key, payload, now)
