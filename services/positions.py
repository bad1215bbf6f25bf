"""Live positions and the figures of an account, with a short cache and an honest age."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account
from models.database import Database
from models.order import EquityPeak
from services import accounts
from services.errors import TryLater
from services.upsert import insert
from terminal.protocol import AccountSnapshot, Gateway, GatewayError, Position, Side

log = structlog.get_logger(__name__)

_HUNDREDTH = Decimal("0.01")
KEEP = timedelta(hours=1)
PATIENCE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Portfolio:
    """An account with its open positions as of one moment; ``digits`` by symbol is for writing prices."""

    account_id: int
    snapshot: AccountSnapshot
    positions: tuple[Position, ...]
    digits: dict[str, int]
    drawdown_percent: Decimal
    max_drawdown_percent: Decimal
    stale: bool

    @property
    def total_profit(self) -> Decimal:
        """Floating profit with swap, in the account's currency."""
        return sum((p.profit + p.swap for p in self.positions), Decimal(0))


class Reader:
    """Reads portfolios: fresh from the gateway, from the cache, or the last one known, marked stale."""

    def __init__(self, database: Database, redis: Redis, gateways: Mapping[str, Gateway], *, cache: timedelta,
                 force_after: timedelta, patience: timedelta = PATIENCE) -> None:
        self._database = database
        self._redis = redis
        self._gateways = gateways
        self._cache = cache
        self._force_after = force_after
        self._patience = patience
        self._under_way: dict[int, asyncio.Task[Portfolio]] = {}

    async def live(self, account: Account, now: datetime, *, force: bool = False) -> Portfolio:
        """The portfolio, at most ``cache`` old; with ``force`` at most ``force_after``."""
        known = await self._recall(account.id)
        wanted = self._force_after if force else self._cache
        if known is not None and now - known.snapshot.taken_at < wanted:
            return known
        try:
            return await self._refresh_once(account, now)
        except GatewayError as error:
            log.warning("positions_stale", account_id=account.id, code=error.code)
            if known is None:
                raise TryLater("The terminal does not answer.") from error
            return replace(known, stale=now - known.snapshot.taken_at >= self._cache)

    async def forget(self, account_id: int) -> None:
        """Drop the cached portfolio: something has just changed it, maybe after a refresh under way had looked."""
        self._under_way.pop(account_id, None)
        try:
            await self._redis.delete(_key(account_id))
        except RedisError:
            log.warning("cache_unreachable")

    async def _refresh_once(self, account: Account, now: datetime) -> Portfolio:
        """Join the refresh of this account that is under way, or start it; GatewayError when it takes too long."""
        task = self._under_way.get(account.id)
        if task is None:
            task = asyncio.create_task(self._refresh(account, now))
            self._under_way[account.id] = task
            task.add_done_callback(lambda done: self._ended(account.id, done))
        try:
            return await asyncio.wait_for(asyncio.shield(task), self._patience.total_seconds())
        except TimeoutError as error:
            raise GatewayError("terminal_hangs", "The terminal takes too long.", retryable=True) from error

    def _ended(self, account_id: int, task: asyncio.Task[Portfolio]) -> None:
        if self._under_way.get(account_id) is task:
            del self._under_way[account_id]
        if not task.cancelled():
            task.exception()  # nobody may be waiting any more; who is has it too

    async def _refresh(self, account: Account, now: datetime) -> Portfolio:
        gateway, ref = self._gateways[account.route], accounts.ref(account)
        snapshot = await gateway.account(ref)
        positions = tuple(await gateway.positions(ref))
        digits = {}
        for symbol in {p.symbol for p in positions}:
            spec = await gateway.symbol(ref, symbol)
            digits[symbol] = spec.digits if spec else 5
        peak, deepest = await self._drawdown(account.id, snapshot, now)
        portfolio = Portfolio(account.id, snapshot, positions, digits, _fall(peak, snapshot.equity), deepest, False)
        if self._under_way.get(account.id) is asyncio.current_task():
            await self._remember(portfolio)
        return portfolio

    async def _drawdown(self, account_id: int, snapshot: AccountSnapshot, now: datetime) -> tuple[Decimal, Decimal]:
        """The highest equity on record and the deepest fall from a peak; written only when one of them moves."""
        async with self._database.reading() as session:
            known = await _peak(session, account_id)
        peak, deepest = _with(known, snapshot)
        if known == (peak, deepest):
            return peak, deepest
        async with self._database.writing() as session:
            peak, deepest = _with(await _peak(session, account_id), snapshot)
            statement = insert(session, EquityPeak).values(
                account_id=account_id, peak=peak, max_drawdown_percent=deepest, updated_at=now)
            await session.execute(statement.on_conflict_do_update(
                index_elements=["account_id"],
                set_={"peak": peak, "max_drawdown_percent": deepest, "updated_at": now}))
        return peak, deepest

    async def _recall(self, account_id: int) -> Portfolio | None:
        try:
            raw = await self._redis.get(_key(account_id))
        except RedisError:
            log.warning("cache_unreachable")
            return None
        return _decode(raw) if raw else None

    async def _remember(self, portfolio: Portfolio) -> None:
        try:
            await self._redis.set(_key(portfolio.account_id), _encode(portfolio), ex=KEEP)
        except RedisError:
            log.warning("cache_unreachable")


def _key(account_id: int) -> str:
    return f"positions:v1:{account_id}"


def _fall(peak: Decimal, equity: Decimal) -> Decimal:
    if peak <= 0:
        return Decimal("0.00")
    return (max(peak - equity, Decimal(0)) / peak * 100).quantize(_HUNDREDTH, ROUND_HALF_UP)


def _with(known: tuple[Decimal, Decimal] | None, snapshot: AccountSnapshot) -> tuple[Decimal, Decimal]:
    """Peak and deepest fall with this snapshot; an account first seen in the red has had its balance as equity."""
    peak, deepest = known or (snapshot.balance, Decimal("0.00"))
    peak = max(peak, snapshot.equity)
    return peak, max(deepest, _fall(peak, snapshot.equity))


async def _peak(session: AsyncSession, account_id: int) -> tuple[Decimal, Decimal] | None:
    row = (await session.execute(select(EquityPeak.peak, EquityPeak.max_drawdown_percent).where(
        EquityPeak.account_id == account_id))).one_or_none()
    return (row.peak, row.max_drawdown_percent) if row else None


def _encode(portfolio: Portfolio) -> bytes:
    def plain(value: Any) -> Any:
        return value.isoformat() if isinstance(value, datetime) else str(value)

    return json.dumps({
        "account_id": portfolio.account_id, "digits": portfolio.digits,
        "snapshot": {name: getattr(portfolio.snapshot, name) for name in AccountSnapshot.__slots__},
        "positions": [{name: getattr(p, name) for name in Position.__slots__} for p in portfolio.positions],
        "drawdown": [portfolio.drawdown_percent, portfolio.max_drawdown_percent],
    }, default=plain).encode()


def _decode(raw: bytes) -> Portfolio:
    value = json.loads(raw)
    drawdown, deepest = (Decimal(text) for text in value["drawdown"])
    return Portfolio(value["account_id"], AccountSnapshot(**_revive(value["snapshot"])),
                     tuple(Position(**_revive(p)) for p in value["positions"]), value["digits"], drawdown, deepest,
                     False)


_INSTANTS = {"taken_at", "opened_at"}
_WORDS = {"login", "server", "broker", "currency", "margin_mode", "symbol"}


def _revive(fields: Mapping[str, Any]) -> dict[str, Any]:
    revived: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _INSTANTS:
            revived[name] = datetime.fromisoformat(value)
        elif name == "side":
            revived[name] = Side(value)
        elif isinstance(value, str) and name not in _WORDS:
            revived[name] = Decimal(value)
        else:
            revived[name] = value
    return revived


def percent(part: Decimal, whole: Decimal) -> Decimal:
    """``part`` of ``whole`` in percent, two digits; 0 of nothing."""
    return Decimal("0.00") if whole == 0 else (part / whole * 100).quantize(_HUNDREDTH, ROUND_HALF_UP)


