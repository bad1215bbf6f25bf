"""Keeping up with terminals that do not tell by themselves: whose turn it is, what is found, and who is not held up."""

import asyncio
import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from models.account import Account, AccountStatus
from models.order import Order, OrderStatus
from models.position import DealRecord, PositionRecord
from services import accounts, background, history, orders, syncing
from services.desk import Desk
from services.execution import Executor
from services.syncing import FIRST_DEPTH, LONGEST_PAUSE, Rules, Syncer
from terminal.paper.gateway import PaperGateway
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import AccountRef, Deal, DealEntry, DealReason, Gateway, GatewayError, Side
from tests.services import stage
from tests.services.gateways import AWAY, TroubledLine
from tests.services.test_execution import approved

RULES = Rules(timedelta(seconds=5), timedelta(minutes=5), patience=timedelta(seconds=0.5))
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Silent:
    """The paper broker as a terminal has it: it tells its deals only to whoever asks for an account's.

    ``hangs`` are logins that never answer.
    """

    route = "terminal"
    resends_safely = False
    executes = True

    def __init__(self, line: TroubledLine) -> None:
        self.line = line
        self.hangs: set[str] = set()
        self.asked: list[tuple[str, datetime]] = []

    def __getattr__(self, name: str) -> object:
        if name in ("deals_since", "wait_for_deal"):
            raise AttributeError(name)
        return getattr(self.line, name)

    async def deals(self, ref: AccountRef, since: datetime) -> list[Deal]:
        self.asked.append((ref.login, since))
        if ref.login in self.hangs:
            await asyncio.Event().wait()
        return list(await self.line.deals(ref, since))


@dataclass
class Scene:
    desk: Desk
    line: TroubledLine
    terminal: Silent
    syncer: Syncer
    now: datetime

    async def accounts(self) -> list[Account]:
        async with self.desk.database.reading() as session:
            return list(await session.scalars(select(Account).order_by(Account.id)))

    async def change(self, **values: object) -> None:
        async with self.desk.database.writing() as session:
            await session.execute(update(Account).values(**values))

    async def order(self) -> Order:
        async with self.desk.database.reading() as session:
            return (await session.scalars(select(Order).order_by(Order.id).limit(1))).one()

    async def execute(self, now: datetime) -> None:
        executor = Executor(self.desk.database, self.desk.gateways, self.desk.execution_rules, "w")
        for lease in await executor.take(now, 50):
            await executor.execute(lease, now)


@pytest.fixture
async def scene(desk: Desk, quotes: QuoteFeed, now: datetime) -> Scene:
    """Orders of three users who trade through a terminal."""
    quotes.set_price("EURUSD", *stage.EURUSD)
    line = TroubledLine(desk.database, quotes)
    terminal = Silent(line)
    gateways: dict[str, Gateway] = {"terminal": terminal}  # type: ignore[dict-item]
    desk = replace(desk, gateways=gateways)
    made = Scene(desk, line, terminal, Syncer(desk.database, gateways, RULES), now)
    await approved(desk, now, users=3)
    await made.change(route="terminal")
    return made


async def test_a_position_is_followed_from_its_fill_to_its_end(scene: Scene, quotes: QuoteFeed) -> None:
    await scene.execute(scene.now)
    account = (await scene.accounts())[0]
    assert await scene.syncer.sync(account.id, scene.now + SECOND)
    assert not await scene.syncer.sync(account.id, scene.now + SECOND * 2)
    quotes.set_price("EURUSD", Decimal("1.06500"), Decimal("1.06508"))
    await scene.line.evaluate({"EURUSD"}, scene.now + SECOND * 3)
    assert (await scene.order()).status == "filled", "nobody has asked yet"
    assert await scene.syncer.sync(account.id, scene.now + SECOND * 4)
    closed = await scene.order()
    assert (closed.status, closed.reason, closed.profit) == ("closed", "stop_loss", Decimal("-101.60"))
    assert await stage.count(scene.desk.database, DealRecord) == 2
    async with scene.desk.database.reading() as session:
        record = (await session.scalars(select(PositionRecord))).one()
    assert (record.status, record.order_id) == ("closed", closed.id)


async def test_where_reading_starts(scene: Scene) -> None:
    account = (await scene.accounts())[0]
    for moment in (scene.now, scene.now + MINUTE):
        await scene.syncer.sync(account.id, moment)
    assert [since for _, since in scene.terminal.asked] == [scene.now - FIRST_DEPTH, scene.now - syncing.OVERLAP]
    scene.line.before["deals"] = AWAY
    await scene.syncer.sync(account.id, scene.now + MINUTE * 2)
    assert (await scene.accounts())[0].deals_read_until == scene.now + MINUTE, "what was not read is read next time"


async def test_a_long_history_is_written_bit_by_bit(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not keep the others from the writer, and a death on the way loses nothing."""
    account = (await scene.accounts())[0]
    told = [Deal(number, account.login, account.server, number, 0, "EURUSD", Side.BUY, DealEntry.IN, DealReason.CLIENT,
                 Decimal("0.10"), Decimal("1.07"), Decimal(0), Decimal(0), Decimal(0), None, scene.now,
                 position_id=number) for number in range(1, 2 * syncing.DEALS_AT_ONCE + 2)]

    async def deals(ref: AccountRef, since: datetime) -> list[Deal]:
        return told

    monkeypatch.setattr(scene.terminal, "deals", deals)
    seen: list[tuple[int, datetime | None]] = []

    async def look() -> None:
        row = (await scene.accounts())[0]
        seen.append((await stage.count(scene.desk.database, DealRecord), row.deals_read_until))

    writing, original = asyncio.Event(), history.record

    async def record(*args: Any) -> Any:
        await look()
        if len(seen) == 3 and not writing.is_set():
            writing.set()
            raise asyncio.CancelledError
        return await original(*args)

    monkeypatch.setattr(history, "record", record)
    with pytest.raises(asyncio.CancelledError):
        await scene.syncer.sync(account.id, scene.now)
    assert await scene.syncer.sync(account.id, scene.now + SECOND)
    await look()
    at_once = syncing.DEALS_AT_ONCE
    assert [count for count, _ in seen] == [0, at_once, 2 * at_once, 2 * at_once, 2 * at_once, 2 * at_once,
                                            2 * at_once + 1]
    assert [until for _, until in seen] == [None] * 6 + [scene.now + SECOND]


async def test_the_same_deals_read_by_two_at_once_count_once(scene: Scene) -> None:
    await scene.execute(scene.now)
    account = (await scene.accounts())[0]
    others = [Syncer(scene.desk.database, scene.desk.gateways, RULES) for _ in range(5)]
    found = await asyncio.gather(*(syncer.sync(account.id, scene.now + SECOND) for syncer in others))
    assert sum(found) == 1 and await stage.count(scene.desk.database, DealRecord) == 1


async def test_a_waiting_order_that_was_cancelled_at_the_broker_is_found_gone(scene: Scene) -> None:
    async with scene.desk.database.writing() as session:
        await session.execute(update(Order).values(order_type="limit", entry_price=Decimal("1.06900"),
                                                   expires_at=scene.now + timedelta(hours=1)))
    await scene.execute(scene.now)
    placed, account = await scene.order(), (await scene.accounts())[0]
    assert placed.status == "placed" and placed.ticket is not None
    await scene.syncer.sync(account.id, scene.now + SECOND)
    assert (await scene.order()).status == "placed"
    await scene.line.cancel(accounts.ref(account), placed.ticket)
    assert await scene.syncer.sync(account.id, scene.now + SECOND * 2)
    assert (await scene.order()).status in ("rejected", "expired")
    assert not await scene.syncer.sync(account.id, scene.now + SECOND * 3)


async def test_an_order_that_was_given_up_and_filled_after_all_is_adopted(scene: Scene) -> None:
    order_id = (await scene.order()).id
    scene.line.before["send"] = GatewayError("terminal_hangs", "No answer.", ambiguous=True)
    await scene.execute(scene.now)
    account = (await scene.accounts())[0]
    async with scene.desk.database.reading() as session:
        unclear = await session.get_one(Order, order_id)
    assert unclear.status == "unknown" and unclear.magic is not None and unclear.volume is not None
    await scene.execute(scene.now + MINUTE * 2)
    assert (await scene.order()).reason == "not_executed"
    late = orders.request(unclear, unclear.magic, "EURUSD", unclear.volume)
    await PaperGateway.send(scene.line, accounts.ref(account), late)
    await scene.syncer.sync(account.id, scene.now + MINUTE * 3)
    assert ((await scene.order()).status, (await scene.order()).reason) == ("filled", None)


# -- whose turn it is --------------------------------------------------------------------------------------------------


async def test_busy_accounts_are_asked_often_and_idle_ones_seldom(scene: Scene) -> None:
    busy, *idle = [account.id for account in await scene.accounts()]
    async with scene.desk.database.writing() as session:
        await session.execute(update(Order).where(Order.account_id == busy).values(
            status=OrderStatus.FILLED, updated_at=scene.now - MINUTE))
    assert set(await scene.syncer.due(scene.now, 10)) == {busy, *idle}, "what was never read does not wait"
    for account_id in (busy, *idle):
        await scene.syncer.sync(account_id, scene.now)
    assert await scene.syncer.due(scene.now + SECOND * 4, 10) == []
    assert await scene.syncer.due(scene.now + SECOND * 5, 10) == [busy]
    assert await scene.syncer.due(scene.now + SECOND * 5, 10, busy={busy}) == []
    assert len(await scene.syncer.due(scene.now + MINUTE * 5, 2)) == 2
    async with scene.desk.database.writing() as session:
        await session.execute(update(Order).where(Order.account_id == idle[0]).values(
            status=OrderStatus.FILLED, updated_at=scene.now + SECOND))
    assert await scene.syncer.due(scene.now + SECOND * 2, 10) == [idle[0]], "an order has just been executed"


async def test_an_order_that_was_given_up_is_looked_after_for_a_while(scene: Scene) -> None:
    given_up, *idle = [account.id for account in await scene.accounts()]
    async with scene.desk.database.writing() as session:
        await session.execute(update(Order).where(Order.account_id == given_up).values(
            status=OrderStatus.EXPIRED, reason="not_executed", sent_at=scene.now))
    for account_id in (given_up, *idle):
        await scene.syncer.sync(account_id, scene.now)
    assert await scene.syncer.due(scene.now + SECOND * 5, 10) == [given_up]
    for account_id in (given_up, *idle):
        await scene.syncer.sync(account_id, scene.now + MINUTE * 10)
    assert await scene.syncer.due(scene.now + MINUTE * 10 + SECOND * 5, 10) == []


async def test_after_a_start_not_everybody_is_asked_at_once(scene: Scene) -> None:
    await scene.change(deals_read_until=scene.now)
    async with scene.desk.database.writing() as session:
        user_id = (await session.scalars(select(Account.user_id).limit(1))).one()
        await session.execute(insert(Account), [
            {"user_id": user_id, "route": "terminal", "label": "x", "login": str(n), "server": "s", "broker": "b",
             "currency": "USD", "sizing": {}, "status": AccountStatus.VERIFIED, "is_primary": False,
             "created_at": scene.now, "deals_read_until": scene.now} for n in range(200)])
    turns = [len(await scene.syncer.due(scene.now + MINUTE * minute, 1000)) for minute in (0, 1, 2, 5)]
    assert turns[0] < 20 and 10 < turns[1] < 90 < turns[2] + 60 and turns[3] == 203, turns


async def test_an_order_that_is_executed_soon_after_a_start_is_followed_at_once(scene: Scene,
                                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.5)
    await scene.change(deals_read_until=scene.now)
    assert await scene.syncer.due(scene.now, 10) == []
    traded = (await scene.accounts())[0]
    async with scene.desk.database.writing() as session:
        await session.execute(update(Order).where(Order.account_id == traded.id).values(
            status=OrderStatus.FILLED, updated_at=scene.now + SECOND))
    assert await scene.syncer.due(scene.now + SECOND, 10) == [traded.id]


async def test_one_that_fails_is_asked_less_and_less_and_recovers(scene: Scene) -> None:
    account = (await scene.accounts())[0]
    scene.line.before["deals"] = AWAY
    moment, pauses = scene.now, []
    for _ in range(9):
        await scene.syncer.sync(account.id, moment)
        began = moment
        while account.id not in await scene.syncer.due(moment, 10):
            moment += SECOND
        pauses.append(moment - began)
    assert pauses == sorted(pauses) and pauses[0] == SECOND * 10 and pauses[-1] == LONGEST_PAUSE
    scene.line.before.clear()
    await scene.syncer.sync(account.id, moment)
    assert (await scene.accounts())[0].deals_read_until == moment


async def test_a_link_that_is_broken_for_good_is_left_alone(scene: Scene) -> None:
    account = (await scene.accounts())[0]
    scene.line.before["deals"] = GatewayError("wrong_password", "No.", permanent=True)
    await scene.syncer.sync(account.id, scene.now)
    changed = (await scene.accounts())[0]
    assert (changed.status, changed.trouble) == ("broken", "wrong_password")
    assert account.id not in await scene.syncer.due(scene.now + timedelta(days=1), 10)


async def test_one_that_hangs_holds_up_nobody(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "LOOK_SECONDS", 0.05)
    first, *others = await scene.accounts()
    scene.terminal.hangs.add(first.login)
    loop = asyncio.create_task(background.run_syncs(scene.desk, RULES))
    try:
        async with asyncio.timeout(20):
            while any(account.deals_read_until is None for account in (await scene.accounts())[1:]):
                assert first.login in scene.terminal.hangs
                await asyncio.sleep(0.02)
            while sum(login == first.login for login, _ in scene.terminal.asked) < 1:
                await asyncio.sleep(0.02)
    finally:
        scene.desk.supervisor.stopping.set()
        await asyncio.wait_for(loop, 90)
    assert (await scene.accounts())[0].deals_read_until is None
    assert {login for login, _ in scene.terminal.asked} == {account.login for account in (first, *others)}


async def test_a_feed_is_not_asked_account_by_account(desk: Desk) -> None:
    assert syncing.routes(desk.gateways) == {}
