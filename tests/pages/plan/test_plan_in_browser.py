"""The Plan page in a real browser: what it shows, what it asks before anything changes."""

import re
from datetime import datetime

import pytest
from playwright.async_api import Route, expect

from services.desk import Desk
from tests.pages import stage
from tests.pages.billing_stage import MONTH, Invoices, invoice, tell
from tests.pages.plan.plan_stage import Money, idle, on_plan, opened
from tests.pages.popups import answer, told
from tests.pages.stage import ADA, DARK, LIGHT, Phone, cards, clock, cut
from tests.pages.test_legibility import assert_legible
from tests.services import stage as desk_stage


async def test_the_bar_leads_to_the_plan_and_the_page_shows_where_it_stands(phone: Phone, desk: Desk, ada: int,
                                                                            invoices: Invoices) -> None:
    await tell(desk, ada, clock(), "vip")
    invoices.listed = [invoice(2, "open", clock()), invoice(1, "paid", clock() - MONTH)]
    page = await phone.open("/app", stage.init_data(ADA))
    names = await page.locator(".tabs .tab-icon + span").all_text_contents()
    assert names == ["Signals", "Positions", "Accounts", "Plan"]
    await page.get_by_test_id("go-billing").click()
    await expect(page).to_have_url(f"{phone.origin}/app/billing")
    await expect(page.get_by_test_id("plan-tier")).to_have_text("VIP")
    await expect(page.get_by_test_id("plan-status")).to_contain_text("Active, renews")
    await expect(page.locator(".plan-card[aria-current]")).to_contain_text("Your plan")
    assert await page.locator("#offer-vip").evaluate("(card) => card.getBoundingClientRect().left >= 0 && "
                                                     "card.getBoundingClientRect().right <= innerWidth")
    await expect(page.get_by_test_id("invoice-row")).to_have_count(2)
    assert await page.get_by_test_id("invoice-status").all_text_contents() == ["Due", "Paid"]


async def test_invoices_and_payment_pages_open_outside(phone: Phone, desk: Desk, ada: int, invoices: Invoices) -> None:
    await tell(desk, ada, clock())
    invoices.listed = [invoice(1, "paid", clock())]
    money = Money((201, {"url": "https://pay.example/portal"}))
    page = await on_plan(phone, money)
    await page.get_by_test_id("invoice-pdf").click()
    await page.get_by_test_id("invoice-page").click()
    await page.get_by_test_id("portal").click()
    assert await opened(page, 3) == ["https://pay.example/1.pdf", "https://pay.example/1",
                                     "https://pay.example/portal"]
    assert page.url == f"{phone.origin}/app/billing"
    assert money.asked[0][0] == "portal"


async def test_invoices_fail_by_themselves_and_can_be_asked_for_again(phone: Phone, desk: Desk, ada: int,
                                                                      invoices: Invoices) -> None:
    await tell(desk, ada, clock())
    invoices.is_down = True
    page = await on_plan(phone)
    error = page.locator('[data-error-of="invoices"]')
    await expect(error).to_contain_text("The payment provider does not answer right now", timeout=20_000)
    await expect(page.get_by_test_id("plan-tier")).to_have_text("Premium")
    invoices.is_down = False
    await error.get_by_test_id("retry").click()
    await expect(page.get_by_test_id("no-invoices")).to_be_visible()
    await expect(error).to_be_hidden()


async def test_nothing_is_changed_before_the_consequence_is_agreed_to(phone: Phone, desk: Desk, ada: int) -> None:
    await tell(desk, ada, clock(), "vip")
    money = Money((200, {"cancel_at_period_end": True}))
    page = await on_plan(phone, money)
    await page.get_by_test_id("cancel").click()
    popup = await answer(page, None)
    assert popup["title"] == "Cancel VIP?"
    assert re.fullmatch(r"You keep VIP until .+ and are not charged again\.", popup["message"])
    assert popup["buttons"][0] == {"id": "yes", "type": "destructive", "text": "Cancel plan"}
    await page.get_by_test_id("change-plan-premium").click()
    assert "Nothing is paid back" in (await answer(page, None))["message"]
    await page.get_by_test_id("change-plan-enterprise").click()
    assert "You pay 43.12\u00a0USD today" in (await answer(page, None))["message"]
    assert money.asked == []
    await page.get_by_test_id("cancel").click()
    await answer(page, "yes")
    await expect(page.get_by_test_id("toast")).to_contain_text("Nothing more is charged")
    assert [(kind, body) for kind, _, body in money.asked] == [("cancel", {})]


async def test_an_upgrade_is_asked_for_with_its_amount_and_sent_with_the_moment_of_it(
        phone: Phone, desk: Desk, ada: int, invoices: Invoices) -> None:
    await tell(desk, ada, clock())
    money = Money(None, (200, {"tier": "vip", "takes_effect": "now"}))
    page = await on_plan(phone, money)
    await page.get_by_test_id("change-plan-vip").click()
    popup = await answer(page, "yes")
    assert re.fullmatch(r"You pay 43\.12.USD today, then 99\.99.USD a month from .+\. VIP starts now\.",
                        popup["message"])
    await expect(page.get_by_test_id("toast")).to_contain_text("it is done once")
    await idle(page)
    invoices.due = 4000
    await page.get_by_test_id("change-plan-vip").click()
    assert (await answer(page, "yes"))["message"] == popup["message"], "what may have been done is what was agreed to"
    await expect(page.get_by_test_id("billing-notice")).to_have_text("Your plan is being updated.")
    first, second = money.asked
    assert first == second and set(first[2]) == {"tier", "as_of"}
    assert int(datetime.fromisoformat(first[2]["as_of"]).timestamp()) == invoices.previewed[0]
    assert len(invoices.previewed) == 1


async def test_an_amount_that_cannot_be_told_is_not_asked_for(phone: Phone, desk: Desk, ada: int,
                                                              invoices: Invoices) -> None:
    await tell(desk, ada, clock())
    invoices.is_down = True
    money = Money((200, {"tier": "vip", "takes_effect": "now"}))
    page = await on_plan(phone, money)
    await page.get_by_test_id("change-plan-vip").click()
    await expect(page.get_by_test_id("change-plan-vip")).to_have_class(re.compile("busy"))
    await expect(page.get_by_test_id("toast")).to_contain_text("does not answer right now", timeout=20_000)
    await idle(page)
    assert money.asked == [] and await told(page, "web_app_open_popup") == []


async def test_an_amount_that_is_out_of_date_is_asked_for_anew(phone: Phone, desk: Desk, ada: int,
                                                               invoices: Invoices) -> None:
    await tell(desk, ada, clock())
    money = Money((409, {"code": "preview_outdated"}), (200, {"tier": "vip", "takes_effect": "now"}))
    page = await on_plan(phone, money)
    await page.get_by_test_id("change-plan-vip").click()
    await answer(page, "yes")
    await expect(page.get_by_test_id("toast")).to_contain_text("The amount has changed meanwhile")
    await idle(page)
    invoices.due = 4000
    await page.get_by_test_id("change-plan-vip").click()
    assert "You pay 40.00\u00a0USD today" in (await answer(page, "yes"))["message"]
    await expect(page.get_by_test_id("billing-notice")).to_have_text("Your plan is being updated.")
    assert len(set(money.keys)) == 2


async def test_the_plan_somebody_came_for_is_in_view(phone: Phone, ada: int) -> None:
    page = await on_plan(phone, path="/app/billing?tier=enterprise")
    await expect(page.locator("#offer-enterprise")).to_be_in_viewport(ratio=0.9)
    await expect(page.locator("#offer-free")).not_to_be_in_viewport()


async def test_an_upgrade_is_told_when_it_is_there_and_not_before(phone: Phone, desk: Desk, ada: int) -> None:
    await tell(desk, ada, clock())
    page = await on_plan(phone, Money((200, {"tier": "vip", "takes_effect": "now"})))
    await page.get_by_test_id("change-plan-vip").click()
    await answer(page, "yes")
    await expect(page.get_by_test_id("billing-notice")).to_have_text("Your plan is being updated.")
    await expect(page.get_by_test_id("toast")).to_have_count(0)
    await tell(desk, ada, clock(), "vip", invoice_id="in_2")
    await expect(page.get_by_test_id("toast")).to_contain_text("Your plan is VIP now")
    await expect(page.get_by_test_id("billing-notice")).to_be_hidden()


async def test_a_plan_that_is_too_small_leads_to_the_one_that_is_needed(phone: Phone, desk: Desk,
                                                                        provider: int) -> None:
    await desk_stage.ask(desk, provider, clock())
    page = await phone.open("/app/approvals", stage.init_data(ADA))

    async def refuse(route: Route) -> None:
        await route.fulfill(status=403, content_type="application/problem+json",
                            body='{"code":"tier_too_low","needed_tier":"premium"}')

    await page.route("**/approve", refuse)
    sheet = page.get_by_test_id("upgrade-sheet")
    await expect(sheet).to_be_hidden()
    await page.get_by_test_id("approve").click()
    await expect(sheet).to_contain_text("This needs Premium")
    await page.get_by_test_id("upgrade-later").click()
    await expect(sheet).to_be_hidden()
    await expect(cards(page).get_by_role("alert")).to_contain_text("Your plan covers the paper account only")
    await page.get_by_test_id("approve").click()
    await page.get_by_test_id("upgrade-plans").click()
    await expect(sheet).to_be_hidden()
    await expect(page).to_have_url(f"{phone.origin}/app/billing")
    await expect(page.locator("#plan-cards")).to_contain_text("Premium")


async def test_a_page_that_fails_offers_another_try(phone: Phone) -> None:
    await phone.page.route("**/app/fragments/billing", cut)
    page = await phone.open("/app/billing", stage.init_data(ADA))
    error = page.locator('[data-error-of="billing"]')
    await expect(error).to_contain_text("There is no connection to the desk")
    await page.unroute("**/app/fragments/billing")
    await error.get_by_test_id("retry").click()
    await expect(page.get_by_test_id("plan-tier")).to_have_text("Free")
    phone.complaints.clear()  # htmx says aloud that it was cut off


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
async def test_every_word_can_be_read_on_a_narrow_phone(phone: Phone, desk: Desk, ada: int, invoices: Invoices,
                                                        theme: dict[str, str]) -> None:
    now = clock()
    await tell(desk, ada, now - MONTH, "vip")
    invoices.listed = [invoice(n, status, now, total=123456789) for n, status in enumerate(
        ("open", "paid", "void", "uncollectible", "draft"))]
    await phone.page.set_viewport_size({"width": 360, "height": 640})
    await phone.page.emulate_media(reduced_motion="reduce")
    page = await phone.open("/app/billing?paid=1", stage.init_data(ADA), theme)
    await expect(page.get_by_test_id("invoice-row")).to_have_count(5)
    await assert_legible(page)
    await tell(desk, ada, now, "vip", status="past_due", is_paid=False)
    await expect(page.get_by_test_id("plan-warning")).to_be_visible()
    await assert_legible(page)
