"""Where the last portfolios are kept: in Redis for every replica, and in this process for when Redis is away.

A portfolio is kept twice, as it is read again and as it is sent, written together and each with its age. A change
leaves it there as the last one known, which is only shown when the terminal cannot be asked.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from runtime import valkey
from runtime.coalescing import Coalesced
from runtime.line import Script, Word
from services import owners, recent, snapshots
from services.recent import Recent
from services.snapshots import Age, Kept, Portfolio

log = structlog.get_logger(__name__)

KEEP = timedelta(hours=1)
MOST_KEPT_HERE = 1_000
PAUSE_SECONDS = 1.0

# KEYS: lock, generation; ARGV: milliseconds. Says which generation a refresh is of, and whether to make it.
_CLAIM = Script("""
local generation = redis.call('GET', KEYS[2]) or '0'
if redis.call('GET', KEYS[1]) == generation then return {generation, 0} end
redis.call('SET', KEYS[1], generation, 'PX', ARGV[1])
return {generation, 1}
""")
# KEYS: portfolio, answer, lock, generation; ARGV: generation, portfolio, answer, seconds.
# What has changed meanwhile is not written over.
_KEEP = Script("""
local current = redis.call('GET', KEYS[4]) or '0'
if redis.call('GET', KEYS[3]) == ARGV[1] then redis.call('DEL', KEYS[3]) end
if current ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[4])
redis.call('SET', KEYS[2], ARGV[3], 'EX', ARGV[4])
return 1
""")
# KEYS: portfolio, answer, generation, last; ARGV: seconds, the channel of changes, account.
_FORGET = Script("""
redis.call('INCR', KEYS[3])
redis.call('EXPIRE', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[2])
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('RENAME', KEYS[1], KEYS[4]) end
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
""")
# KEYS: portfolios. Their first lines.
_HEADS = Script("""
local heads = {}
for number, key in ipairs(KEYS) do heads[number] = redis.call('GETRANGE', key, 0, 99) end
return heads
""")
HEADS_AT_ONCE = 500
AWAY = (RedisError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Glance:
    """A look that has begun, when so much had been changed."""

    found: asyncio.Future[tuple[bytes | None, bytes]]
    changes: int


@dataclass(frozen=True, slots=True)
class Look:
    """The answer that is kept, and the mark that changes with who owns what; None while Redis is away."""

    answer: Kept | None
    mark: bytes | None


@dataclass(frozen=True, slots=True)
class Recently:
    """An answer that was found, with the mark it was found with."""

    answer: Kept
    mark: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """``is_ours``: nobody else is reading this account. Without a generation Redis is away."""

    generation: bytes | None
    is_ours: bool


class PositionCache:
    """Keeps portfolios for an hour. Redis may be lost at any moment: then each process goes by what it has seen."""

    def __init__(self, redis: Redis) -> None:
        self._line = valkey.line_of(redis)
        self._looks: Coalesced[int, tuple[bytes | None, bytes]] = Coalesced(self._look_at_all)
        self._here: dict[int, bytes] = {}
        self._outdated: set[int] = set()
        self._away_until = 0.0
        self.recent: Recent[Recently] = Recent(redis)

    def glance(self, account_id: int) -> Glance | None:
        """Begin to look; None while Redis is away."""
        if time.monotonic() < self._away_until:
            return None
        return Glance(self._looks.ask(account_id), self.recent.changes)

    async def look(self, account_id: int, glance: Glance | None) -> Look:
        """The answer that is kept, if nothing is known to have changed the account since ``glance`` was begun."""
        if glance is None:
            return Look(None, None)
        try:
            raw, mark = await glance.found
        except AWAY as error:
            self._away(error)
            return Look(None, None)
        if raw is None or account_id in self._outdated:
            return Look(None, mark)
        answer = snapshots.parse(raw, account_id, is_shared=True)
        if answer is not None:
            self.recent.keep(account_id, Recently(answer, mark), glance.changes)
        return Look(answer, mark)

    async def recall(self, account_id: int) -> Kept | None:
        """The portfolio that nothing is known to have changed since."""
        if account_id in self._outdated:
            return None
        try:
            raw = await self._ask("GET", _key(account_id))
        except AWAY as error:
            self._away(error)
            here = self._here.get(account_id)
            return snapshots.parse(here, account_id, is_shared=False) if here else None
        return snapshots.parse(raw, account_id, is_shared=True) if raw else None

    async def last(self, account_id: int) -> Portfolio | None:
        """The last portfolio known, even if something has changed it."""
        raw: bytes | None = None
        try:
            raw = await self._ask("GET", _last(account_id))
        except AWAY as error:
            self._away(error)
        found = [kept for value in (raw, self._here.get(account_id))
                 if value and (kept := snapshots.parse(value, account_id, is_shared=False))]
        return max(found, key=lambda kept: kept.age.read).portfolio if found else None

    async def ages(self, account_ids: Sequence[int]) -> dict[int, Age]:
        """How old the portfolios are that are kept; while Redis is away, those of this process."""
        found: dict[int, Age] = {}
        for start in range(0, len(account_ids), HEADS_AT_ONCE):
            ids = account_ids[start:start + HEADS_AT_ONCE]
            try:
                heads = await self._run(_HEADS, [_key(account_id) for account_id in ids])
            except AWAY as error:
                self._away(error)
                heads = [self._here.get(account_id, b"") for account_id in ids]
            for account_id, head in zip(ids, heads, strict=True):
                age = snapshots.age(head)
                if age is not None and account_id not in self._outdated:
                    found[account_id] = age
        return found

    async def claim(self, account_id: int, span: timedelta) -> Claim:
        """Take the reading of this account for a short while, among all replicas."""
        try:
            generation, is_ours = await self._run(_CLAIM, [_lock(account_id), _generation(account_id)],
                                                  int(span.total_seconds() * 1000))
        except AWAY as error:
            self._away(error)
            return Claim(None, True)
        return Claim(generation, bool(is_ours))

    async def is_claimed(self, account_id: int) -> bool:
        """Whether somebody is reading this account."""
        try:
            return bool(await self._ask("EXISTS", _lock(account_id)))
        except AWAY as error:
            self._away(error)
            return False

    async def keep(self, portfolio: Portfolio, answer: bytes, claim: Claim) -> None:
        """Keep what was read under this claim, unless something has changed it since."""
        account_id, value = portfolio.account_id, snapshots.encode(portfolio)
        self._here.pop(account_id, None)
        if len(self._here) >= MOST_KEPT_HERE:
            del self._here[next(iter(self._here))]
        self._here[account_id] = value
        self.recent.drop(account_id)
        if claim.generation is None:
            self._outdated.discard(account_id)
            return
        keys = [_key(account_id), _answer(account_id), _lock(account_id), _generation(account_id)]
        try:
            is_kept = await self._run(_KEEP, keys, claim.generation, value, snapshots.ready_made(portfolio, answer),
                                      int(KEEP.total_seconds()))
        except AWAY as error:
            self._away(error)
        else:
            if is_kept:
                self._outdated.discard(account_id)

    async def let_go(self, account_id: int) -> None:
        """Give a claim up: the reading has failed."""
        try:
            await self._ask("DEL", _lock(account_id))
        except AWAY as error:
            self._away(error)

    async def forget(self, account_id: int) -> None:
        """Something has just changed the account: what is kept is no longer so."""
        self._outdated.add(account_id)
        self.recent.drop(account_id)
        self._away_until = 0.0  # it may be back, and has to hear of this
        try:
            await self._run(_FORGET, [_key(account_id), _answer(account_id), _generation(account_id),
                                      _last(account_id)], int(KEEP.total_seconds()), recent.CHANNEL, account_id)
        except AWAY as error:
            self._away(error)

    async def _look_at_all(self, account_ids: Sequence[int]) -> Sequence[tuple[bytes | None, bytes]]:
        found: list[bytes | None] = await self._ask("MGET", *map(_answer, account_ids), owners.MARK)
        mark = found.pop() or b""
        return [(raw, mark) for raw in found]

    async def _ask(self, *command: Word) -> Any:
        self._check_away()
        return await self._line.ask(valkey.PATIENCE, *command)

    async def _run(self, script: Script, keys: Sequence[str], *arguments: Word) -> Any:
        self._check_away()
        return await self._line.run(valkey.PATIENCE, script, keys, arguments)

    def _check_away(self) -> None:
        """One that has not answered is not asked for a moment: a Redis that hangs must not hold everybody up."""
        if time.monotonic() < self._away_until:
            raise TimeoutError

    def _away(self, error: Exception) -> None:
        if time.monotonic() >= self._away_until:
            log.warning("cache_unreachable", error=type(error).__name__)
            self._away_until = time.monotonic() + PAUSE_SECONDS


def _key(account_id: int) -> str:
    return f"positions:v3:{account_id}"


def _answer(account_id: int) -> str:
    return f"positions:v3:answer:{account_id}"


def _last(account_id: int) -> str:
    return f"positions:v3:last:{account_id}"


def _lock(account_id: int) -> str:
    return f"positions:v3:lock:{account_id}"


def _generation(account_id: int) -> str:
    return f"positions:v3:generation:{account_id}"
