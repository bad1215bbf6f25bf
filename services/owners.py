"""Whose an account is and which one is primary, remembered for a moment: it is asked at every look at positions.

What this process changes is forgotten at once; what another one changes is seen when the moment is over. An account
never changes its owner, so what is remembered too long can be the wrong one of a user's accounts, never another's.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account
from models.database import Database
from services import accounts
from services.errors import NoAccount

REMEMBER_SECONDS = 2.0
MOST_USERS = 10_000


@dataclass(slots=True)
class Known:
    """A user's accounts by number, the primary under None, and until when they may be told."""

    until: float
    accounts: dict[int | None, Account]


class Owners:
    """Answers from memory what it has just read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[int, Known] = {}
        self._changes = 0
        database.on_commit(self._after_commit)

    async def primary(self, user_id: int) -> Account:
        """The account that is shown first, also while its link is broken; NoAccount when there is none."""
        return await self._find(user_id, None, lambda session: _primary(session, user_id))

    async def owned(self, user_id: int, account_id: int) -> Account:
        """The user's account; NotFound when there is none or it is another's."""
        return await self._find(user_id, account_id, lambda session: accounts.owned(session, user_id, account_id))

    def _after_commit(self, session: AsyncSession) -> None:
        for user_id in session.info.get(accounts.CHANGED, ()):
            self._changes += 1
            self._known.pop(user_id, None)

    async def _find(self, user_id: int, wanted: int | None,
                    read: Callable[[AsyncSession], Awaitable[Account]]) -> Account:
        known = self._known.get(user_id)
        if known is not None and known.until > time.monotonic() and wanted in known.accounts:
            return known.accounts[wanted]
        began, changes = time.monotonic(), self._changes
        async with self._database.reading() as session:
            account = await read(session)
        if changes == self._changes:  # else it may be what was before the change
            self._remember(user_id, wanted, account, began + REMEMBER_SECONDS)
        return account

    def _remember(self, user_id: int, wanted: int | None, account: Account, until: float) -> None:
        known = self._known.get(user_id)
        if known is not None and known.until > time.monotonic():
            known.accounts[wanted] = account
            return
        self._known.pop(user_id, None)
        if len(self._known) >= MOST_USERS:
            del self._known[next(iter(self._known))]
        self._known[user_id] = Known(until, {wanted: account})


async def _primary(session: AsyncSession, user_id: int) -> Account:
    account = await session.scalar(select(Account).where(
        Account.user_id == user_id, Account.is_primary, Account.unlinked_at.is_(None)))
    if account is None:
        raise NoAccount
    return account
