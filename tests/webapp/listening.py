"""A client of the stream of events, reading it as browsers do."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from services.desk import Desk
from tests.running import until
from tests.webapp.conftest import Door

EVENTS = "/api/v1/events"
Heard = tuple[str, dict[str, Any]]


@dataclass
class Ear:
    """One open stream; ``id`` is the last id it was told, also without an event."""

    answer: aiohttp.ClientResponse
    id: str = ""
    retry: int = 0
    comments: int = 0
    ids: list[str] = field(default_factory=list)

    async def next(self, seconds: float = 10) -> Heard | None:
        """The next event; None when the stream has ended."""
        event, data = "", ""
        async with asyncio.timeout(seconds):
            async for raw in self.answer.content:
                line = raw.decode().rstrip("\n")
                name, _, value = line.partition(": ")
                if name == "id":
                    self.id = value
                    self.ids.append(value)
                elif name == "retry":
                    self.retry = int(value)
                elif name == "event":
                    event = value
                elif name == "data":
                    data = value
                elif line == ":":
                    self.comments += 1
                elif not line and event:
                    return event, json.loads(data)
        return None

    async def hear(self, number: int) -> list[Heard]:
        """So many events."""
        found = [await self.next() for _ in range(number)]
        assert None not in found, found
        return [one for one in found if one is not None]

    async def begun(self) -> None:
        """Read up to where the stream says from where on it tells."""
        async with asyncio.timeout(10):
            while not self.id:
                name, _, value = (await self.answer.content.readline()).decode().rstrip("\n").partition(": ")
                if name == "retry":
                    self.retry = int(value)
                if name == "id":
                    self.id = value


@asynccontextmanager
async def listening(door: Door, token: str, last_id: str | None = None, base: str | None = None) -> AsyncIterator[Ear]:
    """An open stream; without ``last_id`` from now on."""
    headers = {"Authorization": f"Bearer {token}"} | ({"Last-Event-ID": last_id} if last_id is not None else {})
    async with door.client.get(f"{base or door.base}{EVENTS}", headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        ear = Ear(answer)
        if last_id is None:
            await ear.begun()
        yield ear


def hearing(desk: Desk) -> None:
    """Let the desk hear Redis, as the running one does."""
    desk.supervisor.start("events", lambda: desk.events.listen(desk.supervisor.stopping))


async def is_open(door: Door, token: str, base: str | None = None) -> None:
    """Wait until streams can be opened."""

    async def opens() -> bool:
        headers = {"Authorization": f"Bearer {token}"}
        async with door.client.get(f"{base or door.base}{EVENTS}", headers=headers) as answer:
            return answer.status == 200

    await until("events are told", opens)
