"""A device that seals what it sends, over a socket of its own: every byte of an exchange can be looked at."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from config import Settings
from sandbox.signing import headers as signed_headers
from services.desk import Desk
from tests.webapp.devices_stage import Key, is_signed
from tests.webapp.trading_stage import POLL
from webapp import application
from wire import envelope, signing
from wire.envelope import Direction


@dataclass(frozen=True)
class Question:
    """A request as it goes out. Change anything after it was signed with ``replace``."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    def written(self) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers.items()),
                 "Host: desk", "Connection: close", f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode() + self.body


@dataclass(frozen=True)
class Answer:
    """``told`` is what a device makes of it: opened where it was sealed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    wire: bytes
    told: Any
    is_sealed: bool
    is_signed: bool

    @property
    def code(self) -> str | None:
        return self.told["code"] if isinstance(self.told, dict) and "code" in self.told else None


@dataclass
class SealingDevice:
    """``counter`` is the last one used."""

    base: str
    key: Key
    counter: int = 0

    @property
    def keys(self) -> envelope.Keys:
        return envelope.keys_of(signing.decode_secret(self.key[1]), self.key[0])

    def question(self, method: str, path: str, body: Any = None, *, counter: int | None = None,
                 query: str | None = None, raw: bytes | None = None, content_type: str = envelope.CONTENT_TYPE,
                 ) -> Question:
        """A sealed and signed request; ``raw`` is sent instead of the envelope, signed all the same."""
        if counter is None:
            self.counter += 1
            counter = self.counter
        target = path + (f"?envelope=v1&counter={counter}" if query is None else query)
        text = json.dumps(body).encode() if body is not None else None
        if raw is None:
            raw = b"" if text is None else envelope.seal(self.keys, Direction.C2S, counter, target, text)
        headers = signed_headers(*self.key, method=method, target=target, body=raw, now=int(time.time()))
        return Question(method, target, headers | ({"Content-Type": content_type} if raw else {}), raw)

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        return await self.send(self.question(method, path, body, **more))

    async def poll(self, **more: Any) -> Answer:
        return await self.ask("GET", POLL, **more)

    async def send(self, question: Question) -> Answer:
        """What comes back, read to the end of the connection."""
        place = urlsplit(self.base)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(question.written())
        async with asyncio.timeout(30):
            wire = await reader.read()
        writer.close()
        head, _, body = wire.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        status = int(first.split()[1])
        is_sealed = headers.get("content-type") == envelope.CONTENT_TYPE
        text = self._opened(question, body) if is_sealed else body
        is_genuine = is_signed(self.key, status, question.headers["X-Nonce"], body,
                               {"X-Signature": headers.get("x-signature", "")})
        return Answer(status, headers, body, wire, json.loads(text) if text else None, is_sealed, is_genuine)

    def _opened(self, question: Question, body: bytes) -> bytes:
        counter = int(question.target.rpartition("=")[2])
        return envelope.open(self.keys, Direction.S2C, counter, question.target, body)


def resigned(device: SealingDevice, question: Question, **changes: Any) -> Question:
    """The request changed by somebody who has the secret: signed anew."""
    changed = replace(question, **changes)
    headers = signed_headers(*device.key, method=changed.method, target=changed.target, body=changed.body,
                             now=int(time.time()))
    return replace(changed, headers={**changed.headers, **headers})


@asynccontextmanager
async def opened(desk: Desk, settings: Settings) -> AsyncIterator[str]:
    """The door of a desk besides the test's own: where it is."""

    async def ready() -> bool:
        return True

    runner = await application.opened(application.build(desk, settings, ready))
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
