"""What became of an order, told by its magic in deals, orders and positions."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from terminal import maths
from terminal.mt5 import codes, convert, faults
from terminal.mt5.session import Session
from terminal.protocol import GatewayError, ResultStatus, TradeResult

FAR_BACK = timedelta(days=30)
ENDED = {
    codes.REJECTED: (10006, None), codes.CANCELED: (10007, "cancelled"),
    codes.EXPIRED: (faults.INVALID_EXPIRATION, "not_reached_in_time")}

# Why the trade server closes a position of its own accord; such a deal bears the position's magic.
BY_ITSELF = frozenset({codes.BY_STOP_LOSS, codes.BY_TAKE_PROFIT, codes.BY_STOP_OUT})


@dataclass(slots=True)
class Traces:
    """Everything an order has left behind, leg by leg. ``fills`` are lots and prices."""

    fills: list[tuple[Decimal, Decimal]] = field(default_factory=list)
    digits: int = 0
    tickets: dict[int, int] = field(default_factory=dict)
    waiting: dict[int, int] = field(default_factory=dict)
    on_its_way: bool = False
    ended: int | None = None


def find(session: Session, magic: int, since: datetime | None) -> TradeResult | None:
    """The outcome of an earlier order; None when this terminal knows nothing of it.

    GatewayError, ambiguous, while it is still being executed.
    """
    session.require_connection()
    start = since or datetime.now(UTC) - FAR_BACK
    intent = codes.intent_of(magic)
    traces = Traces()
    _read_orders(session, intent, traces)
    _read_deals(session, intent, start, traces)
    if not traces.fills and not (codes.is_target(magic) or codes.is_act(magic)):  # those open nothing
        _read_positions(session, intent, traces)
    _read_ended(session, intent, start, traces)
    return _outcome(traces)


def _is_part(magic: int, intent: int) -> bool:
    return (codes.is_ours(magic) and codes.intent_of(magic) == intent and codes.leg_of(magic) != codes.CLOSING
            if codes.is_ours(intent) else magic == intent)


def _read_orders(session: Session, intent: int, traces: Traces) -> None:
    for row in session.library.rows("orders_get"):
        if not _is_part(int(row.magic), intent):
            continue
        if row.type in (codes.BUY, codes.SELL) or row.state in (codes.STARTED, codes.REQUEST_ADD):
            traces.on_its_way = True
        else:
            traces.waiting[codes.leg_of(int(row.magic))] = int(row.ticket)


def _read_deals(session: Session, intent: int, since: datetime, traces: Traces) -> None:
    for row in session.history("history_deals_get", since):
        if (row.type in (codes.DEAL_BUY, codes.DEAL_SELL) and _is_part(int(row.magic), intent)
                and row.reason not in BY_ITSELF):
            _note_fill(session, row, row.price, int(row.position_id), traces)


def _read_positions(session: Session, intent: int, traces: Traces) -> None:
    """The history may lag behind what is open."""
    for row in session.library.rows("positions_get"):
        if _is_part(int(row.magic), intent):
            _note_fill(session, row, row.price_open, int(row.ticket), traces)


def _note_fill(session: Session, row: Any, price: float, ticket: int, traces: Traces) -> None:
    traces.digits = session.digits(row.symbol)
    traces.fills.append((convert.exact(row.volume), convert.price(price, traces.digits)))
    traces.tickets.setdefault(codes.leg_of(int(row.magic)), ticket)


def _read_ended(session: Session, intent: int, since: datetime, traces: Traces) -> None:
    for row in session.history("history_orders_get", since):
        if not _is_part(int(row.magic), intent) or row.reason in BY_ITSELF:
            continue
        if row.state in ENDED:
            traces.ended = row.state
        elif row.state in (codes.FILLED, codes.PARTIAL) and not traces.fills:
            traces.on_its_way = True  # its deal is not in the history yet


def _outcome(traces: Traces) -> TradeResult | None:
    if traces.on_its_way:
        raise GatewayError("terminal_busy", "The order is still being executed.", retryable=True, ambiguous=True)
    if traces.fills:
        volume = sum((lots for lots, _ in traces.fills), maths.ZERO)
        return TradeResult(ResultStatus.FILLED, faults.DONE, traces.tickets[min(traces.tickets)],
                           convert.average(traces.fills, traces.digits), volume, None)
    if traces.waiting:
        return TradeResult(ResultStatus.PLACED, faults.ORDER_PLACED, traces.waiting[min(traces.waiting)], None, None,
                           None)
    if traces.ended is not None:
        retcode, reason = ENDED[traces.ended]
        return faults.refused(retcode, reason)
    return None
