"""A desk of a few lines on a real socket, which says what a test wants it to say."""

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sdk.clock import DeskClock
from sdk.http import SignedLine
from sdk.keys import Key
from sdk.sealing import Sealing
from sdk.transport import Transport
from wire import envelope, signing
from wire.envelope import CONTENT_TYPE, Direction

KEY = Key("dv_test", bytes(range(32)))
OTHER = Key("dv_test", bytes(range(1, 33)))


@dataclass
class Asked:
    """A request as it came; ``said`` is what its body means."""

    method: str
    target: str
    headers: Any
    body: bytes
    said: bytes


Answer = Callable[["SmallDesk", Asked], web.StreamResponse]


class SmallDesk:
    """Checks every request as the desk does. ``turns`` are the next answers; after them ``usual`` for ever."""

    def __init__(self) -> None:
        self.ahead = 0
        """Its clock, in seconds ahead of this machine's."""
        self.key, self.requires_envelope, self.last_counter = KEY, False, 0
        self.asked: list[Asked] = []
        self.times_asked = 0
        self.turns: list[Answer] = []
        self.usual: Answer = signed({"fine": True})
        self.clock, self.transport = DeskClock(), Transport("http://127.0.0.1:1")

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/api/v1/ea/time", self._time)
        app.router.add_route("*", "/{rest:.*}", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self.transport = Transport(self.url)
        return runner

    def line(self, sealing: Sealing | None = None) -> SignedLine:
        return SignedLine(self.transport, KEY, self.clock, sealing)

    def now(self) -> int:
        return int(time.time()) + self.ahead

    async def _time(self, request: web.Request) -> web.Response:
        self.times_asked += 1
        return web.json_response({"server_time": self.now()})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        asked = Asked(request.method, request.raw_path, request.headers, body, body)
        self.asked.append(asked)
        if not self._is_genuine(asked):
            return web.json_response({"code": "unauthenticated"}, status=401)
        if "envelope=v1" in asked.target:
            counter = int(asked.target.rpartition("=")[2])
            if counter <= self.last_counter:
                return plainly(self, asked, 409, {"code": "counter_used", "next_counter": self.last_counter + 1})
            self.last_counter = counter
            if body:
                keys = envelope.keys_of(self.key.secret, self.key.device_id)
                asked.said = envelope.open(keys, Direction.C2S, counter, asked.target, body)
        return (self.turns.pop(0) if self.turns else self.usual)(self, asked)

    def _is_genuine(self, asked: Asked) -> bool:
        given = {name: asked.headers.get(f"X-{name}", "") for name in ("Timestamp", "Nonce", "Signature")}
        text = signing.canonical(asked.method, asked.target, given["Timestamp"], given["Nonce"], asked.body)
        return (signing.is_well_formed(given["Timestamp"], given["Nonce"], given["Signature"])
                and signing.is_valid(self.key.secret, text, given["Signature"])
                and abs(int(given["Timestamp"]) - self.now()) <= 60)


def signature(desk: SmallDesk, nonce: str, status: int, body: bytes) -> dict[str, str]:
    return {"X-Signature": signing.sign(desk.key.secret, signing.canonical_answer(status, nonce, body))}


def plainly(desk: SmallDesk, asked: Asked, status: int, value: Any, headers: dict[str, str] | None = None,
            ) -> web.Response:
    """Signed, and never sealed."""
    body = b"" if value is None else json.dumps(value).encode()
    return web.Response(body=body, status=status, content_type="application/json", headers={
        **signature(desk, asked.headers["X-Nonce"], status, body), **(headers or {})})


def signed(value: Any, status: int = 200, **headers: str) -> Answer:
    """As the desk answers: sealed when it was asked so."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}

    def answer(desk: SmallDesk, asked: Asked) -> web.Response:
        if "envelope=v1" not in asked.target or value is None:
            return plainly(desk, asked, status, value, named)
        keys = envelope.keys_of(desk.key.secret, desk.key.device_id)
        counter = int(asked.target.rpartition("=")[2])
        body = envelope.seal(keys, Direction.S2C, counter, asked.target, json.dumps(value).encode())
        return web.Response(body=body, status=status, headers={
            "Content-Type": CONTENT_TYPE, **signature(desk, asked.headers["X-Nonce"], status, body), **named})

    return answer


def unsigned(value: Any, status: int = 200, **headers: str) -> Answer:
    """As somebody answers who has no secret."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return lambda desk, asked: web.json_response(value, status=status, headers=named)


@asynccontextmanager
async def small_desk() -> AsyncIterator[SmallDesk]:
    made = SmallDesk()
    runner = await made.start()
    try:
        yield made
    finally:
        await made.transport.close()
        await runner.cleanup()
