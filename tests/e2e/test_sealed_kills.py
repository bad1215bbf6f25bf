"""A desk that is killed while a device sends sealed requests: no counter is accepted twice in all its lives."""

import asyncio
import random
from collections import Counter
from contextlib import suppress

from tests.running import World, until
from tests.webapp.sealed_stage import SealingDevice

LIVES = 2


async def a_device(running: World) -> SealingDevice:
    person = await running.console.user("Trader")
    await running.console.start(person)
    token = await running.api.sign_in(await running.console.init_data(person))
    status, made = await running.api.call("POST", "/api/v1/devices", token=token, body={"name": "VPS"})
    assert status == 201, made
    return SealingDevice(running.desk.url, (made["device"]["id"], made["secret"]))


async def test_no_counter_is_accepted_twice_in_all_lives_of_a_desk(running: World) -> None:
    device, chance, accepted = await a_device(running), random.Random(3), Counter[int]()

    async def poll(counter: int) -> str | None:
        """What a poll comes to; None for one that was not answered."""
        with suppress(OSError, TimeoutError, ValueError, IndexError):
            answer = await device.poll(counter=counter)
            if answer.status == 204:
                accepted[counter] += 1
            elif answer.code == "counter_used":
                device.counter = max(device.counter, answer.told["next_counter"] - 1)
            return answer.code or "served"
        return None

    async def go_on() -> bool:
        device.counter += 1
        return await poll(device.counter) == "served"

    async def send(times: int) -> None:
        """Steadily, and further ahead now and then so that the ceiling is raised often."""
        for _ in range(times):
            device.counter += chance.choice((1, 1, 2, 1500))
            await poll(device.counter)

    for _ in range(LIVES):
        await until("a poll is served", go_on)
        sending = asyncio.create_task(send(1_000))
        before, enough = len(accepted), chance.randrange(5, 40)

        async def some(more: int = before + enough) -> bool:
            return len(accepted) >= more

        await until("some are served", some)
        await running.desk.kill()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await running.desk.start()
        used = sorted(accepted)[-40:]

        async def refuses(counter: int = used[-1]) -> bool:
            return await poll(counter) == "counter_used"

        await until("the desk can tell what is used", refuses)
        assert {await poll(counter) for counter in used} == {"counter_used"}
    assert set(accepted.values()) == {1} and len(accepted) >= 5 * LIVES
