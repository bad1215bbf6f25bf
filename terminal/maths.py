"""Position arithmetic as MetaTrader does it, in exact decimals.

Formulas: mql5.com/en/docs/constants/environment_state/marketinfoconstants (ENUM_SYMBOL_CALC_MODE). ``volume``
is lots, prices are per unit, results are in the symbol's profit or margin currency until converted. Money is
rounded once, at the end, half away from zero.
"""

from collections.abc import Callable, Sequence
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from enum import StrEnum

from terminal.protocol import Side

ZERO = Decimal(0)
CENT = Decimal("0.01")
SWAP_TRIPLE = 3


class CalcMode(StrEnum):
    """How a symbol's profit and margin are reckoned."""

    FOREX = "forex"
    FOREX_NO_LEVERAGE = "forex_no_leverage"
    CFD = "cfd"
    CFD_INDEX = "cfd_index"
    CFD_LEVERAGE = "cfd_leverage"
    FUTURES = "futures"
    EXCH_STOCKS = "exch_stocks"


def sign(side: Side) -> int:
    """+1 for buy, -1 for sell."""
    return 1 if side == Side.BUY else -1


def profit(mode: str, side: Side, volume: Decimal, open_price: Decimal, close_price: Decimal, contract_size: Decimal,
           *, tick_value: Decimal | None = None, tick_size: Decimal | None = None) -> Decimal:
    """Profit of a closed move in the profit currency, unrounded; futures need tick value and size."""
    moved = (close_price - open_price) * sign(side)
    if mode == CalcMode.FUTURES:
        assert tick_value is not None and tick_size is not None
        return moved * volume * tick_value / tick_size
    return moved * contract_size * volume


def margin(mode: str, volume: Decimal, price: Decimal, contract_size: Decimal, leverage: int, *,
           margin_rate: Decimal = Decimal(1), tick_value: Decimal | None = None, tick_size: Decimal | None = None,
           initial_margin: Decimal | None = None) -> Decimal:
    """Margin of a position in the margin currency, unrounded."""
    lots = volume * contract_size
    if mode == CalcMode.FUTURES:
        assert initial_margin is not None
        return volume * initial_margin * margin_rate
    if mode == CalcMode.FOREX:
        return lots / leverage * margin_rate
    if mode == CalcMode.FOREX_NO_LEVERAGE:
        return lots * margin_rate
    if mode == CalcMode.CFD_LEVERAGE:
        return lots * price / leverage * margin_rate
    if mode == CalcMode.CFD_INDEX:
        assert tick_value is not None and tick_size is not None
        return lots * price * tick_value / tick_size * margin_rate
    return lots * price * margin_rate


def to_deposit(amount: Decimal, currency: str, deposit: str, *, base: str, quote: str, close_price: Decimal,
               rate: Callable[[str, str], Decimal | None]) -> Decimal | None:
    """Convert profit to the deposit currency; None when no rate is known.

    Where the symbol's own price is the rate (USDJPY for a USD account), the price of the close is used, as
    order_calc_profit does; otherwise ``rate(currency, deposit)``.
    """
    if currency == deposit:
        return amount
    if quote == currency and base == deposit:
        return amount / close_price
    found = rate(currency, deposit)
    return None if found is None else amount * found


def swap(volume: Decimal, points: Decimal, point: Decimal, contract_size: Decimal, nights: int = 1) -> Decimal:
    """Overnight swap in the profit currency for a rate in points (SYMBOL_SWAP_MODE_POINTS)."""
    return volume * points * point * contract_size * nights


def margin_level(equity: Decimal, used_margin: Decimal) -> Decimal | None:
    """Equity in percent of the margin in use; None without any."""
    return None if used_margin == 0 else equity / used_margin * 100


def points(side: Side, open_price: Decimal, close_price: Decimal, point: Decimal) -> Decimal:
    """How far the price has moved in the position's favour, in points."""
    return (close_price - open_price) * sign(side) / point


def vwap(fills: Sequence[tuple[Decimal, Decimal]]) -> Decimal:
    """Average price of (volume, price) pairs weighted by volume; ValueError without volume."""
    total = sum((volume for volume, _ in fills), ZERO)
    if total <= 0:
        raise ValueError("no volume")
    return sum((volume * price for volume, price in fills), ZERO) / total


def money(amount: Decimal, digits: int = 2) -> Decimal:
    """Rounded to the currency's digits, half away from zero."""
    return amount.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def floor_to_step(volume: Decimal, step: Decimal) -> Decimal:
    """Down to whole volume steps, never up."""
    return (volume / step).to_integral_value(ROUND_DOWN) * step


def spread_over(volume: Decimal, targets: Sequence[Decimal], step: Decimal) -> list[tuple[Decimal, Decimal]]:
    """Share a volume over targets in whole steps, one step at a time from the first; empty shares drop out.

    Returns (target, volume) pairs that sum to ``volume``: 0.05 lots over two targets in steps of 0.01 close
    0.03 at the first and 0.02 at the second.
    """
    if not targets:
        return []
    steps, rest = divmod(volume, step)
    each, more = divmod(int(steps), len(targets))
    shares = [step * (each + (1 if index < more else 0)) for index in range(len(targets))]
    shares[0] += rest
    return [(target, share) for target, share in zip(targets, shares, strict=True) if share > 0]


def portions(volume: Decimal, targets: Sequence[Decimal], step: Decimal,
             least: Decimal) -> list[tuple[Decimal, Decimal]]:
    """Share a volume over as many of the first targets as get ``least`` or more each; (target, volume) pairs."""
    for count in range(len(targets), 1, -1):
        shares = spread_over(volume, targets[:count], step)
        if all(share >= least for _, share in shares):
            return shares
    return [(target, volume) for target in targets[:1]]


def copied_volume(volume: Decimal, multiplier: Decimal, own_balance: Decimal, their_balance: Decimal) -> Decimal:
    """Lots that answer to ``volume`` lots on another account, in proportion to the balances; not yet in steps.

    Both balances are in one currency and positive. Source: forexpanda.net/faq-forex.
    """
    return volume * multiplier * own_balance / their_balance


def copied_percent(own_balance: Decimal, share: Decimal, their_balance: Decimal, rate: Decimal, own_leverage: int,
                   their_leverage: int) -> Decimal:
    """How many percent of another's volume MQL5 Signals would copy, rounded as it rounds.

    ``share`` (0 to 1) is the part of the own balance that takes part, ``rate`` turns the own currency into theirs. A
    lower leverage of one's own lowers the percentage, a higher one does not raise it. Source:
    mql5.com/en/forum/369065 for the chain, mql5.com/en/forum/19241 for the rounding.
    """
    by_leverage = min(Decimal(own_leverage) / their_leverage, Decimal(1))
    percent = own_balance * share / their_balance * by_leverage * rate * 100
    step = 1 if percent < 10 else 5 if percent < 100 else 10
    return max((percent / step).to_integral_value(ROUND_DOWN) * step, Decimal(1))
