"""Everything on a page can be read: contrast of 4.5 : 1 in both themes, nothing wider than a narrow phone."""

from decimal import Decimal
from typing import Any

import pytest
from playwright.async_api import Page, expect

from services.desk import Desk
from tests.pages import stage
from tests.pages.stage import ADA, DARK, LIGHT, Phone, cards, clock
from tests.services import stage as desk_stage

# Texts whose contrast against what lies behind them is too low; 24 px and more, or bold from 18.66 px, may do with 3.
FAINT = """() => {
    const pixel = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const colour = (css) => {
        pixel.clearRect(0, 0, 1, 1);
        pixel.fillStyle = css;
        pixel.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = pixel.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    };
    const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
    const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, share, i) => {
        const v = c[i] / 255;
        return sum + share * (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    }, 0);
    const behind = (element) => {
        const layers = [];
        for (let each = element; each; each = each.parentElement) {
            layers.push(colour(getComputedStyle(each).backgroundColor));
        }
        return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
    };
    const faint = [];
    for (const element of document.querySelectorAll('body *')) {
        const speaks = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        if (!speaks || !element.checkVisibility() || element.closest('.visually-hidden, :disabled')) continue;
        const style = getComputedStyle(element), ground = behind(element);
        const [a, b] = [light(over(colour(style.color), ground)), light(ground)];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const size = parseFloat(style.fontSize);
        if (ratio < (size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5)) {
            faint.push([element.textContent.trim().slice(0, 30), ratio.toFixed(2)]);
        }
    }
    return faint;
}"""


async def assert_legible(page: Page) -> None:
    assert await page.evaluate(FAINT) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
async def test_every_word_can_be_read_on_a_narrow_phone(phone: Phone, desk: Desk, provider: int,
                                                        theme: dict[str, str]) -> None:
    now = clock()
    targets = tuple(Decimal(n) for n in range(68001, 68011))
    asked: list[dict[str, Any]] = [{}, {"stop_loss": None, "take_profits": ()}, {"symbol": "NOPE"},
                                   {"symbol": "BTCUSD", "stop_loss": Decimal(30000), "take_profits": targets}]
    for changes in asked:
        await desk_stage.ask(desk, provider, now, **changes)
    await phone.page.set_viewport_size({"width": 360, "height": 640})
    await phone.page.emulate_media(reduced_motion="reduce")
    page = await phone.open("/app/approvals", stage.init_data(ADA), theme)
    await expect(cards(page)).to_have_count(len(asked))
    await assert_legible(page)
    await page.get_by_test_id("go-positions").click()
    await expect(page.get_by_test_id("equity")).to_be_visible()
    await assert_legible(page)
    await page.get_by_test_id("open-settings").locator("visible=true").click()
    await expect(page.get_by_test_id("plan-tier")).to_be_visible()
    await assert_legible(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_what_is_said_outside_telegram_can_be_read(phone: Phone, scheme: Any) -> None:
    await phone.page.emulate_media(color_scheme=scheme)
    page = await phone.open("/app", "")
    await expect(page.get_by_test_id("outside-telegram")).to_be_visible()
    await assert_legible(page)
