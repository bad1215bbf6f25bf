"""The Plan page in a browser, and the money doors as a test lets them answer."""

import json
from typing import Any

import pytest
from playwright.async_api import Page, Request, Route, expect

from tests.pages import stage
from tests.pages.popups import LISTEN, told
from tests.pages.stage import ADA, Phone
from tests.running import until

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
