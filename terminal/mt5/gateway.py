"""The gateway to MetaTrader 5 terminals: the protocol's methods, asked of the workers of a pool."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

from terminal import maths
from terminal.listing import ListedSymbol, TerminalState
from terminal.mt5 import wire
from terminal.mt5.calls import SupervisionRules
from terminal.mt5.codes import MOST_LEGS
from terminal.mt5.launch import Launcher
from terminal.mt5.opening import is_of
from terminal.mt5.pacing import Clock
from terminal.mt5.pool import PasswordOf, Pool
from terminal.protocol import (
    AccountRef,
    AccountSnapshot,
    Deal,
    OrderRequest,
    PendingOrder,
    Position,
    Side,
    SymbolSpec,
    Tick,
    TradeResult,
)

T = TypeVar("T")
SPECS_SECONDS, MOST_SPECS = 600.0, 4_096
LISTS_SECONDS, MOST_LISTS = 3_600.0, 16
_LARGE = 200
"""Answers with more rows are read in a thread, or they would hold everyone else up."""
SEND_RULES = {"deviation_points": 20, "max_tick_age_seconds": 10, "margin_buffer": "0.0"}


class Shelf(Generic[T]):
    """Keeps so many things, each for so long."""

    def __init__(self, most: int, seconds: float, clock: Clock) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._kept: OrderedDict[Hashable, tuple[float, AccountRef, T]] = OrderedDict()

    def get(self, key: Hashable) -> T | None:
        """What was put there, while it is fresh."""
        kept = self._kept.get(key)
        return kept[2] if kept is not None and self._clock() - kept[0] < self._seconds else None

    def put(self, key: Hashable, ref: AccountRef, value: T) -> None:
        """Keep it, in the place of the oldest when the shelf is full."""
        self._kept[key] = (self._clock(), ref, value)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def clear(self, ref: AccountRef) -> None:
        """Forget what is kept for this account."""
        for key in [key for key, (_, owner, _) in self._kept.items() if owner == ref]:
            del self._kept[key]


class TerminalGateway:
    """Accounts at real brokers. ``password_of`` is asked when a terminal signs in and at no other time."""

    route = "terminal"
    resends_safely = False
    executes = True

    def __init__(self, launch: Launcher, password_of: PasswordOf, rules: SupervisionRules, *,
                 clock: Clock = time.monotonic, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._pool = Pool(launch, password_of, rules, clock=clock, sleep=sleep)
        self._specs: Shelf[SymbolSpec] = Shelf(MOST_SPECS, SPECS_SECONDS, clock)
        self._lists: Shelf[Sequence[SymbolSpec]] = Shelf(MOST_LISTS, LISTS_SECONDS, clock)

    async def account(self, ref: AccountRef) -> AccountSnapshot:
        """The account's figures; a terminal that shows another account's is not believed again."""
        async def read(answer: Any) -> AccountSnapshot:
            snapshot = wire.revive(AccountSnapshot, answer)
            if not is_of(snapshot, ref):
                raise ValueError("another account")
            return snapshot

        return await self._pool.call(ref, "account", {}, read)

    async def positions(self, ref: AccountRef) -> Sequence[Position]:
        """Every open position."""
        return await self._pool.call(ref, "positions", {}, _many(Position))

    async def orders(self, ref: AccountRef) -> Sequence[PendingOrder]:
        """Every order that waits for its price."""
        return await self._pool.call(ref, "orders", {}, _many(PendingOrder))

    async def symbols(self, ref: AccountRef) -> Sequence[SymbolSpec]:
        """Every symbol of the account's broker, as of this hour."""
        kept = self._lists.get(ref)
        if kept is None:
            kept = await self._pool.call(ref, "symbols", {}, _many(SymbolSpec))
            self._lists.put(ref, ref, kept)
        return kept

    async def symbol(self, ref: AccountRef, name: str) -> SymbolSpec | None:
        """What the broker says of a symbol, as of the last ten minutes."""
        kept = self._specs.get((ref, name))
        if kept is None:
            kept = await self._pool.call(ref, "symbol", {"name": name}, _one_or_none(SymbolSpec))
            if kept is not None:
                self._specs.put((ref, name), ref, kept)
        return kept

    async def tick(self, ref: AccountRef, symbol: str) -> Tick | None:
        """The symbol's price now."""
        return await self._pool.call(ref, "tick", {"symbol": symbol}, _one_or_none(Tick))

    async def loss_at(self, ref: AccountRef, symbol: str, side: Side, volume: Decimal, open_price: Decimal,
                      close_price: Decimal) -> Decimal | None:
        """The broker's own reckoning of a move between two prices."""
        return await self._pool.call(ref, "loss", {
            "symbol": symbol, "side": side.value, "volume": wire.plain(volume), "open_price": wire.plain(open_price),
            "close_price": wire.plain(close_price)}, _amount)

    async def send(self, ref: AccountRef, request: OrderRequest, *,
                   deviation_points: int | None = None) -> TradeResult:
        """Execute an order once; an ambiguous error means it may have been.

        ``deviation_points`` is how far the price may slip, where it is not to be the usual.
        """
        rules = SEND_RULES if deviation_points is None else {**SEND_RULES, "deviation_points": deviation_points}
        return await self._pool.call(ref, "send", {"request": wire.plain(request), "rules": rules}, _one(TradeResult))

    async def close(self, ref: AccountRef, ticket: int, volume: Decimal | None = None) -> TradeResult:
        """Close a position, or a part of it."""
        return await self._pool.call(ref, "close", {"ticket": ticket, "volume": wire.plain(volume)}, _one(TradeResult))

    def portions(self, volume: Decimal, targets: Sequence[Decimal],
                 spec: SymbolSpec) -> Sequence[tuple[Decimal, Decimal]]:
        """What of an order's volume each target closes, as far as the volume reaches."""
        return maths.portions(volume, targets[:MOST_LEGS], spec.volume_step, spec.volume_min)

    async def take_target(self, ref: AccountRef, ticket: int, volume: Decimal, magic: int) -> TradeResult:
        """Close a part of a position at a target, once."""
        return await self._pool.call(ref, "take_target", {
            "ticket": ticket, "volume": wire.plain(volume), "magic": magic}, _one(TradeResult))

    async def close_marked(self, ref: AccountRef, ticket: int, volume: Decimal | None, magic: int) -> TradeResult:
        """Close a position, or a part of it, once: its deal bears the number."""
        return await self._pool.call(ref, "close", {
            "ticket": ticket, "volume": wire.plain(volume), "magic": magic}, _one(TradeResult))

    async def modify(self, ref: AccountRef, ticket: int, stop_loss: Decimal | None,
                     take_profit: Decimal | None) -> TradeResult:
        """Set both levels of a position."""
        return await self._pool.call(ref, "modify", {
            "ticket": ticket, "stop_loss": wire.plain(stop_loss), "take_profit": wire.plain(take_profit)},
            _one(TradeResult))

    async def cancel(self, ref: AccountRef, ticket: int) -> TradeResult:
        """Withdraw a waiting order."""
        return await self._pool.call(ref, "cancel", {"ticket": ticket}, _one(TradeResult))

    async def find(self, ref: AccountRef, magic: int, since: datetime | None = None) -> TradeResult | None:
        """What the terminal knows of an earlier order."""
        return await self._pool.call(ref, "find", {"magic": magic, "since": wire.plain(since)},
                                     _one_or_none(TradeResult))

    async def deals(self, ref: AccountRef, since: datetime) -> Sequence[Deal]:
        """The account's deals from then on, oldest first."""
        return await self._pool.call(ref, "deals", {"since": wire.plain(since)}, _many(Deal))

    async def listing(self, ref: AccountRef, names: Sequence[str] | None = None) -> Sequence[ListedSymbol]:
        """What the terminal lists, or what it has of these names, a few at a time: each with its quote."""
        return await self._pool.call(ref, "listing", {"names": None if names is None else list(names)},
                                     _many(ListedSymbol))

    async def state(self, ref: AccountRef) -> TerminalState:
        """The terminal's switches and its line to the broker."""
        return await self._pool.call(ref, "terminal", {}, _one(TerminalState))

    async def knows_time(self, ref: AccountRef) -> bool:
        """Whether the account's terminal has learnt its server's clock."""
        return await self._pool.call(ref, "knows_time", {}, _known)

    async def verify(self, ref: AccountRef, password: str, *, keep: bool = True) -> AccountSnapshot:
        """Sign in and read the account back; ``keep`` the terminal for the account's next calls."""
        snapshot = await self._pool.verify(ref, password, keep=keep)
        self._clear(ref)
        return snapshot

    async def forget(self, ref: AccountRef) -> None:
        """Stop the account's terminal and remove what it kept on disk."""
        self._clear(ref)
        await self._pool.forget(ref)

    async def close_all(self) -> None:
        """End every terminal, within seconds."""
        await self._pool.close()

    def _clear(self, ref: AccountRef) -> None:
        self._specs.clear(ref)
        self._lists.clear(ref)


def _one(kind: type[T]) -> Callable[[Any], Awaitable[T]]:
    async def read(answer: Any) -> T:
        return wire.revive(kind, answer)

    return read


def _one_or_none(kind: type[T]) -> Callable[[Any], Awaitable[T | None]]:
    async def read(answer: Any) -> T | None:
        return None if answer is None else wire.revive(kind, answer)

    return read


def _many(kind: type[T]) -> Callable[[Any], Awaitable[Sequence[T]]]:
    async def read(answer: Any) -> Sequence[T]:
        if not isinstance(answer, list):
            raise ValueError("not a list")
        if len(answer) < _LARGE:
            return _revived(kind, answer)
        return await asyncio.to_thread(_revived, kind, answer)

    return read


def _revived(kind: type[T], rows: list[Any]) -> Sequence[T]:
    return tuple(wire.revive(kind, row) for row in rows)


async def _known(answer: Any) -> bool:
    if not isinstance(answer, dict) or not isinstance(answer.get("knows"), bool):
        raise ValueError("neither yes nor no")
    return bool(answer["knows"])


async def _amount(answer: Any) -> Decimal | None:
    if answer is None:
        return None
    amount = Decimal(answer) if isinstance(answer, str) and len(answer) < 64 and _is_number(answer) else None
    if amount is None:
        raise ValueError("not an amount")
    return amount


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdecimal() and text.isascii()
