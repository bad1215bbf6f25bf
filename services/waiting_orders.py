"""Which accounts have orders that a device has to be told of: a device that asks in vain costs no look at the database.

Orders that this process writes are known at the commit; what others write is looked up twice a second. What was looked
up more than two seconds ago says nothing.
"""

import asyncio
import time
from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account, Route
from models.database import Database
from models.order import Order
from services.orders import OPEN_STATES

CHANGED = "accounts_with_new_orders"
LOOK_SECONDS, GOOD_SECONDS = 0.5, 2.0


class WaitingOrders:
    """Remembers the accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._accounts: set[int] = set()
        self._fresh: set[int] | None = None
        """What has been written while it is being looked up."""
        self._looked_at = float("-inf")
        database.on_commit(self._follow)

    def has_orders(self, account_id: int | None) -> bool | None:
        """Whether any may wait; None when that is not known. For no account none do."""
        if account_id in self._accounts:
            return True
        return False if time.monotonic() - self._looked_at < GOOD_SECONDS else None

    async def look(self) -> None:
        """Learn what is so now."""
        began, self._fresh = time.monotonic(), set()
        async with self._database.reading() as session:
            found = set(await session.scalars(
                select(Order.account_id).distinct().join(Account, Account.id == Order.account_id)
                .where(Order.status.in_(OPEN_STATES), Account.route == Route.DEVICE, Account.unlinked_at.is_(None))))
        self._accounts, self._fresh, self._looked_at = found | self._fresh, None, began

    async def run(self, stopping: asyncio.Event) -> None:
        """Look twice a second."""
        while not stopping.is_set():
            await self.look()
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), LOOK_SECONDS)

    def _follow(self, session: AsyncSession) -> None:
        written = session.info.get(CHANGED, ())
        self._accounts.update(written)
        if self._fresh is not None:
            self._fresh.update(written)


def note(session: AsyncSession, account_id: int) -> None:
    """An order for this account is written by this transaction."""
    session.info.setdefault(CHANGED, set()).add(account_id)
