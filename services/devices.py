"""Devices: Expert Advisors that a user registers, each with a secret it signs with."""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account, Route
from models.device import Device, DeviceSnapshot, DeviceSymbol
from services import accounts, audit, device_keys, tiers
from services.desk import Desk
from services.device_keys import DeviceKey as DeviceKey
from services.device_keys import previous_secret_place, secret_place
from services.errors import LimitReached, NameTaken, NotFound
from services.upsert import insert
from services.vault import Vault

OFFLINE_AFTER = timedelta(minutes=5)
AT_ONCE = timedelta(0)
# A terminal trades when all of these are on: its own button, the Expert Advisor's, the account's.
_SWITCHES = ("trade_allowed", "expert_allowed", "account_allowed")


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device as its owner sees it. ``status`` is active, offline (unheard of for five minutes) or revoked.

    ``version`` and ``is_trading_allowed`` are what it tells of itself and its terminal, None until it has. With
    ``has_previous_key`` the secret before the present one is still good.
    """

    id: str
    name: str
    account_id: int | None
    status: str
    last_seen_at: datetime | None
    created_at: datetime
    requires_envelope: bool
    version: str | None
    is_trading_allowed: bool | None
    has_previous_key: bool


@dataclass(frozen=True, slots=True)
class Binding:
    """Which account a device is to serve, None for none."""

    account_id: int | None


@dataclass(frozen=True, slots=True)
class Registered:
    """A device with its secret: base64url without padding, shown this once."""

    device: DeviceView
    secret: str


async def register(desk: Desk, user_id: int, name: str, account_id: int | None, now: datetime) -> Registered:
    """A new device; LimitReached, NameTaken, NotFound for an account that is not the user's."""
    async with desk.database.writing() as session:
        return await enrol(session, desk, user_id, name, account_id, now)


async def enrol(session: AsyncSession, desk: Desk, user_id: int, name: str, account_id: int | None,
                now: datetime) -> Registered:
    """The same within a transaction that has more to write."""
    device_id, secret = f"dv_{secrets.token_hex(12)}", secrets.token_bytes(32)
    await accounts.take_turn(session, user_id)
    account = await accounts.owned(session, user_id, account_id) if account_id is not None else None
    await has_room(session, desk, user_id, now)
    statement = insert(session, Device).values(
        id=device_id, user_id=user_id, account_id=account_id, name=name, created_at=now,
        sealed_secret=desk.vault.seal(secret, secret_place(device_id, user_id)))
    if await session.scalar(statement.on_conflict_do_nothing().returning(Device.id)) is None:
        raise NameTaken
    _vouches(device_id, account)
    _record(session, now, "device_registered", user_id, device_id)
    return Registered(view(await owned(session, user_id, device_id), now), _shown(secret))


def _vouches(device_id: str, account: Account | None) -> None:
    """An account whose reports come from nobody is heard of through the device that serves it from now on."""
    if account is not None and account.route == Route.DEVICE and account.device_id is None:
        account.device_id = device_id


async def has_room(session: AsyncSession, desk: Desk, user_id: int, now: datetime) -> None:
    """LimitReached when the plan allows no further device."""
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
    heard_at, told = device.last_seen_at or device.created_at, device.terminal or {}
    status = "offline" if now - heard_at > OFFLINE_AFTER else "active"
    return DeviceView(
        device.id, device.name, device.account_id, "revoked" if device.revoked_at else status, device.last_seen_at,
        device.created_at, device.requires_envelope, told.get("version"),
        all(told.get(switch) for switch in _SWITCHES) if told else None, _has_previous(device, now))


def _has_previous(device: Device, now: datetime) -> bool:
    return (device.revoked_at is None and device.sealed_previous_secret is not None
            and device.previous_until is not None and device.previous_until > now)


async def change(session: AsyncSession, user_id: int, device_id: str, now: datetime, *, name: str | None = None,
                 requires_envelope: bool | None = None, binding: Binding | None = None) -> DeviceView:
    """Change what is given; NameTaken when another one in use has the name, NotFound for another's account."""
    device = await in_use(session, user_id, device_id)
    if name is not None:
        await _rename(session, device, name)
    if requires_envelope is not None:
        device.requires_envelope = requires_envelope
    if binding is not None and binding.account_id != device.account_id:
        await _bind(session, device, binding.account_id, now)
    device_keys.note_change(session, device_id)
    audit.record(session, now, "device_changed", "device", None, user_id=user_id, device_id=device_id, name=name,
                 requires_envelope=requires_envelope, account_id=device.account_id)
    return view(device, now)


async def _rename(session: AsyncSession, device: Device, name: str) -> None:
    taken = select(Device.id).where(Device.user_id == device.user_id, Device.name == name, Device.revoked_at.is_(None),
                                    Device.id != device.id)
    if await session.scalar(taken) is not None:
        raise NameTaken
    device.name = name


async def _bind(session: AsyncSession, device: Device, account_id: int | None, now: datetime) -> None:
    account = await accounts.owned(session, device.user_id, account_id) if account_id is not None else None
    device.account_id = account_id
    await _stop_vouching(session, device.id, "device_unbound", now)
    _vouches(device.id, account)


async def serve(session: AsyncSession, device_id: str, account: Account, now: datetime) -> None:
    """The device has shown this account: it serves this one from now on, and its word for any other is over."""
    await session.execute(update(Device).where(Device.id == device_id).values(account_id=account.id))
    await _stop_vouching(session, device_id, "device_unbound", now, but=account.id)
    device_keys.note_change(session, device_id)


async def _stop_vouching(session: AsyncSession, device_id: str, trouble: str, now: datetime, *,
                         but: int | None = None) -> None:
    """What a device has proved is taken over by another one that serves and reports the same account, or is over."""
    await session.flush()
    proved = select(Account).where(Account.device_id == device_id, Account.id.is_distinct_from(but))
    for account in (await session.scalars(proved)).all():
        account.device_id = await session.scalar(
            select(Device.id).join(DeviceSnapshot, DeviceSnapshot.device_id == Device.id)
            .where(Device.account_id == account.id, Device.user_id == account.user_id, Device.id != device_id,
                   Device.revoked_at.is_(None), DeviceSnapshot.login == account.login,
                   DeviceSnapshot.server == account.server)
            .order_by(DeviceSnapshot.received_at.desc(), Device.id).limit(1))
        if account.device_id is None:
            await session.flush()
            # What is said while holding the turn is meant for what stands now, however long the turn was waited for.
            at = max(now, account.verified_at or now)
            await accounts.mark_broken(session, account.id, trouble, at, tells=False)


async def rotate(session: AsyncSession, vault: Vault, user_id: int, device_id: str, now: datetime,
                 grace: timedelta = AT_ONCE) -> Registered:
    """A new secret. The old one is good until the new one is first used, for ``grace`` at most.

    While it is, the present secret has never been used: a second rotation replaces that one, and the terminal's own
    stays good. Both count above the same ceiling then, or a counter of the old one could be taken again.
    """
    device = await in_use(session, user_id, device_id)
    secret, has_previous = secrets.token_bytes(32), _has_previous(device, now)
    if not grace:
        device.sealed_previous_secret, device.previous_until, device.counter_ceiling = None, None, 0
    elif has_previous:
        device.previous_until = now + grace
    else:
        present = vault.open(device.sealed_secret, secret_place(device_id, user_id))
        device.sealed_previous_secret = vault.seal(present, previous_secret_place(device_id, user_id))
        device.previous_until = now + grace
    if not (grace and has_previous):
        device.key_number += 1
    device.sealed_secret = vault.seal(secret, secret_place(device_id, user_id))
    device_keys.note_change(session, device_id)
    _record(session, now, "device_rotated", user_id, device_id)
    return Registered(view(device, now), _shown(secret))


async def revoke(session: AsyncSession, user_id: int, device_id: str, now: datetime) -> DeviceView:
    """The device is shut out for good. An account that only it has reported is seen no more: its link breaks."""
    device = await _locked(session, user_id, device_id)
    if device is None:
        raise NotFound
    device_keys.note_change(session, device_id)  # again too: whoever revoked it may have died before it could tell
    if device.revoked_at is not None:
        return view(device, now)
    device.revoked_at, device.account_id, device.quiet_told_at = now, None, None
    device.sealed_previous_secret, device.previous_until = None, None
    await _stop_vouching(session, device_id, "device_revoked", now)
    await session.execute(delete(DeviceSnapshot).where(DeviceSnapshot.device_id == device_id))
    await session.execute(delete(DeviceSymbol).where(DeviceSymbol.device_id == device_id))
    _record(session, now, "device_revoked", user_id, device_id)
    return view(device, now)


async def in_use(session: AsyncSession, user_id: int, device_id: str) -> Device:
    """The user's device, locked; NotFound for a revoked one too."""
    device = await _locked(session, user_id, device_id)
    if device is None or device.revoked_at is not None:
        raise NotFound
    return device


async def _locked(session: AsyncSession, user_id: int, device_id: str) -> Device | None:
    """Changes of one user's devices take turns; their keys and what is heard of them are written without that turn."""
    await accounts.take_turn(session, user_id)
    device: Device | None = await session.scalar(
        select(Device).where(Device.id == device_id, Device.user_id == user_id).with_for_update()
        .execution_options(populate_existing=True))
    return device


def _shown(secret: bytes) -> str:
    return base64.urlsafe_b64encode(secret).rstrip(b"=").decode()


def _record(session: AsyncSession, now: datetime, action: str, user_id: int, device_id: str) -> None:
    audit.record(session, now, action, "device", None, user_id=user_id, device_id=device_id)
