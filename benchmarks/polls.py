"""Two hundred devices that ask in vain, plainly and sealed: how much of a bare handler's speed is left.

Every request is signed by its device and has a nonce of its own, as they come from terminals; a sealed one has a
counter too. They are signed before a round begins: what is measured is answering.
"""

import base64
import itertools
import secrets
import statistics
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert

import migrations
from benchmarks.client import Client, ended, yardstick
from benchmarks.report import Figure
from models.account import Account
from models.database import Database
from models.device import Device
from models.user import CardNotice, User
from runtime.valkey import EmbeddedValkey
from sandbox.signing import headers
from services.device_keys import secret_place
from services.vault import Vault
from tests.running import World, free_port

# A device has a connection of its own: its counters have to arrive in their order.
DEVICES = CONNECTIONS = 200
POLL = "/api/v1/ea/poll"
# More than are answered in a second; a round that has come to their end is over.
PREPARED = 30_000
# And so few that all rounds together stay below where a device may count before it is written down again.
PREPARED_SEALED = 10_000
# Requests are counted but nobody is refused.
CONFIG = """
[limits]
signed = 1000000000
[paper]
step_seconds = 60.0
"""


async def run(folder: Path, rounds: int) -> list[Figure]:
    """Idle polls against the bare handler, a second each in turn."""
    folder.mkdir(parents=True)
    async with AsyncExitStack() as stack:
        server = EmbeddedValkey()
        redis_url = await server.start(folder)
        stack.push_async_callback(server.stop)
        master_key = secrets.token_bytes(32)
        devices = await _populate(folder / "data", Vault(master_key))
        desk = World(folder, config=CONFIG)
        stack.push_async_callback(desk.close)
        await desk.open(REDIS_URL=redis_url, MASTER_KEY=base64.b64encode(master_key).decode())
        port = free_port()
        stack.push_async_callback(ended, await yardstick("bare", port, redis_url, b""))
        client = await Client.start(folder)
        stack.push_async_callback(client.close)
        await client.know("bare", port, ["GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n"], ["hello"])
        counters = itertools.count(int(time.time() * 1000) * DEVICES)
        await _let_in(client, desk, devices, counters)
        await _round(client, desk, devices, counters)  # nothing is measured while a process is still cold
        found = [await _round(client, desk, devices, counters) for _ in range(rounds)]
    for name, speeds in zip(("bare", "polls", "sealed polls"), zip(*found, strict=True), strict=True):
        print(f"{name}: {statistics.median(speeds):.0f} answers a second")
    return [
        Figure(f"idle polls of {DEVICES} devices: share of a bare aiohttp handler, median of {rounds} rounds",
               statistics.median(polls / bare for bare, polls, _ in found), 0.4, at_least=True),
        Figure("idle sealed polls: share of plain ones", statistics.median(
            sealed / polls for _, polls, sealed in found), 0.5, at_least=True)]


async def _let_in(client: Client, desk: World, devices: list[tuple[str, str]], counters: Iterator[int]) -> None:
    """Every device's first sealed poll: the desk writes down up to where it may count, as once in a thousand."""
    await _asked(client, desk, "first polls", _sealed(devices, counters, DEVICES), 60.0)


async def _round(client: Client, desk: World, devices: list[tuple[str, str]],
                 counters: Iterator[int]) -> tuple[float, float, float]:
    """Answers a second: the bare handler's, and the desk's to plain and to sealed polls."""
    bare = await client.ask("bare", CONNECTIONS, 1.0)
    plain = [_signed(devices[number % DEVICES], POLL) for number in range(PREPARED)]
    polls = await _asked(client, desk, "polls", plain, 1.0)
    sealed = await _asked(client, desk, "sealed polls", _sealed(devices, counters, PREPARED_SEALED), 1.0)
    return bare["answers"] / bare["took"], polls, sealed


def _sealed(devices: list[tuple[str, str]], counters: Iterator[int], number: int) -> list[str]:
    """The devices' next sealed polls, in turn."""
    taken = itertools.islice(counters, number)
    return [_signed(devices[count % DEVICES], f"{POLL}?envelope=v1&counter={count // DEVICES}") for count in taken]


async def _asked(client: Client, desk: World, name: str, requests: list[str], seconds: float) -> float:
    """Answers a second."""
    await client.know(name, desk.port, requests, [""] * len(requests), status=204, once=True)
    found = await client.ask(name, CONNECTIONS, seconds)
    return float(found["answers"] / found["took"])


def _signed(key: tuple[str, str], target: str) -> str:
    said = headers(*key, method="GET", target=target, body=b"", now=int(time.time()))
    lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    return f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n"


async def _populate(data: Path, vault: Vault) -> list[tuple[str, str]]:
    """Users with a device each that serves an account; the keys of the devices."""
    data.mkdir(parents=True)
    url = f"sqlite+aiosqlite:///{data / 'countersign.db'}"
    await migrations.upgrade(url)
    database, now, ids = Database.open(url), datetime.now(UTC), range(1, DEVICES + 1)
    names, held = [f"dv_{number:024d}" for number in ids], [secrets.token_bytes(32) for _ in ids]
    async with database.writing() as session:
        await session.execute(insert(User), [
            {"id": i, "telegram_id": 10**9 + i, "first_name": f"U{i}", "card_notice": CardNotice.ON, "created_at": now}
            for i in ids])
        await session.execute(insert(Device), [
            {"id": name, "user_id": i, "account_id": 5000 + i, "name": "Terminal", "created_at": now,
             "sealed_secret": vault.seal(secret, secret_place(name, i))}
            for i, name, secret in zip(ids, names, held, strict=True)])
        await session.execute(insert(Account), [
            {"id": 5000 + i, "user_id": i, "route": "device", "label": "Live", "login": str(i), "server": "Harbour",
             "broker": "Harbour Markets", "currency": "USD", "sizing": {}, "status": "verified", "is_primary": True,
             "leverage": 100, "margin_mode": "hedging", "can_trade": True, "verified_at": now, "created_at": now,
             "device_id": name} for i, name in zip(ids, names, strict=True)])
    await database.close()
    shown = [base64.urlsafe_b64encode(secret).decode().rstrip("=") for secret in held]
    return list(zip(names, shown, strict=True))
