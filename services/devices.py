"""Devices: Expert Advisors that a user registers, each with a secret it signs with."""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account, Route
from models.device import Device, DeviceSnapshot
from services import accounts, audit, tiers
from services.desk import Desk
from services.errors import LimitReached, NameTaken, NotFound
from services.upsert import insert
from services.vault import Vault

OFFLINE_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device as its owner sees it. ``status`` is active, offline (unheard of for five minutes) or revoked."""

    id: str
    name: str
    account_id: int | None
    status: str
    last_seen_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Registered:
    """A device with its secret: base64url without padding, shown this once."""

    device: DeviceView
    secret: str


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """What a device's requests are checked with, and whose they are."""

    key_id: str
    user_id: int
    account_id: int | None
    secret: bytes


async def register(desk: Desk, user_id: int, name: str, account_id: int | None, now: datetime) -> Registered:
    """A new device; LimitReached, NameTaken, NotFound for an account that is not the user's."""
    device_id, secret = f"dv_{secrets.token_hex(12)}", secrets.token_bytes(32)
    sealed = desk.vault.seal(secret, secret_place(device_id, user_id))
    async with desk.database.writing() as session:
        await accounts.take_turn(session, user_id)
        account = await accounts.owned(session, user_id, account_id) if account_id is not None else None
        await _has_room(session, desk, user_id, now)
        statement = insert(session, Device).values(
            id=device_id, user_id=user_id, account_id=account_id, name=name, sealed_secret=sealed, created_at=now)
        if await session.scalar(statement.on_conflict_do_nothing().returning(Device.id)) is None:
            raise NameTaken
        if account is not None and account.route == Route.DEVICE:
            account.device_id = device_id
        _record(session, now, "device_registered", user_id, device_id)
        device = await owned(session, user_id, device_id)
    return Registered(view(device, now), _shown(secret))


async def _has_room(session: AsyncSession, desk: Desk, user_id: int, now: datetime) -> None:
    tier = await tiers.tier_of(session, desk.catalogue, user_id, now)
    held = await session.scalar(select(func.count()).select_from(Device).where(
        Device.user_id == user_id, Device.revoked_at.is_(None))) or 0
    if held >= tier.devices:
        needed = next((more.name for more in desk.catalogue if more.devices > held), None)
        raise LimitReached(needed, f"Your plan allows {tier.devices} device{'s' * (tier.devices != 1)}.")


async def owned(session: AsyncSession, user_id: int, device_id: str) -> Device:
    """The user's device, revoked or not; NotFound when there is none or it is another's."""
    device = await session.scalar(select(Device).where(Device.id == device_id, Device.user_id == user_id))
    if device is None:
        raise NotFound
    return device


async def listed(session: AsyncSession, user_id: int, now: datetime) -> list[DeviceView]:
    """Every device of the user, the ones in use first."""
    rows = await session.scalars(select(Device).where(Device.user_id == user_id)
                                 .order_by(Device.revoked_at.is_not(None), Device.created_at.desc(), Device.id))
    return [view(row, now) for row in rows]


def view(device: Device, now: datetime) -> DeviceView:
    """The device with its state at ``now``."""
    heard_at = device.last_seen_at or device.created_at
    status = "offline" if now - heard_at > OFFLINE_AFTER else "active"
    return DeviceView(device.id, device.name, device.account_id, "revoked" if device.revoked_at else status,
                      device.last_seen_at, device.created_at)


async def rename(session: AsyncSession, user_id: int, device_id: str, name: str, now: datetime) -> DeviceView:
    """Call a device otherwise; NameTaken when another one in use has the name."""
    device = await _in_use(session, user_id, device_id)
    taken = select(Device.id).where(Device.user_id == user_id, Device.name == name, Device.revoked_at.is_(None),
                                    Device.id != device_id)
    if await session.scalar(taken) is not None:
        raise NameTaken
    device.name = name
    _record(session, now, "device_renamed", user_id, device_id)
    return view(device, now)


async def rotate(session: AsyncSession, vault: Vault, user_id: int, device_id: str, now: datetime) -> Registered:
    """A new secret; the old one is good for nothing from now on."""
    device = await _in_use(session, user_id, device_id)
    secret = secrets.token_bytes(32)
    device.sealed_secret = vault.seal(secret, secret_place(device_id, user_id))
    _record(session, now, "device_rotated", user_id, device_id)
    return Registered(view(device, now), _shown(secret))


async def revoke(session: AsyncSession, user_id: int, device_id: str, now: datetime) -> DeviceView:
    """The device is shut out for good. The account it reported cannot be seen any more and its link is broken."""
    device = await owned(session, user_id, device_id)
    if device.revoked_at is not None:
        return view(device, now)
    await accounts.take_turn(session, user_id)
    device.revoked_at, device.account_id = now, None
    bound = await session.scalars(select(Account.id).where(Account.device_id == device_id))
    for account_id in bound.all():
        await accounts.mark_broken(session, account_id, "device_revoked", now, tells=False)
    await session.execute(update(Account).where(Account.device_id == device_id).values(device_id=None))
    await session.execute(delete(DeviceSnapshot).where(DeviceSnapshot.device_id == device_id))
    _record(session, now, "device_revoked", user_id, device_id)
    return view(device, now)


async def _in_use(session: AsyncSession, user_id: int, device_id: str) -> Device:
    """NotFound for a revoked device too; changes of one user's devices take turns."""
    await accounts.take_turn(session, user_id)
    device = await owned(session, user_id, device_id)
    if device.revoked_at is not None:
        raise NotFound
    return device


async def signing_key(session: AsyncSession, vault: Vault, key_id: str) -> DeviceKey | None:
    """What a device signs with; None when it is unknown or revoked."""
    row = (await session.execute(
        select(Device.user_id, Device.account_id, Device.sealed_secret).where(
            Device.id == key_id, Device.revoked_at.is_(None)))).one_or_none()
    if row is None:
        return None
    secret = vault.open(row.sealed_secret, secret_place(key_id, row.user_id))
    return DeviceKey(key_id, row.user_id, row.account_id, secret)


def secret_place(device_id: str, user_id: int) -> str:
    """What a device's sealed secret is bound to."""
    return f"devices:sealed_secret:{device_id}:{user_id}"




def _shown(secret: bytes) -> str:
    return base64.urlsafe_b64encode(secret).rstrip(b"=").decode()


def _record(session: AsyncSession, now: datetime, action: str, user_id: int, device_id: str) -> None:
    audit.record(session, now, action, "device", None, user_id=user_id, device_id=device_id)
