"""One question to Redis for each request of a device: is it the first of its kind, is its key still the key, are there
not too many. Those who ask in the same turn of the event loop share a trip.

What was taken is remembered in this process too, in case Redis forgets.
"""

from collections.abc import Sequence
from typing import NamedTuple

from redis.asyncio import Redis

from runtime import valkey
from runtime.coalescing import Coalesced
from runtime.line import Script, Word
from services import replays
from services.device_keys import mark_of
from webapp.counters import COUNT
from webapp.limits import name_of
from wire.signing import NONCE_SECONDS

CHANGED, UNSETTLED, DOUBTED, USED = b"changed", b"unsettled", b"doubted", b"used"
Answer = int | bytes
MOST_NONCES, MINUTES = 200_000, 4

# KEYS: the epoch; then of each request the mark, the nonce, and what it counts against. ARGV: the desk's time, the
# seconds of doubt after an epoch, those a nonce is kept; then of each the device, its mark, its date, and the most.
_CLAIM = Script(COUNT + replays.EPOCH_OF + """
local doubt = began + tonumber(ARGV[2])
local answers = {}
for number = 1, (#KEYS - 1) / 3 do
  local at, given = number * 3 - 1, number * 4
  local mark, nonce, counted = KEYS[at], KEYS[at + 1], KEYS[at + 2]
  local dated, most, refused = tonumber(ARGV[given + 2]), tonumber(ARGV[given + 3]), false
  if dated <= doubt then refused = redis.call('GET', '""" + replays.REFUSED + """' .. ARGV[given] .. ':' .. epoch) end
  if redis.call('GET', mark) ~= ARGV[given + 1] then
    answers[number] = 'changed'
  elseif dated <= doubt and not refused then
    answers[number] = 'unsettled'
  elseif refused and dated <= tonumber(refused) then
    answers[number] = 'doubted'
  elseif not redis.call('SET', nonce, '1', 'NX', 'EX', ARGV[3]) then
    answers[number] = 'used'
  elseif most == 0 then
    answers[number] = 0
  else
    answers[number] = count(counted, most, 0, 1)
  end
end
return answers
""")


class Claim(NamedTuple):
    """A request with a true signature of a key that had this mark; at most ``most`` a minute (0: any number).

    ``at`` is when it is asked, ``dated`` what it says itself, both in unix seconds.
    """

    key_id: str
    mark: bytes
    nonce: str
    dated: int
    at: float
    most: int


class Claims:
    """RedisError, OSError or TimeoutError while Redis is away or slow: then nothing may be done."""

    def __init__(self, redis: Redis) -> None:
        self._line = valkey.line_of(redis)
        self._trips: Coalesced[Claim, Answer] = Coalesced(self._travel)
        self._taken: dict[int, set[int]] = {}

    async def ask(self, claim: Claim) -> Answer:
        """How many more could pass after this one, below zero the seconds to wait; or why it cannot be told yet.

        CHANGED: the key has to be read again. UNSETTLED: services/replays.py has to be asked. DOUBTED: it may have
        been taken before Redis lost its memory. Nothing is claimed by these, nor by USED.
        """
        answer = await self._trips.ask(claim)
        if isinstance(answer, int) and not self._take(claim):
            return USED
        return answer

    async def _travel(self, claims: Sequence[Claim]) -> Sequence[Answer]:
        names: list[str] = [replays.EPOCH]
        words: list[Word] = [repr(claims[-1].at), replays.DOUBT_SECONDS, NONCE_SECONDS]
        for key_id, mark, nonce, dated, _, most in claims:
            names += mark_of(key_id), f"nonce:{key_id}:{nonce}", name_of("signed", key_id)
            words += key_id, mark, dated, most
        found: list[Answer] = await self._line.run(2 * valkey.PATIENCE, _CLAIM, names, words)
        return found

    def _take(self, claim: Claim) -> bool:
        """Whether this process takes it for the first time."""
        minute, taken = int(claim.at // 60), self._taken
        here = taken.get(minute)
        if here is None:
            here = taken[minute] = set()
            for old in [kept for kept in taken if kept <= minute - MINUTES]:
                del taken[old]
        one = hash((claim.key_id, claim.nonce))  # no text that somebody else could choose makes the same number
        if any(one in minutes for minutes in taken.values()):
            return False
        if sum(map(len, taken.values())) >= MOST_NONCES:
            taken.pop(min(taken)).clear()
            taken.setdefault(minute, here)
        here.add(one)
        return True
