"""A client that costs little: requests are made beforehand, answers are checked by their length and beginning.

A process of its own. A line of JSON on its input names a target and how long to ask it; a line on its output tells
how many answers came, and how long each took.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as it goes over the wire, and what its answer's body must begin with."""

    request: bytes
    begins: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to ask what. Requests that are good ``once`` are dealt out: no two connections have one, and none comes
    again."""

    port: int
    asks: Sequence[Ask]
    status: int
    once: bool


@dataclass(slots=True)
class Turn:
    """Requests handed out in turn until the time is over, or none is left for a connection."""

    target: Target
    until: float
    connections: int
    next: int = 0
    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def take(self, connection: int, taken: int) -> Ask | None:
        """The next request of this connection, which has taken so many."""
        asks = self.target.asks
        number = connection + taken * self.connections if self.target.once else self.next
        if time.perf_counter() >= self.until or (self.target.once and number >= len(asks)):
            return None
        self.next += 1
        return asks[number % len(asks)]


class Connection(asyncio.Protocol):
    """One connection: it asks again as soon as it is answered."""

    def __init__(self, turn: Turn, number: int) -> None:
        self._turn, self._number, self._taken = turn, number, 0
        self._buffer = b""
        self._asked = 0.0
        self._ask = turn.target.asks[0]
        self._status = b"http/1.1 %d" % turn.target.status
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._go_on()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(HEAD_END)
        if end < 0:
            return
        head = self._buffer[:end].lower()
        start = head.find(b"content-length:")
        length = int(head[start + 15:].split(b"\r\n", 1)[0]) if start >= 0 else 0
        if len(self._buffer) < end + 4 + length:
            return
        self._check(head, self._buffer[end + 4:end + 4 + length])
        self._buffer = b""
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self._turn.wrong.append("connection lost")
            self.over.set_result(None)

    def _check(self, head: bytes, body: bytes) -> None:
        self._turn.seconds.append(time.perf_counter() - self._asked)
        if not head.startswith(self._status) or not body.startswith(self._ask.begins):
            self._turn.wrong.append((head[:60] + b" " + body[:100]).decode("utf-8", "replace"))

    def _go_on(self) -> None:
        ask = self._turn.take(self._number, self._taken)
        if ask is None:
            self.over.set_result(None)
            self._transport.close()
            return
        self._taken += 1
        self._ask, self._asked = ask, time.perf_counter()
        self._transport.write(ask.request)


async def _slice(target: Target, connections: int, seconds: float, first: int) -> tuple[Turn, float]:
    """What came of it, and how long it took."""
    began = time.perf_counter()
    turn = Turn(target, began + seconds, connections, first)
    loop = asyncio.get_running_loop()
    made = await asyncio.gather(*(
        loop.create_connection(partial(Connection, turn, number), "127.0.0.1", target.port)
        for number in range(connections)))
    await asyncio.gather(*(connection.over for _, connection in made))
    return turn, time.perf_counter() - began


async def _serve() -> None:
    """Follow the orders that come in, one a line."""
    loop = asyncio.get_running_loop()
    targets: dict[str, tuple[Target, int]] = {}
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order: dict[str, Any] = json.loads(line)
        if "asks" in order:
            given = json.loads(Path(order["asks"]).read_text())
            asks = [Ask(request.encode(), begins.encode()) for request, begins in given]
            targets[order["name"]] = Target(order["port"], asks, order["status"], order["once"]), 0
            print("{}", flush=True)
            continue
        target, first = targets[order["name"]]
        turn, took = await _slice(target, order["connections"], order["seconds"], first)
        targets[order["name"]] = target, turn.next
        print(json.dumps({"answers": len(turn.seconds), "took": took, "wrong": turn.wrong[:3],
                          "wrongs": len(turn.wrong), "seconds": turn.seconds if order.get("each") else []}), flush=True)


if __name__ == "__main__":
    uvloop.run(_serve())
