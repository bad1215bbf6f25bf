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
from pathlib import Path
from typing import Any

import uvloop

HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as it goes over the wire, and what its answer's body must begin with."""

    request: bytes
    begins: bytes


@dataclass(slots=True)
class Turn:
    """Requests handed out in turn until the time is over."""

    asks: Sequence[Ask]
    until: float
    next: int = 0
    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """One connection: it asks again as soon as it is answered."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._buffer = b""
        self._asked = 0.0
        self._ask = turn.asks[0]
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
        if not head.startswith(b"http/1.1 200") or not body.startswith(self._ask.begins):
            self._turn.wrong.append((head[:60] + b" " + body[:100]).decode("utf-8", "replace"))

    def _go_on(self) -> None:
        now = time.perf_counter()
        if now >= self._turn.until:
            self.over.set_result(None)
            self._transport.close()
            return
        turn = self._turn
        self._ask = turn.asks[turn.next % len(turn.asks)]
        turn.next += 1
        self._asked = now
        self._transport.write(self._ask.request)


async def _slice(port: int, asks: Sequence[Ask], connections: int, seconds: float, first: int) -> Turn:
    turn = Turn(asks, time.perf_counter() + seconds, first)
    loop = asyncio.get_running_loop()
    made = await asyncio.gather(*(loop.create_connection(lambda: Connection(turn), "127.0.0.1", port)
                                  for _ in range(connections)))
    await asyncio.gather(*(connection.over for _, connection in made))
    return turn


async def _serve() -> None:
    """Follow the orders that come in, one a line."""
    loop = asyncio.get_running_loop()
    targets: dict[str, tuple[int, list[Ask], int]] = {}
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order: dict[str, Any] = json.loads(line)
        if "asks" in order:
            given = json.loads(Path(order["asks"]).read_text())
            asks = [Ask(request.encode(), begins.encode()) for request, begins in given]
            targets[order["name"]] = order["port"], asks, 0
            print("{}", flush=True)
            continue
        port, asks, first = targets[order["name"]]
        turn = await _slice(port, asks, order["connections"], order["seconds"], first)
        targets[order["name"]] = port, asks, turn.next
        print(json.dumps({"answers": len(turn.seconds), "wrong": turn.wrong[:3], "wrongs": len(turn.wrong),
                          "seconds": turn.seconds if order.get("each") else []}), flush=True)


if __name__ == "__main__":
    uvloop.run(_serve())
