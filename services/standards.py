"""What the desk itself knows of a symbol, for accounts whose client does not tell: contract sizes and rough rates.

Sizes are those that all brokers share; where they differ freely, as with indices, nothing is known. The practice
market follows real rates, but it is no broker's market: its prices are reckoned with as if they were off by a
percent, against the order.
"""

from dataclasses import dataclass
from decimal import Decimal

from services import instruments
from terminal.protocol import AccountRef, PracticeGateway, Side, SymbolSpec, Tick

UNSURE = Decimal("0.01")
_NOBODY = AccountRef("", "")  # the practice market's prices are the same for everybody
_BRIDGE = "USD"


@dataclass(frozen=True, slots=True)
class Way:
    """A symbol as it is at most brokers, and what one lot of it loses on the way to the stop (positive)."""

    spec: SymbolSpec
    loss_per_lot: Decimal


async def way(paper: PracticeGateway, symbol: str, side: Side, entry: Decimal | None, stop: Decimal,
              currency: str) -> Way | str:
    """From the entry, or from where the market may be; or the code of why that cannot be said."""
    spec = await _spec(paper, symbol)
    if spec is None:
        return "not_told"
    start = entry or await _careful_start(paper, spec, side, stop)
    if start is None:
        return "no_quote"
    loss = await _loss_per_lot(paper, spec, side, start, stop, currency)
    return Way(spec, loss) if loss is not None else "no_conversion_rate"


async def _spec(paper: PracticeGateway, symbol: str) -> SymbolSpec | None:
    """The practice broker's, where every broker's contract is of the same size; None elsewhere."""
    instrument = instruments.known(symbol)
    if instrument is None or instrument.contract_size is None:
        return None
    for name in sorted(instrument.names):
        spec = await paper.symbol(_NOBODY, name)
        if spec is not None and spec.contract_size == instrument.contract_size:
            return spec
    return None


async def _careful_start(paper: PracticeGateway, spec: SymbolSpec, side: Side, stop: Decimal) -> Decimal | None:
    """Where a market order might begin, at its worst; None where the price cannot be right for this stop."""
    tick = await paper.tick(_NOBODY, spec.name)
    if tick is None:
        return None
    price, away = (tick.ask, 1) if side == Side.BUY else (tick.bid, -1)
    return price * (1 + away * UNSURE) if (price - stop) * away > 0 else None


async def _loss_per_lot(paper: PracticeGateway, spec: SymbolSpec, side: Side, start: Decimal, stop: Decimal,
                        currency: str) -> Decimal | None:
    """What a lot loses on the way to the stop, in ``currency``; None where it cannot be converted."""
    lost = (start - stop) * (1 if side == Side.BUY else -1) * spec.contract_size
    if spec.currency_base == currency:
        return lost / stop  # the symbol's own price is the rate
    rate = await _rate(paper, spec.currency_profit, currency)
    return lost * rate if rate is not None else None


async def _rate(paper: PracticeGateway, source: str, target: str) -> Decimal | None:
    """Units of ``target`` for one ``source``, over the dollar where there is no other way."""
    direct = await _pair(paper, source, target)
    if direct is not None or _BRIDGE in (source, target):
        return direct
    first, second = await _pair(paper, source, _BRIDGE), await _pair(paper, _BRIDGE, target)
    return first * second if first is not None and second is not None else None


async def _pair(paper: PracticeGateway, source: str, target: str) -> Decimal | None:
    if source == target:
        return Decimal(1)
    tick = await paper.tick(_NOBODY, source + target)
    if tick is not None:
        return _middle(tick)
    tick = await paper.tick(_NOBODY, target + source)
    return 1 / _middle(tick) if tick is not None else None


def _middle(tick: Tick) -> Decimal:
    return (tick.bid + tick.ask) / 2
