"""What a market allows before an order, and what a terminal's answer means after it.

The desk and a device judge alike.
"""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

from terminal.protocol import OrderType, ResultStatus, Side, TradeResult

# The trade server's refusals that are over in a moment: too many requests, locked, frozen, being changed.
BUSY = frozenset({10023, 10024, 10028, 10029, 10041})
# And the answers that leave open what was done.
AMBIGUOUS = frozenset({10011, 10012, 10031})


class Outcome(StrEnum):
    """``unclear``: it may have been executed, and has to be looked for. ``busy``: it has not, and may be tried
    again."""

    DONE = "done"
    REFUSED = "refused"
    BUSY = "busy"
    UNCLEAR = "unclear"


def outcome_of(result: TradeResult, order_type: str) -> Outcome:
    """What a terminal's answer to an order, or to the question for it, comes to."""
    if result.status == ResultStatus.REJECTED:
        if result.retcode in AMBIGUOUS:
            return Outcome.UNCLEAR
        return Outcome.BUSY if result.retcode in BUSY else Outcome.REFUSED
    # A market order that is only placed is on its way.
    is_on_its_way = result.status == ResultStatus.PLACED and order_type == OrderType.MARKET
    return Outcome.UNCLEAR if is_on_its_way else Outcome.DONE


def passed_level(side: str, stop: Decimal | None, targets: Sequence[Decimal], market: Decimal) -> str | None:
    """The code of why a market order makes no sense any more: the price has passed one of its levels."""
    sign = 1 if side == Side.BUY else -1
    if stop is not None and (market - stop) * sign <= 0:
        return "stop_beyond_price"
    if any((target - market) * sign <= 0 for target in targets):
        return "target_passed"
    return None
