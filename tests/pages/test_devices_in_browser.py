"""Devices in the browser: paired by a code that is shown once, examined, moved, sealed and ended."""

import re

import pytest
from playwright.async_api import expect
from sqlalchemy import delete, select

from models.device import Device, PairingCode
from services import devices
from services.desk import Desk
from tests.pages import portfolio_stage
from tests.pages.popups import answer
from tests.pages.stage import DARK, LIGHT, Phone, clock
from tests.pages.test_accounts_in_browser import on_accounts, vip
from tests.pages.test_legibility import assert_legible

__all__ = ["vip"]

HOSTILE = "<img src=x onerror=alert(1)> \u202eevil " + "🚀" * 20
CODE = re.compile(r"^[A-Z2-9]{5}-[A-Z2-9]{5}$")


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
async def test_a_code_is_carried_into_a_terminal_and_its_account_is_linked(phone: Phone, desk: Desk, vip: int,
                                                                         theme: dict[str, str]) -> None:
    page = await on_accounts(phone, theme)
    await expect(page.get_by_test_id("no-devices")).to_contain_text("your password stays with you")
    await page.get_by_test_id("add-device").click()
    await page.get_by_test_id("device-pair").click()
    await expect(page.get_by_test_id("device-error")).to_contain_text("Say a name")
    await page.get_by_test_id("device-form").get_by_label("Name").fill("MT5-home")
    await page.get_by_test_id("device-pair").dblclick()
    shown = page.get_by_test_id("pairing-code")
    await expect(shown).to_have_text(CODE)
    await expect(page.get_by_test_id("pairing-left")).to_have_text(re.compile(r"^(10|9):\d\d$"))
    assert await page.get_by_test_id("pairing-qr").evaluate("each => each.decode().then(() => each.naturalWidth)") > 0
    addresses = page.get_by_test_id("pairing").locator("[data-origin]")
    await expect(addresses).to_have_text([f"{phone.origin}/ea.zip", phone.origin])
    await assert_legible(page)
    code = await shown.inner_text()
    status, made = await portfolio_stage.pair(phone.origin, code)
    assert (status, made["device"]["name"]) == (201, "MT5-home")
    await expect(page.get_by_test_id("device-waiting")).to_be_visible()
    content = await page.content()
    assert code not in content and made["secret"] not in content
    assert (await portfolio_stage.pair(phone.origin, code))[0] == 401
    await portfolio_stage.push(phone.origin, made["device"]["id"], made["secret"])
    await expect(page.get_by_test_id("link-sheet")).to_be_hidden()
    await expect(page.get_by_test_id("account-row").first.get_by_test_id("device-row")).to_contain_text("MT5-home")


async def test_a_code_that_is_over_says_so_and_a_new_one_is_a_tap_away(phone: Phone, desk: Desk, vip: int) -> None:
    page = await on_accounts(phone)
    await page.get_by_test_id("add-device").click()
    await page.get_by_test_id("device-form").get_by_label("Name").fill("VPS")
    await page.get_by_test_id("device-pair").click()
    shown = page.get_by_test_id("pairing-code")
    await expect(shown).to_have_text(CODE)
    first = await shown.inner_text()
    async with desk.database.writing() as session:
        await session.execute(delete(PairingCode))
    await expect(page.get_by_test_id("pairing-error")).to_contain_text("no longer good")
    await page.get_by_test_id("pairing-again").click()
    await expect(shown).not_to_have_text(first)
    await expect(page.get_by_test_id("pairing-again")).to_be_hidden()
    await page.get_by_test_id("pairing").get_by_role("button", name="Close").click()
    await expect(page.get_by_test_id("link-sheet")).to_be_hidden()
    assert not await shown.text_content()
    async with desk.database.reading() as session:
        assert (await session.scalars(select(Device))).all() == []


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
async def test_the_check_up_says_what_is_wrong_and_what_helps(phone: Phone, desk: Desk, vip: int,
                                                            theme: dict[str, str]) -> None:
    await devices.register(desk, vip, HOSTILE[:64], None, clock())
    page = await on_accounts(phone, theme)
    row = page.get_by_test_id("device-row")
    await row.locator("summary").click()
    await row.get_by_test_id("device-doctor").click()
    await expect(page.get_by_test_id("doctor-verdict")).to_contain_text("Something keeps it from trading")
    await expect(page.get_by_test_id("doctor-sheet").locator("h2")).to_contain_text("<img src=x")
    first = page.get_by_test_id("finding").first
    await expect(first).to_contain_text("Fault")
    await expect(first).to_contain_text("What helps:")
    await assert_legible(page)
    assert await page.locator("img[src=x]").count() == 0


async def test_a_device_serves_another_account_and_has_to_encrypt(phone: Phone, desk: Desk, vip: int) -> None:
    await portfolio_stage.another(desk, vip, clock(), route="device", login="70019999", label="Harbour")
    await devices.register(desk, vip, "VPS", None, clock())
    page = await on_accounts(phone)
    row = page.get_by_test_id("device-row").filter(has_text="VPS")
    await row.locator("summary").click()
    await row.get_by_test_id("device-serve").click()
    await page.get_by_test_id("serve-sheet").get_by_text("Harbour", exact=True).click()
    await page.get_by_test_id("serve-save").click()
    await expect(page.get_by_test_id("serve-sheet")).to_be_hidden()
    served = page.get_by_test_id("account-row").filter(has_text="Harbour").get_by_test_id("device-row")
    await expect(served.filter(has_text="VPS")).to_be_visible()
    await served.filter(has_text="VPS").get_by_test_id("device-seal").click()
    assert "Encrypt switched on" in (await answer(page, "yes"))["message"]
    await expect(served.filter(has_text="VPS").get_by_test_id("device-seal")).to_have_text("Allow plain")
    async with desk.database.reading() as session:
        [device] = (await session.scalars(select(Device).where(Device.name == "VPS"))).all()
    assert device.requires_envelope and device.account_id is not None


async def test_a_plan_that_allows_no_more_devices_leads_to_one_that_does(phone: Phone, desk: Desk, ada: int) -> None:
    await devices.register(desk, ada, "VPS", None, clock())
    page = await on_accounts(phone)
    await page.get_by_test_id("add-device").click()
    await page.get_by_test_id("device-form").get_by_label("Name").fill("Second")
    await page.get_by_test_id("device-pair").click()
    await expect(page.get_by_test_id("upgrade-plans")).to_be_visible()
    await expect(page.get_by_test_id("link-sheet")).to_be_hidden()
