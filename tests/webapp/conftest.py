"""The HTTP door on a real socket, over both databases."""

import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from config import Settings
from sandbox import init_data
from sandbox.signing import headers as signed_headers
from services import entry, fan_out, providers
from services.desk import Desk
from services.fan_out import Pace
from services.users import Person
from tests.conftest import BOT_TOKEN
from tests.running import GOLD
from webapp import application


@pytest.fixture
def overlay() -> dict[str, Any]:
    return {"tiers": {"free": {"card_delay_seconds": 0}},
            "limits": {"auth": 100_000, "reads": 100_000, "decisions": 100_000, "signed": 100_000,
                       "unknown": 100_000}}


@dataclass
class Door:
    """A client of the door, with people and providers at hand."""

    desk: Desk
    settings: Settings
    base: str
    client: aiohttp.ClientSession
    runner: web.AppRunner
    is_ready: bool = True

    async def call(self, method: str, path: str, *, token: str | None = None, body: Any = None,
                   raw: bytes | None = None, headers: Mapping[str, str] | None = None,
                   ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, body (parsed when it is JSON) and headers of the answer."""
        given = dict(headers or {})
        if token:
            given["Authorization"] = f"Bearer {token}"
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        if data is not None:
            given.setdefault("Content-Type", "application/json")
        async with self.client.request(method, f"{self.base}{path}", data=data, headers=given) as answer:
            text = await answer.read()
            return answer.status, json.loads(text) if "json" in answer.content_type and text else text, answer.headers

    async def person(self, telegram_id: int = 7001, first_name: str = "Ada") -> tuple[int, str]:
        """A user of the desk: our id and an access token."""
        user_id = await entry.enter(self.desk, Person(telegram_id, first_name), datetime.now(UTC))
        return user_id, self.token(user_id)

    def token(self, user_id: int) -> str:
        """An access token; it is good for a quarter of an hour."""
        return self.desk.tokens.issue(user_id, datetime.now(UTC))

    async def provider(self, name: str = "Desk Alpha") -> tuple[str, str]:
        async with self.desk.database.writing() as session:
            made = await providers.add(session, self.desk.vault, name, datetime.now(UTC))
        return made.key_id, made.secret

    async def signed(self, method: str, path: str, key: tuple[str, str], body: Any = None,
                     **change: str) -> tuple[int, Any, Mapping[str, str]]:
        """A provider's request; ``change`` overrides headers after signing."""
        raw = json.dumps(body).encode() if body is not None else b""
        headers = signed_headers(*key, method=method, target=path, body=raw, now=int(time.time()))
        headers |= {name.replace("_", "-"): value for name, value in change.items()}
        return await self.call(method, path, raw=raw or None, headers=headers)

    async def publish(self, key: tuple[str, str], **changes: Any) -> dict[str, Any]:
        """A signal of gold, reached by every follower."""
        body = {"external_id": secrets.token_hex(8), **GOLD, **changes}
        status, signal, _ = await self.signed("POST", "/api/v1/signals", key, body)
        assert status == 201, signal
        await self.fan_out()
        return dict(signal)

    async def fan_out(self) -> None:
        """Carry every change to its followers."""
        pace = Pace(500)
        while True:
            async with self.desk.database.reading() as session:
                undone = await fan_out.undone(session)
            if not undone:
                return
            for task in undone:
                await fan_out.advance(self.desk.database, task, self.desk.catalogue, pace, datetime.now(UTC))

    async def waiting(self, token: str) -> dict[str, Any]:
        """The one approval that waits."""
        _, found, _ = await self.call("GET", "/api/v1/approvals/pending", token=token)
        [approval] = found["items"]
        return dict(approval)

    def launch(self, telegram_id: int = 7001, **fields: Any) -> str:
        """Launch data as Telegram signs it."""
        return launch_data(telegram_id, **fields)


def launch_data(telegram_id: int, auth_date: int | None = None) -> str:
    user = {"id": telegram_id, "first_name": "Ada", "language_code": "en"}
    return init_data.sign(user, bot_token=BOT_TOKEN, chat_instance="-4242",
                          auth_date=auth_date if auth_date is not None else int(time.time()))


@pytest.fixture
async def door(desk: Desk, settings: Settings) -> AsyncIterator[Door]:
    made: list[Door] = []

    async def ready() -> bool:
        return made[0].is_ready

    runner = await application.opened(application.build(desk, settings, ready))
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as client:
        made.append(Door(desk, settings, base, client, runner))
        yield made[0]
    await runner.cleanup()
