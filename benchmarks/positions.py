"""Positions for a thousand signed-in users: how much of a bare handler's speed is left, and how soon is fresh news.

Servers and client are processes of their own. They are asked in turn, a second each, and every round gives one
ratio: a machine that is slower for a while is slower for all of them.
"""

import asyncio
import json
import statistics
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from sqlalchemy import insert

import config
import migrations
from benchmarks.client import Client, ended, yardstick
from benchmarks.report import Figure, percentile
from models.account import Account
from models.database import Database
from models.user import CardNotice, User
from runtime import valkey
from runtime.valkey import EmbeddedValkey
from services.auth import Tokens
from services.vault import Vault
from terminal.paper import tables
from terminal.paper.gateway import BROKER, SERVER
from tests.running import World, free_port

USERS = 1_000
POSITIONS = 10
CONNECTIONS, AT_ONCE = 32, 50
# Limits are counted but refuse nobody; the market stands still, so that what is measured is answering.
CONFIG = """
[limits]
reads = 1000000
[positions]
cache_seconds = 300
warm_minutes = 0
[paper]
step_seconds = 60.0
"""
SYMBOLS = {"EURUSD": "1.07000", "GBPUSD": "1.25000", "USDJPY": "155.000", "XAUUSD": "2350.00", "AUDUSD": "0.65000"}


async def run(folder: Path, rounds: int) -> list[Figure]:
    """Cached answers against both yardsticks, then fresh ones."""
    folder.mkdir(parents=True)
    async with AsyncExitStack() as stack:
        server = EmbeddedValkey()
        redis_url = await server.start(folder)
        stack.push_async_callback(server.stop)
        await _populate(folder / "data")
        desk = World(folder, config=CONFIG)
        stack.push_async_callback(desk.close)
        await desk.open(REDIS_URL=redis_url)
        key = Vault(config.decode_key(desk.environment["MASTER_KEY"])).jwt_keys[0]
        tokens = _tokens(key)
        answers = await _fill(desk, redis_url, tokens)
        ports = {"bare": free_port(), "fastapi": free_port()}
        for name, port in ports.items():
            stack.push_async_callback(ended, await yardstick(name, port, redis_url, key))
        client = await Client.start(folder)
        stack.push_async_callback(client.close)
        path = "/api/v1/positions"
        await client.know("bare", ports["bare"], [_request("/", None)], ["hello"])
        await client.know("desk", desk.port, [_request(path, token) for token in tokens], [
            answer[:answer.index(",")] for answer in answers])
        await client.know("fastapi", ports["fastapi"], [_request(path, token) for token in tokens], [
            answer[:answer.index(",")] for answer in answers])
        await client.know("fresh", desk.port, [_request(f"{path}?force_refresh=true", token) for token in tokens], [
            answer[:answer.index(",")] for answer in answers])
        return [*await _cached(client, rounds), await _fresh(client)]


async def _cached(client: "Client", rounds: int) -> list[Figure]:
    rates: dict[str, list[float]] = {"bare": [], "desk": [], "fastapi": []}
    for name in rates:
        await client.ask(name, CONNECTIONS, 1.0)  # nothing is measured while a process is still cold
    for _ in range(rounds):
        for name, found in rates.items():
            found.append(len((await client.ask(name, CONNECTIONS, 1.0, each=True))["seconds"]))
    pairs = list(zip(rates["desk"], rates["bare"], rates["fastapi"], strict=True))
    print(", ".join(f"{name}: {statistics.median(found):.0f} answers a second" for name, found in rates.items()))
    return [
        Figure(f"cached positions of {USERS} users: share of a bare aiohttp handler, median of {rounds} rounds",
               statistics.median(desk / bare for desk, bare, _ in pairs), 0.5, at_least=True),
        Figure(f"cached positions of {USERS} users: times the FastAPI reference, median of {rounds} rounds",
               statistics.median(desk / reference for desk, _, reference in pairs), 5.0, "x", at_least=True)]


async def _fresh(client: "Client") -> Figure:
    """Every user's portfolio read from the paper terminal, once each."""
    taken: list[float] = []
    while len(taken) < USERS - AT_ONCE:
        taken += (await client.ask("fresh", AT_ONCE, 1.0, each=True))["seconds"]
    return Figure(f"fresh positions, {AT_ONCE} at once: 99th percentile of {len(taken)}", percentile(taken, 0.99), 0.5,
                  "s")


async def _populate(data: Path) -> None:
    """Users with a paper account and open positions each."""
    data.mkdir(parents=True)
    url = f"sqlite+aiosqlite:///{data / 'countersign.db'}"
    await migrations.upgrade(url)
    database, now = Database.open(url), datetime.now(UTC)
    ids = range(1, USERS + 1)
    names = list(SYMBOLS)
    async with database.writing() as session:
        await session.execute(insert(User), [
            {"id": i, "telegram_id": 10**9 + i, "first_name": f"U{i}", "card_notice": CardNotice.ON, "created_at": now}
            for i in ids])
        await session.execute(insert(Account), [
            {"id": 5000 + i, "user_id": i, "route": "paper", "label": "Paper", "login": str(i), "server": SERVER,
             "broker": BROKER, "currency": "USD", "sizing": {}, "status": "verified", "is_primary": True,
             "leverage": 100, "margin_mode": "hedging", "can_trade": True, "verified_at": now, "created_at": now}
            for i in ids])
        await session.execute(insert(tables.accounts), [
            {"login": str(i), "currency": "USD", "leverage": 100, "deposit": Decimal(10**6), "balance": Decimal(10**6),
             "margin_mode": "hedging", "created_at": now} for i in ids])
        await session.execute(insert(tables.positions), [
            {"login": str(i), "magic": i * 100 + n, "symbol": names[n % 5], "side": "buy", "volume": Decimal("0.10"),
             "entry_price": Decimal(SYMBOLS[names[n % 5]]), "stop_loss": None, "targets": [], "status": "open",
             "opened_at": now} for i in ids for n in range(POSITIONS)])
    await database.close()


def _tokens(key: bytes) -> list[str]:
    """A token for each user, signed as the desk signs them."""
    signer = Tokens([key], 900, timedelta(days=7))
    return [signer.issue(user_id, datetime.now(UTC)) for user_id in range(1, USERS + 1)]


async def _fill(desk: World, redis_url: str, tokens: list[str]) -> list[str]:
    """Everybody has looked once; the reference gets the same answers where it looks for them."""
    redis, found = valkey.connect(redis_url), []
    for start in range(0, USERS, 20):
        answers = await asyncio.gather(*(desk.api.call("GET", "/api/v1/positions", token=token)
                                         for token in tokens[start:start + 20]))
        for number, (status, answer) in enumerate(answers):
            assert status == 200 and len(answer["positions"]) == POSITIONS, answer
            text = json.dumps(answer, separators=(",", ":"))
            await redis.set(f"bench:{start + number + 1}", text)
            found.append(text)
    await redis.aclose()
    return found


def _request(path: str, token: str | None) -> str:
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{bearer}Accept: */*\r\n\r\n"
