"""From deals to positions: what each position came to, and what happened to it on the way.

A fold looks at all deals of a position in the order of their numbers, so it does not matter in which order they were
heard of, nor that the broker's clock is put back an hour in autumn. A netting reversal closes one leg and opens the
rest the other way at the deal's price; the deal's money belongs to the leg it closes. What is not known to have been
opened is not told.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from models.position import DealRecord, PositionEventKind
from terminal.protocol import DealEntry

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Step:
    """What a deal did to a leg."""

    kind: PositionEventKind
    deal: DealRecord
    volume: Decimal


@dataclass(slots=True)
class Leg:
    """A position between its opening and its end. ``key`` is the broker's number of the position; legs after a
    reversal go by the negative number of the deal that opened them, because the broker's number stays the same."""

    key: int
    opening: DealRecord
    steps: list[Step] = field(default_factory=list)
    fills: list[tuple[Decimal, Decimal]] = field(default_factory=list)
    exits: list[tuple[Decimal, Decimal]] = field(default_factory=list)
    profit: Decimal = ZERO
    swap: Decimal = ZERO
    commission: Decimal = ZERO
    fee: Decimal = ZERO

    @property
    def volume(self) -> Decimal:
        """All that was ever opened."""
        return sum((volume for volume, _ in self.fills), ZERO)

    @property
    def closed_volume(self) -> Decimal:
        return sum((volume for volume, _ in self.exits), ZERO)

    @property
    def open_volume(self) -> Decimal:
        return self.volume - self.closed_volume

    @property
    def net(self) -> Decimal:
        return self.profit + self.swap + self.commission + self.fee

    @property
    def end(self) -> DealRecord | None:
        """The deal that closed it."""
        return self.steps[-1].deal if self.open_volume == 0 else None

    @property
    def closed_at(self) -> datetime | None:
        return self.end.at if self.end else None

    def add(self, deal: DealRecord, volume: Decimal) -> None:
        """The deal opened so much."""
        kind = PositionEventKind.INCREASED if self.fills else PositionEventKind.OPENED
        self.fills.append((volume, deal.price))
        self.steps.append(Step(kind, deal, volume))

    def reduce(self, deal: DealRecord, volume: Decimal) -> None:
        """The deal closed so much."""
        self.exits.append((volume, deal.price))
        kind = PositionEventKind.REDUCED if self.open_volume else PositionEventKind.CLOSED
        self.steps.append(Step(kind, deal, volume))

    def book(self, deal: DealRecord) -> None:
        """The deal's money."""
        self.profit += deal.profit
        self.swap += deal.swap
        self.commission += deal.commission
        self.fee += deal.fee


def fold(position_id: int, deals: Sequence[DealRecord]) -> list[Leg]:
    """The legs of a position, the first one first."""
    legs: list[Leg] = []
    for deal in sorted(deals, key=lambda deal: deal.deal_id):
        leg = legs[-1] if legs else None
        if deal.entry == DealEntry.IN:
            if leg is None or not leg.open_volume:
                leg = _opened(legs, position_id, deal)
            leg.add(deal, deal.volume)
            leg.book(deal)
        elif leg is not None:
            _close(legs, leg, position_id, deal)
    return legs


def _close(legs: list[Leg], leg: Leg, position_id: int, deal: DealRecord) -> None:
    closed = min(deal.volume, leg.open_volume)
    if closed:
        leg.reduce(deal, closed)
    leg.book(deal)
    if deal.entry == DealEntry.INOUT and closed and deal.volume > closed:
        _opened(legs, position_id, deal).add(deal, deal.volume - closed)


def _opened(legs: list[Leg], position_id: int, deal: DealRecord) -> Leg:
    leg = Leg(position_id if not legs else -deal.deal_id, deal)
    legs.append(leg)
    return leg


def average(fills: Sequence[tuple[Decimal, Decimal]]) -> Decimal | None:
    """The price of (volume, price) pairs weighted by volume, two digits finer than they are when it is no round one."""
    total = sum((volume for volume, _ in fills), ZERO)
    if not total:
        return None
    places = min(_exponent(price) for _, price in fills)
    exact = sum((volume * price for volume, price in fills), ZERO) / total
    rough, fine = (exact.quantize(Decimal(1).scaleb(digits), ROUND_HALF_UP) for digits in (places, places - 2))
    return rough if rough == fine else fine


def _exponent(price: Decimal) -> int:
    exponent = price.as_tuple().exponent
    assert isinstance(exponent, int)
    return min(exponent, 0)
