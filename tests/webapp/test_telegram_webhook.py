"""Updates by webhook: stored and committed before they are acknowledged, whatever else arrives."""

import asyncio
import json
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from config import Settings
from models.message import InboxItem
from tests.webapp.conftest import Door

PATH, SECRET = "/webhook/telegram", "a_webhook_secret_of_the_suite"
HEADER = "X-Telegram-Bot-Api-Secret-Token"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"telegram_mode": "webhook", "telegram_webhook_secret": SecretStr(SECRET)})


def update(number: int, chat: int = 5) -> dict[str, Any]:
    return {"update_id": number, "message": {"message_id": 1, "date": 1, "chat": {"id": chat, "type": "private"},
                                             "text": "/help"}}


async def stored(door: Door) -> list[InboxItem]:
    async with door.desk.database.reading() as session:
        return list(await session.scalars(select(InboxItem).order_by(InboxItem.id)))


async def test_an_update_is_stored_raw_and_once(door: Door) -> None:
    raw = json.dumps(update(10)).encode()
    answers = await asyncio.gather(*(door.call("POST", PATH, raw=raw, headers={HEADER: SECRET}) for _ in range(10)))
    assert {status for status, _, _ in answers} == {200}
    [item] = await stored(door)
    assert (item.external_id, item.lane, item.payload) == ("10", "chat:5", raw)


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET + "x", SECRET[:-1], "é" * 20, SECRET.upper()])
async def test_without_the_secret_nothing_is_taken(door: Door, secret: str | None) -> None:
    headers = {} if secret is None else {HEADER: secret}
    status, problem, _ = await door.call("POST", PATH, body=update(10), headers=headers)
    assert (status, problem["code"]) == (401, "unauthenticated")
    assert await stored(door) == []


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"update_id":"1"}', b'{"update_id":true}', b'{"update_id":-1}',
                                 b'{"update_id":1e400}', b"\xff", b'{"message":{}}', b"[" * 100])
async def test_what_is_no_update_is_400(door: Door, raw: bytes) -> None:
    status, problem, _ = await door.call("POST", PATH, raw=raw or b" ", headers={HEADER: SECRET})
    assert (status, problem["code"]) == (400, "invalid_json")
    assert await stored(door) == []


async def test_too_large_is_413(door: Door) -> None:
    raw = json.dumps(update(1) | {"x": "y" * 300_000}).encode()
    status, problem, _ = await door.call("POST", PATH, raw=raw, headers={HEADER: SECRET})
    assert (status, problem["code"]) == (413, "body_too_large")


async def test_an_update_of_a_kind_not_yet_known_is_kept(door: Door) -> None:
    body = {"update_id": 77, "telepathy": {"from": {"id": 9, "is_bot": False, "first_name": "A"}}}
    assert (await door.call("POST", PATH, body=body, headers={HEADER: SECRET}))[0] == 200
    [item] = await stored(door)
    assert item.lane == "chat:9"


class TestPolling:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"telegram_mode": "polling"})

    async def test_without_webhook_mode_there_is_no_such_door(self, door: Door) -> None:
        assert (await door.call("POST", PATH, body=update(1), headers={HEADER: SECRET}))[0] == 404
