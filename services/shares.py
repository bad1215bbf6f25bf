"""Whose a position is: each order's part in it, reckoned from the position's deals.

Where orders share a position (netting), what was opened first is closed first; what the desk closes at an order's
target is that order's. An order that only closed what others had opened has been set off against them.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from models.position import DealRecord
from terminal.protocol import DealEntry, DealReason

ZERO = Decimal(0)
# A magic is our tag, then in four bits which leg of the order it is, then the order; the last leg marks a close.
TAG_SHIFT, LEG_SHIFT, LEGS = 48, 44, 16
LEG_BITS = CLOSING = (LEGS - 1) << LEG_SHIFT
# What the desk closes at a target has a tag of its own, and the target's number, from 1, in the place of the leg.
TARGET_TAG, LOT = 2, (1 << LEG_SHIFT) - 1
# What somebody closes through the desk has a third one, and the act's number in the rest.
ACT_TAG = 3
FIRST, LAST = 1 << TAG_SHIFT, (2 << TAG_SHIFT) - 1


@dataclass(slots=True)
class Share:
    """An order's part. Of what it ``opened`` so much is ``left``; ``result`` is net of everything; ``end`` closed
    something last."""

    ticket: int
    fills: list[tuple[Decimal, Decimal]] = field(default_factory=list)
    left: Decimal = ZERO
    result: Decimal = ZERO
    end: DealRecord | None = None
    is_set_off: bool = False
    opened: Decimal = ZERO

    @property
    def volume(self) -> Decimal:
        """All that was executed, whether it opened something or closed another's."""
        return sum((volume for volume, _ in self.fills), ZERO)

    @property
    def price(self) -> Decimal:
        """The average price of its fills."""
        return sum((volume * price for volume, price in self.fills), ZERO) / self.volume

    def with_leg(self, other: "Share") -> "Share":
        """Both together: the same order in two positions."""
        ends = [end for end in (self.end, other.end) if end is not None]
        return Share(self.ticket, [*self.fills, *other.fills], self.left + other.left, self.result + other.result,
                     max(ends, key=lambda end: end.deal_id, default=None),
                     self.is_set_off and other.is_set_off, self.opened + other.opened)


@dataclass(slots=True)
class _Part:
    """What an order has opened and nobody has closed yet."""

    magic: int
    share: Share
    volume: Decimal


def magic_of_order(magic: int) -> int:
    """The magic of the order that a leg's magic belongs to; 0 where it is none of ours."""
    return magic & ~LEG_BITS if magic >> TAG_SHIFT == 1 else 0


def legs_of(magic: int) -> list[int]:
    """The magics an order's legs may have."""
    return [magic + (leg << LEG_SHIFT) for leg in range(LEGS)]


def target_magic(magic: int, target: int) -> int:
    """What marks the part that is closed at an order's target; ``target`` counts from 1."""
    return TARGET_TAG << TAG_SHIFT | target << LEG_SHIFT | magic & LOT


def target_of(magic: int) -> tuple[int, int] | None:
    """The magic of the order, and which of its targets, that a part was closed at; None where it is no such part."""
    if magic >> TAG_SHIFT != TARGET_TAG:
        return None
    return FIRST | magic & LOT, (magic & LEG_BITS) >> LEG_SHIFT


def new_act_magic() -> int:
    """A number to mark a close with at the trade server; drawn by lot, as those of orders are (services/orders)."""
    return ACT_TAG << TAG_SHIFT | 1 + secrets.randbelow((1 << TAG_SHIFT) - 1)


def of_position(deals: Iterable[DealRecord]) -> dict[int, Share]:
    """Each order's share by its magic; ``deals`` are those of one position in the order of their ids."""
    found: dict[int, Share] = {}
    opened: list[_Part] = []
    for deal in deals:
        magic, rest = magic_of_order(deal.magic), deal.volume
        # A closing deal carries its position's magic, or says so; one of another order is that order's execution.
        is_execution = deal.entry != DealEntry.OUT or (
            deal.reason == DealReason.SIGNAL and deal.magic & LEG_BITS != CLOSING
            and all(part.magic != magic for part in opened))
        if deal.entry != DealEntry.IN:
            rest = _close(opened, deal)
        if not is_execution:
            continue
        mine = found.setdefault(magic, Share(deal.position_id))
        mine.fills.append((deal.volume, deal.price))
        mine.is_set_off = deal.entry == DealEntry.OUT
        if mine.is_set_off:
            mine.end = deal
            continue
        opened.append(_Part(magic, mine, rest))
        mine.left += rest
        mine.opened += rest
        if deal.entry == DealEntry.IN:
            mine.result += deal.commission + deal.fee
    return found


def _close(opened: list[_Part], deal: DealRecord) -> Decimal:
    """Take a closing deal from what was opened first, with its money by volume; returns what it closes no more.

    At an order's target its own part comes before the others'.
    """
    closed = min(deal.volume, sum((part.volume for part in opened), ZERO))
    money, rest = deal.profit + deal.swap + deal.commission + deal.fee, closed
    owner, _ = target_of(deal.magic) or (None, 0)
    for part in sorted(opened, key=lambda part: part.magic != owner) if owner else list(opened):
        if rest == 0:
            break
        taken = min(part.volume, rest)
        part.share.result += money * taken / closed
        part.share.left -= taken
        part.share.end = deal
        part.volume -= taken
        rest -= taken
        if part.volume == 0:
            opened.remove(part)
    return deal.volume - closed
