"""The paper market: starts from real rates and moves in small, seeded steps around them."""

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

from currency_converter import CurrencyConverter

from terminal.paper.symbols import Listing, listings
from terminal.protocol import SymbolSpec, Tick

# Rounded market levels of spring 2024, for what the European Central Bank does not publish.
ANCHORS = {
    "XAUUSD": Decimal("2350.40"), "XAGUSD": Decimal("27.30"), "US30": Decimal(39120), "US500": Decimal(5240),
    "NAS100": Decimal(18250), "GER40": Decimal(18480), "UK100": Decimal(8230), "BTCUSD": Decimal(67250),
    "ETHUSD": Decimal(3120),
}
STEP_SHARE = 0.00004   # one step's standard deviation, as a share of the price
PULL = 0.002           # how strongly the price is drawn back to its anchor each step


class QuoteFeed:
    """Bid and ask of every symbol. Prices wander within about a percent of their anchor."""

    def __init__(self, *, seed: int, anchors: Mapping[str, Decimal] | None = None) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._listings: dict[str, Listing] = listings()
        self._given = {**ANCHORS, **(anchors or {})}
        self._anchor: dict[str, float] = {}
        self._middle: dict[str, float] = {}
        self._ticks: dict[str, Tick] = {}
        self._euro: dict[str, Decimal] = {}
        self._moved: set[str] = set()
        self._news = asyncio.Event()

    async def load(self, now: datetime, last: Mapping[str, tuple[Decimal, Decimal]] | None = None) -> None:
        """Read the European Central Bank's latest rates (in a thread) and open every symbol.

        ``last`` are the quotes of an earlier run, from which the market goes on.
        """
        self._euro = await asyncio.to_thread(_latest_euro_rates)
        for name in self._listings:
            start = self._start_of(name)
            if start is not None:
                self._anchor[name] = self._middle[name] = float(start)
                self._quote(name, now)
        for name, (bid, ask) in (last or {}).items():
            if name in self._ticks:
                self._put(name, bid, ask, now)

    def symbols(self) -> list[str]:
        return list(self._ticks)

    def tick(self, symbol: str) -> Tick | None:
        """The current quote; None for an unknown symbol."""
        return self._ticks.get(symbol)

    def spec(self, symbol: str) -> SymbolSpec | None:
        listing = self._listings.get(symbol)
        return listing.spec if listing else None

    def listing(self, symbol: str) -> Listing | None:
        return self._listings.get(symbol)

    def relist(self, listing: Listing) -> None:
        """Trade a symbol on other terms from now on."""
        self._listings[listing.spec.name] = listing

    def specs(self) -> list[SymbolSpec]:
        """Of every symbol that has a price."""
        return [self._listings[name].spec for name in self._ticks]

    def set_price(self, symbol: str, bid: Decimal, ask: Decimal) -> Tick:
        """Move the market there; it wanders on from there. ValueError for an impossible quote."""
        if symbol not in self._ticks:
            raise ValueError(f"unknown symbol {symbol}")
        if not (bid.is_finite() and ask.is_finite()) or not 0 < bid <= ask < Decimal(10) ** 9:
            raise ValueError("bid and ask must be positive, finite, and bid not above ask")
        return self._put(symbol, bid, ask, datetime.now(UTC))

    def nudge(self, symbol: str, points: int) -> Tick:
        """Move the market by so many points."""
        tick, spec = self._ticks.get(symbol), self.spec(symbol)
        if tick is None or spec is None:
            raise ValueError(f"unknown symbol {symbol}")
        moved = spec.point * points
        return self.set_price(symbol, tick.bid + moved, tick.ask + moved)

    def step(self, now: datetime) -> None:
        """Move every symbol one small step."""
        for name, middle in self._middle.items():
            anchor = self._anchor[name]
            noise = self._random.gauss(0.0, STEP_SHARE)
            self._middle[name] = middle * (1 + noise + PULL * (anchor / middle - 1) * self._random.random())
            self._quote(name, now)

    def rate(self, source: str, target: str) -> Decimal | None:
        """Units of ``target`` for one ``source`` at the middle; None when a currency is unknown."""
        if source == target:
            return Decimal(1)
        direct, inverse = self._ticks.get(source + target), self._ticks.get(target + source)
        if direct:
            return (direct.bid + direct.ask) / 2
        if inverse:
            return 2 / (inverse.bid + inverse.ask)
        if source in self._euro and target in self._euro:
            return self._euro[target] / self._euro[source]
        return None

    def last(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Every quote, to go on from after a restart."""
        return {name: (tick.bid, tick.ask) for name, tick in self._ticks.items()}

    async def moved(self, timeout: float) -> set[str]:
        """The symbols that have moved since the last call; waits up to ``timeout`` seconds for some."""
        if not self._moved:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), timeout)
            except TimeoutError:
                return set()
        moved, self._moved = self._moved, set()
        return moved

    def _start_of(self, name: str) -> Decimal | None:
        if name in self._given:
            return self._given[name]
        base, quote = name[:3], name[3:]
        if base in self._euro and quote in self._euro:
            return self._euro[quote] / self._euro[base]
        return None

    def _put(self, symbol: str, bid: Decimal, ask: Decimal, now: datetime) -> Tick:
        self._anchor[symbol] = self._middle[symbol] = float((bid + ask) / 2)
        return self._publish(Tick(symbol, bid, ask, now))

    def _quote(self, name: str, now: datetime) -> None:
        listing = self._listings[name]
        point = listing.spec.point
        middle = Decimal(repr(self._middle[name]))
        bid = (middle - point * listing.spread / 2).quantize(point, ROUND_HALF_UP)
        self._publish(Tick(name, bid, bid + point * listing.spread, now))

    def _publish(self, tick: Tick) -> Tick:
        self._ticks[tick.symbol] = tick
        self._moved.add(tick.symbol)
        self._news.set()
        return tick


def _latest_euro_rates() -> dict[str, Decimal]:
    """Units of each currency for one euro, as last published by the European Central Bank."""
    converter = CurrencyConverter(fallback_on_missing_rate=True)
    rates = {"EUR": Decimal(1)}
    for currency in ("USD", "JPY", "GBP", "CHF", "AUD", "CAD", "NZD"):
        rates[currency] = Decimal(repr(round(converter.convert(1, "EUR", currency), 6)))
    return rates
