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
    identifier: int = 0
    swap: Decimal = Decimal(0)
    rolled_until: datetime | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Fact:
    """What a deal has done, beyond which position it was done to. ``remaining`` is what is left open."""

    side: Side
    entry: DealEntry
    reason: DealReason
    volume: Decimal
    price: Decimal
    remaining: Decimal
    profit: Decimal = Decimal(0)
    swap: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)


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


async def last_change(session: AsyncSession) -> tuple[int, int, int]:
    """Newest deal, newest order, changes of what is open: while they are the same, so is what waits for a price."""
    deal, order = select(func.max(tables.deals.c.id)), select(func.max(tables.orders.c.id))
    changes = select(func.sum(tables.positions.c.revision)).where(tables.positions.c.status == "open")
    row = (await session.execute(select(
        deal.scalar_subquery(), order.scalar_subquery(), changes.scalar_subquery()))).one()
    return row[0] or 0, row[1] or 0, row[2] or 0


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


async def open_position(session: AsyncSession, holding: Holding) -> Holding:
    """Write a new position; returns it with its ticket."""
    ticket = (await session.execute(insert(tables.positions).values(
        login=holding.login, magic=holding.magic, symbol=holding.symbol, side=holding.side.value,
        volume=holding.volume, entry_price=holding.entry_price, stop_loss=holding.stop_loss,
        targets=_plain(holding.targets), status="open", opened_at=holding.opened_at,
        identifier=holding.identifier or None, swap=holding.swap, rolled_until=holding.rolled_until,
    ).returning(tables.positions.c.ticket))).scalar_one()
    return replace(holding, ticket=ticket)


async def change_position(session: AsyncSession, known: Holding, **changes: Any) -> Holding | None:
    """Change an open position that is as it is remembered; None when it is not. Without volume it is closed."""
    changed = replace(known, **changes, revision=known.revision + 1)
    values: dict[str, Any] = {
        "volume": changed.volume, "entry_price": changed.entry_price, "stop_loss": changed.stop_loss,
        "targets": _plain(changed.targets), "swap": changed.swap, "rolled_until": changed.rolled_until,
        "revision": changed.revision}
    done = await session.execute(
        update(tables.positions).where(
            tables.positions.c.ticket == known.ticket, tables.positions.c.status == "open",
            tables.positions.c.revision == known.revision)
        .values(values).returning(tables.positions.c.ticket))
    return changed if done.first() is not None else None


async def close_position(session: AsyncSession, known: Holding, now: datetime) -> Holding | None:
    """End an open position that is as it is remembered; None when it is not."""
    closed = await change_position(session, known, volume=Decimal(0), swap=Decimal(0))
    if closed is not None:
        await session.execute(update(tables.positions).where(tables.positions.c.ticket == known.ticket).values(
            status="closed", closed_at=now))
    return closed


async def book_money(session: AsyncSession, login: str, amount: Decimal) -> None:
    """Add to an account's balance; the book's lock makes reading and writing one."""
    owner = await account(session, login)
    assert owner is not None
    await session.execute(update(tables.accounts).where(tables.accounts.c.login == login).values(
        balance=owner["balance"] + amount))


async def write_deal(session: AsyncSession, about: Holding | Resting, fact: Fact, now: datetime, *,
                     magic: int | None = None) -> None:
    """Write a deal; ``magic`` is that of the order that made it where the position is another's."""
    ticket = about.ticket if isinstance(about, Holding) else about.id
    position_id = (about.identifier or ticket) if isinstance(about, Holding) else 0
    await session.execute(insert(tables.deals).values(
        login=about.login, ticket=ticket, magic=about.magic if magic is None else magic, symbol=about.symbol,
        side=fact.side.value, entry=fact.entry.value, reason=fact.reason.value, volume=fact.volume, price=fact.price,
        profit=fact.profit, swap=fact.swap, commission=fact.commission, remaining_volume=fact.remaining, at=now,
        position_id=position_id))


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


async def holding(session: AsyncSession, login: str, *, ticket: int | None = None,
                  symbol: str | None = None) -> Holding | None:
    """An account's open position of a ticket, or its first of a symbol."""
    query = select(tables.positions).where(tables.positions.c.login == login, tables.positions.c.status == "open")
    query = query.where(tables.positions.c.ticket == ticket if ticket is not None
                        else tables.positions.c.symbol == symbol)
    row = (await session.execute(query.order_by(tables.positions.c.ticket).limit(1))).mappings().first()
    return _holding(row) if row else None


async def resting(session: AsyncSession, login: str | None = None) -> list[Resting]:
    """Orders that wait for their price, of one account or of all."""
    query = select(tables.orders).where(tables.orders.c.status == "placed")
    if login is not None:
        query = query.where(tables.orders.c.login == login)
    rows = await session.execute(query)
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
                row["swap"], row["commission"], row["remaining_volume"], row["at"],
                row["ticket"] if row["position_id"] is None else row["position_id"])


def _holding(row: RowMapping) -> Holding:
    return Holding(row["ticket"], row["login"], row["magic"], row["symbol"], Side(row["side"]), row["volume"],
                   row["entry_price"], row["stop_loss"],
                   tuple((Decimal(price), Decimal(volume)) for price, volume in row["targets"]), row["opened_at"],
                   row["identifier"] or 0, row["swap"], row["rolled_until"], row["revision"])


def _plain(targets: tuple[tuple[Decimal, Decimal], ...]) -> list[list[str]]:
    return [[format(price, "f"), format(volume, "f")] for price, volume in targets]
