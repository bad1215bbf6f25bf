"""/plan: where the plan stands, in the chat."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services import subscriptions, tiers, users
from services.payments.protocol import Money, SubscriptionState
from services.subscriptions import Rules
from tests.bot.conftest import APP, Chat

DAY = timedelta(days=1)
MONTH = 30 * DAY


@pytest.fixture(autouse=True)
async def opened(chat: Chat) -> None:
    chat.open()


async def our_id(chat: Chat, telegram_id: int) -> int:
    async with chat.desk.database.reading() as session:
        user = await users.by_telegram_id(session, telegram_id)
    assert user is not None
    return user.id


async def tell(chat: Chat, user_id: int, start: datetime, **changes: Any) -> None:
    """The provider says: a month of Premium, active and paid, but for ``changes``."""
    told = replace(SubscriptionState(
        id="sub_1", customer_id="cus_1", user_id=user_id, status="active", tier="premium", price=Money(2999, "usd"),
        current_period_start=start, current_period_end=start + MONTH, cancel_at_period_end=False, cancel_at=None,
        trial_end=None, ended_at=None, is_paid=True, invoice_id="in_1"), **changes)
    rules = Rules(chat.desk.catalogue, renewal_lag=DAY, grace=7 * DAY)
    async with chat.desk.database.writing() as session:
        await subscriptions.sync(session, rules, "stripe", told, start)


def day(at: datetime) -> str:
    year = f" {at.year}" if at.year != datetime.now(UTC).year else ""
    return f"{at.day} {at:%b}{year}"


async def test_the_free_plan_leads_to_the_others(chat: Chat) -> None:
    user = await chat.person()
    assert await chat.reply(user, "/plan") == "Plan: Free\nNo payments. The app shows what the other plans cover."
    *_, answer = await chat.console.messages(user)
    assert answer["buttons"][0][0]["web_app_url"] == f"{APP}/app/billing"
    assert "/plan" in await chat.reply(user, "/help")


async def test_the_life_of_a_plan_in_words(chat: Chat, now: datetime) -> None:
    user = await chat.person()
    ours = await our_id(chat, user)
    first = now - MONTH
    await tell(chat, ours, first)
    await tell(chat, ours, now, status="past_due", is_paid=False, invoice_id="in_2")
    assert f"Plan: Premium\n⚠️ Payment failed, access until {day(now + 7 * DAY)}" in await chat.reply(user, "/plan")
    await tell(chat, ours, now, invoice_id="in_2")
    assert await chat.reply(user, "/plan") == f"Plan: Premium\nActive, renews {day(now + MONTH)}"
    await tell(chat, ours, now, tier="vip", invoice_id="in_3")
    await tell(chat, ours, now, invoice_id="in_3")
    assert await chat.reply(user, "/plan") == f"Plan: VIP\nUntil {day(now + MONTH)}, then Premium"
    await tell(chat, ours, now, cancel_at_period_end=True, invoice_id="in_3")
    assert f"Ends {day(now + MONTH)}" in await chat.reply(user, "/plan")
    await tell(chat, ours, now, status="canceled", ended_at=now)
    assert "No payments" in await chat.reply(user, "/plan")


async def test_a_trial_and_a_plan_that_was_given(chat: Chat, now: datetime) -> None:
    ada, bob = await chat.person("Ada"), await chat.person("Bob")
    await tell(chat, await our_id(chat, ada), now, status="trialing", trial_end=now + 7 * DAY, invoice_id=None)
    assert await chat.reply(ada, "/plan") == f"Plan: Premium\nTrial until {day(now + 7 * DAY)}"
    async with chat.desk.database.writing() as session:
        tier = chat.desk.catalogue.named("enterprise")
        assert tier is not None
        tiers.grant(session, tier, await our_id(chat, bob), 30, "manual", now)
    assert await chat.reply(bob, "/plan") == f"Plan: Enterprise\nActive until {day(now + 30 * DAY)}"


async def test_what_was_never_paid_is_not_called_active(chat: Chat, now: datetime) -> None:
    user = await chat.person()
    ours = await our_id(chat, user)
    await tell(chat, ours, now, status="incomplete", is_paid=False)
    assert "Payment not finished" in await chat.reply(user, "/plan")
    await tell(chat, ours, now, is_paid=False)
    assert await chat.reply(user, "/plan") == "Plan: Free\nPayment under way"
    await tell(chat, ours, now, status="unpaid", is_paid=False)
    assert "access has ended" in await chat.reply(user, "/plan")
