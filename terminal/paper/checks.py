"""What a trade server checks before it takes an order. Codes are MetaTrader's."""

from datetime import datetime
from decimal import Decimal

from terminal.maths import floor_to_step, sign
from terminal.protocol import OrderRequest, OrderType, ResultStatus, Side, SymbolSpec, Tick, TradeResult

DONE, PLACED = 10009, 10008
INVALID_VOLUME, INVALID_PRICE, INVALID_STOPS, NO_MONEY, NO_QUOTE, INVALID_EXPIRATION = (
    10014, 10015, 10016, 10019, 10021, 10022)


def refused(retcode: int, error: str) -> TradeResult:
    """A definite refusal: nothing was done."""
    return TradeResult(ResultStatus.REJECTED, retcode, None, None, None, error)


def entry_quote(side: Side, tick: Tick) -> Decimal:
    """The price a position is opened at."""
    return tick.ask if side == Side.BUY else tick.bid


def exit_quote(side: Side, tick: Tick) -> Decimal:
    """The price a position is closed at."""
    return tick.bid if side == Side.BUY else tick.ask


def check(request: OrderRequest, spec: SymbolSpec | None, tick: Tick | None, now: datetime) -> TradeResult | None:
    """The refusal of an order that cannot stand; None when it can."""
    if spec is None or tick is None:
        return refused(NO_QUOTE, "There is no price for this symbol.")
    volume = request.volume
    if not spec.volume_min <= volume <= spec.volume_max or floor_to_step(volume, spec.volume_step) != volume:
        return refused(INVALID_VOLUME, "The volume is outside the symbol's limits.")
    if request.order_type != OrderType.MARKET:
        if request.price is None or request.price <= 0 or _wrong_side(request, tick):
            return refused(INVALID_PRICE, "The price is on the wrong side of the market.")
        if request.expires_at is not None and request.expires_at <= now:
            return refused(INVALID_EXPIRATION, "The order's time is over.")
    return _check_stops(request, spec, tick)


def _wrong_side(request: OrderRequest, tick: Tick) -> bool:
    """A buy limit waits below the market, a buy stop above it; mirrored for sells."""
    assert request.price is not None
    below = request.price <= entry_quote(request.side, tick)
    wants_below = (request.side == Side.BUY) == (request.order_type == OrderType.LIMIT)
    return below != wants_below and request.price != entry_quote(request.side, tick)


def _check_stops(request: OrderRequest, spec: SymbolSpec, tick: Tick) -> TradeResult | None:
    is_market = request.order_type == OrderType.MARKET
    base = exit_quote(request.side, tick) if is_market else request.price
    assert base is not None
    direction, distance = sign(request.side), spec.point * spec.stops_level
    if request.stop_loss is not None and (base - request.stop_loss) * direction < max(distance, spec.point):
        return refused(INVALID_STOPS, "The stop is too close to the price or on the wrong side of it.")
    if any((target - base) * direction < max(distance, spec.point) for target in request.take_profits):
        return refused(INVALID_STOPS, "A target is too close to the price or on the wrong side of it.")
    return None


def is_reached(request_type: OrderType, side: Side, price: Decimal, tick: Tick) -> bool:
    """Whether a resting order's price has come."""
    market = entry_quote(side, tick)
    if (side == Side.BUY) == (request_type == OrderType.LIMIT):
        return market <= price
    return market >= price
