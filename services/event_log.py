"""Events kept in Redis: a short stream for each user who has listened lately, read by id.

What a script does it does whole: a batch that is sent again after a lost answer is not told twice. Ids are Redis's own
clock, so a place in a stream is also a moment, even where nothing was told yet.
"""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

from runtime import valkey
from runtime.line import Script, Word
from services.errors import InvalidRequest
from services.events import Event

AWAY = (RedisError, OSError, TimeoutError)
CHANNEL = "events:v1"
LATE, BEGAN = "events:v1:late", "events:v1:began"
KEEP_SECONDS = 3_600
# An access token is good for an hour at most, and what was kept when its stream ended for another.
HEARD_SECONDS = 2 * KEEP_SECONDS
_WRITTEN = json.JSONEncoder(separators=(",", ":")).encode
MOST_KEPT, MOST_LATE, READ_AT_ONCE = 100, 100_000, 100
# Replicas and Redis do not have quite the same clock: nobody is told of what they cannot see yet.
LATE_MS = 1_000
_ID = re.compile(r"([0-9]{1,20})-([0-9]{1,19})", re.ASCII)

# Nothing is kept for whom nobody listens.
_TELL = """
local told = {}
local function tell(user, event, data)
  if redis.call('EXISTS', 'events:v1:heard:' .. user) == 0 then return end
  local key = 'events:v1:' .. user
  redis.call('XADD', key, 'MAXLEN', '~', ARGV[1], '*', 'event', event, 'data', data)
  redis.call('EXPIRE', key, ARGV[2])
  told[#told + 1] = user
end
local function wake()
  if #told > 0 then redis.call('PUBLISH', ARGV[3], table.concat(told, ' ')) end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""
# KEYS: the batch's own mark, late ones; ARGV: most kept, seconds, channel, most late ones, then for each event
# user, event, data, and in milliseconds when it is due or nothing.
_APPEND = Script(_TELL + """
if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', 60) then return 0 end
for at = 5, #ARGV, 4 do
  if ARGV[at + 3] == '' then
    tell(ARGV[at], ARGV[at + 1], ARGV[at + 2])
  else
    redis.call('ZADD', KEYS[2], ARGV[at + 3], ARGV[at] .. ' ' .. ARGV[at + 1] .. ' ' .. ARGV[at + 2])
  end
end
redis.call('ZREMRANGEBYRANK', KEYS[2], ARGV[4], -1)
wake()
return 1
""")
# KEYS: late ones; ARGV: most kept, seconds, channel, how many at once. Says how many were due.
_TELL_DUE = Script(_TELL + """
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[4])
for _, late in ipairs(due) do
  tell(string.match(late, '^(%d+) (%S+) (.*)$'))
  redis.call('ZREM', KEYS[1], late)
end
wake()
return #due
""")
# KEYS: stream, heard, when this Redis began; ARGV: milliseconds and number of the last id or nothing, seconds a user
# counts as heard, milliseconds a stream is kept after its last event. Says where to read on, and whether something in
# between may be missing: told by another Redis, run out, or pushed out by what came after.
_OPEN = Script("""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[2], '1', 'EX', ARGV[3])
redis.call('SET', KEYS[3], string.format('%.0f', now - 1), 'NX')
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local here = last and last[1] or string.format('%.0f-0', now - 1)
if ARGV[1] == '' then return {here, 0} end
local ms, number, keep = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
if ms > now or ms < tonumber(redis.call('GET', KEYS[3])) then return {here, 1} end
if not last then return {here, ms < now - keep and 1 or 0} end
local first_ms, first_number = string.match(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1], '^(%d+)-(%d+)$')
first_ms, first_number = tonumber(first_ms), tonumber(first_number)
local from = ARGV[1] .. '-' .. ARGV[2]
if ms > first_ms or (ms == first_ms and number >= first_number) then return {from, 0} end
local info, added = redis.call('XINFO', 'STREAM', KEYS[1]), nil
for at = 1, #info, 2 do
  if info[at] == 'entries-added' then added = info[at + 1] end
end
if added == redis.call('XLEN', KEYS[1]) and ms >= first_ms - keep then return {from, 0} end
return {here, 1}
""")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stream is read on from; ``is_reset`` when what was before is not known any more."""

    id: str
    is_reset: bool


@dataclass(frozen=True, slots=True)
class Told:
    """An event as it is kept; ``data`` is JSON on one line."""

    id: str
    event: str
    data: str


class EventLog:
    """RedisError, OSError or TimeoutError wherever Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._line = valkey.line_of(redis)

    async def append(self, events: Sequence[Event], batch: str) -> None:
        """Keep these and wake who listens; a ``batch`` is written once, however often it is sent."""
        words: list[Word] = [MOST_KEPT, KEEP_SECONDS, CHANNEL, MOST_LATE]
        for event in events:
            due = int(event.due.timestamp() * 1000) + LATE_MS if event.due else ""
            words += event.user_id, event.kind.value, _WRITTEN(event.data), due
        await self._line.run(valkey.PATIENCE, _APPEND, [f"events:v1:batch:{batch}", LATE], words)

    async def tell_due(self) -> bool:
        """Tell what may be seen now; whether more of it waits."""
        words: list[Word] = [MOST_KEPT, KEEP_SECONDS, CHANNEL, READ_AT_ONCE]
        told: int = await self._line.run(valkey.PATIENCE, _TELL_DUE, [LATE], words)
        return told == READ_AT_ONCE

    async def open(self, user_id: int, last_id: str | None) -> Place:
        """Where to read on after ``last_id``, or from now on. InvalidRequest when it is none."""
        parts = _ID.fullmatch(last_id) if last_id is not None else None
        if last_id is not None and parts is None:
            raise InvalidRequest("Last-Event-ID must be the id of an event.")
        ms, number = parts.groups() if parts else ("", "")
        here, is_reset = await self._line.run(
            valkey.PATIENCE, _OPEN, [_key(user_id), f"events:v1:heard:{user_id}", BEGAN],
            [ms, number, HEARD_SECONDS, KEEP_SECONDS * 1000])
        return Place(here.decode(), bool(is_reset))

    async def read(self, user_id: int, after: str) -> list[Told]:
        """What was told after this id, the oldest first, ``READ_AT_ONCE`` at most."""
        rows = await self._line.ask(valkey.PATIENCE, "XRANGE", _key(user_id), f"({after}", "+", "COUNT", READ_AT_ONCE)
        return [Told(key.decode(), fields[1].decode(), fields[3].decode()) for key, fields in rows]


def new_batch() -> str:
    """A name for what is sent together."""
    return secrets.token_hex(8)


def _key(user_id: int) -> str:
    return f"events:v1:{user_id}"
