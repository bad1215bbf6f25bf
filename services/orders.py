"""Orders: the intent is written first, then executed at most once, then what became of it is recorded.

queued -> leased -> sent -> placed | filled | rejected | unknown; placed -> filled | expired; filled ->
closed. ``sent`` is committed before the terminal hears of the order, so a crash leaves ``sent``, which is
reconciled and never sent blindly again.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, Select, Update, and_, case, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from models.account import Account, AccountStatus
from models.order import DealCursor, Order, OrderStatus
from models.signal import Terms
from services import events, history, outbox, settling, terms
from services.upsert import insert
from terminal.protocol import Deal, OrderRequest, OrderType, ResultStatus, Side, TradeResult

# A magic is our product's tag above 48 bits: below 2**53, so every JSON reader keeps it exact. Four bits are the leg's,
# the rest is drawn by lot: another desk on the same broker account, or this one after its backup was restored, counts
# its orders from the same numbers, and would find the other's order in the place of its own.
MAGIC_TAG, LOT_BITS = 1 << 48, 44
LEASING = 0x6F726473  # "ords"
OPEN_STATES = (OrderStatus.QUEUED, OrderStatus.LEASED, OrderStatus.SENT, OrderStatus.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Lease:
    """An order under lease with the account it is for."""

    order: Order
    account: Account


def intend(row: Terms, approval_id: int, user_id: int, account_id: int, signal_expires_at: datetime,
           execute_within: timedelta, now: datetime) -> Order:
    """The intent to trade these terms, to be added in the transaction of the decision.

    A market order must be executed soon or not at all; a resting order is good until the signal expires.
    """
    levels = terms.of(row)
    expires_at = now + execute_within if row.order_type == OrderType.MARKET else signal_expires_at
    return Order(
        approval_id=approval_id, user_id=user_id, account_id=account_id, terms_id=row.id, status=OrderStatus.QUEUED,
        symbol=row.symbol, side=row.side, order_type=row.order_type, entry_price=terms.entry_edge(levels),
        stop_loss=row.stop_loss, take_profits=list(row.take_profits), attempts=0, next_try_at=now,
        expires_at=expires_at, created_at=now, updated_at=now)


async def lease(session: AsyncSession, routes: Sequence[str], owner: str, now: datetime, span: timedelta,
                limit: int) -> list[Lease]:
    """Take orders that are due: new ones, and those whose holder has vanished or could not tell the outcome.

    One order at a time for each account, whoever asks: a slow terminal holds up nobody else's.
    """
    if session.get_bind().dialect.name == "postgresql":
        # Takers take turns: SKIP LOCKED alone would give two of them an order each of the same account.
        await session.execute(select(func.pg_advisory_xact_lock(LEASING)))
    held, other = (OrderStatus.LEASED, OrderStatus.SENT), aliased(Order)
    is_busy = exists().where(other.account_id == Order.account_id, other.status.in_(OPEN_STATES),
                             other.lease_until > now)
    due = (select(Order.id, Order.account_id, Order.status).join(Account, Account.id == Order.account_id)
           .where(Account.route.in_(routes), ~is_busy,
                  or_(and_(Order.status.in_([OrderStatus.QUEUED, OrderStatus.UNKNOWN]), Order.next_try_at <= now),
                      and_(Order.status.in_(held), Order.lease_until <= now)))
           .order_by(Order.id).limit(limit * 4).with_for_update(skip_locked=True, of=Order))
    first_of_account: dict[int, int] = {}
    before: dict[int, str] = {}
    for row in await session.execute(due):
        before[row.id] = row.status
        first_of_account.setdefault(row.account_id, row.id)
    ids = list(first_of_account.values())[:limit]
    await session.execute(
        update(Order).where(Order.id.in_(ids), Order.status.in_([OrderStatus.QUEUED, OrderStatus.LEASED]))
        .values(status=OrderStatus.LEASED, lease_owner=owner, lease_until=now + span, updated_at=now))
    await session.execute(
        update(Order).where(Order.id.in_(ids), Order.status.in_([OrderStatus.SENT, OrderStatus.UNKNOWN]))
        .values(status=OrderStatus.UNKNOWN, lease_owner=owner, lease_until=now + span,
                next_try_at=now + span, updated_at=now))
    rows = await session.execute(
        select(Order, Account).join(Account, Account.id == Order.account_id).where(Order.id.in_(ids))
        .order_by(Order.id).execution_options(populate_existing=True))
    leases = [Lease(row.Order, row.Account) for row in rows]
    for order in (lease.order for lease in leases):
        if order.status != before[order.id]:
            events.note_order(session, order.user_id, order.id, order.approval_id, order.status)
    return leases


async def mark_sent(session: AsyncSession, order_id: int, owner: str, volume: Decimal, now: datetime,
                    span: timedelta) -> int | None:
    """Write the intent with its volume and magic before the terminal hears of it, and begin the lease anew.

    Returns the magic; None when the lease is lost, or the account's link: somebody else may have it by now.
    """
    is_linked = exists().where(Account.id == Order.account_id, Account.unlinked_at.is_(None),
                               Account.status == AccountStatus.VERIFIED)
    sent = await _change(
        session,
        update(Order).where(Order.id == order_id, Order.status == OrderStatus.LEASED, Order.lease_owner == owner,
                            is_linked)
        .values(status=OrderStatus.SENT, volume=volume, magic=func.coalesce(Order.magic, new_magic()), sent_at=now,
                updated_at=now, lease_until=now + span, attempts=Order.attempts + 1))
    return None if sent is None else sent.magic


async def _change(session: AsyncSession, statement: Update) -> Row[int, int, int, str, int | None] | None:
    """Change one order and let its owner be told; None when it was not in a state for it."""
    changed = (await session.execute(statement.returning(
        Order.user_id, Order.id, Order.approval_id, Order.status, Order.magic))).one_or_none()
    if changed is not None:
        events.note_order(session, changed.user_id, changed.id, changed.approval_id, changed.status)
    return changed


def new_magic() -> int:
    """A number to mark an order with at the trade server, from its first sending to its end."""
    return MAGIC_TAG | 1 + secrets.randbelow((1 << LOT_BITS) - 1)


def request(order: Order, magic: int, symbol: str, volume: Decimal) -> OrderRequest:
    """What the terminal is asked to do, the same however often it is asked; ``symbol`` is the broker's name."""
    is_market = order.order_type == OrderType.MARKET
    return OrderRequest(
        magic=magic, symbol=symbol, side=Side(order.side), order_type=OrderType(order.order_type),
        volume=volume, price=None if is_market else order.entry_price, stop_loss=order.stop_loss,
        take_profits=by_distance(order), comment=f"CS{order.id}", expires_at=None if is_market else order.expires_at)


def by_distance(order: Order) -> tuple[Decimal, ...]:
    """The targets in the order the price would meet them."""
    return tuple(sorted((Decimal(t) for t in order.take_profits), reverse=order.side == Side.SELL))


async def record(session: AsyncSession, order_id: int, result: TradeResult, now: datetime) -> bool:
    """Write what became of a sent order, once; owes the card an edit. False when it was already known."""
    values: dict[str, Any] = {"status": OrderStatus(result.status.value), "retcode": result.retcode,
                              "ticket": result.ticket, "error": result.error and result.error[:256]}
    if result.status == ResultStatus.FILLED:
        values |= {"fill_price": result.price, "volume": result.volume}
    if result.status == ResultStatus.REJECTED:
        values["reason"] = result.reason or "rejected_by_terminal"
    return await _finish(session, order_id, values, now)


async def wait_after_all(session: AsyncSession, order_id: int, ticket: int, now: datetime) -> None:
    """An order that was given up has come to wait at the broker."""
    placed = await _change(
        session, update(Order).where(Order.id == order_id, Order.status == OrderStatus.EXPIRED)
        .values(status=OrderStatus.PLACED, ticket=ticket, reason=None, error=None, updated_at=now))
    if placed is not None:
        await outbox.edit_cards(session, [placed.approval_id], now)


async def refuse(session: AsyncSession, order_id: int, status: OrderStatus, reason: str, error: str | None,
                 now: datetime) -> bool:
    """End an order that is not going to be sent, and say why."""
    return await _finish(session, order_id, {"status": status, "reason": reason, "error": error}, now)


async def _finish(session: AsyncSession, order_id: int, values: dict[str, Any], now: datetime) -> bool:
    ended = await _change(
        session, update(Order).where(Order.id == order_id, Order.status.in_(OPEN_STATES))
        .values(**values, lease_owner=None, lease_until=None, updated_at=now))
    if ended is None:
        return False
    await outbox.edit_cards(session, [ended.approval_id], now)
    return True


async def postpone(session: AsyncSession, order_id: int, owner: str, until: datetime, error: str,
                   now: datetime) -> None:
    """Give an order back to be tried later: the terminal was away, nothing was sent."""
    await _change(
        session,
        update(Order).where(Order.id == order_id, Order.lease_owner == owner,
                            Order.status.in_([OrderStatus.LEASED, OrderStatus.UNKNOWN]))
        .values(status=case((Order.status == OrderStatus.UNKNOWN, OrderStatus.UNKNOWN.value),
                            else_=OrderStatus.QUEUED.value),
                next_try_at=until, error=error, lease_owner=None, lease_until=None,
                updated_at=now))


async def take_back(session: AsyncSession, order_id: int, until: datetime, error: str, now: datetime) -> None:
    """The terminal has said that it did not take the order: it waits to be sent again."""
    await _change(
        session, update(Order).where(Order.id == order_id, Order.status.in_([OrderStatus.SENT, OrderStatus.UNKNOWN]))
        .values(status=OrderStatus.QUEUED, next_try_at=until, error=error, lease_owner=None, lease_until=None,
                updated_at=now))


async def is_overdue(session: AsyncSession, routes: Sequence[str], now: datetime) -> bool:
    """Whether ``expire_unsent`` has something to do, without taking the writer."""
    return bool(await session.scalar(select(_overdue(routes, now).exists())))


def _overdue(routes: Sequence[str], now: datetime) -> Select[int]:
    return (select(Order.id).join(Account, Account.id == Order.account_id)
            .where(Order.status == OrderStatus.QUEUED, Order.expires_at <= now, Account.route.not_in(routes)))


async def expire_unsent(session: AsyncSession, routes: Sequence[str], now: datetime, limit: int) -> int:
    """End waiting orders whose time is over on accounts of none of these routes; returns how many.

    Orders of these routes are ended by whoever executes them.
    """
    due = await session.scalars(_overdue(routes, now).order_by(Order.id).limit(limit))
    done = 0
    for order_id in due.all():
        done += await refuse(session, order_id, OrderStatus.EXPIRED, "not_executed_in_time", None, now)
    return done


async def lose_sight(session: AsyncSession, order_id: int, until: datetime, error: str, now: datetime) -> None:
    """The terminal did not say what became of the order: look again later, never send it blindly."""
    await _change(
        session, update(Order).where(Order.id == order_id, Order.status.in_([OrderStatus.SENT, OrderStatus.UNKNOWN]))
        .values(status=OrderStatus.UNKNOWN, next_try_at=until, error=error, lease_owner=None, lease_until=None,
                updated_at=now))


async def cursor_of(session: AsyncSession, route: str) -> int:
    """The last deal of a route that has been recorded."""
    return await session.scalar(select(DealCursor.deal_id).where(DealCursor.route == route)) or 0


async def settle(session: AsyncSession, route: str, after: int, deals: Sequence[Deal], now: datetime) -> bool:
    """Record the effects of deals on orders and move the cursor, together; False when another did it first."""
    await session.execute(insert(session, DealCursor).values(route=route, deal_id=0).on_conflict_do_nothing())
    moved = await session.scalar(
        update(DealCursor).where(DealCursor.route == route, DealCursor.deal_id == after)
        .values(deal_id=deals[-1].id).returning(DealCursor.deal_id))
    if moved is None:
        return False
    await history.record_feed(session, route, deals, now)
    await settling.apply_feed(session, route, deals, now)
    return True
