"""What the paper broker trades: specifications as a retail broker would publish them."""

from dataclasses import dataclass
from decimal import Decimal

from terminal.maths import CalcMode
from terminal.protocol import SymbolSpec


@dataclass(frozen=True, slots=True)
class Listing:
    """A specification with the usual spread in points."""

    spec: SymbolSpec
    spread: int


PAIRS = {  # spread in points
    "EURUSD": 8, "GBPUSD": 10, "USDJPY": 9, "USDCHF": 11, "AUDUSD": 10, "USDCAD": 12, "NZDUSD": 14, "EURGBP": 11,
    "EURJPY": 14, "EURCHF": 14, "EURAUD": 20, "EURCAD": 20, "EURNZD": 28, "GBPJPY": 20, "GBPCHF": 22, "GBPAUD": 26,
    "GBPCAD": 26, "AUDJPY": 16, "AUDNZD": 22, "AUDCAD": 20, "CADJPY": 18, "CHFJPY": 20, "NZDJPY": 20,
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
    return {**{name: _pair(name, spread) for name, spread in PAIRS.items()},
            **{name: _other(name) for name in OTHERS}}


def _pair(name: str, spread: int) -> Listing:
    base, quote = name[:3], name[3:]
    digits = 3 if quote == "JPY" else 5
    point = Decimal(1).scaleb(-digits)
    return Listing(SymbolSpec(
        name, f"{base} against {quote}", digits, point, point, Decimal(100_000), Decimal("0.01"), Decimal(100),
        Decimal("0.01"), 10, base, quote, base, CalcMode.FOREX), spread)


def _other(name: str) -> Listing:
    description, digits, contract, step, spread, stops_level, quote = OTHERS[name]
    point = Decimal(1).scaleb(-digits)
    base = name[:3] if name.endswith("USD") else quote
    return Listing(SymbolSpec(
        name, description, digits, point, point, Decimal(contract), Decimal(step), Decimal(100), Decimal(step),
        stops_level, base, quote, quote, CalcMode.CFD_LEVERAGE), spread)
