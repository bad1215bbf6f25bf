"""Workers at a terminal host: the same frames, through a connection both sides have proved themselves on."""

import asyncio
import logging
import ssl
from typing import Any

from terminal.mt5 import frames, tls
from terminal.mt5.calls import Veil
from terminal.mt5.launch import Channel
from terminal.mt5.tls import TlsFiles
from terminal.protocol import AccountRef, GatewayError

log = logging.getLogger(__name__)

LAST_SECONDS, FORGET_SECONDS = 2.0, 20.0


class RemoteWorker:
    """A connection to a terminal host. When it is cut the host kills the worker behind it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.path = ""
        self.veil = Veil()

    def kill(self) -> None:
        self.writer.transport.abort()

    async def gone(self) -> None:
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await self.writer.wait_closed()
        except (TimeoutError, OSError):
            pass


class RemoteLauncher:
    """Asks a terminal host for workers."""

    def __init__(self, host: str, port: int, files: TlsFiles) -> None:
        self._host, self._port, self._files = host, port, files

    async def launch(self, ref: AccountRef, *, fresh: bool = False) -> Channel:
        """A connection of this account's own; the first thing heard on it is the worker's hello."""
        return await self._said({"attach": _named(ref), "fresh": fresh})

    async def forget(self, ref: AccountRef) -> None:
        """Have the host remove the account's directory."""
        try:
            async with asyncio.timeout(FORGET_SECONDS):
                worker = await self._said({"forget": _named(ref)})
                try:
                    answer = await frames.read(worker.reader)
                finally:
                    worker.kill()
                    await worker.gone()
        except (TimeoutError, OSError, frames.Ended, frames.BadFrame) as error:
            raise GatewayError("terminal_away", "The terminal host does not answer.", retryable=True) from error
        if answer != {"forgotten": True}:
            raise GatewayError("bad_answer", "The terminal host answered something else.", retryable=True)

    async def close(self) -> None:
        """Nothing is held between connections."""

    async def _said(self, first: dict[str, Any]) -> RemoteWorker:
        """A connection on which ``first`` has been said."""
        try:
            # Read anew each time: a renewed certificate is taken up without a restart.
            context = tls.for_desk(self._files)
            reader, writer = await asyncio.open_connection(
                self._host, self._port, ssl=context, ssl_handshake_timeout=tls.HANDSHAKE_SECONDS)
        except ssl.SSLError as error:
            log.error("the terminal host %s:%d is not trusted: %s", self._host, self._port, error)
            raise GatewayError("terminal_away", "The terminal host cannot be trusted.", retryable=True) from error
        except OSError as error:
            log.warning("the terminal host %s:%d does not answer: %s", self._host, self._port, error)
            raise GatewayError("terminal_away", "The terminal host does not answer.", retryable=True) from error
        tls.keep_alive(writer.get_extra_info("socket"))
        writer.write(frames.encode(first))
        return RemoteWorker(reader, writer)


def _named(ref: AccountRef) -> dict[str, str]:
    return {"server": ref.server, "login": ref.login}
