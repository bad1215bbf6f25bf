"""A sandbox on a free port, and aiogram's own client in front of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer

from sandbox import Limits, Sandbox, new_token
from sandbox.stripe.standin import StripeSettings

ADA, BORIS, CHIARA = 5000000001, 5000000002, 5000000003
UNLIMITED = Limits(messages_per_second=None, chat_per_second=None, callback_query_seconds=0.3,
                   webhook_retry_seconds=0.02)


@dataclass(slots=True)
class Stage:
    """One running sandbox with two hands on it: the bot's and the console's."""

    sandbox: Sandbox
    base: str
    token: str
    bot: Bot
    http: aiohttp.ClientSession

    async def get(self, path: str) -> Any:
        async with self.http.get(f"{self.base}/control{path}") as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def post(self, path: str, body: Any = None) -> Any:
        status, answer = await self.try_post(path, body)
        assert status == 200, answer
        return answer

    async def try_post(self, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.http.post(f"{self.base}/control{path}", json=body) as answer:
            return answer.status, await answer.json()

    async def write(self, user_id: int, text: str = "/start") -> int:
        """The person writes; the update stays queued."""
        return int((await self.post(f"/chats/{user_id}/messages", {"text": text}))["message_id"])

    async def call(self, method: str, **params: Any) -> tuple[int, Any]:
        """A bare Bot API call with a JSON body."""
        async with self.http.post(f"{self.base}/bot{self.token}/{method}", json=params) as answer:
            return answer.status, await answer.json()


def bot_at(base: str, token: str) -> Bot:
    return Bot(token, session=AiohttpSession(api=TelegramAPIServer.from_base(base)))


async def until(what: str, met: Callable[[], Awaitable[Any]], seconds: float = 20.0) -> Any:
    """Poll until ``met`` returns something true; fails by name after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (found := await met()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.01)
    return found


Open = Callable[..., Awaitable[Stage]]


@pytest.fixture
async def open_stage(tmp_path: Path) -> AsyncIterator[Open]:
    """Open sandboxes, each closed at the end of the test."""
    opened: list[Stage] = []

    async def open_one(*, limits: Limits = UNLIMITED, token: str | None = None, path: Path | None = None,
                       app_url: str = "http://127.0.0.1:9", stripe: StripeSettings | None = None) -> Stage:
        token = token or new_token()
        sandbox = Sandbox(token, path or tmp_path / "telegram.db", app_url, limits=limits, stripe=stripe)
        base = await sandbox.start("127.0.0.1", 0)
        stage = Stage(sandbox, base, token, bot_at(base, token), aiohttp.ClientSession())
        opened.append(stage)
        return stage

    yield open_one
    for stage in opened:
        await stage.bot.session.close()
        await stage.http.close()
        await stage.sandbox.stop()


@pytest.fixture
async def stage(open_stage: Open) -> Stage:
    """A sandbox without rate limits."""
    return await open_stage()
