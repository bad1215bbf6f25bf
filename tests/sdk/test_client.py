"""The client at a real desk's door, with the real worker at the sandbox's broker."""

from decimal import Decimal

from models.order import OrderStatus
from tests.sdk.floor import Floor


async def test_a_device_pairs_reports_trades_and_says_when_it_is_closed(floor: Floor) -> None:
    await floor.serve()
    order_id = await floor.approve()
    order = await floor.until_order(order_id, OrderStatus.FILLED)
    assert floor.traded(order.magic) == order.volume == Decimal("0.10")
    [position] = floor.broker.book.positions.values()
    assert order.ticket == position.ticket and order.fill_price == position.price_open
    floor.set_gold("2450.10")
    order = await floor.until_order(order_id, OrderStatus.CLOSED)
    assert (order.reason, order.profit is not None and order.profit > 0) == ("take_profit", True)
    assert await floor.acks(order_id) == ["filled", "closed"]
