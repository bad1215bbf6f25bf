"""A terminal host: gives the desk a worker for each account it names, for as long as the desk holds the line."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from terminal.mt5 import frames, tls
from terminal.mt5.calls import SupervisionRules, spelled
from terminal.mt5.directory import name_of
from terminal.mt5.launch import Channel, Launcher
from terminal.mt5.pacing import Stagger
from terminal.mt5.relay import relay
from terminal.protocol import AccountRef, GatewayError

log = logging.getLogger(__name__)

FIRST_WORD_SECONDS, LAST_SECONDS = 10.0, 2.0
STRANGERS = 16
"""Connections that may be in the middle of proving themselves, beyond one for each terminal."""


class TerminalHost:
    """Listens for desks. What it carries it neither keeps nor logs; whose account it is about, it logs."""

    def __init__(self, launcher: Launcher, context: ssl.SSLContext, rules: SupervisionRules, *,
                 sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._launcher, self._context, self._rules = launcher, context, rules
        self._stagger = Stagger(rules.start_every_seconds, sleep=sleep)
        self._room = asyncio.Semaphore(rules.terminals + STRANGERS)
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        self._lines: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = 0
        self._listening: socket.socket | None = None

    async def start(self, address: str, port: int) -> int:
        """Listen; returns the port, which is chosen where 0 is given. OSError when it cannot be had."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listening = socket.create_server((address, port), family=family)
        self._listening.setblocking(False)
        self._keep(self._accept(self._listening))
        return int(self._listening.getsockname()[1])

    async def close(self) -> None:
        """Listen no more, end every worker."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._listening is not None:
            self._listening.close()
        await self._launcher.close()

    def _keep(self, work: Any) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._room.acquire()
            try:
                sock, peer = await loop.sock_accept(listening)
            except OSError as error:  # no more files, most likely; whoever waits is patient
                self._room.release()
                log.error("a connection cannot be taken: %s", error)
                await asyncio.sleep(0.5)
                continue
            self._keep(self._serve(sock, str(peer[0]))).add_done_callback(lambda _: self._room.release())

    async def _serve(self, sock: socket.socket, peer: str) -> None:
        """One connection from its first byte to its last."""
        loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            tls.keep_alive(sock)
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, sock, ssl=self._context, ssl_handshake_timeout=tls.HANDSHAKE_SECONDS)
        except (OSError, ssl.SSLError) as error:
            log.warning("a connection from %s has not proved itself: %s", peer, error)
            sock.close()
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            async with asyncio.timeout(FIRST_WORD_SECONDS):
                first = await frames.read(reader)
            await self._obey(first, reader, writer)
        except (TimeoutError, OSError, frames.Ended, frames.BadFrame, ValueError) as error:
            log.warning("a connection from %s was ended: %s", peer, type(error).__name__)
        finally:
            await _hung_up(writer)

    async def _obey(self, first: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match first:
            case {"attach": {"server": str(server), "login": str(login)}, "fresh": bool(fresh)}:
                ref = AccountRef(login, server)
                await self._fresh(ref, reader, writer) if fresh else await self._own(ref, reader, writer)
            case {"forget": {"server": str(server), "login": str(login)}}:
                async with self._taken_over(AccountRef(login, server)):
                    await self._launcher.forget(AccountRef(login, server))
                writer.write(frames.encode({"forgotten": True}))
            case _:
                raise frames.BadFrame("neither of the two first words")

    async def _fresh(self, ref: AccountRef, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._connect(ref, reader, writer, fresh=True)

    async def _own(self, ref: AccountRef, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """In the account's own directory there is one worker: the newest connection's."""
        async with self._taken_over(ref):
            await self._connect(ref, reader, writer, fresh=False)

    def _taken_over(self, ref: AccountRef) -> asyncio.Lock:
        """The account's lock, after whoever holds it was told to let go."""
        key = (ref.server.casefold(), ref.login)
        former, task = self._lines.get(key), asyncio.current_task()
        assert task is not None
        self._lines[key] = task
        task.add_done_callback(lambda done: self._lines.pop(key) if self._lines.get(key) is done else None)
        if former is not None:
            former.cancel()
        return self._locks.setdefault(key, asyncio.Lock())

    async def _connect(self, ref: AccountRef, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *,
                       fresh: bool) -> None:
        if self._running >= self._rules.terminals:
            busy = GatewayError("terminal_busy", "As many terminals run at the host as it has room for.",
                                retryable=True)
            writer.write(frames.encode({"error": spelled(busy)}))
            return
        self._running += 1
        worker = None
        try:
            await self._stagger.turn()
            worker = await self._launcher.launch(ref, fresh=fresh)
            log.info("terminal %s has started", name_of(ref))
            await relay(reader, writer, worker, ref)
        except GatewayError as error:
            writer.write(frames.encode({"error": spelled(error)}))
        finally:
            try:
                if worker is not None:
                    await _seen_off(worker)
                    log.info("terminal %s has ended", name_of(ref))
            finally:
                self._running -= 1


async def _seen_off(worker: Channel) -> None:
    """End a worker and wait until it is gone, also when we are told to hurry: the next one needs its directory."""
    worker.kill()
    ending, is_cancelled = asyncio.create_task(worker.gone()), False
    while not ending.done():
        try:
            await asyncio.wait([ending])
        except asyncio.CancelledError:
            is_cancelled = True
    if is_cancelled:
        raise asyncio.CancelledError


async def _hung_up(writer: asyncio.StreamWriter) -> None:
    """Let what was written arrive, but not for ever."""
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(LAST_SECONDS):
            await writer.wait_closed()
    writer.transport.abort()
