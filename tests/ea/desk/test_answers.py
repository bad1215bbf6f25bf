"""What the broker answers, and what is made of it: sent again, looked for, or given up."""

from pathlib import Path

import pytest

from tests.ea.desk.stage import signal, trading
from tests.ea.terminal import LOGIN, opened
from tests.webapp.conftest import Door


@pytest.mark.parametrize("retcode", [10011, 10012, 10023, 10028, 10031])
async def test_what_may_have_been_done_is_looked_for(door: Door, expert: Path, tmp_path: Path, retcode: int) -> None:
    async with trading(door, expert, tmp_path) as made:
        made.broker.faults.add(LOGIN, "timeout_after_fill", retcode=retcode)
        order = await made.becomes(await made.approve(**signal(made.broker)), "filled")
        assert opened(made.broker) == {order.magic: 1}


@pytest.mark.parametrize("retcode", [10004, 10015, 10020, 10021, 10024, 10029])
async def test_what_was_surely_not_done_is_sent_again(door: Door, expert: Path, tmp_path: Path, retcode: int) -> None:
    async with trading(door, expert, tmp_path) as made:
        made.broker.faults.add(LOGIN, "refuse", times=2, retcode=retcode)
        order = await made.becomes(await made.approve(**signal(made.broker)), "filled")
        assert opened(made.broker) == {order.magic: 1}
        assert [call for _, call in made.broker.calls].count("order_send") == 3
