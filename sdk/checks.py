"""What a device looks at before it begins an order: the market may have moved since the desk sized it."""

from dataclasses import dataclass
from decimal import Decimal

from sdk.messages import EaOrder
from terminal import maths
from terminal.judging import passed_level
from terminal.protocol import AccountSnapshot, OrderType, Side, SymbolSpec, Tick


class NotTraded(Exception):
    """The order is not traded; ``code`` says why, in the desk's words. ``for_now``: it may be, in a moment."""

    def __init__(self, code: str, *, for_now: bool = False) -> None:
        super().__init__(code)
        self.code, self.for_now = code, for_now


@dataclass(frozen=True, slots=True)
class Market:
    """An account and a symbol as they stand. ``loss_per_lot`` is what a lot loses at the stop, None without one."""

    account: AccountSnapshot
    spec: SymbolSpec
    tick: Tick
    loss_per_lot: Decimal | None = None

    def price(self, side: Side) -> Decimal:
        """What an order of this side would be filled at."""
        return self.tick.ask if side == Side.BUY else self.tick.bid


def start_of(order: EaOrder, market: Market) -> Decimal:
    """The price at which the order would open."""
    price = market.price(order.side)
    return price if order.order_type == OrderType.MARKET or order.entry_price is None else order.entry_price


def levels(order: EaOrder, market: Market) -> int:
    """How many points the price may still slip. NotTraded when a market order has missed its moment."""
    if order.order_type != OrderType.MARKET:
        return order.max_deviation_points
    price = market.price(order.side)
    code = passed_level(order.side, order.stop_loss, order.take_profits, price)
    if code is not None:
        raise NotTraded(code)
    if order.entry_price is None:
        return order.max_deviation_points
    left = order.max_deviation_points - abs(price - order.entry_price) / market.spec.point
    if left < 0:
        raise NotTraded("price_moved")
    return int(left)


def volume(order: EaOrder, market: Market) -> Decimal:
    """The order's lots, or as many whole steps fewer as keep its loss at the stop within its risk; never more."""
    lots, per_lot = order.volume, market.loss_per_lot
    if order.risk is not None and per_lot is not None and per_lot > 0:
        lots = min(lots, order.risk / per_lot)
    lots = maths.floor_to_step(lots, market.spec.volume_step)
    if lots < market.spec.volume_min:
        raise NotTraded("volume_below_minimum")
    return lots


def targets(order: EaOrder, market: Market, lots: Decimal) -> None:
    """On a netting account one target is the broker's, and a device takes no others: it may not be there then."""
    shares = maths.portions(lots, order.take_profits, market.spec.volume_step, market.spec.volume_min)
    if market.account.margin_mode != "hedging" and len(shares) > 1:
        raise NotTraded("targets_need_hedging")
