"""What the paper broker trades: specifications as a retail broker would publish them."""

from dataclasses import dataclass
from decimal import Decimal

from terminal.maths import CalcMode
from terminal.protocol import SymbolSpec


@dataclass(frozen=True, slots=True)
class Listing:
    """A specification with the usual spread in points, and what holding and trading it costs.

    ``swap_long`` and ``swap_short`` are points a night; ``commission`` is the account's money a lot and side.
    """

    spec: SymbolSpec
    spread: int
    swap_long: Decimal = Decimal(0)
    swap_short: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)


# Spread in points; swaps in points a night, from the interest rates of spring 2024 less a percent a year.
PAIRS = {
    "EURUSD": (8, "-7.3", "1.3"), "GBPUSD": (10, "-4.0", "-3.1"), "USDJPY": (9, "18.3", "-27.0"),
    "USDCHF": (11, "7.1", "-12.1"), "AUDUSD": (10, "-3.6", "-0.1"), "USDCAD": (12, "-2.2", "-5.4"),
    "NZDUSD": (14, "-1.4", "-2.0"), "EURGBP": (11, "-5.5", "0.7"), "EURJPY": (14, "13.1", "-22.5"),
    "EURCHF": (14, "3.8", "-9.3"), "EURAUD": (20, "-6.6", "-2.5"), "EURCAD": (20, "-8.2", "-0.1"),
    "EURNZD": (28, "-12.9", "3.0"), "GBPJPY": (20, "22.4", "-33.4"), "GBPCHF": (22, "8.6", "-14.9"),
    "GBPAUD": (26, "-0.8", "-9.8"), "GBPCAD": (26, "-3.4", "-6.2"), "AUDJPY": (16, "9.3", "-15.0"),
    "AUDNZD": (22, "-6.5", "0.5"), "AUDCAD": (20, "-3.9", "-1.1"), "CADJPY": (18, "12.0", "-18.4"),
    "CHFJPY": (20, "1.9", "-11.5"), "NZDJPY": (20, "11.5", "-16.7"),
}
# symbol: description, digits, contract size, volume step, spread, stops level, quote currency
OTHERS = {
    "XAUUSD": ("Gold, troy ounce", 2, "100", "0.01", 25, 20, "USD"),
    "XAGUSD": ("Silver, troy ounce", 3, "5000", "0.01", 25, 20, "USD"),
    "US30": ("Dow Jones Industrial Average", 1, "1", "0.1", 20, 10, "USD"),
    "US500": ("S&P 500", 1, "10", "0.1", 5, 5, "USD"),
    "NAS100": ("Nasdaq 100", 1, "1", "0.1", 15, 10, "USD"),
    "GER40": ("DAX 40", 1, "1", "0.1", 12, 10, "EUR"),
    "UK100": ("FTSE 100", 1, "1", "0.1", 12, 10, "GBP"),
    "BTCUSD": ("Bitcoin", 2, "1", "0.01", 2500, 0, "USD"),
    "ETHUSD": ("Ether", 2, "1", "0.01", 250, 0, "USD"),
}


def listings() -> dict[str, Listing]:
    """Every symbol of the paper broker by name."""
    return {**{name: _pair(name, *terms) for name, terms in PAIRS.items()},
            **{name: _other(name) for name in OTHERS}}


def _pair(name: str, spread: int, swap_long: str, swap_short: str) -> Listing:
    base, quote = name[:3], name[3:]
    digits = 3 if quote == "JPY" else 5
    point = Decimal(1).scaleb(-digits)
    return Listing(SymbolSpec(
        name, f"{base} against {quote}", digits, point, point, Decimal(100_000), Decimal("0.01"), Decimal(100),
        Decimal("0.01"), 10, base, quote, base, CalcMode.FOREX), spread, Decimal(swap_long), Decimal(swap_short))


def _other(name: str) -> Listing:
    description, digits, contract, step, spread, stops_level, quote = OTHERS[name]
    point = Decimal(1).scaleb(-digits)
    base = name[:3] if name.endswith("USD") else quote
    return Listing(SymbolSpec(
        name, description, digits, point, point, Decimal(contract), Decimal(step), Decimal(100), Decimal(step),
        stops_level, base, quote, quote, CalcMode.CFD_LEVERAGE), spread)
