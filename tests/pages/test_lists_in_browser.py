"""The lists in the browser: they change in place, and have a designed state for everything that can happen."""

import re
from datetime import timedelta
from decimal import Decimal

from playwright.async_api import expect
from sqlalchemy import delete, update

from models.account import Account
from models.approval import Door
from services import approvals
from services.desk import Desk
from terminal.paper import tables
from terminal.paper.quotes import QuoteFeed
from tests.pages import stage
from tests.pages.stage import ADA, Phone, cards, clock, cut, failing, follow, unchanged
from tests.services import stage as desk_stage

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)> \u202emoc.live"



async def test_polls_change_figures_in_place(phone: Phone, desk: Desk, provider: int, quotes: QuoteFeed) -> None:
    for symbol in ("EURUSD", "XAUUSD", "GBPUSD"):
        await desk_stage.ask(desk, provider, clock(), symbol=symbol, stop_loss=Decimal("1"), take_profits=(),
                             note="Because of the trend.")
    page = await phone.open("/app/approvals", stage.init_data(ADA))
    await expect(cards(page)).to_have_count(3)
    await cards(page).nth(1).get_by_text("Why?").click()
    await page.evaluate("""() => {
        document.querySelectorAll('[data-testid=approval-card]').forEach((card) => { card.mine = true; });
        document.querySelectorAll('[data-testid=reject]')[1].focus();
        window.scrollTo(0, 300);
    }""")
    quotes.set_price("EURUSD", Decimal("1.07555"), Decimal("1.07563"))
    await expect(cards(page).filter(has_text="EURUSD")).to_contain_text("1.07563")
    kept = await page.evaluate("""() => ({
        same: [...document.querySelectorAll('[data-testid=approval-card]')].every((card) => card.mine),
        focus: document.activeElement.dataset.testid, scroll: window.scrollY,
        open: document.querySelectorAll('details[open]').length})""")
    assert kept == {"same": True, "focus": "reject", "scroll": 300, "open": 1}


async def test_time_runs_out_in_sight(phone: Phone, desk: Desk, provider: int) -> None:
    await desk_stage.ask(desk, provider, clock(), expires_in_seconds=30)
    # This device's clock is an hour fast; the time left is reckoned by the server's.
    await phone.page.clock.install(time=clock() + timedelta(hours=1))
    page = await phone.open("/app/approvals", stage.init_data(ADA))
    left = page.locator(".countdown time")
    await expect(left).to_have_text(re.compile(r"0:(2[0-9]|30)"))
    await expect(left).to_have_class("soon")
    await page.route("**/app/fragments/**", unchanged)
    await page.clock.run_for(31_000)
    await expect(left).to_have_text("over")
    await expect(page.get_by_test_id("approve")).to_be_disabled()
    phone.complaints.clear()  # a request under way found half a minute gone and gave up


async def test_hostile_text_is_only_text(phone: Phone, desk: Desk, ada: int) -> None:
    evil = await desk_stage.found(desk, clock(), "<img src=x onerror=alert(3)> مكتب التداول " + "W" * 20)
    await follow(desk, ada, evil)
    await desk_stage.ask(desk, evil, clock(), note=EVIL + "W" * 200)
    page = await phone.open("/app/approvals", stage.init_data(ADA, EVIL))
    await page.get_by_text("Why?").click()
    await expect(cards(page)).to_contain_text("<script>alert(1)</script>")
    assert await page.locator("main script, main img").count() == 0
    assert await page.evaluate("document.documentElement.scrollWidth") <= stage.PHONE["width"]
    box = await page.get_by_test_id("approve").bounding_box()
    assert box is not None and box["height"] >= 44 and box["x"] + box["width"] <= stage.PHONE["width"]


async def test_a_list_that_fails_offers_another_try(phone: Phone) -> None:
    page = phone.page
    await page.route("**/app/fragments/positions**", failing(503, "unavailable"))
    await phone.open("/app/positions", stage.init_data(ADA))
    error = page.locator('[data-error-of="positions"]')
    await expect(error).to_contain_text("Your terminal does not answer")
    await page.unroute("**/app/fragments/positions**")
    await error.get_by_test_id("retry").click()
    await expect(page.get_by_test_id("equity")).to_contain_text("10\u202f000.00\u00a0USD")
    await expect(error).to_be_hidden()


async def test_a_lost_connection_keeps_what_is_known_and_says_so(phone: Phone) -> None:
    page = await phone.open("/app/positions", stage.init_data(ADA))
    await expect(page.get_by_test_id("equity")).to_be_visible()
    await page.route("**/app/fragments/**", cut)
    await expect(page.get_by_test_id("offline")).to_be_visible()
    await expect(page.get_by_test_id("equity")).to_be_visible()
    await page.unroute("**/app/fragments/**")
    await expect(page.get_by_test_id("offline")).to_be_hidden()
    phone.complaints.clear()  # htmx says aloud that it was cut off


async def test_a_terminal_that_falls_silent_leaves_figures_marked_as_old(phone: Phone, desk: Desk, ada: int) -> None:
    page = await phone.open("/app/positions", stage.init_data(ADA))
    await expect(page.get_by_test_id("equity")).to_be_visible()
    await expect(page.get_by_test_id("stale-badge")).to_have_count(0)
    async with desk.database.writing() as session:
        await session.execute(delete(tables.accounts))
    await expect(page.get_by_test_id("stale-badge")).to_be_visible()
    await expect(page.get_by_test_id("equity")).to_contain_text("10\u202f000.00")


async def test_without_an_account_the_page_says_how_to_get_one(phone: Phone, desk: Desk, ada: int,
                                                               provider: int) -> None:
    async with desk.database.writing() as session:
        await session.execute(update(Account).values(unlinked_at=clock()))
    await desk_stage.ask(desk, provider, clock())
    page = await phone.open("/app/positions", stage.init_data(ADA))
    await expect(page.locator("#no-account")).to_contain_text("Send /start to the bot")
    await page.get_by_test_id("go-approvals").click()
    await expect(cards(page)).to_contain_text("There is no account to trade on")
    await expect(page.get_by_test_id("approve")).to_be_disabled()


async def test_older_decisions_can_be_brought_up(phone: Phone, desk: Desk, ada: int, provider: int) -> None:
    for _ in range(25):
        signal = await desk_stage.publish(desk, provider, clock())
        await desk_stage.spread(desk, clock())
        number = await desk_stage.approval_of(desk.database, ada, signal.id)
        async with desk.database.writing() as session:
            await approvals.reject(session, ada, number, None, Door.CHAT, clock())
    page = await phone.open("/app/approvals", stage.init_data(ADA))
    await page.get_by_test_id("tab-decided").click()
    await expect(page.get_by_test_id("decision-row")).to_have_count(20)
    await page.get_by_role("button", name="Show older").click()
    await expect(page.get_by_test_id("decision-row")).to_have_count(25)
    await expect(page.get_by_role("button", name="Show older")).to_have_count(0)
