"""Paying with Stars in the console: the sheet over phone and chat, and the billing menu."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiogram import Dispatcher
from aiogram.types import LabeledPrice, Message, PreCheckoutQuery
from aiohttp import web
from playwright.async_api import Page, expect

from sandbox.stripe.standin import StripeSettings, new_secret_key, new_webhook_secret
from tests.pages.stage import served
from tests.sandbox.conftest import ADA, BORIS, UNLIMITED, Open, Stage
from tests.sandbox.test_console import page
from tests.sandbox.test_stars import link

__all__ = ["page"]
APP_JS = """
const send = (eventType, eventData = {}) => parent.postMessage(JSON.stringify({eventType, eventData}), "*");
addEventListener("message", ({data}) => {
  const {eventType, eventData} = JSON.parse(data);
  if (eventType === "invoice_closed") document.getElementById("last").textContent = JSON.stringify(eventData);
});
const find = (name) => document.querySelector(name);
find("button").onclick = () => send("web_app_open_invoice", {slug: find("input").value});
send("web_app_ready");
"""
APP = '<!doctype html><input><button>Buy</button><p id="last"></p><script src="/app.js"></script>'
NUMBER = "1\u202f500"


def product() -> web.Application:
    """A Mini App that opens the invoice it is given."""
    async def shown(request: web.Request) -> web.Response:
        return web.Response(text=APP, content_type="text/html")

    async def script(request: web.Request) -> web.Response:
        return web.Response(text=APP_JS, content_type="text/javascript")

    app = web.Application()
    app.router.add_get("/app", shown)
    app.router.add_get("/app.js", script)
    return app


def dispatcher() -> Dispatcher:
    """A bot that sells to Ada alone."""
    found = Dispatcher()

    @found.pre_checkout_query()
    async def check(query: PreCheckoutQuery) -> None:
        await query.answer(ok=query.from_user.id == ADA, error_message="This order is not yours.")

    @found.message()
    async def offer(message: Message) -> None:
        if message.text == "/buy":
            prices = [LabeledPrice(label="Day", amount=50)]
            await message.answer_invoice("Day pass", "One day of Pro", "day", "XTR", prices)
        elif message.text is not None:
            await message.answer(message.text)

    return found


@pytest.fixture
async def stage(open_stage: Open, tmp_path: Path) -> AsyncIterator[Stage]:
    """A sandbox with a shop behind it, and with Stripe's clock."""
    stripe = StripeSettings(new_secret_key(), tmp_path / "stripe.db", "http://127.0.0.1:9/hook", new_webhook_secret())
    async with served(product()) as app_url:
        opened = await open_stage(app_url=app_url, stripe=stripe, limits=UNLIMITED)
        bot = dispatcher()
        polling = asyncio.create_task(bot.start_polling(opened.bot, handle_signals=False, close_bot_session=False,
                                                        polling_timeout=1))
        yield opened
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)


async def test_the_mini_app_sells_a_subscription(page: Page, stage: Stage) -> None:
    slug = await link(stage)
    await page.get_by_test_id("phone-open").click()
    app = page.frame_locator("[data-testid=phone]")
    pay, sheet, last = page.get_by_test_id("payment-pay"), page.get_by_test_id("payment"), app.locator("#last")
    await app.locator("input").fill(slug)
    await app.locator("button").click()
    await expect(sheet).to_contain_text("Thirty days of Pro")
    await page.get_by_test_id("payment-cancel").click()
    await expect(last).to_have_text(f'{{"slug":"{slug}","status":"cancelled"}}')
    await app.locator("button").click()
    await expect(pay).to_have_text(f"Pay {NUMBER} ★ each month")
    await pay.click()
    await expect(last).to_have_text(f'{{"slug":"{slug}","status":"paid"}}')
    await expect(sheet).to_have_count(0)
    await expect(page.get_by_test_id("chat-message")).to_have_text([f"You subscribed for {NUMBER} ★ each month."])
    assert (await stage.get("/stars"))["balance"] == 1500

    await page.get_by_test_id("user-switch").select_option(str(BORIS))
    await page.get_by_test_id("phone-open").click()
    await app.locator("input").fill(slug)
    await app.locator("button").click()
    await pay.click()
    await expect(sheet).to_contain_text("This order is not yours.")
    await expect(pay).to_have_count(0)
    await page.get_by_test_id("payment-cancel").click()
    await expect(last).to_have_text(f'{{"slug":"{slug}","status":"failed"}}')
    await app.locator("input").fill("none")
    await app.locator("button").click()
    await expect(last).to_have_text('{"slug":"none","status":"failed"}')
    assert (await stage.get("/stars"))["balance"] == 1500


async def test_invoices_and_their_links_are_paid_in_the_chat(page: Page, stage: Stage) -> None:
    messages, sheet = page.get_by_test_id("chat-message"), page.get_by_test_id("payment")
    await stage.write(ADA, f"https://t.me/${await link(stage)}")
    await messages.last.locator("a").click()
    await page.get_by_test_id("payment-pay").click()
    await expect(messages.last).to_have_text(f"You subscribed for {NUMBER} ★ each month.")
    await stage.write(ADA, "/buy")
    button = page.get_by_test_id("chat-button")
    await expect(button).to_have_text("Pay ★50")
    await expect(messages.last).to_contain_text("One day of Pro")
    await button.click()
    await expect(sheet).to_contain_text("Day pass")
    await page.keyboard.press("Escape")
    await expect(sheet).to_have_count(0)
    await button.click()
    await page.get_by_test_id("payment-pay").click()
    await expect(messages.last).to_have_text("You paid 50 ★.")
    await expect(button).to_have_text("Paid")
    await expect(button).to_be_disabled()
    await stage.post(f"/stars/charges/{(await stage.get('/stars'))['transactions'][-1]['charge_id']}/refund")
    await expect(messages.last).to_have_text("You got 50 ★ back.")


async def test_time_can_be_moved_and_subscriptions_steered(page: Page, stage: Stage) -> None:
    await stage.write(ADA, f"https://t.me/${await link(stage)}")
    messages, said = page.get_by_test_id("chat-message"), page.get_by_test_id("billing-said")
    await messages.last.locator("a").click()
    await page.get_by_test_id("payment-pay").click()
    await expect(messages.last).to_contain_text("You subscribed")
    await page.get_by_test_id("billing").locator("summary").click()
    kept = page.get_by_test_id("billing-subscription")
    await expect(kept).to_contain_text(f"{NUMBER} ★ each month, renews")
    await page.get_by_test_id("billing-forward-1").click()
    await expect(said).to_contain_text("0 events from Stripe, 0 payments in Stars.")
    await page.get_by_test_id("billing-forward-30").click()
    await expect(said).to_contain_text("0 events from Stripe, 1 payment in Stars.")
    await expect(page.get_by_test_id("billing").locator(".count")).to_have_text("+31 d")
    await expect(messages.last).to_have_text(f"You paid {NUMBER} ★ for the next month.")
    await page.get_by_test_id("billing-cancel").click()
    await expect(kept).to_contain_text("ends")
    await page.get_by_test_id("billing-resume").click()
    await page.get_by_test_id("billing-fail").click()
    await expect(kept).to_contain_text("not paid")
    await page.get_by_test_id("billing-renew").click()
    await expect(kept).to_contain_text("renews")
    assert [t["amount"] for t in (await stage.get("/stars"))["transactions"]] == [1500] * 3
    await page.locator("#input").click()
    await expect(kept).to_be_hidden()
