"""The Plan page in the browser: asks before money moves, sends each intent under one key, and waits for the plan."""

import json
import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
from aiogram import Bot
from aiohttp import web
from playwright.async_api import Page, Request, Route, expect

import cashdesk
from bot.star_payments import StarPayments
from config import Settings
from models.billing import LedgerKind
from services import ledger
from services.billing import Cashier
from services.desk import Desk
from services.payments.protocol import Money as Amount
from services.payments.protocol import Movement
from services.payments.stripe_provider import StripePayments
from tests.conftest import BOT_TOKEN
from tests.pages import billing_stage, stage
from tests.pages.billing_stage import MONTH, Invoices, invoice, tell
from tests.pages.conftest import BOT
from tests.pages.popups import LISTEN, answer, told
from tests.pages.stage import ADA, DARK, LIGHT, Phone, cards, clock, cut
from tests.pages.test_legibility import assert_legible
from tests.running import until
from tests.services import stage as desk_stage
from webapp import application

KEY = "sk_test_pages0123456789abcdef"


@pytest.fixture
def invoices(desk: Desk) -> Invoices:
    return Invoices(desk)


@pytest.fixture
async def cashier(desk: Desk, invoices: Invoices) -> AsyncIterator[Cashier]:
    """A cashier whose provider knows invoices and the price of an upgrade, and nothing else."""
    async with stage.served(invoices.app()) as address:
        prices = {tier.name: tier.lookup_key for tier in desk.catalogue if tier.rank}
        payments = StripePayments(KEY, prices, api_base=address)
        yield Cashier(desk.database, payments, billing_stage.rules(desk), "https://desk.example", 7)
        await payments.close()


@pytest.fixture
def takes_stars() -> bool:
    """Whether Stars are taken beside cards; a test says so by parameter."""
    return False


@pytest.fixture
async def stars(desk: Desk) -> AsyncIterator[Cashier]:
    """The cashier for Stars. Nothing here asks Telegram for anything."""
    bot, prices = Bot(BOT_TOKEN), cashdesk.star_prices(desk.catalogue)
    payments = StarPayments(bot, desk.database, {name: price.amount_minor for name, price in prices.items()})
    yield Cashier(desk.database, payments, billing_stage.rules(desk), "https://desk.example", 0, prices)
    await bot.session.close()


@pytest.fixture
def app(desk: Desk, settings: Settings, cashier: Cashier, stars: Cashier, takes_stars: bool) -> web.Application:
    async def ready() -> bool:
        return True

    cashiers = {each.payments.name: each for each in ((cashier, stars) if takes_stars else (cashier,))}
    return application.build(desk, settings, ready, cashier=cashier, cashiers=cashiers, bot_username=lambda: BOT)


both_ways = pytest.mark.parametrize("takes_stars", [True], ids=["stars"])


class Money:
    """The money doors, answered one by one as told; the last answer is given again and again."""

    def __init__(self, *answers: tuple[int, dict[str, Any]] | None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    async def __call__(self, route: Route) -> None:
        request: Request = route.request
        self.asked.append((request.url.rsplit("/", 1)[1], request.headers["idempotency-key"],
                           json.loads(request.post_data or "null")))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            await route.abort()
            return
        kind = "application/json" if answer[0] < 400 else "application/problem+json"
        await route.fulfill(status=answer[0], content_type=kind, body=json.dumps(answer[1]),
                            headers={"Retry-After": "1"} if answer[0] in (409, 503) else {})

    @property
    def keys(self) -> list[str]:
        return [key for _, key, _ in self.asked]


async def on_plan(phone: Phone, money: Money | None = None, path: str = "/app/billing") -> Page:
    """The Plan page, once it is there; what it asks Telegram for is kept in ``window.told``."""
    await phone.page.add_init_script(LISTEN)
    if money is not None:
        await phone.page.route("**/api/v1/billing/**", money)
    page = await phone.open(path, stage.init_data(ADA))
    await expect(page.get_by_test_id("plan-tier")).to_be_visible()
    return page


async def opened(page: Page, count: int) -> list[str]:
    """The addresses opened outside, once there are so many."""
    async def enough() -> list[str] | None:
        found = [str(link["url"]) for link in await told(page, "web_app_open_link")]
        return found if len(found) >= count else None

    urls: list[str] = await until(f"{count} pages opened outside", enough)
    return urls


async def idle(page: Page) -> None:
    """Wait until no button is at it any more."""
    await expect(page.locator("[data-act].busy")).to_have_count(0, timeout=20_000)


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


async def test_the_plan_somebody_came_for_is_in_view(phone: Phone, ada: int) -> None:
    page = await on_plan(phone, path="/app/billing?tier=enterprise")
    await expect(page.locator("#offer-enterprise")).to_be_in_viewport(ratio=0.9)
    await expect(page.locator("#offer-free")).not_to_be_in_viewport()


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


async def test_the_payment_page_leads_back_to_a_browser_without_telegram(phone: Phone) -> None:
    page = await phone.open("/app/billing?paid=1", "")
    await expect(page.get_by_test_id("paid-outside")).to_contain_text("Payment received")
    await expect(page.get_by_role("link", name="Back to the bot")).to_have_attribute("href", f"https://t.me/{BOT}")
    await expect(page.get_by_test_id("outside-telegram")).to_be_hidden()


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
