"""What the notifier owes Telegram: pace, patience, and nothing lost."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, select

from models.approval import Door
from models.message import OutboxItem, OutboxState
from models.user import User
from sandbox.telegram.limits import Limits
from services import approvals, users
from tests.bot.conftest import Chat
from tests.running import buttons, until

PEOPLE = 8


async def settled(chat: Chat) -> None:
    async def nothing_is_owed() -> bool:
        async with chat.desk.database.reading() as session:
            return not await session.scalar(select(func.count()).select_from(OutboxItem).where(
                OutboxItem.state == OutboxState.PENDING))

    await until("nothing is owed any more", nothing_is_owed)


async def states(chat: Chat) -> dict[str, int]:
    async with chat.desk.database.reading() as session:
        rows = await session.execute(select(OutboxItem.state, func.count()).group_by(OutboxItem.state))
        return {row[0]: row[1] for row in rows}


async def cards_of(chat: Chat, people: list[int]) -> list[int]:
    return [len(await chat.console.cards(person)) for person in people]


@pytest.mark.parametrize("fault", ["429", "502"])
async def test_troubles_at_telegram_lose_nothing(chat: Chat, fault: str) -> None:
    chat.open()
    people = [await chat.person(f"P{number}") for number in range(PEOPLE)]
    await settled(chat)
    await chat.console.post("/faults", {"target": "telegram", "fault": fault, "times": 6})
    await chat.publish()
    await until("the first card is out", lambda: chat.console.open_card(people[0]))
    await settled(chat)
    assert await cards_of(chat, people) == [1] * PEOPLE
    assert set(await states(chat)) == {"sent"}


async def test_a_blocked_user_is_marked_and_the_others_hear(chat: Chat) -> None:
    chat.open()
    people = [await chat.person(f"P{number}") for number in range(3)]
    await settled(chat)
    await chat.console.post("/faults", {"target": "telegram", "fault": "403", "times": 1})
    await chat.publish()
    await settled_with_cards(chat, 2, people)
    async with chat.desk.database.reading() as session:
        blocked = (await session.scalars(select(User.telegram_id).where(User.blocked_at.is_not(None)))).all()
    assert len(blocked) == 1
    assert (await states(chat))["skipped"] == 1


async def settled_with_cards(chat: Chat, number: int, people: list[int]) -> None:
    async def enough() -> bool:
        return sum(await cards_of(chat, people)) == number

    await until(f"{number} cards", enough)
    await settled(chat)


class TestPace:
    @pytest.fixture
    def overlay(self) -> dict[str, Any]:
        return {"tiers": {"free": {"card_delay_seconds": 0}},
                "notifier": {"rate_per_second": 28.0, "max_rate_per_second": 30.0, "chat_interval_seconds": 1.0}}

    @pytest.fixture
    def limits(self) -> Limits:
        return Limits()

    async def test_many_messages_to_one_chat_keep_telegrams_pace(self, chat: Chat) -> None:
        chat.open()
        user = await chat.person()
        began = time.monotonic()
        for _ in range(5):
            await chat.console.write(user, "/help")

        async def all_said() -> bool:
            return len(await chat.said(user)) == 6

        await until("five replies", all_said)
        assert time.monotonic() - began > 2.5, "two at once, then one a second"
        assert b"TelegramRetryAfter" not in chat.desk.metrics.render()[0], "Telegram never had to slow us down"

    async def test_an_answer_overtakes_a_broadcast(self, chat: Chat) -> None:
        chat.open()
        people = [await chat.person(f"P{number}") for number in range(40)]
        await settled(chat)
        await chat.publish()
        await until("the broadcast has begun", lambda: chat.console.open_card(people[0]))
        await chat.reply(people[0], "/help")
        assert sum(await cards_of(chat, people)) < len(people), "the broadcast is still under way"
        await settled(chat)
        assert await cards_of(chat, people) == [1] * len(people)


async def test_a_stopping_desk_finishes_what_it_began_and_keeps_the_rest(chat: Chat) -> None:
    chat.open()
    people = [await chat.person(f"P{number}") for number in range(PEOPLE)]
    await settled(chat)
    await chat.publish()
    await asyncio.sleep(0)
    await chat.desk.supervisor.stop(8.0)
    sent, found = await cards_of(chat, people), await states(chat)
    async with chat.desk.database.reading() as session:
        leased = await session.scalar(select(func.count()).select_from(OutboxItem).where(
            OutboxItem.lease_until.is_not(None)))
    assert leased == 0
    assert sum(sent) == found.get("sent", 0) - PEOPLE, "what is recorded as sent is what Telegram has"


async def test_the_card_shows_the_decision_when_it_was_made_before_the_card_came(chat: Chat) -> None:
    """The app was faster than the chat: the card arrives decided, without buttons."""
    chat.open()
    person = await chat.person()
    await settled(chat)
    await chat.console.post("/faults", {"target": "telegram", "fault": "502", "times": 2})
    view = await chat.publish()

    async def waiting() -> Any:
        async with chat.desk.database.reading() as session:
            user = await users.by_telegram_id(session, person)
            assert user is not None
            return await approvals.pending(session, user.id, datetime.now(UTC))

    [approval] = await until("the approval is there", waiting)
    async with chat.desk.database.writing() as session:
        await approvals.approve(session, chat.desk.approval_rules, approval.user_id, approval.id, view.terms_hash,
                                Door.APP, datetime.now(UTC))
    chat.desk.wakes.orders.set()
    card = await chat.shows(person, "filled")
    assert not buttons(card)
    await settled(chat)
    assert len(await chat.console.cards(person)) == 1
