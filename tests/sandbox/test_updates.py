"""Updates on their two ways: long polling and the webhook."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiogram.exceptions import TelegramBadRequest, TelegramConflictError
from aiohttp import web

from sandbox import Limits
from tests.sandbox.conftest import ADA, BORIS, CHIARA, Open, Stage, until


async def test_updates_wait_until_they_are_acknowledged(stage: Stage) -> None:
    for text in ("/start", "one", "two"):
        await stage.write(ADA, text)
    first = await stage.bot.get_updates(limit=2)
    assert [u.message.text for u in first if u.message] == ["/start", "one"]
    assert await stage.bot.get_updates(limit=2) == first
    rest = await stage.bot.get_updates(offset=first[-1].update_id + 1)
    assert [u.message.text for u in rest if u.message] == ["two"]
    assert await stage.bot.get_updates(offset=rest[-1].update_id + 1) == []
    await stage.write(ADA, "three")
    assert (await stage.bot.get_updates())[0].update_id == rest[-1].update_id + 1


async def test_a_negative_offset_counts_from_the_end(stage: Stage) -> None:
    for text in ("one", "two", "three"):
        await stage.write(ADA, text)
    assert [u.message.text for u in await stage.bot.get_updates(offset=-1) if u.message] == ["three"]
    assert len(await stage.bot.get_updates()) == 1


async def test_a_long_poll_answers_as_soon_as_there_is_something(stage: Stage) -> None:
    poll = asyncio.create_task(stage.bot.get_updates(timeout=30))
    await _waiting(stage)
    await stage.write(ADA, "now")
    updates = await asyncio.wait_for(poll, 90)
    assert [u.message.text for u in updates if u.message] == ["now"]
    assert await stage.bot.get_updates(offset=updates[-1].update_id + 1, timeout=1) == []


async def test_two_pollers_are_a_conflict(stage: Stage) -> None:
    first = asyncio.create_task(stage.bot.get_updates(timeout=30))
    await _waiting(stage)
    second = asyncio.create_task(stage.bot.get_updates(timeout=30))
    with pytest.raises(TelegramConflictError, match="terminated by other getUpdates request"):
        await asyncio.wait_for(first, 90)
    await stage.write(ADA, "now")
    assert len(await asyncio.wait_for(second, 90)) == 1


async def test_allowed_updates_are_remembered(stage: Stage) -> None:
    await stage.bot.get_updates(allowed_updates=["callback_query"])
    await stage.bot.get_updates()
    await stage.write(ADA, "unheard")
    assert await stage.bot.get_updates() == []
    await stage.bot.get_updates(allowed_updates=[])
    await stage.write(ADA, "heard")
    assert len(await stage.bot.get_updates()) == 1


async def test_blocking_is_told(stage: Stage) -> None:
    await stage.write(ADA)
    for path in ("block", "block", "unblock"):
        await stage.post(f"/users/{ADA}/{path}")
    changes = [u.my_chat_member for u in await stage.bot.get_updates() if u.my_chat_member]
    assert [c.new_chat_member.status for c in changes] == ["kicked", "member"]


async def test_a_tap_is_answered_once(stage: Stage) -> None:
    await stage.write(ADA)
    sent = await stage.bot.send_message(ADA, "x")
    tap = asyncio.create_task(stage.post(f"/chats/{ADA}/taps", {"message_id": sent.message_id, "callback_data": "d"}))
    query = await _query(stage)
    assert query.message and (query.data, query.message.message_id) == ("d", sent.message_id)
    assert query.from_user.id == ADA and query.chat_instance
    await query.answer("Done", show_alert=True)
    assert await tap == {"answer": "Done", "show_alert": True}
    with pytest.raises(TelegramBadRequest, match="query is too old"):
        await query.answer()


async def test_a_tap_without_an_answer_runs_out(stage: Stage) -> None:
    await stage.write(ADA)
    sent = await stage.bot.send_message(ADA, "x")
    status, answer = await stage.try_post(f"/chats/{ADA}/taps", {"message_id": sent.message_id, "callback_data": "d"})
    assert status == 504 and "did not answer" in answer["error"]
    with pytest.raises(TelegramBadRequest, match="query is too old"):
        await (await _query(stage)).answer("late")


class Receiver:
    """A bot's webhook: notes what comes and answers as it is told."""

    def __init__(self) -> None:
        self.url = ""
        self.taken: list[dict[str, Any]] = []
        self.secrets: set[str | None] = set()
        self.failures = 0
        self.open = asyncio.Event()
        self.open.set()
        self.busy = self.busiest = 0

    async def receive(self, request: web.Request) -> web.Response:
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        await self.open.wait()
        self.busy -= 1
        self.secrets.add(request.headers.get("X-Telegram-Bot-Api-Secret-Token"))
        if self.failures:
            self.failures -= 1
            return web.Response(status=500)
        self.taken.append(await request.json())
        return web.Response()

    def texts(self, user_id: int) -> list[str]:
        return [u["message"]["text"] for u in self.taken if u["message"]["chat"]["id"] == user_id]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_post("/hook", made.receive)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield made
    await runner.cleanup()


async def test_the_webhook_gets_everything_in_order_through_failures(stage: Stage, receiver: Receiver) -> None:
    receiver.failures = 3
    await stage.write(ADA, "before")
    await stage.bot.set_webhook(receiver.url, secret_token="s-3_cret")
    texts = [f"message {number}" for number in range(10)]
    for text in texts:
        await stage.write(ADA, text)
    await until("all delivered", lambda: _true(len(receiver.taken) == 11))
    assert receiver.texts(ADA) == ["before", *texts] and receiver.secrets == {"s-3_cret"}
    info = await until("queue empty", lambda: _info_without_pending(stage))
    assert (info.url, info.last_error_message) == (
        receiver.url, "Wrong response from the webhook: 500 Internal Server Error")


async def test_chats_travel_side_by_side_within_max_connections(stage: Stage, receiver: Receiver) -> None:
    receiver.open.clear()
    await stage.bot.set_webhook(receiver.url, max_connections=2)
    for user_id in (ADA, BORIS, CHIARA):
        for text in ("one", "two"):
            await stage.write(user_id, text)
    await until("two at once", lambda: _true(receiver.busy == 2))
    receiver.open.set()
    await until("all delivered", lambda: _true(len(receiver.taken) == 6))
    assert receiver.busiest == 2
    assert all(receiver.texts(user_id) == ["one", "two"] for user_id in (ADA, BORIS, CHIARA))


async def test_webhook_and_polling_exclude_each_other(stage: Stage, receiver: Receiver) -> None:
    poll = asyncio.create_task(stage.bot.get_updates(timeout=30))
    await _waiting(stage)
    await stage.bot.set_webhook(receiver.url)
    with pytest.raises(TelegramConflictError, match="terminated by setWebhook request"):
        await asyncio.wait_for(poll, 90)
    with pytest.raises(TelegramConflictError, match="can't use getUpdates method while webhook is active"):
        await stage.bot.get_updates()
    await stage.bot.delete_webhook()
    assert (await stage.bot.get_webhook_info()).url == ""
    await stage.write(ADA, "polled")
    assert len(await stage.bot.get_updates()) == 1 and receiver.taken == []


async def test_pending_updates_can_be_dropped(stage: Stage) -> None:
    await stage.write(ADA)
    assert (await stage.bot.get_webhook_info()).pending_update_count == 1
    await stage.bot.delete_webhook(drop_pending_updates=True)
    assert await stage.bot.get_updates() == []


@pytest.mark.parametrize(("url", "secret"), [
    ("http://a.example/hook", ""), ("ftp://127.0.0.1/", ""), ("http://127.0.0.1/", "no spaces")])
async def test_bad_webhooks_are_refused(stage: Stage, url: str, secret: str) -> None:
    with pytest.raises(TelegramBadRequest):
        await stage.bot.set_webhook(url, secret_token=secret)


async def test_stopping_does_not_wait_for_pollers(open_stage: Open) -> None:
    stage = await open_stage(limits=Limits())
    poll = asyncio.create_task(stage.bot.get_updates(timeout=30))
    await _waiting(stage)
    await asyncio.wait_for(stage.sandbox.stop(), 90)
    assert await asyncio.wait_for(poll, 90) == []


async def _waiting(stage: Stage) -> None:
    """Until a long poll is under way."""
    async def waits() -> bool:
        telegram = stage.sandbox._telegram
        return telegram is not None and telegram.updates._poll is not None and not telegram.updates._poll.done()

    await until("a poll waits", waits)


async def _query(stage: Stage) -> Any:
    updates = await until("the tap arrives", lambda: _updates_with_tap(stage))
    return updates[-1].callback_query


async def _updates_with_tap(stage: Stage) -> Any:
    updates = await stage.bot.get_updates()
    return updates if updates and updates[-1].callback_query else None


async def _info_without_pending(stage: Stage) -> Any:
    info = await stage.bot.get_webhook_info()
    return info if info.pending_update_count == 0 else None


async def _true(value: bool) -> bool:
    return value
