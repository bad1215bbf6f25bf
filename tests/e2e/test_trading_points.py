"""SIGKILL at every named point of an order and of an act on a position: done once, or not at all and said so.

For each point a position of its own is closed, in whole or in part, or has its stop moved, or a signal is approved; the
desk dies at that point and is started again. What the desk says, what it has on record and what the broker has done
must be the same afterwards. Some points lie on the way back: the desk dies once more there.
"""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from models.order import Order
from models.position import PositionAct
from tests.e2e.floor import LOGIN, Floor, trading
from tests.running import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOT, STOP = Decimal("1.00"), "1.05000"
WANTED: dict[str, tuple[str, str, dict[str, str]]] = {
    "part": ("POST", "/close", {"volume": "0.30"}), "all": ("POST", "/close", {}),
    "stop": ("PATCH", "", {"stop_loss": STOP})}
CLOSED = {"part": Decimal("0.30"), "all": LOT, "stop": Decimal(0)}


def _at(places: str, *moments: str) -> tuple[str, ...]:
    return tuple(f"{place}, {moment}" for place in places.split("; ") for moment in moments)


# What a tap passes, by what the act must have come to when the desk died there. None: it was never written.
TAP: dict[str, str | None] = {
    **dict.fromkeys(_at("tap: position", "before", "after"), None),
    **dict.fromkeys(_at("tap: _act", "before", "inside"), None), "tap: _act, after": "done",
    **dict.fromkeys(_at("tap: send", "before", "inside"), "done"), "tap: send, after": "refused",
    "tap: _ask, before": "refused", "worker: close, told": "either", "tap: _ask, after": "done",
    **dict.fromkeys(_at("tap: _end", "before", "inside", "after"), "done")}
# The other kinds go the same way; where the terminal hears of them they are different.
OTHERS = ("tap: send, after", "tap: _ask, after", "tap: _end, inside")
# What the desk passes that comes back to an act, by where it had died the first time.
BACK: dict[str, dict[str, str]] = {
    "tap: _act, after": {
        **dict.fromkeys(_at("acts: take; acts: send", "before", "inside"), "done"), "acts: take, after": "done",
        "acts: send, after": "refused", "acts: _ask, before": "refused", "acts: _ask, after": "done"},
    "tap: send, after": dict.fromkeys(_at("acts: _give_back", "before", "inside", "after"), "refused"),
    "tap: _ask, after": {
        **dict.fromkeys(_at("acts: position; acts: _taken", "before", "after"), "done"),
        **dict.fromkeys(_at("acts: _end", "before", "inside", "after"), "done")}}

# The same for an order: from its approval to its record, and back from where nobody knew what had become of it.
ORDER: dict[str, str | None] = {
    **dict.fromkeys(_at("approval: approve", "before", "inside"), None), "approval: approve, after": "filled",
    **dict.fromkeys(_at("orders: take", "before", "inside", "after"), "filled"),
    **dict.fromkeys(_at("orders: _send_new", "before", "inside"), "filled"), "orders: _send_new, after": "expired",
    "orders: _hand_over, before": "expired", "worker: send, told": "either", "orders: _hand_over, after": "filled",
    **dict.fromkeys(_at("orders: _record", "before", "inside", "after"), "filled")}
ORDER_BACK: dict[str, dict[str, str]] = {
    "orders: _send_new, after": dict.fromkeys(_at("orders: _lose_sight", "before", "inside", "after"), "expired"),
    "orders: _hand_over, after": {
        **dict.fromkeys(_at("orders: _reconcile", "before", "after"), "filled"),
        **dict.fromkeys(_at("orders: _record", "before", "inside", "after"), "filled")}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def floor(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Floor]:
    async with trading(tmp_path_factory.mktemp("floor")) as made:
        card = await made.card()  # the first order of a symbol looks up the broker's name for it
        await _approve(made, card)
        await made.order_when_over(card["id"])
        yield made


async def test_these_are_the_points_of_an_act_and_of_an_order(floor: Floor) -> None:
    before = len(floor.desk.passed())
    ticket = floor.broker.by_hand(LOGIN, "EURUSD", "buy", LOT)
    await _wish(floor, "part", ticket)
    card = await floor.card()
    await _approve(floor, card)
    await floor.order_when_over(card["id"])

    async def have_passed() -> bool:
        return {*TAP, *ORDER} <= set(floor.desk.passed()[before:])

    await until("all are passed", have_passed)
    found = set(floor.desk.passed()[before:])
    assert found == {*TAP, *ORDER}, (sorted(found - {*TAP, *ORDER}), sorted({*TAP, *ORDER} - found))


@pytest.mark.parametrize(("kind", "point"), [
    *(("part", point) for point in TAP), *((kind, point) for kind in ("all", "stop") for point in OTHERS)])
async def test_killed_there_an_act_is_done_once_or_said_to_be_undone(floor: Floor, kind: str, point: str) -> None:
    ticket = await _killed_acting(floor, kind, point)
    await floor.starts_later()
    if TAP[point] is None:
        assert await floor.acts_on(ticket) == [] and floor.left_of(ticket) == LOT
        assert (await _wish(floor, kind, ticket))["status"] == "done"
        await _is_true(floor, kind, await floor.act_when_over(ticket), "done")
        return
    act = await floor.act_when_over(ticket)
    await _is_true(floor, kind, act, TAP[point])
    if point == "tap: _end, after":  # it was over, and the door was about to say so
        assert await floor.word_on(act) is None
    else:
        await _is_told(floor, act)


@pytest.mark.parametrize(("first", "point"), [(first, point) for first, points in BACK.items() for point in points])
async def test_killed_once_more_on_the_way_back_to_an_act(floor: Floor, first: str, point: str) -> None:
    ticket = await _killed_acting(floor, "part", first)
    await floor.dies_at(point)
    await floor.starts_later()
    act = await floor.act_when_over(ticket)
    await _is_true(floor, "part", act, BACK[first][point])
    await _is_told(floor, act)


@pytest.mark.parametrize("point", ORDER)
async def test_killed_there_an_order_is_traded_once_or_said_to_be_not(floor: Floor, point: str) -> None:
    card = await _killed_trading(floor, point)
    await floor.starts_later()
    await _approve(floor, card)  # whoever heard no answer taps again
    await _is_traded(floor, await floor.order_when_over(card["id"]), ORDER[point] or "filled")


@pytest.mark.parametrize(("first", "point"), [
    (first, point) for first, points in ORDER_BACK.items() for point in points])
async def test_killed_once_more_on_the_way_back_to_an_order(floor: Floor, first: str, point: str) -> None:
    card = await _killed_trading(floor, first)
    await floor.dies_at(point)
    await floor.starts_later()
    await _is_traded(floor, await floor.order_when_over(card["id"]), ORDER_BACK[first][point])


async def _wish(floor: Floor, kind: str, ticket: int) -> Any:
    method, path, body = WANTED[kind]
    return await floor.until_heard(method, f"{floor.account}/positions/{ticket}{path}", body)


async def _approve(floor: Floor, card: dict[str, Any]) -> None:
    await floor.until_heard("POST", f"/approvals/{card['id']}/approve", {"terms_hash": card["terms_hash"]})


async def _killed_acting(floor: Floor, kind: str, point: str) -> int:
    """Ask for it and let the desk die there; the position's ticket."""
    ticket = floor.broker.by_hand(LOGIN, "EURUSD", "buy", LOT)
    method, path, body = WANTED[kind]
    floor.desk.arm(point)
    asking = asyncio.create_task(floor.call(method, f"{floor.account}/positions/{ticket}{path}", body))
    await floor.dies_at(point, asking)
    with pytest.raises((aiohttp.ClientError, OSError)):
        await asking
    return ticket


async def _killed_trading(floor: Floor, point: str) -> dict[str, Any]:
    """Approve a card and let the desk die there; the card."""
    card = await floor.card()
    floor.desk.arm(point)
    approving = asyncio.create_task(floor.call("POST", f"/approvals/{card['id']}/approve",
                                               {"terms_hash": card["terms_hash"]}))
    await floor.dies_at(point, approving)
    await asyncio.gather(approving, return_exceptions=True)
    return card


async def _is_true(floor: Floor, kind: str, act: PositionAct, status: str | None) -> None:
    """The act is what the broker has done, and so is what history tells."""
    assert act.status == status or status == "either", (act.status, act.reason)
    assert act.status == "done" or act.reason == "not_executed"
    closed = CLOSED[kind] if act.status == "done" else Decimal(0)
    assert floor.left_of(act.ticket) == LOT - closed
    if kind == "stop":
        assert floor.broker.book.positions[act.ticket].sl == (Decimal(STOP) if act.status == "done" else 0)

    async def is_on_record() -> bool:
        told = "SELECT closed_volume FROM positions WHERE position_id = :told"
        return await floor.sum_of(told, act.ticket) == closed

    await until("history tells it", is_on_record)


async def _is_told(floor: Floor, act: PositionAct) -> None:
    """Nobody waited for it at the end: the chat has heard."""

    async def is_said() -> bool:
        return await floor.word_on(act) == "sent"

    await until("the chat is told", is_said)


async def _is_traded(floor: Floor, order: Order, status: str) -> None:
    assert order.status == status or (status == "either" and order.status in ("filled", "expired"))
    assert order.status == "filled" or order.reason == "not_executed"
    traded = floor.traded(order.magic)
    assert traded == (order.volume if order.status == "filled" else 0)

    async def is_on_record() -> bool:
        return await floor.sum_of("SELECT volume FROM positions WHERE order_id = :told", order.id) == traded

    await until("history tells it", is_on_record)
