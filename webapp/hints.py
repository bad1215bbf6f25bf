"""What Redis remembers of things done lately: a short cut to an answer on record, never a reason to refuse.

Who asks must confirm in the database: a hint may come from a process that died before its commit. Without Redis
nothing is remembered, and nothing is lost.
"""

import asyncio
import time

from redis.asyncio import Redis
from redis.exceptions import RedisError

from webapp import limits
from webapp.limits import Breaker


class Hints:
    """Names that are remembered for a while."""

    def __init__(self, redis: Redis, breaker: Breaker) -> None:
        self._redis = redis
        self._breaker = breaker

    async def has(self, name: str) -> bool:
        """Whether this may have been done lately."""
        return bool(await self._ask("EXISTS", _key(name)))

    async def note(self, name: str, seconds: int) -> None:
        """Remember it for so long."""
        await self._ask("SET", _key(name), "1", "EX", seconds)

    async def _ask(self, *command: str | int) -> object:
        if not self._breaker.lets_through():
            return None
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(limits.PATIENCE_SECONDS):
                answer: object = await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]
        except (RedisError, OSError, TimeoutError):
            self._breaker.failed(asked_at)
            return None
        self._breaker.answered()
        return answer


def _key(name: str) -> str:
    return f"hint:{name}"
