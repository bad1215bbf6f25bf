"""Updates: taken in durably, handled once, in order, and given up in the end."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiogram import Dispatcher, Router
from sqlalchemy import func, select

from bot import dispatcher
from bot.intake import Intake
from bot.keyboards import Links
from bot.worker import Worker
from models.message import InboxItem, OutboxItem
from services import inbox, recovery, updates
from tests.bot.conftest import APP, Chat
from tests.running import until


def message(number: int, chat: int, text: str) -> dict[str, Any]:
    who = {"id": chat, "is_bot": False, "first_name": "Ada"}
    return {"update_id": number, "message": {"message_id": number, "date": 1, "from": who, "text": text,
                                             "chat": {"id": chat, "type": "private", "first_name": "Ada"}}}


async def store(chat: Chat, *found: dict[str, Any]) -> None:
    async with chat.desk.database.writing() as session:
        await inbox.store(session, updates.SOURCE, [updates.parse(json.dumps(u).encode()) for u in found],
                          datetime.now(UTC))
    chat.desk.wakes.inbox.set()


async def outcomes(chat: Chat) -> dict[str, str]:
    async with chat.desk.database.reading() as session:
        return {item.external_id: item.state for item in await session.scalars(select(InboxItem))}


async def test_an_update_is_committed_before_it_is_acknowledged(chat: Chat) -> None:
    """Killed between the two, it is offered again and stored once."""
    user = await chat.console.user("Ada")
    await chat.console.write(user, "/help")
    first = Intake(chat.desk, chat.token, chat.api_base)
    polling = asyncio.create_task(first.run())

    async def stored() -> int:
        return len(await outcomes(chat))

    await until("it is stored", stored)
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    again = asyncio.create_task(Intake(chat.desk, chat.token, chat.api_base).run())
    await chat.console.write(user, "/terms")

    async def both() -> bool:
        return len(await outcomes(chat)) == 2

    await until("both are stored, each once", both)
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)


async def test_replies_are_said_once_however_often_the_update_is_handled(chat: Chat) -> None:
    user = await chat.console.user("Ada")
    worker = Worker(chat.desk, chat.bot, dispatcher.build(chat.desk, Links(APP)), chat.settings.facts.inbox)
    chat.desk.supervisor.start("inbox", worker.run)
    await store(chat, message(5, user, "/help"))

    async def handled() -> bool:
        return (await outcomes(chat)).get("5") == "done"

    await until("it is handled", handled)
    async with chat.desk.database.writing() as session:
        item = (await session.scalars(select(InboxItem))).one()
        item.state = "pending"
    chat.desk.wakes.inbox.set()
    await until("it is handled again", handled)
    async with chat.desk.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(OutboxItem)) == 1


async def test_a_chat_is_handled_in_order_and_others_meanwhile(chat: Chat) -> None:
    seen: list[tuple[int, str]] = []
    gate = asyncio.Event()

    async def remember(event: Any) -> None:
        if event.text == "slow":
            await gate.wait()
        seen.append((event.chat.id, event.text))

    _worker_with(chat, remember)
    await store(chat, message(1, 10, "slow"), message(2, 10, "b"), message(3, 20, "x"), message(4, 10, "c"))

    async def other_chat() -> bool:
        return (20, "x") in seen

    await until("another chat does not wait", other_chat)
    assert [s for s in seen if s[0] == 10] == []
    gate.set()

    async def everything() -> bool:
        return len(seen) == 4

    await until("all are handled", everything)
    assert [text for who, text in seen if who == 10] == ["slow", "b", "c"]


async def test_a_failing_update_is_given_up_after_five_tries_and_holds_nobody_up_for_good(chat: Chat) -> None:
    tries: list[str] = []

    async def fail(event: Any) -> None:
        tries.append(event.text)
        if event.text == "poison":
            raise RuntimeError("a fault of ours")

    await store(chat, message(1, 10, "poison"), message(2, 10, "after"))
    async with chat.desk.database.writing() as session:
        item = (await session.scalars(select(InboxItem).where(InboxItem.external_id == "1"))).one()
        item.attempts = 3
    _worker_with(chat, fail)

    async def is_over() -> bool:
        return await outcomes(chat) == {"1": "dead", "2": "done"}

    await until("it is dead and the next one done", is_over)
    assert tries == ["poison", "poison", "after"]


async def test_what_cannot_be_read_is_dead_at_once(chat: Chat) -> None:
    _worker_with(chat, None)
    await store(chat, {"update_id": 1, "message": {"chat": {"id": 3}, "date": "yesterday"}})

    async def is_dead() -> bool:
        return await outcomes(chat) == {"1": "dead"}

    await until("it is dead", is_dead)


async def test_a_crash_between_claim_and_end_is_handled_by_the_next_process(chat: Chat) -> None:
    seen: list[str] = []

    async def remember(event: Any) -> None:
        seen.append(event.text)

    await store(chat, message(1, 10, "claimed by the dead"))
    now = datetime.now(UTC)
    async with chat.desk.database.writing() as session:
        assert len(await inbox.claim(session, updates.SOURCE, "dead process", now, timedelta(hours=1), 5)) == 1
    async with chat.desk.database.writing() as session:
        await recovery.release_leases(session, now)
    _worker_with(chat, remember)

    async def done() -> bool:
        return await outcomes(chat) == {"1": "done"}

    await until("it is handled", done)
    assert seen == ["claimed by the dead"]


def _worker_with(chat: Chat, handler: Any) -> None:
    """A worker whose only handler is this one."""
    made, router = Dispatcher(disable_fsm=True), Router()
    if handler is not None:
        router.message.register(handler)
    made.include_router(router)
    chat.desk.supervisor.start("inbox", Worker(chat.desk, chat.bot, made, chat.settings.facts.inbox).run)


@pytest.mark.parametrize("fault", ["502", "drop"])
async def test_polling_outlives_telegrams_troubles(chat: Chat, fault: str) -> None:
    chat.open()
    await chat.console.post("/faults", {"target": "telegram", "fault": fault, "times": 4})
    user = await chat.person()
    assert "How it works" in await chat.reply(user, "/help")
