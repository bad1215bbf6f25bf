"""Through the worker's pipes: filling modes, moved prices, parts, netting, and finding what was sent."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from terminal.protocol import GatewayError, OrderType, Side, TradeResult
from tests.terminal_mt5.stage import LOGIN, MAGIC, SERVER, Pipe, Stage, order, staged

D = Decimal
RETURN, FOK, IOC = 2, 0, 1


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as made:
        yield made


@pytest.fixture
async def worker(stage: Stage) -> Pipe:
    return await stage.worker()


def executed(stage: Stage, number: int, login: str = LOGIN) -> list[D]:
    """The volumes of every execution of one order, whichever leg."""
    return [row.volume_initial - row.volume_current for row in stage.broker.orders_executed(login)
            if row.magic & ~(0xF << 44) == MAGIC | number]


def sends(stage: Stage) -> int:
    return sum(call == "order_send" for _, call in stage.broker.calls)


async def test_the_filling_mode_follows_the_brokers_mask(stage: Stage, worker: Pipe) -> None:
    request, instant, market, exchange = range(4)
    cases = [(market, 1, FOK), (market, 2, IOC), (market, 3, FOK), (request, 0, FOK), (instant, 2, FOK),
             (exchange, 1, FOK), (exchange, 2, IOC), (exchange, 0, RETURN)]
    for number, (execution, mask, filling) in enumerate(cases, start=1):
        stage.broker.change_symbol("EURUSD", execution=execution, filling=mask)
        before = sends(stage)
        assert (await worker.send(order(number, volume=D("0.01")))).status == "filled", (execution, mask)
        assert stage.broker.orders_executed(LOGIN)[-1].filling == filling, (execution, mask)
        assert sends(stage) == before + 1, "the right one at once"
        result = await worker.act("close", ticket=stage.broker.orders_executed(LOGIN)[-1].ticket, volume=None)
        assert result.status == "filled"
    stage.broker.change_symbol("EURUSD", execution=market, filling=2)
    await worker.send(order(50, order_type=OrderType.LIMIT, price=D("1.08")))
    assert next(iter(stage.broker.book.pending.values())).filling == RETURN


async def test_another_filling_is_tried_once(stage: Stage, worker: Pipe) -> None:
    stage.broker.faults.add(LOGIN, "invalid_fill", 1)
    assert (await worker.send(order(1))).status == "filled"
    assert executed(stage, 1) == [D("0.1")] and sends(stage) == 2
    stage.broker.faults.add(LOGIN, "invalid_fill", 2)
    refused = await worker.send(order(2))
    assert (refused.status, refused.retcode, refused.reason) == ("rejected", 10030, None)
    assert executed(stage, 2) == [] and sends(stage) == 4


@pytest.mark.parametrize("kind", ["requote", "price_off"])
async def test_a_price_that_moved_is_asked_for_again(stage: Stage, worker: Pipe, kind: str) -> None:
    stage.broker.faults.add(LOGIN, kind, 2)
    assert (await worker.send(order(1))).status == "filled"
    assert executed(stage, 1) == [D("0.1")] and sends(stage) == 3


async def test_three_new_prices_are_enough(stage: Stage, worker: Pipe) -> None:
    stage.broker.faults.add(LOGIN, "requote", 9)
    started = datetime.now(UTC)
    refused = await worker.send(order(1))
    assert (refused.status, refused.retcode, refused.reason) == ("rejected", 10004, None)
    assert sends(stage) == 4 and executed(stage, 1) == []
    assert datetime.now(UTC) - started >= timedelta(seconds=1.75)


async def test_a_price_that_runs_away_is_not_followed(stage: Stage, worker: Pipe) -> None:
    """An instant broker requotes until the price is right; the order does not go where it was not sent."""
    stage.broker.change_symbol("EURUSD", execution=1)

    class Moves:
        """The market moves up thirty points whenever an order arrives."""

        def take(self, login: int, call: str) -> None:
            if call == "order_send":
                stage.broker.set_price("EURUSD", D("1.08530"), D("1.08540"))

    stage.broker.faults = Moves()  # type: ignore[assignment]
    refused = await worker.send(order(1))
    assert (refused.status, refused.retcode, refused.reason) == ("rejected", 10004, "price_moved")
    assert executed(stage, 1) == []


async def test_a_price_that_came_nearer_is_taken(stage: Stage, worker: Pipe) -> None:
    stage.broker.faults.add(LOGIN, "requote", 1)
    stage.broker.change_symbol("EURUSD", execution=1)
    stage.broker.set_price("EURUSD", D("1.08400"), D("1.08410"))
    result = await worker.send(order(1, price=D("1.0851")))
    assert (result.status, result.price) == ("filled", D("1.08410"))


async def test_a_refusal_is_a_refusal(stage: Stage, worker: Pipe) -> None:
    stage.broker.faults.add(LOGIN, "reject", 1)
    refused = await worker.send(order(1))
    assert (refused.status, refused.retcode, refused.reason) == ("rejected", 10006, None)
    assert refused.error == "The broker rejected the order." and sends(stage) == 1


async def test_a_part_is_filled_and_not_topped_up(stage: Stage, worker: Pipe) -> None:
    stage.broker.faults.add(LOGIN, "partial_fill", 1)
    result = await worker.send(order(1, volume=D("0.3")))
    assert (result.status, result.retcode, result.volume) == ("filled", 10010, D("0.15"))
    assert result.error == "Only 0.15 of 0.3 lots were filled."
    assert executed(stage, 1) == [D("0.15")] and sends(stage) == 1
    found = await worker.find(MAGIC | 1)
    assert found is not None and (found.volume, found.price, found.ticket) == (D("0.15"), result.price, result.ticket)


async def test_one_leg_for_each_target(stage: Stage, worker: Pipe) -> None:
    targets = [D("1.086"), D("1.087"), D("1.088")]
    result = await worker.send(order(9, volume=D("0.08"), take_profits=targets, stop_loss=D("1.08"),
                                     comment="A comment that is much too long"))
    legs = stage.broker.book.positions_of(int(LOGIN))
    assert [(leg.volume, leg.tp, leg.sl) for leg in legs] == [
        (D("0.03"), D("1.086"), D("1.08")), (D("0.03"), D("1.087"), D("1.08")), (D("0.02"), D("1.088"), D("1.08"))]
    assert [leg.magic - (MAGIC | 9) for leg in legs] == [0, 1 << 44, 2 << 44]
    assert all(len(leg.comment) <= 29 for leg in legs)
    assert (result.status, result.volume, result.ticket, result.error) == ("filled", D("0.08"), legs[0].ticket, None)
    found = await worker.find(MAGIC | 9)
    assert found is not None and (found.volume, found.ticket) == (D("0.08"), legs[0].ticket)
    assert await worker.send(order(9, volume=D("0.08"), take_profits=targets)) == found, "nothing is sent twice"
    assert executed(stage, 9) == [D("0.03"), D("0.03"), D("0.02")]
    assert {row["magic"] for row in await worker.ask("positions")} == {MAGIC | 9}


async def test_legs_are_never_below_the_minimum(stage: Stage, worker: Pipe) -> None:
    stage.broker.change_symbol("EURUSD", volume_min=D("0.04"))
    await worker.send(order(1, volume=D("0.1"), take_profits=[D("1.086"), D("1.087"), D("1.088")]))
    assert executed(stage, 1) == [D("0.05"), D("0.05")]
    await worker.send(order(2, volume=D("0.05"), take_profits=[D("1.086"), D("1.087")]))
    assert executed(stage, 2) == [D("0.05")]
    # Twenty targets do not fit into the numbers of legs: the first fifteen do.
    stage.broker.change_symbol("EURUSD", volume_min=D("0.01"))
    await worker.send(order(3, volume=D("0.2"), take_profits=[D("1.086") + n * D("0.0001") for n in range(20)]))
    assert len(executed(stage, 3)) == 15 and sum(executed(stage, 3)) == D("0.2")


async def test_a_later_leg_that_is_refused_leaves_less(stage: Stage, worker: Pipe) -> None:
    broker, account = stage.broker, stage.broker.book.accounts[int(LOGIN)]
    take = broker.faults.take

    class AfterOne:
        def take(self, login: int, call: str) -> object:
            if call == "order_send" and len(broker.book.positions_of(account.login)) == 1:
                broker.faults, account.trade_allowed = real, False
            return take(login, call)

    real, broker.faults = broker.faults, AfterOne()  # type: ignore[assignment]
    result = await worker.send(order(1, volume=D("0.1"), take_profits=[D("1.086"), D("1.087")]))
    assert (result.status, result.volume) == ("filled", D("0.05"))
    assert result.error == "Only 1 of 2 parts were executed. Trading is switched off for this account."


async def test_waiting_legs(stage: Stage, worker: Pipe) -> None:
    result = await worker.send(order(1, order_type=OrderType.LIMIT, price=D("1.08"), volume=D("0.04"),
                                     take_profits=[D("1.086"), D("1.087")]))
    tickets = sorted(stage.broker.book.pending)
    assert (result.status, result.retcode, result.ticket, len(tickets)) == ("placed", 10008, tickets[0], 2)
    found = await worker.find(MAGIC | 1)
    assert found is not None and (found.status, found.ticket) == ("placed", tickets[0])
    stage.broker.set_price("EURUSD", D("1.07990"), D("1.08000"))
    found = await worker.find(MAGIC | 1)
    assert found is not None and (found.status, found.volume) == ("filled", D("0.04"))


async def test_what_became_of_a_waiting_order(stage: Stage, worker: Pipe) -> None:
    limit = {"order_type": OrderType.LIMIT, "price": D("1.08")}
    soon = datetime.now(UTC) + timedelta(seconds=3)
    await worker.send(order(1, **limit, expires_at=soon))
    second = await worker.send(order(2, **limit))
    await worker.act("cancel", ticket=second.ticket)
    for row in stage.broker.book.pending.values():
        row.expires_msc -= 10_000
    stage.broker.set_price("EURUSD", D("1.08500"), D("1.08510"))
    ended = [await worker.find(MAGIC | number) for number in (1, 2, 3)]
    assert [(one.status, one.retcode, one.reason) if one else None for one in ended] == [
        ("rejected", 10022, "not_reached_in_time"), ("rejected", 10007, "cancelled"), None]


async def test_a_netting_account_has_one_position_a_symbol(stage: Stage) -> None:
    stage.broker.add_account("5030", "net", server=SERVER, mode="netting")
    worker = await stage.worker(login="5030", password="net")
    first = await worker.send(order(2, volume=D("0.1"), take_profits=[D("1.09")]))
    stage.broker.set_price("EURUSD", D("1.08600"), D("1.08610"))
    second = await worker.send(order(3, volume=D("0.3")))
    assert first.ticket == second.ticket
    (held,) = await worker.ask("positions")
    assert (held["volume"], held["entry_price"]) == ("0.4", "1.08585")
    # Each order's share is told by its own deals, not by the position they became.
    for number, volume, price in ((2, "0.1", "1.08510"), (3, "0.3", "1.08610")):
        found = await worker.find(MAGIC | number)
        assert found is not None and (found.volume, found.price) == (D(volume), D(price))
    turned = await worker.send(order(4, side=Side.SELL, volume=D("0.5")))
    assert (turned.status, turned.volume, turned.ticket) == ("filled", D("0.5"), first.ticket)
    (held,) = await worker.ask("positions")
    assert (held["side"], held["volume"], held["entry_price"]) == ("sell", "0.1", "1.08600")
    found = await worker.find(MAGIC | 4)
    assert found is not None and found.volume == D("0.5")
    rows = await worker.ask("deals", since=datetime.now(UTC) - timedelta(minutes=5))
    assert [row["entry"] for row in rows] == ["in", "in", "inout"]
    closed = await worker.act("close", ticket=first.ticket, volume=None)
    assert closed.status == "filled" and await worker.ask("positions") == []
    assert set(executed(stage, 3, "5030")) == {D("0.3")}


@pytest.mark.parametrize(("volume", "last"), [("0.09", "1.1"), ("0.02", "1.095"), ("0.01", "1.09")])
@pytest.mark.parametrize("kind", [OrderType.MARKET, OrderType.LIMIT])
async def test_on_a_netting_account_the_broker_has_the_last_target(stage: Stage, kind: OrderType, volume: str,
                                                                  last: str) -> None:
    """The last that the volume reaches: what is left for it is the same as on an account that hedges."""
    stage.broker.add_account("5030", "net", server=SERVER, mode="netting")
    worker = await stage.worker(login="5030", password="net")
    targets = [D("1.09"), D("1.095"), D("1.1")]
    await worker.send(order(1, volume=D(volume), take_profits=targets, stop_loss=D("1.07"), order_type=kind,
                            price=D("1.08") if kind == OrderType.LIMIT else None))
    stage.broker.set_price("EURUSD", D("1.07990"), D("1.08000"))
    (held,) = stage.broker.book.positions_of(5030)
    assert (held.volume, held.tp, held.sl, held.magic) == (D(volume), D(last), D("1.07"), MAGIC | 1)
    assert executed(stage, 1, "5030") == [D(volume)] and held.comment == "CS1"


async def test_an_order_is_found_however_its_position_ended(stage: Stage, worker: Pipe) -> None:
    sent_at = datetime.now(UTC)
    await worker.send(order(1, volume=D("0.2"), stop_loss=D("1.08")))
    stage.broker.set_price("EURUSD", D("1.07900"), D("1.07910"))
    second = await worker.send(order(2))
    await worker.act("close", ticket=second.ticket, volume="0.04")
    for number, volume in ((1, "0.2"), (2, "0.1")):
        found = await worker.find(MAGIC | number, sent_at)
        assert found is not None and (found.status, found.volume) == ("filled", D(volume)), number
    assert await worker.find(MAGIC | 1, datetime.now(UTC) + timedelta(days=2)) is None
    assert await worker.find(MAGIC | 99) is None


async def test_a_broker_that_takes_its_time(stage: Stage, worker: Pipe) -> None:
    """The answer may be that an order is placed: its deal says what became of it, if it comes soon."""
    stage.broker.faults.add(LOGIN, "placed_then_fill", 1, seconds=0.5)
    soon = await worker.send(order(1))
    assert (soon.status, soon.volume, soon.price) == ("filled", D("0.1"), D("1.08510"))
    stage.broker.faults.add(LOGIN, "placed_then_fill", 1, seconds=8.0)
    with pytest.raises(GatewayError) as unclear:
        await worker.send(order(2))
    with pytest.raises(GatewayError) as on_its_way:
        await worker.find(MAGIC | 2)
    assert unclear.value.ambiguous and (on_its_way.value.code, on_its_way.value.retryable) == ("terminal_busy", True)
    assert await worker.ask("orders") == [], "it does not wait for a price"
    found = await in_the_end(worker, MAGIC | 2)
    assert found.volume == D("0.1") and executed(stage, 2) == [D("0.1")]


async def in_the_end(worker: Pipe, magic: int) -> TradeResult:
    """What became of an order; while the broker is still at it, it is asked again."""
    while True:
        try:
            if (found := await worker.find(magic)) is not None:
                return found
        except GatewayError as error:
            assert error.code == "terminal_busy"


async def test_a_second_send_of_what_is_unclear_is_not_sent(stage: Stage, worker: Pipe) -> None:
    stage.broker.faults.add(LOGIN, "late_fill", 1, seconds=1.0)
    with pytest.raises(GatewayError) as first:
        await worker.send(order(1))
    with pytest.raises(GatewayError) as second:
        await worker.send(order(1))
    assert first.value.ambiguous and second.value.ambiguous and sends(stage) == 1
    found = await in_the_end(worker, MAGIC | 1)
    assert found.volume == D("0.1") and executed(stage, 1) == [D("0.1")]
    assert await worker.send(order(1)) == found


async def test_a_comment_the_broker_changed_does_not_hide_an_order(stage: Stage, worker: Pipe) -> None:
    stage.broker.faults.add(LOGIN, "altered_comment", 1)
    result = await worker.send(order(1))
    assert next(iter(stage.broker.book.positions.values())).comment == "#broker"
    assert await worker.send(order(1)) == await worker.find(MAGIC | 1)
    assert result.status == "filled" and executed(stage, 1) == [D("0.1")]


def test_the_numbers_of_orders_do_not_meet() -> None:
    numbers = [order(number).magic + (leg << 44) for number in (1, 2, (1 << 44) - 1) for leg in range(16)]
    assert all(a != b for a, b in pairwise(sorted(numbers)))
