"""What a trade server checks before it takes an order. Codes are MetaTrader's."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from terminal.maths import floor_to_step, sign
from terminal.protocol import OrderRequest, OrderType, ResultStatus, Side, SymbolSpec, Tick, TradeMode, TradeResult

DONE, PLACED = 10009, 10008
INVALID_REQUEST, INVALID_VOLUME, INVALID_PRICE, INVALID_STOPS, DISABLED, NO_MONEY, NO_QUOTE, INVALID_EXPIRATION = (
    10013, 10014, 10015, 10016, 10017, 10019, 10021, 10022)
NO_CHANGES, LIMIT_VOLUME, POSITION_CLOSED, INVALID_CLOSE_VOLUME = 10025, 10034, 10036, 10038
LONG_ONLY, SHORT_ONLY, CLOSE_ONLY = 10042, 10043, 10044
# What a mode leaves open: the code of the refusal for a side, where it refuses it.
_MODES = {
    TradeMode.FULL: {},
    TradeMode.LONG_ONLY: {Side.SELL: (LONG_ONLY, "Only buying is open for this symbol.")},
    TradeMode.SHORT_ONLY: {Side.BUY: (SHORT_ONLY, "Only selling is open for this symbol.")},
    TradeMode.CLOSE_ONLY: dict.fromkeys(Side, (CLOSE_ONLY, "Positions of this symbol can only be closed.")),
    TradeMode.DISABLED: dict.fromkeys(Side, (DISABLED, "This symbol is not traded now.")),
}


def refused(retcode: int, error: str) -> TradeResult:
    """A definite refusal: nothing was done."""
    return TradeResult(ResultStatus.REJECTED, retcode, None, None, None, error)


def entry_quote(side: Side, tick: Tick) -> Decimal:
    """The price a position is opened at."""
    return tick.ask if side == Side.BUY else tick.bid


def exit_quote(side: Side, tick: Tick) -> Decimal:
    """The price a position is closed at."""
    return tick.bid if side == Side.BUY else tick.ask


def check(request: OrderRequest, spec: SymbolSpec | None, tick: Tick | None, now: datetime,
          committed: Decimal) -> TradeResult | None:
    """The refusal of an order that cannot stand; None when it can.

    ``committed`` is the volume that is open or waits in the order's direction already.
    """
    if spec is None or tick is None:
        return refused(NO_QUOTE, "There is no price for this symbol.")
    if request.side in _MODES[spec.trade_mode]:
        return refused(*_MODES[spec.trade_mode][request.side])
    volume = request.volume
    if not spec.volume_min <= volume <= spec.volume_max or floor_to_step(volume, spec.volume_step) != volume:
        return refused(INVALID_VOLUME, "The volume is outside the symbol's limits.")
    if spec.volume_limit and committed + volume > spec.volume_limit:
        return refused(LIMIT_VOLUME, "That would be more than the symbol's limit in one direction.")
    if request.order_type != OrderType.MARKET:
        if request.price is None or request.price <= 0 or _wrong_side(request, tick):
            return refused(INVALID_PRICE, "The price is on the wrong side of the market.")
        if request.expires_at is not None and request.expires_at <= now:
            return refused(INVALID_EXPIRATION, "The order's time is over.")
    is_market = request.order_type == OrderType.MARKET
    base = exit_quote(request.side, tick) if is_market else request.price
    assert base is not None
    return check_levels(request.side, base, request.stop_loss, request.take_profits, spec)


def _wrong_side(request: OrderRequest, tick: Tick) -> bool:
    """A buy limit waits below the market, a buy stop above it; mirrored for sells."""
    assert request.price is not None
    below = request.price <= entry_quote(request.side, tick)
    wants_below = (request.side == Side.BUY) == (request.order_type == OrderType.LIMIT)
    return below != wants_below and request.price != entry_quote(request.side, tick)


def check_levels(side: Side, base: Decimal, stop_loss: Decimal | None, take_profits: Sequence[Decimal],
                 spec: SymbolSpec) -> TradeResult | None:
    """The refusal of levels that are nearer to ``base`` than the stops level, or on its wrong side."""
    direction, distance = sign(side), max(spec.point * spec.stops_level, spec.point)
    if stop_loss is not None and (base - stop_loss) * direction < distance:
        return refused(INVALID_STOPS, "The stop is too close to the price or on the wrong side of it.")
    if any((target - base) * direction < distance for target in take_profits):
        return refused(INVALID_STOPS, "A target is too close to the price or on the wrong side of it.")
    return None


def check_close(volume: Decimal, open_volume: Decimal, spec: SymbolSpec) -> TradeResult | None:
    """The refusal of a part that cannot be closed or leaves what cannot stay open."""
    if spec.trade_mode == TradeMode.DISABLED:
        return refused(DISABLED, "This symbol is not traded now.")
    rest = open_volume - volume
    if not 0 < volume <= open_volume or floor_to_step(volume, spec.volume_step) != volume or 0 < rest < spec.volume_min:
        return refused(INVALID_CLOSE_VOLUME, "The volume to close is not possible.")
    return None


def is_reached(request_type: OrderType, side: Side, price: Decimal, tick: Tick) -> bool:
    """Whether a resting order's price has come."""
    market = entry_quote(side, tick)
    if (side == Side.BUY) == (request_type == OrderType.LIMIT):
        return market <= price
    return market >= price
