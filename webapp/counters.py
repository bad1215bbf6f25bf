"""Requests counted in Redis for all replicas, by a sliding minute.

A minute's count is what came since it began and as much of the minute before as still lies within the last sixty
seconds. Those who ask in the same turn of the event loop are counted by one call. The clock is that of Redis.
"""

from collections.abc import Callable, Sequence

from redis.asyncio import Redis

from runtime import valkey
from runtime.coalescing import Coalesced
from runtime.line import Script

# KEYS: what is counted; ARGV: the most of each. Answers 0 where one more may pass, else the seconds to wait.
_COUNT = Script("""
local time = redis.call('TIME')
local minute = math.floor(time[1] / 60)
local left = 60 - (time[1] % 60) - time[2] / 1000000
local answers = {}
for number, name in ipairs(KEYS) do
  local most, here = tonumber(ARGV[number]), name .. ':' .. minute
  local now = tonumber(redis.call('GET', here) or '0')
  local before = tonumber(redis.call('GET', name .. ':' .. (minute - 1)) or '0')
  if now + math.floor(before * left / 60) < most then
    if redis.call('INCR', here) == 1 then redis.call('EXPIRE', here, 120) end
    answers[number] = 0
  elseif now < most then
    answers[number] = math.max(1, math.ceil(left - 60 * (most - now) / before))
  else
    answers[number] = math.max(1, math.ceil(left))
  end
end
return answers
""")


class Counters:
    """Counts by name. RedisError, OSError or TimeoutError while Redis is away, after ``patience`` at the latest."""

    def __init__(self, redis: Redis, patience: Callable[[], float]) -> None:
        self._patience = patience
        self._line = valkey.line_of(redis)
        self._hits: Coalesced[tuple[str, int], int] = Coalesced(self._count)

    async def hit(self, name: str, most: int) -> int | None:
        """Count one of at most so many a minute; the seconds to wait when there were too many."""
        return await self._hits.ask((name, most)) or None

    async def _count(self, hits: Sequence[tuple[str, int]]) -> Sequence[int]:
        found: list[int] = await self._line.run(self._patience(), _COUNT, [name for name, _ in hits],
                                                [most for _, most in hits])
        return found
