"""The symbol map of an account: found by itself, edited by its owner, asked before every order.

A terminal that does not answer is a GatewayError and says nothing of the symbol; nothing is kept then.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account, AccountStatus
from models.database import Database
from models.symbol import MapSource, SymbolMap
from services import accounts, audit, symbol_search
from services.errors import InvalidRequest, NotFound, TryLater
from services.instruments import normal
from services.symbol_search import Found
from services.upsert import insert
from terminal.protocol import AccountRef, Gateway, GatewayError

if TYPE_CHECKING:
    from services.desk import Desk

LOOK_AGAIN = timedelta(hours=1)
REFUSALS = {symbol_search.MISSING: "unknown_symbol", symbol_search.AMBIGUOUS: "symbol_ambiguous",
            symbol_search.UNCONFIRMED: "symbol_unconfirmed"}


@dataclass(frozen=True, slots=True)
class Resolved:
    """The broker's name for a symbol, or the code of why there is none."""

    name: str | None
    refusal: str | None


async def resolve(database: Database, gateway: Gateway, account: Account, symbol: str, now: datetime) -> Resolved:
    """What the account's broker calls a signal's symbol. What was found is kept, what was not is kept an hour."""
    key, ref = normal(symbol), accounts.ref(account)
    async with database.reading() as session:
        known = await session.get(SymbolMap, (account.id, key))
    if known is not None:
        if known.source == MapSource.EDITED:
            return Resolved(known.broker_symbol, None)
        if known.problem is not None and now - known.checked_at < LOOK_AGAIN:
            return Resolved(None, REFUSALS[known.problem])
        if known.problem is None and known.broker_symbol is not None \
                and await gateway.symbol(ref, known.broker_symbol) is not None:
            return Resolved(known.broker_symbol, None)
    found = await _find(gateway, ref, symbol)
    async with database.writing() as session:
        kept = await _keep(session, account.id, key, found, now)
    return Resolved(kept.broker_symbol, None) if kept.problem is None else Resolved(None, REFUSALS[kept.problem])


async def edited(database: Database, account_id: int, symbol: str) -> str | None:
    """What the owner says that the broker calls a symbol; None where they have not said."""
    async with database.reading() as session:
        known = await session.get(SymbolMap, (account_id, normal(symbol)))
    return known.broker_symbol if known is not None and known.source == MapSource.EDITED else None


async def _find(gateway: Gateway, ref: AccountRef, symbol: str) -> Found:
    """The name as it is given is looked up alone; only when it will not do is everything the broker has."""
    spec = await gateway.symbol(ref, symbol)
    if spec is not None and symbol_search.is_meant(symbol, spec):
        return Found(spec.name, None)
    return symbol_search.search(symbol, await gateway.symbols(ref))


async def _keep(session: AsyncSession, account_id: int, key: str, found: Found, now: datetime) -> SymbolMap:
    """Write what was found, unless the owner has said otherwise meanwhile; returns what holds now."""
    values = {"broker_symbol": found.name, "problem": found.problem, "checked_at": now}
    statement = insert(session, SymbolMap).values(account_id=account_id, symbol=key, source=MapSource.FOUND, **values)
    await session.execute(statement.on_conflict_do_update(
        index_elements=["account_id", "symbol"], set_=values, where=SymbolMap.source == MapSource.FOUND))
    return await session.get_one(SymbolMap, (account_id, key))


async def listed(session: AsyncSession, user_id: int, account_id: int) -> list[SymbolMap]:
    """Every symbol that has been asked for on this account, by name. NotFound for another's account."""
    await accounts.owned(session, user_id, account_id)
    return list(await session.scalars(
        select(SymbolMap).where(SymbolMap.account_id == account_id).order_by(SymbolMap.symbol)))


async def counted(session: AsyncSession, user_id: int) -> dict[int, tuple[int, int]]:
    """By account: how many symbols are on its map, and how many of them have a problem."""
    rows = await session.execute(
        select(SymbolMap.account_id, func.count(), func.count(SymbolMap.problem))
        .join(Account, Account.id == SymbolMap.account_id)
        .where(Account.user_id == user_id, Account.unlinked_at.is_(None)).group_by(SymbolMap.account_id))
    return {account_id: (known, problems) for account_id, known, problems in rows}


async def edit(desk: "Desk", user_id: int, account_id: int, symbol: str, broker_symbol: str,
               now: datetime) -> SymbolMap:
    """The owner says which of the broker's symbols it is; InvalidRequest when the broker has none of that name."""
    async with desk.database.reading() as session:
        account = await accounts.owned(session, user_id, account_id)
    name, key = await _at_broker(desk, account, broker_symbol), normal(symbol)
    values = {"broker_symbol": name, "source": MapSource.EDITED, "problem": None, "checked_at": now}
    async with desk.database.writing() as session:
        await accounts.owned(session, user_id, account_id)
        statement = insert(session, SymbolMap).values(account_id=account_id, symbol=key, **values)
        await session.execute(statement.on_conflict_do_update(index_elements=["account_id", "symbol"], set_=values))
        audit.record(session, now, "symbol_mapped", "account", account_id, user_id=user_id, symbol=key,
                     broker_symbol=name)
        return await session.get_one(SymbolMap, (account_id, key))


async def _at_broker(desk: "Desk", account: Account, name: str) -> str:
    """The name as the broker spells it; taken as given where the account's device has not told what there is."""
    gateway = desk.gateways.get(account.route)
    if gateway is None or account.status != AccountStatus.VERIFIED:
        raise TryLater("The account's terminal cannot be asked.")
    ref = accounts.ref(account)
    try:
        spec = await gateway.symbol(ref, name)
        if spec is None and not gateway.executes and not await _has_told(gateway, ref):
            return name
    except GatewayError as error:
        raise TryLater("The terminal does not answer.") from error
    if spec is None:
        raise InvalidRequest("Your broker has no symbol of this name.")
    return spec.name


async def _has_told(gateway: Gateway, ref: AccountRef) -> bool:
    try:
        await gateway.symbols(ref)
    except GatewayError as error:
        if error.code != "not_told":
            raise
        return False
    return True


async def forget(session: AsyncSession, user_id: int, account_id: int, symbol: str, now: datetime) -> None:
    """Drop what is known or was edited; it is found anew when it is needed. NotFound when nothing is."""
    await accounts.owned(session, user_id, account_id)
    key = normal(symbol)
    gone = await session.scalar(delete(SymbolMap).where(SymbolMap.account_id == account_id, SymbolMap.symbol == key)
                                .returning(SymbolMap.symbol))
    if gone is None:
        raise NotFound
    audit.record(session, now, "symbol_forgotten", "account", account_id, user_id=user_id, symbol=key)
