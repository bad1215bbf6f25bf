"""What was found in Redis a moment ago is not asked for again: a second at most, and not after a change.

A change made here is known at once. Of what another replica changes Redis tells those who listen; a process that does
not hear Redis remembers nothing. The second bounds what a message that was lost can do.
"""

import asyncio
import time
from contextlib import suppress
from typing import Generic, TypeVar

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

CHANNEL = "positions:v2:changed"
ALL = b"*"
REMEMBER_SECONDS = 1.0
MOST = 5_000
LISTEN_SECONDS, PAUSE_SECONDS = 0.25, 1.0
Found = TypeVar("Found")


class Recent(Generic[Found]):
    """By the number of an account."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._found: dict[int, tuple[Found, float]] = {}
        self._hears = False
        self.changes = 0
        """Counts what was changed: what was looked for before a change is not kept after it."""

    def get(self, account_id: int) -> Found | None:
        """What was found of the account less than a second ago."""
        kept = self._found.get(account_id)
        return kept[0] if kept is not None and time.monotonic() < kept[1] else None

    def keep(self, account_id: int, found: Found, changes: int) -> None:
        """Remember what was looked for when so much had been changed."""
        if not self._hears or changes != self.changes:
            return
        self._found.pop(account_id, None)
        if len(self._found) >= MOST:
            del self._found[next(iter(self._found))]
        self._found[account_id] = found, time.monotonic() + REMEMBER_SECONDS

    def drop(self, account_id: int) -> None:
        """Something has changed the account."""
        self.changes += 1
        self._found.pop(account_id, None)

    async def listen(self, stopping: asyncio.Event) -> None:
        """Hear of what others change, until the process stops."""
        while not stopping.is_set():
            try:
                await self._hear(stopping)
            except (RedisError, OSError, TimeoutError) as error:
                log.info("changes_unheard", error=type(error).__name__)
            finally:
                self._hears = False
                self._drop_all()
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), PAUSE_SECONDS)

    async def _hear(self, stopping: asyncio.Event) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=False) as channel:
            await channel.subscribe(CHANNEL)
            while not stopping.is_set():
                said = await channel.get_message(timeout=LISTEN_SECONDS)
                if said is not None:
                    self._follow(said["type"], said["data"])

    def _follow(self, kind: str, said: bytes | int) -> None:
        if kind == "subscribe":
            self._hears = True
            self._drop_all()  # the client connects anew by itself, and may have missed something
        elif isinstance(said, bytes) and said.isdigit():
            self.drop(int(said))
        else:
            self._drop_all()

    def _drop_all(self) -> None:
        self.changes += 1
        self._found.clear()
