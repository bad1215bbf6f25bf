"""A desk killed round a payment: what was paid is booked once and opens its plan once, whoever tells of it."""

from pathlib import Path
from typing import Any

import pytest

from tests.running import World, until, world


async def _buyer(opened: World) -> tuple[int, str]:
    ada = await opened.console.user("Ada")
    await opened.console.start(ada)
    return ada, await opened.api.sign_in(await opened.console.init_data(ada))


async def _charges(opened: World, token: str) -> list[dict[str, Any]]:
    _, found = await opened.api.call("GET", "/api/v1/billing/receipts", token=token)
    return [one for one in found["items"] if one["kind"] == "charge"]


async def _becomes(opened: World, token: str, charges: int) -> None:
    async def so() -> bool:
        _, told = await opened.api.call("GET", "/api/v1/billing/subscription", token=token)
        return told["tier"] == "premium" and len(await _charges(opened, token)) == charges

    await until(f"premium with {charges} charges", so)
    await opened.quiet()
    assert len(await _charges(opened, token)) == charges


@pytest.mark.parametrize("unheard", [False, True])
async def test_a_desk_killed_between_payment_and_handling(tmp_path: Path, unheard: bool) -> None:
    async with world(tmp_path) as opened:
        ada, token = await _buyer(opened)
        status, made = await opened.api.call("POST", "/api/v1/billing/checkout", token=token, body={"tier": "premium"},
                                             headers={"Idempotency-Key": "k1"})
        assert status == 201, made
        slug = made["url"].removeprefix("https://t.me/$")
        done = await opened.console.post(f"/stars/invoices/{slug}/pay", {"user_id": ada, "unheard": unheard})
        await opened.desk.kill()
        assert done["paid"], done
        await opened.console.post("/stripe/advance", {"days": 29, "hours": 23.5})  # renewals come near their time
        await opened.console.post(f"/stars/subscriptions/{done['charge_id']}/renew", {"unheard": unheard})
        await opened.desk.start()
        await _becomes(opened, token, 2)
        told = [m["text"] for m in await opened.console.messages(ada) if "Payment received" in m["text"]]
        assert len(told) == 2
