"""A desk that trades at a broker which lives on in the test's process, for tests that kill the desk."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import select, text, update

from models.database import Database
from models.message import OutboxItem
from models.order import Order, OrderStatus
from models.position import ActStatus, PositionAct
from sandbox.mt5.broker import Broker
from services import acting, orders
from tests.e2e.conftest import PATIENT
from tests.e2e.watched import Watched
from tests.running import GOLD, World, until, world

LOGIN, PASSWORD, SERVER = "5001", "correct horse", "Sandbox-MT5"
TRADING = PATIENT + '[terminal]\nfolder = "{}"\nstart_every_seconds = 0\n'
A_WHILE = timedelta(seconds=35)
LEG = 0xF << 44


class Floor:
    """A person whose account is linked there, and one look at the books of the desk and the broker."""

    def __init__(self, running: World, desk: Watched, database: Database, broker: Broker) -> None:
        self.running, self.desk, self.broker, self._database = running, desk, broker, database

    async def open(self) -> None:
        """Somebody comes, has a plan, and links the account."""
        self.key = await self.running.provider()
        person = await self.running.console.user("Trader")
        await self.running.console.start(person)
        self._token = await self.running.api.sign_in(await self.running.console.init_data(person))
        await self.running.command("grant", str(person), "vip", "--days", "30")
        status, account = await self.call("POST", "/accounts/link", {
            "route": "terminal", "login": LOGIN, "server": SERVER, "password": PASSWORD})
        assert status == 201, account
        self.account = f"/accounts/{account['id']}"

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return await self.running.api.call(method, f"/api/v1{path}", token=self._token, body=body)

    async def until_heard(self, method: str, path: str, body: Any = None) -> Any:
        """Ask until there is an answer, whatever dies meanwhile; what it says."""
        while True:
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                status, told = await self.call(method, path, body)
                assert status == 200, told
                return told
            await asyncio.sleep(0.05)

    # -- killing -------------------------------------------------------------------------------------------

    async def dies_at(self, point: str, doing: asyncio.Task[Any] | None = None) -> None:
        """Let it die there, at ``doing`` or by itself after another start."""
        if doing is None:
            self.desk.arm(point)
            await self.desk.start(wait=False)
        assert await self.desk.ended() == -9
        assert self.desk.passed()[-1] == point

    async def starts_later(self) -> None:
        """Start again so long afterwards that what does not show by then is not going to show."""
        now = datetime.now(UTC)
        then = {"sent_at": now - A_WHILE, "next_try_at": now}
        async with self._database.writing() as session:
            await session.execute(update(PositionAct).where(
                PositionAct.status.in_([ActStatus.SENT, ActStatus.UNKNOWN])).values(then))
            await session.execute(update(Order).where(
                Order.status.in_([OrderStatus.SENT, OrderStatus.UNKNOWN])).values(then))
        await self.desk.start()

    # -- the desk's books ----------------------------------------------------------------------------------

    async def acts_on(self, ticket: int) -> list[PositionAct]:
        async with self._database.reading() as session:
            return list(await session.scalars(select(PositionAct).where(PositionAct.ticket == ticket)))

    async def act_when_over(self, ticket: int) -> PositionAct:
        """The one act on this position, in the end."""

        async def over() -> PositionAct | None:
            [act] = await self.acts_on(ticket)
            return None if act.status in acting.OPEN else act

        found: PositionAct = await until("the act is over", over)
        return found

    async def order_when_over(self, approval_id: str) -> Order:
        async def over() -> Order | None:
            async with self._database.reading() as session:
                order = await session.scalar(select(Order).where(Order.approval_id == int(approval_id)))
            return None if order is None or order.status in orders.OPEN_STATES else order

        found: Order = await until("the order is over", over)
        return found

    async def sum_of(self, statement: str, told: int) -> Decimal:
        """Of a column of decimals, which SQLite keeps as text."""
        async with self._database.reading() as session:
            return sum((Decimal(row) for row in await session.scalars(text(statement), {"told": told})), Decimal(0))

    async def word_on(self, act: PositionAct) -> str | None:
        """What has become of the message that tells of an act; None where none was owed."""
        async with self._database.reading() as session:
            state: str | None = await session.scalar(select(OutboxItem.state).where(
                OutboxItem.dedupe_key == f"act:{act.id}"))
        return state

    # -- the broker's --------------------------------------------------------------------------------------

    def left_of(self, ticket: int) -> Decimal:
        held = self.broker.book.positions.get(ticket)
        return held.volume if held is not None else Decimal(0)

    def traded(self, magic: int | None) -> Decimal:
        """What was opened at the broker for an order of ours."""
        return sum((deal.volume for deal in self.broker.book.deals.values()
                    if deal.entry == 0 and deal.magic & ~LEG == magic), Decimal(0))

    async def card(self) -> dict[str, Any]:
        """Publish gold and wait for what is to be approved."""
        status, signal = await self.running.api.signed("POST", "/api/v1/signals", self.key,
                                                       {"external_id": secrets.token_hex(8), **GOLD})
        assert status == 201, signal

        async def shown() -> Any:
            _, pending = await self.call("GET", "/approvals/pending")
            return next((one for one in pending["items"] if one["signal_id"] == signal["id"]), None)

        found: dict[str, Any] = await until("the card is there", shown)
        return found


@asynccontextmanager
async def trading(folder: Path) -> AsyncIterator[Floor]:
    """The floor, open; closed whatever happens."""
    broker = Broker(folder / "broker.db")
    await broker.start()
    try:
        terminal = broker.write_terminal_folder(folder / "terminal").parent
        broker.add_account(LOGIN, PASSWORD, server=SERVER, balance=Decimal(1_000_000))
        async with world(folder, config=TRADING.format(terminal)) as running:
            await running.desk.stop()
            desk = Watched("tests.e2e.points_of_trading", running.environment, folder / "points", running.desk.log)
            running.desk = desk
            await desk.open()
            await desk.start()
            database = Database.open(f"sqlite+aiosqlite:///{folder / 'data' / 'countersign.db'}")
            try:
                made = Floor(running, desk, database, broker)
                await made.open()
                yield made
            finally:
                await database.close()
    finally:
        await broker.stop()
