"""The keys that devices sign with, remembered for a while: a device signs something every second or so.

What this process changes is forgotten at the commit. For what others change there is a mark in Redis for every device,
which is read together with what is asked of Redis at each of its requests: after a change it is another one, before
anybody is told that the change is made. So a change counts from the next request on, everywhere. While Redis cannot be
told, it is tried again, and no key is remembered for longer than half a minute. A process that dies before it tells is
no way round a revocation: what has been revoked lately is looked up twice a second.
"""

import asyncio
import secrets
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.database import Database
from models.device import Device
from runtime.coalescing import Coalesced
from runtime.supervision import Start
from services.sightings import Sight
from services.vault import SealBroken, Vault

log = structlog.get_logger(__name__)

CHANGED = "devices_that_changed"
REMEMBER_SECONDS = 30.0
MOST = 20_000
MARK_SECONDS = 24 * 3600
# So long whoever has changed a device waits for Redis to be told.
TELL_SECONDS, PAUSE_SECONDS = 1.0, 0.25
# Revocations are looked for so far back: longer than a key is remembered, and clocks differ.
LOOK_BACK = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """What a device's requests are checked with, and whose they are.

    ``previous_secret`` is good too until ``previous_until``, or until the present one is first used.
    """

    key_id: str
    user_id: int
    account_id: int | None
    secret: bytes
    key_number: int = 1
    previous_secret: bytes | None = None
    previous_until: datetime | None = None
    requires_envelope: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """A key as it was on record when the device's mark was this one; None where Redis could not be asked.

    ``record`` is what is on record of when it was seen.
    """

    key: DeviceKey
    mark: bytes | None
    read_at: float
    sealed_secret: bytes
    record: Sight


class DeviceKeys:
    """Answers from memory what was read a while ago; whoever asks compares the mark."""

    def __init__(self, database: Database, redis: Redis, vault: Vault, start: Start) -> None:
        self._database, self._redis, self._vault, self._start = database, redis, vault, start
        self._known: dict[str, Known] = {}
        self._changes = 0
        self._reads: Coalesced[str, Known | SealBroken | None] = Coalesced(self._read)
        database.on_commit(self._forget)
        database.after_commit(self._tell)

    def remembered(self, key_id: str) -> Known | None:
        """What is to be confirmed by the mark before it is believed."""
        known = self._known.get(key_id)
        return known if known is not None and time.monotonic() - known.read_at < REMEMBER_SECONDS else None

    async def look(self, now: datetime) -> None:
        """Forget what has been revoked, whoever has done it."""
        async with self._database.reading() as session:
            revoked = (await session.scalars(select(Device.id).where(Device.revoked_at > now - LOOK_BACK))).all()
        for key_id in revoked:
            self._known.pop(key_id, None)

    async def find(self, key_id: str) -> Known | None:
        """What is on record now; None for a device that is unknown or revoked, SealBroken when it cannot be read."""
        found = await self._reads.ask(key_id)
        if isinstance(found, SealBroken):
            raise found
        return found

    async def _read(self, key_ids: Sequence[str]) -> Sequence[Known | SealBroken | None]:
        """All of them by one question. A mark is older than what is remembered with it: a change makes it another."""
        changes, read_at, wanted = self._changes, time.monotonic(), set(key_ids)
        marks = await self._marks(wanted)
        rows = await self._rows(wanted)
        unmarked = {key_id for key_id in rows if key_id not in marks}
        if unmarked:
            marks |= await self._marks(unmarked, make=True)
            rows = {key_id: row for key_id, row in rows.items() if key_id not in unmarked} | await self._rows(unmarked)
        found = {key_id: self._opened(row, marks.get(key_id), read_at) for key_id, row in rows.items()}
        for key_id in wanted:
            self._known.pop(key_id, None)
            known = found.get(key_id)
            if isinstance(known, Known) and known.mark is not None and changes == self._changes:
                self._remember(known)
        return [found.get(key_id) for key_id in key_ids]

    async def _marks(self, key_ids: Collection[str], *, make: bool = False) -> dict[str, bytes]:
        """Those that are there, by device; with ``make`` every one, unless Redis is away."""
        names = {key_id: mark_of(key_id) for key_id in key_ids}
        try:
            async with self._redis.pipeline(transaction=False) as asked:
                for name in names.values() if make else ():
                    asked.set(name, _new_mark(), nx=True, ex=MARK_SECONDS)
                asked.mget(names.values())
                found: list[bytes | None] = (await asked.execute())[-1]
        except (RedisError, OSError, TimeoutError):
            return {}
        return {key_id: mark for key_id, mark in zip(names, found, strict=True) if mark is not None}

    async def _rows(self, key_ids: Iterable[str]) -> dict[str, Row[Any]]:
        async with self._database.reading() as session:
            rows: Sequence[Any] = (await session.execute(
                select(Device.id, Device.user_id, Device.account_id, Device.sealed_secret, Device.key_number,
                       Device.sealed_previous_secret, Device.previous_until, Device.requires_envelope,
                       Device.last_seen_at, Device.dated_until)
                .where(Device.id.in_(key_ids), Device.revoked_at.is_(None)))).all()
            return {row[0]: row for row in rows}

    def _opened(self, row: Row[Any], mark: bytes | None, read_at: float) -> Known | SealBroken:
        try:
            secret = self._vault.open(row.sealed_secret, secret_place(row.id, row.user_id))
            previous = None if row.sealed_previous_secret is None else self._vault.open(
                row.sealed_previous_secret, previous_secret_place(row.id, row.user_id))
        except SealBroken as error:
            return error
        key = DeviceKey(row.id, row.user_id, row.account_id, secret, row.key_number, previous, row.previous_until,
                        row.requires_envelope)
        seen_at = row.last_seen_at.timestamp() if row.last_seen_at is not None else 0.0
        return Known(key, mark, read_at, row.sealed_secret, Sight(seen_at, row.dated_until))

    def _remember(self, known: Known) -> None:
        if len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        self._known[known.key.key_id] = known

    def _forget(self, session: AsyncSession) -> None:
        for key_id in session.info.get(CHANGED, ()):
            self._changes += 1
            self._known.pop(key_id, None)

    async def _tell(self, session: AsyncSession) -> None:
        """Let every process know, before anybody is told of the change."""
        changed = session.info.get(CHANGED)
        if not changed:
            return
        told, marks = asyncio.Event(), {mark_of(key_id): _new_mark() for key_id in changed}
        with suppress(TimeoutError):
            async with asyncio.timeout(TELL_SECONDS):
                try:
                    self._start("device_marks", self._set_marks(marks, told))
                except RuntimeError:  # too much is under way: it is told here, as far as there is time
                    await self._set_marks(marks, told)
                await told.wait()

    async def _set_marks(self, marks: Mapping[str, bytes], told: asyncio.Event) -> None:
        until = time.monotonic() + REMEMBER_SECONDS  # by then nobody remembers what was before
        while not told.is_set() and time.monotonic() < until:
            try:
                async with self._redis.pipeline(transaction=True) as both:
                    for name, mark in marks.items():
                        both.set(name, mark, ex=MARK_SECONDS)
                    await both.execute()
                told.set()
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("device_marks_unset", error=type(error).__name__)
                await asyncio.sleep(PAUSE_SECONDS)


def note_change(session: AsyncSession, device_id: str) -> None:
    """The device signs otherwise, or for another account, once this transaction has committed."""
    session.info.setdefault(CHANGED, set()).add(device_id)


async def drop_previous(session: AsyncSession, known: Known) -> None:
    """The present secret has been used: the one before it is good for nothing any more."""
    dropped = await session.scalar(
        update(Device).where(Device.id == known.key.key_id, Device.key_number == known.key.key_number,
                             Device.sealed_secret == known.sealed_secret, Device.sealed_previous_secret.is_not(None))
        .values(sealed_previous_secret=None, previous_until=None).returning(Device.id))
    if dropped is not None:
        note_change(session, known.key.key_id)


def with_previous(key: DeviceKey, now: datetime) -> DeviceKey | None:
    """The key for who signs with the secret before the present one; None when that is good for nothing."""
    if key.previous_secret is None or key.previous_until is None or now >= key.previous_until:
        return None
    return replace(key, secret=key.previous_secret, key_number=key.key_number - 1, previous_secret=None,
                   previous_until=None)


def mark_of(key_id: str) -> str:
    """Where the mark of a device is in Redis."""
    return f"device:mark:v1:{key_id}"


def secret_place(device_id: str, user_id: int) -> str:
    """What a device's sealed secret is bound to."""
    return f"devices:sealed_secret:{device_id}:{user_id}"


def previous_secret_place(device_id: str, user_id: int) -> str:
    """The same for the secret before it."""
    return f"devices:sealed_previous_secret:{device_id}:{user_id}"


def _new_mark() -> bytes:
    return secrets.token_hex(8).encode()
