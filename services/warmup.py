"""Fresh figures for those who are looking: their accounts are read again before what is kept grows old.

Who has looked is remembered in this process and handed to Redis now and then, for every replica. Losing it is
harmless: whoever looks again is remembered again, and waits once for the terminal.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import select

from models.account import Account, AccountStatus
from models.database import Database
from services.errors import TryLater
from services.positions import Reader

log = structlog.get_logger(__name__)

KEY = "positions:v2:looked"
MOST = 5_000
AT_ONCE = 4
# Read again when what is kept has this long to live, so that the next look finds it fresh.
EARLY = timedelta(seconds=10)
REST = timedelta(seconds=30)


class Looks:
    """Which accounts have been looked at, and when."""

    def __init__(self, redis: Redis, span: timedelta) -> None:
        self._redis = redis
        self._span = span
        self._fresh: dict[int, datetime] = {}

    def note(self, account_id: int, now: datetime) -> None:
        """Somebody has looked."""
        if self._span and (account_id in self._fresh or len(self._fresh) < MOST):
            self._fresh[account_id] = now

    async def recent(self, now: datetime) -> Sequence[int]:
        """Accounts looked at lately by anybody, the latest first."""
        fresh, self._fresh = self._fresh, {}
        oldest = (now - self._span).timestamp()
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                if fresh:
                    pipe.zadd(KEY, {str(account_id): at.timestamp() for account_id, at in fresh.items()})
                pipe.zremrangebyscore(KEY, "-inf", oldest)
                pipe.zremrangebyrank(KEY, 0, -MOST - 1)
                pipe.expire(KEY, max(1, int(self._span.total_seconds())))
                pipe.zrevrange(KEY, 0, -1)
                *_, found = await pipe.execute()
        except (RedisError, OSError, TimeoutError):
            self._fresh = {**fresh, **self._fresh}
            return []
        return [int(member) for member in found]


class Warmer:
    """Reads again what is looked at and about to grow old, a few accounts at a time."""

    def __init__(self, database: Database, reader: Reader, looks: Looks) -> None:
        self._database = database
        self._reader = reader
        self._looks = looks
        self._resting: dict[int, datetime] = {}

    async def step(self, now: datetime) -> int:
        """One round; returns how many accounts were read.

        A terminal that hangs is left alone until its reading under way has ended, one that fails for a while.
        """
        self._resting = {account_id: until for account_id, until in self._resting.items() if until > now}
        ids = [account_id for account_id in await self._reader.ageing(await self._looks.recent(now), now, EARLY)
               if account_id not in self._resting]
        if not ids:
            return 0
        async with self._database.reading() as session:
            rows = list(await session.scalars(select(Account).where(
                Account.id.in_(ids), Account.unlinked_at.is_(None), Account.status == AccountStatus.VERIFIED)))
        places = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._read(account, now, places) for account in rows))
        return len(rows)

    async def _read(self, account: Account, now: datetime, places: asyncio.Semaphore) -> None:
        async with places:
            try:
                found = await self._reader.live(account, now, force=True)
            except TryLater:
                found = None
            except Exception:
                # What one account's terminal tells must not keep the others' figures from being read.
                log.exception("account_unreadable", account_id=account.id)
                found = None
        if found is None or found.read_at < now:
            self._resting[account.id] = now + REST
