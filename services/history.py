"""Positions over time: deals are recorded once, and what each position came to is folded from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account
from models.order import Order
from models.position import DealRecord, PositionEvent, PositionEventKind, PositionRecord
from services import folding
from services.folding import Leg
from services.upsert import insert
from terminal.protocol import Deal, DealReason, Position

OPEN, CLOSED = "open", "closed"
NO_EXECUTION = (DealReason.EXPIRED, DealReason.REJECTED)
LEG_BITS = 0xF << 44
# Levels that a position has so soon after its opening are those it was opened with.
FIRST_LOOK = timedelta(minutes=1)
ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class PositionView:
    """A position with what happened to it, oldest first."""

    record: PositionRecord
    events: tuple[PositionEvent, ...]


@dataclass(frozen=True, slots=True)
class Intent:
    """The order a position came from, with the levels it was opened with."""

    order_id: int
    stop_loss: Decimal | None
    take_profit: Decimal | None


async def record(session: AsyncSession, account: Account, deals: Sequence[Deal], now: datetime) -> list[Deal]:
    """Write down deals that are not on record yet, and what their positions have come to; returns those deals.

    What only looks like a deal (a resting order that ran out or was refused) is left out.
    """
    real = [deal for deal in deals if deal.reason not in NO_EXECUTION and deal.volume > 0]
    if not real:
        return []
    await _take_turn(session, account.id)
    fresh: set[int] = set()
    for start in range(0, len(real), ROWS_AT_ONCE):
        rows = [_row(account.id, deal) for deal in real[start:start + ROWS_AT_ONCE]]
        statement = insert(session, DealRecord).values(rows).on_conflict_do_nothing()
        fresh |= set(await session.scalars(statement.returning(DealRecord.deal_id)))
    new = list({deal.id: deal for deal in real if deal.id in fresh}.values())
    touched = sorted({_position_of(deal) for deal in new})
    for start in range(0, len(touched), ROWS_AT_ONCE):
        await _fold(session, account.id, touched[start:start + ROWS_AT_ONCE], now)
    return new


async def retime(session: AsyncSession, account: Account, deals: Sequence[Deal], now: datetime) -> None:
    """Correct the times of deals on record that their terminal tells otherwise now, and what was folded from them."""
    told = {deal.id: deal.at for deal in deals}
    await _take_turn(session, account.id)
    ids, touched = sorted(told), set[int]()
    for start in range(0, len(ids), ROWS_AT_ONCE):
        rows = await session.execute(
            select(DealRecord.id, DealRecord.deal_id, DealRecord.position_id, DealRecord.at).where(
                DealRecord.account_id == account.id, DealRecord.deal_id.in_(ids[start:start + ROWS_AT_ONCE])))
        wrong = [row for row in rows if row.at != told[row.deal_id]]
        if wrong:
            await session.execute(update(DealRecord), [{"id": row.id, "at": told[row.deal_id]} for row in wrong])
        touched |= {row.position_id for row in wrong}
    positions = sorted(touched)
    for start in range(0, len(positions), ROWS_AT_ONCE):
        await _fold(session, account.id, positions[start:start + ROWS_AT_ONCE], now)


async def record_feed(session: AsyncSession, route: str, deals: Sequence[Deal], now: datetime) -> None:
    """Write down the deals of a feed, each on the account that is linked to its login."""
    found: dict[tuple[str, str], list[Deal]] = {}
    for deal in deals:
        found.setdefault((deal.login, deal.server), []).append(deal)
    linked = await session.scalars(select(Account).where(
        Account.route == route, Account.login.in_({login for login, _ in found}), Account.unlinked_at.is_(None))
        .order_by(Account.id))
    for account in linked.all():
        await record(session, account, found.get((account.login, account.server), []), now)


async def _take_turn(session: AsyncSession, account_id: int) -> None:
    """An account's history is written by one after the other, or two could each miss what the other has."""
    await session.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))


def intent_of(magic: int) -> int:
    """The magic of the order that a leg's magic belongs to."""
    return magic & ~LEG_BITS


def _position_of(deal: Deal) -> int:
    return deal.position_id or deal.ticket


def _row(account_id: int, deal: Deal) -> dict[str, Any]:
    # A magic may use all 64 bits; the column is signed.
    magic = deal.magic if deal.magic < 2**63 else deal.magic - 2**64
    return {"account_id": account_id, "deal_id": deal.id, "position_id": _position_of(deal), "magic": magic,
            "symbol": deal.symbol, "side": deal.side.value, "entry": deal.entry.value, "reason": deal.reason.value,
            "volume": deal.volume, "price": deal.price, "profit": deal.profit, "swap": deal.swap,
            "commission": deal.commission, "fee": deal.fee, "at": deal.at}


async def _fold(session: AsyncSession, account_id: int, position_ids: Sequence[int], now: datetime) -> None:
    """Write anew what these positions have come to."""
    deals: dict[int, list[DealRecord]] = {}
    for deal in await session.scalars(select(DealRecord).where(
            DealRecord.account_id == account_id, DealRecord.position_id.in_(position_ids))):
        deals.setdefault(deal.position_id, []).append(deal)
    legs = [leg for position_id in position_ids for leg in folding.fold(position_id, deals[position_id])]
    intents = await _intents(session, account_id, {leg.opening.magic for leg in legs})
    reversals = [-deal.deal_id for found in deals.values() for deal in found]
    keys = [*position_ids, *reversals]
    rows = {row.position_id: row for row in await session.scalars(select(PositionRecord).where(
        PositionRecord.account_id == account_id, PositionRecord.position_id.in_(keys)))}
    for leg in legs:
        row = rows.pop(leg.key, None)
        if row is None:
            row = _opened(account_id, leg, intents.get(leg.opening.magic))
            session.add(row)
        _bring_up(row, leg, intents.get(leg.opening.magic), now)
    for row in rows.values():
        await session.delete(row)
    await _write_events(session, account_id, legs, keys, intents)


async def _intents(session: AsyncSession, account_id: int, magics: set[int]) -> dict[int, Intent]:
    """The account's orders by the magics of their legs."""
    orders = {order.magic: order for order in await session.scalars(select(Order).where(
        Order.account_id == account_id, Order.magic.in_({intent_of(magic) for magic in magics})))}
    found = {}
    for magic in magics:
        order = orders.get(intent_of(magic))
        if order is not None:
            targets = [Decimal(target) for target in order.take_profits]
            # Of several targets a position has its own; which one, only a look at it tells.
            is_plain = len(targets) <= 1
            found[magic] = Intent(order.id, order.stop_loss if is_plain else None, targets[0] if targets and is_plain
                                  else None)
    return found


def _opened(account_id: int, leg: Leg, intent: Intent | None) -> PositionRecord:
    return PositionRecord(account_id=account_id, position_id=leg.key, stop_loss=intent.stop_loss if intent else None,
                          take_profit=intent.take_profit if intent else None)


def _bring_up(row: PositionRecord, leg: Leg, intent: Intent | None, now: datetime) -> None:
    """Everything but the levels, which deals do not tell."""
    entry = folding.average(leg.fills)
    assert entry is not None
    row.order_id = intent.order_id if intent else None
    row.magic, row.symbol, row.side = leg.opening.magic, leg.opening.symbol, leg.opening.side
    row.status = CLOSED if leg.end else OPEN
    row.volume, row.closed_volume = leg.volume, leg.closed_volume
    row.entry_price, row.exit_price = entry, folding.average(leg.exits)
    row.profit, row.swap, row.commission, row.fee, row.net = leg.profit, leg.swap, leg.commission, leg.fee, leg.net
    row.reason = leg.end.reason if leg.end else None
    row.opened_at, row.closed_at, row.updated_at = leg.opening.at, leg.closed_at, now


async def _write_events(session: AsyncSession, account_id: int, legs: Sequence[Leg], keys: Sequence[int],
                        intents: dict[int, Intent]) -> None:
    """Bring the events of deals to what the fold says; changes of levels stay as they are."""
    known = {(row.deal_id, row.kind): row for row in await session.scalars(select(PositionEvent).where(
        PositionEvent.account_id == account_id, PositionEvent.position_id.in_(keys),
        PositionEvent.deal_id.is_not(None)))}
    for leg in legs:
        intent = intents.get(leg.opening.magic)
        for step in leg.steps:
            row = known.pop((step.deal.deal_id, step.kind), None)
            if row is None:
                row = PositionEvent(account_id=account_id, deal_id=step.deal.deal_id, kind=step.kind.value)
                if step.kind == PositionEventKind.OPENED and intent is not None:
                    row.stop_loss, row.take_profit = intent.stop_loss, intent.take_profit
                session.add(row)
            row.position_id, row.volume, row.price = leg.key, step.volume, step.deal.price
            row.reason, row.at = step.deal.reason, step.deal.at
    if known:
        await session.execute(delete(PositionEvent).where(PositionEvent.id.in_([row.id for row in known.values()])))
    await session.flush()


async def note_levels(session: AsyncSession, account: Account, positions: Sequence[Position], now: datetime) -> bool:
    """Record stops and targets that have changed since the account was last looked at.

    False when a position is not on record yet, so that its levels are still to be noted.
    """
    await _take_turn(session, account.id)
    rows = list(await session.scalars(select(PositionRecord).where(
        PositionRecord.account_id == account.id, PositionRecord.status == OPEN)))
    by_number = {row.position_id: row for row in rows}
    # After a reversal the broker goes on with the number of the leg that is closed; there is one open for the symbol.
    by_symbol = {row.symbol: row for row in rows if row.position_id < 0}
    is_complete = True
    for position in positions:
        row = by_number.get(position.identifier or position.ticket) or by_symbol.get(position.symbol)
        if row is None:
            is_complete = False
        elif (row.stop_loss, row.take_profit) != (position.stop_loss, position.take_profit):
            is_first = row.stop_loss is None and row.take_profit is None and now - row.opened_at <= FIRST_LOOK
            row.stop_loss, row.take_profit = position.stop_loss, position.take_profit
            if is_first:
                await _opened_with(session, row)
            else:
                session.add(PositionEvent(
                    account_id=account.id, position_id=row.position_id, kind=PositionEventKind.MODIFIED.value,
                    volume=position.volume, price=position.current_price, stop_loss=position.stop_loss,
                    take_profit=position.take_profit, at=now))
    return is_complete


async def _opened_with(session: AsyncSession, row: PositionRecord) -> None:
    """The levels a position had from the beginning, which its deals do not tell."""
    await session.execute(
        update(PositionEvent).where(
            PositionEvent.account_id == row.account_id, PositionEvent.position_id == row.position_id,
            PositionEvent.kind == PositionEventKind.OPENED.value)
        .values(stop_loss=row.stop_loss, take_profit=row.take_profit))


async def listed(session: AsyncSession, account_id: int, status: str | None, before_id: int | None,
                 limit: int) -> tuple[list[PositionView], int | None]:
    """A page of an account's positions, the newest first, and where the next one begins.

    ``status`` is ``open``, ``closed`` or None for both.
    """
    query = select(PositionRecord).where(PositionRecord.account_id == account_id)
    if status is not None:
        query = query.where(PositionRecord.status == status)
    if before_id is not None:
        query = query.where(PositionRecord.id < before_id)
    rows = list(await session.scalars(query.order_by(PositionRecord.id.desc()).limit(limit + 1)))
    following = rows[limit - 1].id if len(rows) > limit else None
    events: dict[int, list[PositionEvent]] = {}
    for event in await session.scalars(
            select(PositionEvent).where(PositionEvent.account_id == account_id,
                                        PositionEvent.position_id.in_([row.position_id for row in rows[:limit]]))
            .order_by(PositionEvent.at, PositionEvent.id)):
        events.setdefault(event.position_id, []).append(event)
    return [PositionView(row, tuple(events.get(row.position_id, ()))) for row in rows[:limit]], following
