"""A terminal that does not know everything yet: it was only just connected, and quotes have not moved."""

from decimal import Decimal
from pathlib import Path

from sandbox.mt5.broker import BY_PROGRAM
from sandbox.mt5.market import START
from sandbox.mt5.rules import DEAL, Request
from tests.ea.desk.between import Cut, Passing
from tests.ea.desk.stage import room, signal, trading
from tests.ea.terminal import LOGIN, opened
from tests.webapp.conftest import Door

D = Decimal


async def test_orders_are_fetched_once_the_terminal_has_heard_of_everything(door: Door, expert: Path,
                                                                          tmp_path: Path) -> None:
    async with room(door, expert, tmp_path) as made:
        await made.register()
        await made.terminal.start()

        async def polls() -> bool:
            return made.line.count("poll") > 0

        await made.shows("OK: the desk answers, last 3 s ago")
        assert made.line.count("poll") == 0
        await made.terminal.tell("advance 10000")
        await made.until("it asks for orders", polls)


async def test_an_order_that_the_broker_has_already_is_not_sent(door: Door, expert: Path, tmp_path: Path) -> None:
    """The desk was put back to a state in which nobody had begun it, and this terminal's files are new."""
    async with trading(door, expert, tmp_path) as made:
        async def cut(passing: Passing) -> Passing:
            if passing.name == "poll":
                raise Cut
            return passing

        made.line.after = cut
        order = await made.becomes(await made.approve(**signal(made.broker)), "leased")
        nothing = D(0)
        outcome = made.broker.engine.execute(made.broker.book.accounts[int(LOGIN)], Request(
            DEAL, "EURUSD", 0, D("0.10"), nothing, nothing, nothing, 0, order.magic, "", 0, 0, 0, 0, 0, 0, BY_PROGRAM))
        assert outcome.retcode == 10009
        made.line.after = None
        await made.lapse(order.id)
        order = await made.becomes(order.id, "filled")
        assert (order.ticket, opened(made.broker)) == (outcome.order, {order.magic: 1})
        assert made.line.count("begin") == 0


async def test_the_day_begins_once_a_quote_has_told_the_servers_clock(door: Door, expert: Path,
                                                                     tmp_path: Path) -> None:
    """A computer whose clock is ahead would begin tomorrow's."""
    async with room(door, expert, tmp_path, skew_seconds=40_000) as made:
        for symbol in START:
            made.broker.market.stop(symbol)
        await made.register()
        await made.terminal.start()
        await made.until("the terminal reports", made.has_reported)
        await made.shows("s ahead of the desk; waiting for a quote")
        assert "Today: not known yet" in await made.shown()
        made.broker.set_price("EURUSD", D("1.08500"), D("1.08510"))
        await made.shows("Today: lost 0.00")
