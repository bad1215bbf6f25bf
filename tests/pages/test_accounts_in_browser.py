"""Accounts in the browser: linking by each route, secrets seen once, what is asked before it is done."""

import asyncio
import json
import re
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect
from sqlalchemy import select, update

from models.account import Account
from models.device import Device
from services import devices, tiers
from services.desk import Desk
from tests.pages import portfolio_stage, stage
from tests.pages.popups import LISTEN, answer, told
from tests.pages.stage import ADA, DARK, LIGHT, Phone, clock, cut, failing
from tests.pages.test_legibility import assert_legible

LINK = re.compile(r"/api/v1/accounts/link$")
PASSWORD = "c4nary-p4ssword-☃"


@pytest.fixture
async def vip(desk: Desk, ada: int) -> int:
    """Ada, with a plan that lets her link three accounts."""
    async with desk.database.writing() as session:
        tiers.grant(session, desk.catalogue.named("vip"), ada, 30, "manual", clock())
    return ada


async def on_accounts(phone: Phone, theme: dict[str, str] = LIGHT) -> Page:
    """The Accounts page, once it is there."""
    await phone.page.add_init_script(LISTEN)
    page = await phone.open("/app/accounts", stage.init_data(ADA), theme)
    await expect(page.get_by_test_id("account-row").first).to_be_visible()
    return page


async def form(page: Page, login: str = "70012345", server: str = "Harbour-Live", password: str = PASSWORD) -> None:
    """Fill in the form of the terminal route."""
    if not await page.get_by_test_id("link-sheet").is_visible():
        await page.get_by_test_id("link-account").click()
        await page.get_by_test_id("route-terminal").click()
    for name, text in (("Login", login), ("Server", server), ("Password", password)):
        await page.get_by_test_id("terminal-form").get_by_label(name).fill(text)


class Broker:
    """The desk's door for links, answering what a test says, when it says so."""

    def __init__(self, status: int = 400, **body: Any) -> None:
        self.status, self.body = status, body
        self.asked: list[dict[str, Any]] = []
        self.let_go = asyncio.Event()
        self.let_go.set()

    async def __call__(self, route: Route) -> None:
        self.asked.append(json.loads(route.request.post_data or "{}"))
        await self.let_go.wait()
        kind = "application/json" if self.status < 400 else "application/problem+json"
        await route.fulfill(status=self.status, content_type=kind, body=json.dumps(self.body))


async def test_the_bar_leads_to_the_accounts_and_paper_is_there_already(phone: Phone, ada: int) -> None:
    page = await phone.open("/app/approvals", stage.init_data(ADA))
    await page.get_by_test_id("go-accounts").click()
    await expect(page.get_by_test_id("account-row")).to_contain_text("Practice money")
    assert page.url.endswith("/app/accounts")
    names = [(await link.inner_text()).strip() for link in await page.locator(".tabs a").all()]
    assert names == ["Signals", "Positions", "Accounts", "Plan"]
    await page.get_by_test_id("link-account").click()
    routes = await page.locator("[data-panel=routes] .choice b").all_inner_texts()
    assert routes == ["Expert Advisor", "MT5 login", "Paper"]
    await expect(page.get_by_test_id("route-device")).to_contain_text("Your password stays with you")
    await page.get_by_test_id("route-paper").click()
    await expect(page.locator("[data-panel=routes]")).to_contain_text("This account is linked already.")


async def test_a_password_goes_to_the_desk_once_and_nowhere_else(phone: Phone, vip: int) -> None:
    page, broker = await on_accounts(phone), Broker(400, code="account_not_verified", reason="wrong_password")
    await page.route(LINK, broker)
    broker.let_go.clear()
    await form(page)
    field = page.get_by_label("Password")
    assert await field.get_attribute("type") == "password" and await field.get_attribute("autocomplete") == "off"
    await page.evaluate("() => { const form = document.querySelector('[data-testid=terminal-form]');"
                        "form.requestSubmit(); form.requestSubmit(); form.requestSubmit(); }")
    await expect(page.get_by_test_id("link-progress")).to_contain_text("This can take up to 45 s")
    await expect(page.get_by_test_id("link-submit")).to_be_disabled()
    broker.let_go.set()
    await expect(page.get_by_test_id("link-error")).to_contain_text("The broker refused login or password")
    assert broker.asked == [{"route": "terminal", "login": "70012345", "server": "Harbour-Live",
                             "password": PASSWORD}]
    await expect(field).to_have_value("")
    kept = await page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, location.href])")
    assert PASSWORD not in kept and PASSWORD not in await page.content()


REFUSALS = [
    (Broker(reason="otp_required", code="account_not_verified"), "asks for a one-time password"),
    (Broker(reason="broker_unknown", code="account_not_verified"), "No server of this name"),
    (Broker(reason="terminal_hangs", code="account_not_verified"), "did not answer in time"),
    (Broker(reason="something_new", code="account_not_verified"), "could not be verified"),
    (Broker(409, code="already_linked"), "is linked already"),
    (Broker(429, code="rate_limited"), "That was a lot at once"),
]


async def test_each_refusal_says_what_helps(phone: Phone, vip: int) -> None:
    page = await on_accounts(phone)
    for door, words in REFUSALS:
        await page.route(LINK, door)
        await form(page)
        await page.get_by_test_id("link-submit").click()
        await expect(page.get_by_test_id("link-error")).to_contain_text(words)
        assert "_" not in await page.get_by_test_id("link-error").inner_text()
        await page.unroute(LINK)


async def test_a_desk_without_terminals_says_so_and_a_form_with_holes_asks_nobody(phone: Phone, vip: int) -> None:
    page = await on_accounts(phone)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if LINK.search(request.url) else None)
    for login, server, password, words in (("12x", "S", "p", "number of the account"), ("1", " ", "p", "server's name"),
                                           ("1", "S", "", "Write the password")):
        await form(page, login, server, password)
        await page.get_by_test_id("link-submit").click()
        await expect(page.get_by_test_id("link-error")).to_contain_text(words)
    assert asked == []
    await form(page)
    await page.get_by_test_id("link-submit").click()
    await expect(page.get_by_test_id("link-error")).to_contain_text("This desk has no MT5 terminal")
    await page.route(LINK, cut)
    await form(page)
    await page.get_by_test_id("link-submit").click()
    await expect(page.get_by_test_id("link-error")).to_contain_text("There was no answer.")


async def test_who_stops_waiting_loses_nothing(phone: Phone, vip: int) -> None:
    page, broker = await on_accounts(phone), Broker(201, label="Harbour", is_primary=True)
    broker.let_go.clear()
    await page.route(LINK, broker)
    await form(page)
    await page.get_by_test_id("link-submit").click()
    await expect(page.get_by_test_id("link-progress")).to_be_visible()
    await page.get_by_test_id("link-back").click()
    await expect(page.get_by_test_id("toast")).to_contain_text("If the account is linked after all, it appears here.")
    await expect(page.get_by_test_id("route-device")).to_be_visible()
    broker.let_go.set()
    await page.get_by_test_id("route-terminal").click()
    await expect(page.get_by_test_id("link-submit")).to_be_enabled()
    await expect(page.get_by_test_id("link-progress")).to_be_hidden()
    await form(page)
    await page.get_by_test_id("link-submit").click()
    await expect(page.get_by_test_id("link-sheet")).to_be_hidden()
    await expect(page.get_by_test_id("toast").last).to_contain_text("Harbour is linked. Approved orders go there")
    assert len(broker.asked) == 2


async def test_a_plan_that_allows_no_more_leads_to_the_plans(phone: Phone, desk: Desk, ada: int) -> None:
    await portfolio_stage.another(desk, ada, clock(), route="device", login="70019999")
    page = await on_accounts(phone)
    await form(page)
    await page.get_by_test_id("link-submit").click()
    sheet = page.get_by_test_id("upgrade-sheet")
    await expect(sheet).to_contain_text("This needs VIP")
    await expect(sheet).to_contain_text("Your plan allows no more linked accounts. VIP does.")
    await expect(page.get_by_test_id("link-sheet")).to_be_hidden()
    await expect(sheet.get_by_test_id("upgrade-plans")).to_be_visible()


async def test_a_device_is_registered_seen_once_and_linked_when_it_reports(phone: Phone, desk: Desk, vip: int) -> None:
    await phone.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = await on_accounts(phone)
    await page.get_by_test_id("link-account").click()
    await page.get_by_test_id("route-device").click()
    await page.get_by_test_id("device-form").get_by_label("Name").fill("MT5-home")
    await page.get_by_test_id("device-register").dblclick()
    await expect(page.get_by_test_id("device-secret")).to_have_text(re.compile(r"^[\w-]{43}$"))
    secret = await page.get_by_test_id("device-secret").inner_text()
    device_id = await page.locator("[data-device-id]").inner_text()
    await page.get_by_test_id("copy-secret").click()
    await expect(page.get_by_test_id("copy-secret")).to_have_text("Copied")
    assert await page.evaluate("navigator.clipboard.readText()") == secret
    await page.keyboard.press("Escape")
    popup = await answer(page, None)
    assert popup["title"] == "Have you saved the secret?" and "not shown again" in popup["message"]
    await expect(page.get_by_test_id("device-secret")).to_have_text(secret)
    assert {"need_confirmation": True} in await told(page, "web_app_setup_closing_behavior")
    await page.get_by_test_id("secret-saved").click()
    await expect(page.get_by_test_id("device-waiting")).to_contain_text("Waiting for its first report")
    assert secret not in await page.content()
    await portfolio_stage.push(phone.origin, device_id, secret)
    await expect(page.get_by_test_id("link-sheet")).to_be_hidden()
    await expect(page.get_by_test_id("toast").last).to_contain_text("is linked. Approved orders go there from now on.")
    first = page.get_by_test_id("account-row").first
    await expect(first).to_contain_text("Primary")
    await expect(first.get_by_test_id("device-row")).to_contain_text("MT5-home")
    await expect(first.locator(".dot.active")).to_be_visible()
    async with desk.database.reading() as session:
        assert len((await session.scalars(select(Device))).all()) == 1


async def test_waiting_for_a_device_can_be_taken_up_later(phone: Phone, vip: int) -> None:
    page = await on_accounts(phone)
    await page.get_by_test_id("link-account").click()
    await page.get_by_test_id("route-device").click()
    await page.get_by_test_id("device-form").get_by_label("Name").fill("VPS")
    await page.get_by_test_id("device-register").click()
    await page.get_by_test_id("secret-saved").click()
    await page.get_by_test_id("device-waiting").get_by_role("button", name="Close").click()
    row = page.get_by_test_id("device-row")
    await expect(row).to_contain_text("Waiting for its first report")
    await row.get_by_test_id("device-link").click()
    await expect(page.get_by_test_id("device-waiting")).to_contain_text("VPS")


async def test_a_device_gets_a_name_a_new_secret_and_its_end(phone: Phone, desk: Desk, vip: int) -> None:
    page = await on_accounts(phone)
    for name in ("VPS", "Laptop"):
        await devices.register(desk, vip, name, None, clock())
    row = page.get_by_test_id("device-row").filter(has_text="VPS")
    await row.locator("summary").click()
    await row.get_by_test_id("device-rename").click()
    await page.locator("#rename-input").fill("Laptop")
    await page.get_by_test_id("rename-save").click()
    await expect(page.get_by_test_id("rename-sheet")).to_contain_text("You have one of this name already.")
    await page.locator("#rename-input").fill("MT5-home")
    await page.get_by_test_id("rename-save").click()
    row = page.get_by_test_id("device-row").filter(has_text="MT5-home")
    await expect(row).to_be_visible()
    await row.get_by_test_id("device-rotate").click()
    await expect(page.get_by_test_id("rotate-note")).to_contain_text("ten minutes more")
    await page.get_by_test_id("rotate-sheet").get_by_text("Old one ends now").click()
    await expect(page.get_by_test_id("rotate-note")).to_contain_text("stops working at once")
    await page.get_by_test_id("rotate-go").click()
    await expect(page.get_by_test_id("device-secret")).to_have_text(re.compile(r"^[\w-]{43}$"))
    await page.get_by_test_id("secret-saved").click()
    await expect(page.get_by_test_id("link-sheet")).to_be_hidden()
    await row.get_by_test_id("device-revoke").click()
    popup = await answer(page, "yes")
    assert popup["title"] == "Revoke MT5-home?" and "shut out at once" in popup["message"]
    assert popup["buttons"][0] == {"id": "yes", "type": "destructive", "text": "Revoke"}
    await expect(page.get_by_test_id("device-row")).to_have_count(1)


async def test_primary_and_unlinking_are_asked_about_with_their_consequence(phone: Phone, desk: Desk,
                                                                            vip: int) -> None:
    await portfolio_stage.another(desk, vip, clock(), label="Harbour")
    page = await on_accounts(phone)
    second = page.get_by_test_id("account-row").filter(has_text="Harbour")
    await second.get_by_test_id("manage").click()
    await second.get_by_test_id("make-primary").click()
    assert "Signals you approve from now on go to Harbour" in (await answer(page, "yes"))["message"]
    await expect(page.get_by_test_id("toast")).to_contain_text("Harbour is your primary account now.")
    await expect(page.get_by_test_id("account-row").first).to_contain_text("Harbour")
    await expect(page.get_by_test_id("primary-star")).to_have_count(1)
    await page.get_by_test_id("account-row").first.get_by_test_id("unlink").click()
    popup = await answer(page, None)
    assert popup["title"] == "Unlink Harbour?" and "They stay open." in popup["message"]
    assert "Paper becomes the primary account." in popup["message"] and len(popup["message"]) <= 256
    await expect(page.get_by_test_id("account-row")).to_have_count(2)
    await page.get_by_test_id("account-row").first.get_by_test_id("unlink").click()
    await answer(page, "yes")
    await expect(page.get_by_test_id("account-row")).to_have_count(1)
    await expect(page.get_by_test_id("account-row")).to_contain_text("This is your only account")
    await expect(page.get_by_test_id("unlink")).to_be_disabled()


async def test_volume_and_name_are_checked_explained_and_kept(phone: Phone, desk: Desk, ada: int) -> None:
    page = await on_accounts(phone)
    await page.get_by_test_id("sizing").click()
    note, value = page.get_by_test_id("sizing-note"), page.get_by_test_id("sizing-value")
    await expect(note).to_contain_text("costs 1.0 % of equity, about 100.00 USD now")
    for wrong, words in (("abc", "Write a number above 0"), ("0", "Write a number above 0"), ("101", "100 % at most")):
        await value.fill(wrong)
        await page.get_by_test_id("sizing-save").click()
        await expect(page.get_by_test_id("sizing-sheet")).to_contain_text(words)
    await value.fill("12")
    await expect(note).to_contain_text("ten losses in a row")
    await page.get_by_text("Fixed lots").click()
    await expect(value).to_have_value("0.01")
    await value.fill("0,25")
    await expect(note).to_contain_text("Every order is 0.25 lots")
    await page.get_by_test_id("sizing-save").click()
    await expect(page.get_by_test_id("account-row")).to_contain_text("Fixed 0.25 lots")
    await page.get_by_test_id("manage").click()
    await page.get_by_test_id("rename").click()
    await page.locator("#rename-input").fill("  <b>Mine</b> \U0001f4c8 ")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("account-row")).to_contain_text("<b>Mine</b> \U0001f4c8")
    async with desk.database.reading() as session:
        assert (await session.scalars(select(Account.sizing))).one() == {"mode": "fixed", "volume": "0.25"}


async def test_symbols_are_seen_added_and_found_again(phone: Phone, desk: Desk, ada: int) -> None:
    page = await on_accounts(phone)
    await page.get_by_test_id("symbols").click()
    await expect(page.get_by_test_id("no-symbols")).to_be_visible()
    adding = page.locator("[data-map-new]")
    await adding.get_by_label("Symbol in signals").fill("gold")
    await adding.get_by_label("Your broker's name").fill("NOPE")
    await adding.get_by_role("button", name="Add").click()
    await expect(adding).to_contain_text("Your broker has no symbol of this name")
    await adding.get_by_label("Your broker's name").fill("XAUUSD")
    await adding.get_by_role("button", name="Add").click()
    row = page.get_by_test_id("symbol-row")
    await expect(row).to_contain_text("GOLD")
    await expect(row).to_contain_text("yours")
    await row.locator("summary").click()
    await row.get_by_role("button", name="Find it again").click()
    await expect(page.get_by_test_id("symbol-row")).to_have_count(0)
    await page.route("**/symbols", failing(503, "unavailable"))
    await page.get_by_role("button", name="Done").click()
    await page.get_by_test_id("symbols").click()
    await expect(page.locator('[data-error-of="symbols"]')).to_be_visible()


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
async def test_twenty_accounts_of_any_name_can_be_read_on_a_narrow_phone(phone: Phone, desk: Desk, vip: int,
                                                                         theme: dict[str, str]) -> None:
    hostile = "<script>alert(1)</script> \u202emoc.live \u0645\u0643\u062a\u0628 " + "W" * 30
    for number in range(19):
        changes: dict[str, Any] = {} if number % 3 else {"route": "terminal", "status": "broken",
                                                          "trouble": "wrong_password", "device_id": None}
        await portfolio_stage.another(desk, vip, clock(), f"9000{number:04}", label=hostile[:64],
                                      broker=hostile[:64], **changes)
    async with desk.database.writing() as session:
        await session.execute(update(Account).where(Account.login == "90000001").values(can_trade=False))
    await phone.page.set_viewport_size({"width": 360, "height": 640})
    page = await on_accounts(phone, theme)
    await expect(page.get_by_test_id("account-row")).to_have_count(20)
    await page.get_by_test_id("manage").nth(1).click()
    await assert_legible(page)
    assert await page.locator("main script").count() == 0
    for opener, closer in ((page.get_by_test_id("sizing").first, "Cancel"), (page.get_by_test_id("link-account"),
                                                                             "Not now")):
        await opener.click()
        await assert_legible(page)
        await page.get_by_role("button", name=closer).locator("visible=true").click()
    await page.get_by_test_id("link-account").click()
    await page.get_by_test_id("route-terminal").click()
    await page.get_by_test_id("link-submit").click()
    await expect(page.get_by_test_id("link-error")).to_be_visible()
    await assert_legible(page)
    box = await page.get_by_test_id("link-back").bounding_box()
    assert box is not None and box["y"] + box["height"] <= 640


async def test_a_session_that_ends_closes_the_sheet(phone: Phone, ada: int) -> None:
    page = await on_accounts(phone)
    await page.get_by_test_id("sizing").click()
    await page.route("**/api/v1/**", failing(401, "unauthenticated"))
    await page.get_by_test_id("sizing-save").click()
    await expect(page.get_by_test_id("session-expired")).to_be_visible()
    await expect(page.get_by_test_id("sizing-sheet")).to_be_hidden()
    phone.complaints.clear()
