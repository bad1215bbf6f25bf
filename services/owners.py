"""Whose an account is and which one is primary, remembered for a while: it is asked at every look at positions.

What this process changes is forgotten at the commit. Of what others change Redis tells: a mark that is new after
every change is read together with what is looked for. Without Redis nothing is believed for longer than a moment.
An account never changes its owner, so what is remembered too long can be the wrong one of a user's accounts, never
another's.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account
from models.database import Database
from runtime.coalescing import Coalesced
from runtime.supervision import Start
from services import accounts, recent
from services.errors import NoAccount, NotFound

log = structlog.get_logger(__name__)

MARK = "owners:v1:mark"
REMEMBER_SECONDS, WITHOUT_REDIS_SECONDS = 30.0, 2.0
MOST_USERS = 10_000


@dataclass(frozen=True, slots=True)
class Known:
    """A user's linked accounts by number, the primary also under None, as of when the mark was this.

    An account is also the primary while its link is broken.
    """

    accounts: dict[int | None, Account]
    mark: bytes | None
    read_at: float

    def holds(self, mark: bytes | None) -> bool:
        """Whether nothing has changed since, by the mark of now (None while Redis is away)."""
        age = time.monotonic() - self.read_at
        return age < WITHOUT_REDIS_SECONDS if mark is None else age < REMEMBER_SECONDS and mark == self.mark


class Owners:
    """Answers from memory what it has read a while ago."""

    def __init__(self, database: Database, redis: Redis, start: Start) -> None:
        self._database = database
        self._redis = redis
        self._start = start
        self._known: dict[int, Known] = {}
        self._changes = 0
        self._reads: Coalesced[int, Known] = Coalesced(self._read)
        database.on_commit(self._after_commit)

    def remembered(self, user_id: int) -> Known | None:
        """What is to be confirmed by the mark before it is used."""
        return self._known.get(user_id)

    async def find(self, user_id: int, account_id: int | None) -> Account:
        """One of the user's accounts as it is on record now; NotFound when it is another's, NoAccount without any."""
        account = (await self._reads.ask(user_id)).accounts.get(account_id)
        if account is None:
            raise NoAccount if account_id is None else NotFound
        return account

    def _after_commit(self, session: AsyncSession) -> None:
        changed = session.info.get(accounts.CHANGED, ())
        if not changed:
            return
        self._changes += 1
        for user_id in changed:
            self._known.pop(user_id, None)
        try:
            self._start("owners_mark", self._set_mark())
        except RuntimeError:
            log.warning("owners_mark_unset")  # too much is under way; others see the change when they read anew

    async def _set_mark(self) -> None:
        try:
            async with self._redis.pipeline(transaction=True) as both:
                both.set(MARK, secrets.token_bytes(8))
                both.publish(recent.CHANNEL, recent.ALL)
                await both.execute()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("owners_mark_unset", error=type(error).__name__)

    async def _read(self, user_ids: Sequence[int]) -> Sequence[Known]:
        """All of them by one question. The mark is read first: a change after that makes it another one."""
        changes, read_at = self._changes, time.monotonic()
        try:
            mark: bytes | None = await self._redis.get(MARK) or b""
        except (RedisError, OSError, TimeoutError):
            mark = None
        found: dict[int, dict[int | None, Account]] = {user_id: {} for user_id in user_ids}
        async with self._database.reading() as session:
            for account in await session.scalars(select(Account).where(
                    Account.user_id.in_(found), Account.unlinked_at.is_(None))):
                found[account.user_id][account.id] = account
                if account.is_primary:
                    found[account.user_id][None] = account
        for user_id, linked in found.items():
            if changes == self._changes:  # else it may be what was before the change
                self._remember(user_id, Known(linked, mark, read_at))
        return [Known(found[user_id], mark, read_at) for user_id in user_ids]

    def _remember(self, user_id: int, known: Known) -> None:
        self._known.pop(user_id, None)
        if len(self._known) >= MOST_USERS:
            del self._known[next(iter(self._known))]
        self._known[user_id] = known

