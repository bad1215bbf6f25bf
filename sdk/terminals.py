"""The trading terminal as a device sees it, and the one that is MetaTrader 5 on this machine."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from terminal.listing import ListedSymbol, TerminalState
from terminal.mt5.calls import SupervisionRules
from terminal.mt5.directory import Directories
from terminal.mt5.gateway import TerminalGateway
from terminal.mt5.local import LocalLauncher
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


class Terminal(Protocol):
    """One account's terminal; every method may raise GatewayError. ``TerminalGateway`` is one."""

    async def account(self, ref: AccountRef) -> AccountSnapshot: ...

    async def positions(self, ref: AccountRef) -> Sequence[Position]: ...

    async def orders(self, ref: AccountRef) -> Sequence[PendingOrder]: ...

    async def symbol(self, ref: AccountRef, name: str) -> SymbolSpec | None: ...

    async def tick(self, ref: AccountRef, symbol: str) -> Tick | None: ...

    async def loss_at(self, ref: AccountRef, symbol: str, side: Side, volume: Decimal, open_price: Decimal,
                      close_price: Decimal) -> Decimal | None: ...

    async def send(self, ref: AccountRef, request: OrderRequest, *,
                   deviation_points: int | None = None) -> TradeResult: ...

    async def find(self, ref: AccountRef, magic: int, since: datetime | None = None) -> TradeResult | None: ...

    async def deals(self, ref: AccountRef, since: datetime) -> Sequence[Deal]: ...

    async def listing(self, ref: AccountRef, names: Sequence[str] | None = None) -> Sequence[ListedSymbol]: ...

    async def state(self, ref: AccountRef) -> TerminalState: ...


def metatrader(folder: Path, data: Path, password: str, environment: Mapping[str, str], *,
               rules: SupervisionRules | None = None, extra_path: Path | None = None) -> TerminalGateway:
    """MetaTrader 5 on this machine: a copy below ``data`` of the terminal in ``folder``, started when it is needed.

    ``environment`` is all that its processes see of this one's. ``extra_path`` is where a stand-in for MetaQuotes'
    package lies. Call ``close_all`` in the end.
    """
    async def password_of(ref: AccountRef) -> str:
        return password

    launcher = LocalLauncher(Directories(folder, data / "terminals"), environment,
                             extra_path=() if extra_path is None else (extra_path,))
    return TerminalGateway(launcher, password_of, rules or SupervisionRules(terminals=1))
