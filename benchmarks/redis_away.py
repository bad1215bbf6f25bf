"""Money while Redis hangs, refuses and is back: how much longer does somebody wait who buys?"""

import os
import secrets
import signal
import time
from pathlib import Path

from benchmarks.report import Figure, percentile
from runtime.valkey import EmbeddedValkey
from tests.running import World, until, world

ADDED_SECONDS = 0.300
SELLING = "[limits]\nauth = 100000\nreads = 100000\nmoney = 100000\n[billing]\ntrial_days = 0\n"


async def run(folder: Path, acts: int) -> list[Figure]:
    """The same acts with Redis, with one that hangs and with one that refuses, in one run."""
    folder.mkdir(parents=True)
    server = EmbeddedValkey()
    url = await server.start(folder)
    try:
        async with world(folder, config=SELLING, sells=True, REDIS_URL=url) as running:
            await running.command("stripe-setup")
            user = await running.console.user("Buyer")
            token = await running.api.sign_in(await running.console.init_data(user))
            await _buy(running, token, 5)
            usual = await _buy(running, token, acts)
            assert server.pid is not None
            os.kill(server.pid, signal.SIGSTOP)
            hanging = await _buy(running, token, acts)
            os.kill(server.pid, signal.SIGCONT)
            await until("the desk is ready again", running.desk.is_ready)
            os.kill(server.pid, signal.SIGKILL)
            refusing = await _buy(running, token, acts)
    finally:
        await server.stop()
    return [figure for how, found in (("hangs", hanging), ("refuses", refusing))
            for figure in _added(how, usual, found)]


async def _buy(running: World, token: str, acts: int) -> list[float]:
    """Seconds of each of so many checkouts, one after the other; every one must be answered with a page."""
    taken: list[float] = []
    for _ in range(acts):
        asked = time.perf_counter()
        status, made = await running.api.call("POST", "/api/v1/billing/checkout", token=token,
                                              body={"tier": "premium"},
                                              headers={"Idempotency-Key": secrets.token_hex(8)})
        taken.append(time.perf_counter() - asked)
        assert status == 201, made
    return taken


def _added(how: str, usual: list[float], found: list[float]) -> list[Figure]:
    name = f"Redis {how}: {len(found)} checkouts, added to the"
    return [Figure(f"{name} median", percentile(found, 0.5) - percentile(usual, 0.5), ADDED_SECONDS, "s"),
            Figure(f"{name} slowest, over the median", max(found) - percentile(usual, 0.5), ADDED_SECONDS, "s")]
