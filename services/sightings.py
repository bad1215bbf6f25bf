"""When devices were last seen: noted at every request, written together now and then.

Besides telling its owner whether a device is there, the record is what remains when Redis has lost its memory: a
request is let in only when the record says that the device was there in the last half minute (services/replays.py
counts on it). A device that has been away is written first, together with all that wait for the same.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import Table, bindparam, case, or_, update

from models.database import Database
from models.device import Device
from runtime.coalescing import Coalesced

WRITE_SECONDS, RECORD_SECONDS = 10.0, 30.0
# By so much a clock may be ahead without being said to be: of a second that has begun, and of another desk's clock.
AHEAD_SECONDS = 1.0
# For a clock that is ahead the record is this much ahead of it, so that not every request has to be recorded.
STRIDE_SECONDS = 30
MOST, ROWS = 20_000, 500


@dataclass(frozen=True, slots=True)
class Sight:
    """When a device was seen, and until when (0: its clock is not ahead) what it sent may have been dated; unix
    seconds."""

    seen_at: float
    dated_until: int

    def merged(self, other: "Sight") -> "Sight":
        """The later of both."""
        return Sight(max(self.seen_at, other.seen_at), max(self.dated_until, other.dated_until))


NEVER = Sight(0.0, 0)
_TABLE = cast(Table, Device.__table__)
_AT = bindparam("at", type_=_TABLE.c.last_seen_at.type)
_DATED = bindparam("dated", type_=_TABLE.c.dated_until.type)
_WRITE = (
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("device"), _TABLE.c.revoked_at.is_(None),
           or_(_TABLE.c.last_seen_at.is_(None), _TABLE.c.last_seen_at < _AT, _TABLE.c.dated_until < _DATED))
    .values(last_seen_at=case((_TABLE.c.last_seen_at > _AT, _TABLE.c.last_seen_at), else_=_AT),
            dated_until=case((_TABLE.c.dated_until > _DATED, _TABLE.c.dated_until), else_=_DATED)))


class Sightings:
    """What this process has seen, and what it knows to be on record."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[str, Sight] = {}
        self._recorded: dict[str, Sight] = {}
        self._writes: Coalesced[None, None] = Coalesced(self._write_for)

    def learn(self, device_id: str, record: Sight) -> None:
        """So much was read in the record, which only ever grows."""
        known = self._recorded.pop(device_id, NEVER)
        if len(self._recorded) >= MOST:
            del self._recorded[next(iter(self._recorded))]
        self._recorded[device_id] = known.merged(record)

    def is_recorded(self, device_id: str, at: float, dated: int) -> bool:
        """Whether a request of now, dated so, would be no surprise to who knows only the record."""
        known = self._recorded.get(device_id, NEVER)
        return at - known.seen_at <= RECORD_SECONDS and (dated <= at + AHEAD_SECONDS or dated <= known.dated_until)

    def note(self, device_id: str, at: float, dated: int) -> None:
        """The device is there."""
        seen = Sight(at, dated + STRIDE_SECONDS if dated > at + AHEAD_SECONDS else 0)
        before = self._seen.get(device_id)
        self._seen[device_id] = seen if before is None else before.merged(seen)

    async def record(self, device_id: str, at: float, dated: int) -> None:
        """Note it, and see to it that it is on record."""
        self.note(device_id, at, dated)
        await self._writes.ask(None)

    async def write(self) -> None:
        """Put on record what has been seen since the last time."""
        if self._seen:
            await self._writes.ask(None)

    async def run(self, stopping: asyncio.Event) -> None:
        """Write every ten seconds, and what is left at the end."""
        while not stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), WRITE_SECONDS)
            await self.write()

    async def _write_for(self, waiting: Sequence[None]) -> Sequence[None]:
        seen, self._seen = sorted(self._seen.items()), {}
        for start in range(0, len(seen), ROWS):
            try:
                await self._write_rows(seen[start:start + ROWS])
            except BaseException:
                for device_id, sight in seen[start:]:
                    self._seen[device_id] = sight.merged(self._seen.get(device_id, NEVER))
                raise
        return [None] * len(waiting)

    async def _write_rows(self, seen: Sequence[tuple[str, Sight]]) -> None:
        """In the order of their ids: two processes that write the same ones do not wait for each other in a ring."""
        rows: list[dict[str, Any]] = [
            {"device": device_id, "at": datetime.fromtimestamp(sight.seen_at, UTC), "dated": sight.dated_until}
            for device_id, sight in seen]
        async with self._database.writing() as session:
            await (await session.connection()).execute(_WRITE, rows)
        for device_id, sight in seen:
            self.learn(device_id, sight)
