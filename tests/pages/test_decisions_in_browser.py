"""Deciding in the browser, through the real door: one tap, one decision, and a plain word when it fails."""

from datetime import timedelta
from decimal import Decimal

import pytest
from playwright.async_api import Page, Route, expect

from models.approval import ApprovalStatus, Door
from models.signal import SignalStatus
from services import signals
from services.desk import Desk
from tests.pages import stage
from tests.pages.stage import ADA, Phone, cards, clock, failing, stored, unchanged
from tests.services import stage as desk_stage


async def polled(page: Page) -> None:
    """Wait until the list in view has been asked for once more."""
    async with page.expect_response(lambda response: "/app/fragments/" in response.url):
        pass


@pytest.mark.usefixtures("loops")
async def test_one_tap_approves_and_tells_what_became_of_it(phone: Phone, desk: Desk, ada: int, provider: int) -> None:
    signal = await desk_stage.ask(desk, provider, clock(), symbol="EURUSD")
    page = await phone.open("/app", stage.init_data(ADA))
    await expect(cards(page)).to_have_count(1)
    assert page.url == f"{phone.origin}/app/approvals"  # no launch data in the address
    await expect(page.get_by_test_id("badge")).to_have_text("1")
    await page.get_by_test_id("approve").click()
    await expect(cards(page)).to_have_count(0)
    await expect(page.get_by_test_id("toast")).to_contain_text("Filled 0.20 @ 1.07008")
    await expect(page.get_by_test_id("empty-state").first).to_be_visible()
    await expect(page.get_by_test_id("badge")).to_be_hidden()
    await page.get_by_test_id("tab-decided").click()
    row = page.get_by_test_id("decision-row")
    await expect(row).to_contain_text("Approved in the app")
    await expect(row).to_contain_text("Filled 0.20 @ 1.07008")
    view = await stored(desk, ada, signal.id)
    assert (view.status, view.decided_via) == (ApprovalStatus.APPROVED, Door.APP)


async def test_one_tap_rejects(phone: Phone, desk: Desk, ada: int, provider: int) -> None:
    signal = await desk_stage.ask(desk, provider, clock())
    page = await phone.open("/app/approvals", stage.init_data(ADA))
    await page.get_by_test_id("reject").click()
    await expect(page.get_by_test_id("toast")).to_contain_text("EURUSD rejected")
    await expect(cards(page)).to_have_count(0)
    assert (await stored(desk, ada, signal.id)).status == ApprovalStatus.REJECTED


async def test_a_hundred_taps_are_one_decision(phone: Phone, desk: Desk, ada: int, provider: int) -> None:
    await desk_stage.ask(desk, provider, clock())
    page = await phone.open("/app/approvals", stage.init_data(ADA))
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    await expect(cards(page)).to_have_count(1)
    await page.evaluate("""() => {
        const button = document.querySelector('[data-testid=approve]');
        for (let tap = 0; tap < 100; tap += 1) button.click();
    }""")
    await expect(cards(page)).to_have_count(0)
    assert len([url for url in sent if "/approve" in url]) == 1


@pytest.mark.parametrize(("status", "code", "says"), [
    (403, "tier_too_low", "Your plan covers the paper account only"),
    (409, "no_account", "There is no account to trade on"),
    (412, "terms_changed", "has just changed the terms"),
    (429, "rate_limited", "Wait a moment"),
    (503, "unavailable", "Nothing was changed; try again"),
    (500, "something_new", "Something went wrong on our side"),
])
async def test_a_refused_card_comes_back_and_says_why(phone: Phone, desk: Desk, provider: int, status: int, code: str,
                                                      says: str) -> None:
    await desk_stage.ask(desk, provider, clock())
    page = await phone.open("/app/approvals", stage.init_data(ADA))
    await page.route("**/approve", failing(status, code))
    await page.get_by_test_id("approve").click()
    await expect(cards(page).get_by_role("alert")).to_contain_text(says)
    await expect(page.get_by_test_id("approve")).to_be_enabled()
    await expect(page.get_by_test_id("reject")).to_be_enabled()
    await polled(page)
    await expect(cards(page).get_by_role("alert")).to_be_visible()  # a poll does not wipe it away


async def test_a_lost_answer_is_safe_to_repeat(phone: Phone, desk: Desk, ada: int, provider: int) -> None:
    signal = await desk_stage.ask(desk, provider, clock())
    page = await phone.open("/app/approvals", stage.init_data(ADA))

    async def lose_the_answer(route: Route) -> None:
        await route.fetch()
        await route.abort()

    await expect(cards(page)).to_have_count(1)
    await page.route("**/app/fragments/**", unchanged)
    await page.route("**/approve", lose_the_answer)
    await page.get_by_test_id("approve").click()
    await expect(cards(page).get_by_role("alert")).to_contain_text("You can safely try again")
    assert (await stored(desk, ada, signal.id)).status == ApprovalStatus.APPROVED
    await page.unroute("**/approve")
    await page.get_by_test_id("approve").click()
    await expect(page.get_by_test_id("toast").first).to_contain_text("approved")


async def test_a_withdrawn_card_goes_by_itself_with_a_sentence(phone: Phone, desk: Desk, provider: int) -> None:
    signal = await desk_stage.ask(desk, provider, clock())
    page = await phone.open("/app/approvals", stage.init_data(ADA))
    await expect(cards(page)).to_have_count(1)
    await page.route("**/app/fragments/**", unchanged)
    async with desk.database.writing() as session:
        await signals.end(session, provider, signal.id, SignalStatus.CANCELLED, clock())
    await page.get_by_test_id("approve").click()
    await expect(page.get_by_test_id("toast")).to_contain_text("The provider has withdrawn this signal")
    await page.unroute("**/app/fragments/**")
    await expect(cards(page)).to_have_count(0)
    await expect(page.get_by_test_id("empty-state").first).to_be_visible()


async def test_a_card_that_has_just_changed_does_not_take_the_tap(phone: Phone, desk: Desk, ada: int,
                                                                  provider: int) -> None:
    signal = await desk_stage.ask(desk, provider, clock())
    sent: list[str] = []
    phone.page.on("request", lambda request: sent.append(request.url) if "/approve" in request.url else None)
    await phone.page.clock.install()
    page = await phone.open("/app/approvals", stage.init_data(ADA))
    await expect(cards(page)).to_have_count(1)
    await page.clock.pause_at(clock() + timedelta(seconds=10))
    async with desk.database.writing() as session:
        revised = await signals.revise(session, provider, signal.id, {"stop_loss": Decimal("1.06")}, clock())
    async with page.expect_response("**/app/fragments/**") as answered:
        await page.clock.run_for(1_000)
    await (await answered.value).finished()
    await expect(cards(page)).to_contain_text("Revised")
    await expect(cards(page)).to_contain_text("1.06000")
    box = await page.get_by_test_id("approve").bounding_box()
    assert box is not None
    await page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await page.get_by_test_id("approve").evaluate("(button) => button.click()")
    assert sent == []
    await page.clock.run_for(600)
    await page.get_by_test_id("approve").click()
    await page.clock.run_for(1_000)
    await expect(page.get_by_test_id("toast")).to_contain_text("approved")
    assert len(sent) == 1
    assert (await stored(desk, ada, signal.id)).terms_hash == revised.terms_hash
