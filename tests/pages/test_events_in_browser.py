"""What changes at another door shows at once, without a poll."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, Request, expect

from models.approval import Door
from services import approvals
from services.desk import Desk
from tests.pages import stage
from tests.pages.stage import ADA, Phone, cards, clock
from tests.running import until
from tests.services import stage as desk_stage


@pytest.fixture
def overlay(overlay: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """Nobody polls while a test lasts."""
    return {**overlay, "approvals": {"poll_seconds": 60}}


class Telling:
    """The desk tells events, as the running one does, until it is stopped."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.begin()

    def begin(self) -> None:
        self._stopping = asyncio.Event()
        self._task = asyncio.create_task(self._desk.events.listen(self._stopping))

    async def stop(self) -> None:
        self._stopping.set()
        await self._task


@pytest.fixture
async def telling(phone: Phone, desk: Desk) -> AsyncIterator[Telling]:
    """Ends before the phone and the door do: a door waits for streams that are open."""
    made = Telling(desk)
    yield made
    await made.stop()


async def listens(desk: Desk) -> None:
    async def is_open() -> bool:
        return desk.events.is_listened_to

    await until("the page listens", is_open)


async def reject(desk: Desk, user_id: int, signal_id: int) -> None:
    """As the chat does it."""
    number = await desk_stage.approval_of(desk.database, user_id, signal_id)
    async with desk.database.writing() as session:
        await approvals.reject(session, user_id, number, None, Door.CHAT, clock())


def fragments(page: Page) -> list[str]:
    """Addresses of lists that are asked for from now on."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/app/fragments/" in request.url:
            asked.append(request.url)

    page.on("request", note)
    return asked


@pytest.mark.usefixtures("telling")
async def test_what_is_decided_in_the_chat_goes_from_the_page(phone: Phone, desk: Desk, ada: int,
                                                              provider: int) -> None:
    page = await phone.open("/app/approvals", stage.init_data(ADA))
    await expect(page.get_by_test_id("empty-state").first).to_be_visible()
    await listens(desk)
    signal = await desk_stage.ask(desk, provider, clock())
    await expect(cards(page)).to_have_count(1)
    await reject(desk, ada, signal.id)
    await expect(cards(page)).to_have_count(0)
    await page.get_by_test_id("tab-decided").click()
    await expect(page.get_by_test_id("decision-row")).to_have_count(1)


@pytest.mark.usefixtures("telling")
async def test_a_storm_of_events_is_a_refresh_a_second(phone: Phone, desk: Desk, ada: int, provider: int) -> None:
    page = await phone.open("/app/approvals", stage.init_data(ADA))
    await listens(desk)
    asked = fragments(page)
    for _ in range(30):
        await desk_stage.ask(desk, provider, clock())
    await expect(cards(page)).to_have_count(30)
    seconds = await page.evaluate("performance.now() / 1000")
    assert 1 <= len(asked) <= seconds + 2


async def test_what_was_missed_while_the_stream_was_cut_is_made_up_for(phone: Phone, desk: Desk, telling: Telling,
                                                                       ada: int, provider: int) -> None:
    page = await phone.open("/app/approvals", stage.init_data(ADA))
    await expect(page.get_by_test_id("empty-state").first).to_be_visible()
    await listens(desk)
    async with page.expect_request("**/api/v1/events") as again:
        await telling.stop()
        await desk_stage.ask(desk, provider, clock())
        telling.begin()
    assert "last-event-id" in (await again.value).headers
    await expect(cards(page)).to_have_count(1, timeout=20_000)
