"""A whole desk with MetaTrader accounts: linked, traded on, killed at odd moments, and searched for passwords."""

import asyncio
import random
import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.mt5.book import Book
from tests.running import Api, Console, Process, free_pair, until

LEG = 0xF << 44
OVER = ("filled", "rejected", "failed", "expired", "closed")
KILLS = 6


class Town:
    """The sandbox as a process, a person in it, and their hands on chat, API and control."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        port = free_pair()
        (folder / "mine.toml").write_text("[limits]\nauth = 0\nreads = 0\nlinks = 0\n")
        self.environment = {"PORT": str(port), "DATA": str(self.data), "CONFIG": str(folder / "mine.toml")}
        self.desk = Process("sandbox", self.environment, folder / "desk.log")
        self.client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        self.console = Console(self.client, f"http://127.0.0.1:{port + 1}")
        self.api = Api(self.client, self.desk.url)

    async def open(self) -> None:
        await self.desk.start()
        self.user = await self.console.user("Ada")
        await self.console.start(self.user)
        await self.sign_in()

    async def sign_in(self) -> None:
        self.token = await self.api.sign_in(await self.console.init_data(self.user))

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return await self.api.call(method, f"/api/v1{path}", token=self.token, body=body)

    async def grant(self, tier: str) -> None:
        await self.desk.command("grant", str(self.user), tier, "--days", "30")

    async def link(self, number: int = 0) -> dict[str, Any]:
        account = (await self.console.get("/state"))["terminal"]["accounts"][number]
        status, linked = await self.call("POST", "/accounts/link", {
            "route": "terminal", "login": account["login"], "server": account["server"],
            "password": account["password"]})
        assert status == 201, linked
        return {**account, **linked}

    async def ask(self) -> dict[str, Any]:
        """Publish gold and wait for the card."""
        key = (await self.console.get("/state"))["provider"]
        ask = Decimal((await self.console.get("/prices"))["XAUUSD"]["ask"])
        body = {"external_id": secrets.token_hex(8), "symbol": "XAUUSD", "side": "buy", "order_type": "market",
                "stop_loss": str(ask - 20), "take_profits": [str(ask + 100), str(ask + 200)]}
        status, signal = await self.api.signed("POST", "/api/v1/signals", (key["key_id"], key["secret"]), body)
        assert status == 201, signal

        async def shown() -> Any:
            _, pending = await self.call("GET", "/approvals/pending")
            return next((one for one in pending["items"] if one["signal_id"] == signal["id"]), None)

        found: dict[str, Any] = await until("the card is there", shown)
        return found

    async def approve(self, card: dict[str, Any]) -> tuple[int, Any]:
        return await self.call("POST", f"/approvals/{card['id']}/approve", {"terms_hash": card["terms_hash"]})

    async def order(self, card: dict[str, Any]) -> dict[str, Any]:
        """What became of it in the end."""

        async def over() -> Any:
            _, shown = await self.call("GET", f"/approvals/{card['id']}")
            return shown["order"] if shown["order"] and shown["order"]["status"] in OVER else None

        found: dict[str, Any] = await until("the order's outcome is known", over, 90)
        return found

    async def close(self) -> None:
        await self.client.close()
        if self.desk.is_running:
            await self.desk.stop()


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    made = Town(tmp_path)
    try:
        await made.open()
        yield made
    finally:
        await made.close()


def traded(town: Town, order_id: str) -> list[Decimal]:
    """Volumes the broker has opened for an order of ours, from its own book."""
    book = Book(town.data / "sandbox-broker.db")
    with closing(book), closing(sqlite3.connect(f"file:{town.data / 'countersign.db'}?mode=ro", uri=True)) as desk:
        book.open()
        ((magic,),) = desk.execute("SELECT magic FROM orders WHERE id = ?", (order_id,))
        return [deal.volume for deal in book.deals.values() if deal.entry == 0 and deal.magic & ~LEG == magic]


async def test_a_desk_killed_while_it_trades_has_traded_once(town: Town) -> None:
    await town.grant("vip")
    await town.link()
    chance, orders = random.Random(20_261_125), []
    for kind in ("hang", "timeout_after_fill", "no_answer", None, None, None)[:KILLS]:
        if kind is not None:
            await town.console.post("/faults", {"target": "terminal", "fault": kind, "times": 1, "seconds": 5})
        card = await town.ask()
        approving = asyncio.create_task(town.approve(card))
        await asyncio.sleep(chance.uniform(0.01, 0.25))
        await town.desk.kill()
        with_answer = await asyncio.gather(approving, return_exceptions=True)
        await town.desk.start()
        await town.sign_in()
        if isinstance(with_answer[0], BaseException):
            assert (await town.approve(card))[0] == 200  # whether or not the first one was heard
        orders.append(await town.order(card))
    assert await town.desk.stop() == 0
    for order in orders:
        volumes = traded(town, order["id"])
        if order["status"] in ("filled", "closed"):
            assert sum(volumes) == Decimal(order["volume"]) and len(volumes) <= 2, order
        else:
            assert volumes == [] and order["reason"], order
    assert any(order["status"] == "filled" for order in orders)


async def test_passwords_are_nowhere(town: Town, tmp_path: Path) -> None:
    await town.grant("vip")
    first = await town.link()
    wrong = f"Wrong-{secrets.token_hex(8)}"
    status, refused = await town.call("POST", "/accounts/link", {
        "route": "terminal", "login": "5000002", "server": first["server"], "password": wrong})
    assert status == 400 and refused["reason"] == "wrong_password"
    odd = f"Odd-{secrets.token_hex(8)}"
    assert (await town.call("POST", "/accounts/link", {
        "route": "terminal", "login": "5000002", "server": first["server"], "password": odd, "more": odd}))[0] == 422
    answers = [await town.call("GET", path) for path in (
        "/accounts", f"/accounts/{first['id']}", "/positions", "/portfolio", f"/accounts/{first['id']}/history")]
    copy = tmp_path / "copy.db"
    await town.desk.command("backup", str(copy))
    searched = [str(answers).encode(), str(refused).encode(), town.desk.log.read_bytes(), copy.read_bytes()]
    files = [path for path in town.data.rglob("*") if path.is_file()]
    assert any(path.name.endswith("-wal") for path in files)
    searched += [path.read_bytes() for path in files]
    for canary in (first["password"], first["investor_password"], wrong, odd):
        for form in (canary, canary.encode("utf-16-le").decode("latin-1"), canary.encode().hex()):
            assert all(form.encode("latin-1") not in raw for raw in searched)


async def test_no_worker_outlives_a_desk_that_is_killed(town: Town) -> None:
    await town.link()
    workers = town.desk.children("terminal.mt5.worker")
    assert workers
    await town.desk.kill()

    async def gone() -> bool:
        return not any(Path(f"/proc/{pid}").exists() for pid in workers)

    await until("the workers have gone with it", gone)
    await town.desk.start()
