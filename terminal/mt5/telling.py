"""A terminal's listing and its state, as the library has them."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from terminal.listing import ListedSymbol, TerminalState
from terminal.mt5 import codes, convert
from terminal.mt5.session import Session

FILLINGS = (("fok", codes.MAY_FOK), ("ioc", codes.MAY_IOC), ("boc", codes.MAY_BOC))


def listing(session: Session, names: Sequence[str] | None) -> list[ListedSymbol]:
    """Every symbol as the terminal has it now, or those of these names that there are, each with a fresh quote."""
    if names is None:
        return [_listed(session, row) for row in session.library.rows("symbols_get")]
    found = []
    for name in names:
        session.tick_row(name)  # watched from now on, so what is read next has a price
        row = session.symbol_row(name)
        if row is not None:
            found.append(_listed(session, row))
    return found


def state(session: Session) -> TerminalState:
    """The terminal's switches and its line to the broker."""
    terminal, account = session.library.ask("terminal_info"), session.account_row()
    return TerminalState(
        build=int(terminal.build), utc_offset_seconds=int(session.clock.offset.total_seconds()),
        trade_allowed=bool(terminal.trade_allowed and not terminal.tradeapi_disabled),
        expert_allowed=bool(account.trade_expert), account_allowed=bool(account.trade_allowed),
        connected=bool(terminal.connected),
        ping_ms=int(terminal.ping_last) // 1000 if terminal.ping_last > 0 else None)


def _listed(session: Session, row: Any) -> ListedSymbol:
    spec = convert.symbol(row)
    is_quoted = row.bid > 0 and row.ask > 0 and row.time > 0
    return ListedSymbol(
        spec, _filling(row), _value(row.trade_tick_value_loss),
        convert.price(row.bid, spec.digits) if is_quoted else None,
        convert.price(row.ask, spec.digits) if is_quoted else None,
        session.clock.utc(int(row.time) * 1000) if is_quoted else None)


def _filling(row: Any) -> tuple[str, ...]:
    named = tuple(name for name, bit in FILLINGS if row.filling_mode & bit)
    return named if row.trade_exemode == codes.BY_MARKET else (*named, "return")


def _value(number: float) -> Decimal | None:
    return convert.exact(number) if number > 0 else None
