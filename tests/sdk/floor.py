"""A person, a desk, a broker, and the device clients between them."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from models.device import DeviceAck
from models.order import Order, OrderStatus
from sandbox.mt5 import WHEEL
from sandbox.mt5.broker import Broker
from sdk import AccountRef, DeviceClient, DeviceSettings, Key, metatrader
from services import tiers
from terminal.mt5.calls import SupervisionRules
from tests.running import until
from tests.sdk.brisk import BRISK
from tests.webapp.conftest import Door

LOGIN, PASSWORD, SERVER = "5001", "correct horse", "Sandbox-MT5"
GOLD = {"symbol": "XAUUSD", "side": "buy", "order_type": "market", "stop_loss": "2300.00", "take_profits": ["2450.00"]}
PATIENT = SupervisionRules(start_seconds=40.0, call_seconds=20.0, send_seconds=20.0, start_every_seconds=0.0,
                           terminals=1)
LEG = 0xF << 44


class Running:
    """A client in this process, with the terminal that is its own."""

    def __init__(self, settings: DeviceSettings, folder: Path) -> None:
        self.settings = settings
        self.terminal = metatrader(folder, settings.data, PASSWORD, {}, rules=PATIENT, extra_path=WHEEL)
        self.client = DeviceClient(settings, self.terminal)
        self._stopping = asyncio.Event()
        self.task = asyncio.create_task(self.client.run(self._stopping))

    async def stop(self) -> None:
        """As SIGTERM does; whatever the client ended with is raised."""
        self._stopping.set()
        try:
            await self.task
        finally:
            await self.terminal.close_all()


class Floor:
    """One look at the books of the desk and the broker."""

    def __init__(self, door: Door, broker: Broker, folder: Path, terminal: Path) -> None:
        self.door, self.broker, self.folder, self.terminal = door, broker, folder, terminal
        self.running: list[Running] = []
        self.token = ""

    async def open(self) -> None:
        """Somebody comes and has a plan."""
        self.provider = await self.door.provider("Desk Alpha")
        user_id, self.token = await self.door.person()
        vip = self.door.desk.catalogue.named("vip")
        assert vip is not None
        async with self.door.desk.database.writing() as session:
            tiers.grant(session, vip, user_id, 30, "manual", datetime.now(UTC))

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        status, told, _ = await self.door.call(method, f"/api/v1{path}", token=self.token, body=body)
        assert status < 300, told
        return told

    # -- devices -------------------------------------------------------------------------------------------

    def settings(self, name: str = "device", **more: Any) -> DeviceSettings:
        given: dict[str, Any] = {"url": self.door.base, "rules": BRISK, **more}
        return DeviceSettings(data=self.folder / name, account=AccountRef(LOGIN, SERVER), **given)

    async def code(self, name: str = "VPS") -> str:
        """A pairing code."""
        return str((await self.call("POST", "/devices/pairing", {"name": name}))["code"])

    async def key(self, name: str = "VPS", **more: Any) -> Key:
        """A device made by hand."""
        made = await self.call("POST", "/devices", {"name": name, **more})
        return Key.of(made["device"]["id"], made["secret"])

    def start(self, settings: DeviceSettings) -> Running:
        running = Running(settings, self.terminal)
        self.running.append(running)
        return running

    async def serve(self, **more: Any) -> None:
        """Pair a device, wait for its first report, link its account with it."""
        self.start(self.settings(code=await self.code(), **more))
        await self.link()

    @asynccontextmanager
    async def instead(self, **more: Any) -> AsyncIterator[Running]:
        """For a while the paired device runs with other settings."""
        await self.rest()
        try:
            yield self.start(self.settings(**more))
            await self.rest()
        finally:
            self.running = []
            self.start(self.settings())

    async def link(self) -> None:
        """Link the account that the only device has reported."""
        async def linked() -> Any:
            devices = (await self.call("GET", "/devices"))["items"]
            if not devices:
                return None
            [device] = devices
            status, told, _ = await self.door.call("POST", "/api/v1/accounts/link", token=self.token,
                                                   body={"route": "device", "device_id": device["id"]})
            return told if status == 201 else None

        account = await until("the account is linked", linked)
        self.account = f"/accounts/{account['id']}"
        await self.size({"mode": "fixed", "volume": "0.10"})

    async def size(self, sizing: dict[str, str]) -> None:
        await self.call("PATCH", self.account, {"sizing": sizing})

    async def rest(self) -> None:
        """Every client stops."""
        running, self.running = self.running, []
        for one in running:
            await one.stop()

    # -- orders --------------------------------------------------------------------------------------------

    async def approve(self, **signal: Any) -> int:
        """A signal, approved: the number of the order it makes."""
        await self.door.publish(self.provider, **{**GOLD, "external_id": secrets.token_hex(8), **signal})
        approval = await self.door.waiting(self.token)
        decided = await self.call("POST", f"/approvals/{approval['id']}/approve",
                                  {"terms_hash": approval["terms_hash"]})
        return int(decided["order"]["id"])

    async def order(self, order_id: int) -> Order:
        async with self.door.desk.database.reading() as session:
            return await session.get_one(Order, order_id)

    async def orders(self) -> list[Order]:
        async with self.door.desk.database.reading() as session:
            return list(await session.scalars(select(Order).order_by(Order.id)))

    async def at_once(self, order_id: int) -> None:
        """The lease of a device that has died is over: nobody waits a quarter of a minute here."""
        past = datetime.now(UTC) - timedelta(seconds=1)
        async with self.door.desk.database.writing() as session:
            await session.execute(update(Order).where(Order.id == order_id, Order.lease_until.is_not(None))
                                  .values(lease_until=past, next_try_at=past))

    async def acks(self, order_id: int) -> list[str]:
        """What devices said of it, in order."""
        async with self.door.desk.database.reading() as session:
            return list(await session.scalars(select(DeviceAck.status).where(DeviceAck.order_id == order_id)
                                              .order_by(DeviceAck.id)))

    async def until_order(self, order_id: int, *statuses: OrderStatus) -> Order:
        async def there() -> Order | None:
            order = await self.order(order_id)
            return order if order.status in statuses else None

        found: Order = await until(f"order {order_id} is {statuses}", there)
        return found

    # -- the broker ----------------------------------------------------------------------------------------

    def traded(self, magic: int | None) -> Decimal:
        """What was opened at the broker for an order."""
        return sum((deal.volume for deal in self.broker.book.deals.values()
                    if deal.entry == 0 and deal.magic & ~LEG == magic), Decimal(0))

    async def closes(self, order_id: int) -> Order:
        """Close all that an order holds, and wait until the desk knows."""
        order = await self.order(order_id)
        for position in [held for held in self.broker.book.positions.values() if held.magic & ~LEG == order.magic]:
            self.broker.by_hand(LOGIN, position.symbol, "sell" if position.type == 0 else "buy", position.volume,
                                ticket=position.ticket)
        return await self.until_order(order_id, OrderStatus.CLOSED)

    def set_gold(self, bid: str = "2350.40") -> None:
        self.broker.set_price("XAUUSD", Decimal(bid), Decimal(bid) + Decimal("0.20"))

    async def until_true(self, what: str, check: Callable[[], Any]) -> Any:
        async def look() -> Any:
            return check()

        return await until(what, look)


@asynccontextmanager
async def opened(door: Door, folder: Path) -> AsyncIterator[Floor]:
    """The floor; everything on it is ended whatever happens."""
    broker = Broker(folder / "broker.db")
    await broker.start()
    try:
        terminal = broker.write_terminal_folder(folder / "terminal").parent
        broker.add_account(LOGIN, PASSWORD, server=SERVER, balance=Decimal(1_000_000))
        floor = Floor(door, broker, folder, terminal)
        await floor.open()
        try:
            yield floor
        finally:
            await floor.rest()
    finally:
        await broker.stop()
