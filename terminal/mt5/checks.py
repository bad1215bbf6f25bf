"""What is looked at before an order goes out, in this order, so that a refusal says the first thing that is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from terminal import maths
from terminal.maths import sign
from terminal.mt5 import codes, convert, faults
from terminal.mt5.codes import MOST_LEGS
from terminal.mt5.faults import refused
from terminal.mt5.library import CallFailed
from terminal.mt5.session import Session
from terminal.protocol import OrderRequest, OrderType, Side, SymbolSpec, Tick, TradeMode, TradeResult

FUTURE = timedelta(minutes=2)
"""So far ahead of ours a server's clock may be."""
NEEDED = {TradeMode.LONG_ONLY: Side.BUY, TradeMode.SHORT_ONLY: Side.SELL}


class Refused(Exception):
    """The order cannot stand; ``result`` says why."""

    def __init__(self, retcode: int, reason: str, error: str | None = None) -> None:
        super().__init__(reason)
        self.result: TradeResult = refused(retcode, reason, error)


@dataclass(frozen=True, slots=True)
class Rules:
    """How far the price may slip in points, how old a quote may be, what share of free margin stays untouched."""

    deviation_points: int
    max_tick_age_seconds: Decimal
    margin_buffer: Decimal

    @classmethod
    def of(cls, given: dict[str, Any]) -> "Rules":
        """From a frame; ValueError for what cannot be."""
        rules = cls(int(given.get("deviation_points", 20)), Decimal(str(given.get("max_tick_age_seconds", 10))),
                    Decimal(str(given.get("margin_buffer", "0"))))
        if rules.deviation_points < 0 or not 0 <= rules.margin_buffer < 1:
            raise ValueError("rules out of range")
        return rules


@dataclass(frozen=True, slots=True)
class Leg:
    """A part of an order: so many lots for one target."""

    number: int
    volume: Decimal
    target: Decimal | None


@dataclass(frozen=True, slots=True)
class Market:
    """A symbol as it stands: its terms, its quote, and the library's own row of it."""

    spec: SymbolSpec
    tick: Tick
    row: Any

    def entry(self, side: Side) -> Decimal:
        return self.tick.ask if side == Side.BUY else self.tick.bid

    def exit(self, side: Side) -> Decimal:
        return self.tick.bid if side == Side.BUY else self.tick.ask

    def level(self, value: Decimal) -> Decimal:
        """A price the symbol can have."""
        steps = (value / self.spec.tick_size).to_integral_value()
        return (steps * self.spec.tick_size).quantize(Decimal(1).scaleb(-self.spec.digits))


def may_trade(session: Session) -> Any:
    """The account's row when terminal, account and broker let programs trade."""
    session.require_connection()
    terminal, account = session.library.ask("terminal_info"), session.account_row()
    if terminal.tradeapi_disabled or not terminal.trade_allowed:
        raise Refused(faults.CLIENT_DISABLES, "trading_disabled")
    if not account.trade_allowed:
        raise Refused(faults.TRADE_DISABLED, "trading_disabled",
                      "This account may only be looked at: the password is an investor's, or trading is switched off.")
    if not account.trade_expert:
        raise Refused(faults.SERVER_DISABLES, "trading_disabled")
    return account


def market(session: Session, symbol: str, side: Side, rules: Rules) -> Market:
    """The symbol when it can be traded in this direction now, at a price that is fresh."""
    row = _listed(session, symbol)
    _allowed(convert.symbol(row).trade_mode, side)
    at = _quoted(session, row, session.tick_row(symbol))
    # An uncertain clock would take a stale quote for a fresh one.
    if session.sure_of_time():
        oldest = timedelta(seconds=float(rules.max_tick_age_seconds))
        if _is_fresh(at, oldest):
            return at
        # The server's clock may have been put forward or back; the next quote tells.
        at = _quoted(session, row, session.next_tick_row(symbol))
        if _is_fresh(at, oldest):
            return at
    raise Refused(faults.PRICE_OFF, "quote_stale", "The last price is too old: the market may be closed.")


def exit_market(session: Session, symbol: str) -> Market:
    """The symbol as it stands: who wants to get out is not kept in by an old price, the broker decides."""
    return _quoted(session, _listed(session, symbol), session.tick_row(symbol))


def _listed(session: Session, symbol: str) -> Any:
    row = session.symbol_row(symbol)
    if row is None:
        raise Refused(faults.INVALID, "unknown_symbol", "The broker does not have this symbol.")
    return row


def _quoted(session: Session, row: Any, tick_row: Any | None) -> Market:
    if tick_row is None:
        raise Refused(faults.PRICE_OFF, "no_quote")
    spec = convert.symbol(row)
    return Market(spec, convert.tick(row.name, tick_row, spec.digits, session.clock), row)


def _is_fresh(at: Market, oldest: timedelta) -> bool:
    return -FUTURE <= datetime.now(UTC) - at.tick.at <= oldest


def _allowed(mode: TradeMode, side: Side) -> None:
    if mode == TradeMode.DISABLED:
        raise Refused(faults.TRADE_DISABLED, "symbol_not_tradable", "This symbol is not traded on this account.")
    if mode == TradeMode.CLOSE_ONLY:
        raise Refused(faults.ONLY_CLOSE, "symbol_close_only")
    if mode in NEEDED and NEEDED[mode] != side:
        raise Refused(faults.ONLY_LONG if mode == TradeMode.LONG_ONLY else faults.ONLY_SHORT, "symbol_one_way")


def legs(session: Session, request: OrderRequest, at: Market, hedging: bool) -> list[Leg]:
    """The order in parts, one for each target as far as the volume reaches; none is below the minimum.

    An account that keeps one position a symbol takes the whole of it with the last of these targets. The nearer ones
    are taken by who has sent it (``TargetGateway``).
    """
    spec = at.spec
    volume = maths.floor_to_step(request.volume, spec.volume_step)
    if volume < spec.volume_min:
        raise Refused(faults.INVALID_VOLUME, "volume_below_minimum", "The volume is below the symbol's minimum.")
    if volume > spec.volume_max:
        raise Refused(faults.INVALID_VOLUME, "volume_above_maximum", "The volume is above the symbol's maximum.")
    _within_limit(session, request.side, spec, volume)
    shares = maths.portions(volume, request.take_profits[:MOST_LEGS], spec.volume_step, spec.volume_min)
    if not hedging or not shares:
        return [Leg(0, volume, shares[-1][0] if shares else None)]
    return [Leg(number, share, target) for number, (target, share) in enumerate(shares)]


def _within_limit(session: Session, side: Side, spec: SymbolSpec, volume: Decimal) -> None:
    if not spec.volume_limit:
        return
    held = [convert.exact(row.volume) for row in session.library.rows("positions_get", symbol=spec.name)
            if convert.side(row.type) == side]
    waiting = [convert.exact(row.volume_current) for row in session.library.rows("orders_get", symbol=spec.name)
               if convert.side(row.type) == side]
    if sum([*held, *waiting], volume) > spec.volume_limit:
        raise Refused(faults.LIMIT_VOLUME, "volume_limit")


def drift(request: OrderRequest, at: Market, start: Decimal, rules: Rules) -> None:
    """A market order does not follow a price that runs away: ``start`` is where it stood at first."""
    worse = (at.entry(request.side) - start) * sign(request.side)
    if worse > rules.deviation_points * at.spec.point:
        raise Refused(faults.REQUOTE, "price_moved", "The price moved away before the order could be filled.")


def price(request: OrderRequest, at: Market, now: datetime) -> None:
    """A waiting order's price must be on its side of the market, and its time must lie ahead."""
    if request.order_type == OrderType.MARKET:
        return
    if request.price is None or request.price <= 0:
        raise Refused(faults.INVALID_PRICE, "invalid_price", "A waiting order needs a price.")
    below = (request.side == Side.BUY) == (request.order_type == OrderType.LIMIT)
    distance = (at.entry(request.side) - request.price) * (1 if below else -1)
    if distance < at.spec.stops_level * at.spec.point or distance <= 0:
        raise Refused(faults.INVALID_PRICE, "invalid_price",
                      "The price is on the wrong side of the market or too close to it.")
    if request.expires_at is None:
        return
    if request.expires_at <= now:
        raise Refused(faults.INVALID_EXPIRATION, "not_executed_in_time", "The order's time is over.")
    if not at.row.expiration_mode & codes.MAY_SPECIFY:
        raise Refused(faults.INVALID_EXPIRATION, "expiry_not_supported",
                      "The broker cannot end a waiting order at a set time.")


def levels(side: Side, base: Decimal, stop: Decimal | None, targets: Sequence[Decimal | None], at: Market) -> None:
    """Stop and targets on their sides of ``base`` and far enough from it.

    A stops level of 0 may mean that the broker decides as it goes: then the spread is the least.
    """
    direction, spec = sign(side), at.spec
    least = max(spec.stops_level * spec.point, spec.point)
    if spec.stops_level == 0:
        least = max(least, at.tick.ask - at.tick.bid)
    if stop is not None and (base - stop) * direction < least:
        raise Refused(faults.INVALID_STOPS,
                      "stop_beyond_price" if (base - stop) * direction <= 0 else "stop_too_close",
                      "The stop is on the wrong side of the price." if (base - stop) * direction <= 0
                      else "The stop is too close to the price.")
    for target in targets:
        if target is not None and (target - base) * direction < least:
            raise Refused(faults.INVALID_STOPS,
                          "target_passed" if (target - base) * direction <= 0 else "target_too_close",
                          "A target is on the wrong side of the price." if (target - base) * direction <= 0
                          else "A target is too close to the price.")


def part(volume: Decimal, held: Decimal, spec: SymbolSpec) -> None:
    """So much of a position can be closed, and what is left can stay."""
    if volume <= 0 or maths.floor_to_step(volume, spec.volume_step) != volume:
        raise Refused(faults.INVALID_CLOSE_VOLUME, "volume_not_in_steps")
    if volume > held:
        raise Refused(faults.INVALID_CLOSE_VOLUME, "volume_above_open")
    if 0 < held - volume < spec.volume_min:
        raise Refused(faults.INVALID_CLOSE_VOLUME, "remainder_below_minimum")


def frozen(price: Decimal, row_levels: Sequence[Decimal | None], spec: SymbolSpec) -> None:
    """Near its stop, target or entry nothing may be changed any more."""
    if any(level is not None and abs(price - level) <= spec.freeze_level * spec.point for level in row_levels
           if spec.freeze_level):
        raise Refused(faults.FROZEN, "too_close_to_change")


def margin(session: Session, account: Any, request: OrderRequest, at: Market, volume: Decimal, buffer: Decimal) -> None:
    """The order's margin must fit into what is free, less the part that is to stay free.

    Against a position the other way on a netting account an order may free margin; then the broker decides.
    """
    if account.margin_mode != codes.HEDGING and any(
            convert.side(row.type) != request.side
            for row in session.library.rows("positions_get", symbol=request.symbol)):
        return
    price_ = request.price if request.price is not None else at.entry(request.side)
    kind = codes.BUY if request.side == Side.BUY else codes.SELL
    try:
        needed = session.library.ask("order_calc_margin", kind, request.symbol, float(volume), float(price_))
    except CallFailed as failed:
        if failed.code in (faults.FAIL, faults.NOT_FOUND):
            return
        raise
    if convert.exact(needed) > convert.exact(account.margin_free) * (1 - buffer):
        raise Refused(faults.NO_MONEY, "not_enough_money")
