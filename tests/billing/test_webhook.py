"""Stripe's webhook: the order of its checks, and one effect for one event whatever happens."""

import asyncio
import itertools
import json
import secrets
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
from sqlalchemy import func, select

from config import Settings
from models.billing import LedgerEntry
from models.grant import Grant
from services import inbox
from services.payments.protocol import Money
from tests.billing.conftest import SECRET, Till

PATH = "/webhook/stripe"
DUPLICATES = 1_000


@pytest.fixture(autouse=True)
async def prices(till: Till) -> None:
    await till.payments.ensure_price("premium", Money(2999, "usd"))


def event(subject: dict[str, Any], type_: str = "invoice.paid", **changes: Any) -> bytes:
    body = {"id": f"evt_{secrets.token_hex(8)}", "object": "event", "type": type_, "livemode": False,
            "created": int(datetime.now(UTC).timestamp()), "api_version": "2026-10-28.endive",
            "data": {"object": subject}, **changes}
    return json.dumps(body).encode()


def sign(raw: bytes, *, secret: str = SECRET, ago: int = 0) -> str:
    at = int(datetime.now(UTC).timestamp()) - ago
    found: Any = stripe.WebhookSignature.generate_signature_header(raw.decode(), secret, timestamp=at)
    return str(found)


async def send(till: Till, raw: bytes, signature: str | None = None, **headers: str) -> tuple[int, Any]:
    given = {"Content-Type": "application/json", "Stripe-Signature": signature or sign(raw), **headers}
    async with till.client.post(f"{till.base}{PATH}", data=raw, headers=given) as answer:
        return answer.status, await answer.json(content_type=None)


async def events(till: Till) -> dict[str, bytes]:
    """What Stripe has made, as it would be delivered, by type."""
    found = await till.payments.events_since(datetime.now(UTC) - timedelta(days=1))
    return {e["type"]: json.dumps(e, default=str).encode() for e in found}


async def test_a_thousand_of_one_event_are_one_charge_and_one_grant(till: Till) -> None:
    user, token = await till.person()
    await till.settle()
    await till.hold()
    await till.buy(token)
    raw = (await events(till))["invoice.paid"]
    gate = asyncio.Semaphore(64)

    async def one() -> tuple[int, Any]:
        async with gate:
            return await send(till, raw)

    drains = [till.inbox.drain(datetime.now(UTC)) for _ in range(5)]
    answers = await asyncio.gather(*(one() for _ in range(DUPLICATES)), *drains)
    statuses = Counter((status, "duplicate" in body) for status, body in answers[:DUPLICATES])
    assert statuses == {(200, False): 1, (200, True): DUPLICATES - 1}
    await till.becomes(user, "premium")
    await till.settle()
    async with till.desk.database.reading() as session:
        for table in (LedgerEntry, Grant):
            assert await session.scalar(select(func.count()).select_from(table)) == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
async def test_every_order_of_the_four_events_ends_the_same(till: Till, order: tuple[int, ...]) -> None:
    kinds = ["checkout.session.completed", "customer.subscription.created", "customer.subscription.updated",
             "invoice.paid"]
    user, token = await till.person()
    await till.settle()
    await till.hold()
    await till.buy(token)
    told = await events(till)
    updated = {**json.loads(told[kinds[1]]), "id": "evt_updated", "type": kinds[2]}
    told.setdefault(kinds[2], json.dumps(updated).encode())
    for index in order:
        assert (await send(till, told[kinds[index]]))[0] == 200
        await till.settle()
    assert await till.tier(user) == "premium" and await till.entries() == 1
    assert [(g.tier, g.source) for g in await till.grants()] == [("premium", "stripe")]


async def test_the_order_of_checks(till: Till) -> None:
    good = event({"id": "in_1", "object": "invoice"}, id="evt_checked")
    tries: list[tuple[int, bytes, str | None, dict[str, str]]] = [
        (415, good, None, {"Content-Type": "text/plain"}),
        (413, b"x" * (512 * 1024 + 1), "t=1,v1=" + "0" * 64, {}), (400, good, "garbage", {}),
        (400, good, sign(good, ago=310), {}), (400, good, sign(good, ago=-70), {}),
        (400, good, sign(good, secret="whsec_another_secret_0123"), {}), (400, good + b" ", sign(good), {}),
        (400, b"[]", None, {}), (400, b"{}", None, {}), (415, good, None, {"Content-Encoding": "gzip"})]
    for expected, raw, signature, headers in tries:
        status, problem = await send(till, raw, signature, **headers)
        assert status == expected, (expected, status, problem, headers)
    async with till.desk.database.reading() as session:
        assert await inbox.digest_of(session, "stripe", "evt_checked") is None


async def test_an_event_we_do_not_know_is_taken_and_does_nothing(till: Till) -> None:
    assert (await send(till, event({"id": "x_1", "object": "mystery"}, "mystery.happened")))[0] == 200
    await till.settle()
    assert await till.entries() == 0


async def test_the_same_id_with_another_body_keeps_the_first(till: Till) -> None:
    first = event({"id": "in_1", "object": "invoice"}, "mystery.happened", id="evt_same")
    second = event({"id": "in_2", "object": "invoice"}, "mystery.happened", id="evt_same")
    assert (await send(till, first))[1] == {"received": True}
    assert (await send(till, second))[1] == {"duplicate": True}


async def test_a_poisoned_event_holds_nobody_up(till: Till) -> None:
    user, token = await till.person()
    assert (await send(till, event({"id": "sub_missing", "object": "subscription"},
                                   "customer.subscription.updated")))[0] == 200
    await till.buy(token)
    await till.becomes(user, "premium")


class TestWithoutASecret:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"stripe_webhook_secrets": ()})

    async def test_there_is_no_such_door(self, till: Till) -> None:
        assert (await send(till, event({"id": "in_1", "object": "invoice"})))[0] == 404
