"""SIGKILL at random moments under load: no update lost, no card missing, no order twice, database intact.

``KILLS`` says how often; ``make kills`` does it two hundred times.
"""

import asyncio
import json
import os
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from sandbox.telegram.limits import Limits
from sandbox.telegram.state import FIRST_UPDATE_ID
from tests.e2e.conftest import PATIENT
from tests.running import GOLD, World, buttons, until, world

KILLS = int(os.environ.get("KILLS", "12"))
FOLLOWERS = 10
MOST_TAPS = 20
UNLIMITED = Limits(messages_per_second=500.0, chat_per_second=50.0, chat_burst=50)
BRISK = PATIENT + "[notifier]\nrate_per_second = 400.0\nmax_rate_per_second = 450.0\nchat_interval_seconds = 0.03\n"
LONG = {**GOLD, "expires_in_seconds": 86_400}


class Load:
    """Providers publish, followers tap, approve, reject and write, as long as it runs; failures are tried again."""

    def __init__(self, running: World, key: tuple[str, str], users: list[int], seed: int) -> None:
        self._world, self._key, self._users = running, key, users
        self._random = random.Random(seed)
        self._over = asyncio.Event()
        self.signals: set[str] = set()
        self.updates = 0
        self.questions = dict.fromkeys(users, 0)

    async def run(self) -> None:
        await asyncio.gather(self._publish(), *(self._follow(user) for user in self._users))

    def stop(self) -> None:
        self._over.set()

    async def _publish(self) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            await self._until_taken(f"kill-{number}")
            await asyncio.sleep(self._random.uniform(1.0, 3.0))

    async def _until_taken(self, external_id: str) -> None:
        """A provider that hears nothing sends the same again."""
        while True:
            with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
                status, signal = await self._world.api.signed("POST", "/api/v1/signals", self._key,
                                                              {"external_id": external_id, **LONG})
                if status in (200, 201):
                    self.signals.add(signal["id"])
                    return
            await asyncio.sleep(0.05)

    async def _follow(self, user: int) -> None:
        """Answer cards, some of them twice, and ask questions in between."""
        taps: set[asyncio.Task[None]] = set()
        while not self._over.is_set():
            card = await self._world.console.open_card(user)
            if card is not None and len(taps) < MOST_TAPS:
                name = "Approve" if self._random.random() < 0.8 else "Reject"
                path = f"/chats/{user}/taps"
                body = {"message_id": card["message_id"], "callback_data": buttons(card)[name]}
                taps.add(asyncio.create_task(self._hand(path, body, taps)))
            if self._random.random() < 0.3:
                await self._hand(f"/chats/{user}/messages", {"text": "/why 999999"}, taps)
            await asyncio.sleep(self._random.uniform(0.2, 1.0))
        await asyncio.gather(*taps)

    async def _hand(self, path: str, body: dict[str, Any], taps: set[asyncio.Task[None]]) -> None:
        """Give Telegram something for the desk, which may be dead: an answer may come late or never."""
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._world.client.post(f"{self._world.telegram}/control{path}", json=body) as answer:
                await answer.read()
        taps.discard(asyncio.current_task())  # type: ignore[arg-type]


async def test_killed_at_any_moment_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    chance = random.Random(KILLS)
    async with world(tmp_path, UNLIMITED, BRISK) as running:
        key = await running.provider()
        users = [await running.console.user(f"Follower {number}") for number in range(FOLLOWERS)]
        for user in users:
            await running.console.start(user)
        load = Load(running, key, users, seed=KILLS)
        working = asyncio.create_task(load.run())
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.0, 1.5))
            await running.desk.kill()
            await running.desk.start(wait=chance.random() < 0.8)
        await until("the desk is ready", running.desk.is_ready)
        load.stop()
        await working
        await running.quiet(180 + 3 * KILLS)
        await until("no order is under way", lambda: _no_order_is_open(running))
        await running.quiet()
        assert await running.desk.stop() == 0
    check(running, load.signals, len(users))


async def _no_order_is_open(running: World) -> bool:
    with reading(running) as database:
        [(number,)] = database.execute(
            "SELECT count(*) FROM orders WHERE status IN ('queued', 'leased', 'sent', 'unknown')")
    return bool(number == 0)


@contextmanager
def reading(running: World) -> Iterator[sqlite3.Connection]:
    """The desk's database, looked at from outside."""
    path = running.folder / "data" / "countersign.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        yield connection


def check(running: World, signals: set[str], users: int) -> None:
    """Count everything on both sides of the wire."""
    with reading(running) as database:
        def rows(statement: str) -> list[Any]:
            return database.execute(statement).fetchall()

        assert rows("PRAGMA integrity_check") == [("ok",)]
        assert rows("PRAGMA foreign_key_check") == []
        states = dict(rows("SELECT state, count(*) FROM inbox WHERE source = 'telegram' GROUP BY state"))
        assert states == {"done": updates_made(running)}, "every update is handled, none is dead"
        assert rows("SELECT count(*) FROM outbox WHERE dedupe_key LIKE 'reply:%'") == [(words_written(running),)]
        assert {str(row[0]) for row in rows("SELECT id FROM signals")} == signals
        assert rows("SELECT count(*) FROM fan_outs WHERE done_at IS NULL") == [(0,)]
        assert rows("SELECT count(*) FROM approvals") == [(len(signals) * users,)]
        unseen = rows("SELECT id, status FROM approvals WHERE card_message_id IS NULL")
        assert not [row for row in unseen if row[1] != "rejected"], "no card is missing"
        assert rows("SELECT state, count(*) FROM outbox WHERE state IN ('pending', 'dead') GROUP BY state") == []
        _check_orders(rows)


def updates_made(running: World) -> int:
    """How many updates Telegram has made for the desk, counted by their ids."""
    with closing(sqlite3.connect(running.folder / "telegram.db")) as connection:
        [(last,)] = connection.execute("SELECT body FROM settings WHERE name = 'last_update_id'").fetchall()
    return int(last) - FIRST_UPDATE_ID + 1


def words_written(running: World) -> int:
    """How many messages people have written: each has exactly one reply."""
    with closing(sqlite3.connect(running.folder / "telegram.db")) as connection:
        bodies = [json.loads(body) for (body,) in connection.execute("SELECT body FROM messages")]
    return sum(1 for body in bodies if not body["from_bot"])


def _check_orders(rows: Any) -> None:
    assert rows("SELECT count(*) FROM approvals a LEFT JOIN orders o ON o.approval_id = a.id "
                "WHERE (a.status = 'approved') <> (o.id IS NOT NULL)") == [(0,)], "an order for each approval"
    filled = rows("SELECT magic, volume FROM orders WHERE status IN ('filled', 'closed')")
    traded: dict[int, float] = {}
    for magic, volume in rows("SELECT magic, volume FROM paper_deals WHERE entry = 'in'"):
        traded[magic] = traded.get(magic, 0.0) + float(volume)
    assert filled, "the load did trade"
    assert {magic: float(volume) for magic, volume in filled} == {
        magic: round(volume, 8) for magic, volume in traded.items()}, "each order was traded once"
