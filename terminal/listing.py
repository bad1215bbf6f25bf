"""What a terminal tells of itself and of its broker's symbols, beyond what trading on them needs."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from terminal.protocol import SymbolSpec


@dataclass(frozen=True, slots=True)
class ListedSymbol:
    """A symbol with its last quote, where there is one.

    ``tick_value`` is what one lot loses in one ``tick_size``, in the account's currency; None where the terminal does
    not know. ``filling`` names how orders may be filled: fok, ioc, boc, return.
    """

    spec: SymbolSpec
    filling: tuple[str, ...]
    tick_value: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    quoted_at: datetime | None


@dataclass(frozen=True, slots=True)
class TerminalState:
    """``utc_offset_seconds`` is the trade server's clock less UTC. ``trade_allowed`` is the terminal's own switch,
    ``expert_allowed`` the broker's word on programs, ``account_allowed`` on the account with this password."""

    build: int
    utc_offset_seconds: int
    trade_allowed: bool
    expert_allowed: bool
    account_allowed: bool
    connected: bool
    ping_ms: int | None
