"""Requests that chance has broken, for the devices' door: truly signed ones, and ones whose signature is broken too.

What reaches a new line of the door's own code is kept and broken further. Of the first thousands every seventh input is
traced for that, later ones more seldom: it takes time.
"""

import asyncio
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

from sqlalchemy import update

from models.order import Order, OrderStatus
from sandbox.signing import headers as signed_headers
from tests.webapp.devices_stage import push, report
from tests.webapp.trading_stage import SOUND, Floor
from wire import envelope, signing
from wire.envelope import Direction

ALLOWED = {200, 201, 204, 400, 401, 403, 404, 405, 409, 410, 413, 415, 417, 422, 429}
TRACED, TRACED_OFTEN, TRACED_LATER = 7, 5_000, 61
MOST_KEPT = 4_000
ORDER_EVERY = 250
PLACES = ("webapp/device_door", "webapp/signed", "webapp/claims", "webapp/idle_polls", "webapp/sealed",
          "webapp/schemas", "webapp/order_schemas", "webapp/api/ea", "webapp/api/pairing", "services/device",
          "services/reports", "services/symbol_reports", "services/pairing", "services/sightings", "services/replays",
          "wire/", "runtime/strict_json")
HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**63, 10**40, 1e308, -0.0, 0.1, "", " ", "0", "-1", "1e9", "NaN",
    "Infinity", "1" * 400, "\u0000", "\ud800", "\u202e", "😀" * 40, "2026-11-26T10:00:00Z", "2026-02-30T10:00:00Z",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", [], {}, [[]] * 3, {"a": {}}, "placed", "filled", "closed",
    "rejected", "failed", "buy", "sell", "full", "hedging")
HEADERS = ("X-Key-Id", "X-Timestamp", "X-Nonce", "X-Signature", "Content-Type", "Content-Encoding", "Accept",
           "Idempotency-Key", "Authorization", "X-Forwarded-For")


@dataclass(frozen=True)
class Input:
    """A request before it is signed. ``is_sealed``: its body is put into an envelope first."""

    method: str
    target: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    is_sealed: bool = False


def seeds() -> list[Input]:
    """Requests as devices make them."""
    spec = {"name": "EURUSD.r", "description": "Euro", "digits": 5, "point": "0.00001", "tick_size": "0.00001",
            "contract_size": "100000", "volume_min": "0.01", "volume_max": "50", "volume_step": "0.01",
            "volume_limit": "0", "stops_level": 10, "freeze_level": 0, "currency_base": "EUR",
            "currency_profit": "USD", "currency_margin": "EUR", "calc_mode": "forex", "trade_mode": "full",
            "filling": ["fok", "ioc"], "tick_value": "1", "bid": "1.07", "ask": "1.08",
            "quoted_at": "2026-01-05T10:04:59.500Z"}
    terminal = {"version": "1.0.0", "build": 5833, "utc_offset_seconds": 7200, "trade_allowed": True,
                "expert_allowed": True, "account_allowed": True, "connected": True, "ping_ms": 40}
    whole = report()
    bodies: list[tuple[str, Any]] = [
        ("snapshot", whole), ("snapshot", {"same_as": "0" * 64, "taken_at": whole["taken_at"]}),
        ("symbols", {"terminal": terminal, "symbols": [spec], "is_first": True, "is_last": True,
                     "taken_at": whole["taken_at"]}),
        ("begin", {"order_id": "1"}),
        ("ack", {"order_id": "1", "status": "filled", "ticket": 5, "price": "1.07", "volume": "0.10", "retcode": 10009,
                 "error": "requote", "profit": "1.00", "reason": "take_profit"}),
        ("pair", {"code": "ABCDE-FGHJK", "login": "70012345", "server": "Harbour-Live", "version": "1.0.0"})]
    made = [Input("POST", f"/api/v1/ea/{name}", json.dumps(body).encode()) for name, body in bodies]
    made += [Input("GET", f"/api/v1/ea/{name}", b"") for name in ("poll", "time")]
    return made + [replace(one, is_sealed=True) for one in made]


@dataclass
class Fuzz:
    """``kept`` is what has reached something new; ``growth`` how many lines were reached after how many inputs."""

    floor: Floor
    chance: random.Random
    order_id: int = 1
    kept: list[Input] = field(default_factory=seeds)
    lines: set[tuple[str, int]] = field(default_factory=set)
    answers: Counter[int] = field(default_factory=Counter)
    growth: list[tuple[int, int]] = field(default_factory=list)
    counter: int = field(default_factory=lambda: int(time.time() * 1000))
    _line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self, times: int) -> None:
        """AssertionError with the input that was answered as none may be."""
        for number in range(times):
            if number % ORDER_EVERY == 0:
                await self._order()
            elif number % ORDER_EVERY == ORDER_EVERY // 2:
                await self._nothing_to_fetch()
            one = self._changed(self.chance.choice(self.kept)) if number >= len(self.kept) else self.kept[number]
            before = len(self.lines)
            if number % (TRACED if number < TRACED_OFTEN else TRACED_LATER) == 0:
                with self._tracing():
                    status = await self._ask(one)
                if len(self.lines) > before and len(self.kept) < MOST_KEPT:
                    self.kept.append(one)
            else:
                status = await self._ask(one)
            self.answers[status] += 1
            assert status in ALLOWED, (status, one)
            if number & (number + 1) == 0 or number == times - 1:
                self.growth.append((number + 1, len(self.lines)))

    async def _order(self) -> None:
        """There is something to fetch again, whatever has been reported meanwhile."""
        await push(self.floor.door, self.floor.device, **SOUND)
        self.order_id = (await self.floor.approve()).id

    async def _nothing_to_fetch(self) -> None:
        """Polls go the short way until there is an order again."""
        desk = self.floor.door.desk
        async with desk.database.writing() as session:
            await session.execute(update(Order).values(status=OrderStatus.REJECTED))
        await desk.waiting_orders.look()

    async def _ask(self, one: Input) -> int:
        """The status of its answer, over a connection that is kept as long as the desk keeps it."""
        if self._line is None:
            self._line = await asyncio.open_connection(*self.floor.door.base.removeprefix("http://").split(":"))
        reader, writer = self._line
        writer.write(self._written(one))
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        size = re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
        if size and one.method != "HEAD":
            await reader.readexactly(int(size[1]))
        if b"\r\nConnection: close\r\n" in head:
            self.hang_up()
        return status

    def hang_up(self) -> None:
        if self._line is not None:
            self._line[1].close()
        self._line = None

    def _written(self, one: Input) -> bytes:
        key, target, said = self.floor.device, one.target, {"Content-Type": "application/json"}
        body = one.body.replace(b'"order_id": "1"', b'"order_id": "%d"' % self.order_id)
        if one.is_sealed:
            self.counter += self.chance.choice((0, 1, 1, 1, 1, 1, 1, 2, 2_000))
            target += f"?envelope=v1&counter={self.counter}"
            keys = envelope.keys_of(signing.decode_secret(key[1]), key[0])
            if body:
                body = envelope.seal(keys, Direction.C2S, self.counter, target, body)
                said["Content-Type"] = envelope.CONTENT_TYPE
            if self.chance.random() < 0.2:
                body = _bytes_changed(self.chance, body)
        said |= signed_headers(*key, method=one.method, target=target, body=body,
                               now=int(time.time()) + self.chance.choice((0, 0, 0, 0, 0, 0, 5, -61, 61)))
        said |= dict(one.headers)
        if self.chance.random() < 0.1:
            said = self._broken(said)
        lines = [f"{one.method} {target} HTTP/1.1", "Host: desk", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {text}" for name, text in said.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def _broken(self, said: dict[str, str]) -> dict[str, str]:
        name = self.chance.choice(HEADERS)
        if self.chance.random() < 0.3:
            return {each: text for each, text in said.items() if each != name}
        return {**said, name: _text_changed(self.chance, said.get(name, "1"))}

    def _changed(self, one: Input) -> Input:
        for _ in range(self.chance.choice((1, 1, 1, 2, 4))):
            what = self.chance.random()
            if what < 0.65 and one.body:
                one = replace(one, body=_json_changed(self.chance, one.body))
            elif what < 0.8 and one.body:
                one = replace(one, body=_bytes_changed(self.chance, one.body))
            elif what < 0.87:
                one = replace(one, target=self.chance.choice((
                    one.target, one.target + "/", one.target + "?" + self.chance.choice((
                        "envelope=v1", "counter=1", "envelope=v1&counter=0", "counter=1&envelope=v1", "a=%00", "a=%zz",
                        "envelope=v2&counter=5", "envelope=v1&counter=" + "9" * 30)),
                    "/api/v1/ea/" + self.chance.choice(("poll", "ack", "begin", "snapshot", "symbols", "nothing")))))
            elif what < 0.92:
                one = replace(one, method=self.chance.choice(("GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE")))
            else:
                name = self.chance.choice(HEADERS[4:])
                one = replace(one, headers=((name, _text_changed(self.chance, "application/json")),))
        return one

    @contextmanager
    def _tracing(self) -> Iterator[None]:
        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            if event == "call" and not any(place in frame.f_code.co_filename for place in PLACES):
                return None
            self.lines.add((frame.f_code.co_filename, frame.f_lineno))
            return trace

        sys.settrace(trace)
        try:
            yield
        finally:
            sys.settrace(None)


def _text_changed(chance: random.Random, text: str) -> str:
    place = chance.randrange(len(text) + 1)
    return chance.choice((
        text[:place], text[:place] + chance.choice("0aZ=-_.~ é") + text[place + 1:], text + text, text.upper(), "",
        "1" * 300, text[:place] + "%" + text[place:]))


def _bytes_changed(chance: random.Random, body: bytes) -> bytes:
    place = chance.randrange(len(body) + 1)
    return chance.choice((
        body[:place], body[:place] + chance.randbytes(1) + body[place + 1:], body[:place] + body[place + 1:],
        body[:place] + body[place:place + 20] * 3 + body[place:], chance.randbytes(chance.randrange(200)),
        b"[" * chance.randrange(2_000) + body, b"\xef\xbb\xbf" + body))


def _json_changed(chance: random.Random, body: bytes) -> bytes:
    """Another value, one member less or more, somewhere in it."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return _bytes_changed(chance, body)
    if chance.random() < 0.05:
        return json.dumps(chance.choice(HOSTILE)).encode()
    held, place = _somewhere(chance, value)
    if held is None:
        return body
    match chance.randrange(5):
        case 0 | 1 | 2:
            held[place] = chance.choice(HOSTILE)
        case 3:
            del held[place]
        case _:
            _grow(chance, held, place)
    return json.dumps(value, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")


def _somewhere(chance: random.Random, value: Any) -> tuple[Any, Any]:
    """A container in it that is not empty, and a place in that."""
    held, place = None, None
    while isinstance(value, dict | list) and value:
        held, place = value, chance.choice(list(value)) if isinstance(value, dict) else chance.randrange(len(value))
        value = held[place]
        if chance.random() < 0.4:
            break
    return held, place


def _grow(chance: random.Random, held: Any, place: Any) -> None:
    if isinstance(held, list):
        held.extend([held[place]] * chance.choice((1, 2, 300)))
    else:
        held[chance.choice((f"{place}x", "", "login", "a" * 500))] = held[place]
