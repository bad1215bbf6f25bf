"""SIGKILL while plans are bought: whatever the moment, paid once and granted once.

``BILLING_KILLS`` says how often.
"""

import asyncio
import os
import random
import secrets
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.e2e.conftest import PATIENT
from tests.running import World, until, world

KILLS = int(os.environ.get("BILLING_KILLS", "6"))
BUYERS = 6
SELLING = PATIENT + "money = 10000\n[billing]\ntrial_days = 0\n"


async def test_killed_at_any_moment_a_plan_is_paid_once_and_granted_once(tmp_path: Path) -> None:
    chance = random.Random(KILLS)
    async with world(tmp_path, config=SELLING, sells=True) as running:
        await running.command("stripe-setup")
        buyers = [await running.console.user(f"Buyer {number}") for number in range(BUYERS)]
        tokens = [await running.api.sign_in(await running.console.init_data(buyer)) for buyer in buyers]
        buying = asyncio.gather(*(_buy(running, token, chance) for token in tokens))
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.0, 1.2))
            await running.desk.kill()
            await running.desk.start(wait=chance.random() < 0.5)
        await until("the desk is ready", running.desk.is_ready)
        await asyncio.wait_for(buying, 120)

        async def everyone_has_it() -> bool:
            return all([await _tier(running, token) == "premium" for token in tokens])

        await until("everyone has what they paid for", everyone_has_it, 120)
        await running.quiet(120)
        assert await running.desk.stop() == 0
    with closing(sqlite3.connect(tmp_path / "data" / "countersign.db")) as database:
        def rows(statement: str) -> list[Any]:
            return database.execute(statement).fetchall()

        assert rows("PRAGMA integrity_check") == [("ok",)]
        assert rows("SELECT count(*), count(DISTINCT user_id) FROM ledger_entries WHERE kind = 'charge'") == [
            (BUYERS, BUYERS)]
        assert rows("SELECT count(*), count(DISTINCT user_id) FROM grants WHERE source = 'stripe'") == [
            (BUYERS, BUYERS)]
        assert rows("SELECT sum(amount_minor) FROM ledger_postings") == [(0,)]
        assert rows("SELECT count(*) FROM operations WHERE state IN ('started', 'unknown')") == [(0,)]


async def _buy(running: World, token: str, chance: random.Random) -> None:
    """Ask for a page with one key until there is an answer, then pay on it."""
    key = secrets.token_hex(8)
    while True:
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            status, made = await running.api.call("POST", "/api/v1/billing/checkout", token=token,
                                                  body={"tier": "premium"}, headers={"Idempotency-Key": key})
            assert status in (201, 409, 429, 503), made
            if status == 201:
                break
        await asyncio.sleep(0.1)
    await asyncio.sleep(chance.uniform(0.0, 1.0))
    session_id = made["url"].rstrip("/").rsplit("/", 1)[-1].split("?")[0]
    async with running.client.post(f"{running.telegram}/control/stripe/checkout/{session_id}/pay", json={}) as answer:
        assert answer.status < 300, await answer.text()


async def _tier(running: World, token: str) -> str:
    with suppress(aiohttp.ClientError, OSError, TimeoutError):
        status, me = await running.api.call("GET", "/api/v1/me", token=token)
        if status == 200:
            return str(me["tier"])
    return ""
