"""Redis refuses, hangs or forgets while plans are bought: no answer, charge or tier differs for it."""

import asyncio
import os
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runtime import valkey
from runtime.valkey import EmbeddedValkey
from tests.e2e.conftest import PATIENT
from tests.running import World, until, world

ALLOWED, TRIED = 40, 100
SELLING = PATIENT + f"money = {ALLOWED}\n[billing]\ntrial_days = 0\n"
DUPLICATES = 8


@pytest.mark.parametrize("how", ["refusing", "hanging", "flushed"])
async def test_money_does_not_notice_redis(tmp_path: Path, how: str) -> None:
    server = EmbeddedValkey()
    url = await server.start(tmp_path)
    try:
        async with world(tmp_path, config=SELLING, sells=True, REDIS_URL=url) as running:
            await _buy_through_it(running, server, url, how)
    finally:
        await server.stop()
    with closing(sqlite3.connect(tmp_path / "data" / "countersign.db")) as database:
        def rows(statement: str) -> list[Any]:
            return database.execute(statement).fetchall()

        assert rows("SELECT count(*), count(DISTINCT user_id) FROM ledger_entries WHERE kind = 'charge'") == [(3, 3)]
        assert rows("SELECT count(*), count(DISTINCT user_id) FROM grants") == [(3, 3)]
        assert rows("SELECT sum(amount_minor) FROM ledger_postings") == [(0,)]
        assert rows("SELECT state, count(*) FROM operations WHERE kind = 'checkout' GROUP BY state") == [("done", 3)]


async def _buy_through_it(running: World, server: EmbeddedValkey, url: str, how: str) -> None:
    await running.command("stripe-setup")
    ada, boris, clara, dora = [await _token(running, name) for name in ("Ada", "Boris", "Clara", "Dora")]
    status, first = await _checkout(running, ada, "before")
    assert status == 201

    await _begin(server, url, how)
    if how != "flushed":
        assert (await running.api.call("GET", "/readyz"))[0] == 503
    assert await _checkout(running, ada, "before") == (201, first)
    answers = await asyncio.gather(*(_checkout(running, boris, "during") for _ in range(DUPLICATES)))
    assert {status for status, _ in answers} <= {201, 409}
    status, second = await _checkout(running, boris, "during")
    assert status == 201 and all(body == second for status, body in answers if status == 201)
    await _pay(running, first)
    await _pay(running, second)
    for token in (ada, boris):
        await _becomes_premium(running, token)
    statuses = await _too_often(running, dora)
    assert set(statuses) == {409, 429} and statuses[429] >= TRIED - ALLOWED - 10

    await _end(running, server, how)
    assert await _checkout(running, boris, "during") == (201, second)
    status, third = await _checkout(running, clara, "after")
    assert status == 201
    await _pay(running, third)
    await _becomes_premium(running, clara)
    told = await running.console.get("/stripe/events")
    again = [await running.console.post(f"/stripe/events/{event['id']}/redeliver") for event in told]
    assert {answer["status"] for answer in again} == {200}
    await running.quiet()


async def _begin(server: EmbeddedValkey, url: str, how: str) -> None:
    assert server.pid is not None
    if how == "flushed":
        client = valkey.connect(url)
        await client.flushall()
        await client.aclose()
    else:
        os.kill(server.pid, signal.SIGSTOP if how == "hanging" else signal.SIGKILL)


async def _end(running: World, server: EmbeddedValkey, how: str) -> None:
    assert server.pid is not None
    if how == "hanging":
        os.kill(server.pid, signal.SIGCONT)
    elif how == "refusing":
        server.restart()
    await until("the desk is ready again", running.desk.is_ready)


async def _too_often(running: World, token: str) -> Counter[int]:
    """Far more acts than a minute allows: with or without Redis somebody counts."""
    gate = asyncio.Semaphore(8)

    async def one(number: int) -> int:
        async with gate:
            status, _ = await running.api.call("POST", "/api/v1/billing/portal", token=token,
                                               headers={"Idempotency-Key": f"again-{number}"})
            return status

    return Counter(await asyncio.gather(*(one(number) for number in range(TRIED))))


async def _token(running: World, name: str) -> str:
    return await running.api.sign_in(await running.console.init_data(await running.console.user(name)))


async def _checkout(running: World, token: str, key: str) -> tuple[int, Any]:
    return await running.api.call("POST", "/api/v1/billing/checkout", token=token, body={"tier": "premium"},
                                  headers={"Idempotency-Key": key})


async def _pay(running: World, page: Any) -> None:
    session_id = page["url"].rstrip("/").rsplit("/", 1)[-1].split("?")[0]
    await running.console.post(f"/stripe/checkout/{session_id}/pay")


async def _becomes_premium(running: World, token: str) -> None:
    async def has_it() -> bool:
        status, me = await running.api.call("GET", "/api/v1/me", token=token)
        assert status == 200, me
        return str(me["tier"]) == "premium"

    await until("the tier is premium", has_it)
