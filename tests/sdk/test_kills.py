"""SIGKILL of the client at every step of an order, and at random: traded once or not at all, and the desk hears which.

``DEVICE_KILLS`` says how many random kills there are, and lets it die at every point; ``make device-kills`` sets it.
"""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from models.order import OrderStatus
from tests.e2e.watched import Watched
from tests.running import until
from tests.sdk.floor import PASSWORD, Floor

KILLS = int(os.environ.get("DEVICE_KILLS", "0"))
OVER = (OrderStatus.FILLED, OrderStatus.CLOSED, OrderStatus.FAILED, OrderStatus.REJECTED, OrderStatus.EXPIRED)
CONFIG = """
[desk]
url = "{url}"
envelope = {envelope}

[terminal]
folder = "{terminal}"
login = "5001"
server = "Sandbox-MT5"
start_seconds = 60
call_seconds = 30
send_seconds = 30
"""
# Where it dies, and what has become of the order then. A device that dies before it says that it begins is offered the
# order again; one that dies between that and the sending cannot know that it has not sent.
POINTS = {
    "desk: poll, before": "filled", "desk: poll, after": "filled",
    "memory: begin, before": "filled", "memory: begin, after": "filled",
    "desk: begin, before": "filled", "desk: begin, after": "failed",
    "memory: hand_over, before": "failed", "memory: hand_over, after": "failed",
    "terminal: send, before": "failed", "worker: send, told": "either", "terminal: send, after": "filled",
    "memory: settle, before": "filled", "memory: settle, after": "filled",
    "desk: acknowledge, before": "filled", "desk: acknowledge, after": "filled",
    "memory: paid, before": "filled", "memory: paid, after": "filled"}
# By default those that tell most: nothing begun, begun and not sent, on its way, done and not written, not said.
FEW = ("memory: begin, after", "desk: begin, after", "worker: send, told", "terminal: send, after",
       "desk: acknowledge, before")


class WatchedClient(Watched):
    """The client under the watch of its points."""

    async def shoot(self) -> None:
        """SIGKILL, now."""
        os.kill(self._pid, signal.SIGKILL)
        assert await self.ended() == -9


@asynccontextmanager
async def watched(floor: Floor, folder: Path, *, envelope: bool = False) -> AsyncIterator[WatchedClient]:
    """A paired client in a process of its own, whose account is linked."""
    config = folder / "device.toml"
    config.write_text(CONFIG.format(url=floor.door.base, terminal=floor.terminal, envelope=str(envelope).lower()))
    client = WatchedClient("tests.sdk.points_of_device", {
        "PORT": "1", "DEVICE_CONFIG": str(config), "DEVICE_PASSWORD": PASSWORD, "DATA": str(folder / "watched"),
        "DEVICE_CODE": await floor.code()}, folder / "points", folder / "client.log")
    await client.open()
    try:
        await client.start(wait=False)
        await floor.link()
        yield client
    finally:
        await client.stop()


async def settled(floor: Floor, order_id: int) -> str:
    """What the desk says in the end, after the books of desk and broker were compared."""
    order = await floor.until_order(order_id, *OVER)
    traded = floor.traded(order.magic)
    assert traded == (order.volume if order.status == OrderStatus.FILLED else 0), (order.status, order.reason, traded)
    assert order.status == OrderStatus.FILLED or order.reason == "not_executed"
    return order.status


@pytest.mark.parametrize("envelope", [False, True] if KILLS else [True])
async def test_it_dies_at_every_step_and_comes_back(floor: Floor, tmp_path: Path, envelope: bool) -> None:
    async with watched(floor, tmp_path, envelope=envelope) as client:
        for point, outcome in POINTS.items():
            if not KILLS and point not in FEW:
                continue
            client.arm(point)
            order_id = await floor.approve()
            assert await client.ended() == -9, point
            assert client.passed()[-1] == point
            await floor.at_once(order_id)
            await client.start(wait=False)
            status = await settled(floor, order_id)
            assert outcome in ("either", status), point
        await all_said(floor)


async def all_said(floor: Floor) -> None:
    """Nothing is owed any more: of every order the desk has the last word, each once."""
    async def nothing_open() -> bool:
        return all(order.status in OVER for order in await floor.orders())

    await until("no order is open", nothing_open)
    for order in await floor.orders():
        said = await floor.acks(order.id)
        assert said[-1:] == [order.status] and len(said) == len(set(said)), (order.id, said)


@pytest.mark.skipif(not KILLS, reason="DEVICE_KILLS is not set")
async def test_it_dies_at_any_moment_under_load(floor: Floor, tmp_path: Path) -> None:
    chance, made, over = random.Random(KILLS), list[int](), asyncio.Event()

    async def approve() -> None:
        while not over.is_set():
            made.append(await floor.approve())
            await asyncio.sleep(chance.uniform(0.2, 1.5))

    async with watched(floor, tmp_path, envelope=True) as client:
        load = asyncio.create_task(approve())
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.2, 3.0))
            await client.shoot()
            await client.start(wait=False)
        over.set()
        await load
        for order_id in made:
            await floor.at_once(order_id)
        await all_said(floor)
        filled = 0
        for order_id in made:
            order = await floor.order(order_id)
            traded = floor.traded(order.magic) if order.magic is not None else Decimal(0)
            assert traded == (order.volume if order.status == OrderStatus.FILLED else 0)
            filled += order.status == OrderStatus.FILLED
        assert filled > len(made) / 2, "it did trade"
