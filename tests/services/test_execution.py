"""Orders: the intent is written before the terminal hears of it, and however often the work dies there is one fill."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, update

from models.account import Account
from models.approval import Door
from models.message import OutboxItem, OutboxKind
from models.order import Order, OrderStatus
from services import accounts, approvals, orders, providers
from services.desk import Desk
from services.execution import LEASE, LOOK_AGAIN, RETRY, Executor
from services.orders import Lease
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import OrderRequest, OrderType, Side
from tests.services import stage
from tests.services.gateways import AWAY, BROKEN, NO_ANSWER, TroubledLine

OVER = LEASE + timedelta(seconds=1)


@pytest.fixture
def line(desk: Desk, quotes: QuoteFeed) -> TroubledLine:
    quotes.set_price("EURUSD", *stage.EURUSD)
    return TroubledLine(desk.database, quotes)


@pytest.fixture
def executor(desk: Desk, line: TroubledLine) -> Callable[[str], Executor]:
    return lambda owner: Executor(desk.database, {"paper": line}, desk.execution_rules, owner)


async def approved(desk: Desk, now: datetime, users: int = 1, **changes: Any) -> list[int]:
    """Orders of as many users for one signal, written and not yet executed."""
    members = [await stage.join(desk, now) for _ in range(users)]
    provider_id = await stage.found(desk, now)
    async with desk.database.writing() as session:
        for user_id in members:
            await providers.follow(session, user_id, provider_id, now)
    view = await stage.ask(desk, provider_id, now, **changes)
    ids = []
    for user_id in members:
        approval_id = await stage.approval_of(desk.database, user_id, view.id)
        async with desk.database.writing() as session:
            found, _ = await approvals.approve(session, desk.approval_rules, user_id, approval_id, view.terms_hash,
                                               Door.APP, now)
        assert found.order is not None
        ids.append(found.order.id)
    return ids


async def order(desk: Desk, order_id: int) -> Order:
    async with desk.database.reading() as session:
        return await session.get_one(Order, order_id)


async def run(executor: Executor, now: datetime) -> None:
    for lease in await executor.take(now, 50):
        await executor.execute(lease, now)


async def settle(desk: Desk, line: TroubledLine, now: datetime) -> None:
    """Record the broker's deals, as the deals loop does."""
    async with desk.database.reading() as session:
        after = await orders.cursor_of(session, "paper")
    if deals := await line.deals_since(after, 100):
        async with desk.database.writing() as session:
            assert await orders.settle(session, "paper", after, deals, now)


async def test_a_market_order_is_sized_sent_and_recorded(desk: Desk, line: TroubledLine, executor: Any,
                                                        now: datetime) -> None:
    (order_id,) = await approved(desk, now)
    await run(executor("w"), now)
    done = await order(desk, order_id)
    assert (done.status, done.volume, done.fill_price) == ("filled", Decimal("0.20"), Decimal("1.07008"))
    assert done.magic is not None and 1 << 48 < done.magic < 2**53 and done.ticket is not None and done.retcode == 10009
    assert (done.lease_owner, done.lease_until, done.attempts) == (None, None, 1)
    assert await executor("w").take(now + timedelta(hours=1), 50) == []
    async with desk.database.reading() as session:
        edit = (await session.scalars(select(OutboxItem).where(OutboxItem.kind == OutboxKind.EDIT))).one()
    assert edit.next_try_at == now, "the fill brings the card's edit forward"


async def test_the_intent_is_committed_before_the_terminal_hears_of_it(desk: Desk, line: TroubledLine, executor: Any,
                                                                      now: datetime) -> None:
    (order_id,) = await approved(desk, now)
    seen: list[tuple[str, Decimal | None, int | None]] = []

    async def witness(request: OrderRequest) -> None:
        intent = await order(desk, order_id)
        seen.append((intent.status, intent.volume, intent.magic))
        assert (intent.volume, intent.magic) == (request.volume, request.magic)

    line.on_send = witness
    await run(executor("w"), now)
    assert seen == [("sent", Decimal("0.20"), (await order(desk, order_id)).magic)]


async def test_another_desk_on_the_same_broker_account_counts_its_orders_too(
        desk: Desk, line: TroubledLine, executor: Any, now: datetime) -> None:
    """Its first order is not taken for ours, nor is one of ours from before a backup was restored."""
    (order_id,) = await approved(desk, now)
    async with desk.database.reading() as session:
        account = await session.get_one(Account, (await order(desk, order_id)).account_id)
    theirs = await line.send(accounts.ref(account), OrderRequest(
        orders.MAGIC_TAG | order_id, "EURUSD", Side.SELL, OrderType.MARKET, Decimal("0.50"), None, None, (), "CS1",
        None))
    await run(executor("w"), now)
    ours = await order(desk, order_id)
    assert ours.status == "filled" and ours.ticket not in (None, theirs.ticket)
    assert await line.fills() == 2


async def test_an_order_that_is_sent_again_has_the_same_number(desk: Desk, line: TroubledLine, executor: Any,
                                                             now: datetime) -> None:
    (order_id,) = await approved(desk, now)
    line.before["send"] = AWAY
    await run(executor("w"), now)
    first = (await order(desk, order_id)).magic
    line.before.clear()
    await run(executor("w"), now + RETRY)
    again = await order(desk, order_id)
    assert (again.status, again.attempts, again.magic) == ("filled", 2, first)


async def test_parallel_executors_fill_each_order_once(desk: Desk, line: TroubledLine, executor: Any,
                                                      now: datetime) -> None:
    ids = await approved(desk, now, users=12)
    taken: list[int] = []

    async def work(owner: str) -> None:
        mine = executor(owner)
        while leases := await mine.take(now, 2):
            taken.extend(lease.order.id for lease in leases)
            for lease in leases:
                await mine.execute(lease, now)

    await asyncio.gather(*(work(f"w{n}") for n in range(5)))
    assert sorted(taken) == ids and await line.fills() == 12 == line.calls["send"]
    assert await stage.count(desk.database, Order, Order.status == OrderStatus.FILLED) == 12


# -- where a process can die -------------------------------------------------------------------------------------------


async def _die_after_lease(desk: Desk, line: TroubledLine, lease: Lease, now: datetime) -> None:
    """Nothing but the lease was written."""


async def _die_after_intent(desk: Desk, line: TroubledLine, lease: Lease, now: datetime) -> None:
    async with desk.database.writing() as session:
        assert await orders.mark_sent(session, lease.order.id, "dead", Decimal("0.20"), now, LEASE)


async def _die_after_send(desk: Desk, line: TroubledLine, lease: Lease, now: datetime) -> None:
    await _die_after_intent(desk, line, lease, now)
    sent = await order(desk, lease.order.id)
    assert sent.magic is not None
    request = orders.request(sent, sent.magic, "EURUSD", Decimal("0.20"))
    await line.send(accounts.ref(lease.account), request)


Death = Callable[[Desk, TroubledLine, Lease, datetime], Awaitable[None]]


@pytest.mark.parametrize("die", [_die_after_lease, _die_after_intent, _die_after_send])
async def test_a_death_anywhere_leaves_one_fill(desk: Desk, line: TroubledLine, executor: Any, now: datetime,
                                               die: Death) -> None:
    (order_id,) = await approved(desk, now)
    dead, heir = executor("dead"), executor("heir")
    (lease,) = await dead.take(now, 5)
    await die(desk, line, lease, now)
    assert await heir.take(now + LEASE - timedelta(seconds=1), 5) == [], "the lease is respected"
    await run(heir, now + OVER)
    assert (await order(desk, order_id)).status == "filled" and await line.fills() == 1
    await dead.execute(lease, now + OVER)  # it was only asleep, and wakes up
    await settle(desk, line, now + OVER)
    after = await order(desk, order_id)
    assert (after.status, after.volume) == ("filled", Decimal("0.20"))
    assert await line.fills() == 1 == line.calls["send"], "not even a harmless repeat"
    assert await heir.take(now + timedelta(hours=1), 5) == []


async def test_a_cancelled_send_is_reconciled(desk: Desk, line: TroubledLine, executor: Any, now: datetime) -> None:
    (order_id,) = await approved(desk, now)
    reached = asyncio.Event()

    async def block(request: OrderRequest) -> None:
        reached.set()
        await asyncio.Event().wait()

    line.on_send = block
    mine = executor("dead")
    (lease,) = await mine.take(now, 5)
    sending = asyncio.create_task(mine.execute(lease, now))
    await asyncio.wait_for(reached.wait(), 90)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    line.on_send = None
    assert (await order(desk, order_id)).status == "sent" and await line.fills() == 0
    await run(executor("heir"), now + OVER)
    assert (await order(desk, order_id)).status == "filled" and await line.fills() == 1


async def test_two_heirs_of_one_order_make_one_fill(desk: Desk, line: TroubledLine, executor: Any,
                                                   now: datetime) -> None:
    (order_id,) = await approved(desk, now)
    (lease,) = await executor("same").take(now, 5)
    (again,) = await executor("same").take(now + OVER, 5)
    await asyncio.gather(*(executor("same").execute(held, now + OVER) for held in (lease, again, lease, again)))
    assert await line.fills() == 1 == line.calls["send"] and (await order(desk, order_id)).status == "filled"


# -- when the terminal does not tell -----------------------------------------------------------------------------------


@pytest.mark.parametrize("was_executed", [True, False])
async def test_an_unknown_outcome_is_looked_up_not_repeated(desk: Desk, line: TroubledLine, executor: Any,
                                                           now: datetime, was_executed: bool) -> None:
    (order_id,) = await approved(desk, now)
    (line.after if was_executed else line.before)["send"] = NO_ANSWER
    await run(executor("w"), now)
    lost = await order(desk, order_id)
    assert (lost.status, lost.error, lost.next_try_at) == ("unknown", "no_answer", now + LOOK_AGAIN)
    assert await executor("w").take(now + LOOK_AGAIN - timedelta(seconds=1), 5) == []
    line.after.clear()
    line.before.clear()
    await run(executor("w"), now + LOOK_AGAIN)
    assert (await order(desk, order_id)).status == "filled" and await line.fills() == 1
    assert line.calls["find"] == 1 and line.calls["send"] == (1 if was_executed else 2)


async def test_a_terminal_that_cannot_tell_a_repeat_is_never_sent_one(desk: Desk, line: TroubledLine, executor: Any,
                                                                     now: datetime) -> None:
    (order_id,) = await approved(desk, now)
    line.resends_safely = False
    line.before["send"] = NO_ANSWER
    await run(executor("w"), now)
    for second in (5, 15, 29):
        await run(executor("w"), now + timedelta(seconds=second))
        assert (await order(desk, order_id)).status == "unknown"
    await run(executor("w"), now + timedelta(seconds=34))
    ended = await order(desk, order_id)
    assert (ended.status, ended.reason) == ("expired", "not_executed")
    assert line.calls["send"] == 1 and await line.fills() == 0


@pytest.mark.parametrize("trouble", [AWAY, BROKEN, NO_ANSWER], ids=lambda error: error.code)
async def test_an_unknown_outcome_stays_unknown_until_the_terminal_tells(
        desk: Desk, line: TroubledLine, executor: Any, now: datetime, trouble: Exception) -> None:
    (order_id,) = await approved(desk, now)
    line.after["send"] = NO_ANSWER
    await run(executor("w"), now)
    line.before["find"] = trouble
    moment = now
    for _ in range(3):
        moment += timedelta(seconds=30)
        await run(executor("w"), moment)
        assert (await order(desk, order_id)).status == "unknown", "it may have been executed: nobody may say it failed"
    line.before.clear()
    await run(executor("w"), moment + timedelta(seconds=30))
    assert (await order(desk, order_id)).status == "filled" and await line.fills() == 1


async def test_a_terminal_that_is_away_is_tried_again(desk: Desk, line: TroubledLine, executor: Any,
                                                     now: datetime) -> None:
    (order_id,) = await approved(desk, now)
    line.before["account"] = AWAY
    await run(executor("w"), now)
    waiting = await order(desk, order_id)
    assert (waiting.status, waiting.error, waiting.next_try_at) == ("queued", "terminal_away", now + RETRY)
    assert waiting.lease_owner is None and line.calls["send"] == 0
    line.before.clear()
    await run(executor("w"), now + RETRY)
    assert (await order(desk, order_id)).status == "filled"


async def test_a_terminal_that_refuses_before_anything_was_sent_fails_the_order(
        desk: Desk, line: TroubledLine, executor: Any, now: datetime) -> None:
    (order_id,) = await approved(desk, now)
    line.before["account"] = BROKEN
    await run(executor("w"), now)
    failed = await order(desk, order_id)
    assert (failed.status, failed.reason, failed.error) == ("failed", BROKEN.code, BROKEN.detail)


async def test_an_order_too_old_is_not_executed(desk: Desk, line: TroubledLine, executor: Any, now: datetime) -> None:
    (order_id,) = await approved(desk, now)
    await run(executor("w"), now + timedelta(seconds=60))
    late = await order(desk, order_id)
    assert (late.status, late.reason) == ("expired", "not_executed_in_time") and line.calls["send"] == 0


# -- refusals before sending -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("prices", "changes", "sizing", "reason"), [
    (("1.07000", "1.07008"), {"symbol": "NOSUCH"}, {}, "unknown_symbol"),
    (("1.06400", "1.06408"), {}, {}, "stop_beyond_price"),
    (("1.07300", "1.07308"), {"entry_price": Decimal("1.07000"), "stop_loss": Decimal("1.06500")}, {}, "price_moved"),
    (("1.07000", "1.07008"), {}, {"mode": "fixed", "volume": "0.009"}, "volume_below_minimum"),
    (("1.07000", "1.07008"), {}, {"mode": "risk_percent", "value": "0.01"}, "volume_below_minimum"),
], ids=lambda value: str(value) if isinstance(value, str) else "")
async def test_what_cannot_be_sent_says_why(desk: Desk, line: TroubledLine, quotes: QuoteFeed, executor: Any,
                                           now: datetime, prices: tuple[str, str], changes: dict[str, Any],
                                           sizing: dict[str, str], reason: str) -> None:
    (order_id,) = await approved(desk, now, **changes)
    async with desk.database.writing() as session:
        await session.execute(update(Account).values(sizing=sizing))
    quotes.set_price("EURUSD", *map(Decimal, prices))
    await run(executor("w"), now)
    refused = await order(desk, order_id)
    assert (refused.status, refused.reason) == ("rejected", reason) and line.calls["send"] == 0


async def test_a_terminals_refusal_is_recorded(desk: Desk, line: TroubledLine, executor: Any, now: datetime) -> None:
    (order_id,) = await approved(desk, now)
    async with desk.database.writing() as session:
        await session.execute(update(Account).values(sizing={"mode": "fixed", "volume": "100"}))
    await run(executor("w"), now)
    refused = await order(desk, order_id)
    assert (refused.status, refused.reason, refused.retcode) == ("rejected", "rejected_by_terminal", 10019)


# -- deals -------------------------------------------------------------------------------------------------------------


async def test_a_stop_closes_the_order_with_its_loss_and_tells_the_user(
        desk: Desk, line: TroubledLine, quotes: QuoteFeed, executor: Any, now: datetime) -> None:
    (order_id,) = await approved(desk, now)
    await run(executor("w"), now)
    quotes.set_price("EURUSD", Decimal("1.06500"), Decimal("1.06508"))
    await line.evaluate({"EURUSD"}, now)
    await settle(desk, line, now)
    closed = await order(desk, order_id)
    assert (closed.status, closed.reason, closed.profit) == ("closed", "stop_loss", Decimal("-101.60"))
    async with desk.database.reading() as session:
        told = (await session.scalars(select(OutboxItem).where(OutboxItem.kind == OutboxKind.TEXT))).one()
    assert told.payload is not None and told.payload["reason"] == "stop_loss"


async def test_deals_take_effect_once_whoever_reads_them(desk: Desk, line: TroubledLine, quotes: QuoteFeed,
                                                        executor: Any, now: datetime) -> None:
    (order_id,) = await approved(desk, now, take_profits=(Decimal("1.07200"), Decimal("1.08000")))
    await run(executor("w"), now)
    quotes.set_price("EURUSD", Decimal("1.07200"), Decimal("1.07208"))
    await line.evaluate({"EURUSD"}, now)
    deals = await line.deals_since(0, 100)
    assert [deal.reason for deal in deals] == ["signal", "take_profit"]

    async def read() -> bool:
        async with desk.database.writing() as session:
            return await orders.settle(session, "paper", 0, deals, now)

    assert sum(await asyncio.gather(*(read() for _ in range(8)))) == 1
    half = await order(desk, order_id)
    assert (half.status, half.profit) == ("filled", deals[1].profit)
    assert await stage.count(desk.database, OutboxItem, OutboxItem.kind == OutboxKind.TEXT) == 1


async def test_deals_that_come_before_the_record_win(desk: Desk, line: TroubledLine, quotes: QuoteFeed, executor: Any,
                                                    now: datetime) -> None:
    """The position is opened and stopped out before the executor has written down that it was filled."""
    (order_id,) = await approved(desk, now)
    (lease,) = await executor("w").take(now, 5)
    async with desk.database.writing() as session:
        magic = await orders.mark_sent(session, order_id, "w", Decimal("0.20"), now, LEASE)
    assert magic is not None
    request = orders.request(lease.order, magic, "EURUSD", Decimal("0.20"))
    result = await line.send(accounts.ref(lease.account), request)
    quotes.set_price("EURUSD", Decimal("1.06500"), Decimal("1.06508"))
    await line.evaluate({"EURUSD"}, now)
    await settle(desk, line, now)
    async with desk.database.writing() as session:
        assert not await orders.record(session, order_id, result, now)
    assert (await order(desk, order_id)).status == "closed"


async def test_a_resting_order_waits_fills_and_is_not_forgotten(desk: Desk, line: TroubledLine, quotes: QuoteFeed,
                                                              executor: Any, now: datetime) -> None:
    (order_id,) = await approved(desk, now, order_type="limit", entry_price=Decimal("1.06900"),
                                 stop_loss=Decimal("1.06400"), take_profits=(Decimal("1.07500"),))
    await run(executor("w"), now)
    placed = await order(desk, order_id)
    assert (placed.status, placed.fill_price, placed.volume) == ("placed", None, Decimal("0.20"))
    quotes.set_price("EURUSD", Decimal("1.06890"), Decimal("1.06898"))
    await line.evaluate({"EURUSD"}, now)
    await settle(desk, line, now)
    filled = await order(desk, order_id)
    assert (filled.status, filled.fill_price) == ("filled", Decimal("1.06898")) and await line.fills() == 1
