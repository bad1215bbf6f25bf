"""What was answered is remembered, however the stand-in ends."""

import asyncio
import os
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import stripe

from sandbox.stripe import new_secret_key
from sandbox.stripe.store import Store
from sandbox.stripe.world import World
from tests.sandbox_stripe.conftest import Open, Stage, client_at

CHILD = """
import asyncio, sys
from pathlib import Path
from sandbox import Sandbox, new_token
from sandbox.stripe import StripeSettings
async def main():
    folder = Path(sys.argv[2])
    settings = StripeSettings(sys.argv[1], folder / "stripe.db", sys.argv[3], sys.argv[4])
    sandbox = Sandbox(new_token(), folder / "child.db", "http://127.0.0.1:9", stripe=settings)
    print(await sandbox.start("127.0.0.1", 0), flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_a_restart_changes_nothing(stage: Stage, open_stage: Open) -> None:
    subscription = await stage.subscribe(await stage.price("premium", 2999))
    await stage.post("/stripe/advance", {"days": 20})
    report, events = await stage.get("/stripe/report"), await stage.get("/stripe/events")
    before = (await stage.subscription(subscription.id)).to_dict()
    await stage.sandbox.stop()
    again = await open_stage()
    assert (await again.subscription(subscription.id)).to_dict() == before
    assert await again.get("/stripe/report") == report
    assert [event["id"] for event in await again.get("/stripe/events")] == [event["id"] for event in events]
    await again.post("/stripe/advance", {"days": 12})
    assert (await again.subscription(subscription.id)).latest_invoice.billing_reason == "subscription_cycle"


async def test_everything_answered_survives_a_kill_and_only_whole(tmp_path: Path, open_stage: Open) -> None:
    key = new_secret_key()
    stage = await open_stage(secret_key=key)
    await stage.sandbox.stop()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, key, str(tmp_path), stage.shop.url, stage.shop.secrets[0],
        stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert child.stdout is not None
    base = (await asyncio.wait_for(child.stdout.readline(), 90)).decode().strip()
    client, answered = client_at(base, key, 0), set[str]()

    async def create(number: int) -> None:
        made = await client.v1.customers.create_async({"name": f"c{number}"}, {"idempotency_key": f"k{number}"})
        answered.add(made.id)

    tasks = [asyncio.create_task(create(number)) for number in range(300)]
    while len(answered) < 40:
        await asyncio.sleep(0.001)
    os.kill(child.pid, signal.SIGKILL)
    await child.wait()
    await asyncio.gather(*tasks, return_exceptions=True)

    again = await open_stage(secret_key=key)
    found = [one async for one in (await again.client.v1.customers.list_async({"limit": 100})).auto_paging_iter()]
    assert {one.id for one in found} >= answered
    told = [event["object"] for event in await again.get("/stripe/events")]
    assert sorted(told) == sorted(one.id for one in found), "a customer and its event are one commit"
    for one in found[:20]:
        repeated = await again.client.v1.customers.create_async(
            {"name": str(one.name)}, {"idempotency_key": "k" + str(one.name)[1:]})
        assert repeated.id == one.id


async def test_what_cannot_be_kept_whole_is_not_kept_at_all(tmp_path: Path) -> None:
    path = tmp_path / "stripe.db"
    store = Store(path)
    world = World(store, time.time, lambda: "")
    store.start()
    await world.commit()
    await store.close()
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TRIGGER no_events BEFORE INSERT ON objects WHEN NEW.kind = 'event' "
                     "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
    store = Store(path)
    world = World(store, time.time, lambda: "")
    store.start()
    world.emit("customer.created", world.new("customer", "cus_"))
    with pytest.raises(sqlite3.Error):
        await world.commit()
    await store.close()
    store = Store(path)
    assert [kind for _, kind, _, _ in store.rows()] == ["_settings"]
    store.start()
    await store.close()


def test_the_client_under_test_is_the_pinned_one() -> None:
    assert stripe.api_version == "2026-10-28.endive"
