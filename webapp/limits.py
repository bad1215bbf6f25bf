"""Rate limits over Redis. Where money could move on a forged request they fail closed, elsewhere open."""

import ipaddress
import time
from collections.abc import Sequence

import structlog
from aiohttp import web
from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from config import Limits as LimitSettings
from runtime.metrics import Metrics
from services.errors import RateLimited, TryLater

log = structlog.get_logger(__name__)


class Limits:
    """Counts requests by bucket and key over a sliding minute."""

    def __init__(self, redis: Redis, allowed: LimitSettings, metrics: Metrics) -> None:
        # The address is only for form: every connection comes from our own pool.
        storage = RedisStorage("async+redis://localhost:6379", implementation="redispy",
                               key_prefix="limits", wrap_exceptions=False,
                               connection_pool=redis.connection_pool)  # type: ignore[arg-type]
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._items = {name: RateLimitItemPerMinute(number) for name, number in allowed if number}
        self._metrics = metrics

    async def check(self, bucket: str, key: str, *, fail_closed: bool = False) -> None:
        """Count one request; RateLimited when there were too many, TryLater when that cannot be told and must be."""
        item = self._items.get(bucket)
        if item is None:
            return
        try:
            if await self._limiter.hit(item, bucket, key):
                return
            resets_at = (await self._limiter.get_window_stats(item, bucket, key)).reset_time
        except (RedisError, OSError, TimeoutError) as error:
            if fail_closed:
                raise TryLater from error
            log.warning("rate_limit_unchecked", bucket=bucket)
            return
        self._metrics.rate_limited.labels(bucket).inc()
        raise RateLimited(item.amount, max(1, round(resets_at - time.time())))


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
