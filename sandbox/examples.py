"""Signals a desk might really publish, fitted to the market of the moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Prices = Mapping[str, tuple[Decimal, Decimal]]


@dataclass(frozen=True, slots=True)
class Example:
    """Distances are in the symbol's price, measured from the entry, always positive; ``tick`` rounds levels."""

    title: str
    symbol: str
    side: str
    order_type: str
    tick: str
    entry: str
    stop: str
    targets: tuple[str, ...]
    note: str


EXAMPLES = (
    Example("Gold, buy now", "XAUUSD", "buy", "market", "0.10", "0", "10", ("10", "20"),
            "Bounce off the London low; half off at the first target."),
    Example("Euro, sell the rally", "EURUSD", "sell", "limit", "0.0001", "0.0020", "0.0025", ("0.0040", "0.0060"),
            "Fading a move into resistance. No fill, no trade."),
    Example("Bitcoin, buy the breakout", "BTCUSD", "buy", "stop", "10", "350", "900", ("1200", "2500"),
            "Only above the range high."),
    Example("Sterling, sell now", "GBPUSD", "sell", "market", "0.0001", "0", "0.0030", ("0.0030", "0.0060"),
            "Soft services data; trail after the first target."),
    Example("Dow, buy the dip", "US30", "buy", "limit", "1", "80", "120", ("160", "300"),
            "Yesterday's close as support."),
    Example("Yen, a mistyped stop", "USDJPY", "buy", "limit", "0.01", "0.20", "-0.40", ("0.50",),
            "The stop is on the wrong side: the desk refuses it, nobody sees a card."),
)


def fill(prices: Prices) -> list[dict[str, Any]]:
    """Title and ready request body of each example whose symbol has a price."""
    return [{"title": example.title, "body": _body(example, *prices[example.symbol])}
            for example in EXAMPLES if example.symbol in prices]


def _body(example: Example, bid: Decimal, ask: Decimal) -> dict[str, Any]:
    up = 1 if example.side == "buy" else -1
    base = ask if up > 0 else bid
    # A limit waits on the better side of the market, a stop order on the worse one.
    entry = base + up * (-1 if example.order_type == "limit" else 1) * Decimal(example.entry)
    entry = entry if example.order_type == "market" else _round(entry, example.tick)
    body: dict[str, Any] = {"symbol": example.symbol, "side": example.side, "order_type": example.order_type}
    if example.order_type != "market":
        body["entry_price"] = str(entry)
    body["stop_loss"] = str(_round(entry - up * Decimal(example.stop), example.tick))
    body["take_profits"] = [str(_round(entry + up * Decimal(far), example.tick)) for far in example.targets]
    return {**body, "expires_in_seconds": 900, "note": example.note}


def _round(price: Decimal, tick: str) -> Decimal:
    step = Decimal(tick)
    return (price / step).quantize(Decimal(1)) * step
