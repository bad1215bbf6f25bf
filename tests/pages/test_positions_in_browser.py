"""Positions in the browser: closing and moving the stop, the line of equity, several accounts, a hand that pulls."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Request, Route, expect

from models.position import EquityPoint
from services.desk import Desk
from terminal.paper.quotes import QuoteFeed
from tests.pages import portfolio_stage, stage
from tests.pages.popups import LISTEN, answer, told
from tests.pages.stage import ADA, DARK, LIGHT, Phone, clock, cut, failing
from tests.pages.test_legibility import assert_legible
from tests.running import until

ACTS = re.compile(r"/api/v1/accounts/\d+/positions/\d+")


@pytest.fixture
async def ticket(desk: Desk, ada: int, quotes: QuoteFeed) -> int:
    """A position of Ada's that is 20 USD ahead."""
    account = await portfolio_stage.paper(desk, ada)
    number = await portfolio_stage.hold(desk, account)
    quotes.set_price("EURUSD", Decimal("1.07208"), Decimal("1.07216"))
    return number


async def on_positions(phone: Phone, theme: dict[str, str] = LIGHT) -> Page:
    """The Positions page, once it is there."""
    await phone.page.add_init_script(LISTEN)
    page = await phone.open("/app/positions", stage.init_data(ADA), theme)
    await expect(page.get_by_test_id("equity")).to_be_visible()
    return page


async def act(page: Page, kind: str) -> None:
    """Open the card's actions and tap one."""
    await page.get_by_test_id("position-acts").first.click()
    await page.get_by_test_id(f"act-{kind}").first.click()


def asked(page: Page) -> list[Request]:
    """Every act that is asked of the desk from now on."""
    found: list[Request] = []
    page.on("request", lambda request: found.append(request) if ACTS.search(request.url) else None)
    return found


@pytest.mark.usefixtures("loops")
async def test_a_position_is_closed_once_after_a_second_yes(phone: Phone, ticket: int) -> None:
    page = await on_positions(phone)
    sent = asked(page)
    await act(page, "close")
    popup = await answer(page, None)
    assert popup["title"] == "Close EURUSD?" and "+20.00\u00a0USD" in popup["message"]
    assert "cannot be undone" in popup["message"]
    assert popup["buttons"][0] == {"id": "yes", "type": "destructive", "text": "Close 0.10 lots"}
    assert sent == []
    await page.evaluate("""() => { const button = document.querySelector('[data-testid=act-close]');
        button.click(); button.click(); button.click(); }""")
    await answer(page, "yes")
    await expect(page.get_by_test_id("toast")).to_contain_text("EURUSD closed at 1.07208")
    await expect(page.get_by_test_id("position-row")).to_have_count(0)
    await expect(page.locator("#no-positions")).to_contain_text("No open positions")
    assert [request.method for request in sent] == ["POST"]
    await page.get_by_test_id("tab-closed").click()
    row = page.get_by_test_id("closed-row")
    await expect(row).to_contain_text("By hand")
    await expect(row).to_contain_text("+20.00\u00a0USD")


async def test_half_of_it_is_closed_and_the_stop_moves(phone: Phone, ticket: int) -> None:
    page = await on_positions(phone)
    sent = asked(page)
    await act(page, "half")
    popup = await answer(page, "yes")
    assert popup["message"].startswith("0.05 of 0.10 lots are closed at the market now, about +10.00")
    await expect(page.get_by_test_id("toast").last).to_contain_text("0.05 lots closed")
    row = page.get_by_test_id("position-row")
    await expect(row).to_contain_text("Buy 0.05")
    await page.get_by_test_id("act-protect").click()
    popup = await answer(page, "yes")
    assert "moves from 1.06508 to 1.07008" in popup["message"] and popup["buttons"][0]["type"] == "default"
    await expect(page.get_by_test_id("toast").last).to_contain_text("the stop is at the entry")
    await expect(row.locator(".bounds")).to_contain_text("SL1.07008")
    await expect(page.get_by_test_id("act-protect")).to_be_disabled()
    await expect(row).to_contain_text("The stop is at the entry or better already.")
    assert [(r.method, r.post_data) for r in sent] == [("POST", '{"volume":"0.05"}'),
                                                       ("PATCH", '{"stop_loss":"1.07008"}')]


def told_by_broker(**changes: Any) -> Callable[[Route], Awaitable[None]]:
    """The desk's answer to an act, as it stands."""
    body = {"id": "1", "account_id": "1", "ticket": 1, "kind": "close", "status": "done", "volume": "0.10",
            "price": None, "reason": None, "error": None, **changes}

    async def fulfil(route: Route) -> None:
        await route.fulfill(status=200, content_type="application/json", body=json.dumps(body))

    return fulfil


UNDONE: list[tuple[Callable[[Route], Awaitable[None]], str]] = [
    (told_by_broker(status="refused", reason="not_enough_money"), "There is not enough free margin."),
    (told_by_broker(status="refused", reason="rejected_by_terminal", error="Market <b>closed"), "Market <b>closed"),
    (failing(409, "position_busy"), "Something is being done with this position already"),
    (failing(503, "unavailable"), "The terminal does not answer. Nothing was sent."),
    (failing(500, "internal_error"), "Something went wrong on our side"),
    (cut, "It may still be carried out; it is never done twice"),
]


async def test_what_does_not_work_is_said_on_the_card(phone: Phone, ticket: int) -> None:
    page = await on_positions(phone)
    await page.get_by_test_id("position-acts").click()
    row = page.get_by_test_id("position-row")
    for door, words in UNDONE:
        await page.route(ACTS, door)
        await page.get_by_test_id("act-close").click()
        await answer(page, "yes")
        await expect(row).to_contain_text(words)
        await expect(row).not_to_have_attribute("aria-busy", "true")
        await page.unroute(ACTS)
    phone.complaints.clear()


async def test_an_outcome_that_is_not_known_is_said_to_be(phone: Phone, ticket: int) -> None:
    page = await on_positions(phone)
    await page.route(ACTS, told_by_broker(status="unknown"))
    await act(page, "close")
    await answer(page, "yes")
    await expect(page.get_by_test_id("toast")).to_contain_text("the broker has not answered yet")
    await expect(page.get_by_test_id("position-row")).to_have_count(1)


async def test_a_session_that_ends_between_the_two_taps_is_said(phone: Phone, ticket: int) -> None:
    page = await on_positions(phone)
    await page.route("**/api/v1/**", failing(401, "unauthenticated"))
    await act(page, "close")
    await answer(page, "yes")
    await expect(page.get_by_test_id("session-expired")).to_be_visible()
    phone.complaints.clear()  # htmx says aloud whose list could not be fetched


async def test_while_the_answer_is_on_its_way_the_card_says_so(phone: Phone, ticket: int) -> None:
    page = await on_positions(phone)
    let_go = asyncio.Event()

    async def slow(route: Route) -> None:
        await let_go.wait()
        await route.continue_()

    await page.route(ACTS, slow)
    await act(page, "close")
    await answer(page, "yes")
    row = page.get_by_test_id("position-row")
    await expect(row).to_contain_text("Closing 0.10 lots…")
    await expect(page.get_by_test_id("act-half")).to_be_disabled()
    let_go.set()
    await expect(page.get_by_test_id("position-row")).to_have_count(0)


async def test_the_line_of_equity_is_drawn_and_said_in_words(phone: Phone, desk: Desk, ada: int) -> None:
    account, now = await portfolio_stage.paper(desk, ada), clock()
    async with desk.database.writing() as session:
        for hours, equity in ((30, "9500"), (20, "9900.5"), (9, "10100"), (3, "9950")):
            session.add(EquityPoint(account_id=account.id, at=now - timedelta(hours=hours), equity=Decimal(equity),
                                    balance=Decimal(10_000)))
    page = await on_positions(phone)
    line = page.locator("[data-spark-canvas]")
    await expect(line.locator("canvas")).to_be_visible()
    await expect(line).to_have_attribute("aria-label", re.compile(
        r"Equity over a day: from 9\u202f500.00.+ to 10\u202f000.00.+lowest 9\u202f500.00.+highest 10\u202f100.00"))
    await expect(page.locator("[data-spark-note]")).to_contain_text("Low 9\u202f500.00\u00a0USD")
    blue = await line.locator("canvas").evaluate("canvas => canvas.toDataURL()")
    await page.evaluate("theme => Telegram.WebView.receiveEvent('theme_changed', {theme_params: theme})", DARK)
    await until("the line in the new colours", lambda: changed(page, blue))
    await page.get_by_role("button", name="Week").click()
    await expect(page.get_by_role("button", name="Week")).to_have_attribute("aria-pressed", "true")
    await expect(line).to_have_attribute("aria-label", re.compile("Equity over a week"))


async def changed(page: Page, before: str) -> bool:
    return bool(await page.locator("[data-spark-canvas] canvas").evaluate("canvas => canvas.toDataURL()") != before)


async def test_a_line_that_cannot_be_drawn_leaves_the_figures(phone: Phone, ada: int) -> None:
    await phone.page.route("**/equity**", failing(503, "unavailable"))
    page = await on_positions(phone)
    await expect(page.locator("[data-spark-note]")).to_contain_text("cannot be shown right now")


async def test_another_account_comes_into_view_and_stays(phone: Phone, desk: Desk, ada: int) -> None:
    second = await portfolio_stage.another(desk, ada, clock(), label="<script>alert(1)</script> \u202emoc" + "W" * 30)
    await portfolio_stage.hold(desk, second, 7)
    await phone.page.set_viewport_size({"width": 360, "height": 780})
    page = await on_positions(phone)
    await expect(page.get_by_test_id("totals")).to_contain_text("34\u202f999.20\u00a0USD")
    await expect(page.get_by_test_id("position-row")).to_have_count(0)
    await page.get_by_test_id("choose-account").nth(1).click()
    await expect(page.get_by_test_id("position-row")).to_have_count(1)
    await expect(page.get_by_test_id("equity")).to_contain_text("24\u202f999.20\u00a0USD")
    await assert_legible(page)
    await page.wait_for_timeout(1500)  # polls go on asking for the account that was chosen
    await expect(page.get_by_test_id("position-row")).to_have_count(1)
    assert await page.locator("main script").count() == 0
    async with desk.database.writing() as session:
        (await session.get_one(type(second), second.id)).unlinked_at = clock()
    await expect(page.get_by_test_id("position-row")).to_have_count(0)
    await expect(page.get_by_test_id("equity")).to_contain_text("10\u202f000.00\u00a0USD")


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
async def test_cards_and_their_actions_can_be_read_on_a_narrow_phone(phone: Phone, desk: Desk, ada: int, ticket: int,
                                                                     theme: dict[str, str]) -> None:
    account = await portfolio_stage.paper(desk, ada)
    for number, symbol in enumerate(("XAUUSD", "BTCUSD", "US30", "USDJPY"), start=10):
        await portfolio_stage.hold(desk, account, number, symbol=symbol, volume="0.01" if number % 2 else "0.10",
                                   stop=None, target=None)
    await phone.page.set_viewport_size({"width": 360, "height": 640})
    page = await on_positions(phone, theme)
    await expect(page.get_by_test_id("position-row")).to_have_count(5)
    for number in range(5):
        await page.get_by_test_id("position-acts").nth(number).click()
    await assert_legible(page)
    boxes = [await button.bounding_box() for button in await page.get_by_test_id("act-protect").all()]
    assert all(box and box["height"] >= 44 and box["x"] + box["width"] <= 360 for box in boxes)


async def test_a_pull_at_the_top_asks_for_fresh_figures(browser: Browser, origin: str, ada: int) -> None:
    async with stage.phone(browser, origin, has_touch=True) as phone:
        page = await on_positions(phone)
        forced: list[str] = []
        page.on("request", lambda request: forced.append(request.url) if "force_refresh=true" in request.url else None)
        await drag(page, 40)
        assert forced == []
        await drag(page, 160)
        await until("a forced look", lambda: nonempty(forced))
        await expect(page.locator("#pull")).to_be_hidden()
        assert await told(page, "web_app_trigger_haptic_feedback")
        assert phone.complaints == []


async def nonempty(found: list[str]) -> bool:
    return bool(found)


async def drag(page: Page, distance: int) -> None:
    """A finger that goes down from below the title."""
    touch = await page.context.new_cdp_session(page)
    for kind, y in (("touchStart", 200), *(("touchMove", 200 + step) for step in range(20, distance + 1, 20))):
        await touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": 200, "y": y}]})
    await touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
