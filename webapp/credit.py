"""Requests let through before they are counted: a few, of those who are far from their limit, for a moment.

Redis says how many more may pass; a quarter of that, and never many, may pass here without asking again. What has
passed is told with the next question, or a second later by itself. So a single desk lets nobody over a limit, and a
few desks together hardly.
"""

import asyncio
from contextvars import Context
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from runtime.supervision import Start
from webapp.counters import Counters, Hit

log = structlog.get_logger(__name__)

MOST, SHARE = 32, 4
GOOD_SECONDS = REPORT_SECONDS = 1.0
MOST_NAMES = 10_000


@dataclass(slots=True)
class Open:
    """What may still pass until then by the loop's clock, and what has passed and was not told."""

    most: int
    left: int
    passed: int
    until: float


class Credit:
    """Spends what was granted; owes Redis the number."""

    def __init__(self, counters: Counters, start: Start) -> None:
        self._counters = counters
        self._start = start
        self._open: dict[str, Open] = {}
        self._timer: asyncio.TimerHandle | None = None

    def spend(self, name: str) -> bool:
        """Let one pass, if one may."""
        given = self._open.get(name)
        if given is None or given.left <= 0 or asyncio.get_running_loop().time() >= given.until:
            return False
        given.left -= 1
        given.passed += 1
        return True

    def settle(self, name: str) -> int:
        """How many have passed that Redis is about to be told of; none may pass until it has answered."""
        given = self._open.pop(name, None)
        return given.passed if given is not None else 0

    def grant(self, name: str, most: int, room: int) -> None:
        """Redis has just said that so many more could pass."""
        left = min(room // SHARE, MOST)
        given = self._open.get(name)
        if left <= 0 or (given is None and len(self._open) >= MOST_NAMES):
            return
        loop = asyncio.get_running_loop()
        self._open[name] = Open(most, left, given.passed if given is not None else 0, loop.time() + GOOD_SECONDS)
        if self._timer is None:
            # In a context of its own: it goes on from request to request, and is about none of them.
            self._timer = loop.call_later(REPORT_SECONDS, self._due, context=Context())

    def _due(self) -> None:
        """Tell what has passed, and forget what is over."""
        loop, owed = asyncio.get_running_loop(), []
        for name, given in list(self._open.items()):
            if given.passed:
                owed.append(Hit(name, given.most, given.passed, asks=False))
                given.passed = 0
            if loop.time() >= given.until:
                del self._open[name]
        self._timer = loop.call_later(REPORT_SECONDS, self._due) if self._open else None
        if owed:
            try:
                self._start("limits_report", self._report(owed))
            except RuntimeError:
                log.warning("limits_unreported", names=len(owed))

    async def _report(self, owed: list[Hit]) -> None:
        try:
            await asyncio.gather(*(self._counters.hit(hit) for hit in owed))
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("limits_unreported", names=len(owed), error=type(error).__name__)
