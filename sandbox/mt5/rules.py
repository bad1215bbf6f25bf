"""What the trade server demands of a request, in the order it looks."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sandbox.mt5.book import BUY, HEDGING, SELL, ZERO, Account, Book, Order, Position
from sandbox.mt5.market import Quote, now_msc
from sandbox.mt5.reckoning import Reckoning
from sandbox.mt5.servers import (
    CLOSE_ONLY,
    DISABLED,
    EXCHANGE,
    FOK,
    INSTANT,
    IOC,
    LONG_ONLY,
    REQUEST,
    SHORT_ONLY,
    Instrument,
)
from terminal import maths

DEAL, PENDING, SLTP, MODIFY, REMOVE, CLOSE_BY = 1, 5, 6, 7, 8, 10
BUYING = frozenset({0, 2, 4})
BUY_LIMIT, SELL_LIMIT, BUY_STOP, SELL_STOP = 2, 3, 4, 5


class Refused(Exception):
    def __init__(self, retcode: int) -> None:
        super().__init__(str(retcode))
        self.retcode = retcode


@dataclass(frozen=True, slots=True)
class Request:
    """A trade request in exact numbers; ``expires_msc`` is UTC, ``reason`` who asks (3: a program)."""

    action: int
    symbol: str
    type: int
    volume: Decimal
    price: Decimal
    sl: Decimal
    tp: Decimal
    deviation: int
    magic: int
    comment: str
    filling: int
    type_time: int
    expires_msc: int
    order: int
    position: int
    position_by: int
    reason: int = 3


def exact(value: float) -> Decimal:
    """A float as the decimal it was meant to be."""
    return Decimal(repr(round(value, 8))).normalize() + ZERO


def parsed(fields: dict[str, Any], offset_minutes: int, reason: int = 3) -> Request:
    """A request as the library passed it on."""
    expires = fields["expiration"]
    return Request(
        fields["action"], fields["symbol"], fields["type"], exact(fields["volume"]), exact(fields["price"]),
        exact(fields["sl"]), exact(fields["tp"]), fields["deviation"], fields["magic"], fields["comment"],
        fields["type_filling"], fields["type_time"], (expires - offset_minutes * 60) * 1000 if expires else 0,
        fields["order"], fields["position"], fields["position_by"], reason)


def verify(book: Book, reckoning: Reckoning, account: Account, request: Request, symbol: Instrument | None,
           quote: Quote | None) -> None:
    """Refused with the retcode of the first thing that is wrong."""
    _permitted(account, request)
    if request.action == REMOVE:
        if book.pending.get(request.order) is None or book.pending[request.order].login != account.login:
            raise Refused(10035)
        return
    if request.action == CLOSE_BY:
        _closes_by(book, account, request)
        return
    if symbol is None:
        raise Refused(10013)
    if quote is None:
        raise Refused(10021)
    if request.action == SLTP:
        position = _held(book, account, request)
        base = quote.bid if position.type == BUY else quote.ask
        moved = replace(request, sl=request.sl if request.sl != position.sl else ZERO,
                        tp=request.tp if request.tp != position.tp else ZERO)
        _levels(symbol, position.type, base, moved)
    elif request.action == MODIFY:
        order = book.pending.get(request.order)
        if order is None or order.login != account.login:
            raise Refused(10035)
        _levels(symbol, BUY if order.type in BUYING else SELL, request.price, request)
    elif request.action == DEAL:
        _market_order(book, reckoning, account, request, symbol, quote)
    elif request.action == PENDING:
        _pending_order(book, account, request, symbol, quote)
    else:
        raise Refused(10013)


def is_reached(order: Order, quote: Quote) -> bool:
    """Whether a waiting order's price has come."""
    market = quote.ask if order.type in BUYING else quote.bid
    below = order.type in (BUY_LIMIT, SELL_STOP)
    return market <= order.price_open if below else market >= order.price_open


def _permitted(account: Account, request: Request) -> None:
    if not account.trade_allowed:
        raise Refused(10017)
    if not account.expert_allowed and request.reason == 3:
        raise Refused(10026)


def _market_order(book: Book, reckoning: Reckoning, account: Account, request: Request, symbol: Instrument,
                  quote: Quote) -> None:
    if request.type not in (BUY, SELL):
        raise Refused(10013)
    closing = _held(book, account, request) if request.position else None
    _allowed(symbol, request.type, closing is not None)
    _volume(symbol, request.volume)
    _filling(symbol, request.filling)
    price = quote.ask if request.type == BUY else quote.bid
    if symbol.execution in (INSTANT, REQUEST):
        if request.price <= 0:
            raise Refused(10015)
        if abs(request.price - price) > request.deviation * symbol.point:
            raise Refused(10004)
    if closing is not None:
        _closes(book, account, request, closing, symbol)
        return
    _levels(symbol, request.type, quote.bid if request.type == BUY else quote.ask, request)
    _limit(book, account, request, symbol)
    if not reckoning.affordable(account, symbol, request.type, request.volume, price):
        raise Refused(10019)


def _pending_order(book: Book, account: Account, request: Request, symbol: Instrument, quote: Quote) -> None:
    if request.type not in (BUY_LIMIT, SELL_LIMIT, BUY_STOP, SELL_STOP):
        raise Refused(10013)
    direction = BUY if request.type in BUYING else SELL
    _allowed(symbol, direction, False)
    _volume(symbol, request.volume)
    if request.filling not in (0, 1, 2):
        raise Refused(10030)
    market = quote.ask if direction == BUY else quote.bid
    below = request.type in (BUY_LIMIT, SELL_STOP)
    distance = (market - request.price) * (1 if below else -1)
    if request.price <= 0 or distance < max(symbol.stops_level, 1) * symbol.point:
        raise Refused(10015)
    _levels(symbol, direction, request.price, request)
    if request.type_time == 2 and (request.expires_msc <= now_msc() or not symbol.expiration_mode & 4):
        raise Refused(10022)
    if len(book.pending_of(account.login)) >= account.limit_orders:
        raise Refused(10033)
    _limit(book, account, request, symbol)


def _allowed(symbol: Instrument, direction: int, closing: bool) -> None:
    if symbol.trade_mode == DISABLED:
        raise Refused(10017)
    if closing:
        return
    if symbol.trade_mode == CLOSE_ONLY:
        raise Refused(10044)
    if symbol.trade_mode == LONG_ONLY and direction == SELL:
        raise Refused(10042)
    if symbol.trade_mode == SHORT_ONLY and direction == BUY:
        raise Refused(10043)


def _volume(symbol: Instrument, volume: Decimal) -> None:
    whole = maths.floor_to_step(volume, symbol.volume_step) == volume
    if not symbol.volume_min <= volume <= symbol.volume_max or not whole:
        raise Refused(10014)


def _filling(symbol: Instrument, filling: int) -> None:
    if symbol.execution in (REQUEST, INSTANT):
        allowed = {0, 1}
    else:
        allowed = {kind for kind, bit in ((0, FOK), (1, IOC)) if symbol.filling & bit}
        if symbol.execution == EXCHANGE:
            allowed.add(2)
    if filling not in allowed:
        raise Refused(10030)


def _levels(symbol: Instrument, direction: int, base: Decimal, request: Request) -> None:
    sign, distance = 1 if direction == BUY else -1, max(symbol.stops_level, 1) * symbol.point
    if request.sl and (base - request.sl) * sign < distance:
        raise Refused(10016)
    if request.tp and (request.tp - base) * sign < distance:
        raise Refused(10016)


def _limit(book: Book, account: Account, request: Request, symbol: Instrument) -> None:
    if not symbol.volume_limit:
        return
    buying = request.type in BUYING
    held = sum((p.volume for p in book.positions_of(account.login)
                if p.symbol == symbol.name and (p.type == BUY) == buying), ZERO)
    waiting = sum((o.volume_current for o in book.pending_of(account.login)
                   if o.symbol == symbol.name and (o.type in BUYING) == buying), ZERO)
    if held + waiting + request.volume > symbol.volume_limit:
        raise Refused(10034)


def _held(book: Book, account: Account, request: Request) -> Position:
    position = book.positions.get(request.position)
    if position is None or position.login != account.login:
        raise Refused(10036)
    return position


def _closes(book: Book, account: Account, request: Request, held: Position, symbol: Instrument) -> None:
    if request.type == held.type or held.symbol != symbol.name:
        raise Refused(10013)
    left = held.volume - request.volume
    if left < 0 or 0 < left < symbol.volume_min:
        raise Refused(10038)
    same = [p for p in book.positions_of(account.login) if p.symbol == held.symbol and p.type == held.type]
    if account.fifo_close and min(same, key=lambda p: p.ticket) is not held:
        raise Refused(10045)


def _closes_by(book: Book, account: Account, request: Request) -> None:
    first, second = book.positions.get(request.position), book.positions.get(request.position_by)
    if first is None or second is None or {first.login, second.login} != {account.login}:
        raise Refused(10036)
    if account.mode != HEDGING or first.symbol != second.symbol or first.type == second.type:
        raise Refused(10013)
