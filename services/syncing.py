"""Keeping up with terminals that do not tell by themselves: their deals, and what became of waiting orders.

Accounts with something open are asked often, the others now and then. Each is asked by itself, so one that hangs
delays nobody; one that fails is asked less and less often. What a terminal tells before it knows its server's clock, on
a market that is closed, is recorded and timed anew once it does.
"""

import asyncio
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import structlog
from sqlalchemy import Row, Select, and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account, AccountStatus
from models.database import Database
from models.order import Order, OrderStatus
from models.position import PositionRecord
from services import accounts, history, orders, settling, shares
from services.execution import LOOK_BACK
from terminal.protocol import (
    AccountRef,
    ClockedGateway,
    Deal,
    DealEntry,
    DealFeed,
    DealReason,
    Gateway,
    GatewayError,
    OrderType,
    ResultStatus,
    Side,
    TradeResult,
)

log = structlog.get_logger(__name__)

# Deals may be recorded late or out of order at the trade server; what is on record already is left out.
OVERLAP, FIRST_DEPTH = timedelta(hours=1), timedelta(days=30)
# By no more than this are the times of a terminal wrong that does not know its server's clock.
MOST_WRONG = timedelta(days=1)
# So many deals are written at once: an account with a long history does not keep the others from the writer.
DEALS_AT_ONCE = 200
LONGEST_PAUSE, GIVEN_UP_LATELY = timedelta(minutes=5), timedelta(days=1)
# So long after it was sent an order that was given up is most likely to have been filled after all.
FILLS_LATE = timedelta(minutes=10)
ACTIVE = (OrderStatus.SENT, OrderStatus.UNKNOWN, OrderStatus.PLACED, OrderStatus.FILLED)
ENDED = {"cancelled": DealReason.CANCELLED, "not_reached_in_time": DealReason.EXPIRED}


@dataclass(frozen=True, slots=True)
class Rules:
    """How often accounts are asked, how many at once, and how long one may take."""

    every: timedelta
    idle_every: timedelta
    at_once: int = 16
    patience: timedelta = timedelta(seconds=45)


@dataclass(frozen=True, slots=True)
class Look:
    """What a terminal has told: its deals ``since`` when and whether their times are right, how waiting orders that
    are gone have ended, and which were given up though they wait (with their tickets)."""

    since: datetime
    is_timed: bool
    deals: Sequence[Deal]
    ended: Sequence[Deal]
    appeared: Sequence[tuple[Order, int]]


def routes(gateways: Mapping[str, Gateway]) -> dict[str, Gateway]:
    """The gateways whose accounts have to be asked."""
    return {route: gateway for route, gateway in gateways.items()
            if gateway.executes and not isinstance(gateway, DealFeed)}


class Syncer:
    """Knows whose turn it is, and brings one account up to date at a time."""

    def __init__(self, database: Database, gateways: Mapping[str, Gateway], rules: Rules) -> None:
        self._database = database
        self._gateways = routes(gateways)
        self._rules = rules
        self._asked_at: dict[int, datetime] = {}
        self._not_before: dict[int, datetime] = {}
        self._failures: dict[int, int] = {}

    async def due(self, now: datetime, limit: int, busy: Collection[int] = ()) -> list[int]:
        """Accounts whose turn has come, those that have waited longest first."""
        async with self._database.reading() as session:
            rows = (await session.execute(self._accounts(now))).all()
        self._forget_all_but({row.id for row in rows})
        turns = sorted((self._turn_of(row, now), row.id) for row in rows if row.id not in busy)
        return [account_id for at, account_id in turns if at <= now][:limit]

    async def sync(self, account_id: int, now: datetime) -> bool:
        """Read an account's deals and let them take effect; whether there was anything new."""
        self._asked_at[account_id] = now
        async with self._database.reading() as session:
            account = await session.get_one(Account, account_id)
            resting = list(await session.scalars(_resting(account_id, now)))
        try:
            async with asyncio.timeout(self._rules.patience.total_seconds()):
                seen = await look(self._gateways[account.route], account, resting, now)
        except TimeoutError:
            await self._failed(account, GatewayError("terminal_hangs", "No answer in time.", retryable=True), now)
            return False
        except GatewayError as error:
            await self._failed(account, error, now)
            return False
        changed = await self._take_in(account, seen, now)
        self._failures.pop(account_id, None)
        self._not_before.pop(account_id, None)
        return changed

    async def _take_in(self, account: Account, seen: Look, now: datetime) -> bool:
        """Bit by bit. What was written when the process dies is left out the next time, the cursor moves at the end."""
        changed, last = False, max(len(seen.deals) - 1, 0) // DEALS_AT_ONCE * DEALS_AT_ONCE
        for start in range(0, last, DEALS_AT_ONCE):
            async with self._database.writing() as session:
                some = replace(seen, deals=seen.deals[start:start + DEALS_AT_ONCE])
                fresh = await _record(session, account, some, now)
                await settling.apply(session, account, fresh, now)
                changed |= bool(fresh)
        async with self._database.writing() as session:
            return await take_in(session, account, replace(seen, deals=seen.deals[last:]), now) or changed

    def _accounts(self, now: datetime) -> Select[int, bool, datetime, datetime | None]:
        given_up = and_(Order.reason == "not_executed", Order.sent_at > now - FILLS_LATE)
        has_orders = exists().where(Order.account_id == Account.id, or_(Order.status.in_(ACTIVE), and_(
            Order.status == OrderStatus.EXPIRED, given_up)))
        has_positions = exists().where(PositionRecord.account_id == Account.id, PositionRecord.status == history.OPEN)
        newest = select(func.max(Order.updated_at)).where(
            Order.account_id == Account.id, Order.status.in_(ACTIVE)).correlate(Account).scalar_subquery()
        return select(Account.id, or_(has_orders, has_positions).label("is_open"), newest.label("changed_at"),
                      Account.deals_read_until).where(
            Account.route.in_(self._gateways), Account.status == AccountStatus.VERIFIED,
            Account.unlinked_at.is_(None))

    def _turn_of(self, row: Row[int, bool, datetime, datetime | None], now: datetime) -> datetime:
        """When an account's turn comes: after an order at once, else by whether something is open on it."""
        interval = self._rules.every if row.is_open else self._rules.idle_every
        asked_at = self._asked_at.get(row.id)
        if asked_at is None:
            # After a start not all at once: as if each had been asked a while ago. One never read does not wait.
            share = 1.0 if row.deals_read_until is None else random.random()  # noqa: S311
            asked_at = self._asked_at[row.id] = now - interval * share
        if row.id in self._not_before:
            return self._not_before[row.id]
        if row.changed_at is not None and row.changed_at > asked_at:
            return now
        return asked_at + interval

    def _forget_all_but(self, known: set[int]) -> None:
        for kept in (self._asked_at, self._not_before, self._failures):
            for gone in kept.keys() - known:
                del kept[gone]

    async def _failed(self, account: Account, error: GatewayError, now: datetime) -> None:
        log.warning("sync_failed", account_id=account.id, code=error.code)
        failures = self._failures[account.id] = self._failures.get(account.id, 0) + 1
        self._not_before[account.id] = now + min(self._rules.every * 2 ** min(failures, 10), LONGEST_PAUSE)
        if error.permanent:
            async with self._database.writing() as session:
                await accounts.mark_broken(session, account.id, error.code, now)


def _resting(account_id: int, now: datetime) -> Select[Order]:
    """Orders that wait at the broker, and those that were given up lately and may have come to wait after all."""
    given_up = and_(Order.reason == "not_executed", Order.order_type != OrderType.MARKET,
                    Order.sent_at > now - GIVEN_UP_LATELY)
    return select(Order).where(Order.account_id == account_id, or_(
        Order.status == OrderStatus.PLACED, and_(Order.status == OrderStatus.EXPIRED, given_up)))


async def look(gateway: Gateway, account: Account, resting: Sequence[Order], now: datetime) -> Look:
    """Ask the terminal; changes nothing."""
    ref = accounts.ref(account)
    since = now - FIRST_DEPTH if account.deals_read_until is None else account.deals_read_until - OVERLAP
    is_timed = not isinstance(gateway, ClockedGateway) or await gateway.knows_time(ref)
    if not is_timed:
        since -= MOST_WRONG  # what was done just now may be told as of hours ago
    elif account.deals_untimed_since is not None:
        since = min(since, account.deals_untimed_since - MOST_WRONG)
    deals = await gateway.deals(ref, since)
    waiting: dict[int, int] = {}
    for pending in await gateway.orders(ref) if resting else ():
        waiting.setdefault(shares.magic_of_order(pending.magic), pending.ticket)
    ended, appeared = [], []
    for order in resting:
        assert order.magic is not None
        if order.magic in waiting:
            appeared += [(order, waiting[order.magic])] if order.status != OrderStatus.PLACED else []
        elif order.status == OrderStatus.PLACED:
            found = await gateway.find(ref, order.magic, (order.sent_at or order.created_at) - LOOK_BACK)
            if found is not None and found.status == ResultStatus.REJECTED:
                ended.append(_ended(ref, order, found, now))
    return Look(since, is_timed, deals, ended, appeared)


async def _record(session: AsyncSession, account: Account, seen: Look, now: datetime) -> list[Deal]:
    """Write down what is new, and that it is to be timed anew where its times may be wrong; returns it."""
    if seen.is_timed and account.deals_untimed_since is not None:
        await history.retime(session, account, seen.deals, now)
    fresh = await history.record(session, account, seen.deals, now)
    if fresh and not seen.is_timed:
        await session.execute(
            update(Account).where(Account.id == account.id, or_(
                Account.deals_untimed_since.is_(None), Account.deals_untimed_since > seen.since))
            .values(deals_untimed_since=seen.since))
    return fresh


async def take_in(session: AsyncSession, account: Account, seen: Look, now: datetime) -> bool:
    """Record what is new, let it take effect on orders, and move the cursor, together."""
    fresh = await _record(session, account, seen, now)
    for order, ticket in seen.appeared:
        await orders.wait_after_all(session, order.id, ticket, now)
    await settling.apply(session, account, [*fresh, *seen.ended], now)
    if seen.is_timed and account.deals_untimed_since is not None:
        # Unless somebody has recorded more meanwhile, who knew the time less than we do.
        await session.execute(
            update(Account).where(Account.id == account.id, Account.deals_read_until == account.deals_read_until)
            .values(deals_untimed_since=None))
    await session.execute(
        update(Account).where(Account.id == account.id,
                              or_(Account.deals_read_until.is_(None), Account.deals_read_until < now))
        .values(deals_read_until=now))
    return bool(fresh or seen.ended or seen.appeared)


def _ended(ref: AccountRef, order: Order, found: TradeResult, now: datetime) -> Deal:
    """What a feed would have told of a waiting order that is gone and was never filled."""
    assert order.magic is not None
    nothing = Decimal(0)
    reason = ENDED.get(found.reason or "", DealReason.OTHER)
    # No broker numbers deals below zero.
    return Deal(-order.id, ref.login, ref.server, 0, order.magic, order.symbol, Side(order.side), DealEntry.IN, reason,
                nothing, order.entry_price or nothing, nothing, nothing, nothing, nothing, now)
