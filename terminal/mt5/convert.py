"""The library's tuples as values of the protocol: floats become exact decimals here, and nowhere else."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from terminal import maths
from terminal.maths import CalcMode
from terminal.mt5 import codes
from terminal.mt5.clock import ServerClock
from terminal.protocol import (
    AccountSnapshot,
    Deal,
    DealEntry,
    DealReason,
    OrderType,
    PendingOrder,
    Position,
    Side,
    SymbolSpec,
    Tick,
    TradeMode,
)

CALC_MODES = {
    0: CalcMode.FOREX, 1: CalcMode.FUTURES, 2: CalcMode.CFD, 3: CalcMode.CFD_INDEX, 4: CalcMode.CFD_LEVERAGE,
    5: CalcMode.FOREX_NO_LEVERAGE, 32: CalcMode.EXCH_STOCKS, 33: CalcMode.FUTURES, 38: CalcMode.EXCH_STOCKS}
TRADE_MODES = {
    codes.DISABLED: TradeMode.DISABLED, codes.LONG_ONLY: TradeMode.LONG_ONLY, codes.SHORT_ONLY: TradeMode.SHORT_ONLY,
    codes.CLOSE_ONLY: TradeMode.CLOSE_ONLY, codes.FULL: TradeMode.FULL}
ORDER_TYPES = {
    codes.BUY: OrderType.MARKET, codes.SELL: OrderType.MARKET, codes.BUY_LIMIT: OrderType.LIMIT,
    codes.SELL_LIMIT: OrderType.LIMIT, codes.BUY_STOP: OrderType.STOP, codes.SELL_STOP: OrderType.STOP}
REASONS = {
    codes.CLIENT: DealReason.CLIENT, codes.MOBILE: DealReason.CLIENT, codes.WEB: DealReason.CLIENT,
    codes.BY_STOP_LOSS: DealReason.STOP_LOSS, codes.BY_TAKE_PROFIT: DealReason.TAKE_PROFIT,
    codes.BY_STOP_OUT: DealReason.STOP_OUT}
ENTRIES = {
    codes.ENTRY_IN: DealEntry.IN, codes.ENTRY_OUT: DealEntry.OUT, codes.ENTRY_INOUT: DealEntry.INOUT,
    codes.ENTRY_OUT_BY: DealEntry.OUT}
FINEST = 8
LONGEST_TEXT = 29


def exact(value: float) -> Decimal:
    """A float as the number it was meant to be, without trailing zeros: lots, rates, sizes."""
    return Decimal(repr(round(value, FINEST))).normalize() + maths.ZERO


def price(value: float, digits: int) -> Decimal:
    """A price with its symbol's digits; an average of several fills keeps what it has beyond them."""
    return _in_digits(Decimal(repr(round(value, FINEST))), digits)


def average(fills: Sequence[tuple[Decimal, Decimal]], digits: int) -> Decimal:
    """The average price of fills (lots, price)."""
    return _in_digits(maths.vwap(fills).quantize(Decimal(1).scaleb(-FINEST)).normalize(), digits)


def _in_digits(number: Decimal, digits: int) -> Decimal:
    rounded = number.quantize(Decimal(1).scaleb(-digits))
    return rounded if rounded == number else number


def level(value: float, digits: int) -> Decimal | None:
    """A stop or target, for which 0 means none."""
    return price(value, digits) if value else None


def money(value: float, digits: int) -> Decimal:
    return maths.money(Decimal(repr(value)), digits)


def side(kind: int) -> Side:
    """Of a position, a deal or an order of any type: buys are even."""
    return Side.BUY if kind % 2 == 0 else Side.SELL


def account(row: Any, now: datetime, net_deposits: Decimal | None = None) -> AccountSnapshot:
    digits = int(row.currency_digits)
    used = money(row.margin, digits)
    return AccountSnapshot(
        str(row.login), row.server, row.company, row.currency, int(row.leverage),
        "hedging" if row.margin_mode == codes.HEDGING else "netting", money(row.balance, digits),
        money(row.equity, digits), used, money(row.margin_free, digits),
        money(row.margin_level, 2) if used else None, now, money(row.credit, digits),
        bool(row.trade_allowed and row.trade_expert), net_deposits)


def symbol(row: Any) -> SymbolSpec:
    return SymbolSpec(
        row.name, row.description, int(row.digits), exact(row.point), exact(row.trade_tick_size) or exact(row.point),
        exact(row.trade_contract_size), exact(row.volume_min), exact(row.volume_max), exact(row.volume_step),
        int(row.trade_stops_level), row.currency_base, row.currency_profit, row.currency_margin,
        CALC_MODES.get(row.trade_calc_mode, f"mode_{row.trade_calc_mode}"), int(row.trade_freeze_level),
        exact(row.volume_limit), TRADE_MODES.get(row.trade_mode, TradeMode.DISABLED))


def tick(name: str, row: Any, digits: int, clock: ServerClock) -> Tick:
    return Tick(name, price(row.bid, digits), price(row.ask, digits), clock.utc(row.time_msc))


def position(row: Any, digits: int, money_digits: int, clock: ServerClock) -> Position:
    opened, current = price(row.price_open, digits), price(row.price_current, digits)
    return Position(
        int(row.ticket), row.symbol, side(row.type), exact(row.volume), opened, current, level(row.sl, digits),
        level(row.tp, digits), money(row.profit, money_digits),
        maths.points(side(row.type), opened, current, Decimal(1).scaleb(-digits)), money(row.swap, money_digits),
        codes.intent_of(int(row.magic)), clock.utc(row.time_msc), int(row.identifier))


def pending(row: Any, digits: int, clock: ServerClock) -> PendingOrder | None:
    """A waiting order; None for kinds the desk has no word for and for market orders on their way."""
    order_type = ORDER_TYPES.get(row.type)
    if order_type in (None, OrderType.MARKET):
        return None
    return PendingOrder(
        int(row.ticket), row.symbol, side(row.type), order_type, exact(row.volume_current),
        price(row.price_open, digits), level(row.sl, digits), level(row.tp, digits), codes.intent_of(int(row.magic)),
        clock.utc(row.time_setup_msc), clock.utc(row.time_expiration * 1000) if row.time_expiration else None)


def deal(row: Any, digits: int, money_digits: int, login: str, server: str, clock: ServerClock) -> Deal:
    magic, position_id = int(row.magic), int(row.position_id)
    return Deal(
        int(row.ticket), login, server, position_id, codes.intent_of(magic), row.symbol, side(row.type),
        ENTRIES[row.entry], _reason(int(row.reason), magic), exact(row.volume), price(row.price, digits),
        money(row.profit, money_digits), money(row.swap, money_digits), money(row.commission, money_digits), None,
        clock.utc(row.time_msc), position_id, money(row.fee, money_digits))


def _reason(number: int, magic: int) -> DealReason:
    """A program's deal is a signal's if it bears our mark; a close that was asked for by hand is the client's.

    What the desk closes at a target is a target's, as if the broker had done it.
    """
    if number == codes.EXPERT and codes.is_target(magic):
        return DealReason.TAKE_PROFIT
    if number == codes.EXPERT and codes.is_act(magic):
        return DealReason.CLIENT
    if number == codes.EXPERT and codes.is_ours(magic):
        return DealReason.CLIENT if codes.leg_of(magic) == codes.CLOSING else DealReason.SIGNAL
    return REASONS.get(number, DealReason.OTHER)
