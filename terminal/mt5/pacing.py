"""When a terminal may be started: one after the other, and less often the more it fails."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable

from terminal.protocol import GatewayError

Clock = Callable[[], float]
LONGEST_PAUSE = 60.0
FAILURES, WITHIN_SECONDS = 5, 60.0


class Stagger:
    """Hands out turns that lie ``every`` seconds apart, in the order they were asked for."""

    def __init__(self, every: float, *, clock: Clock = time.monotonic,
                 sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._every, self._clock, self._sleep = every, clock, sleep
        self._next = 0.0

    async def turn(self) -> None:
        """Return when it is the caller's turn. A turn given up is not given to anyone else."""
        now = self._clock()
        mine = max(now, self._next)
        self._next = mine + self._every
        if mine > now:
            await self._sleep(mine - now)


class Breaker:
    """Counts what goes wrong with one terminal and says whether it may be tried again.

    After each failure there is a pause of 1, 2, 4 … 60 seconds. After five in a row within a minute the breaker is
    open: a minute later one probe may go through, and only if that succeeds is everything as before. What a person
    must change first, such as a wrong password, holds it open for good: brokers lock accounts that keep trying.
    """

    def __init__(self, *, clock: Clock = time.monotonic, jitter: Callable[[], float] = random.random) -> None:
        self._clock, self._jitter = clock, jitter
        self._in_a_row = 0
        self._lately: deque[float] = deque(maxlen=FAILURES)
        self._not_before = 0.0
        self._held: GatewayError | None = None
        self.is_open = False

    def check(self) -> None:
        """GatewayError while the terminal is to be left alone."""
        if self._held is not None:
            raise GatewayError(self._held.code, self._held.detail, permanent=True)
        if self._clock() < self._not_before:
            raise GatewayError("terminal_away", "The terminal has failed and is given a moment.", retryable=True)

    def failed(self) -> None:
        """Note that the terminal hung, died or talked nonsense."""
        now = self._clock()
        self._in_a_row += 1
        self._lately.append(now)
        is_burst = len(self._lately) == FAILURES and now - self._lately[0] <= WITHIN_SECONDS
        self.is_open = self.is_open or is_burst
        pause = LONGEST_PAUSE if self.is_open else min(2.0 ** min(self._in_a_row - 1, 10), LONGEST_PAUSE)
        self._not_before = now + pause * (1 + self._jitter() / 4)

    def succeeded(self) -> None:
        """Note that the terminal does what it is asked."""
        self._in_a_row = 0
        self._lately.clear()
        self._not_before = 0.0
        self.is_open = False

    def hold(self, error: GatewayError) -> None:
        """Stay open with this error until ``reset``."""
        # Not the very object: what it was raised through holds the password that was tried.
        self._held = GatewayError(error.code, error.detail, permanent=True)

    def reset(self) -> None:
        """Begin anew, with other credentials."""
        self._held = None
        self.succeeded()
