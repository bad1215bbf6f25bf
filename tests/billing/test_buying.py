"""Buying a plan, and everything that can happen to it afterwards, against Stripe's stand-in."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot import messages
from bot.keyboards import Links
from models.message import OutboxItem, OutboxKind
from services import reconciliation
from services.outbox import Claimed
from services.payments.protocol import Money
from tests.billing.conftest import DAY, Till


@pytest.fixture(autouse=True)
async def prices(till: Till) -> None:
    for tier in till.desk.catalogue:
        if tier.rank:
            assert await till.payments.ensure_price(tier.name, Money(tier.amount_minor, "usd"))
            assert not await till.payments.ensure_price(tier.name, Money(tier.amount_minor, "usd"))


async def test_paid_once_and_granted_once(till: Till) -> None:
    user, token = await till.person()
    await till.buy(token, "premium")
    await till.becomes(user, "premium")
    await till.booked(1)
    assert await till.entries() == 1 and len(await till.grants()) == 1
    assert (await till.balances())[("stripe:balance", "USD")] == 2999
    status, shown, _ = await till.call("GET", "/subscription", token)
    assert (status, shown["tier"], shown["status"], shown["provider"]) == (200, "premium", "active", "stripe")
    assert shown["price"] == {"amount_minor": 2999, "currency": "usd"}
    status, page, _ = await till.call("GET", "/invoices", token)
    assert (status, [one["status"] for one in page["items"]]) == (200, ["paid"])


async def test_a_declined_card_buys_nothing(till: Till) -> None:
    user, token = await till.person()
    _, made, _ = await till.call("POST", "/checkout", token, {"tier": "vip"}, "k1")
    session_id = made["url"].rstrip("/").rsplit("/", 1)[-1].split("?")[0]
    await till.control(f"/checkout/{session_id}/decline")
    await till.inbox.drain(datetime.now(UTC))
    assert await till.tier(user) == "free" and await till.entries() == 0


async def test_one_key_is_one_checkout(till: Till) -> None:
    _, token = await till.person()
    gate = asyncio.Semaphore(64)

    async def one() -> tuple[int, Any, Any]:
        async with gate:
            return await till.call("POST", "/checkout", token, {"tier": "premium"}, "same")

    answers = await asyncio.gather(*(one() for _ in range(1_000)))
    assert {status for status, _, _ in answers} <= {201, 409}
    _, first, _ = await till.call("POST", "/checkout", token, {"tier": "premium"}, "same")
    urls = {body["url"] for status, body, _ in answers if status == 201} | {first["url"]}
    assert len(urls) == 1
    status, body, headers = await till.call("POST", "/checkout", token, {"tier": "premium"}, "same")
    assert (status, body, headers["Idempotent-Replayed"]) == (201, first, "true")
    made = [call for call in await till.calls() if call["path"] == "/v1/checkout/sessions" and call["method"] == "POST"]
    assert len({call["idempotency_key"] for call in made}) == 1 and sum(not call["replayed"] for call in made) == 1
    status, problem, _ = await till.call("POST", "/checkout", token, {"tier": "vip"}, "same")
    assert (status, problem["code"]) == (422, "idempotency_key_reused")


async def test_two_keys_leave_one_page_that_can_be_paid(till: Till) -> None:
    user, token = await till.person()
    answers = await asyncio.gather(*(till.call("POST", "/checkout", token, {"tier": "premium"}, f"key-{n}")
                                     for n in range(6)))
    assert {status for status, _, _ in answers} <= {201, 409}
    pages = [body["url"] for status, body, _ in answers if status == 201]
    outcomes = [await _try_to_pay(till, url) for url in pages]
    assert sum(outcomes) == 1
    await till.becomes(user, "premium")
    await till.booked(1)


async def _try_to_pay(till: Till, url: str) -> bool:
    session_id = url.rstrip("/").rsplit("/", 1)[-1].split("?")[0]
    async with till.client.post(f"{till.stripe}/control/stripe/checkout/{session_id}/pay", json={}) as answer:
        return answer.status < 300


@pytest.mark.parametrize(("key", "code"), [(None, "idempotency_key_required"), ("x" * 256, "idempotency_key_required"),
                                           (" ", "idempotency_key_required")])
async def test_a_key_is_asked_for(till: Till, key: str | None, code: str) -> None:
    _, token = await till.person()
    status, problem, _ = await till.call("POST", "/checkout", token, {"tier": "premium"}, key)
    assert (status, problem["code"]) == (400, code)


async def test_what_cannot_be_bought_or_is_bought_already_is_refused(till: Till) -> None:
    user, token = await till.person()
    for body in ({"tier": "free"}, {"tier": "gold"}, {}, {"tier": "vip", "price": 1}):
        status, problem, _ = await till.call("POST", "/checkout", token, body, "k")
        assert (status, problem["code"]) == (422, "invalid_request"), body
    for path in ("/portal", "/cancel", "/resume"):
        status, problem, _ = await till.call("POST", path, token, None, "k2")
        assert (status, problem["code"]) == (409, "no_subscription"), path
    await till.buy(token)
    await till.becomes(user, "premium")
    status, problem, _ = await till.call("POST", "/checkout", token, {"tier": "vip"}, "k3")
    assert (status, problem["code"]) == (409, "already_subscribed")
    assert (await till.call("POST", "/portal", token, None, "k4"))[0] == 201


async def test_cancel_and_resume(till: Till) -> None:
    user, token = await till.person()
    await till.buy(token)
    await till.becomes(user, "premium")
    status, body, _ = await till.call("POST", "/cancel", token, None, "c1")
    assert (status, body) == (200, {"cancel_at_period_end": True})
    end = max(g.ends_at for g in await till.grants())
    assert await till.tier(user, end) == "free" and end - datetime.now(UTC) < timedelta(days=32)
    assert (await till.call("POST", "/resume", token, None, "c2"))[1] == {"cancel_at_period_end": False}
    assert await till.tier(user, end) == "premium"


async def test_up_now_and_paid_down_at_the_end_and_free(till: Till) -> None:
    user, token = await till.person()
    await till.buy(token, "premium")
    await till.becomes(user, "premium")
    status, body, _ = await till.call("POST", "/change-plan", token, {"tier": "vip"}, "p1")
    assert (status, body) == (200, {"tier": "vip", "takes_effect": "now"})
    await till.becomes(user, "vip")
    await till.booked(2)
    status, body, _ = await till.call("POST", "/change-plan", token, {"tier": "premium"}, "p2")
    assert (status, body) == (200, {"tier": "premium", "takes_effect": "period_end"})
    assert await till.tier(user) == "vip", "what is paid stays"
    status, body, _ = await till.call("POST", "/change-plan", token, {"tier": "vip"}, "p3")
    assert (status, body["takes_effect"]) == (200, "period_end")
    await till.settle()
    assert await till.entries() == 2, "going back to what is paid for costs nothing"


async def test_lost_webhooks_are_found_by_asking(till: Till) -> None:
    user, token = await till.person()
    await till.hold()
    await till.settle()
    await till.buy(token)
    await till.settle()
    now = datetime.now(UTC)
    assert await till.tier(user) == "free" and await till.entries() == 0
    assert await reconciliation.missed(till.payments, till.cashier, now - 4 * DAY, now) > 0
    assert await reconciliation.missed(till.payments, till.cashier, now - 4 * DAY, now) == 0
    await till.becomes(user, "premium")
    await till.booked(1)


async def test_the_books_equal_what_stripe_reports(till: Till) -> None:
    for number in range(3):
        user, token = await till.person(9100 + number)
        await till.buy(token, "premium")
        await till.becomes(user, "premium")
    await till.booked(3)
    report: dict[str, Any] = await till.look("/report")
    assert (await till.balances())[("stripe:balance", "USD")] == 3 * 2999
    assert "usd" in str(report).lower()


async def test_the_buyer_is_told_and_the_words_can_be_said(till: Till) -> None:
    user, token = await till.person()
    await till.buy(token)
    await till.becomes(user, "premium")
    await till.booked(1)
    async with till.desk.database.reading() as session:
        told = list(await session.scalars(select(OutboxItem.payload).where(OutboxItem.kind == OutboxKind.TEXT)))
    assert [payload["template"] for payload in told if payload] == ["paid"]
    item = Claimed(1, OutboxKind.TEXT, 9001, None, told[0], 0, 1, 0)
    message = await messages.prepare(till.desk, Links(None), item)
    assert message is not None and "Payment received" in message.text and message.keyboard is not None
