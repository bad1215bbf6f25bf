"""What the Bot API's methods work on, in one hand."""

import asyncio
import time
from collections.abc import Callable

from sandbox.events import Hub
from sandbox.telegram.books import Books
from sandbox.telegram.faults import Faults
from sandbox.telegram.limits import Limits, RateLimiter
from sandbox.telegram.state import State
from sandbox.telegram.store import Store
from sandbox.telegram.updates import Updates
from sandbox.telegram.webhook import Courier

FIRST_PEOPLE = (("Ada", "ada"), ("Boris", "boris"), ("Chiara", None))


class Telegram:
    """One bot's corner of Telegram, durable in one file. Stars are charged by ``clock``, in unix seconds."""

    def __init__(self, store: Store, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        self.limits, self._clock = limits, clock
        self.hub = Hub()
        self.state = State(store, self.hub)
        self.books = Books(store)
        self.faults = Faults()
        self.limiter = RateLimiter(limits)
        self.courier = Courier(self.state, limits.webhook_retry_seconds)
        self.updates = Updates(self.state, self.courier)
        self.taps: dict[str, asyncio.Event] = {}
        """Taps whose person still waits; set when the bot answers."""
        self.checkouts: dict[str, asyncio.Future[str]] = {}
        """Payers who wait for the bot's word by query id; the word is empty for yes, else the reason for no."""
        self.calls: dict[str, dict[int, int]] = {}
        """How often each method was answered with each code since the start."""
        if not self.state.people:
            for first_name, username in FIRST_PEOPLE:
                self.state.add_person(first_name, username)

    async def committed(self) -> None:
        await self.state.store.committed()

    def now(self) -> int:
        return int(self._clock())

    def count(self, method: str, code: int) -> None:
        codes = self.calls.setdefault(method, {})
        codes[code] = codes.get(code, 0) + 1
