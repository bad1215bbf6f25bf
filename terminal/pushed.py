"""Accounts that are reported to us: a device at the terminal pushes snapshots, nobody can be asked for one.

Orders do not go through this gateway. The device fetches them, so whatever would change something is refused.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NoReturn, Protocol

from terminal import maths
from terminal.protocol import (
    AccountRef,
    AccountSnapshot,
    Deal,
    GatewayError,
    OrderRequest,
    PendingOrder,
    Position,
    Report,
    Side,
    SymbolSpec,
    Tick,
    ToldSymbol,
    TradeResult,
)

QUOTE_GOOD_FOR = timedelta(seconds=60)


class Store(Protocol):
    """Where what devices report is kept. Only devices that stand at the account are heard about it."""

    async def latest(self, ref: AccountRef) -> Report | None:
        """What the device that this linked account is bound to said of it last; None when it has said nothing."""

    async def symbols(self, ref: AccountRef) -> Sequence[SymbolSpec] | None:
        """What the account's broker has; None until a device has told all of it."""

    async def symbol(self, ref: AccountRef, name: str) -> ToldSymbol | None:
        """What was told last of the symbol of exactly this name."""


class PushedGateway:
    """Looks at what the accounts' own devices have reported. The age of a report is its ``taken_at``."""

    route = "device"
    resends_safely = False
    executes = False

    def __init__(self, store: Store) -> None:
        self._store = store

    async def account(self, ref: AccountRef) -> AccountSnapshot:
        return (await self._report(ref)).account

    async def positions(self, ref: AccountRef) -> Sequence[Position]:
        return (await self._report(ref)).positions

    async def orders(self, ref: AccountRef) -> Sequence[PendingOrder]:
        return []

    async def symbols(self, ref: AccountRef) -> Sequence[SymbolSpec]:
        told = await self._store.symbols(ref)
        if told is None:
            raise GatewayError("not_told", "The account's device has not told what its broker trades.", retryable=True)
        return told

    async def symbol(self, ref: AccountRef, name: str) -> SymbolSpec | None:
        told = await self._store.symbol(ref, name)
        return told.spec if told is not None else None

    async def tick(self, ref: AccountRef, symbol: str) -> Tick | None:
        """The last quote that was heard within a minute."""
        told = await self._store.symbol(ref, symbol)
        if told is None or datetime.now(UTC) - told.heard_at > QUOTE_GOOD_FOR:
            return None
        return told.quote

    async def loss_at(self, ref: AccountRef, symbol: str, side: Side, volume: Decimal, open_price: Decimal,
                      close_price: Decimal) -> Decimal | None:
        """By what the terminal says a tick of one lot is worth; None where it has not said."""
        told = await self._store.symbol(ref, symbol)
        if told is None or told.tick_value is None:
            return None
        ticks = (close_price - open_price) * maths.sign(side) / told.spec.tick_size
        return ticks * told.tick_value * volume

    async def send(self, ref: AccountRef, request: OrderRequest) -> TradeResult:
        _refuse()

    async def close(self, ref: AccountRef, ticket: int, volume: Decimal | None = None) -> TradeResult:
        _refuse()

    async def modify(self, ref: AccountRef, ticket: int, stop_loss: Decimal | None,
                     take_profit: Decimal | None) -> TradeResult:
        _refuse()

    async def cancel(self, ref: AccountRef, ticket: int) -> TradeResult:
        _refuse()

    async def find(self, ref: AccountRef, magic: int, since: datetime | None = None) -> TradeResult | None:
        return None

    async def deals(self, ref: AccountRef, since: datetime) -> Sequence[Deal]:
        return []

    async def _report(self, ref: AccountRef) -> Report:
        report = await self._store.latest(ref)
        if report is None:
            raise GatewayError("no_snapshot", "The account's device has not reported yet.", retryable=True)
        return report


def _refuse() -> NoReturn:
    raise GatewayError("device_only", "Only the account's own device can do this.")
