"""Two hundred orders through executor, gateway, worker and a broker that does what cannot be told apart.

The executor's clock is handed in, so half a minute of looking takes as long as the looks. Whatever the weather was, in
the end every order says what the broker's own book says, and no leg of any was executed twice.
"""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

import config
import terminals
from models.account import Account, AccountStatus, Route
from models.approval import Door
from models.order import Order, OrderStatus
from sandbox.mt5 import WHEEL
from sandbox.mt5.broker import Broker
from sandbox.mt5.servers import DEFAULT_SERVERS
from services import accounts, approvals
from services.desk import Desk
from services.execution import LEASE, Executor
from services.syncing import Rules, Syncer
from terminal.mt5 import codes
from terminal.mt5.gateway import TerminalGateway
from terminal.protocol import AccountRef
from tests.services import stage as desk_stage

D = Decimal
ROUNDS, CUSTOMERS = 20, 10
KINDS = ("timeout_after_fill", "no_answer", "requote", "price_off", "partial_fill", "altered_comment", "invalid_fill",
         "reject", "late_fill", "lost_order", "placed_then_fill", "hang", "disconnect", "fine", "killed", "too_late")
WEIGHTS = tuple(4 if kind not in ("hang", "killed") else 1 for kind in KINDS)
HANG_SECONDS, LATE_SECONDS, TOO_LATE_SECONDS, DEADLINE = 2.0, 0.15, 3.0, 1.5
WEATHER = {"hang": ("hang", HANG_SECONDS), "too_late": ("late_fill", TOO_LATE_SECONDS)}
OVER = (OrderStatus.PLACED, OrderStatus.FILLED, OrderStatus.REJECTED, OrderStatus.FAILED, OrderStatus.EXPIRED,
        OrderStatus.CLOSED)
STEPS = [0, 5, 10, 15, 20, 26, 31, 36, 41, 46, *range(51, 400, 6)]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What happens here does not depend on the kind of database."""
    return sqlite_url


class Town:
    """Customers of a broker with accounts at a desk, and the executor between them."""

    def __init__(self, desk: Desk, broker: Broker, gateway: TerminalGateway, folder: Path, dice: random.Random) -> None:
        self.desk, self.broker, self.folder, self.dice = desk, broker, folder, dice
        self.executor = Executor(desk.database, {"terminal": gateway}, desk.execution_rules, "executor")
        self.syncer = Syncer(desk.database, {"terminal": gateway}, Rules(timedelta(seconds=5), timedelta(minutes=5)))
        self.accounts: dict[int, Account] = {}
        self.provider_id = 0
        self.died = 0

    async def open(self, now: datetime) -> None:
        self.provider_id = await desk_stage.found(self.desk, now)
        for number in range(CUSTOMERS):
            login, server = str(6_000 + number), DEFAULT_SERVERS[number % 2].name
            self.broker.add_account(login, login, server=server, balance=D(1_000_000))
            user_id = await desk_stage.join(self.desk, now)
            async with self.desk.database.writing() as session:
                await session.execute(update(Account).where(Account.user_id == user_id).values(is_primary=False))
                volume = ["0.03", "0.1", "0.25"][number % 3]
                session.add(account := Account(
                    user_id=user_id, route=Route.TERMINAL, label="Live", login=login, server=server, broker="Sandbox",
                    currency="USD", sizing={"mode": "fixed", "volume": volume}, status=AccountStatus.VERIFIED,
                    is_primary=True, can_trade=True, verified_at=now, created_at=now))
            self.accounts[user_id] = account

    async def ask(self, **terms: Any) -> list[Order]:
        """A signal that every customer approves; returns their orders."""
        now, orders = datetime.now(UTC), []
        view = await desk_stage.ask(self.desk, self.provider_id, now, **terms)
        for user_id in self.accounts:
            approval_id = await desk_stage.approval_of(self.desk.database, user_id, view.id)
            async with self.desk.database.writing() as session:
                found, _ = await approvals.approve(session, self.desk.approval_rules, user_id, approval_id,
                                                   view.terms_hash, Door.APP, now)
            assert found.order is not None
            orders.append(found.order)
        return orders

    async def execute(self, orders: list[Order], victims: set[int]) -> None:
        """Let the executor go on until it has an answer for each; its clock runs ahead from look to look."""
        began, ids = datetime.now(UTC), {order.id for order in orders}
        for step in STEPS:
            now = began + timedelta(seconds=step)
            while leases := await self.executor.take(now, 50):
                killing = [asyncio.create_task(self.kill(lease.account.login)) for lease in leases
                           if lease.order.id in victims]
                victims -= {lease.order.id for lease in leases}
                await asyncio.gather(*(self.executor.execute(lease, now) for lease in leases))
                await asyncio.gather(*killing)
            if await self.statuses(ids) <= set(OVER):
                return
            await asyncio.sleep(0.05 if step < 60 else 0.5)
        raise AssertionError(f"no answer in time: {await self.statuses(ids)}")

    async def statuses(self, ids: set[int]) -> set[str]:
        async with self.desk.database.reading() as session:
            return set((await session.scalars(select(Order.status).where(Order.id.in_(ids)))).all())

    async def not_executed(self) -> set[int]:
        async with self.desk.database.reading() as session:
            return set(await session.scalars(select(Order.id).where(Order.reason == "not_executed")))

    async def kill(self, login: str) -> None:
        """End the account's worker while it has an order in its hands."""
        await asyncio.sleep(self.dice.uniform(0.02, 0.15))
        for place in Path("/proc").glob("[0-9]*/cwd"):
            try:
                at = place.readlink()
            except OSError:
                continue
            if at.is_relative_to(self.folder) and login in str(at):
                os.kill(int(place.parent.name), signal.SIGKILL)
                self.died += 1

    async def sync(self) -> None:
        """As the loop does it, until every account has answered."""
        for account in self.accounts.values():
            async with asyncio.timeout(30):
                while True:
                    now = datetime.now(UTC)
                    await self.syncer.sync(account.id, now)
                    async with self.desk.database.reading() as session:
                        row = await session.get_one(Account, account.id)
                    if row.deals_read_until == now:
                        break
                    await asyncio.sleep(0.3)


def verdict(broker: Broker, account: Account, order: Order) -> str:
    """What is wrong with the end of an order by the broker's own book; empty when all is well."""
    if order.magic is None:
        return ""
    rows = [row for row in broker.orders_executed(account.login)
            if codes.intent_of(row.magic) == order.magic and codes.leg_of(row.magic) != codes.CLOSING]
    waiting = [row for row in broker.book.pending_of(int(account.login)) if codes.intent_of(row.magic) == order.magic]
    legs = Counter(row.magic for row in (*rows, *waiting))
    if max(legs.values(), default=0) > 1:
        return "a leg was executed twice"
    done = sum((row.volume_initial - row.volume_current for row in rows), D(0))
    if order.status in (OrderStatus.FILLED, OrderStatus.CLOSED):
        return "" if done == order.volume else f"{done} lots, but it says {order.volume}"
    if order.status == OrderStatus.PLACED:
        return "" if waiting and not rows else "said to wait, but does not"
    return f"{done} lots executed, but it says {order.status} {order.reason}" if rows or waiting else ""


async def test_every_order_ends_as_the_broker_has_it(desk: Desk, tmp_path: Path, now: datetime,
                                                     measured: Callable[[str], None]) -> None:
    broker = Broker(tmp_path / "broker.db")
    await broker.start()
    broker.write_terminal_folder(tmp_path / "terminal")
    broker.set_price("EURUSD", D("1.08500"), D("1.08510"))

    async def password_of(ref: AccountRef) -> str:
        return ref.login

    settings = config.load({"DATA": str(tmp_path / "data")}, {"terminal": {
        "folder": str(tmp_path / "terminal"), "start_every_seconds": 0, "call_seconds": 3, "send_seconds": DEADLINE,
        "start_seconds": 30}})
    gateway = terminals.terminal_of(settings, password_of, WHEEL)
    assert gateway is not None
    dice, met = random.Random(20_261), Counter[str]()
    town = Town(desk, broker, gateway, tmp_path / "data", dice)
    try:
        await town.open(now)
        await asyncio.gather(*(gateway.account(accounts.ref(account)) for account in town.accounts.values()))
        for _ in range(ROUNDS):
            targets = (D("1.09"), D("1.095"), D("1.1"))[:dice.choice([0, 1, 2, 3])]
            order_type, price = dice.choice([("market", None)] * 4 + [("limit", D("1.08"))])
            orders = await town.ask(take_profits=targets, order_type=order_type, entry_price=price, stop_loss=D("1.06"))
            victims = set()
            for order, account in zip(orders, town.accounts.values(), strict=True):
                for weather in dice.choices(KINDS, WEIGHTS, k=dice.choice([1, 1, 2, 3])):
                    met[weather] += 1
                    if weather == "killed":
                        victims.add(order.id)
                    elif weather != "fine":
                        # A fill that comes when the order has been given up is a late one too.
                        kind, seconds = WEATHER.get(weather, (weather, LATE_SECONDS))
                        broker.faults.add(account.login, kind, seconds=seconds, call="order_send")
            await town.execute(orders, victims)
            for account in town.accounts.values():
                broker.faults.clear_for(account.login)
                broker.away_until.pop(int(account.login), None)
        await asyncio.sleep(TOO_LATE_SECONDS)
        given_up = await town.not_executed()
        await town.sync()
        adopted = given_up - await town.not_executed()
        async with desk.database.reading() as session:
            found = list(await session.scalars(select(Order).order_by(Order.id)))
        assert len(found) == ROUNDS * CUSTOMERS and set(met) == set(KINDS) and town.died > 0
        wrong = [(order.id, order.status, order.reason, order.error, problem) for order in found
                 if (problem := verdict(broker, town.accounts[order.user_id], order))]
        assert not wrong, wrong
        ends = Counter(f"{order.status} {order.reason or ''}".strip() for order in found)
        measured(f"{len(found)} orders in bad weather ended {dict(ends)}")
        assert adopted, "none was filled after it had been given up"
        assert ends["filled"] > len(found) // 2 and ends["expired not_executed"] > 0, ends
        assert await town.executor.take(datetime.now(UTC) + LEASE * 100, 50) == [], "nothing is left open"
    finally:
        await gateway.close_all()
        await broker.stop()
