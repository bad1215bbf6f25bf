"""Telegram's sending limits: bursts pass, then one a second to a chat and so many overall."""

import asyncio
import time

import pytest
from aiogram.exceptions import TelegramRetryAfter

from sandbox import Limits
from sandbox.telegram.limits import Bucket
from tests.sandbox.conftest import ADA, BORIS, Open, Stage


@pytest.fixture
async def limited(open_stage: Open) -> Stage:
    stage = await open_stage(limits=Limits(messages_per_second=5.0, chat_per_second=0.5, chat_burst=3,
                                           callback_query_seconds=5))
    await stage.write(ADA)
    await stage.write(BORIS)
    return stage


async def test_a_chat_takes_a_short_burst_of_messages_and_edits(limited: Stage) -> None:
    sent = await limited.bot.send_message(ADA, "1")
    await sent.edit_text("2")
    await limited.bot.send_message(ADA, "3")
    with pytest.raises(TelegramRetryAfter) as caught:
        await sent.edit_text("4")
    assert caught.value.retry_after == 2
    assert "Too Many Requests: retry after 2" in caught.value.message
    await limited.bot.send_message(BORIS, "another chat")


async def test_the_whole_bot_has_a_limit(limited: Stage) -> None:
    for user_id in (ADA, ADA, BORIS, BORIS, BORIS):
        await limited.bot.send_message(user_id, "x")
    with pytest.raises(TelegramRetryAfter):
        await limited.bot.send_message(ADA, "x")


async def test_waiting_as_told_is_enough(open_stage: Open) -> None:
    stage = await open_stage(limits=Limits(chat_per_second=4.0, chat_burst=1))
    await stage.write(ADA)
    await stage.bot.send_message(ADA, "1")
    began = time.monotonic()
    while (await stage.call("sendMessage", chat_id=ADA, text="2"))[0] == 429:
        assert time.monotonic() - began < 20
    assert time.monotonic() - began > 0.15


async def test_answers_to_taps_are_free(limited: Stage) -> None:
    sent = [await limited.bot.send_message(ADA, "x") for _ in range(3)][-1]
    for number in range(5):
        assert await _tap_and_answer(limited, sent.message_id, str(number)) == f"answer {number}"


async def _tap_and_answer(stage: Stage, message_id: int, data: str) -> str:
    tap = asyncio.create_task(stage.post(f"/chats/{ADA}/taps", {"message_id": message_id, "callback_data": data}))
    updates = []
    while not updates or updates[-1].callback_query is None or updates[-1].callback_query.data != data:
        updates = await stage.bot.get_updates(timeout=5, offset=updates[-1].update_id + 1 if updates else None)
    await updates[-1].callback_query.answer(f"answer {data}")
    return str((await tap)["answer"])


def test_a_bucket_refills_with_time_and_never_overflows() -> None:
    bucket = Bucket(rate=2.0, size=3, now=0.0)
    for _ in range(3):
        assert bucket.wait(0.0) == 0
        bucket.take()
    assert bucket.wait(0.0) == 0.5
    assert bucket.wait(0.5) == 0
    bucket.wait(1000.0)
    for _ in range(3):
        bucket.take()
    assert bucket.wait(1000.0) == 0.5
