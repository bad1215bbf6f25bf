"""What devices tell of their brokers' symbols, and of their terminals.

Only what has changed is written. A listing is closed by its last page: what it has not named is gone. Which names a
listing has told so far, and what was heard just now, is in Redis; without it nothing is taken for gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import Select, and_, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account, AccountStatus, Route
from models.database import Database
from models.device import Device, DeviceSnapshot, DeviceSymbol
from models.symbol import MapSource, SymbolMap
from services.desk import Desk
from services.devices import DeviceKey
from services.upsert import insert
from terminal.protocol import AccountRef, SymbolSpec, Tick, ToldSymbol, TradeMode

log = structlog.get_logger(__name__)

T = TypeVar("T")

MOST = 5_000
# A page of so few answers what was asked: when it was heard matters, although it may say nothing new.
FEW = 20
HEARD_FOR, LISTING_FOR = timedelta(minutes=2), timedelta(hours=1)
TERMINAL_EVERY = timedelta(minutes=5)
# What the desk notes beside the terminal's own words.
TOLD_AT, LISTED_AT = "told_at", "listed_at"
# No symbol's name: that the listing is known from its first page on.
_BEGINNING = ""
# What is never twice the same; a clock that is compared with another is not, by a second or two.
_RESTLESS, CLOCK_STEP = ("ping_ms", "utc_offset_seconds"), 60
_QUOTE = ("tick_value", "bid", "ask", "quoted_at")


@dataclass(frozen=True, slots=True)
class Page:
    """A signed body that has been checked, decimals as strings."""

    terminal: dict[str, Any] | None
    symbols: list[dict[str, Any]]
    is_first: bool
    is_last: bool
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """How much is known of an account's broker: ``tells`` when a device has told anything, ``has_listed`` all."""

    tells: bool
    has_listed: bool


async def take_page(desk: Desk, key: DeviceKey, page: Page, now: datetime) -> None:
    """Keep what a page says. One that is older than what is known of a symbol changes nothing of it."""
    rows = {given["name"]: _row(key.key_id, given, page.taken_at) for given in page.symbols if _is_usable(given)}
    listed = await _listed(desk.redis, key.key_id, page, list(rows))
    async with desk.database.reading() as session:
        known = {row.name: row for row in await session.scalars(
            select(DeviceSymbol).where(DeviceSymbol.device_id == key.key_id, DeviceSymbol.name.in_(rows)))}
        terminal = await session.scalar(select(Device.terminal).where(Device.id == key.key_id))
        gone = await _gone(session, key.key_id, listed) if listed is not None else []
    changed = [row for name, row in rows.items() if name not in known or _differs(known[name], row)]
    if changed or gone or _noted(terminal, page, listed is not None) != terminal:
        async with desk.database.writing() as session:
            await _write(session, key, page, changed, gone, listed is not None)
    if len(rows) <= FEW:
        await _note_heard(desk.redis, key.key_id, list(rows), now)


async def _write(session: AsyncSession, key: DeviceKey, page: Page, changed: list[dict[str, Any]], gone: list[str],
                 closes: bool) -> None:
    device = await session.scalar(select(Device).where(Device.id == key.key_id, Device.revoked_at.is_(None))
                                  .with_for_update().execution_options(populate_existing=True))
    if device is None:
        return
    device.terminal = _noted(device.terminal, page, closes)
    known = set(await session.scalars(select(DeviceSymbol.name).where(
        DeviceSymbol.device_id == key.key_id, DeviceSymbol.name.in_([row["name"] for row in changed]))))
    held = await session.scalar(select(func.count()).where(DeviceSymbol.device_id == key.key_id)) or 0
    if gone:
        await session.execute(delete(DeviceSymbol).where(
            DeviceSymbol.device_id == key.key_id, DeviceSymbol.name.in_(gone),
            DeviceSymbol.told_at <= page.taken_at))
    new = [row for row in changed if row["name"] not in known][:max(MOST - held, 0)]
    written = [row for row in changed if row["name"] in known] + new
    if written:
        statement = insert(session, DeviceSymbol).values(written)
        await session.execute(statement.on_conflict_do_update(
            index_elements=["device_id", "name"], where=DeviceSymbol.told_at <= statement.excluded.told_at,
            set_={name: statement.excluded[name] for name in ("spec", "told_at", *_QUOTE)}))
    if new or gone:
        await _seek_anew(session, device.account_id)


async def _seek_anew(session: AsyncSession, account_id: int | None) -> None:
    """What was looked for in vain may be there now."""
    await session.execute(delete(SymbolMap).where(
        SymbolMap.account_id == account_id, SymbolMap.source == MapSource.FOUND, SymbolMap.problem.is_not(None)))


async def drop(session: AsyncSession, device: Device) -> None:
    """Forget what a device told: it stands at another account now, whose broker may have other symbols."""
    await session.execute(delete(DeviceSymbol).where(DeviceSymbol.device_id == device.id))
    if device.terminal is not None:
        device.terminal = {name: value for name, value in device.terminal.items() if name != LISTED_AT}


def _row(device_id: str, given: dict[str, Any], taken_at: datetime) -> dict[str, Any]:
    spec = {name: value for name, value in given.items() if name not in ("name", *_QUOTE)}
    quoted_at = given["quoted_at"]
    return {"device_id": device_id, "name": given["name"], "spec": spec, "told_at": taken_at,
            "quoted_at": datetime.fromisoformat(quoted_at) if quoted_at is not None else None,
            **{name: _positive(given[name]) for name in ("tick_value", "bid", "ask")}}


def _positive(text: str | None) -> Decimal | None:
    """Terminals write 0 for what they do not know."""
    return Decimal(text) or None if text is not None else None


def _is_usable(given: dict[str, Any]) -> bool:
    """Brokers list things that nobody can trade, with nothing but zeros."""
    return all(Decimal(given[name]) > 0 for name in ("point", "tick_size", "contract_size", "volume_step"))


def _differs(known: DeviceSymbol, row: dict[str, Any]) -> bool:
    return known.told_at <= row["told_at"] and any(getattr(known, name) != row[name] for name in ("spec", *_QUOTE))


def _noted(known: dict[str, Any] | None, page: Page, closes: bool) -> dict[str, Any] | None:
    """The terminal as it is known after a page. What always changes a little is written now and then only."""
    noted = dict(known) if known is not None else {}
    if page.terminal is not None and _is_news(noted, page.terminal, page.taken_at):
        notes = {LISTED_AT: noted[LISTED_AT]} if LISTED_AT in noted else {}
        noted = {**page.terminal, TOLD_AT: page.taken_at.isoformat(), **notes}
    if closes and LISTED_AT not in noted:
        noted[LISTED_AT] = page.taken_at.isoformat()
    return noted or known


def _is_news(known: dict[str, Any], told: dict[str, Any], taken_at: datetime) -> bool:
    if TOLD_AT not in known:
        return True
    before = datetime.fromisoformat(known[TOLD_AT])
    has_shifted = abs(known["utc_offset_seconds"] - told["utc_offset_seconds"]) >= CLOCK_STEP
    is_other = any(known.get(name) != value for name, value in told.items() if name not in _RESTLESS)
    return before < taken_at and (has_shifted or is_other or taken_at - before >= TERMINAL_EVERY)


# -- a listing under way ---------------------------------------------------------------------------------------


async def _listed(redis: Redis, device_id: str, page: Page, names: Sequence[str]) -> set[str] | None:
    """Every name of the listing that this page closes; None where it closes none, or its beginning is not known."""
    began_key, names_key = f"device:listing:v1:{device_id}:began", f"device:listing:v1:{device_id}:names"
    try:
        began = _instant(await redis.get(began_key))
        begins = page.is_first and (began is None or began < page.taken_at)
        began = page.taken_at if begins else began
        if began is None or page.taken_at < began:
            return None
        async with redis.pipeline(transaction=True) as pipe:
            pipe.set(began_key, began.isoformat(), ex=LISTING_FOR)
            if begins:
                pipe.delete(names_key)
                pipe.sadd(names_key, _BEGINNING)
            if names:
                pipe.sadd(names_key, *names)
            pipe.expire(names_key, LISTING_FOR)
            pipe.scard(names_key)
            count = (await pipe.execute())[-1]
        if count > 4 * MOST:
            await redis.delete(names_key)  # this is no broker's list
        if not page.is_last:
            return None
        async with redis.pipeline(transaction=False) as pipe:
            pipe.smembers(names_key)
            [members] = await pipe.execute()
    except (RedisError, OSError):
        log.warning("cache_unreachable")
        return None
    told = {member.decode() for member in members}
    # A terminal that has just started may have no list yet: an empty one takes nothing away.
    return (told - {_BEGINNING} or None) if _BEGINNING in told else None


def _instant(raw: bytes | None) -> datetime | None:
    return datetime.fromisoformat(raw.decode()) if raw is not None else None


async def _gone(session: AsyncSession, device_id: str, listed: set[str]) -> list[str]:
    names = await session.scalars(select(DeviceSymbol.name).where(DeviceSymbol.device_id == device_id))
    return [name for name in names if name not in listed]


def _heard_key(device_id: str, name: str) -> str:
    return f"device:heard:v1:{device_id}:{name}"


async def _note_heard(redis: Redis, device_id: str, names: Sequence[str], now: datetime) -> None:
    try:
        async with redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.set(_heard_key(device_id, name), now.isoformat(), ex=HEARD_FOR)
            await pipe.execute()
    except (RedisError, OSError):
        log.warning("cache_unreachable")


async def _heard(redis: Redis, rows: Sequence[DeviceSymbol]) -> list[datetime]:
    """When each row was heard last; a device's own clock where nothing else is known."""
    try:
        marks = [_instant(raw) for raw in await redis.mget([_heard_key(row.device_id, row.name) for row in rows])]
    except (RedisError, OSError):
        log.warning("cache_unreachable")
        marks = [None for _ in rows]
    return [max(row.told_at, mark) if mark is not None else row.told_at for row, mark in zip(rows, marks, strict=True)]


# -- what is known of an account's broker ----------------------------------------------------------------------


def _at_account(found: Select[T], ref: AccountRef) -> Select[T]:
    """Narrowed to the devices that serve a linked account and stand at it, as far as they have said."""
    stands_there = or_(DeviceSnapshot.device_id.is_(None),
                       and_(DeviceSnapshot.login == ref.login, DeviceSnapshot.server == ref.server))
    return (found.join(Account, Account.id == Device.account_id)
            .outerjoin(DeviceSnapshot, DeviceSnapshot.device_id == Device.id)
            .where(Account.route == Route.DEVICE, Account.login == ref.login, Account.server == ref.server,
                   Account.status == AccountStatus.VERIFIED, Account.unlinked_at.is_(None),
                   Device.user_id == Account.user_id, Device.revoked_at.is_(None), stands_there))


async def standing(database: Database, ref: AccountRef) -> Standing:
    """Whether the devices of an account tell symbols, and whether one of them has told all."""
    async with database.reading() as session:
        told = [terminal for terminal in await session.scalars(_at_account(select(Device.terminal), ref))
                if terminal is not None]
    return Standing(bool(told), any(LISTED_AT in terminal for terminal in told))


async def specs(database: Database, ref: AccountRef) -> list[SymbolSpec] | None:
    """Everything the account's broker has, each name once; None until it has been told."""
    if not (await standing(database, ref)).has_listed:
        return None
    async with database.reading() as session:
        rows = await session.scalars(_at_account(
            select(DeviceSymbol).join(Device, Device.id == DeviceSymbol.device_id), ref)
            .order_by(DeviceSymbol.told_at))
        return list({row.name: spec_of(row) for row in rows}.values())


async def told(database: Database, redis: Redis, ref: AccountRef, name: str) -> ToldSymbol | None:
    """What was heard last of a symbol, from whichever of the account's devices."""
    async with database.reading() as session:
        rows = list(await session.scalars(_at_account(
            select(DeviceSymbol).join(Device, Device.id == DeviceSymbol.device_id), ref)
            .where(DeviceSymbol.name == name)))
    if not rows:
        return None
    heard_at, row = max(zip(await _heard(redis, rows), rows, strict=True), key=lambda pair: pair[0])
    quote = None
    if row.bid is not None and row.ask is not None:
        quote = Tick(row.name, row.bid, row.ask, row.quoted_at or row.told_at)
    return ToldSymbol(spec_of(row), row.tick_value, quote, heard_at)


def spec_of(row: DeviceSymbol) -> SymbolSpec:
    """The specification from the fields of a signed page, which have been checked when it came."""
    told = row.spec
    return SymbolSpec(
        row.name, told["description"], told["digits"], Decimal(told["point"]), Decimal(told["tick_size"]),
        Decimal(told["contract_size"]), Decimal(told["volume_min"]), Decimal(told["volume_max"]),
        Decimal(told["volume_step"]), told["stops_level"], told["currency_base"], told["currency_profit"],
        told["currency_margin"], told["calc_mode"], told["freeze_level"], Decimal(told["volume_limit"]),
        TradeMode(told["trade_mode"]))
