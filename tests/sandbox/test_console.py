"""The console in a real browser: chat, phone, desk and the bridge between them."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiogram import Dispatcher
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message, WebAppInfo
from aiohttp import web
from playwright.async_api import Page, expect

from tests.pages.stage import chromium, served
from tests.sandbox.conftest import ADA, BORIS, Open, Stage
from tests.sandbox.test_control import PRICES, PROVIDER

APP_JS = """
const launch = new URLSearchParams(location.hash.slice(1));
const send = (eventType, eventData = {}) => parent.postMessage(JSON.stringify({eventType, eventData}), "*");
const say = (id, text) => { document.getElementById(id).textContent = text; };
addEventListener("message", ({data}) => {
  const {eventType, eventData} = JSON.parse(data);
  if (eventType === "theme_changed") say("theme", eventData.theme_params.bg_color);
  if (eventType === "viewport_changed") say("viewport", eventData.width);
  if (eventType === "main_button_pressed") send("web_app_open_popup", {title: "Sure?", message: "<b>x</b>",
    buttons: [{id: "no", type: "cancel"}, {id: "yes", type: "default", text: "Approve"}]});
  if (["popup_closed", "back_button_pressed", "settings_button_pressed"].includes(eventType))
    say("last", eventType + (eventData.button_id || ""));
});
say("who", JSON.parse(new URLSearchParams(launch.get("tgWebAppData")).get("user")).id);
say("path", location.pathname + location.search);
send("iframe_ready"); send("web_app_request_theme"); send("web_app_request_viewport");
send("web_app_setup_main_button", {is_visible: true, is_active: true, text: "Approve it"});
send("web_app_set_header_color", {color_key: "secondary_bg_color"});
send("web_app_setup_back_button", {is_visible: true}); send("web_app_setup_settings_button", {is_visible: true});
send("web_app_ready");
"""
APP = "<!doctype html>" + "".join(f'<p id="{name}"></p>' for name in ("who", "path", "theme", "viewport", "last"))
HOSTILE = "<img src=x onerror=alert(1)> & <b>"


def product(stage_of: list[Stage]) -> web.Application:
    """A Mini App of one page, and a desk that sends a card to whoever is there."""
    async def page(request: web.Request) -> web.Response:
        return web.Response(text=APP + '<script src="/app.js"></script>', content_type="text/html")

    async def script(request: web.Request) -> web.Response:
        return web.Response(text=APP_JS, content_type="text/javascript")

    async def publish(request: web.Request) -> web.Response:
        signal = await request.json()
        if signal["symbol"] == "USDJPY":
            return web.json_response({"detail": "The stop is on the wrong side."}, status=422)
        button = InlineKeyboardButton
        await stage_of[0].bot.send_message(
            ADA, f"New: <b>{signal['symbol']}</b> {signal['side']} &lt;img&gt;", parse_mode="HTML",
            reply_markup=InlineKeyboardMarkup(inline_keyboard=[
                [button(text="Reject", callback_data="n", style="danger"),
                 button(text="Approve", callback_data="y", style="success")],
                [button(text="Open app", web_app=WebAppInfo(url=f"http://{request.host}/app?card=1"))]]))
        return web.json_response({"id": "1", "symbol": signal["symbol"], "side": signal["side"]}, status=201)

    app = web.Application()
    app.router.add_get("/app", page)
    app.router.add_get("/app.js", script)
    app.router.add_post("/api/v1/signals", publish)
    return app


def dispatcher() -> Dispatcher:
    found = Dispatcher()

    @found.message()
    async def greet(message: Message) -> None:
        await message.answer(HOSTILE)

    @found.callback_query()
    async def decide(query: CallbackQuery) -> None:
        await query.answer("Approved!")
        assert isinstance(query.message, Message)
        await query.message.edit_text("Approved by you")

    return found


@pytest.fixture
async def stage(open_stage: Open) -> AsyncIterator[Stage]:
    """A sandbox with a small bot and a small product behind it."""
    opened: list[Stage] = []
    async with served(product(opened)) as app_url:
        opened.append(await open_stage(app_url=app_url))
        opened[0].sandbox.attach(provider_key=PROVIDER, prices=lambda: PRICES)
        bot = dispatcher()
        polling = asyncio.create_task(bot.start_polling(opened[0].bot, handle_signals=False, close_bot_session=False,
                                                        polling_timeout=1))
        yield opened[0]
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)


@pytest.fixture
async def page(stage: Stage) -> AsyncIterator[Page]:
    """The console, which must raise no error and breach no policy."""
    complaints: list[str] = []
    async with chromium() as browser:
        opened = await browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light")
        opened.set_default_timeout(30_000)
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.on("console", lambda message: complaints.append(message.text)
                  if message.type == "error" and "Failed to load resource" not in message.text else None)
        opened.on("request", lambda request: complaints.append(request.url)
                  if not request.url.startswith(("http://127.0.0.1:", "data:")) else None)
        await opened.goto(stage.base)
        yield opened
    assert complaints == []


async def test_a_signal_travels_from_desk_to_decision(page: Page, stage: Stage) -> None:
    messages, buttons = page.get_by_test_id("chat-message"), page.get_by_test_id("chat-button")
    await page.get_by_test_id("chat-start").click()
    await expect(messages).to_have_count(2)
    await expect(messages.last).to_contain_text(HOSTILE)
    await page.get_by_test_id("console-example-0").click()
    await page.get_by_test_id("console-publish").click()
    await expect(messages.last).to_contain_text("New: XAUUSD buy <img>")
    await expect(messages.last.locator("strong")).to_have_text("XAUUSD")
    await expect(buttons).to_have_text(["Reject", "Approve", "Open app▣"])

    await buttons.nth(2).click()
    app = page.frame_locator("[data-testid=phone]")
    await expect(app.locator("#path")).to_have_text("/app?card=1")
    await buttons.nth(1).click()
    await expect(page.locator("#toast")).to_have_text("Approved!")
    await expect(messages.last).to_contain_text("Approved by you")
    await expect(buttons).to_have_count(0)
    assert await page.locator("img[src=x]").count() == 0

    await page.get_by_test_id("console-example-5").click()
    await page.get_by_test_id("console-publish").click()
    await expect(page.get_by_test_id("console-outcome")).to_have_text("Refused: The stop is on the wrong side.")


async def test_the_phone_is_a_telegram_client(page: Page) -> None:
    await page.get_by_test_id("phone-open").click()
    app = page.frame_locator("[data-testid=phone]")
    await expect(app.locator("#who")).to_have_text(str(ADA))
    await expect(app.locator("#theme")).to_have_text("#ffffff")
    await expect(app.locator("#viewport")).to_have_text("390")
    header = page.locator(".app-bar")
    await expect(header).to_have_css("background-color", "rgb(241, 242, 245)")
    await page.locator("#theme").click()
    await expect(header).to_have_css("background-color", "rgb(14, 22, 33)")
    await expect(app.locator("#theme")).to_have_text("#17212b")
    await page.get_by_test_id("phone-main-button").click()
    await expect(page.get_by_test_id("phone-popup")).to_contain_text("<b>x</b>")
    await page.get_by_test_id("phone-popup-button").nth(1).click()
    await expect(app.locator("#last")).to_have_text("popup_closedyes")
    await page.get_by_test_id("phone-close").click()
    await expect(app.locator("#last")).to_have_text("back_button_pressed")
    await page.get_by_test_id("phone-settings").click()
    await expect(app.locator("#last")).to_have_text("settings_button_pressed")


async def test_each_person_has_a_chat_and_a_phone_of_their_own(page: Page, stage: Stage) -> None:
    await page.get_by_test_id("chat-start").click()
    await expect(page.get_by_test_id("chat-message")).to_have_count(2)
    await stage.write(BORIS, "/start")
    await page.get_by_test_id("user-switch").select_option(str(BORIS))
    await expect(page.frame_locator("[data-testid=phone]").locator("#who")).to_have_text(str(BORIS))
    await page.get_by_test_id("chat-input").fill("from Boris")
    await page.get_by_test_id("chat-send").click()
    await expect(page.get_by_test_id("chat-message").filter(has_text="from Boris")).to_have_count(1)
    sent = [m["text"] for m in await stage.get(f"/chats/{ADA}/messages")]
    assert "from Boris" not in sent


@pytest.mark.parametrize("size", [(1360, 900), (1024, 768)])
async def test_everything_is_in_reach_whatever_people_are_called(page: Page, stage: Stage,
                                                                 size: tuple[int, int]) -> None:
    await page.set_viewport_size({"width": size[0], "height": size[1]})
    added = await stage.post("/users", {"first_name": "Wilhelmina-Alexandrina von und zu Hohenlohe-Langenburg"})
    await page.get_by_test_id("user-switch").select_option(str(added["id"]))
    window = await page.locator(".window").bounding_box()
    assert window is not None
    for name in ("user-switch", "user-add", "user-block", "chat-start"):
        box = await page.get_by_test_id(name).bounding_box()
        assert box is not None and box["x"] + box["width"] <= window["x"] + window["width"], name
        assert box["y"] + box["height"] <= size[1], name
    height = (await page.locator(".desk").bounding_box() or {})["height"]
    await page.get_by_test_id("console-example-5").click()
    await page.get_by_test_id("console-publish").click()
    await expect(page.get_by_test_id("console-outcome")).to_contain_text("Refused")
    assert (await page.locator(".desk").bounding_box() or {})["height"] == height


async def test_an_app_of_another_origin_is_not_listened_to(page: Page) -> None:
    await page.get_by_test_id("phone-open").click()
    await expect(page.get_by_test_id("phone-main-button")).to_be_visible()
    forged: dict[str, Any] = {"eventType": "web_app_close", "eventData": {}}
    await page.evaluate("(text) => window.postMessage(text, '*')", json.dumps(forged))
    await expect(page.get_by_test_id("phone")).to_be_visible()
