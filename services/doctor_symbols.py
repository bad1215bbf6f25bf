"""The symbols that a user's signals are of, held against what their device told of its broker."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.device import DeviceSymbol
from models.provider import Follow
from models.signal import Signal, Terms
from models.symbol import MapSource, SymbolMap
from services import instruments, symbol_search
from services.doctor_words import SYMBOL_WORDS
from services.symbol_reports import spec_of
from terminal.protocol import SymbolSpec, TradeMode

MAJORS = ("EURUSD", "GBPUSD", "USDJPY", "USDCHF", "AUDUSD", "USDCAD", "NZDUSD", "XAUUSD")
LOOK_BACK, MOST = timedelta(days=30), 40
# No broker has so many symbols of one thing.
MOST_CANDIDATES = 200


@dataclass(frozen=True, slots=True)
class Sought:
    """A symbol with the way to the stop that its last signal had; ``is_sent``: providers send it."""

    symbol: str
    is_sent: bool
    way: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A symbol as the broker has it. ``state`` is a key of ``SYMBOL_WORDS``."""

    sought: Sought
    broker_symbol: str | None
    state: str
    row: DeviceSymbol | None = None
    spec: SymbolSpec | None = None

    @property
    def detail(self) -> str:
        return SYMBOL_WORDS[self.state]


async def sought(session: AsyncSession, user_id: int, now: datetime) -> list[Sought]:
    """What the providers that a user follows have sent of late, the newest first, then the majors."""
    sent = await session.execute(
        select(Terms.symbol, func.max(Terms.id).label("newest")).join(Signal, Signal.terms_id == Terms.id)
        .join(Follow, Follow.provider_id == Signal.provider_id)
        .where(Follow.user_id == user_id, Signal.published_at >= now - LOOK_BACK)
        .group_by(Terms.symbol).order_by(func.max(Terms.id).desc()).limit(MOST))
    newest = {instruments.normal(row.symbol): row.newest for row in reversed(sent.all())}
    rows = {row.id: row for row in await session.scalars(select(Terms).where(Terms.id.in_(newest.values())))}
    found = [Sought(symbol, True, _way(rows[newest[symbol]])) for symbol in reversed(newest)]
    return found + [Sought(symbol, False) for symbol in MAJORS if symbol not in newest]


def _way(row: Terms) -> Decimal | None:
    entry = row.entry_price if row.entry_price is not None else row.entry_low
    return abs(entry - row.stop_loss) if entry is not None and row.stop_loss is not None else None


async def checked(session: AsyncSession, device_id: str, account_id: int | None,
                  wanted: Sequence[Sought]) -> list[Checked]:
    """Each of them as the device's broker has it; of thousands of symbols only those are read that may be meant."""
    names = list(await session.scalars(select(DeviceSymbol.name).where(DeviceSymbol.device_id == device_id)))
    mapped = {row.symbol: row for row in await session.scalars(
        select(SymbolMap).where(SymbolMap.account_id == account_id, SymbolMap.broker_symbol.is_not(None)))}
    candidates = _candidates([one.symbol for one in wanted], names)
    needed = {name for some in candidates.values() for name in some} | {
        row.broker_symbol for row in mapped.values() if row.broker_symbol is not None}
    rows = {row.name: row for row in await session.scalars(select(DeviceSymbol).where(
        DeviceSymbol.device_id == device_id, DeviceSymbol.name.in_(needed)))}
    return [_checked(one, mapped.get(one.symbol), candidates[one.symbol], rows) for one in wanted]


def _checked(one: Sought, mapped: SymbolMap | None, candidates: Iterable[str],
             rows: dict[str, DeviceSymbol]) -> Checked:
    if mapped is not None and mapped.source == MapSource.EDITED:
        return _named(one, mapped.broker_symbol, "edited", rows)
    if mapped is not None and mapped.problem is None and mapped.broker_symbol in rows:
        return _named(one, mapped.broker_symbol, _how(one.symbol, mapped.broker_symbol), rows)
    found = symbol_search.search(one.symbol, [spec_of(rows[name]) for name in candidates if name in rows])
    if found.problem is not None or found.name is None:
        return Checked(one, found.name, found.problem or symbol_search.MISSING)
    return _named(one, found.name, _how(one.symbol, found.name), rows)


def _named(one: Sought, name: str | None, state: str, rows: dict[str, DeviceSymbol]) -> Checked:
    row = rows.get(name) if name is not None else None
    if row is None:
        return Checked(one, name, symbol_search.MISSING)
    spec = spec_of(row)
    return Checked(one, name, state if spec.trade_mode == TradeMode.FULL else "closed", row, spec)


def _how(symbol: str, name: str | None) -> str:
    return "found" if _stripped(symbol) in _stripped(name or "") else "alias"


def _candidates(wanted: Sequence[str], names: Iterable[str]) -> dict[str, list[str]]:
    """By symbol, the names in which it or another name of the same thing appears."""
    by_part: dict[str, set[str]] = {}
    for symbol in wanted:
        instrument = instruments.known(symbol)
        for alias in {symbol, *(instrument.names if instrument is not None else ())}:
            by_part.setdefault(_stripped(alias), set()).add(symbol)
    lengths = sorted({len(part) for part in by_part})
    found: dict[str, list[str]] = {symbol: [] for symbol in wanted}
    for name in names:
        plain = _stripped(name)
        meant = {symbol for length in lengths for start in range(len(plain) - length + 1)
                 for symbol in by_part.get(plain[start:start + length], ())}
        for symbol in meant:
            if len(found[symbol]) < MOST_CANDIDATES:
                found[symbol].append(name)
    return found


def _stripped(name: str) -> str:
    return "".join(character for character in name.upper() if character.isalnum())
