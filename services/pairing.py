"""Pairing: a short code that its user carries into a terminal, where it makes a device, once.

Of a code there is only a digest, keyed by the master key: whoever has the database alone cannot try codes against it.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.device import Device, PairingCode
from models.user import User
from services import accounts, audit, devices, outbox
from services.desk import Desk
from services.devices import DeviceView, Registered
from services.errors import LimitReached, NameTaken, NotFound, Unauthenticated
from services.vault import Vault

# Nothing in it is read for something else; ten of them are 49 bits.
ALPHABET, LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789", 10
GOOD_FOR = timedelta(minutes=10)
MOST_CODES = 3
LONGEST_NAME = 64
_BETWEEN = re.compile(r"[\s\-‐-―−_.]+")


@dataclass(frozen=True, slots=True)
class PairingOffer:
    """A code as it is shown this once."""

    id: int
    name: str
    code: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Pairing:
    """What has become of a code: ``device`` is what it has made."""

    id: int
    name: str
    expires_at: datetime
    device: DeviceView | None


@dataclass(frozen=True, slots=True)
class Applicant:
    """A terminal that has been given a code. Nothing of what it says of itself is proved."""

    code: str
    login: str
    server: str
    version: str | None


async def offer(desk: Desk, user_id: int, name: str, now: datetime) -> PairingOffer:
    """A new code for a device of this name; LimitReached, NameTaken. More than a few at once end the oldest."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(LETTERS))
    async with desk.database.writing() as session:
        await accounts.take_turn(session, user_id)
        await devices.has_room(session, desk, user_id, now)
        if name in await _names(session, user_id):
            raise NameTaken
        await _end_oldest(session, user_id, now)
        row = PairingCode(user_id=user_id, digest=_digests(desk.vault, code)[0], name=name, created_at=now,
                          expires_at=now + GOOD_FOR)
        session.add(row)
        await session.flush()
        audit.record(session, now, "pairing_offered", "pairing", row.id, user_id=user_id)
    return PairingOffer(row.id, name, f"{code[:LETTERS // 2]}-{code[LETTERS // 2:]}", row.expires_at)


async def _names(session: AsyncSession, user_id: int) -> set[str]:
    return set(await session.scalars(select(Device.name).where(Device.user_id == user_id,
                                                               Device.revoked_at.is_(None))))


async def _end_oldest(session: AsyncSession, user_id: int, now: datetime) -> None:
    older = await session.scalars(
        select(PairingCode.id).where(PairingCode.user_id == user_id, *_usable(now))
        .order_by(PairingCode.id.desc()).offset(MOST_CODES - 1))
    await session.execute(delete(PairingCode).where(PairingCode.id.in_(older.all())))


def _usable(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return PairingCode.used_at.is_(None), PairingCode.expires_at > now


async def state(session: AsyncSession, user_id: int, pairing_id: int, now: datetime) -> Pairing:
    """What has become of a code; NotFound for another's and for one that a newer one has ended."""
    row = await session.scalar(select(PairingCode).where(PairingCode.id == pairing_id,
                                                         PairingCode.user_id == user_id))
    if row is None:
        raise NotFound
    made = await devices.owned(session, user_id, row.device_id) if row.device_id is not None else None
    return Pairing(row.id, row.name, row.expires_at, devices.view(made, now) if made is not None else None)


async def pair(desk: Desk, applicant: Applicant, now: datetime) -> Registered:
    """The device that the code makes, with its secret. Unauthenticated for every code that does not."""
    digests = _digests(desk.vault, _read(applicant.code))
    async with desk.database.reading() as session:
        user_id = await session.scalar(select(PairingCode.user_id).where(PairingCode.digest.in_(digests),
                                                                         *_usable(now)))
    if user_id is None:
        raise Unauthenticated
    async with desk.database.writing() as session:
        await accounts.take_turn(session, user_id)
        taken = (await session.execute(
            update(PairingCode).where(PairingCode.digest.in_(digests), *_usable(now)).values(used_at=now)
            .returning(PairingCode.id, PairingCode.name))).one_or_none()
        if taken is None:
            raise Unauthenticated
        made = await _enrol(session, desk, user_id, taken.name, now)
        await session.execute(update(PairingCode).where(PairingCode.id == taken.id)
                              .values(device_id=made.device.id))
        await _tell(session, user_id, made.device, applicant, now)
    desk.wakes.outbox.set()
    return made


async def _enrol(session: AsyncSession, desk: Desk, user_id: int, name: str, now: datetime) -> Registered:
    try:
        return await devices.enrol(session, desk, user_id, await free_name(session, user_id, name), None, now)
    except LimitReached as error:
        raise Unauthenticated from error


async def free_name(session: AsyncSession, user_id: int, name: str) -> str:
    """The name, or the first of it with a number that no device in use has."""
    names = await _names(session, user_id)
    numbered = (f"{name[:LONGEST_NAME - 4].rstrip()} {number}" for number in range(2, len(names) + 3))
    return next(each for each in (name, *numbered) if each not in names)


async def _tell(session: AsyncSession, user_id: int, device: DeviceView, applicant: Applicant, now: datetime) -> None:
    """A code that somebody else has used shows up in its owner's chat."""
    audit.record(session, now, "device_paired", "device", None, user_id=user_id, device_id=device.id,
                 login=applicant.login, server=applicant.server, version=applicant.version)
    chat_id = await session.scalar(select(User.telegram_id).where(User.id == user_id, User.blocked_at.is_(None)))
    if chat_id is not None:
        await outbox.say(session, chat_id, f"paired:{device.id}", {
            "template": "device_paired", "device_id": device.id, "name": device.name, "login": applicant.login,
            "server": applicant.server}, now)


async def drop_expired(session: AsyncSession, before: datetime, limit: int) -> int:
    """Delete codes that ended before ``before``, used or not."""
    ids = list(await session.scalars(select(PairingCode.id).where(PairingCode.expires_at < before).limit(limit)))
    await session.execute(delete(PairingCode).where(PairingCode.id.in_(ids)))
    return len(ids)


def _read(given: str) -> str:
    """A code as people write it: with spaces or dashes, in small letters."""
    return _BETWEEN.sub("", given).upper()


def _digests(vault: Vault, code: str) -> list[str]:
    """Under the current master key first, then under the one before it."""
    return [hmac.new(key, code.encode(), hashlib.sha256).hexdigest() for key in vault.pairing_keys]
