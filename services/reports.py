"""What devices report of their accounts: the latest in Redis, and in the database what must not be lost.

A device reports every few seconds. Only what has changed is written, and otherwise one sign of life now and then.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import case, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account, AccountStatus, Route
from models.columns import UtcInstant
from models.database import Database
from models.device import Device, DeviceSnapshot
from services import symbol_reports
from services.desk import Desk
from services.devices import DeviceKey
from services.errors import SnapshotUnknown
from services.upsert import insert
from terminal.protocol import AccountRef, AccountSnapshot, Position, Report, Side, SymbolSpec, ToldSymbol

log = structlog.get_logger(__name__)

WRITE_EVERY = timedelta(seconds=30)
KEEP = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A signed body that has been checked: the account's and the positions' own fields, decimals as strings."""

    account: dict[str, Any]
    positions: list[dict[str, Any]]
    taken_at: datetime

    @property
    def digest(self) -> str:
        """The same for snapshots that differ in nothing but when they were taken."""
        text = json.dumps([self.account, self.positions], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Kept:
    """A snapshot as Redis has it, with when it came and when the database was last told.

    ``body`` is the hex SHA-256 of the last whole report as it came.
    """

    snapshot: Snapshot
    received_at: datetime
    written_at: datetime
    digest: str
    body: str | None


async def take_snapshot(desk: Desk, key: DeviceKey, snapshot: Snapshot, body: str, now: datetime) -> None:
    """Keep what a device reports; ``body`` is the hex SHA-256 of the report as it came.

    One that is no newer than the last is a repeat and changes nothing.
    """
    await _take(desk, key, snapshot, body, await _recall(desk.redis, key.key_id), now)


async def take_same(desk: Desk, key: DeviceKey, body: str, taken_at: datetime, now: datetime) -> None:
    """The device says that nothing has changed since the report with this body; SnapshotUnknown for another."""
    known = await _recall(desk.redis, key.key_id)
    if known is None or known.body != body:
        raise SnapshotUnknown
    await _take(desk, key, replace(known.snapshot, taken_at=taken_at), body, known, now)


async def _take(desk: Desk, key: DeviceKey, snapshot: Snapshot, body: str, known: Kept | None,
                now: datetime) -> None:
    if known is not None and snapshot.taken_at <= known.snapshot.taken_at:
        return
    digest = snapshot.digest
    has_changed = known is None or known.digest != digest
    if known is None or has_changed or now - known.written_at >= WRITE_EVERY:
        async with desk.database.writing() as session:
            if not await _write(session, key.key_id, snapshot, None if has_changed else known, now):
                return
        written_at = now
    else:
        written_at = known.written_at
    await _remember(desk.redis, key.key_id, Kept(snapshot, now, written_at, digest, body))
    if has_changed and key.account_id is not None:
        await desk.positions.forget(key.account_id)


async def _write(session: AsyncSession, device_id: str, snapshot: Snapshot, same: Kept | None,
                 now: datetime) -> bool:
    """False when the device was revoked meanwhile, or a newer snapshot is there already."""
    seen_at = case((Device.last_seen_at > now, Device.last_seen_at), else_=literal(now, UtcInstant))
    device = await session.scalar(update(Device).where(Device.id == device_id, Device.revoked_at.is_(None))
                                  .values(last_seen_at=seen_at).returning(Device))
    if device is None:
        return False
    if same is not None and await _still(session, device_id, snapshot, same, now):
        return True
    account = snapshot.account
    values = {"login": account["login"], "server": account["server"], "account": account,
              "positions": snapshot.positions, "taken_at": snapshot.taken_at, "received_at": now}
    moved = await session.scalar(select(DeviceSnapshot.device_id).where(
        DeviceSnapshot.device_id == device_id, DeviceSnapshot.taken_at < snapshot.taken_at,
        or_(DeviceSnapshot.login != account["login"], DeviceSnapshot.server != account["server"])))
    if moved is not None:
        await symbol_reports.drop(session, device)
    statement = insert(session, DeviceSnapshot).values(device_id=device_id, **values)
    written = await session.scalar(statement.on_conflict_do_update(
        index_elements=["device_id"], set_=values, where=DeviceSnapshot.taken_at < snapshot.taken_at)
        .returning(DeviceSnapshot.device_id))
    return written is not None


async def _still(session: AsyncSession, device_id: str, snapshot: Snapshot, same: Kept, now: datetime) -> bool:
    """Only the sign of life, where the database has the same as was kept when it was told last."""
    told = await session.scalar(
        update(DeviceSnapshot).where(DeviceSnapshot.device_id == device_id,
                                     DeviceSnapshot.received_at == same.written_at)
        .values(taken_at=snapshot.taken_at, received_at=now).returning(DeviceSnapshot.device_id))
    return told is not None


async def reported(database: Database, redis: Redis, device_id: str) -> Report | None:
    """The last report of a device."""
    kept = await _recall(redis, device_id)
    if kept is not None:
        return _report(kept.snapshot.account, kept.snapshot.positions, kept.snapshot.taken_at, kept.received_at)
    async with database.reading() as session:
        row = await session.get(DeviceSnapshot, device_id)
    return _report(row.account, row.positions, row.taken_at, row.received_at) if row is not None else None


class Reports:
    """The store behind the gateway of pushed accounts."""

    def __init__(self, database: Database, redis: Redis) -> None:
        self._database = database
        self._redis = redis

    async def latest(self, ref: AccountRef) -> Report | None:
        """The newest report of the devices that serve or vouch for the linked account, if it is about that account.

        Anybody's device may say that it stands at this account; only those are heard.
        """
        async with self._database.reading() as session:
            is_its = or_(Account.id == Device.account_id, Account.device_id == Device.id)
            device_ids = await session.scalars(
                select(Device.id).join(Account, is_its).where(
                    Account.route == Route.DEVICE, Account.login == ref.login, Account.server == ref.server,
                    Account.status == AccountStatus.VERIFIED, Account.unlinked_at.is_(None),
                    Device.user_id == Account.user_id, Device.revoked_at.is_(None)))
        told = [await reported(self._database, self._redis, device_id) for device_id in device_ids.all()]
        of_it = [report for report in told if report is not None
                 and (report.account.login, report.account.server) == (ref.login, ref.server)]
        return max(of_it, key=lambda report: report.account.taken_at, default=None)

    async def symbols(self, ref: AccountRef) -> Sequence[SymbolSpec] | None:
        return await symbol_reports.specs(self._database, ref)

    async def symbol(self, ref: AccountRef, name: str) -> ToldSymbol | None:
        return await symbol_reports.told(self._database, self._redis, ref, name)


def _key(device_id: str) -> str:
    return f"device:report:v1:{device_id}"


async def forget(redis: Redis, device_id: str) -> None:
    """Drop the latest report of a device that is no longer one."""
    try:
        await redis.delete(_key(device_id))
    except (RedisError, OSError):
        log.warning("cache_unreachable")


async def _recall(redis: Redis, device_id: str) -> Kept | None:
    try:
        raw = await redis.get(_key(device_id))
    except (RedisError, OSError):
        log.warning("cache_unreachable")
        return None
    if raw is None:
        return None
    value = json.loads(raw)
    taken_at, received_at, written_at = (datetime.fromisoformat(text) for text in value["at"])
    return Kept(Snapshot(value["account"], value["positions"], taken_at), received_at, written_at, value["digest"],
                value.get("body"))


async def _remember(redis: Redis, device_id: str, kept: Kept) -> None:
    value = {"account": kept.snapshot.account, "positions": kept.snapshot.positions, "digest": kept.digest,
             "body": kept.body,
             "at": [moment.isoformat() for moment in (kept.snapshot.taken_at, kept.received_at, kept.written_at)]}
    try:
        await redis.set(_key(device_id), json.dumps(value), ex=KEEP)
    except (RedisError, OSError):
        log.warning("cache_unreachable")


def _report(account: dict[str, Any], positions: Sequence[dict[str, Any]], taken_at: datetime,
              received_at: datetime) -> Report:
    """A report from the fields of a signed snapshot, which have been checked when it came."""
    margin, level = Decimal(account["margin"]), account["margin_level"]
    paid_in = account.get("net_deposits")  # an older desk has written reports without it
    return Report(
        AccountSnapshot(
            account["login"], account["server"], account["broker"], account["currency"], account["leverage"],
            account["margin_mode"], Decimal(account["balance"]), Decimal(account["equity"]), margin,
            Decimal(account["free_margin"]), Decimal(level) if level is not None and margin else None, taken_at,
            Decimal(account["credit"]), account["can_trade"], Decimal(paid_in) if paid_in is not None else None),
        tuple(_position(given) for given in positions), received_at)


def _position(given: dict[str, Any]) -> Position:
    side, entry, current = Side(given["side"]), Decimal(given["entry_price"]), Decimal(given["current_price"])
    return Position(
        given["ticket"], given["symbol"], side, Decimal(given["volume"]), entry, current,
        _level(given["stop_loss"]), _level(given["take_profit"]), Decimal(given["profit"]),
        _points(side, entry, current), Decimal(given["swap"]), given["magic"],
        datetime.fromisoformat(given["opened_at"]))


def _level(text: str | None) -> Decimal | None:
    """Terminals write 0 where there is no level."""
    return Decimal(text) or None if text is not None else None


def _points(side: Side, entry: Decimal, current: Decimal) -> Decimal:
    """How far the price has come, in units of the last digit that either price is written with."""
    moved = current - entry if side == Side.BUY else entry - current
    digits = max(_digits(entry), _digits(current))
    return moved.scaleb(digits).quantize(Decimal(1))


def _digits(price: Decimal) -> int:
    exponent = price.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
