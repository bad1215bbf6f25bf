"""Through the worker's pipes: closing, moving levels, withdrawing; done twice is done once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from terminal.protocol import GatewayError, OrderType, Side
from tests.terminal_mt5.stage import LOGIN, MAGIC, SERVER, Pipe, Stage, order, staged

D = Decimal
# The first target of the order with the number 1.
TARGET = (MAGIC << 1 | 1 << 44) + 1
ACT = 3 * MAGIC + 7


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as made:
        yield made


@pytest.fixture
async def worker(stage: Stage) -> Pipe:
    return await stage.worker()


def sends(stage: Stage) -> int:
    return sum(call == "order_send" for _, call in stage.broker.calls)


async def ticket_of(worker: Pipe, number: int = 1, **changes: Any) -> int:
    ticket = (await worker.send(order(number, **changes))).ticket
    assert ticket is not None
    return ticket


async def test_a_position_is_closed_in_parts(stage: Stage, worker: Pipe) -> None:
    ticket = await ticket_of(worker, volume=D("0.1"))
    stage.broker.set_price("EURUSD", D("1.08600"), D("1.08610"))
    for volume, reason in (("0.005", "volume_not_in_steps"), ("0.2", "volume_above_open"), ("0", "volume_not_in_steps"),
                           ("-0.1", "volume_not_in_steps")):
        refused = await worker.act("close", ticket=ticket, volume=volume)
        assert (refused.status, refused.retcode, refused.reason) == ("rejected", 10038, reason), volume
    part = await worker.act("close", ticket=ticket, volume="0.04")
    assert (part.status, part.retcode, part.volume, part.price, part.ticket) == (
        "filled", 10009, D("0.04"), D("1.08600"), ticket)
    stage.broker.change_symbol("EURUSD", volume_min=D("0.05"))
    refused = await worker.act("close", ticket=ticket, volume="0.05")
    assert (refused.retcode, refused.reason) == (10038, "remainder_below_minimum")
    rest = await worker.act("close", ticket=ticket, volume=None)
    assert (rest.volume, rest.error) == (D("0.06"), None)
    assert await worker.ask("positions") == []
    before = sends(stage)
    again = await worker.act("close", ticket=ticket, volume=None)
    assert (again.status, again.retcode, again.ticket, again.volume) == ("filled", 10036, ticket, None)
    assert sends(stage) == before


@pytest.mark.parametrize("fault", [None, "no_answer", "timeout_after_fill", "late_fill"])
async def test_a_target_is_taken_once_whatever_the_broker_answers(stage: Stage, fault: str | None) -> None:
    stage.broker.add_account("5030", "net", server=SERVER, mode="netting")
    worker = await stage.worker(login="5030", password="net")
    ticket = await ticket_of(worker, volume=D("0.09"), take_profits=[D("1.086"), D("1.09"), D("1.1")])
    stage.broker.set_price("EURUSD", D("1.08600"), D("1.08610"))
    ask = {"ticket": ticket, "volume": "0.03", "magic": TARGET}
    if fault is not None:
        stage.broker.faults.add("5030", fault, seconds=0.3)
        with pytest.raises(GatewayError) as unclear:
            await worker.act("take_target", **ask)
        assert unclear.value.ambiguous
    for turn in range(4):
        if turn == (0 if fault == "no_answer" else 2):
            worker = await stage.worker(login="5030", password="net")  # one that remembers nothing
        try:
            taken = await worker.act("take_target", **ask)
        except GatewayError as error:
            assert error.ambiguous and turn < 2
            await asyncio.sleep(0.4)
            continue
        assert (taken.status, taken.volume, taken.price, taken.ticket) == ("filled", D("0.03"), D("1.08600"), ticket)
    (held,) = stage.broker.book.positions_of(5030)
    assert held.volume == D("0.06") and held.magic == MAGIC | 1
    found = await worker.find(TARGET)
    assert found is not None and found.volume == D("0.03")
    opened = await worker.find(MAGIC | 1)
    assert opened is not None and opened.volume == D("0.09"), "its order is what it was"
    rows = await worker.ask("deals", since=datetime.now(UTC) - timedelta(minutes=5))
    assert [(row["entry"], row["reason"], row["magic"]) for row in rows] == [
        ("in", "signal", MAGIC | 1), ("out", "take_profit", TARGET)]


async def test_a_target_that_was_refused_may_be_tried_again(stage: Stage, worker: Pipe) -> None:
    ticket = await ticket_of(worker)
    stage.broker.faults.add(LOGIN, "reject")
    refused = await worker.act("take_target", ticket=ticket, volume="0.03", magic=TARGET)
    assert refused.status == "rejected"
    for volume, reason in (("0.2", "volume_above_open"), ("0.005", "volume_not_in_steps")):
        refused = await worker.act("take_target", ticket=ticket, volume=volume, magic=TARGET)
        assert (refused.status, refused.reason) == ("rejected", reason)
    with pytest.raises(GatewayError):
        await worker.act("take_target", ticket=ticket, volume="0.03", magic=MAGIC | 1)
    taken = await worker.act("take_target", ticket=ticket, volume="0.03", magic=TARGET)
    assert (taken.status, taken.volume) == ("filled", D("0.03"))


@pytest.mark.parametrize("fault", [None, "no_answer", "timeout_after_fill", "late_fill", "partial_fill"])
async def test_a_close_that_bears_a_number_is_found_by_it(stage: Stage, fault: str | None) -> None:
    """On a netting account, where somebody adds to the position before anybody looks."""
    stage.broker.add_account("5031", "net", server=SERVER, mode="netting")
    worker = await stage.worker(login="5031", password="net")
    ticket = await ticket_of(worker, volume=D("0.10"))
    ask = {"ticket": ticket, "volume": "0.04", "magic": ACT}
    done = D("0.02") if fault == "partial_fill" else D("0.04")
    if fault is not None:
        stage.broker.faults.add("5031", fault, seconds=0.2)
    if fault in (None, "partial_fill"):
        assert (await worker.act("close", **ask)).volume == done
    else:
        with pytest.raises(GatewayError) as unclear:
            await worker.act("close", **ask)
        assert unclear.value.ambiguous
        worker = await stage.worker(login="5031", password="net")
    assert await worker.find(ACT + 1) is None
    while (found := await worker.find(ACT)) is None:  # the broker is still at it
        await asyncio.sleep(0.02)
    stage.broker.by_hand("5031", "EURUSD", "buy", D("0.50"))
    again = await worker.act("close", **ask)
    assert (found.status, found.volume, found.ticket) == (again.status, again.volume, again.ticket) == (
        "filled", done, ticket)
    (held,) = stage.broker.book.positions_of(5031)
    assert held.volume == D("0.60") - done
    rows = await worker.ask("deals", since=datetime.now(UTC) - timedelta(minutes=5))
    assert [(row["entry"], row["reason"], row["magic"]) for row in rows] == [
        ("in", "signal", MAGIC | 1), ("out", "client", ACT), ("in", "client", 0)]


async def test_a_marked_close_that_was_refused_may_be_tried_again(stage: Stage, worker: Pipe) -> None:
    ticket = await ticket_of(worker)
    stage.broker.faults.add(LOGIN, "reject")
    assert (await worker.act("close", ticket=ticket, volume=None, magic=ACT)).status == "rejected"
    with pytest.raises(GatewayError):
        await worker.act("close", ticket=ticket, volume=None, magic=MAGIC | 1)
    assert (await worker.act("close", ticket=ticket, volume=None, magic=ACT)).volume == D("0.1")


async def test_a_target_that_was_taken_days_ago_is_taken(stage: Stage) -> None:
    """As it is asked for by a desk whose database comes from an older backup."""
    worker = await stage.worker()
    ticket = await ticket_of(worker)
    ask = {"ticket": ticket, "volume": "0.03", "magic": TARGET}
    await worker.act("take_target", **ask)
    before = sends(stage)
    for deal in stage.broker.book.deals.values():
        deal.at_msc -= 10 * 86_400_000
    for row in stage.broker.book.ended.values():
        row.done_msc -= 10 * 86_400_000
    worker = await stage.worker()
    taken = await worker.act("take_target", **ask)
    assert (taken.status, taken.volume) == ("filled", D("0.03")) and sends(stage) == before


async def test_a_target_that_left_no_trace_may_be_tried_again_much_later(stage: Stage) -> None:
    program = "import sys; from terminal.mt5 import trading, worker; trading.UNCLEAR_SECONDS = 5.0; "
    worker = await stage.worker(program=("-c", program + "sys.exit(worker.main())"))
    ticket = await ticket_of(worker)
    stage.broker.faults.add(LOGIN, "lost_order")
    before = sends(stage)
    for _ in range(2):
        with pytest.raises(GatewayError) as unclear:
            await worker.act("take_target", ticket=ticket, volume="0.03", magic=TARGET)
        assert unclear.value.ambiguous and sends(stage) == before + 1
    await asyncio.sleep(5.1)
    taken = await worker.act("take_target", ticket=ticket, volume="0.03", magic=TARGET)
    assert (taken.status, taken.volume) == ("filled", D("0.03")) and sends(stage) == before + 2


async def test_a_position_that_closes_meanwhile_is_done(stage: Stage, worker: Pipe) -> None:
    """Between the last look and the order somebody else closes it: the trade server says so."""
    ticket = await ticket_of(worker)
    take = stage.broker.faults.take

    class Rival:
        def take(self, login: int, call: str) -> object:
            if call == "order_send":
                stage.broker.by_hand(LOGIN, "EURUSD", "sell", D("0.1"), ticket=ticket)
            return take(login, call)

    stage.broker.faults = Rival()  # type: ignore[assignment]
    done = await worker.act("close", ticket=ticket, volume=None)
    assert (done.status, done.retcode) == ("filled", 10036)


async def test_a_close_tries_again_only_what_was_refused(stage: Stage, worker: Pipe) -> None:
    faults = stage.broker.faults
    tickets = [await ticket_of(worker, number) for number in range(1, 4)]
    for ticket, (kind, sent) in zip(tickets, [("requote", 2), ("invalid_fill", 2), ("price_off", 2)], strict=True):
        before = sends(stage)
        faults.add(LOGIN, kind, 1)
        assert (await worker.act("close", ticket=ticket, volume=None)).status == "filled"
        assert sends(stage) == before + sent, kind
    # What may have been done is not tried again; looking shows what became of it.
    ticket, before = await ticket_of(worker, 9, volume=D("0.2")), sends(stage) + 1
    faults.add(LOGIN, "timeout_after_fill", 1)
    with pytest.raises(GatewayError) as caught:
        await worker.act("close", ticket=ticket, volume="0.1")
    assert caught.value.ambiguous and sends(stage) == before
    (held,) = await worker.ask("positions")
    assert held["volume"] == "0.1"


async def test_a_part_of_a_close_is_told(stage: Stage, worker: Pipe) -> None:
    ticket = await ticket_of(worker, volume=D("0.3"))
    stage.broker.faults.add(LOGIN, "partial_fill", 1)
    result = await worker.act("close", ticket=ticket, volume=None)
    assert (result.status, result.retcode, result.volume) == ("filled", 10010, D("0.15"))
    assert result.error == "Only 0.15 of 0.3 lots were filled."


async def test_another_positions_close_does_not_look_like_an_order(stage: Stage, worker: Pipe) -> None:
    ticket = await ticket_of(worker, 5, volume=D("0.2"))
    await worker.act("close", ticket=ticket, volume="0.1")
    found = await worker.find(order(5).magic)
    assert found is not None and found.volume == D("0.2"), "what was opened, not what was closed"


async def test_the_oldest_first_where_the_broker_demands_it(stage: Stage) -> None:
    stage.broker.add_account("5040", "fifo", server=SERVER, fifo_close=True)
    worker = await stage.worker(login="5040", password="fifo")
    first, second = await ticket_of(worker, 1), await ticket_of(worker, 2)
    refused = await worker.act("close", ticket=second, volume=None)
    assert (refused.status, refused.retcode) == ("rejected", 10045)
    for ticket in (first, second):
        assert (await worker.act("close", ticket=ticket, volume=None)).status == "filled"


async def test_close_only_symbols_can_be_closed(stage: Stage, worker: Pipe) -> None:
    ticket = await ticket_of(worker)
    stage.broker.change_symbol("EURUSD", trade_mode=3)
    assert (await worker.act("close", ticket=ticket, volume=None)).status == "filled"


async def levels(worker: Pipe, ticket: int, stop: str | None, target: str | None) -> Any:
    return await worker.act("modify", ticket=ticket, stop_loss=stop, take_profit=target)


async def test_levels_are_moved_both_at_once(stage: Stage, worker: Pipe) -> None:
    ticket = await ticket_of(worker, stop_loss=D("1.08"), take_profits=[D("1.09")])
    done = await levels(worker, ticket, "1.0810049", "1.09")
    assert (done.status, done.retcode, done.ticket) == ("filled", 10009, ticket)
    held = stage.broker.book.positions[ticket]
    assert (held.sl, held.tp) == (D("1.081"), D("1.09")), "a price the symbol can have; the other level stays"
    before = sends(stage)
    assert (await levels(worker, ticket, "1.081", "1.09")).retcode == 10025
    assert sends(stage) == before
    await levels(worker, ticket, None, "1.09")
    assert (held.sl, held.tp) == (D(0), D("1.09"))
    await levels(worker, ticket, None, None)
    assert (held.sl, held.tp) == (D(0), D(0))
    for stop, target, reason in [("1.086", None, "stop_beyond_price"), ("1.08495", None, "stop_too_close"),
                                 (None, "1.08", "target_passed"), (None, "1.08505", "target_too_close")]:
        refused = await levels(worker, ticket, stop, target)
        assert (refused.status, refused.retcode, refused.reason) == ("rejected", 10016, reason)
    short = await ticket_of(worker, 2, side=Side.SELL)
    assert (await levels(worker, short, "1.09", "1.08")).status == "filled"
    gone = await levels(worker, 42, "1.08", None)
    assert (gone.status, gone.retcode, gone.reason) == ("rejected", 10036, "position_closed")


async def test_a_level_that_came_near_by_itself_does_not_stand_in_the_way(stage: Stage, worker: Pipe) -> None:
    ticket = await ticket_of(worker, stop_loss=D("1.08"), take_profits=[D("1.09")])
    stage.broker.set_price("EURUSD", D("1.08005"), D("1.08015"))
    assert (await levels(worker, ticket, "1.08", "1.095")).status == "filled"
    stage.broker.change_symbol("EURUSD", freeze_level=10)
    frozen = await levels(worker, ticket, "1.07", "1.095")
    assert (frozen.status, frozen.retcode, frozen.reason) == ("rejected", 10029, "too_close_to_change")
    frozen = await worker.act("close", ticket=ticket, volume=None)
    assert (frozen.status, frozen.retcode, frozen.reason) == ("rejected", 10029, "too_close_to_change")


async def test_a_waiting_order_is_withdrawn(stage: Stage, worker: Pipe) -> None:
    limit = {"order_type": OrderType.LIMIT, "price": D("1.08")}
    first, second = await ticket_of(worker, 1, **limit), await ticket_of(worker, 2, **limit)
    done = await worker.act("cancel", ticket=first)
    assert (done.status, done.retcode, done.ticket) == ("filled", 10009, first)
    before = sends(stage)
    assert (await worker.act("cancel", ticket=first)).status == "filled", "it is withdrawn already"
    stage.broker.set_price("EURUSD", D("1.07990"), D("1.08000"))
    executed = await worker.act("cancel", ticket=second)
    assert (executed.status, executed.retcode, executed.reason) == ("rejected", 10035, "order_executed")
    unknown = await worker.act("cancel", ticket=77)
    assert (unknown.status, unknown.retcode, unknown.reason) == ("rejected", 10035, "order_unknown")
    assert sends(stage) == before


@pytest.mark.parametrize(("kind", "code"), [
    ("timeout_after_fill", "terminal_away"), ("no_answer", "terminal_lost"), ("lost_order", "terminal_away"),
    ("disconnect", "terminal_away")])
async def test_what_may_have_been_done_is_said_to_be_unclear(stage: Stage, worker: Pipe, kind: str, code: str) -> None:
    ticket, waiting = await ticket_of(worker), await ticket_of(worker, 2, order_type=OrderType.LIMIT, price=D("1.08"))
    asked: list[tuple[str, dict[str, Any]]] = [
        ("close", {"ticket": ticket, "volume": None}),
        ("modify", {"ticket": ticket, "stop_loss": "1.07", "take_profit": None}), ("cancel", {"ticket": waiting})]
    for op, args in asked if kind == "timeout_after_fill" else asked[:1]:
        stage.broker.faults.add(LOGIN, kind, 1, seconds=0.1)
        before = sends(stage)
        try:
            await worker.act(op, **args)
        except GatewayError as error:
            assert (error.code, error.ambiguous, error.permanent) == (code, True, False), op
        else:
            # A position that is closed has no levels to move.
            assert op == "modify" and ticket not in stage.broker.book.positions
        assert sends(stage) - before <= 1, op
