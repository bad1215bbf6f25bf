"""From a code that is typed in to a position that is closed: what the Expert does at the desk when all is well."""

from pathlib import Path

from tests.ea.desk.stage import signal, trading
from tests.ea.terminal import opened
from tests.webapp.conftest import Door


async def test_an_order_is_fetched_executed_and_told(door: Door, expert: Path, tmp_path: Path) -> None:
    async with trading(door, expert, tmp_path) as made:
        order_id = await made.approve(**signal(made.broker))
        order = await made.becomes(order_id, "filled")
        assert opened(made.broker) == {order.magic: 1}
