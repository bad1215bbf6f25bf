"""Redis goes away in the middle of the day and comes back: approvals go on, signed doors fail closed."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from runtime.valkey import EmbeddedValkey
from tests.e2e.conftest import PATIENT
from tests.running import GOLD, World, buttons, until, world


@pytest.mark.parametrize("how", ["stopped", "hanging"])
async def test_approvals_outlive_redis(tmp_path: Path, how: str) -> None:
    valkey = EmbeddedValkey()
    url = await valkey.start(tmp_path)
    try:
        async with world(tmp_path, config=PATIENT, REDIS_URL=url) as running:
            await _through_the_outage(running, valkey, how)
    finally:
        await valkey.stop()


async def _through_the_outage(running: World, valkey: EmbeddedValkey, how: str) -> None:
    console, api, key = running.console, running.api, await running.provider()
    ada, boris = await console.user("Ada"), await console.user("Boris")
    await asyncio.gather(console.start(ada), console.start(boris))
    token = await api.sign_in(await console.init_data(boris))
    status, _ = await api.signed("POST", "/api/v1/signals", key, {"external_id": "before", **GOLD})
    assert status == 201
    for user in (ada, boris):
        await until("the card arrives", lambda user=user: console.open_card(user))

    assert valkey.pid is not None
    os.kill(valkey.pid, signal.SIGSTOP if how == "hanging" else signal.SIGKILL)

    card = await console.open_card(ada)
    assert card is not None
    assert await console.tap(ada, card["message_id"], buttons(card)["Approve"]) == "Approved. Sending the order."
    _, waiting = await api.call("GET", "/api/v1/approvals/pending", token=token)
    [approval] = waiting["items"]
    status, decided = await api.call("POST", f"/api/v1/approvals/{approval['id']}/approve", token=token,
                                     body={"terms_hash": approval["terms_hash"]})
    assert (status, decided["status"]) == (200, "approved")
    status, problem = await api.signed("POST", "/api/v1/signals", key, {"external_id": "during", **GOLD})
    assert (status, problem["code"]) == (503, "unavailable")
    status, _ = await api.call("GET", "/readyz")
    assert status == 503

    async def both_filled() -> bool:
        return all(["filled" in (await console.cards(user))[-1]["text"] for user in (ada, boris)])

    await until("both cards say filled, without Redis", both_filled)
    status, _ = await api.call("GET", "/api/v1/positions", token=token)
    assert status == 200

    if how == "hanging":
        os.kill(valkey.pid, signal.SIGCONT)
    else:
        valkey.restart()

    async def is_back() -> bool:
        status, _ = await api.signed("POST", "/api/v1/signals", key, {"external_id": "after", **GOLD})
        return status in (200, 201)

    await until("signed requests are taken again", is_back)
    await until("its card arrives", lambda: console.open_card(ada))
