"""The statements of the paper broker's book. Each is part of its caller's transaction.

Deals must become visible in the order of their ids, or a reader with a cursor could skip one. On SQLite the
single writer sees to that; on PostgreSQL every transaction of the book takes one advisory lock first.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import RowMapping, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from terminal.paper import tables
from terminal.protocol import (
    Deal,
    DealEntry,
    DealReason,
    OrderRequest,
    OrderType,
    PendingOrder,
    ResultStatus,
    Side,
    TradeResult,
)

LOCK = 0x70617065  # "pape"


@dataclass(frozen=True, slots=True)
class Holding:
    """An open position with the targets it has still to meet, as (price, volume)."""

    ticket: int
    login: str
    magic: int
    symbol: str
    side: Side
    volume: Decimal
    entry_price: Decimal
    stop_loss: Decimal | None
    targets: tuple[tuple[Decimal, Decimal], ...]
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Resting:
    """A limit or stop order that waits for its price."""

    id: int
    login: str
    magic: int
    symbol: str
    side: Side
    order_type: OrderType
    volume: Decimal
    price: Decimal
    stop_loss: Decimal | None
    take_profits: tuple[Decimal, ...]
    expires_at: datetime | None


async def lock(session: AsyncSession) -> None:
    """Serialise the book's transactions."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(select(func.pg_advisory_xact_lock(LOCK)))


async def account(session: AsyncSession, login: str) -> RowMapping | None:
    return (await session.execute(select(tables.accounts).where(tables.accounts.c.login == login))).mappings().first()


async def owners(session: AsyncSession) -> dict[str, RowMapping]:
    """Every account that has an open position, by login."""
    trading = select(tables.positions.c.login).where(tables.positions.c.status == "open")
    rows = await session.execute(select(tables.accounts).where(tables.accounts.c.login.in_(trading)))
    return {row["login"]: row for row in rows.mappings()}


async def last_change(session: AsyncSession) -> tuple[int, int]:
    """The newest deal and the newest order: as long as they are the same, so is what waits for a price."""
    deal, order = select(func.max(tables.deals.c.id)), select(func.max(tables.orders.c.id))
    row = (await session.execute(select(deal.scalar_subquery(), order.scalar_subquery()))).one()
    return row[0] or 0, row[1] or 0


async def result_of(session: AsyncSession, login: str, magic: int) -> TradeResult | None:
    """What became of an order; None when it was never received."""
    row = (await session.execute(select(tables.orders).where(
        tables.orders.c.login == login, tables.orders.c.magic == magic))).mappings().first()
    if row is None:
        return None
    status = {"filled": ResultStatus.FILLED, "placed": ResultStatus.PLACED}.get(row["status"], ResultStatus.REJECTED)
    return TradeResult(status, row["retcode"], row["ticket"], row["fill_price"],
                       row["volume"] if status == ResultStatus.FILLED else None, row["error"])


async def write_order(session: AsyncSession, login: str, request: OrderRequest, result: TradeResult,
                      now: datetime) -> int:
    """Record an order with its result; returns the order's number."""
    values = {
        "login": login, "magic": request.magic, "symbol": request.symbol, "side": request.side.value,
        "order_type": request.order_type.value, "volume": request.volume, "price": request.price,
        "stop_loss": request.stop_loss, "take_profits": [format(t, "f") for t in request.take_profits],
        "status": result.status.value, "retcode": result.retcode, "error": result.error, "ticket": result.ticket,
        "fill_price": result.price, "expires_at": request.expires_at, "created_at": now}
    written = await session.execute(insert(tables.orders).values(values).returning(tables.orders.c.id))
    number: int = written.scalar_one()
    if result.status == ResultStatus.PLACED:
        await session.execute(update(tables.orders).where(tables.orders.c.id == number).values(ticket=number))
    return number


async def open_position(session: AsyncSession, holding: Holding, reason: DealReason) -> Holding:
    """Write a new position and its deal; returns it with its ticket."""
    ticket = (await session.execute(insert(tables.positions).values(
        login=holding.login, magic=holding.magic, symbol=holding.symbol, side=holding.side.value,
        volume=holding.volume, entry_price=holding.entry_price, stop_loss=holding.stop_loss,
        targets=_plain(holding.targets), status="open", opened_at=holding.opened_at,
    ).returning(tables.positions.c.ticket))).scalar_one()
    opened = replace(holding, ticket=ticket)
    await write_deal(session, opened, opened.side, DealEntry.IN, reason, opened.volume, opened.entry_price, Decimal(0),
                     opened.volume, opened.opened_at)
    return opened


async def reduce_position(session: AsyncSession, holding: Holding, volume: Decimal, price: Decimal, profit: Decimal,
                          reason: DealReason, now: datetime) -> Holding | None:
    """Close part or all of a position once: book its profit and its deal. None when it is not as remembered."""
    rest = holding.volume - volume
    targets = holding.targets
    if reason == DealReason.TAKE_PROFIT:
        targets = targets[1:]
    guard = (tables.positions.c.ticket == holding.ticket, tables.positions.c.status == "open",
             tables.positions.c.volume == holding.volume)
    values: dict[str, Any] = {"volume": rest, "targets": _plain(targets)}
    if rest == 0:
        values |= {"status": "closed", "closed_at": now}
    done = (await session.execute(
        update(tables.positions).where(*guard).values(values).returning(tables.positions.c.ticket))).first()
    if done is None:
        return None
    owner = await account(session, holding.login)
    assert owner is not None
    await session.execute(update(tables.accounts).where(tables.accounts.c.login == holding.login).values(
        balance=owner["balance"] + profit))
    opposite = Side.SELL if holding.side == Side.BUY else Side.BUY
    await write_deal(session, holding, opposite, DealEntry.OUT, reason, volume, price, profit, rest, now)
    return replace(holding, volume=rest, targets=targets)


async def write_deal(session: AsyncSession, about: Holding | Resting, side: Side, entry: DealEntry, reason: DealReason,
                     volume: Decimal, price: Decimal, profit: Decimal, rest: Decimal, now: datetime) -> None:
    ticket = about.ticket if isinstance(about, Holding) else about.id
    await session.execute(insert(tables.deals).values(
        login=about.login, ticket=ticket, magic=about.magic, symbol=about.symbol, side=side.value, entry=entry.value,
        reason=reason.value, volume=volume, price=price, profit=profit, swap=Decimal(0), commission=Decimal(0),
        remaining_volume=rest, at=now))


async def end_resting(session: AsyncSession, order_id: int, status: str, *, retcode: int | None = None,
                      error: str | None = None, price: Decimal | None = None) -> bool:
    """A resting order is filled, expired or rejected, once; False when that had happened before."""
    values: dict[str, Any] = {"status": status, "error": error, "fill_price": price}
    if retcode is not None:
        values["retcode"] = retcode
    done = await session.execute(
        update(tables.orders).where(tables.orders.c.id == order_id, tables.orders.c.status == "placed")
        .values(values).returning(tables.orders.c.id))
    return done.first() is not None


async def name_position(session: AsyncSession, order_id: int, ticket: int) -> None:
    """From its fill on, a resting order goes by the ticket of the position it opened."""
    await session.execute(update(tables.orders).where(tables.orders.c.id == order_id).values(ticket=ticket))


async def holdings(session: AsyncSession, login: str | None = None) -> list[Holding]:
    """Open positions, of one account or of all."""
    query = select(tables.positions).where(tables.positions.c.status == "open").order_by(tables.positions.c.ticket)
    if login is not None:
        query = query.where(tables.positions.c.login == login)
    return [_holding(row) for row in (await session.execute(query)).mappings()]


async def resting(session: AsyncSession) -> list[Resting]:
    """Every order that waits for its price."""
    rows = await session.execute(select(tables.orders).where(tables.orders.c.status == "placed"))
    return [Resting(row["id"], row["login"], row["magic"], row["symbol"], Side(row["side"]),
                    OrderType(row["order_type"]), row["volume"], row["price"], row["stop_loss"],
                    tuple(Decimal(t) for t in row["take_profits"]), row["expires_at"]) for row in rows.mappings()]


async def pending(session: AsyncSession, login: str) -> list[PendingOrder]:
    """The orders of one account that wait for their price."""
    rows = await session.execute(
        select(tables.orders).where(tables.orders.c.login == login, tables.orders.c.status == "placed")
        .order_by(tables.orders.c.id))
    return [PendingOrder(row["id"], row["symbol"], Side(row["side"]), OrderType(row["order_type"]), row["volume"],
                         row["price"], row["stop_loss"],
                         Decimal(row["take_profits"][0]) if row["take_profits"] else None, row["magic"],
                         row["created_at"], row["expires_at"]) for row in rows.mappings()]


async def deals_after(session: AsyncSession, deal_id: int, server: str, limit: int) -> list[Deal]:
    """Deals of every account after ``deal_id``."""
    rows = await session.execute(
        select(tables.deals).where(tables.deals.c.id > deal_id).order_by(tables.deals.c.id).limit(limit))
    return [_deal(row, server) for row in rows.mappings()]


async def deals_of(session: AsyncSession, login: str, since: datetime, server: str) -> list[Deal]:
    """Deals of one account from ``since`` on."""
    rows = await session.execute(
        select(tables.deals).where(tables.deals.c.login == login, tables.deals.c.at >= since)
        .order_by(tables.deals.c.id))
    return [_deal(row, server) for row in rows.mappings()]


def _deal(row: RowMapping, server: str) -> Deal:
    return Deal(row["id"], row["login"], server, row["ticket"], row["magic"], row["symbol"], Side(row["side"]),
                DealEntry(row["entry"]), DealReason(row["reason"]), row["volume"], row["price"], row["profit"],
                row["swap"], row["commission"], row["remaining_volume"], row["at"])


def _holding(row: RowMapping) -> Holding:
    return Holding(row["ticket"], row["login"], row["magic"], row["symbol"], Side(row["side"]), row["volume"],
                   row["entry_price"], row["stop_loss"],
                   tuple((Decimal(price), Decimal(volume)) for price, volume in row["targets"]), row["opened_at"])


def _plain(targets: tuple[tuple[Decimal, Decimal], ...]) -> list[list[str]]:
    return [[format(price, "f"), format(volume, "f")] for price, volume in targets]
