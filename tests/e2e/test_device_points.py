"""SIGKILL at every point of an order that a device fetches: traded once, or not at all and said so.

The device is the test: it does what docs/devices.md says, keeps what it has begun, and its broker counts.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from sqlalchemy import select, update

from models.database import Database
from models.order import Order, OrderStatus
from services import orders
from tests.e2e.conftest import PATIENT
from tests.e2e.watched import Watched
from tests.running import GOLD, World, until, world
from tests.webapp.devices_stage import report

pytestmark = pytest.mark.asyncio(loop_scope="module")
POLL, BEGIN, ACK = "/api/v1/ea/poll", "/api/v1/ea/begin", "/api/v1/ea/ack"
# What the desk passes, and what must have become of the order when it died there.
POINTS = {
    "poll, before": "filled", "poll, inside": "filled", "poll, after": "filled",
    "begin, before": "filled", "begin, inside": "filled", "begin, after": "not_executed",
    "ack, before": "filled", "ack, inside": "filled", "ack, after": "filled"}


@dataclass
class Hand:
    """A device that writes down what it begins before it does, and trades when it may."""

    running: World
    key: tuple[str, str] = ("", "")
    begun: set[int] = field(default_factory=set)
    traded: Counter[int] = field(default_factory=Counter)
    owed: list[dict[str, Any]] = field(default_factory=list)

    async def signed(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return await self.running.api.signed(method, path, self.key, body)

    async def step(self) -> None:
        """Ask once and do what is to be done; an answer that does not come is one more thing to look for."""
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            await self._deliver()
            status, offer = await self.signed("GET", POLL)
            for order in offer["orders"] if status == 200 else ():
                await self._trade(order)
            await self._deliver()

    async def _trade(self, order: dict[str, Any]) -> None:
        magic = int(order["magic"])
        if self.traded[magic]:
            self._owe(order, "filled", ticket=magic & 0xFFFF, price="2350.00", volume=order["volume"])
            return
        if order["began_at"] is not None:
            self._owe(order, "failed", error="not_executed")
            return
        self.begun.add(magic)
        status, _ = await self.signed("POST", BEGIN, {"order_id": order["order_id"]})
        if status == 200:
            self.traded[magic] += 1
            self._owe(order, "filled", ticket=magic & 0xFFFF, price="2350.00", volume=order["volume"])

    def _owe(self, order: dict[str, Any], status: str, **more: Any) -> None:
        self.owed.append({"order_id": order["order_id"], "status": status, **more})

    async def _deliver(self) -> None:
        while self.owed:
            status, told = await self.signed("POST", ACK, self.owed[0])
            if status == 503:  # the desk cannot tell repeats apart just now
                return
            assert status == 200, told
            self.owed.pop(0)


@dataclass
class Room:
    running: World
    desk: Watched
    database: Database
    hand: Hand
    token: str = ""
    provider: tuple[str, str] = ("", "")

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return await self.running.api.call(method, f"/api/v1{path}", token=self.token, body=body)

    async def open(self) -> None:
        """Somebody comes, has a plan, registers a device and links what it reports."""
        self.provider = await self.running.provider()
        person = await self.running.console.user("Trader")
        await self.running.console.start(person)
        self.token = await self.running.api.sign_in(await self.running.console.init_data(person))
        await self.running.command("grant", str(person), "vip", "--days", "30")
        status, made = await self.call("POST", "/devices", {"name": "VPS"})
        assert status == 201, made
        self.hand.key = made["device"]["id"], made["secret"]
        status, told = await self.hand.signed("POST", "/api/v1/ea/snapshot", report(positions=[]))
        assert status == 204, told
        status, account = await self.call("POST", "/accounts/link", {"route": "device",
                                                                     "device_id": self.hand.key[0]})
        assert status == 201, account
        status, told = await self.call("PATCH", f"/accounts/{account['id']}",
                                       {"sizing": {"mode": "fixed", "volume": "0.10"}})
        assert status == 200, told

    async def approved(self) -> int:
        """A signal that was approved: its order."""
        status, signal = await self.running.api.signed("POST", "/api/v1/signals", self.provider,
                                                       {"external_id": secrets.token_hex(8), **GOLD})
        assert status == 201, signal

        async def shown() -> Any:
            _, pending = await self.call("GET", "/approvals/pending")
            return next((one for one in pending["items"] if one["signal_id"] == signal["id"]), None)

        card = await until("the card is there", shown)
        status, decided = await self.call("POST", f"/approvals/{card['id']}/approve",
                                          {"terms_hash": card["terms_hash"]})
        assert status == 200, decided
        return int(decided["order"]["id"])

    async def order(self, order_id: int) -> Order:
        async with self.database.reading() as session:
            return (await session.scalars(select(Order).where(Order.id == order_id))).one()

    async def leases_are_over(self) -> None:
        now = datetime.now(UTC)
        async with self.database.writing() as session:
            await session.execute(update(Order).where(Order.status.in_(orders.OPEN_STATES))
                                  .values(lease_until=now, next_try_at=now))


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Room]:
    async with world(folder, config=PATIENT) as running:
        await running.desk.stop()
        desk = Watched("tests.e2e.points_of_devices", running.environment, folder / "points", running.desk.log)
        running.desk = desk
        await desk.open()
        await desk.start()
        database = Database.open(f"sqlite+aiosqlite:///{folder / 'data' / 'countersign.db'}")
        try:
            room = Room(running, desk, database, Hand(running))
            await room.open()
            yield room
        finally:
            await database.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def room(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Room]:
    async with opened(tmp_path_factory.mktemp("devices")) as made:
        yield made


async def test_these_are_the_points(room: Room) -> None:
    before = len(room.desk.passed())
    order_id = await room.approved()
    await room.hand.step()
    assert (await room.order(order_id)).status == OrderStatus.FILLED
    assert set(room.desk.passed()[before:]) == set(POINTS)


@pytest.mark.parametrize("point", POINTS)
async def test_killed_there_the_order_is_traded_once_or_said_to_be_not(room: Room, point: str) -> None:
    order_id = await room.approved()
    room.desk.arm(point)
    working = asyncio.create_task(room.hand.step())
    assert await room.desk.ended() == -9
    await working
    assert room.desk.passed()[-1] == point
    await room.leases_are_over()
    await room.desk.start()

    async def over() -> Order | None:
        await room.hand.step()
        order = await room.order(order_id)
        return order if order.status not in orders.OPEN_STATES and not room.hand.owed else None

    order = await until("the order is over", over)
    assert order.magic is not None
    assert (order.reason or order.status) == POINTS[point], (order.status, order.reason)
    assert room.hand.traded[order.magic] == (1 if order.status == OrderStatus.FILLED else 0)
