"""How many lots: fixed, or so that the way to the stop costs a share of equity. Always rounded down."""

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any

from terminal.protocol import SymbolSpec

# More than anybody trades; in steps as fine as a terminal can tell it is still counted exactly.
MOST_LOTS = Decimal(10**9)


@dataclass(frozen=True, slots=True)
class SizingRules:
    """What applies when the account says nothing of its own."""

    risk_percent: Decimal
    volume_without_stop: Decimal


@dataclass(frozen=True, slots=True)
class Sized:
    """The volume in lots, or the ``refusal`` code when none is right."""

    volume: Decimal | None
    refusal: str | None


def sizing_of(stored: dict[str, Any], rules: SizingRules) -> dict[str, str]:
    """The sizing in force, as the contract writes it."""
    if stored:
        return {key: str(value) for key, value in stored.items()}
    return {"mode": "risk_percent", "value": format(rules.risk_percent, "f")}


def volume(stored: dict[str, Any], rules: SizingRules, spec: SymbolSpec, equity: Decimal,
           loss_per_lot: Decimal | None) -> Sized:
    """Lots for an order; ``loss_per_lot`` is what one lot loses at the stop (positive), None without a stop."""
    sizing = sizing_of(stored, rules)
    if sizing["mode"] == "fixed":
        wanted = Decimal(sizing["volume"])
    elif loss_per_lot is None:
        wanted = rules.volume_without_stop
    elif loss_per_lot <= 0:
        return Sized(None, "stop_beyond_price")
    else:
        wanted = max(equity, Decimal(0)) * Decimal(sizing["value"]) / 100 / loss_per_lot
    floored = floor(min(wanted, spec.volume_max, MOST_LOTS), spec.volume_step)
    if floored < spec.volume_min:
        return Sized(None, "volume_below_minimum")
    return Sized(floored, None)


def floor(lots: Decimal, step: Decimal) -> Decimal:
    """Down to whole steps, never up."""
    return ((lots / step).to_integral_value(ROUND_DOWN) * step).quantize(step)
