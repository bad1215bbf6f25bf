"""Several targets on a netting account, through the true worker: each is taken once, whatever happens on the way."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from bot import messages
from models.account import Account
from models.order import Order
from models.position import PositionRecord
from services import accounts, targets
from services.desk import Desk
from services.execution import Executor
from services.targets import Watcher
from terminal.paper.quotes import QuoteFeed
from tests.services import stage
from tests.services.test_execution import approved
from tests.terminal_mt5.net_side import EVERY, LOGIN, TARGETS, NetSide, net_side

D = Decimal
FIRST, SECOND, LAST = (str(target) for target in TARGETS)
SHARE = D("0.03")


@pytest.fixture
def overlay() -> dict[str, Any]:
    return {"positions": {"force_refresh_seconds": 1}}


@pytest.fixture
async def side(desk: Desk, tmp_path: Path) -> AsyncIterator[NetSide]:
    async with net_side(desk, tmp_path) as made:
        yield made


async def test_each_target_is_taken_once_and_the_broker_takes_the_last(side: NetSide) -> None:
    order_id = await side.open()
    (position,) = side.broker.book.positions_of(int(LOGIN))
    assert (position.volume, position.tp, position.sl) == (D("0.09"), D(LAST), D("1.07"))
    assert not await side.round() and side.held() == D("0.09")
    side.price(FIRST)
    assert await side.round() and not await side.round()
    side.price("1.08500")
    assert not await side.round()
    side.price("1.09400")
    assert not await side.round() and side.held() == D("0.06"), "the first is taken already"
    side.price(SECOND)
    assert await side.round() and not await side.round()
    assert side.taken() == [(1, SHARE, D(FIRST)), (2, SHARE, D(SECOND))] and side.held() == SHARE
    assert (await side.order(order_id)).status == "filled"
    side.price(LAST)
    await side.sync()
    ended = await side.order(order_id)
    assert (ended.status, ended.reason, ended.volume, ended.fill_price) == (
        "closed", "take_profit", D("0.09"), D("1.08510"))
    assert ended.profit == D("14.70") + D("29.70") + D("44.70")
    async with side.desk.database.reading() as session:
        record = (await session.scalars(select(PositionRecord))).one()
    assert (record.status, record.reason, record.net, record.closed_volume) == (
        "closed", "take_profit", ended.profit, D("0.09"))
    assert not await side.round()


async def test_the_chat_and_the_audit_log_say_what_the_desk_has_done(side: NetSide) -> None:
    order_id = await side.open()
    side.price("1.09020")
    await side.round()
    (act,) = await side.acts()
    assert (act.status, act.door, act.order_id, act.target, act.volume, act.price) == (
        "done", "desk", order_id, 1, SHARE, D("1.09020"))
    (event,) = await side.audited()
    assert (event.door, event.action, event.user_id, event.detail["target"]) == (
        "desk", "position_close", act.user_id, 1)
    (word,) = await side.told()
    assert "\nTarget 1 of 3 reached: closed 0.03 @ 1.09020 · <b>+15.30" in messages.deal(word)
    side.price(LAST)
    await side.sync()
    assert [(word["target"], word["reason"]) for word in await side.told()] == [(1, "take_profit"),
                                                                              (None, "take_profit")]


async def test_a_gap_through_two_targets_closes_both_parts(side: NetSide) -> None:
    await side.open()
    side.price("1.09700")
    assert await side.look() and not await side.look(), "one after the other"
    await side.act()
    assert await side.round() and not await side.round()
    assert side.taken() == [(1, SHARE, D("1.09700")), (2, SHARE, D("1.09700"))] and side.held() == SHARE


async def test_a_sell_is_watched_by_the_price_at_which_it_would_be_bought_back(side: NetSide) -> None:
    await side.open(side="sell", stop_loss=D("1.1"), targets=(D("1.06"), D("1.08"), D("1.07")))
    (position,) = side.broker.book.positions_of(int(LOGIN))
    assert position.tp == D("1.06")
    side.price("1.08000")
    assert not await side.round(), "the ask is not there yet"
    side.price("1.07990")
    assert await side.round() and side.taken() == [(1, SHARE, D("1.08000"))]


async def test_what_was_closed_by_hand_is_not_closed_again(side: NetSide) -> None:
    await side.open()
    (position,) = side.broker.book.positions_of(int(LOGIN))
    side.broker.by_hand(LOGIN, "EURUSD", "sell", D("0.05"), ticket=position.ticket)
    side.price("1.09600")
    assert await side.round() and side.held() == D("0.01")
    assert await side.round() and side.held() == 0
    assert side.taken() == [(1, SHARE, D("1.09600")), (2, D("0.01"), D("1.09600"))]
    assert not await side.round()


async def test_a_part_closed_between_the_intent_and_the_act(side: NetSide) -> None:
    await side.open()
    side.price(FIRST)
    assert await side.look()
    (position,) = side.broker.book.positions_of(int(LOGIN))
    side.broker.by_hand(LOGIN, "EURUSD", "sell", D("0.07"), ticket=position.ticket)
    await side.act()
    assert side.held() == 0 and side.taken() == [(1, D("0.02"), D(FIRST))]


@pytest.mark.parametrize("how", ["closed", "turned"])
async def test_a_position_that_is_gone_by_the_time_of_the_act(side: NetSide, how: str) -> None:
    order_id = await side.open()
    side.price(FIRST)
    assert await side.look()
    side.broker.by_hand(LOGIN, "EURUSD", "sell", D("0.09") if how == "closed" else D("0.20"))
    await side.act()
    (act,) = await side.acts()
    assert (act.status, act.reason) == ("refused", "position_closed") and side.taken() == []
    await side.sync()
    assert (await side.order(order_id)).status == "closed" and not await side.round()
    assert [word["template"] for word in await side.told()] == ["deal"], "the closing is told, not the refusal"
    assert side.held() == (0 if how == "closed" else D("0.11")), "nothing is ever opened"


async def test_levels_that_the_owner_moves_are_the_owners(side: NetSide) -> None:
    await side.open()
    (position,) = side.broker.book.positions_of(int(LOGIN))
    await side.gateway.modify(accounts.ref(await side.account()), position.ticket, None, D("1.08900"))
    side.price("1.09600")
    assert side.held() == 0, "the broker has closed all of it"
    assert not await side.look()
    await side.sync()
    assert not await side.round() and side.taken() == []


async def test_three_orders_of_one_symbol_keep_their_own_targets(side: NetSide) -> None:
    near = await side.open(volume="0.04", targets=(D("1.08800"), D("1.12")))
    single = await side.open(volume="0.05", targets=(D("1.12"),))
    far = await side.open(volume="0.06", targets=(D("1.09"), D("1.10"), D("1.12")))
    (position,) = side.broker.book.positions_of(int(LOGIN))
    assert position.volume == D("0.15") and position.tp == D("1.12")
    side.price("1.09000")
    assert await side.round() and await side.round() and not await side.round()
    assert side.taken() == [(1, D("0.02"), D("1.09"))] * 2 and side.held() == D("0.11")
    side.price("1.10000")
    assert await side.round() and not await side.round()
    profits = [(await side.order(order_id)).profit for order_id in (near, single, far)]
    # The broker reckons with the average of all openings, which are at one price here.
    assert profits == [D("9.80"), None, D("9.80") + D("29.80")]
    assert {(await side.order(order_id)).status for order_id in (near, single, far)} == {"filled"}
    side.price("1.12000")
    await side.sync()
    ended = [await side.order(order_id) for order_id in (near, single, far)]
    assert {(order.status, order.reason) for order in ended} == {("closed", "take_profit")}
    assert [order.profit for order in ended] == [D("79.60"), D("174.50"), D("109.40")]
    assert [word["target"] for word in await side.told()] == [1, 1, 2, None]


async def test_a_closing_that_is_not_on_record_is_nobodys_yet(side: NetSide) -> None:
    """Two orders share the position, and by hand nearly all is closed: whose that was, only its deal tells."""
    await side.open(volume="0.09")
    await side.open(volume="0.02", targets=(D("1.12"),))
    (position,) = side.broker.book.positions_of(int(LOGIN))
    side.broker.by_hand(LOGIN, "EURUSD", "sell", D("0.09"), ticket=position.ticket)
    side.price(FIRST)
    assert not await side.look()
    await side.sync()
    assert not await side.round() and side.held() == D("0.02")


async def test_an_order_that_turned_the_position_spreads_what_it_opened(side: NetSide) -> None:
    await side.open(volume="0.06", targets=(D("1.12"),))
    await side.open(volume="0.12", side="sell", stop_loss=D("1.1"), targets=(D("1.08"), D("1.07"), D("1.06")))
    assert side.held() == D("0.06")
    side.price("1.07900")
    assert await side.round() and side.taken() == [(1, D("0.02"), D("1.07910"))]


@pytest.mark.parametrize(("volume", "parts"), [("0.02", [(1, D("0.01"))]), ("0.01", [])])
async def test_parts_below_the_minimum_are_spread_over_fewer_targets(side: NetSide, volume: str,
                                                                   parts: list[tuple[int, D]]) -> None:
    await side.open(volume=volume)
    (position,) = side.broker.book.positions_of(int(LOGIN))
    assert position.tp == D(SECOND if parts else FIRST)
    side.price("1.08990")
    assert not await side.round()
    if parts:
        side.price("1.09400")
        assert await side.round()
    assert [(target, lots) for target, lots, _ in side.taken()] == parts


async def test_hedging_accounts_are_left_alone(desk: Desk, tmp_path: Path) -> None:
    async with net_side(desk, tmp_path, mode="hedging") as side:
        await side.open(mode="hedging")
        assert len(side.broker.book.positions_of(int(LOGIN))) == 3
        side.price("1.09100")
        assert not await side.round() and side.taken() == [] and side.held() == D("0.06")


async def test_links_that_do_not_trade_are_left_alone(side: NetSide) -> None:
    await side.open()
    side.price(FIRST)
    for changes in ({"can_trade": False}, {"status": "broken"}, {"unlinked_at": datetime.now(UTC)}):
        async with side.desk.database.writing() as session:
            await session.execute(update(Account).where(Account.login == LOGIN).values(**changes))
        assert not await side.look()
        async with side.desk.database.writing() as session:
            await session.execute(update(Account).where(Account.login == LOGIN).values(
                can_trade=True, status="verified", unlinked_at=None))
    assert await side.look()


async def test_practice_accounts_take_their_targets_themselves(desk: Desk, quotes: QuoteFeed, now: datetime) -> None:
    assert targets.routes(desk.gateways) == []
    quotes.set_price("EURUSD", *stage.EURUSD)
    (order_id,) = await approved(desk, now, take_profits=(D("1.08"), D("1.09"), D("1.10")))
    async with desk.database.writing() as session:
        await session.execute(update(Account).values(margin_mode="netting"))
    executor = Executor(desk.database, desk.gateways, desk.execution_rules, "executor")
    for lease in await executor.take(now, 10):
        await executor.execute(lease, now)
    async with desk.database.reading() as session:
        order = await session.get_one(Order, order_id)
    assert order.status == "filled"
    quotes.set_price("EURUSD", D("1.0850"), D("1.0851"))
    watcher = Watcher(desk.database, desk.gateways, desk.positions, EVERY)
    assert await watcher.due(now, 10, ()) == []
