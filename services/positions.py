"""Live positions and the figures of an account, with a short cache and an honest age.

Those who ask for one account at once share one reading, in this process and among replicas. A terminal that does not
answer shows the last portfolio with its age; nobody waits for it longer than ``patience``. When nothing is known of
an account any more (a desk just started, Redis empty, the terminal away) nothing is shown: its curve knows equity
and balance, but an account without its positions would look as if it had none.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import structlog
from redis.asyncio import Redis

from models.account import Account, AccountStatus
from models.database import Database
from runtime.supervision import Start
from services import accounts, equity
from services.equity import Peak, Standing, percent
from services.errors import TryLater
from services.observations import Observations
from services.position_cache import Glance, Look, PositionCache, Recently
from services.snapshots import Age, Kept, Portfolio
from terminal.protocol import AccountRef, AccountSnapshot, Gateway, GatewayError, Position

__all__ = ["Portfolio", "Reader", "percent"]

log = structlog.get_logger(__name__)

PATIENCE = timedelta(seconds=5)
# A reading that takes longer than this will not end: the gateway's own deadlines are shorter.
LONGEST_SECONDS = 120.0
LOOK_SECONDS = 0.05
MOST_SYMBOLS = 10_000


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading under way, and when it began by the loop's clock."""

    task: asyncio.Task[Portfolio]
    began: float


class Reader:
    """Reads portfolios: fresh from the gateway, from the cache, or the last one known, marked stale.

    ``written`` makes the answer of the API, which is kept ready-made; ``changed`` hears of accounts that have changed.
    """

    def __init__(self, database: Database, redis: Redis, gateways: Mapping[str, Gateway], *, cache: timedelta,
                 force_after: timedelta, patience: timedelta = PATIENCE,
                 written: Callable[[Portfolio], bytes] = lambda _: b"", start: Start | None = None,
                 changed: Callable[[int], None] = lambda _: None) -> None:
        self._database = database
        self._gateways = gateways
        self._span, self._force_after, self._patience = cache, force_after, patience
        self._written, self._changed = written, changed
        self._cache = PositionCache(redis)
        self._seen = Observations(database, start)
        self._under_way: dict[int, Reading] = {}
        self._digits: dict[tuple[str, str], int] = {}

    async def live(self, account: Account, now: datetime, *, force: bool = False) -> Portfolio:
        """The portfolio, at most ``cache`` old; with ``force`` at most ``force_after``. TryLater when there is none."""
        known = await self._cache.recall(account.id)
        if known is not None and not self._is_due(known, now, force):
            return self._aged(known.portfolio, now)
        try:
            return self._aged(await self._refresh(account, now, known), now)
        except GatewayError as error:
            log.warning("positions_stale", account_id=account.id, code=error.code)
            if known is not None:
                return self._aged(known.portfolio, now)
            last = await self._cache.last(account.id)
            if last is None:
                raise TryLater("The terminal does not answer.") from error
            return replace(last, stale=True)

    def recent(self, account_id: int) -> Recently | None:
        """The answer of an account that was found less than a second ago, if nothing has changed since."""
        return self._cache.recent.get(account_id)

    async def listen(self, stopping: asyncio.Event) -> None:
        """Hear of what other replicas change, until the process stops."""
        await self._cache.recent.listen(stopping)

    def glance(self, account_id: int) -> Glance | None:
        """Begin to look for the answer that is kept of an account."""
        return self._cache.glance(account_id)

    async def look(self, account_id: int, glance: Glance | None) -> Look:
        """The answer that is kept of an account, whatever its age."""
        return await self._cache.look(account_id, glance)

    def is_fresh(self, answer: Kept, now: datetime) -> bool:
        """Whether a kept answer may still be sent."""
        return not answer.age.is_older(self._span, now)

    async def forget(self, account_id: int) -> None:
        """Something has just changed the account, maybe after a reading under way had looked."""
        self._under_way.pop(account_id, None)
        await self._cache.forget(account_id)
        self._changed(account_id)

    async def settled(self) -> None:
        """Return when everything that was seen is on record."""
        await self._seen.settled()

    async def ageing(self, account_ids: Sequence[int], now: datetime, early: timedelta) -> list[int]:
        """Those of which nothing is kept that stays fresh for ``early``, without those being read just now."""
        ages = await self._cache.ages(account_ids)
        return [account_id for account_id in account_ids if account_id not in self._under_way
                and _is_ageing(ages.get(account_id), now, self._span - early, self._force_after)]

    def _is_due(self, known: Kept, now: datetime, force: bool) -> bool:
        """A fresh one is due when forced, an old one always, but nobody asks a terminal twice in ``force_after``."""
        if known.age.was_read_within(self._force_after, now):
            return False
        return force or not known.is_shared or known.age.is_older(self._span, now)

    def _aged(self, found: Portfolio, now: datetime) -> Portfolio:
        is_old = now - found.snapshot.taken_at >= self._span
        return found if found.stale == is_old else replace(found, stale=is_old)

    def _left(self, reading: Reading) -> float:
        return self._patience.total_seconds() - (asyncio.get_running_loop().time() - reading.began)

    async def _refresh(self, account: Account, now: datetime, known: Kept | None) -> Portfolio:
        """Join the reading of this account that is under way, or start it; GatewayError when it takes too long.

        Who has something to show waits no longer than the first one did; who has not waits as long as anybody.
        """
        reading = self._under_way.get(account.id)
        if reading is None:
            task = asyncio.create_task(self._read_alone(account, now, known))
            reading = Reading(task, asyncio.get_running_loop().time())
            self._under_way[account.id] = reading
            task.add_done_callback(lambda done: self._ended(account.id, done))
        wait = self._patience.total_seconds() if known is None else max(self._left(reading), 0.0)
        done, _ = await asyncio.wait([reading.task], timeout=wait)
        if not done:
            raise GatewayError("terminal_hangs", "The terminal takes too long.", retryable=True)
        return reading.task.result()

    def _ended(self, account_id: int, task: asyncio.Task[Portfolio]) -> None:
        reading = self._under_way.get(account_id)
        if reading is not None and reading.task is task:
            del self._under_way[account_id]
        if not task.cancelled():
            task.exception()  # nobody may be waiting any more; who is has it too

    async def _read_alone(self, account: Account, now: datetime, known: Kept | None) -> Portfolio:
        """Read the account unless another replica is at it; then its result is ours."""
        claim = await self._cache.claim(account.id, self._patience)
        if not claim.is_ours:
            found = await self._of_another(account.id, known)
            if found is not None:
                return found
            claim = await self._cache.claim(account.id, self._patience)
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                portfolio = await self._read(account, now)
            answer = self._written(portfolio)
        except BaseException as error:
            await self._cache.let_go(account.id)
            if isinstance(error, TimeoutError):
                raise GatewayError("terminal_hangs", "The terminal does not answer.", retryable=True) from error
            if isinstance(error, GatewayError) and error.permanent:
                self._seen.broken(account, error.code, now)
            raise
        reading = self._under_way.get(account.id)
        if reading is not None and reading.task is asyncio.current_task():
            await self._cache.keep(portfolio, answer, claim)
        return portfolio

    async def _of_another(self, account_id: int, known: Kept | None) -> Portfolio | None:
        """What the replica finds that is reading the account; None when it gives up or takes too long."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience.total_seconds()
        while loop.time() < until:
            await asyncio.sleep(LOOK_SECONDS)
            is_claimed = await self._cache.is_claimed(account_id)  # first: what is found is kept before it is let go
            found = await self._cache.recall(account_id)
            if found is not None and found.age.is_read_since(known.age if known else None):
                return found.portfolio
            if not is_claimed:
                return None
        return None

    async def _read(self, account: Account, now: datetime) -> Portfolio:
        if account.status != AccountStatus.VERIFIED:
            # Somebody else may have linked the same broker account since: what its terminal says is theirs.
            raise GatewayError("account_broken", "The account's link does not work.")
        gateway, ref = self._gateways.get(account.route), accounts.ref(account)
        if gateway is None:
            raise GatewayError("terminal_missing", "There is no terminal for this account here.")
        snapshot = _completed(await gateway.account(ref), now)
        positions = tuple(await gateway.positions(ref))
        digits = {symbol: await self._digits_of(gateway, ref, symbol, positions)
                  for symbol in {p.symbol for p in positions}}
        # Asked before and after: what waits may be written while the database is read, too late for what is read.
        waiting = self._seen.peak_of(account.id)
        async with self._database.reading() as session:
            past = await equity.past(session, account.id, now)
        recorded = equity.joined(waiting, past.peak, self._seen.peak_of(account.id))
        # An account first seen in the red has had its balance as equity.
        standing = Standing(snapshot.equity, snapshot.net_deposits)
        peak = (recorded or Peak(snapshot.balance, Decimal("0.00"))).seen(standing, snapshot.taken_at)
        self._seen.seen(account, snapshot, positions, peak if peak != recorded else None, now)
        return Portfolio(
            account.id, snapshot, positions, digits, equity.fall(peak.equity, snapshot.equity), peak.deepest,
            now - snapshot.taken_at >= self._span, _change(standing, past.day_ago), _change(standing, past.week_ago),
            now)

    async def _digits_of(self, gateway: Gateway, ref: AccountRef, symbol: str, positions: tuple[Position, ...]) -> int:
        """The symbol's digits as its broker says, else as many as its prices are written with."""
        known = self._digits.get((ref.server, symbol))
        if known is not None:
            return known
        try:
            spec = await gateway.symbol(ref, symbol)
        except GatewayError:
            spec = None
        if spec is None:
            return max(_places(price) for p in positions if p.symbol == symbol
                       for price in (p.entry_price, p.current_price, p.stop_loss, p.take_profit) if price is not None)
        if len(self._digits) >= MOST_SYMBOLS:
            self._digits.clear()
        self._digits[ref.server, symbol] = spec.digits
        return spec.digits


def _completed(snapshot: AccountSnapshot, now: datetime) -> AccountSnapshot:
    """With the margin level where margin is in use; a clock that runs ahead makes nothing fresher than now."""
    level = snapshot.margin_level
    if snapshot.margin == 0:
        level = None
    elif level is None:
        level = percent(snapshot.equity, snapshot.margin)
    return replace(snapshot, margin_level=level, taken_at=min(snapshot.taken_at, now))


def _is_ageing(age: Age | None, now: datetime, span: timedelta, force_after: timedelta) -> bool:
    return age is None or (age.is_older(span, now) and not age.was_read_within(force_after, now))


def _change(standing: Standing, before: Standing | None) -> Decimal | None:
    return None if before is None else standing.change_since(before)


def _places(price: Decimal) -> int:
    exponent = price.normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0
