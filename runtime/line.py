"""One connection to Redis for what is asked at every request.

The ordinary client is careful for each command: it takes a connection from its pool, looks whether it is alive, reads
through two streams. Here commands are written as they come, answers are read as they arrive, in the same order, and
whoever waited when the connection breaks is told so.

Patience is the server's, not ours: after this process has stood still itself, what has arrived meanwhile is read
before anybody is told that nothing came.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Sequence
from typing import Any

import hiredis
from redis.asyncio import Redis, UnixDomainSocketConnection
from redis.asyncio.connection import Connection
from redis.exceptions import ResponseError

Word = bytes | str | int
GRACE_SECONDS = 0.02


class Broken(ConnectionError):
    """The connection has ended before the answer came."""


class Script:
    """A script of the server's."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Line:
    """Connects when it is first asked, and again after it has broken."""

    def __init__(self, redis: Redis) -> None:
        pool = redis.connection_pool
        self._redis = redis
        self._place = pool.connection_kwargs
        # Encrypted connections and what else there is are left to the ordinary client.
        self._is_plain = pool.connection_class in (Connection, UnixDomainSocketConnection)
        self._open: _Exchange | None = None
        self._opening: asyncio.Lock | None = None

    async def ask(self, patience: float, *command: Word) -> Any:
        """The answer to a command. RedisError, OSError or TimeoutError, as it fails."""
        if not self._is_plain:
            async with asyncio.timeout(patience):
                return await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]
        exchange = self._open
        if exchange is None or not exchange.is_alive:
            async with asyncio.timeout(patience):
                exchange = await self._connect(patience)
        return await exchange.ask(patience, command)

    async def run(self, patience: float, script: "Script", keys: Sequence[str], arguments: Sequence[Word]) -> Any:
        """The answer of a script, which the server is told in full when it does not know it yet."""
        try:
            return await self.ask(patience, "EVALSHA", script.digest, len(keys), *keys, *arguments)
        except ResponseError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
            return await self.ask(patience, "EVAL", script.text, len(keys), *keys, *arguments)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()

    async def _connect(self, patience: float) -> "_Exchange":
        self._opening = self._opening or asyncio.Lock()
        async with self._opening:
            if self._open is not None and self._open.is_alive:
                return self._open
            loop, place = asyncio.get_running_loop(), self._place
            if "path" in place:
                _, exchange = await loop.create_unix_connection(_Exchange, place["path"])
            else:
                _, exchange = await loop.create_connection(_Exchange, place.get("host", "localhost"),
                                                           int(place.get("port", 6379)))
            for command in _greeting(place):
                await exchange.ask(patience, command)
            self._open = exchange
            return exchange


def _greeting(place: dict[str, Any]) -> list[tuple[Word, ...]]:
    """What is said before anything is asked."""
    said: list[tuple[Word, ...]] = []
    if place.get("password"):
        said.append(("AUTH", place.get("username") or "default", place["password"]))
    if place.get("db"):
        said.append(("SELECT", place["db"]))
    return said


class _Exchange(asyncio.Protocol):
    """Questions and answers over one connection, in their order."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self.is_alive = False

    async def ask(self, patience: float, command: Sequence[Word]) -> Any:
        if self._transport is None or not self.is_alive:
            raise Broken
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting.append(future)
        timer = loop.call_later(patience, loop.call_later, GRACE_SECONDS, self._give_up, future)
        if not self._unsent:
            loop.call_soon(self._send)
        self._unsent.append(hiredis.pack_command(tuple(command)))  # type: ignore[arg-type]  # of any length
        try:
            answer = await future
        finally:
            timer.cancel()
        if isinstance(answer, hiredis.ReplyError):
            raise ResponseError(str(answer))
        return answer

    def _send(self) -> None:
        """What is asked in one turn of the loop goes out together: the server is woken once."""
        unsent, self._unsent = self._unsent, []
        if self._transport is not None and self.is_alive:
            self._transport.write(b"".join(unsent))

    def _give_up(self, future: asyncio.Future[Any]) -> None:
        """Who asks next should not wait behind an answer that does not come."""
        if not future.done():
            future.set_exception(TimeoutError())
            self.close()

    def close(self) -> None:
        self.is_alive = False
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self.is_alive = True

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (answer := self._reader.gets()) is not False:
                future = self._waiting.popleft()
                if not future.done():
                    future.set_result(answer)
        except (hiredis.ProtocolError, IndexError):
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_alive = False
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(Broken())
