"""A desk with a netting account at a broker, whose loops are run step by step."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

import config
import terminals
from models.account import Account
from models.approval import Door
from models.audit import AuditEvent
from models.message import OutboxItem, OutboxKind
from models.order import Order
from models.position import PositionAct
from sandbox.mt5 import WHEEL
from sandbox.mt5.broker import Broker
from services import approvals, providers, syncing
from services.acting import Actor
from services.desk import Desk
from services.execution import Executor
from services.shares import target_of
from services.syncing import Syncer
from services.targets import Watcher
from terminal.mt5.gateway import TerminalGateway
from terminal.protocol import AccountRef, Gateway
from tests.services import stage
from tests.terminal_mt5.stage import SERVER

D = Decimal
LOGIN = "5030"
TARGETS = D("1.09000"), D("1.09500"), D("1.10000")
EVERY = timedelta(seconds=0.2)
_numbers = itertools.count(1)


@dataclass
class NetSide:
    """One user's account. ``desk`` has no loops: each step is taken by the test."""

    desk: Desk
    broker: Broker
    gateway: TerminalGateway

    def price(self, bid: str) -> None:
        self.broker.set_price("EURUSD", D(bid), D(bid) + D("0.00010"))

    async def open(self, *, volume: str = "0.09", targets: tuple[D, ...] = TARGETS, mode: str = "netting",
                   **changes: Any) -> int:
        """A signal that was approved and has been executed at the broker; returns the order's id."""
        given: dict[str, Any] = {"stop_loss": D("1.07"), "take_profits": targets, **changes}
        now = datetime.now(UTC)
        async with self.desk.database.reading() as session:
            first = await session.scalar(select(Account).where(Account.login == LOGIN))
        order_id = await self._approved(now, **given)
        async with self.desk.database.writing() as session:
            order = await session.get_one(Order, order_id)
            if first is None:
                await session.execute(update(Account).where(Account.id == order.account_id).values(
                    route="terminal", login=LOGIN, server=SERVER, margin_mode=mode))
            else:
                order.account_id, order.user_id = first.id, first.user_id
            await session.execute(update(Account).where(Account.login == LOGIN).values(
                sizing={"mode": "fixed", "volume": volume}))
        await self.execute()
        await self.sync()
        return order_id

    async def _approved(self, now: datetime, **levels: Any) -> int:
        user_id = await stage.join(self.desk, now)
        provider_id = await stage.found(self.desk, now, f"Provider {next(_numbers)}")
        async with self.desk.database.writing() as session:
            await providers.follow(session, user_id, provider_id, now)
        view = await stage.ask(self.desk, provider_id, now, **levels)
        approval_id = await stage.approval_of(self.desk.database, user_id, view.id)
        async with self.desk.database.writing() as session:
            found, _ = await approvals.approve(session, self.desk.approval_rules, user_id, approval_id,
                                               view.terms_hash, Door.APP, now)
        assert found.order is not None
        return found.order.id

    async def execute(self) -> None:
        executor = Executor(self.desk.database, self.desk.gateways, self.desk.execution_rules, "executor")
        for lease in await executor.take(datetime.now(UTC), 10):
            await executor.execute(lease, datetime.now(UTC))

    async def account(self) -> Account:
        async with self.desk.database.reading() as session:
            return (await session.scalars(select(Account).where(Account.login == LOGIN))).one()

    async def sync(self) -> None:
        rules = syncing.Rules(timedelta(seconds=1), timedelta(seconds=1))
        await Syncer(self.desk.database, self.desk.gateways, rules).sync(
            (await self.account()).id, datetime.now(UTC))

    async def look(self, watcher: Watcher | None = None, after: timedelta = timedelta()) -> bool:
        """What the loop does when it looks, at prices that were read just now."""
        account = await self.account()
        await self.desk.positions.forget(account.id)
        watcher = watcher or self.watcher()
        moment = datetime.now(UTC) + after
        return bool(await watcher.due(moment, 10, ())) and await watcher.look(account.id, moment)

    def watcher(self) -> Watcher:
        return Watcher(self.desk.database, self.desk.gateways, self.desk.positions, EVERY)

    async def act(self, after: timedelta = timedelta(), owner: str = "actor") -> int:
        """What the loop of acts does when it looks."""
        actor, moment = Actor(self.desk.database, self.desk.gateways, owner), datetime.now(UTC) + after
        leased = await actor.take(moment, 10)
        for item in leased:
            await actor.go_on(item, moment)
        return len(leased)

    async def round(self, after: timedelta = timedelta()) -> bool:
        """Look, act, and hear what came of it."""
        written = await self.look(after=after)
        await self.act(after)
        await self.sync()
        return written

    def held(self) -> D:
        return sum((position.volume for position in self.broker.book.positions_of(int(LOGIN))), D(0))

    def taken(self) -> list[tuple[int, D, D]]:
        """Which targets were taken at the broker, with their lots and prices."""
        found = [(target_of(deal.magic), deal) for deal in self.broker.book.deals.values()
                 if deal.login == int(LOGIN)]
        return [(target[1], deal.volume, deal.price) for target, deal in found if target is not None]

    async def acts(self) -> list[PositionAct]:
        async with self.desk.database.reading() as session:
            return list(await session.scalars(select(PositionAct).order_by(PositionAct.id)))

    async def order(self, order_id: int) -> Order:
        async with self.desk.database.reading() as session:
            return await session.get_one(Order, order_id)

    async def told(self) -> list[dict[str, Any]]:
        """What the chat is owed, the oldest first."""
        async with self.desk.database.reading() as session:
            rows = await session.scalars(select(OutboxItem.payload).where(OutboxItem.kind == OutboxKind.TEXT)
                                         .order_by(OutboxItem.id))
            return [payload for payload in rows if payload is not None]

    async def audited(self) -> list[AuditEvent]:
        async with self.desk.database.reading() as session:
            return list(await session.scalars(select(AuditEvent).where(AuditEvent.subject == "position_act")))


@asynccontextmanager
async def net_side(desk: Desk, folder: Path, mode: str = "netting") -> AsyncIterator[NetSide]:
    """A broker, a terminal on this machine, and the desk between them."""
    broker = Broker(folder / "broker.db")
    await broker.start()
    broker.write_terminal_folder(folder / "terminal")
    broker.add_account(LOGIN, LOGIN, server=SERVER, mode=mode, balance=D(1_000_000))

    async def password_of(ref: AccountRef) -> str:
        return ref.login

    settings = config.load({"DATA": str(folder / "data")}, {"terminal": {
        "folder": str(folder / "terminal"), "start_every_seconds": 0, "call_seconds": 3, "send_seconds": 2,
        "start_seconds": 30}})
    gateway = terminals.terminal_of(settings, password_of, WHEEL)
    assert gateway is not None
    gateways: dict[str, Gateway] = {"terminal": gateway}
    desk.positions._gateways = gateways
    try:
        yield NetSide(replace(desk, gateways=gateways), broker, gateway)
    finally:
        await desk.supervisor.stop(5.0)
        await gateway.close_all()
        await broker.stop()
