"""What the broker answers, and what is made of it: sent again, looked for, or given up."""

from pathlib import Path

import pytest

from sandbox.mt5.market import now_msc
from tests.ea.desk.stage import signal, trading
from tests.ea.desk.test_line import polls_more
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


async def test_what_is_not_found_while_the_broker_is_away_may_still_be_there(door: Door, expert: Path,
                                                                            tmp_path: Path) -> None:
    async with trading(door, expert, tmp_path) as made:
        made.broker.faults.add(LOGIN, "lost_order")
        order_id = await made.approve(**signal(made.broker))
        await made.shows("sent, and being looked for (10012)")
        await polls_more(made)
        made.broker.away_until[int(LOGIN)] = now_msc() + 600_000
        await polls_more(made)
        await made.terminal.tell("advance 20000")
        await polls_more(made)
        made.broker.away_until[int(LOGIN)] = 0
        await polls_more(made, 1)
        await made.terminal.tell("advance 12000")
        await polls_more(made)
        assert (await made.order(order_id)).status in ("sent", "unknown")
        await made.terminal.tell("advance 31000")
        assert (await made.becomes(order_id, "failed")).reason == "not_executed"
