"""The real Expert Advisor between the real desk and a broker: who owns it, what it is told, what becomes of orders.

The desk runs in the test, its door on a real socket; the Expert is a process; the broker runs in the test and counts.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from ea.proof import compile as proof
from models.device import DeviceSnapshot, DeviceSymbol
from models.order import Order
from sandbox.mt5.broker import Broker
from services import device_orders, tiers
from tests.ea.desk.between import Between, between
from tests.ea.terminal import Terminal, broker_at
from tests.webapp.conftest import Door

EXPERT = proof.EXPERTS / "Countersign.mq5"
SECONDS = 60.0
URL = "https://desk.example"


@dataclass
class Room:
    """``user_id`` is the owner; ``provider`` publishes what is approved."""

    door: Door
    broker: Broker
    terminal: Terminal
    line: Between
    user_id: int = 0
    provider: tuple[str, str] = ("", "")
    account_id: str = ""
    device: tuple[str, str] = ("", "")

    @property
    def token(self) -> str:
        return self.door.token(self.user_id)

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        status, answer, _ = await self.door.call(method, f"/api/v1{path}", token=self.token, body=body)
        return status, answer

    async def code(self) -> str:
        """A pairing code, as the owner reads it."""
        status, offered = await self.call("POST", "/devices/pairing", {"name": "Terminal"})
        assert status == 201, offered
        return str(offered["code"])

    async def register(self) -> None:
        """A device whose id and secret are entered by hand."""
        status, made = await self.call("POST", "/devices", {"name": "Terminal"})
        assert status == 201, made
        self.device = made["device"]["id"], made["secret"]
        self.terminal.inputs = {**self.terminal.inputs, "InpDeviceId": self.device[0], "InpSecret": self.device[1]}

    async def link(self, sizing: dict[str, str] | None = None) -> None:
        """Wait until the terminal has reported its account, and link it."""
        await self.until("the terminal reports", self.has_reported)
        [device] = (await self.call("GET", "/devices"))[1]["items"]
        status, account = await self.call("POST", "/accounts/link", {"route": "device", "device_id": device["id"]})
        assert status == 201, account
        self.account_id = account["id"]
        status, told = await self.call("PATCH", f"/accounts/{self.account_id}",
                                       {"sizing": sizing or {"mode": "fixed", "volume": "0.10"}})
        assert status == 200, told
        # A terminal that has just been connected takes no orders yet.
        await self.terminal.tell("advance 10000")

    async def has_reported(self) -> bool:
        async with self.door.desk.database.reading() as session:
            return await session.scalar(select(DeviceSnapshot.device_id)) is not None

    async def symbol(self, name: str) -> DeviceSymbol | None:
        """What the terminal has told of one of its broker's symbols."""
        async with self.door.desk.database.reading() as session:
            return await session.scalar(select(DeviceSymbol).where(DeviceSymbol.name == name))

    async def approve(self, **signal: Any) -> int:
        """A signal of about now, approved; its order."""
        await self.door.publish(self.provider, **signal)
        approval = await self.door.waiting(self.token)
        status, decided = await self.call("POST", f"/approvals/{approval['id']}/approve",
                                          {"terms_hash": approval["terms_hash"]})
        assert status == 200, decided
        return int(decided["order"]["id"])

    async def order(self, order_id: int) -> Order:
        async with self.door.desk.database.reading() as session:
            return (await session.scalars(select(Order).where(Order.id == order_id))).one()

    async def lapse(self, order_id: int) -> None:
        """The lease is over, as if its seconds had passed."""
        async with self.door.desk.database.writing() as session:
            past = datetime.now(UTC) - timedelta(seconds=1)
            await session.execute(update(Order).where(Order.id == order_id).values(lease_until=past, next_try_at=past))

    async def becomes(self, order_id: int, *statuses: str) -> Order:
        """Wait until an order has one of these statuses. What nobody answers for is swept meanwhile."""
        async def has() -> bool:
            async with self.door.desk.database.writing() as session:
                await device_orders.sweep(session, datetime.now(UTC), 100)
            return (await self.order(order_id)).status in statuses

        await self.until(f"order {order_id} becomes {statuses}", has)
        return await self.order(order_id)

    async def until(self, what: str, check: Callable[[], Awaitable[bool]], seconds: float = SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not await check():
            if time.monotonic() > deadline:
                raise AssertionError(f"not in time: {what}\n{self.terminal.trouble()}\n{await self.told()}\n"
                                     f"{await self.shown()}")
            await asyncio.sleep(0.05)

    async def told(self) -> str:
        async with self.door.desk.database.reading() as session:
            orders = list(await session.scalars(select(Order)))
        return "\n".join(f"{o.id} {o.status} {o.reason} {o.error} {o.retcode} {o.volume}" for o in orders)

    async def shown(self) -> str:
        """The panel, line by line."""
        panel = await self.terminal.panel()
        return "\n".join(text for _, text in sorted(panel.items()))

    async def shows(self, words: str) -> None:
        async def found() -> bool:
            return words in await self.shown()

        await self.until(f"the panel shows {words!r}, not\n{await self.shown()}", found)


@asynccontextmanager
async def room(door: Door, executable: Path, folder: Path, **given: Any) -> AsyncIterator[Room]:
    """A VIP with nothing yet: neither device nor account."""
    inputs = {"InpDeskUrl": URL, **given.pop("inputs", {})}
    async with broker_at(folder / "broker.db") as broker, between(door.base) as line:
        terminal = Terminal(executable, folder, broker, inputs, address=line.address, **given)
        made = Room(door, broker, terminal, line)
        made.provider = await door.provider("Desk Alpha")
        made.user_id, _ = await door.person()
        vip = door.desk.catalogue.named("vip")
        assert vip is not None
        async with door.desk.database.writing() as session:
            tiers.grant(session, vip, made.user_id, 30, "manual", datetime.now(UTC))
        try:
            yield made
        finally:
            await terminal.put_away()


@asynccontextmanager
async def trading(door: Door, executable: Path, folder: Path, sizing: dict[str, str] | None = None,
                  **given: Any) -> AsyncIterator[Room]:
    """One whose terminal runs, is linked and gets orders."""
    async with room(door, executable, folder, **given) as made:
        await made.register()
        await made.terminal.start()
        await made.link(sizing)
        yield made


def signal(broker: Broker, symbol: str = "EURUSD", side: str = "buy", **changes: Any) -> dict[str, Any]:
    """A signal round the price of now, with a stop 50 points of pips below and one target above."""
    quote = broker.market.quote(symbol)
    assert quote is not None
    price = quote.ask if side == "buy" else quote.bid
    away = price / 100 * (1 if side == "buy" else -1)
    return {"symbol": symbol, "side": side, "order_type": "market", "stop_loss": f"{price - away:.5f}",
            "take_profits": [f"{price + away:.5f}"], **changes}

