"""Rate limits over Redis, and what each door does while Redis is away.

A Redis that hangs must not hold everyone up: it gets a short moment, and then for a while nobody asks it.

Where an answer costs less than counting it, a few requests that surely fit are let through first and counted soon
after: see webapp/credit.py.
"""

import ipaddress
import time
from collections.abc import Sequence
from enum import StrEnum

import structlog
from aiohttp import web
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from facts import Limits as LimitSettings
from runtime import valkey
from runtime.metrics import Metrics
from runtime.supervision import Start
from services.errors import RateLimited, TryLater
from webapp.counters import Counters, Hit
from webapp.credit import Credit

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 0.15
# One that was only slow is asked again soon; one that stays away costs a request every few seconds.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 5.0
# So many counters of our own at most; two a minute and key.
MOST_COUNTED_HERE = 10_000


class Away(StrEnum):
    """What a door does while Redis is away: let everyone in, nobody, or count in this process alone."""

    OPEN = "open"
    CLOSED = "closed"
    COUNT_HERE = "count_here"


class Limits:
    """Counts requests by bucket and key over a sliding minute."""

    def __init__(self, redis: Redis, allowed: LimitSettings, metrics: Metrics, breaker: "Breaker",
                 start: Start) -> None:
        self._shared = Counters(redis, lambda: PATIENCE_SECONDS)
        self._needed = Counters(redis, lambda: 2 * valkey.PATIENCE)
        self._counted_here = MemoryStorage()
        self._here = SlidingWindowCounterRateLimiter(self._counted_here)
        self._breaker = breaker
        self._items = {name: RateLimitItemPerMinute(number) for name, number in allowed if number}
        self._credit = Credit(self._shared, start)
        self._metrics = metrics

    def passes(self, bucket: str, key: str) -> bool:
        """Whether one request may pass before it is counted; False when ``check`` has to be asked."""
        return bucket not in self._items or self._credit.spend(name_of(bucket, key))

    def most(self, bucket: str) -> int:
        """How many a minute; 0 for any number."""
        item = self._items.get(bucket)
        return item.amount if item is not None else 0

    def exceeded(self, bucket: str, retry_after: int) -> RateLimited:
        """What to raise where somebody else has counted."""
        self._metrics.rate_limited.labels(bucket).inc()
        return RateLimited(self.most(bucket), retry_after)

    async def check(self, bucket: str, key: str, *, away: Away = Away.OPEN, credit: bool = False) -> None:
        """Count one request; RateLimited when there were too many, TryLater when that cannot be told and must be.

        With ``credit`` some of the next ones may pass first.
        """
        item = self._items.get(bucket)
        if item is None:
            return
        retry_after = await self._over_by(item, bucket, key, away, credit)
        if retry_after is not None:
            raise self.exceeded(bucket, retry_after)

    async def _over_by(self, item: RateLimitItem, bucket: str, key: str, away: Away, credit: bool) -> int | None:
        """The seconds to wait; None when the request may pass."""
        try:
            if away == Away.CLOSED:
                # Without an answer there is only a refusal: the client's own patience, and no breaker.
                return _wait(await self._needed.hit(Hit(name_of(bucket, key), item.amount, 0, asks=True)))
            return await self._quickly(item.amount, name_of(bucket, key), credit)
        except (RedisError, OSError, TimeoutError) as error:
            if away == Away.CLOSED:
                raise TryLater from error
        if away == Away.OPEN:
            log.warning("rate_limit_unchecked", bucket=bucket)
            return None
        if not await self._has_room(item, bucket, key):
            raise TryLater
        return await _hit(self._here, item, bucket, key)

    async def _has_room(self, item: RateLimitItem, bucket: str, key: str) -> bool:
        """Whether this process can count one more: what ran out makes room, and who is counted already stays."""
        counted, at = self._counted_here, time.time()
        if len(counted.expirations) < MOST_COUNTED_HERE:
            return True
        # The storage clears up only as it counts, and full it counts nobody.
        for name in [name for name, ends_at in counted.expirations.items() if ends_at <= at]:
            await counted.clear(name)
        names = counted.sliding_window_keys(item.key_for(bucket, key), item.get_expiry(), at)
        return len(counted.expirations) < MOST_COUNTED_HERE or any(name in counted.expirations for name in names)

    async def _quickly(self, most: int, name: str, credit: bool) -> int | None:
        """As Redis says, soon; TimeoutError when it does not answer, or is not asked because it did not."""
        if not self._breaker.lets_through():
            raise TimeoutError
        asked_at = time.monotonic()
        passed = self._credit.settle(name)
        try:
            room = await self._shared.hit(Hit(name, most, passed, asks=True))
        except (RedisError, OSError, TimeoutError) as error:
            self._breaker.failed(asked_at)
            log.warning("redis_away", error=type(error).__name__)
            raise
        self._breaker.answered()
        if credit:
            self._credit.grant(name, most, room)
        return _wait(room)


def name_of(bucket: str, key: str) -> str:
    """What is counted in Redis for this key."""
    return f"limits:{bucket}:{key}"


def _wait(room: int) -> int | None:
    return -room if room < 0 else None


class Breaker:
    """After a failure nobody asks for a while, then one request tries for all; the while doubles up to a bound."""

    def __init__(self) -> None:
        self._pause = 0.0
        self._next_try = 0.0
        self._failed_at = 0.0

    def lets_through(self) -> bool:
        """Whether to ask; whoever may, while Redis is away, is the only one until its pause is over."""
        if not self._pause:
            return True
        now = time.monotonic()
        if now < self._next_try:
            return False
        self._next_try = now + self._pause
        return True

    def failed(self, asked_at: float) -> None:
        """Those who had asked together with the first one that failed say nothing new."""
        if asked_at < self._failed_at:
            return
        self._failed_at = time.monotonic()
        self._pause = min(LONGEST_PAUSE_SECONDS, self._pause * 2 or FIRST_PAUSE_SECONDS)
        self._next_try = self._failed_at + self._pause

    def answered(self) -> None:
        self._pause = 0.0


async def _hit(limiter: SlidingWindowCounterRateLimiter, item: RateLimitItem, bucket: str, key: str) -> int | None:
    """Count one; the seconds to wait when there were too many."""
    if await limiter.hit(item, bucket, key):
        return None
    resets_at = (await limiter.get_window_stats(item, bucket, key)).reset_time
    return max(1, round(resets_at - time.time()))


def address(request: web.Request, trusted: Sequence[str]) -> str:
    """The client's address: the nearest that is not one of our own proxies; an IPv6 network counts as one."""
    lines = ",".join(request.headers.getall("X-Forwarded-For", []))  # a proxy may add a line of its own
    hops = [part.strip() for part in lines.split(",") if part.strip()]
    here = request.remote or "unknown"
    while here in trusted and hops:
        here = hops.pop()
    try:
        parsed = ipaddress.ip_address(here)
    except ValueError:
        return "unknown"
    if parsed.version == 6:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
