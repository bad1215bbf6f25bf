"""Paying in a real browser: one payment however often somebody taps, whatever gets lost."""

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from models.billing import LedgerKind
from services import ledger
from services.desk import Desk
from services.payments.protocol import Money as Amount
from services.payments.protocol import Movement
from tests.pages.billing_stage import tell
from tests.pages.conftest import BOT
from tests.pages.plan.plan_stage import Money, both_ways, idle, on_plan, opened
from tests.pages.popups import answer, told
from tests.pages.stage import Phone, clock
from tests.running import until


async def close_invoice(page: Page, status: str) -> str:
    """Let Telegram close the invoice it was asked to show; returns which one that was."""
    [shown] = await until("an invoice", lambda: told(page, "web_app_open_invoice"))
    await page.evaluate("""([slug, status]) => {
        window.told = window.told.filter(([type]) => type !== 'web_app_open_invoice');
        Telegram.WebView.receiveEvent('invoice_closed', {slug, status}); }""", [shown["slug"], status])
    return str(shown["slug"])


@both_ways
async def test_where_both_are_taken_the_reader_chooses_how_to_pay(phone: Phone, ada: int) -> None:
    money = Money((201, {"url": "https://t.me/$stars_1"}), (201, {"url": "https://pay.example/1"}))
    page = await on_plan(phone, money)
    sheet = page.get_by_test_id("pay-sheet")
    await page.get_by_test_id("checkout-premium").click()
    await expect(sheet).to_contain_text("How do you want to pay for Premium?")
    await expect(page.get_by_test_id("pay-telegram")).to_contain_text("1\u202f500\u00a0⭐ a month")
    await page.get_by_test_id("pay-later").click()
    await expect(sheet).to_be_hidden()
    await page.get_by_test_id("checkout-premium").click()
    await page.keyboard.press("Escape")
    await expect(sheet).to_be_hidden()
    assert money.asked == []
    await page.get_by_test_id("checkout-premium").click()
    await page.get_by_test_id("pay-telegram").click()
    assert await close_invoice(page, "cancelled") == "stars_1"
    await idle(page)
    await expect(page.get_by_test_id("billing-notice")).to_be_hidden()
    await page.get_by_test_id("checkout-premium").click()
    await page.get_by_test_id("pay-stripe").click()
    assert await opened(page, 1) == ["https://pay.example/1"]
    assert [body for _, _, body in money.asked] == [{"tier": "premium", "provider": "telegram"},
                                                    {"tier": "premium", "provider": "stripe"}]
    assert len(set(money.keys)) == 2


@both_ways
@pytest.mark.parametrize(("status", "words"), [
    ("paid", "Payment received, your plan is being updated."),
    ("pending", "Your payment is being confirmed. This page updates by itself.")])
async def test_stars_that_were_paid_are_waited_for(phone: Phone, desk: Desk, ada: int, status: str,
                                                   words: str) -> None:
    page = await on_plan(phone, Money((201, {"url": "https://t.me/invoice/stars_1"})))
    await page.get_by_test_id("checkout-premium").click()
    await page.get_by_test_id("pay-telegram").click()
    await close_invoice(page, status)
    await expect(page.get_by_test_id("billing-notice")).to_have_text(words)
    await tell(desk, ada, clock())
    await expect(page.get_by_test_id("toast")).to_contain_text("Your plan is Premium")
    await expect(page.get_by_test_id("billing-notice")).to_be_hidden()


@both_ways
async def test_stars_that_were_not_paid_are_not_waited_for(phone: Phone, ada: int) -> None:
    page = await on_plan(phone, Money((201, {"url": "https://t.me/$stars_1"})))
    await page.get_by_test_id("checkout-premium").click()
    await page.get_by_test_id("pay-telegram").click()
    await close_invoice(page, "failed")
    await expect(page.get_by_test_id("toast")).to_contain_text("The payment did not go through")
    await expect(page.get_by_test_id("billing-notice")).to_be_hidden()


@both_ways
async def test_a_dearer_plan_in_stars_is_paid_before_it_is_there(phone: Phone, desk: Desk, ada: int) -> None:
    await tell(desk, ada, clock(), price=Amount(1500, "xtr"), provider="telegram")
    page = await on_plan(phone, Money((200, {"tier": "vip", "takes_effect": "when_paid",
                                             "url": "https://t.me/$stars_2"})))
    await expect(page.get_by_test_id("paid-with")).to_have_text("Paid with Telegram Stars")
    await expect(page.get_by_test_id("portal")).to_have_count(0)
    await page.get_by_test_id("change-plan-vip").click()
    assert "You pay 5\u202f000\u00a0⭐ now and every month" in (await answer(page, "yes"))["message"]
    await close_invoice(page, "paid")
    await expect(page.get_by_test_id("billing-notice")).to_contain_text("Payment received")
    await expect(page.get_by_test_id("toast")).to_have_count(0)
    await tell(desk, ada, clock(), "vip", invoice_id="in_2", price=Amount(5000, "xtr"), provider="telegram")
    await expect(page.get_by_test_id("toast")).to_contain_text("Your plan is VIP")


async def test_payments_are_told_step_by_step(phone: Phone, desk: Desk, ada: int) -> None:
    await tell(desk, ada, clock(), "vip")
    for number, kind in enumerate((LedgerKind.CHARGE, LedgerKind.REFUND)):
        movement = Movement(f"tx_{number}", kind, Amount(9999, "usd"), clock(), None, None, "in_vip")
        async with desk.database.writing() as session:
            await ledger.record(session, "stripe", movement, ada, clock(), event_id=f"evt_{number}")
    page = await on_plan(phone)
    newest, older = page.get_by_test_id("receipt-row").nth(0), page.get_by_test_id("receipt-row").nth(1)
    await expect(newest.get_by_test_id("receipt-outcome")).to_contain_text("VIP open until")
    await expect(older.get_by_test_id("receipt-outcome")).to_be_hidden()
    await older.locator("summary").click()
    assert [line.split("\n")[0] for line in await older.locator("li").all_inner_texts()][:2] == [
        "99.99\u00a0USD paid", "Confirmed by Stripe"]


async def test_an_outcome_nobody_knows_is_asked_again_under_the_same_key(phone: Phone, ada: int) -> None:
    money = Money((503, {"code": "outcome_unknown"}), (409, {"code": "in_progress"}),
                  (201, {"url": "https://pay.example/1"}))
    page = await on_plan(phone, money)
    await page.get_by_test_id("checkout-premium").click()
    await expect(page.get_by_test_id("checkout-premium")).to_have_class(re.compile("busy"))
    await page.get_by_test_id("checkout-vip").evaluate("(button) => button.click()")
    await expect(page.get_by_test_id("billing-notice")).to_contain_text("Finish the payment in your browser")
    assert len(money.asked) == 3 and len(set(money.keys)) == 1
    assert money.asked[0][2] == {"tier": "premium"}
    await expect(page.get_by_test_id("checkout-premium")).not_to_have_class(re.compile("busy"))
    await page.get_by_test_id("checkout-premium").click()
    await opened(page, 2)
    assert len(set(money.keys)) == 2, "a final answer ends the intent"


@pytest.mark.parametrize("lost", [None, (503, {"code": "unavailable"}), (500, {"code": "internal_error"}),
                                  (429, {"code": "rate_limited"})])
async def test_a_lost_answer_leaves_the_key_to_the_next_tap_also_after_a_reload(
        phone: Phone, ada: int, lost: tuple[int, dict[str, Any]] | None) -> None:
    money = Money(lost, lost, (201, {"url": "https://pay.example/1"}))
    page = await on_plan(phone, money)
    await page.get_by_test_id("checkout-premium").click()
    await expect(page.get_by_test_id("toast")).to_be_visible()
    await page.get_by_test_id("checkout-vip").click()
    await idle(page)
    await page.reload()
    await page.get_by_test_id("checkout-premium").click()
    await opened(page, 1)
    premium, vip, again = money.keys
    assert premium == again != vip
    phone.complaints.clear()


async def test_a_plan_that_has_changed_since_is_another_intent(phone: Phone, desk: Desk, ada: int) -> None:
    await tell(desk, ada, clock())
    money = Money(None)
    page = await on_plan(phone, money)
    await page.get_by_test_id("cancel").click()
    await answer(page, "yes")
    await expect(page.get_by_test_id("toast")).to_contain_text("it is done once")
    await tell(desk, ada, clock(), "vip", invoice_id="in_2")
    await expect(page.get_by_test_id("plan-tier")).to_have_text("VIP")
    await page.get_by_test_id("cancel").click()
    await answer(page, "yes")
    await idle(page)
    assert len(set(money.keys)) == 2


async def test_a_refusal_is_final_and_said_in_words(phone: Phone, desk: Desk, ada: int) -> None:
    await tell(desk, ada, clock())
    money = Money((402, {"code": "payment_refused"}))
    page = await on_plan(phone, money)
    for _ in range(2):
        await page.get_by_test_id("change-plan-vip").click()
        await answer(page, "yes")
        await expect(page.get_by_test_id("toast")).to_contain_text("The payment was refused")
        await idle(page)
    assert len(set(money.keys)) == 2


async def test_a_hundred_taps_are_one_request(phone: Phone, ada: int) -> None:
    money = Money((201, {"url": "https://pay.example/1"}))
    page = await on_plan(phone, money)
    await page.get_by_test_id("checkout-vip").evaluate("(b) => { for (let i = 0; i < 100; i += 1) b.click(); }")
    await opened(page, 1)
    assert len(money.asked) == 1


async def test_back_from_paying_the_page_waits_for_the_plan(phone: Phone, desk: Desk, ada: int) -> None:
    page = await on_plan(phone, path="/app/billing?paid=1")
    notice = page.get_by_test_id("billing-notice")
    await expect(notice).to_have_text("Payment received, your plan is being updated.")
    await expect(page.get_by_test_id("plan-tier")).to_have_text("Free")
    await tell(desk, ada, clock())
    await expect(page.get_by_test_id("toast")).to_contain_text("Payment received. Your plan is Premium.")
    await expect(page.get_by_test_id("plan-tier")).to_have_text("Premium")
    await expect(notice).to_be_hidden()
    assert page.url == f"{phone.origin}/app/billing"


async def test_the_payment_page_leads_back_to_a_browser_without_telegram(phone: Phone) -> None:
    page = await phone.open("/app/billing?paid=1", "")
    await expect(page.get_by_test_id("paid-outside")).to_contain_text("Payment received")
    await expect(page.get_by_role("link", name="Back to the bot")).to_have_attribute("href", f"https://t.me/{BOT}")
    await expect(page.get_by_test_id("outside-telegram")).to_be_hidden()
