"""The client at a real desk's door, with the real worker at the sandbox's broker."""

import time
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from models.order import OrderStatus
from sandbox.mt5.rules import Request
from sdk import Policy
from tests.sdk.brisk import BRISK
from tests.sdk.floor import LOGIN, Floor
from tests.sdk.gate import Gate

pytestmark = pytest.mark.asyncio(loop_scope="module")

D = Decimal
NONE = D(0)
LIMIT = {"order_type": "limit", "entry_price": "2340.00"}


async def test_a_market_order_is_filled_and_closed_at_its_target(shared: Floor) -> None:
    order_id = await shared.approve()
    order = await shared.until_order(order_id, OrderStatus.FILLED)
    assert shared.traded(order.magic) == order.volume == D("0.10")
    [position] = shared.broker.book.positions.values()
    assert (order.ticket, order.fill_price) == (position.ticket, position.price_open)
    assert (position.sl, position.tp, position.comment) == (D(2300), D(2450), f"CS{order_id}")
    shared.set_gold("2450.10")
    order = await shared.until_order(order_id, OrderStatus.CLOSED)
    assert order.reason == "take_profit" and order.profit == (D("2450.10") - position.price_open) * 10
    assert await shared.acks(order_id) == ["filled", "closed"]
    shared.set_gold()


async def test_each_target_has_its_leg_and_the_order_is_closed_with_the_last(shared: Floor) -> None:
    order_id = await shared.approve(side="sell", stop_loss="2400.00", take_profits=["2330.00", "2320.00"])
    order = await shared.until_order(order_id, OrderStatus.FILLED)
    assert sorted((held.tp, held.volume) for held in shared.broker.book.positions.values()) == [
        (D(2320), D("0.05")), (D(2330), D("0.05"))]
    shared.set_gold("2329.00")
    await shared.until_true("the first leg is closed", lambda: len(shared.broker.book.positions) == 1)
    assert (await shared.order(order_id)).status == OrderStatus.FILLED
    shared.set_gold()
    order = await shared.closes(order_id)
    assert (order.reason, order.volume) == ("client", D("0.10"))
    assert await shared.acks(order_id) == ["filled", "closed"]


async def test_a_sealed_waiting_order_is_placed_filled_and_stopped_out(shared: Floor) -> None:
    [device] = (await shared.call("GET", "/devices"))["items"]
    await shared.call("PATCH", f"/devices/{device['id']}", {"requires_envelope": True})
    async with shared.instead(envelope=True):
        order_id = await shared.approve(**LIMIT)
        order = await shared.until_order(order_id, OrderStatus.PLACED)
        [waiting] = shared.broker.book.pending_of(int(LOGIN))
        assert (order.ticket, waiting.price_open) == (waiting.ticket, D(2340))
        shared.set_gold("2339.50")
        order = await shared.until_order(order_id, OrderStatus.FILLED)
        assert order.fill_price is not None and order.fill_price <= 2340
        shared.set_gold("2299.00")
        order = await shared.until_order(order_id, OrderStatus.CLOSED)
        assert order.reason == "stop_loss" and order.profit is not None and order.profit < 0
        assert await shared.acks(order_id) == ["placed", "filled", "closed"]
    shared.set_gold()
    await shared.call("PATCH", f"/devices/{device['id']}", {"requires_envelope": False})


async def test_a_waiting_order_that_is_withdrawn_at_the_broker_is_over(shared: Floor) -> None:
    order_id = await shared.approve(**LIMIT)
    order = await shared.until_order(order_id, OrderStatus.PLACED)
    account = shared.broker.book.accounts[int(LOGIN)]
    shared.broker.engine.execute(account, Request(8, "XAUUSD", 0, NONE, NONE, NONE, NONE, 0, 0, "", 0, 0, 0,
                                                  order.ticket or 0, 0, 0))
    order = await shared.until_order(order_id, OrderStatus.FAILED)
    assert order.reason == "cancelled" and shared.traded(order.magic) == 0


async def test_what_is_sized_by_risk_stays_within_it(shared: Floor) -> None:
    await shared.size({"mode": "risk_percent", "value": "0.1"})
    order_id = await shared.approve(stop_loss="2333.33")
    order = await shared.until_order(order_id, OrderStatus.FILLED)
    assert order.fill_price is not None and order.volume is not None
    equity = shared.broker.reckoning.figures(shared.broker.book.accounts[int(LOGIN)]).equity
    at_stop = (order.fill_price - D("2333.33")) * 100
    assert order.volume * at_stop <= equity / 1000 < (order.volume + D("0.02")) * at_stop
    await shared.closes(order_id)
    await shared.size({"mode": "fixed", "volume": "0.10"})


@pytest.mark.parametrize(("policy", "signal", "reason"), [
    (Policy(max_lots=D("0.05"), symbols=("XAU*",)), {}, "policy_max_lots"),
    (Policy(symbols=("EURUSD",)), {}, "policy_symbol")])
async def test_the_owners_fence_is_the_last_word(shared: Floor, policy: Policy, signal: dict[str, Any],
                                                 reason: str) -> None:
    async with shared.instead(policy=policy):
        order_id = await shared.approve(**signal)
        order = await shared.until_order(order_id, OrderStatus.REJECTED)
        assert order.reason == reason and order.sent_at is None and shared.traded(order.magic) == 0


# What the trade server answers, and what becomes of the order. Whatever it is, it is traded once at most.
ANSWERS: dict[str, tuple[str, dict[str, Any], str, str | None, str]] = {
    "requoted, then filled": ("requote", {}, "filled", None, "0.10"),
    "no price for a moment": ("price_off", {}, "filled", None, "0.10"),
    "half of it": ("partial_fill", {}, "filled", None, "0.05"),
    "another filling": ("invalid_fill", {}, "filled", None, "0.10"),
    "refused": ("reject", {}, "rejected", "rejected_by_terminal", "0"),
    "no money": ("refuse", {"retcode": 10019}, "rejected", "rejected_by_terminal", "0"),
    "market closed": ("refuse", {"retcode": 10018}, "rejected", "rejected_by_terminal", "0"),
    "busy at first": ("refuse", {"retcode": 10024}, "filled", None, "0.10"),
    "locked for long": ("refuse", {"retcode": 10028, "times": 4}, "filled", None, "0.10"),
    "done, and said to be late": ("timeout_after_fill", {}, "filled", None, "0.10"),
    "done, and said to be an error": ("timeout_after_fill", {"retcode": 10011}, "filled", None, "0.10"),
    "done, and no connection": ("timeout_after_fill", {"retcode": 10031}, "filled", None, "0.10"),
    "late, and done a second later": ("late_fill", {"seconds": 1.0}, "filled", None, "0.10"),
    "lost": ("lost_order", {}, "failed", "not_executed", "0"),
    "placed, then filled": ("placed_then_fill", {"seconds": 0.5}, "filled", None, "0.10"),
    "done, and the line is cut": ("no_answer", {}, "filled", None, "0.10"),
    "a comment of the broker's": ("altered_comment", {}, "filled", None, "0.10")}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_whatever_the_trade_server_answers(shared: Floor, answer: str) -> None:
    kind, more, status, reason, lots = ANSWERS[answer]
    shared.broker.faults.add(LOGIN, kind, **more)
    order_id = await shared.approve()
    order = await shared.until_order(order_id, OrderStatus(status))
    assert (order.reason, shared.traded(order.magic)) == (reason, D(lots))
    assert status != "filled" or order.volume == D(lots)
    assert not shared.broker.faults.waiting()
    if status == "filled":
        await shared.closes(order_id)


async def test_an_order_that_shows_up_after_all_is_believed(shared: Floor) -> None:
    shared.broker.faults.add(LOGIN, "late_fill", seconds=5.0)
    order_id = await shared.approve()
    order = await shared.until_order(order_id, OrderStatus.FAILED)
    assert order.reason == "not_executed"
    order = await shared.until_order(order_id, OrderStatus.FILLED)
    assert shared.traded(order.magic) == D("0.10") and await shared.acks(order_id) == ["failed", "filled"]
    await shared.closes(order_id)

async def test_the_market_is_looked_at_again_when_the_desk_has_been_asked(shared: Floor) -> None:
    gate = Gate(shared.door.base)
    gate.meanwhile["/api/v1/ea/begin"] = lambda: shared.broker.set_price("XAUUSD", D("2350.40"), D("2355.40"))
    async with shared.instead(url=await gate.open(), policy=Policy(max_spread_points=100)):
        order_id = await shared.approve()
        order = await shared.until_order(order_id, OrderStatus.REJECTED)
        assert (order.reason, shared.traded(order.magic)) == ("policy_spread", 0)
        assert order.sent_at is not None, "it had been begun"
    shared.set_gold()
    await gate.close()


async def test_lots_that_do_not_show_yet_count_as_open(shared: Floor) -> None:
    async with shared.instead(policy=Policy(max_total_lots=D("0.15"))):
        shared.broker.faults.add(LOGIN, "lost_order")
        lost = await shared.approve()
        await shared.until_true("it is sent", lambda: not shared.broker.faults.waiting())
        order = await shared.until_order(await shared.approve(), OrderStatus.REJECTED)
        assert (order.reason, shared.traded(order.magic)) == ("policy_total_lots", 0)
        await shared.until_order(lost, OrderStatus.FAILED)
        other = await shared.approve()
        await shared.until_order(other, OrderStatus.FILLED)
        await shared.closes(other)


async def test_an_order_does_not_count_against_itself(shared: Floor) -> None:
    before = len([order for order in await shared.orders() if order.sent_at is not None])
    async with shared.instead(policy=Policy(max_orders_a_day=before + 1, max_total_lots=D("0.10"))):
        last = await shared.approve()
        await shared.until_order(last, OrderStatus.FILLED)
        await shared.closes(last)
        order = await shared.until_order(await shared.approve(), OrderStatus.REJECTED)
        assert order.reason == "policy_max_orders"


async def test_nothing_is_sent_when_the_lease_is_over(shared: Floor) -> None:
    gate = Gate(shared.door.base)
    gate.meanwhile["/api/v1/ea/begin"] = lambda: shared.broker.faults.add(
        LOGIN, "hang", seconds=4.0, call="symbol_info_tick")
    rules = replace(BRISK, lease_seconds=3.5, least_lease_seconds=1.0)
    async with shared.instead(url=await gate.open(), rules=rules):
        order_id = await shared.approve()
        order = await shared.until_order(order_id, OrderStatus.FAILED)
        assert (order.reason, shared.traded(order.magic)) == ("not_executed_in_time", 0)
        assert order.sent_at is not None, "it had been begun"
    await gate.close()


async def test_a_terminal_that_cannot_be_asked_has_not_found_nothing(shared: Floor) -> None:
    """An order is given up when it did not show for a while, and no part of that is time in which nobody looked."""
    looks, calls = "history_orders_get", shared.broker.calls
    async with shared.instead():
        shared.broker.faults.add(LOGIN, "lost_order")
        order_id = await shared.approve()
        await shared.until_true("it is sent", lambda: not shared.broker.faults.waiting())
        calls.clear()
        await shared.until_true("it is looked for twice", lambda: calls.count((int(LOGIN), looks)) > 1)
        shared.broker.faults.add(LOGIN, "fail", 1_000_000, call="history_deals_get")
        blind = time.monotonic() + 2 * BRISK.shows_within_seconds
        await shared.until_true("nobody could look for long", lambda: time.monotonic() > blind)
        calls.clear()
        shared.broker.faults.clear_for(LOGIN)
        await shared.until_order(order_id, OrderStatus.FAILED)
        assert calls.count((int(LOGIN), looks)) > 1
