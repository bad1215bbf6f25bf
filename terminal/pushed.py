"""Accounts that are reported to us: a device at the terminal pushes snapshots, nobody can be asked for one.

Orders do not go through this gateway. The device fetches them, so whatever would change something is refused.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NoReturn, Protocol

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
    TradeResult,
)


class Store(Protocol):
    """Where the reports of devices are kept."""

    async def latest(self, ref: AccountRef) -> Report | None:
        """What the device that this linked account is bound to said of it last; None when it has said nothing."""


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
        raise GatewayError("not_told", "A device does not tell what its broker trades.")

    async def symbol(self, ref: AccountRef, name: str) -> SymbolSpec | None:
        return None

    async def tick(self, ref: AccountRef, symbol: str) -> Tick | None:
        return None

    async def loss_at(self, ref: AccountRef, symbol: str, side: Side, volume: Decimal, open_price: Decimal,
                      close_price: Decimal) -> Decimal | None:
        return None

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
