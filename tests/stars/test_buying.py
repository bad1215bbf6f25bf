"""Plans bought for Stars: asked, paid, renewed, ended and given back."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiogram.types import Chat as TelegramChat
from aiogram.types import Message, SuccessfulPayment, Update

from bot import dispatcher
from bot.keyboards import Links
from bot.replies import Replies
from models.billing import LedgerKind
from services import billing, stars, stars_reconciliation, tiers
from services.payments.protocol import PaymentError
from tests.running import buttons
from tests.stars.conftest import DAY, Kiosk


class InTime:
    """The books of a Telegram that renews when a period is over, not when a test says so."""

    def __init__(self, books: stars_reconciliation.Books) -> None:
        self._books = books

    async def transactions(self, offset: int) -> tuple[list[Any], int]:
        lines, seen = await self._books.transactions(offset)
        return [replace(line, at=lines[0].at + number * stars.PERIOD)  # type: ignore[type-var]
                for number, line in enumerate(lines)], seen


async def test_a_plan_is_bought_and_told_once(kiosk: Kiosk) -> None:
    kiosk.open()
    ada, user, token = await kiosk.person()
    status, plans = await kiosk.call("GET", "/plans", token)
    assert status == 200
    assert [(p["tier"], p["offers"]) for p in plans["items"]][:2] == [
        ("free", []), ("premium", [{"provider": "telegram", "amount_minor": 1500, "currency": "xtr"}])]
    assert await kiosk.call("GET", "/invoices", token) == (200, {"items": [], "next_cursor": None})
    charge = await kiosk.buy(ada, token)
    await kiosk.becomes(user, "premium")
    row = await kiosk.row(user)
    assert row is not None
    assert (row.provider, row.provider_subscription_id, row.status, row.amount_minor, row.currency) == (
        "telegram", charge, "active", 1500, "xtr")
    (grant,) = await kiosk.grants()
    assert row.current_period_end is not None
    assert (grant.invoice_id, grant.ends_at) == (charge, row.current_period_end + DAY)
    await kiosk.chat.shows(ada, "Payment received")
    await kiosk.books_agree()
    assert await kiosk.tier(user, grant.ends_at) == "free"


async def test_a_hundred_tellings_of_one_payment_are_one(kiosk: Kiosk) -> None:
    ada, user, token = await kiosk.person_unheard()
    order = (await kiosk.order(token)).id
    until = datetime.now(UTC).replace(microsecond=0) + stars.PERIOD
    built = dispatcher.build(kiosk.chat.desk, Links(None), {"telegram": kiosk.cashier})

    async def tell(number: int) -> None:
        told = Message(message_id=7, date=datetime.now(UTC), chat=TelegramChat(id=ada, type="private"),
                       successful_payment=SuccessfulPayment(
                           currency="XTR", total_amount=1500, invoice_payload=order, provider_payment_charge_id="",
                           telegram_payment_charge_id="stx_one", is_recurring=True, is_first_recurring=True,
                           subscription_expiration_date=int(until.timestamp())))
        await built.feed_update(kiosk.chat.bot, Update(update_id=number, message=told), replies=Replies(ada))

    await asyncio.gather(*(tell(number) for number in range(1, 101)))
    assert len(await kiosk.entries()) == len(await kiosk.grants()) == 1
    assert await kiosk.tier(user) == "premium"


async def test_renewals_find_their_subscription(kiosk: Kiosk) -> None:
    kiosk.open()
    ada, user, token = await kiosk.person()
    first = await kiosk.buy(ada, token)
    await kiosk.becomes(user, "premium")
    before = await kiosk.row(user)
    await kiosk.steer(first, "renew")
    await kiosk.booked(2)
    row = await kiosk.row(user)
    assert before is not None and row is not None and before.current_period_end and row.current_period_end
    assert row.id == before.id and row.current_period_end == before.current_period_end + stars.PERIOD
    assert len(await kiosk.grants()) == 2
    assert await kiosk.tier(user, row.current_period_end) == "premium"
    await kiosk.books_agree()


async def test_cancelled_in_telegram_and_by_us(kiosk: Kiosk) -> None:
    kiosk.open()
    ada, user, token = await kiosk.person()
    charge = await kiosk.buy(ada, token)
    await kiosk.becomes(user, "premium")
    await kiosk.steer(charge, "cancel")
    row = await kiosk.stands(user, "active", True)
    assert row.current_period_end is not None and await kiosk.tier(user, row.current_period_end) == "free"
    await kiosk.steer(charge, "resume")
    await kiosk.stands(user, "active", False)
    assert await kiosk.call("POST", "/cancel", token) == (200, {"cancel_at_period_end": True})
    await kiosk.stands(user, "active", True)
    told = (await kiosk.chat.console.get("/stars"))["subscriptions"][0]
    assert (told["state"], told["bot_canceled"]) == ("canceled", False)
    for path in ("/resume", "/portal"):
        status, problem = await kiosk.call("POST", path, token)
        assert (status, problem["code"]) == (409, "provider_cannot"), problem
    await kiosk.steer(charge, "resume")
    await kiosk.stands(user, "active", False)


async def test_an_unpaid_renewal_ends_the_plan_a_day_later(kiosk: Kiosk) -> None:
    kiosk.open()
    ada, user, token = await kiosk.person()
    charge = await kiosk.buy(ada, token)
    await kiosk.becomes(user, "premium")
    await kiosk.steer(charge, "fail")
    row = await kiosk.stands(user, "past_due", False)
    end = row.current_period_end
    assert end is not None
    assert await kiosk.tier(user, end + DAY - timedelta(seconds=1)) == "premium"
    assert await kiosk.tier(user, end + DAY) == "free"
    async with kiosk.chat.desk.database.writing() as session:
        assert await stars.close_over(session, end, DAY) == 0
        assert await stars.close_over(session, end + DAY, DAY) == 1
    assert await kiosk.row(user) is None
    await kiosk.steer(charge, "renew")
    await kiosk.stands(user, "active", False)


async def test_a_refund_closes_what_it_paid_for(kiosk: Kiosk) -> None:
    kiosk.open()
    ada, user, token = await kiosk.person()
    charge = await kiosk.buy(ada, token)
    await kiosk.becomes(user, "premium")
    assert await kiosk.payments.refund(charge, None, key="op_x:refund") == charge
    assert await kiosk.payments.refund(charge, None, key="op_x:refund") == charge
    await kiosk.becomes(user, "free")
    await kiosk.booked(1, LedgerKind.REFUND)
    await kiosk.books_agree()
    with pytest.raises(PaymentError):
        await kiosk.payments.refund("stx_nobody", None, key="op_y:refund")


async def test_what_was_never_told_is_found_in_the_books(kiosk: Kiosk) -> None:
    kiosk.open()
    ada, user, token = await kiosk.person()
    charge = await kiosk.buy(ada, token, unheard=True)
    await kiosk.steer(charge, "renew", unheard=True)
    assert await kiosk.entries() == []
    found, offset = await stars_reconciliation.read(InTime(kiosk.payments), kiosk.cashier, 0, datetime.now(UTC))
    assert (found, offset) == (2, 2)
    assert await kiosk.tier(user) == "premium"
    row = await kiosk.row(user)
    assert row is not None and row.provider_subscription_id == charge and row.current_period_end is not None
    told = (await kiosk.chat.console.get("/stars"))["subscriptions"][0]["until"]
    assert int(row.current_period_end.timestamp()) == told
    assert await stars_reconciliation.read(kiosk.payments, kiosk.cashier, 0, datetime.now(UTC)) == (0, 2)
    await kiosk.books_agree()


async def test_who_must_not_pay_is_told_before(kiosk: Kiosk) -> None:
    kiosk.open()
    ada, user, token = await kiosk.person()
    boris, _, _ = await kiosk.person("Boris")
    slug, other = await kiosk.link(token), await kiosk.link(token, "vip")
    refused = await kiosk.pay(slug, boris)
    assert refused == {"paid": False, "error": "This invoice belongs to somebody else. Please choose a plan yourself."}
    assert (await kiosk.pay(slug, ada))["paid"]
    await kiosk.becomes(user, "premium")
    assert (await kiosk.pay(slug, ada))["error"] == "This invoice is paid already."
    assert (await kiosk.pay(other, ada))["error"] == "You have a plan already. /plan shows it."
    stranger = await kiosk.chat.bot.create_invoice_link(
        title="x", description="x", payload="nobody", currency="XTR", provider_token="",
        prices=[{"label": "x", "amount": 1}])  # type: ignore[list-item]
    error = (await kiosk.pay(stranger.removeprefix("https://t.me/$"), ada))["error"]
    assert error == "This invoice is out of date. Please choose the plan again."
    assert len(await kiosk.entries()) == 1


async def test_an_upgrade_is_bought_anew_and_the_old_one_stopped(kiosk: Kiosk) -> None:
    kiosk.open()
    ada, user, token = await kiosk.person()
    old = await kiosk.buy(ada, token)
    await kiosk.becomes(user, "premium")
    status, made = await kiosk.call("POST", "/change-plan", token, {"tier": "vip"})
    assert (status, made["takes_effect"]) == (200, "when_paid")
    assert (await kiosk.pay(made["url"].removeprefix("https://t.me/$"), ada))["paid"]
    await kiosk.becomes(user, "vip")
    assert await billing.finish_abandoned(kiosk.cashier, datetime.now(UTC) + timedelta(minutes=2)) == 1
    subscriptions = {s["charge_id"]: s["state"] for s in (await kiosk.chat.console.get("/stars"))["subscriptions"]}
    assert subscriptions.pop(old) == "canceled" and list(subscriptions.values()) == ["active"]
    status, problem = await kiosk.call("POST", "/change-plan", token, {"tier": "premium"})
    assert (status, problem["code"]) == (409, "provider_cannot")


async def test_bought_from_the_chat(kiosk: Kiosk) -> None:
    kiosk.open()
    ada, user, _ = await kiosk.person()
    await kiosk.chat.reply(ada, "/plan")
    *_, shown = await kiosk.chat.console.messages(ada)
    offer = next(data for text, data in buttons(shown).items() if text.startswith("Premium"))
    assert await kiosk.chat.console.tap(ada, shown["message_id"], offer) == "Your invoice is ready."
    ready = await kiosk.chat.shows(ada, "Your invoice is ready.")
    url = ready["buttons"][0][0]["url"]
    assert (await kiosk.pay(url.removeprefix("https://t.me/$"), ada))["paid"]
    await kiosk.becomes(user, "premium")
    await kiosk.chat.console.write(ada, "/paysupport")
    await kiosk.chat.shows(ada, "Questions about a payment go to the operator of this desk.")


async def test_two_plans_paid_at_once_are_one(kiosk: Kiosk) -> None:
    ada, user, token = await kiosk.person_unheard()
    orders = [(await kiosk.order(token, tier)).id for tier in ("premium", "vip")]
    now = datetime.now(UTC).replace(microsecond=0)
    for number, order in enumerate(orders):
        async with kiosk.chat.desk.database.writing() as session:
            await stars.paid(session, kiosk.cashier.rules, stars.Payment(
                f"stx_{number}", ada, order, (1500, 5000)[number], now, now + stars.PERIOD, is_first=True,
                update_id=number), now)
    ending = await kiosk.operation("end_stars")
    assert ending is not None
    assert ending.arguments == {"provider": "telegram", "subscription_id": "stx_0", "refund": True}
    assert await kiosk.tier(user) == "vip"


async def test_beside_a_plan_from_elsewhere_the_highest_counts_and_both_end(kiosk: Kiosk) -> None:
    kiosk.open()
    ada, user, token = await kiosk.person()
    await kiosk.buy(ada, token)
    await kiosk.becomes(user, "premium")
    vip = kiosk.chat.desk.catalogue.named("vip")
    assert vip is not None
    now = datetime.now(UTC)
    async with kiosk.chat.desk.database.writing() as session:
        tiers.grant(session, vip, user, 10, "stripe", now)
    assert await kiosk.tier(user, now + 9 * DAY) == "vip"
    assert await kiosk.tier(user, now + 11 * DAY) == "premium"
    assert await kiosk.tier(user, now + 32 * DAY) == "free"


async def test_news_in_any_order_end_in_the_same(kiosk: Kiosk) -> None:
    ada, user, token = await kiosk.person_unheard()
    order, now = (await kiosk.order(token)).id, datetime.now(UTC).replace(microsecond=0)
    rules, database = kiosk.cashier.rules, kiosk.chat.desk.database
    second = stars.Payment("stx_2", ada, order, 1500, now, now + 2 * stars.PERIOD, update_id=13)
    first = stars.Payment("stx_1", ada, order, 1500, now, now + stars.PERIOD, is_first=True, update_id=10)
    for _ in range(2):
        async with database.writing() as session:
            await stars.changed(session, rules, order, "failed", 12, now)
            await stars.paid(session, rules, first, now)
            await stars.paid(session, rules, second, now)
            await stars.changed(session, rules, order, "canceled", 11, now)
            await stars.refunded(session, "stx_1", 1500, now, now)
    row = await kiosk.row(user)
    assert row is not None and (row.status, row.cancel_at_period_end) == ("active", False)
    assert row.current_period_end == now + 2 * stars.PERIOD
    given = sorted((g.invoice_id or "", g.revoked_at is not None) for g in await kiosk.grants()
                   if g.ends_at > g.starts_at)
    assert given == [("stx_1", True), ("stx_2", False)]


async def test_a_payment_told_after_its_failed_renewal_is_good_for_its_period(kiosk: Kiosk) -> None:
    ada, user, token = await kiosk.person_unheard()
    order, now = (await kiosk.order(token)).id, datetime.now(UTC).replace(microsecond=0)
    first = stars.Payment("stx_1", ada, order, 1500, now, now + stars.PERIOD, is_first=True, update_id=10)
    async with kiosk.chat.desk.database.writing() as session:
        await stars.changed(session, kiosk.cashier.rules, order, "failed", 12, now)
        await stars.paid(session, kiosk.cashier.rules, first, now)
    assert (await kiosk.stands(user, "past_due", False)).provider_subscription_id == "stx_1"
    assert await kiosk.tier(user, now + stars.PERIOD) == "premium"
    assert await kiosk.tier(user, now + stars.PERIOD + DAY) == "free"
