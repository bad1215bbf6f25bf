"""Prices: bid and ask of everything that is listed, and the rates between currencies they give."""

import time
from dataclasses import dataclass
from decimal import Decimal

# Round levels to start from; whoever runs a broker moves them.
START = {
    "EURUSD": "1.08500", "GBPUSD": "1.26500", "USDJPY": "151.500", "USDCHF": "0.90500", "AUDUSD": "0.65500",
    "USDCAD": "1.36000", "NZDUSD": "0.60500", "EURGBP": "0.85800", "EURJPY": "164.400", "EURCHF": "0.98200",
    "EURAUD": "1.65600", "EURCAD": "1.47600", "EURNZD": "1.79300", "GBPJPY": "191.600", "GBPCHF": "1.14500",
    "GBPAUD": "1.93100", "GBPCAD": "1.72000", "AUDJPY": "99.200", "AUDNZD": "1.08300", "AUDCAD": "0.89100",
    "CADJPY": "111.400", "CHFJPY": "167.400", "NZDJPY": "91.700", "XAUUSD": "2350.40", "XAGUSD": "27.300",
    "US30": "39120.0", "US500": "5240.0", "NAS100": "18250.0", "GER40": "18480.0", "UK100": "8230.0",
    "BTCUSD": "67250.00", "ETHUSD": "3120.00",
}
SPREAD_POINTS = 10


@dataclass(frozen=True, slots=True)
class Quote:
    """``at_msc`` is milliseconds UTC."""

    bid: Decimal
    ask: Decimal
    at_msc: int


def now_msc() -> int:
    return time.time_ns() // 1_000_000


class Market:
    """A quote is as fresh as the moment it is looked at, as on a busy market, until its symbol is ``stopped``."""

    def __init__(self) -> None:
        self._quotes: dict[str, Quote] = {}
        self._stopped: dict[str, int] = {}
        for name, middle in START.items():
            bid = Decimal(middle)
            exponent = bid.as_tuple().exponent
            assert isinstance(exponent, int)
            self._quotes[name] = Quote(bid, bid + SPREAD_POINTS * Decimal(1).scaleb(exponent), now_msc())

    def quote(self, listed: str) -> Quote | None:
        """The quote as it stands; None where there is none."""
        found = self._quotes.get(listed)
        if found is None:
            return None
        return Quote(found.bid, found.ask, self._stopped.get(listed, now_msc()))

    def put(self, listed: str, bid: Decimal, ask: Decimal) -> None:
        """Move a price; ValueError for one that cannot be."""
        if listed not in START:
            raise ValueError(f"unknown symbol {listed}")
        if not (bid.is_finite() and ask.is_finite()) or not 0 < bid <= ask:
            raise ValueError("bid and ask must be positive, and bid not above ask")
        self._quotes[listed] = Quote(bid, ask, now_msc())
        self._stopped.pop(listed, None)

    def stop(self, listed: str, seconds_ago: float = 0.0) -> None:
        """No more quotes: the last one came so long ago."""
        self._stopped[listed] = now_msc() - int(seconds_ago * 1000)

    def drop(self, listed: str) -> None:
        """There is no price at all."""
        self._quotes.pop(listed, None)

    def rate(self, source: str, target: str) -> Decimal | None:
        """Units of ``target`` for one ``source`` at the middle, over the dollar where it must be."""
        direct = self._direct(source, target)
        if direct is not None:
            return direct
        first, second = self._direct(source, "USD"), self._direct("USD", target)
        return None if first is None or second is None else first * second

    def _direct(self, source: str, target: str) -> Decimal | None:
        if source == target:
            return Decimal(1)
        if (found := self._quotes.get(source + target)) is not None:
            return (found.bid + found.ask) / 2
        if (found := self._quotes.get(target + source)) is not None:
            return 2 / (found.bid + found.ask)
        return None
