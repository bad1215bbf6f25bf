"""Between us and Telegram there are proxies, replicas and revisions: each message is still said once, in one place."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from sqlalchemy import func, select

from bot import session
from bot.keyboards import Links
from bot.notifier import Notifier
from models.message import OutboxItem, OutboxState
from models.signal import SignalStatus
from services import signals
from tests.bot.conftest import APP, Chat
from tests.bot.test_delivery import settled, states
from tests.running import buttons, until
from tests.services import stage


@dataclass
class Proxy:
    """Stands between the bot and Telegram; the next answers to ``method`` are its own."""

    target: str
    troubles: list[tuple[int, str]] = field(default_factory=list)
    base: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        if self.troubles and request.path.lower().endswith(("sendmessage", "answercallbackquery")):
            status, body = self.troubles.pop(0)
            return web.Response(status=status, text=body, content_type="text/html")
        async with aiohttp.ClientSession() as client, client.post(
                self.target + request.path, data=await request.read(),
                headers={"Content-Type": request.headers.get("Content-Type", "")}) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")


@pytest.fixture
async def proxy(chat: Chat) -> AsyncIterator[Proxy]:
    """The bot's way to Telegram leads through it."""
    made, app = Proxy(chat.api_base), web.Application()
    app.router.add_route("*", "/{tail:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.base = "http://{}:{}".format(*runner.addresses[0])
    direct = chat.bot
    chat.bot = session.connect(chat.token, made.base, chat.desk.metrics)
    yield made
    await chat.desk.supervisor.stop(8.0)
    await chat.bot.session.close()
    await runner.cleanup()
    chat.bot = direct


BAD_GATEWAY = 502, "<html><h1>502 Bad Gateway</h1></html>"
NO_SUCH_BOT = 404, '{"ok": false, "error_code": 404, "description": "Not Found"}'


@pytest.mark.parametrize("trouble", [BAD_GATEWAY, NO_SUCH_BOT, (200, "")])
async def test_an_answer_that_is_not_telegrams_loses_no_card_and_is_soon_forgotten(
        chat: Chat, proxy: Proxy, trouble: tuple[int, str]) -> None:
    chat.open()
    user = await chat.person()
    await settled(chat)
    proxy.troubles += [trouble] * 2
    began = time.monotonic()
    await chat.publish()
    await chat.card(user)
    await settled(chat)
    assert proxy.troubles == [] and time.monotonic() - began < 60
    assert set(await states(chat)) == {"sent"} and len(await chat.console.cards(user)) == 1


async def test_a_tap_counts_once_though_its_answer_met_a_proxys_page(chat: Chat, proxy: Proxy) -> None:
    chat.open()
    user = await chat.person()
    await chat.publish()
    card = await chat.card(user)
    proxy.troubles.append(BAD_GATEWAY)
    tapping = asyncio.create_task(chat.tap(user, card, "Reject"))
    await chat.shows(user, "Rejected by you")
    tapping.cancel()
    assert b'telegram_updates_total{outcome="retried"}' not in chat.desk.metrics.render()[0]


async def test_a_signal_revised_and_cancelled_at_once_takes_its_card_back_in_place(chat: Chat) -> None:
    chat.open()
    user = await chat.person()
    view = await chat.publish()
    card = await chat.card(user)
    await settled(chat)
    moment = datetime.now(UTC)
    async with chat.desk.database.writing() as opened:
        await signals.revise(opened, chat.provider_id, view.id, {"stop_loss": Decimal("2310.00")}, moment)
        await signals.end(opened, chat.provider_id, view.id, SignalStatus.CANCELLED, moment)
    chat.desk.wakes.fan_out.set()
    left = await chat.shows(user, "Withdrawn")
    await settled(chat)
    assert left["message_id"] == card["message_id"] and not buttons(left)
    assert len(await chat.console.cards(user)) == 1


async def test_a_card_revised_and_then_cancelled_before_its_turn_is_no_new_message(chat: Chat) -> None:
    """The new card is owed already when the signal ends."""
    chat.open()
    user = await chat.person()
    view = await chat.publish()
    card = await chat.card(user)
    await settled(chat)
    await chat.desk.supervisor.stop(8.0)
    moment = datetime.now(UTC)
    async with chat.desk.database.writing() as opened:
        await signals.revise(opened, chat.provider_id, view.id, {"stop_loss": Decimal("2310.00")}, moment)
    await stage.spread(chat.desk, moment)
    async with chat.desk.database.writing() as opened:
        await signals.end(opened, chat.provider_id, view.id, SignalStatus.CANCELLED, moment)
    await stage.spread(chat.desk, moment)
    await drained(chat, notifier(chat, "later"))
    messages = await chat.console.cards(user)
    assert [m["message_id"] for m in messages] == [card["message_id"]]
    assert "Withdrawn" in messages[0]["text"] and not buttons(messages[0])


def notifier(chat: Chat, replica: str, **rules: Any) -> Notifier:
    return Notifier(replace(chat.desk, replica=replica), chat.bot, Links(APP),
                    chat.settings.facts.notifier.model_copy(update=rules))


async def drained(chat: Chat, *workers: Notifier) -> None:
    """Let them work until nothing is owed."""
    chat.desk.supervisor.stopping.clear()
    running = [asyncio.create_task(worker.run()) for worker in workers]
    await settled(chat)
    chat.desk.supervisor.stopping.set()
    await asyncio.gather(*running)


async def test_a_slow_replica_whose_lease_is_over_leaves_the_card_to_the_other(chat: Chat) -> None:
    """Its turn came so late that another has taken the row over: it must not say it too."""
    chat.open()
    people = [await chat.person(f"P{number}") for number in range(4)]
    await settled(chat)
    await chat.desk.supervisor.stop(8.0)
    view = await chat.publish()
    await stage.spread(chat.desk, datetime.now(UTC))
    slow, quick = notifier(chat, "slow", lease_seconds=1), notifier(chat, "quick")
    slow._pace._next_at = time.monotonic() + 3.0
    chat.desk.supervisor.stopping.clear()
    first = asyncio.create_task(slow.run())

    async def held() -> bool:
        async with chat.desk.database.reading() as opened:
            return await opened.scalar(select(func.count()).select_from(OutboxItem).where(
                OutboxItem.lease_owner == "slow", OutboxItem.state == OutboxState.PENDING)) == len(people)

    await until("the slow one has all of them in hand", held)
    second = asyncio.create_task(quick.run())
    await asyncio.sleep(4.0)
    await settled(chat)
    chat.desk.supervisor.stopping.set()
    await asyncio.gather(first, second)
    assert [len(await chat.console.cards(person)) for person in people] == [1] * len(people), view.id
