"""SIGTERM when the world outside hangs: out soon, and nothing is lost."""

import asyncio
import time
from collections.abc import Callable

from tests.running import GOLD, World, until

PEOPLE = 12
HALF_A_REQUEST = (b"POST /api/v1/auth/telegram HTTP/1.1\r\nHost: desk\r\nContent-Type: application/json\r\n"
                  b"Content-Length: 500\r\n\r\n{")


async def test_a_silent_telegram_and_a_request_that_never_ends_hold_nobody_up(
        running: World, measured: Callable[[str], None]) -> None:
    console, key = running.console, await running.provider()
    users = [await console.user(f"F{number}") for number in range(PEOPLE)]
    await asyncio.gather(*(console.start(user) for user in users))
    await console.post("/faults", {"target": "telegram", "fault": "timeout", "times": 8})
    status, _ = await running.api.signed("POST", "/api/v1/signals", key, {"external_id": "a", **GOLD})
    assert status == 201
    _, half = await asyncio.open_connection("127.0.0.1", running.port)
    half.write(HALF_A_REQUEST)
    await half.drain()

    async def silent() -> bool:
        return not [f for f in (await console.get("/state")).get("faults", []) if f]

    await until("Telegram is silent", silent)
    await asyncio.sleep(1.0)  # the desk waits for answers now
    began = time.monotonic()
    assert await running.desk.stop() == 0
    measured(f"SIGTERM while Telegram is silent: out after {time.monotonic() - began:.1f} s")
    half.close()
    await running.desk.start()
    await running.quiet()
    assert [len(await console.cards(user)) for user in users] == [1] * PEOPLE
