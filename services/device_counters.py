"""The counters of sealed requests: each is accepted once at most, for ever, whatever becomes of Redis.

Redis has the last one that was accepted, and up to where it may go on by itself. The database has a ceiling: nothing
above it has been accepted with any of the device's good secrets. Whoever raises the ceiling beyond a counter has this
counter and those up to the new ceiling to give away, and nobody else ever has; only then Redis is told of them. A Redis
that has forgotten, or another one that has taken its place, is told of new ones only. So the writer is needed once in
about a thousand sealed requests.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import Update, and_, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from models.database import Database
from models.device import Device
from runtime import valkey
from runtime.coalescing import Coalesced
from runtime.line import Script, Word
from services.errors import CounterUsed, TryLater, Unauthenticated
from wire.envelope import MOST_COUNTER

if TYPE_CHECKING:
    from services.desk import Desk

STRIDE = 1024
KEEP_SECONDS = 30 * 24 * 3600

# KEYS: where the last one of each is. ARGV: how long to keep them; then of each the counter, and up to where one may go
# on if it is beyond (0: not given). A server that has been started anew, or another one, may know an older state than
# the last: its run_id tells. Answers for each whether it was taken, is used or lies beyond what is known, and the last.
_TAKE = Script("""
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local answers = {}
for number, name in ipairs(KEYS) do
  local asked, granted = ARGV[number * 2], ARGV[number * 2 + 1]
  local kept = redis.call('HMGET', name, 'run', 'last', 'ceiling')
  local last, ceiling = '0', '0'
  if kept[1] and kept[1] == run then last, ceiling = kept[2], kept[3] end
  local counter, verdict = tonumber(asked), 'taken'
  if counter <= tonumber(last) then
    verdict = 'used'
  elseif counter > tonumber(ceiling) and counter > tonumber(granted) then
    verdict = 'beyond'
  else
    if counter > tonumber(ceiling) then ceiling = granted end
    last = asked
    redis.call('HSET', name, 'run', run or '', 'last', last, 'ceiling', ceiling)
    redis.call('EXPIRE', name, ARGV[1])
  end
  answers[number] = {verdict, last}
end
return answers
""")


class SealingKey(NamedTuple):
    """One of a device's secrets, by its number."""

    device_id: str
    key_number: int


class Said(NamedTuple):
    """``verdict`` is taken, used or beyond; ``last`` the last counter that was taken."""

    verdict: str
    last: int


class _Take(NamedTuple):
    key: SealingKey
    counter: int
    granted: int


class DeviceCounters:
    """What Redis knows of counters. Those who ask in the same turn of the event loop share a trip."""

    def __init__(self, redis: Redis) -> None:
        self._line = valkey.line_of(redis)
        self._trips: Coalesced[_Take, Said] = Coalesced(self._travel)

    async def take(self, key: SealingKey, counter: int, granted: int = 0) -> Said:
        """Use a counter up, if it is not beyond what Redis has leave for, or was ``granted``; TryLater while it is
        away."""
        try:
            return await self._trips.ask(_Take(key, counter, granted))
        except (RedisError, OSError, TimeoutError) as error:
            raise TryLater("Counters cannot be told apart right now.") from error

    async def _travel(self, takes: Sequence[_Take]) -> Sequence[Said]:
        names = [f"device:counter:v1:{key.device_id}:{key.key_number}" for key, _, _ in takes]
        words: list[Word] = [KEEP_SECONDS]
        for _, counter, granted in takes:
            words += counter, granted
        found = await self._line.run(2 * valkey.PATIENCE, _TAKE, names, words)
        return [Said(verdict.decode(), int(last)) for verdict, last in found]


async def accept(desk: "Desk", key: SealingKey, counter: int, now: datetime) -> None:
    """Use a counter up; CounterUsed, TryLater while Redis is away, Unauthenticated once the secret is over."""
    said = await desk.device_counters.take(key, counter)
    if said.verdict == "beyond":
        said = await _beyond(desk, key, counter, now)
    if said.verdict != "taken":
        raise CounterUsed(said.last + 1)


async def _beyond(desk: "Desk", key: SealingKey, counter: int, now: datetime) -> Said:
    """A counter that Redis has no leave for: raise the ceiling first, unless somebody has raised it already."""
    raised = await _raise(desk.database, key, counter, now)
    said = await desk.device_counters.take(key, counter, raised or 0)
    if said.verdict != "beyond":
        return said
    # Someone has the counters up to the ceiling, or had them. A device that has lost its count goes on from the time,
    # which is beyond what it can have counted to before.
    ceiling = await _ceiling(desk.database, key, now)
    raise CounterUsed(min(max(ceiling, int(now.timestamp() * 1000)), MOST_COUNTER) + 1)


async def _raise(database: Database, key: SealingKey, counter: int, now: datetime) -> int | None:
    """The new ceiling; None when the present one is as high as the counter."""
    if await _ceiling(database, key, now) >= counter:
        return None
    async with database.writing() as session:
        raised: int | None = await session.scalar(_raising(key, counter, now))
    return raised


def _raising(key: SealingKey, counter: int, now: datetime) -> Update:
    return (update(Device).where(_good(key, now), Device.counter_ceiling < counter)
            .values(counter_ceiling=min(counter + STRIDE, MOST_COUNTER)).returning(Device.counter_ceiling))


async def _ceiling(database: Database, key: SealingKey, now: datetime) -> int:
    async with database.reading() as session:
        found: int | None = await session.scalar(select(Device.counter_ceiling).where(_good(key, now)))
    if found is None:
        raise Unauthenticated
    return found


def _good(key: SealingKey, now: datetime) -> ColumnElement[bool]:
    """The device, while that secret of it is the present one or the one before, which is still good."""
    is_previous = and_(Device.key_number == key.key_number + 1, Device.previous_until > now)
    return and_(Device.id == key.device_id, Device.revoked_at.is_(None),
                or_(Device.key_number == key.key_number, is_previous))
