"""Levels that are no prices of the symbol: what reaches the broker is what was checked."""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.ea.desk.stage import signal, trading
from tests.ea.desk.test_trades import positions
from tests.ea.terminal import opened
from tests.webapp.conftest import Door

D = Decimal


@pytest.mark.parametrize("side", ["buy", "sell"])
async def test_what_rounds_to_nothing_is_refused(door: Door, expert: Path, tmp_path: Path, side: str) -> None:
    """A stop of less than half a point would be none at the broker, and none may be sent here; so with a target."""
    async with trading(door, expert, tmp_path) as made:
        tiny = {"stop_loss": "0.000001"} if side == "buy" else {"take_profits": ["0.000001"]}
        order = await made.becomes(await made.approve(**{**signal(made.broker, side=side), **tiny}),
                                   "rejected", "filled")
        assert (order.status, order.reason) == ("rejected", "invalid_price")
        assert not opened(made.broker)


async def test_levels_between_two_prices_go_to_the_nearer_one(door: Door, expert: Path, tmp_path: Path) -> None:
    async with trading(door, expert, tmp_path) as made:
        levels = {"stop_loss": "1.074344", "take_profits": ["1.095556"]}
        await made.becomes(await made.approve(**{**signal(made.broker), **levels}), "filled")
        assert [(one.sl, one.tp) for one in positions(made.broker)] == [(D("1.07434"), D("1.09556"))]
