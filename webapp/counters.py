"""Requests counted in Redis for all replicas, by a sliding minute.

A minute's count is what came since it began and as much of the minute before as still lies within the last sixty
seconds. Those who ask in the same turn of the event loop are counted by one call. The clock is that of Redis.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

from runtime import valkey
from runtime.coalescing import Coalesced
from runtime.line import Script

# For scripts: counts one name, at most so many a minute, when so many have passed already and one more asks to or not
# (1 or 0). How many more could pass after it, below zero the seconds to wait.
COUNT = """
local time = redis.call('TIME')
local minute = math.floor(time[1] / 60)
local left = 60 - (time[1] % 60) - time[2] / 1000000
local function count(name, most, passed, asks)
  local here, answer = name .. ':' .. minute, nil
  local now = tonumber(redis.call('GET', here) or '0') + passed
  local before = tonumber(redis.call('GET', name .. ':' .. (minute - 1)) or '0')
  local room = most - now - math.floor(before * left / 60)
  if room > 0 then
    passed, answer = passed + asks, room - asks
  elseif now < most then
    answer = -math.max(1, math.ceil(left - 60 * (most - now) / before))
  else
    answer = -math.max(1, math.ceil(left))
  end
  if passed > 0 and redis.call('INCRBY', here, passed) == passed then redis.call('EXPIRE', here, 120) end
  return answer
end
"""
# KEYS: what is counted; ARGV: for each the most, how many have passed already, and whether one more asks to.
_COUNT = Script(COUNT + """
local answers = {}
for number, name in ipairs(KEYS) do
  local at = number * 3
  answers[number] = count(name, tonumber(ARGV[at - 2]), tonumber(ARGV[at - 1]), tonumber(ARGV[at]))
end
return answers
""")


@dataclass(frozen=True, slots=True)
class Hit:
    """``passed`` have been let through already; with ``asks`` one more would like to."""

    name: str
    most: int
    passed: int
    asks: bool


class Counters:
    """Counts by name. RedisError, OSError or TimeoutError while Redis is away, after ``patience`` at the latest."""

    def __init__(self, redis: Redis, patience: Callable[[], float]) -> None:
        self._patience = patience
        self._line = valkey.line_of(redis)
        self._hits: Coalesced[Hit, int] = Coalesced(self._count)

    async def hit(self, hit: Hit) -> int:
        """Count at most so many a minute; how many more could pass now, below zero the seconds to wait."""
        return await self._hits.ask(hit)

    async def _count(self, hits: Sequence[Hit]) -> Sequence[int]:
        numbers = [number for hit in hits for number in (hit.most, hit.passed, int(hit.asks))]
        found: list[int] = await self._line.run(self._patience(), _COUNT, [hit.name for hit in hits], numbers)
        return found
