"""The terms of a signal: checking them, hashing them, reading risk and reward from them."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from models.signal import Terms
from services.errors import ContradictoryLevels, InvalidRequest


@dataclass(frozen=True, slots=True)
class Levels:
    """What a provider wants traded. Absent levels are None, never 0."""

    symbol: str
    side: str
    order_type: str
    entry_price: Decimal | None
    entry_range: tuple[Decimal, Decimal] | None
    stop_loss: Decimal | None
    take_profits: tuple[Decimal, ...]
    note: str | None


def check(levels: Levels) -> None:
    """Refuse levels that contradict the side or each other. Nothing is flipped, sorted or filled in."""
    low, high = levels.entry_range or (levels.entry_price, levels.entry_price)
    if levels.order_type != "market" and low is None:
        raise InvalidRequest("A limit or stop order needs an entry price.")
    if levels.order_type == "stop" and levels.entry_range:
        raise InvalidRequest("A stop order needs one entry price, not a range.")
    if low is not None and high is not None and low > high:
        raise ContradictoryLevels("The entry range is upside down.")
    if levels.entry_range and levels.entry_price is not None and not low <= levels.entry_price <= high:  # type: ignore[operator]
        raise ContradictoryLevels("The entry price lies outside the entry range.")
    _check_sides(levels, low, high)
    if len(set(levels.take_profits)) != len(levels.take_profits):
        raise ContradictoryLevels("Two targets are the same.")


def _check_sides(levels: Levels, low: Decimal | None, high: Decimal | None) -> None:
    buying, stop = levels.side == "buy", levels.stop_loss
    worst, best = (low, high) if buying else (high, low)
    if stop is not None and worst is not None and (stop >= worst if buying else stop <= worst):
        raise ContradictoryLevels(f"The stop of a {levels.side} must be {'below' if buying else 'above'} the entry.")
    floor = best if best is not None else stop
    for target in levels.take_profits:
        if floor is not None and (target <= floor if buying else target >= floor):
            raise ContradictoryLevels(
                f"The targets of a {levels.side} must be {'above' if buying else 'below'} the entry.")


def digest(signal_id: int, version: int, levels: Levels, expires_at: datetime) -> str:
    """Hex SHA-256 of everything a person countersigns; another version always hashes differently."""
    return _sha256({"v": 1, "signal_id": signal_id, "version": version, "expires_at": expires_at.isoformat(),
                    **canonical(levels)})


def body_digest(levels: Levels, expires_in_seconds: int) -> str:
    """Hex SHA-256 of a publication, by which a repeated one is told from a reused external id."""
    return _sha256({"expires_in_seconds": expires_in_seconds, **canonical(levels)})


def canonical(levels: Levels) -> dict[str, Any]:
    """The levels as JSON values, equal prices in equal writing."""
    return {
        "symbol": levels.symbol, "side": levels.side, "order_type": levels.order_type,
        "entry_price": _plain(levels.entry_price),
        "entry_range": [_plain(end) for end in levels.entry_range] if levels.entry_range else None,
        "stop_loss": _plain(levels.stop_loss), "take_profits": [_plain(t) for t in levels.take_profits],
        "note": levels.note,
    }


def of(row: Terms) -> Levels:
    """The levels kept in a row."""
    both = (row.entry_low, row.entry_high)
    return Levels(row.symbol, row.side, row.order_type, row.entry_price,
                  (both[0], both[1]) if both[0] is not None and both[1] is not None else None,
                  row.stop_loss, tuple(Decimal(t) for t in row.take_profits), row.note)


def entry_edge(levels: Levels) -> Decimal | None:
    """The entry price to reckon with: the one given, or the edge of the range that is met first."""
    if levels.entry_price is not None:
        return levels.entry_price
    if levels.entry_range is None:
        return None
    return levels.entry_range[1] if levels.side == "buy" else levels.entry_range[0]


def risk_reward(levels: Levels, entry: Decimal | None = None) -> Decimal | None:
    """Reward to the last target per unit of risk to the stop, one digit; None where it cannot be said."""
    entry = entry if entry is not None else entry_edge(levels)
    if entry is None or levels.stop_loss is None or not levels.take_profits or entry == levels.stop_loss:
        return None
    best = max(abs(target - entry) for target in levels.take_profits)
    return (best / abs(entry - levels.stop_loss)).quantize(Decimal("0.1"), ROUND_HALF_UP)


def _plain(number: Decimal | None) -> str | None:
    if number is None:
        return None
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _sha256(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
