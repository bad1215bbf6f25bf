"""Signing in and moving about in the browser: whose page it is, and where one is."""


from playwright.async_api import Request, Route, expect

from models.approval import Door
from services import approvals, auth
from services.desk import Desk
from tests.pages import stage
from tests.pages.stage import ADA, Phone, cards, clock, failing
from tests.services import stage as desk_stage


async def test_an_expired_access_token_is_renewed_in_silence(phone: Phone, desk: Desk, provider: int) -> None:
    page = await phone.open("/app/approvals", stage.init_data(ADA))
    await expect(page.get_by_test_id("empty-state").first).to_be_visible()
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    await page.route("**/app/fragments/**", Refusing(1))
    await desk_stage.ask(desk, provider, clock())
    await expect(cards(page)).to_have_count(1)
    assert [r.url.rsplit("/", 1)[1] for r in asked if "/auth/" in r.url] == ["refresh"]


class Refusing:
    """Answers 401 so many times, then lets requests through."""

    def __init__(self, times: int) -> None:
        self.left = times

    async def __call__(self, route: Route) -> None:
        if self.left:
            self.left -= 1
            await failing(401, "unauthenticated")(route)
        else:
            await route.continue_()


async def test_a_revoked_session_signs_in_with_the_launch_data_again(phone: Phone, desk: Desk, ada: int) -> None:
    page = await phone.open("/app/approvals", stage.init_data(ADA))
    await expect(page.get_by_test_id("empty-state").first).to_be_visible()
    async with desk.database.writing() as session:
        await auth.close_session(session, ada, None, clock())
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rsplit("/", 1)[1]) if "/auth/" in request.url else None)
    await page.reload()
    await expect(page.get_by_test_id("empty-state").first).to_be_visible()
    assert asked == ["refresh", "telegram"]


async def test_another_account_in_the_same_tab_is_another_person(phone: Phone, desk: Desk, provider: int) -> None:
    await desk_stage.ask(desk, provider, clock())
    page = await phone.open("/app/approvals", stage.init_data(ADA))
    await expect(cards(page)).to_have_count(1)
    await page.goto("about:blank")
    await phone.open("/app/approvals", stage.init_data(ADA + 1, "Bob"))
    await expect(page.get_by_test_id("empty-state").first).to_be_visible()
    await expect(cards(page)).to_have_count(0)


async def test_old_launch_data_ends_in_a_designed_state(phone: Phone) -> None:
    page = await phone.open("/app", stage.init_data(ADA, age=4000))
    await expect(page.get_by_test_id("session-expired")).to_be_visible()
    await expect(page.locator("#desk")).to_be_hidden()
    await expect(page.get_by_role("button", name="Close this window")).to_be_visible()


async def test_outside_telegram_the_page_explains_itself(phone: Phone) -> None:
    page = await phone.open("/app", "")
    await expect(page.get_by_test_id("outside-telegram")).to_be_visible()
    assert await page.get_by_test_id("bot-link").get_attribute("href") == "https://t.me/countersign_test_bot"


async def test_a_hidden_page_does_not_poll(phone: Phone) -> None:
    await phone.page.clock.install()
    page = await phone.open("/app/approvals", stage.init_data(ADA))
    await expect(page.get_by_test_id("empty-state").first).to_be_visible()
    await page.evaluate("""() => {
        Object.defineProperty(document, 'hidden', { get: () => window.away, configurable: true });
        window.away = true;
        document.dispatchEvent(new Event('visibilitychange'));
    }""")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.clock.run_for(10_000)
    assert asked == []
    async with page.expect_response(lambda response: "/app/fragments/" in response.url):
        await page.evaluate("() => { window.away = false; document.dispatchEvent(new Event('visibilitychange')); }")


async def test_pages_are_places_to_go_and_come_back_from(phone: Phone) -> None:
    page = await phone.open("/app", stage.init_data(ADA))
    await expect(page.get_by_role("heading", name="Signals")).to_be_visible()
    await page.get_by_test_id("go-positions").click()
    await expect(page).to_have_url(f"{phone.origin}/app/positions")
    await expect(page.get_by_test_id("equity")).to_be_visible()
    await page.locator("main:not([hidden])").get_by_test_id("open-settings").click()
    await expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    assert await page.evaluate("Telegram.WebApp.BackButton.isVisible")
    await page.evaluate("Telegram.WebView.receiveEvent('back_button_pressed')")
    await expect(page.get_by_role("heading", name="Positions")).to_be_visible()
    assert not await page.evaluate("Telegram.WebApp.BackButton.isVisible")
    await page.go_back()
    await expect(page.get_by_role("heading", name="Signals")).to_be_visible()


async def test_a_card_in_the_chat_opens_the_very_card_here(phone: Phone, desk: Desk, ada: int, provider: int) -> None:
    numbers = []
    for symbol in ("EURUSD", "XAUUSD", "GBPUSD"):
        signal = await desk_stage.ask(desk, provider, clock(), symbol=symbol, stop_loss=None, take_profits=())
        numbers.append(await desk_stage.approval_of(desk.database, ada, signal.id))
    async with desk.database.writing() as session:
        await approvals.reject(session, ada, numbers[0], None, Door.CHAT, clock())
    page = await phone.open(f"/app/approvals?approval={numbers[2]}", stage.init_data(ADA))
    await expect(page.locator("[data-found]")).to_contain_text("GBPUSD")
    await expect(page.locator("[data-found]").get_by_test_id("approve")).to_be_in_viewport()
    await page.goto("about:blank")
    await phone.open(f"/app/approvals?approval={numbers[0]}", stage.init_data(ADA))
    await expect(page.locator("[data-found]")).to_contain_text("Rejected in the chat")


async def test_the_theme_changes_live(phone: Phone) -> None:
    page = await phone.open("/app/positions", stage.init_data(ADA), stage.LIGHT)
    await expect(page.get_by_test_id("equity")).to_be_visible()
    colour = "getComputedStyle(document.body).backgroundColor"
    assert await page.evaluate(colour) == "rgb(239, 239, 244)"
    await page.evaluate("(theme) => Telegram.WebView.receiveEvent('theme_changed', { theme_params: theme })",
                        stage.DARK)
    assert await page.evaluate(colour) == "rgb(15, 15, 15)"
    assert await page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


async def test_the_switch_in_settings_is_kept(phone: Phone) -> None:
    page = await phone.open("/app/settings", stage.init_data(ADA))
    switch = page.get_by_test_id("card-notice")
    await expect(switch).to_be_checked()
    async with page.expect_response("**/notice"):
        await switch.click()
    await page.reload()
    await expect(switch).not_to_be_checked()
