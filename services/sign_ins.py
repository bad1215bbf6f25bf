"""How often accounts are signed in to with passwords that may be wrong, and how many attempts one user has at once.

Brokers lock an account after some wrong passwords, whoever sent them, and an attempt holds a terminal for up to a
minute. This is counted by each process for itself, so that it holds while Redis is away too.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from services.errors import TryLater
from terminal.protocol import AccountRef

SPAN = timedelta(hours=1)
# Wrong passwords in a span: from one user for one account, and from everybody for one account.
MOST_BY_USER, MOST_BY_ALL = 5, 10
MOST_REMEMBERED = 10_000
PATIENCE_SECONDS = 150.0


class SignIns:
    """Attempts of one user are made one after the other; too many wrong passwords end them for a while."""

    def __init__(self) -> None:
        self._wrong: dict[Hashable, list[datetime]] = {}
        self._turns: dict[int, asyncio.Lock] = {}
        self._waiting: dict[int, int] = {}

    @asynccontextmanager
    async def turn(self, user_id: int) -> AsyncIterator[None]:
        """The user's turn; TryLater when the attempts before it take too long."""
        lock = self._turns.setdefault(user_id, asyncio.Lock())
        self._waiting[user_id] = self._waiting.get(user_id, 0) + 1
        try:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await lock.acquire()
            except TimeoutError as error:
                raise TryLater("Your other accounts are still being signed in to.") from error
            try:
                yield
            finally:
                lock.release()
        finally:
            self._waiting[user_id] -= 1
            if not self._waiting[user_id]:
                del self._waiting[user_id], self._turns[user_id]

    def may_try(self, user_id: int, ref: AccountRef, now: datetime) -> bool:
        """Whether the broker may be asked once more."""
        return all(len(self._lately(key, now)) < most for key, most in _counted(user_id, ref))

    def was_wrong(self, user_id: int, ref: AccountRef, now: datetime) -> None:
        """The broker has refused the password."""
        for key, _ in _counted(user_id, ref):
            times = [*self._lately(key, now), now]
            self._wrong.pop(key, None)
            if len(self._wrong) >= MOST_REMEMBERED:
                del self._wrong[next(iter(self._wrong))]
            self._wrong[key] = times

    def _lately(self, key: Hashable, now: datetime) -> list[datetime]:
        return [at for at in self._wrong.get(key, ()) if now - at < SPAN]


def _counted(user_id: int, ref: AccountRef) -> tuple[tuple[Hashable, int], ...]:
    name = ref.server.casefold(), ref.login
    return ((user_id, *name), MOST_BY_USER), (name, MOST_BY_ALL)
